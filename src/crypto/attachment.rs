//! Attachments as age files: encryption while they stream, and decryption on a member's machine.
//!
//! Guards: plaintext is never collected, ciphertext is complete only after [`Encrypting::finish`], and memory stays bounded
//! however large the file is. Leaves to [`super::header`] the judging of uploads, and to callers the files themselves: write
//! what is decrypted under a temporary name, and rename it only after success.

use std::io::{self, BufReader, Read, Write};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use age::stream::StreamWriter;
use age::{DecryptError, Decryptor, Encryptor};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::Error;
use super::header::{Progress, Scanner};
use super::identity::Identities;
use super::portion::Portion;
use super::recipient::Recipients;

/// How much plaintext is gathered before it is encrypted in one go.
const PORTION: usize = 256 * 1024;

/// A writer that encrypts what passes through it.
///
/// Without [`Encrypting::finish`] the file stays cut off, and nobody can decrypt it whole.
pub struct Encrypting<W: Write>(StreamWriter<W>);

impl<W: Write> Encrypting<W> {
    /// Writes the header for these recipients and returns the writer for the plaintext.
    pub fn new(recipients: &Recipients, output: W) -> io::Result<Self> {
        encryptor(recipients).wrap_output(output).map(Self)
    }

    /// Writes the last chunk and returns the output.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for Encrypting<W> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.0.write(plain)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Turns a stream of plaintext into a stream of one age file.
///
/// A portion is encrypted while the next one is read and the one before it is sent. Holds at most some 1.2 MiB besides the
/// caller's pieces, and a thread only while it encrypts, not while it waits. An error of the input ends the output with
/// that error, so that what was written of it is recognisably cut off.
pub fn encrypt_stream<S>(recipients: Recipients, plain: S) -> impl Stream<Item = io::Result<Bytes>> + Send + use<S>
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let start = Flow { plain: Box::pin(plain), work: Work::Start(recipients) };
    stream::unfold(Some(Turn::First(start)), |turn| async {
        match turn?.take().await {
            Ok((cipher, next)) => Some((Ok(cipher), next)),
            Err(error) => Some((Err(error), None)),
        }
    })
    .filter(|item| std::future::ready(!matches!(item, Ok(cipher) if cipher.is_empty())))
}

/// Decrypts an age file and returns the number of plaintext bytes written.
///
/// What was written is trustworthy only when this returns `Ok`: a file that was cut off is noticed at its end.
pub fn decrypt_file(identities: &Identities, mut cipher: impl Read, mut plain: impl Write) -> Result<u64, Error> {
    let mut scanner = Scanner::new();
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let length = match cipher.read(&mut piece) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Io(error)),
        };
        if length == 0 {
            scanner.finish()?;
            return Err(Error::FileDamaged);
        }
        head.extend_from_slice(&piece[..length]);
        if scanner.push(&piece[..length])? == Progress::Payload {
            break;
        }
    }
    let input = io::Cursor::new(head).chain(BufReader::with_capacity(64 * 1024, cipher));
    let mut reader = Decryptor::new_buffered(input).and_then(|age| age.decrypt(identities.iter())).map_err(failed)?;
    let mut buffer = Zeroizing::new(vec![0; 64 * 1024]);
    let mut written = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return plain.flush().map(|()| written).map_err(Error::Io),
            Ok(length) => {
                plain.write_all(&buffer[..length]).map_err(Error::Io)?;
                written += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(DecryptError::Io(error))),
        }
    }
}

/// Encrypts a text that is in memory anyway, such as a key.
pub(super) fn encrypt_small(recipients: &Recipients, plain: &[u8]) -> Vec<u8> {
    Encrypting::new(recipients, Vec::new())
        .and_then(|mut encrypting| {
            encrypting.write_all(plain)?;
            encrypting.finish()
        })
        .expect("writing to memory does not fail")
}

fn encryptor(recipients: &Recipients) -> Encryptor {
    Encryptor::with_recipients(recipients.for_age()).expect("the set is not empty and holds classical keys only")
}

fn failed(error: DecryptError) -> Error {
    match error {
        DecryptError::NoMatchingKeys => Error::NotForYou,
        DecryptError::Io(source) => match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Error::FileDamaged,
            _ => Error::Io(source),
        },
        _ => Error::FileDamaged,
    }
}

/// Where the age writer leaves its ciphertext until it is taken.
#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<Vec<u8>>>);

impl Outbox {
    fn take(&self) -> Bytes {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Outbox {
    fn write(&mut self, cipher: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(cipher);
        Ok(cipher.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is done next.
enum Turn<S> {
    First(Flow<S>),
    More(Encryption, Pin<Box<S>>),
    Last(Encryption),
}

/// A portion on its way through the cipher.
type Encryption = JoinHandle<io::Result<(Bytes, Option<Work>)>>;

struct Flow<S> {
    plain: Pin<Box<S>>,
    work: Work,
}

enum Work {
    Start(Recipients),
    Running(Box<Encrypting<Outbox>>, Outbox),
}

impl<S: Stream<Item = io::Result<Bytes>> + Send> Flow<S> {
    /// Hands a portion to the cipher.
    fn encrypt(self, portion: Portion) -> Turn<S> {
        let ended = portion.ended;
        let encryption = tokio::task::spawn_blocking(move || self.work.encrypt(&portion));
        if ended { Turn::Last(encryption) } else { Turn::More(encryption, self.plain) }
    }
}

impl<S: Stream<Item = io::Result<Bytes>> + Send> Turn<S> {
    /// Reads the next portion while the one before it is encrypted, and returns that one's ciphertext with what is left to do.
    async fn take(self) -> io::Result<(Bytes, Option<Self>)> {
        match self {
            Self::First(mut flow) => {
                let portion = Portion::gather(&mut flow.plain, PORTION).await?;
                Ok((Bytes::new(), Some(flow.encrypt(portion))))
            }
            Self::More(encryption, mut plain) => {
                let portion = Portion::gather(&mut plain, PORTION).await?;
                let (cipher, work) = encryption.await.map_err(io::Error::other)??;
                let next = work.map(|work| Flow { plain, work }.encrypt(portion));
                Ok((cipher, next))
            }
            Self::Last(encryption) => Ok((encryption.await.map_err(io::Error::other)??.0, None)),
        }
    }
}

impl Work {
    fn encrypt(self, portion: &Portion) -> io::Result<(Bytes, Option<Self>)> {
        let (mut encrypting, outbox) = match self {
            Self::Start(recipients) => {
                let outbox = Outbox::default();
                (Box::new(Encrypting::new(&recipients, outbox.clone())?), outbox)
            }
            Self::Running(encrypting, outbox) => (encrypting, outbox),
        };
        for piece in &portion.pieces {
            encrypting.write_all(piece)?;
        }
        if portion.ended {
            encrypting.finish()?;
            return Ok((outbox.take(), None));
        }
        let cipher = outbox.take();
        Ok((cipher, Some(Self::Running(encrypting, outbox))))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests hold our files against the age program")]
mod tests {
    use std::fs::{self, File};
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::super::{header, token};
    use super::*;
    use crate::domain::sealed::Secret;

    /// A key pair as files, the way a member has it.
    struct Member {
        private: PathBuf,
        public: String,
    }

    impl Member {
        fn age(folder: &Path) -> Self {
            let (identity, public) = token::age_identity();
            let private = folder.join("age.txt");
            fs::write(&private, format!("# sample\n{}\n", identity.expose())).unwrap();
            Self { private, public }
        }

        fn ssh(folder: &Path, name: &str, options: &[&str]) -> Self {
            let private = folder.join(name);
            let mut command = Command::new("ssh-keygen");
            let made = command.args(["-q", "-C", "sample@example.org"]).args(options).arg("-f").arg(&private).status();
            assert!(made.unwrap().success());
            let public = fs::read_to_string(private.with_extension("pub")).unwrap();
            Self { private, public }
        }

        fn three(folder: &Path) -> [Self; 3] {
            [
                Self::age(folder),
                Self::ssh(folder, "ed25519", &["-N", "", "-t", "ed25519"]),
                Self::ssh(folder, "rsa", &["-N", "", "-t", "rsa", "-b", "3072"]),
            ]
        }

        fn identities(&self) -> Identities {
            let mut identities = Identities::default();
            identities.add(&fs::read_to_string(&self.private).unwrap(), &mut || None).unwrap();
            identities
        }
    }

    fn recipients<'a>(members: impl IntoIterator<Item = &'a Member>) -> Recipients {
        Recipients::new(members.into_iter().map(|member| member.public.parse().unwrap())).unwrap()
    }

    fn sample(length: usize) -> Vec<u8> {
        (0..length).map(|place| u8::try_from(place * 31 % 251).unwrap()).collect()
    }

    fn decrypted(member: &Member, cipher: &[u8]) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        decrypt_file(&member.identities(), cipher, &mut plain)?;
        Ok(plain)
    }

    fn scanned(file: &[u8]) -> Result<header::Scanned, header::Refused> {
        let mut scanner = Scanner::new();
        scanner.push(file)?;
        scanner.finish()
    }

    async fn streamed(recipients: Recipients, pieces: Vec<io::Result<Bytes>>) -> (Vec<u8>, Option<io::Error>) {
        let mut output = std::pin::pin!(encrypt_stream(recipients, stream::iter(pieces)));
        let mut cipher = Vec::new();
        while let Some(piece) = output.next().await {
            match piece {
                Ok(piece) => cipher.extend_from_slice(&piece),
                Err(error) => return (cipher, Some(error)),
            }
        }
        (cipher, None)
    }

    #[test]
    fn age_program_opens_what_we_encrypt_with_each_key() {
        let folder = tempfile::tempdir().unwrap();
        let members = Member::three(folder.path());
        let plain = sample(300_000);
        let cipher = encrypt_small(&recipients(&members), &plain);
        let found = scanned(&cipher).unwrap();
        assert_eq!((found.known, found.total), (3, cipher.len() as u64));
        let file = folder.path().join("file.age");
        fs::write(&file, &cipher).unwrap();
        for member in &members {
            let output = Command::new("age").arg("-d").arg("-i").arg(&member.private).arg(&file).output().unwrap();
            assert!(output.status.success() && output.stdout == plain, "{}", member.public);
            assert_eq!(decrypted(member, &cipher).unwrap(), plain, "{}", member.public);
        }
    }

    #[test]
    fn we_open_what_the_age_program_encrypts() {
        let folder = tempfile::tempdir().unwrap();
        let members = Member::three(folder.path());
        let plain = sample(150_000);
        let (list, source) = (folder.path().join("recipients.txt"), folder.path().join("plain"));
        fs::write(&list, recipients(&members).to_file()).unwrap();
        fs::write(&source, &plain).unwrap();
        let output = Command::new("age").arg("-R").arg(&list).arg(&source).output().unwrap();
        assert!(output.status.success());
        assert_eq!(scanned(&output.stdout).unwrap().known, 3);
        for member in &members {
            assert_eq!(decrypted(member, &output.stdout).unwrap(), plain, "{}", member.public);
        }
        let armored = Command::new("age").arg("-a").arg("-R").arg(&list).arg(&source).output().unwrap();
        assert_eq!(scanned(&armored.stdout), Err(header::Refused::Armored));
    }

    #[tokio::test]
    async fn stream_is_one_age_file_however_it_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let member = Member::age(folder.path());
        for (length, size) in [(0, 1), (1, 1), (64 * 1024, 1000), (700_000, 65_536), (1_000_000, 1_000_000)] {
            let plain = sample(length);
            let pieces = plain.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            let (cipher, error) = streamed(recipients([&member]), pieces).await;
            assert!(error.is_none());
            scanned(&cipher).unwrap();
            assert_eq!(decrypted(&member, &cipher).unwrap(), plain, "{length} bytes in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn broken_upload_never_looks_whole() {
        let folder = tempfile::tempdir().unwrap();
        let member = Member::age(folder.path());
        for length in [0, 600_000] {
            let broken = Err(io::Error::from(io::ErrorKind::ConnectionReset));
            let pieces = vec![Ok(Bytes::from(sample(length))), broken];
            let (cipher, error) = streamed(recipients([&member]), pieces).await;
            assert_eq!(error.unwrap().kind(), io::ErrorKind::ConnectionReset);
            assert!(decrypted(&member, &cipher).is_err(), "after {length} bytes");
        }
    }

    #[test]
    fn cut_off_changed_and_foreign_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let member = Member::age(folder.path());
        let cipher = encrypt_small(&recipients([&member]), &sample(200_000));
        let header = usize::try_from(scanned(&cipher).unwrap().header).unwrap();
        for length in [header + 1, header + 16, header + 16 + 65_552, header + 16 + 65_553, cipher.len() - 1] {
            assert!(matches!(decrypted(&member, &cipher[..length]), Err(Error::FileDamaged)), "cut at {length}");
        }
        assert!(matches!(decrypted(&member, &cipher[..40]), Err(Error::Refused(header::Refused::CutOff))));
        for place in [header - 2, header + 3, header + 100, cipher.len() - 1] {
            let mut flipped = cipher.clone();
            flipped[place] = if flipped[place] == b'A' { b'E' } else { b'A' };
            assert!(decrypted(&member, &flipped).is_err(), "byte {place}");
        }
        let other = tempfile::tempdir().unwrap();
        assert!(matches!(decrypted(&Member::age(other.path()), &cipher), Err(Error::NotForYou)));
    }

    #[test]
    fn locked_ssh_key_asks_once() {
        let folder = tempfile::tempdir().unwrap();
        let member = Member::ssh(folder.path(), "locked", &["-N", "open sesame", "-t", "ed25519"]);
        let text = fs::read_to_string(&member.private).unwrap();
        let cipher = encrypt_small(&recipients([&member]), b"plain");
        let mut identities = Identities::default();
        assert!(matches!(identities.add(&text, &mut || None), Err(Error::PassphraseMissing)));
        let wrong = identities.add(&text, &mut || Some(Secret::new("closed".into())));
        assert!(matches!(wrong, Err(Error::PassphraseWrong)));
        assert!(identities.is_empty());
        let mut asked = 0;
        let mut ask = || {
            asked += 1;
            Some(Secret::new("open sesame".into()))
        };
        identities.add(&text, &mut ask).unwrap();
        for _ in 0..2 {
            let mut plain = Vec::new();
            assert_eq!(decrypt_file(&identities, cipher.as_slice(), &mut plain).unwrap(), 5);
            assert_eq!(plain, b"plain");
        }
        assert_eq!(asked, 1);
    }

    #[test]
    fn identity_files_that_cannot_help_say_why() {
        let mut identities = Identities::default();
        for (text, word) in [
            ("", "AGE-SECRET-KEY-1"),
            ("# only a comment\n", "AGE-SECRET-KEY-1"),
            ("AGE-PLUGIN-EVIL-1QQQQ\n", "plugins"),
            ("age-encryption.org/v1\n", "encrypted"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "OpenSSH"),
        ] {
            let error = identities.add(text, &mut || None).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn writer_streams_to_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let member = Member::age(folder.path());
        let path = folder.path().join("out.age");
        let mut encrypting = Encrypting::new(&recipients([&member]), File::create(&path).unwrap()).unwrap();
        for piece in sample(100_000).chunks(777) {
            encrypting.write_all(piece).unwrap();
        }
        encrypting.finish().unwrap().sync_all().unwrap();
        assert_eq!(decrypted(&member, &fs::read(&path).unwrap()).unwrap(), sample(100_000));
    }

    #[test]
    fn passphrase_file_of_the_age_program_is_refused() {
        let encryptor = Encryptor::with_user_passphrase("sample".to_owned().into());
        let mut writer = encryptor.wrap_output(Vec::new()).unwrap();
        writer.write_all(b"plain").unwrap();
        assert_eq!(scanned(&writer.finish().unwrap()), Err(header::Refused::Passphrase));
    }
}
