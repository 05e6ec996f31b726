//! The server's own keys: files outside the data folder, opened once at the start.
//!
//! Guards: a key file that is missing, malformed or readable by others stops the start with a sentence saying what to do;
//! `init` never overwrites; of the recovery identity only the recipient stays on the machine.
//! Leaves to [`super::column`] and [`super::sshsig`] what the keys are used for.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ssh_key::LineEnding;
use ssh_key::private::{KeypairData, PrivateKey};
use zeroize::Zeroizing;

use super::column::{SealingKey, open_recovery};
use super::hash::{Digest, Fields};
use super::identity::RecoveryIdentity;
use super::recipient::{AgeRecipient, Recipients};
use super::slow::SlowHash;
use super::sshkey::SshKey;
use super::sshsig::Signer;
use super::token::{self, ClaimCode};
use super::{Error, attachment};
use crate::domain::refusal::Malformed;
use crate::domain::sealed::Secret;

const SERVER_PREFIX: &str = "embargo-server-key-1";
/// No key file is longer; what is, is something else.
const LIMIT: u64 = 64 * 1024;

/// Where the server's keys lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The folder of the keys, mode 0700, outside the data folder and its backups.
    pub folder: PathBuf,
    /// The file of the server's key; a relative path starts in `folder`.
    pub server_key: PathBuf,
    /// The file of the recovery recipient, an `age1…` line.
    pub recovery_recipient: PathBuf,
    /// The OpenSSH private key that signs tags, without a passphrase; empty if the server signs none.
    pub tag_signing_key: PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            folder: "/etc/embargo/keys".into(),
            server_key: "server.key".into(),
            recovery_recipient: "recovery.txt".into(),
            tag_signing_key: "tag-signing".into(),
        }
    }
}

impl Options {
    fn server_key(&self) -> PathBuf {
        self.folder.join(&self.server_key)
    }

    fn recovery_recipient(&self) -> PathBuf {
        self.folder.join(&self.recovery_recipient)
    }

    fn tag_signing_key(&self) -> Option<PathBuf> {
        (!self.tag_signing_key.as_os_str().is_empty()).then(|| self.folder.join(&self.tag_signing_key))
    }
}

/// The keys of a running server. Cheap to clone; never printed.
#[derive(Clone)]
pub struct Keys(Arc<Opened>);

struct Opened {
    server: SealingKey,
    recovery: Recipients,
    tag: Option<Arc<Signer>>,
    slow: SlowHash,
}

impl Keys {
    /// Reads and checks every key file.
    pub fn open(options: &Options) -> Result<Self, Error> {
        check_folder(&options.folder)?;
        let server = read_server_key(&options.server_key())?;
        let path = options.recovery_recipient();
        let recovery = read_recovery(&path)?;
        let tag = options.tag_signing_key().map(|path| read_tag_key(&path).map(Arc::new)).transpose()?;
        Ok(Self(Arc::new(Opened { server, recovery, tag, slow: SlowHash::new() })))
    }

    /// Returns the key that signs tags, if the server has one.
    pub fn tag_signer(&self) -> Option<&Arc<Signer>> {
        self.0.tag.as_ref()
    }

    /// Returns the recovery recipient, as a set of one.
    pub fn recovery(&self) -> Recipients {
        self.0.recovery.clone()
    }

    /// Returns what is stored of a claim code and looked up later: Argon2id under a salt that only this server has.
    ///
    /// Takes about 25 ms and 19 MiB; one runs at a time, others wait.
    pub async fn claim_digest(&self, code: &ClaimCode) -> Digest {
        let salt = Fields::new("embargo claim salt 1").field(self.0.server.bytes()).finish();
        self.0.slow.of(code.reveal().clone(), salt).await
    }

    /// Returns the server's key as an age file to the recovery recipient, to lie in every backup.
    ///
    /// With it, losing every key but the recovery identity loses nothing: see [`restore`].
    pub fn escrow(&self) -> Vec<u8> {
        attachment::encrypt_small(&self.0.recovery, server_line(self.0.server.bytes()).as_bytes())
    }

    pub(super) fn server(&self) -> &SealingKey {
        &self.0.server
    }
}

/// What `init` made, to be shown once.
#[derive(Debug)]
pub struct InitOutcome {
    /// The age identity that opens everything, to be kept offline; it is not stored.
    pub recovery_identity: Secret,
    /// The recipient that belongs to it.
    pub recovery_recipient: AgeRecipient,
    /// The public half of the key that signs tags, if one was made.
    pub tag_key: Option<SshKey>,
}

/// Makes the key folder (0700) and new keys in it (0600); refuses if any of the files exists.
pub fn init(options: &Options) -> Result<InitOutcome, Error> {
    make_folder(&options.folder)?;
    let server = options.server_key();
    let recovery = options.recovery_recipient();
    let tag = options.tag_signing_key();
    for path in [Some(&server), Some(&recovery), tag.as_ref()].into_iter().flatten() {
        if path.symlink_metadata().is_ok() {
            return Err(Error::KeyExists { path: path.clone() });
        }
    }
    let (recovery_identity, recipient) = token::age_identity();
    let recovery_recipient = recipient.parse().map_err(Error::Key)?;
    create(&server, &server_line(&Zeroizing::new(token::random())))?;
    create(&recovery, &format!("{recipient}\n"))?;
    let tag_key = tag.map(|path| create_tag_key(&path)).transpose()?;
    File::open(&options.folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::KeyIo { path: options.folder.clone(), source })?;
    Ok(InitOutcome { recovery_identity, recovery_recipient, tag_key })
}

/// Writes the server's key back from its escrow and a recovery identity; refuses if a server key exists.
pub fn restore(options: &Options, identity: &RecoveryIdentity, escrow: &[u8]) -> Result<(), Error> {
    let plain = open_recovery(identity, escrow)?;
    let text = std::str::from_utf8(&plain).map_err(|_| Error::Recovery)?;
    parse_server_line(text).map_err(|_| Error::Recovery)?;
    make_folder(&options.folder)?;
    create(&options.server_key(), text)
}

fn server_line(key: &[u8; 32]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(data_encoding::BASE32_NOPAD.encode(key));
    Zeroizing::new(format!("{SERVER_PREFIX}:{}\n", encoded.as_str()))
}

fn parse_server_line(text: &str) -> Result<SealingKey, Malformed> {
    const RULE: Malformed = Malformed::new("it holds one line, embargo-server-key-1:<52 letters and digits>");
    let encoded = text.trim_end().strip_prefix(SERVER_PREFIX).and_then(|rest| rest.strip_prefix(':')).ok_or(RULE)?;
    let bytes = data_encoding::BASE32_NOPAD.decode(encoded.as_bytes()).map(Zeroizing::new).map_err(|_| RULE)?;
    let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| RULE)?;
    Ok(SealingKey::new(Zeroizing::new(bytes)))
}

fn read_server_key(path: &Path) -> Result<SealingKey, Error> {
    let text = read_private(path)?;
    parse_server_line(&text).map_err(|why| Error::KeyMalformed { path: path.to_owned(), why })
}

fn read_recovery(path: &Path) -> Result<Recipients, Error> {
    let malformed = |why| Error::KeyMalformed { path: path.to_owned(), why };
    let (text, mode) = read(path)?;
    refuse_open(path, mode, Access::Change)?;
    let recipient: AgeRecipient = text.trim().parse().map_err(malformed)?;
    Recipients::new([recipient]).map_err(malformed)
}

fn read_tag_key(path: &Path) -> Result<Signer, Error> {
    let text = read_private(path)?;
    Signer::parse(&text).map_err(|_| Error::KeyMalformed {
        path: path.to_owned(),
        why: Malformed::new(
            "it holds an OpenSSH private key without a passphrase, Ed25519 or RSA of 3072 to 4096 bits",
        ),
    })
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, Error> {
    let (text, mode) = read(path)?;
    refuse_open(path, mode, Access::Read)?;
    Ok(text)
}

/// What no other user of the machine may do with a key file.
enum Access {
    /// Nothing: it holds a private key.
    Read,
    /// Change it: it says whom everything is encrypted to.
    Change,
}

fn refuse_open(path: &Path, mode: u32, access: Access) -> Result<(), Error> {
    let refused = match access {
        Access::Read => 0o077,
        Access::Change => 0o022,
    };
    if mode & refused != 0 {
        return Err(Error::KeyExposed { path: path.to_owned(), mode, wanted: 0o600 });
    }
    Ok(())
}

/// A folder that others can write to is no place for keys: they could exchange them.
fn check_folder(folder: &Path) -> Result<(), Error> {
    let metadata = folder.metadata().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::KeyMissing { path: folder.to_owned() },
        _ => Error::KeyIo { path: folder.to_owned(), source },
    })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(Error::KeyExposed { path: folder.to_owned(), mode, wanted: 0o700 });
    }
    Ok(())
}

fn read(path: &Path) -> Result<(Zeroizing<String>, u32), Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => Error::KeyMissing { path: path.to_owned() },
        _ => Error::KeyIo { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::KeyMalformed { path: path.to_owned(), why: Malformed::new("it is a text file") })?;
    Ok((Zeroizing::new(text.to_owned()), mode))
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::KeyIo { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let mode = folder.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Error::KeyExposed { path: folder.to_owned(), mode, wanted: 0o700 });
    }
    Ok(())
}

fn create(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => Error::KeyExists { path: path.to_owned() },
        _ => Error::KeyIo { path: path.to_owned(), source },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

fn create_tag_key(path: &Path) -> Result<SshKey, Error> {
    let key = PrivateKey::new(KeypairData::Ed25519(token::ed25519()), "embargo tag signing").map_err(Error::Signing)?;
    let text = key.to_openssh(LineEnding::LF).map_err(Error::Signing)?;
    create(path, &text)?;
    Ok(Signer::parse(&text)?.key().clone())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn fresh() -> (tempfile::TempDir, Options) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { folder: folder.path().join("keys"), ..Options::default() };
        (folder, options)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn init_makes_private_files_that_open() {
        let (_folder, options) = fresh();
        let outcome = init(&options).unwrap();
        assert_eq!(mode(&options.folder), 0o700);
        for file in ["server.key", "recovery.txt", "tag-signing"] {
            let path = options.folder.join(file);
            assert_eq!(mode(&path), 0o600, "{file}");
            assert!(!fs::read_to_string(path).unwrap().contains(outcome.recovery_identity.expose()));
        }
        let keys = Keys::open(&options).unwrap();
        assert_eq!(keys.tag_signer().unwrap().key(), outcome.tag_key.as_ref().unwrap());
        assert!(!format!("{outcome:?}").contains("AGE-SECRET-KEY"));
    }

    #[test]
    fn init_never_overwrites() {
        let (_folder, options) = fresh();
        init(&options).unwrap();
        let before = fs::read(options.folder.join("server.key")).unwrap();
        assert!(matches!(init(&options), Err(Error::KeyExists { .. })));
        fs::remove_file(options.folder.join("server.key")).unwrap();
        assert!(matches!(init(&options), Err(Error::KeyExists { .. })), "the other files are still there");
        assert!(!options.folder.join("server.key").exists());
        fs::write(options.folder.join("server.key"), before).unwrap();
    }

    #[test]
    fn key_file_that_others_can_read_is_refused() {
        let (_folder, options) = fresh();
        init(&options).unwrap();
        let path = options.folder.join("server.key");
        for bits in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
            let error = Keys::open(&options).err().unwrap().to_string();
            assert!(error.contains(&format!("(mode 0{bits:o}): run `chmod 600 ")), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(Keys::open(&options).is_ok());
    }

    #[test]
    fn recovery_recipient_that_others_could_exchange_is_refused() {
        let (_folder, options) = fresh();
        init(&options).unwrap();
        let path = options.folder.join("recovery.txt");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Keys::open(&options).is_ok(), "it is public");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        assert!(matches!(Keys::open(&options), Err(Error::KeyExposed { wanted: 0o600, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&options.folder, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(Keys::open(&options), Err(Error::KeyExposed { wanted: 0o700, .. })));
        let nowhere = Options { folder: options.folder.join("nowhere"), ..options };
        assert!(matches!(Keys::open(&nowhere), Err(Error::KeyMissing { .. })));
    }

    #[test]
    fn missing_and_malformed_key_files_say_what_to_do() {
        let (_folder, options) = fresh();
        init(&options).unwrap();
        for file in ["server.key", "recovery.txt", "tag-signing"] {
            let path = options.folder.join(file);
            let good = fs::read(&path).unwrap();
            for bad in ["", "embargo-server-key-1:AAAA\n", "AGE-SECRET-KEY-1", "\u{fffd}"] {
                fs::write(&path, bad).unwrap();
                let error = Keys::open(&options).err().unwrap();
                assert!(matches!(error, Error::KeyMalformed { .. }), "{file}: {error}");
            }
            fs::remove_file(&path).unwrap();
            let error = Keys::open(&options).err().unwrap().to_string();
            assert!(error.contains("is missing: restore it"), "{error}");
            create(&path, std::str::from_utf8(&good).unwrap()).unwrap();
        }
        assert!(Keys::open(&options).is_ok());
    }

    #[test]
    fn server_without_a_tag_key_starts() {
        let (_folder, options) = fresh();
        let options = Options { tag_signing_key: PathBuf::new(), ..options };
        assert!(init(&options).unwrap().tag_key.is_none());
        assert!(Keys::open(&options).unwrap().tag_signer().is_none());
    }

    #[test]
    fn unknown_option_is_refused() {
        assert!(toml::from_str::<Options>("folder = \"/k\"\n").is_ok());
        assert!(toml::from_str::<Options>("sever_key = \"x\"\n").is_err());
    }

    #[tokio::test]
    async fn claim_digest_is_stable_and_belongs_to_one_server() {
        let (_folder, options) = fresh();
        init(&options).unwrap();
        let code = ClaimCode::mint();
        let first = Keys::open(&options).unwrap().claim_digest(&code).await;
        let again: ClaimCode = code.reveal().expose().to_lowercase().parse().unwrap();
        assert_eq!(Keys::open(&options).unwrap().claim_digest(&again).await, first);
        let (_other_folder, other) = fresh();
        init(&other).unwrap();
        let other = Keys::open(&other).unwrap();
        assert_ne!(other.claim_digest(&code).await, first);
        assert_ne!(other.claim_digest(&ClaimCode::mint()).await, other.claim_digest(&code).await);
    }

    #[test]
    fn lost_server_key_comes_back_from_its_escrow() {
        let (_folder, options) = fresh();
        let outcome = init(&options).unwrap();
        let path = options.folder.join("server.key");
        let before = fs::read(&path).unwrap();
        let escrow = Keys::open(&options).unwrap().escrow();
        let identity = RecoveryIdentity::parse(outcome.recovery_identity.expose()).unwrap();
        assert!(matches!(restore(&options, &identity, &escrow), Err(Error::KeyExists { .. })));
        fs::remove_file(&path).unwrap();
        let stranger = RecoveryIdentity::parse(token::age_identity().0.expose()).unwrap();
        assert!(matches!(restore(&options, &stranger, &escrow), Err(Error::Recovery)));
        restore(&options, &identity, &escrow).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(mode(&path), 0o600);
    }
}
