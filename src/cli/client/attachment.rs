//! `embargo attachment`: files of a case, encrypted before they leave and decrypted after they arrive.
//!
//! Guards: the server never sees plaintext; a file has its name only when it is whole, is its owner's alone, and replaces
//! nothing unasked. Memory stays bounded however large it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use clap::{Args, Subcommand};
use futures_util::{StreamExt, TryStreamExt};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use super::credentials::{folder, ssh_folder};
use super::screen::{Progress, size};
use super::server::Server;
use super::{Failure, Output, Result, prompt};
use crate::crypto;
use crate::crypto::attachment::{decrypt_file, encrypt_stream};
use crate::crypto::hash::Running;
use crate::crypto::identity::Identities;
use crate::crypto::recipient::{AgeRecipient, Recipients};
use crate::domain::id::{AttachmentId, CaseId};
use crate::domain::text::{Label, shown};
use crate::wire::case::{AttachmentView, CaseView};
use crate::wire::report::{IntakeView, StoredView};

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// Commands about the files of a case.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AttachmentCommand {
    /// Encrypt a file here and attach it to a case
    Put {
        /// The case
        case: CaseId,
        /// The file
        file: PathBuf,
    },
    /// Fetch a file of a case and decrypt it here
    Get(Get),
}

/// Arguments of `embargo attachment get`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Get {
    /// The case
    case: CaseId,
    /// The attachment: its name, or its id where several have that name
    #[arg(value_name = "ATTACHMENT")]
    which: String,
    /// A file with your age identity or OpenSSH private key [default: `age.txt` beside your credentials, `~/.ssh/id_ed25519`, `~/.ssh/id_rsa`]
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Where to write it [default: the name its sender gave]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Keep it encrypted, for the age program
    #[arg(long, conflicts_with = "identity")]
    raw: bool,
}

/// Runs one of them.
pub(super) async fn run(command: &AttachmentCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    match command {
        AttachmentCommand::Put { case, file } => {
            let view: CaseView = server.get(&format!("/cases/{case}")).await?;
            let project: crate::domain::id::ProjectId = view.summary.project.parse()?;
            let intake: IntakeView = server.get(&format!("/projects/{project}/intake")).await?;
            let recipients = recipients(&intake.recipients)?;
            let stored = send(&server, &format!("/cases/{case}/attachments"), &recipients, file).await?;
            output.result(&stored, &said(&stored, file, &recipients))
        }
        AttachmentCommand::Get(get) => fetch(&server, get, output).await,
    }
}

/// Reads a list of recipients as the server gives it.
pub(super) fn recipients(list: &str) -> Result<Recipients> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys = lines.map(str::parse).collect::<Result<Vec<AgeRecipient>, _>>()?;
    Ok(Recipients::new(keys)?)
}

/// Says what became of a file that was sent.
pub(super) fn said(stored: &StoredView, file: &Path, recipients: &Recipients) -> String {
    format!(
        "Attached {} as {}: {}, encrypted here to {} keys.",
        file.display(),
        shown(&stored.id),
        size(stored.size),
        recipients.iter().len()
    )
}

/// Refuses files that could not be sent, before anything is.
pub(super) fn sendable(file: &Path, limit: u64) -> Result<()> {
    name_of(file)?;
    let unreadable = |error| Failure::because(format!("{} could not be read.", file.display()), error);
    let known = File::open(file).and_then(|open| open.metadata()).map_err(unreadable)?;
    if !known.is_file() {
        return Err(Failure::Refused(format!("{} is no file: pack a folder first.", file.display())));
    }
    if known.len() > limit {
        let (has, may) = (size(known.len()), size(limit));
        return Err(Failure::Refused(format!("{} has {has}, and one attachment may have {may}.", file.display())));
    }
    Ok(())
}

/// Encrypts a file while it is sent, and makes sure that what was stored is what was sent.
pub(super) async fn send(server: &Server, path: &str, recipients: &Recipients, file: &Path) -> Result<StoredView> {
    let name = name_of(file)?;
    let unreadable = |error| Failure::because(format!("{} could not be read.", file.display()), error);
    let source = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let length = source.metadata().await.map_err(unreadable)?.len();
    let mut progress = Progress::new(&format!("Encrypting and sending {name}"), Some(length));
    let plain = ReaderStream::with_capacity(source, PIECE).inspect_ok(move |piece| progress.add(piece.len()));
    let sent = Arc::new(Mutex::new(Running::default()));
    let hashed = Arc::clone(&sent);
    let cipher = encrypt_stream(recipients.clone(), plain)
        .inspect_ok(move |piece| hashed.lock().unwrap_or_else(PoisonError::into_inner).update(piece));
    let stored: StoredView = server.upload(path, &name, reqwest::Body::wrap_stream(cipher)).await?;
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner).clone().finish();
    if stored.sha256 != sent.to_string() {
        return Err(Failure::failed("The server stored something else than was sent: attach the file again."));
    }
    if stored.passed_through_server {
        return Err(Failure::failed("The server took the encrypted file for plaintext: tell its operator."));
    }
    Ok(stored)
}

async fn fetch(server: &Server, get: &Get, output: Output) -> Result<()> {
    let view: CaseView = server.get(&format!("/cases/{}", get.case)).await?;
    let attachment = chosen(view.attachments, &get.which, &get.case)?;
    let id: AttachmentId = attachment.id.parse()?;
    let target = get.output.clone().unwrap_or_else(|| name_for(&attachment, get.raw));
    let draft = Draft::begin(&target, get.force)?;
    let identities = if get.raw { None } else { Some(identities(&get.identity, output)?) };
    let response = server.download(&format!("/cases/{}/attachments/{id}", get.case)).await?;
    let (sender, receiver) = mpsc::channel(4);
    let worker = tokio::task::spawn_blocking(move || write(receiver, identities.as_ref(), draft));
    let total = u64::try_from(attachment.size).ok();
    let mut progress = Progress::new(&format!("Fetching {}", attachment.name), total);
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        progress.add(piece.as_ref().map_or(0, Bytes::len));
        if sender.send(piece.map_err(io::Error::other)).await.is_err() {
            break;
        }
    }
    drop((sender, progress));
    let written = worker.await.map_err(|error| Failure::because("The file could not be written.", error))?;
    let (draft, bytes, hash) = written?;
    if hash != attachment.sha256 {
        return Err(Failure::failed("The file is not the one that was attached: nothing was kept of it."));
    }
    draft.keep()?;
    let how = if get.raw { "still encrypted" } else { "decrypted here" };
    output.result(&attachment, &format!("Wrote {}: {}, {how}.", target.display(), size(bytes)))
}

/// Finds the attachment that is meant; refuses a name that several have.
fn chosen(all: Vec<AttachmentView>, which: &str, case: &CaseId) -> Result<AttachmentView> {
    let (mut found, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|attachment| attachment.id == which);
    if found.is_empty() {
        found = others.into_iter().filter(|attachment| attachment.name == which).collect();
    }
    if found.len() > 1 {
        let ids: Vec<String> = found.iter().map(|attachment| shown(&attachment.id)).collect();
        return Err(Failure::Refused(format!(
            "{case} has {} attachments of this name: name one by its id, {}.",
            ids.len(),
            ids.join(" or ")
        )));
    }
    let missing = || {
        Failure::Refused(format!("{case} has no attachment {}: `embargo case show {case}` lists them.", shown(which)))
    };
    found.pop().ok_or_else(missing)
}

/// Writes what arrives; returns how much was written, and the hash of what arrived.
fn write(
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    identities: Option<&Identities>,
    draft: Draft,
) -> Result<(Draft, u64, String)> {
    let mut arriving = Arriving { receiver, piece: Bytes::new(), hash: Running::default() };
    let failed = |error| Failure::because("The file could not be fetched whole: nothing was kept of it.", error);
    let bytes = match identities {
        Some(identities) => decrypt_file(identities, &mut arriving, &draft.file).map_err(|error| match error {
            crypto::Error::NotForYou => Failure::Refused(error.to_string()),
            other => Failure::because("The file could not be decrypted: nothing was kept of it.", other),
        })?,
        None => io::copy(&mut arriving, &mut &draft.file).map_err(failed)?,
    };
    draft.file.sync_all().map_err(failed)?;
    Ok((draft, bytes, arriving.hash.finish().to_string()))
}

/// A file on its way, read on a thread that may wait for it.
struct Arriving {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
    hash: Running,
}

impl Read for Arriving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(next) = self.receiver.blocking_recv() else { return Ok(0) };
            self.piece = next?;
            self.hash.update(&self.piece);
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// A file under a temporary name, gone again unless it is kept.
struct Draft {
    file: File,
    path: PathBuf,
    target: PathBuf,
    force: bool,
    kept: bool,
}

impl Draft {
    fn begin(target: &Path, force: bool) -> Result<Self> {
        let name =
            target.file_name().ok_or_else(|| Failure::Refused(format!("{} names no file.", target.display())))?;
        if !force && target.symlink_metadata().is_ok() {
            return Err(taken(target));
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let path = target.with_file_name(hidden);
        let failed = |error| Failure::because(format!("{} could not be written.", path.display()), error);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        Ok(Self { file, path, target: target.to_owned(), force, kept: false })
    }

    fn keep(mut self) -> Result<()> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(&self.target),
            _ => Failure::because(format!("{} could not be written.", self.target.display()), error),
        };
        let renamed = if self.force {
            fs::rename(&self.path, &self.target)
        } else {
            match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
                // Some file systems cannot promise it; then the look at the beginning has to do.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::rename(&self.path, &self.target),
                other => other.map_err(Into::into),
            }
        };
        renamed.map_err(failed)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn taken(target: &Path) -> Failure {
    Failure::Refused(format!(
        "{} is there already: name another with -o, or replace it with --force.",
        target.display()
    ))
}

/// Takes the sender's name if it is a plain one, else the id: no name may lead out of the folder or hide in it.
fn name_for(attachment: &AttachmentView, raw: bool) -> PathBuf {
    let name = attachment.name.parse::<Label>().ok();
    let plain = |name: &&str| !name.contains(['/', '\\']) && !name.starts_with(['.', '-']);
    let name = name.as_ref().map(Label::as_str).filter(plain).map_or_else(|| shown(&attachment.id), str::to_owned);
    if raw { format!("{name}.age").into() } else { name.into() }
}

fn name_of(file: &Path) -> Result<Label> {
    let name = file.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| Failure::Refused(format!("{} has no name that can be sent: rename it.", file.display())))?;
    Ok(name.parse()?)
}

/// Reads the keys to try: those that were named, or those that are at their usual places.
fn identities(named: &[PathBuf], output: Output) -> Result<Identities> {
    let mut identities = Identities::default();
    if !named.is_empty() {
        for file in named {
            add(&mut identities, file)
                .map_err(|error| Failure::because(format!("The key {} cannot be used.", file.display()), error))?;
        }
        return Ok(identities);
    }
    let ssh = ssh_folder().into_iter().flat_map(|folder| ["id_ed25519", "id_rsa"].map(|name| folder.join(name)));
    for file in [folder()?.join("age.txt")].into_iter().chain(ssh).filter(|file| file.is_file()) {
        if let Err(error) = add(&mut identities, &file) {
            output.remark(&format!("Left out the key {}: {error}", file.display()));
        }
    }
    if identities.is_empty() {
        let sentence = "No private key was found: name the file of your age identity or SSH key with --identity.";
        return Err(Failure::Refused(sentence.to_owned()));
    }
    Ok(identities)
}

fn add(identities: &mut Identities, file: &Path) -> Result<(), crypto::Error> {
    let text = prompt::read(file).map_err(|failure| crypto::Error::Io(io::Error::other(failure)))?;
    identities.add(&text, &mut || prompt::secret(&format!("Passphrase of {}", file.display())))
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret;

    use super::*;

    /// Makes a key pair: the line of an identity file, and its recipient.
    fn key_pair() -> (String, String) {
        let identity = age::x25519::Identity::generate();
        (identity.to_string().expose_secret().to_owned(), identity.to_public().to_string())
    }

    fn view(name: &str) -> AttachmentView {
        AttachmentView {
            id: "0190abcd0190abcd0190abcd0190abcd".into(),
            name: name.into(),
            size: 1,
            sha256: String::new(),
            passed_through_server: false,
            stored_at: String::new(),
        }
    }

    /// Encrypts as an upload does and takes it apart into what arrives from a server.
    async fn arriving(list: &str, plain: Vec<u8>, cut: usize) -> mpsc::Receiver<io::Result<Bytes>> {
        let pieces = plain.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect::<Vec<_>>();
        let cipher = encrypt_stream(recipients(list).unwrap(), futures_util::stream::iter(pieces));
        let cipher: Vec<Bytes> = cipher.map(|piece| piece.unwrap()).collect().await;
        let cipher = cipher.concat();
        let (sender, receiver) = mpsc::channel(1000);
        for piece in cipher[..cipher.len() - cut].chunks(777) {
            sender.try_send(Ok(Bytes::copy_from_slice(piece))).unwrap();
        }
        receiver
    }

    #[tokio::test]
    async fn what_is_sent_can_be_read_with_the_key_and_not_without() {
        let folder = tempfile::tempdir().unwrap();
        let (identity, public) = key_pair();
        let key = folder.path().join("age.txt");
        fs::write(&key, identity).unwrap();
        let own = identities(&[key], Output::new(false)).unwrap();
        let target = folder.path().join("poc.bin");
        let plain: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();

        let receiver = arriving(&public, plain.clone(), 0).await;
        let draft = Draft::begin(&target, false).unwrap();
        let (draft, bytes) = tokio::task::spawn_blocking(move || {
            write(receiver, Some(&own), draft).map(|(draft, bytes, _)| (draft, bytes))
        })
        .await
        .unwrap()
        .unwrap();
        assert!(!target.exists(), "the name is taken only at the end");
        draft.keep().unwrap();
        assert_eq!(bytes, 300_000);
        assert_eq!(fs::read(&target).unwrap(), plain);
        assert!(matches!(Draft::begin(&target, false), Err(Failure::Refused(_))));

        let (other, _) = key_pair();
        let mut foreign = Identities::default();
        foreign.add(&other, &mut || None).unwrap();
        let receiver = arriving(&public, plain, 0).await;
        let draft = Draft::begin(&target, true).unwrap();
        let refused =
            tokio::task::spawn_blocking(move || write(receiver, Some(&foreign), draft).is_err()).await.unwrap();
        assert!(refused);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
    }

    #[tokio::test]
    async fn a_file_that_was_cut_off_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (identity, public) = key_pair();
        let mut own = Identities::default();
        own.add(&identity, &mut || None).unwrap();
        let receiver = arriving(&public, vec![7; 200_000], 10).await;
        let draft = Draft::begin(&folder.path().join("poc.bin"), false).unwrap();
        let failed = tokio::task::spawn_blocking(move || write(receiver, Some(&own), draft).is_err()).await.unwrap();
        assert!(failed);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_attachment_is_found_by_its_name_where_that_says_which() {
        let case = "DEMO-1".parse().unwrap();
        let other = AttachmentView { id: "0190abcd0190abcd0190abcd0190abce".into(), ..view("poc.py") };
        let all = vec![view("notes.txt"), other.clone()];
        assert_eq!(chosen(all.clone(), "poc.py", &case).unwrap().id, other.id);
        assert_eq!(chosen(all.clone(), &other.id, &case).unwrap().name, "poc.py");
        assert!(chosen(all, "poc", &case).unwrap_err().to_string().contains("no attachment poc"));
        let twice = chosen(vec![view("poc.py"), other.clone()], "poc.py", &case).unwrap_err().to_string();
        assert!(twice.contains("2 attachments") && twice.contains(&other.id), "{twice}");
    }

    #[test]
    fn a_file_that_appeared_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("poc.bin");
        let draft = Draft::begin(&target, false).unwrap();
        fs::write(&target, "mine").unwrap();
        assert!(matches!(draft.keep(), Err(Failure::Refused(_))));
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    }

    #[test]
    fn a_senders_name_cannot_lead_out_of_the_folder() {
        assert_eq!(name_for(&view("poc.py"), false), Path::new("poc.py"));
        assert_eq!(name_for(&view("poc.py"), true), Path::new("poc.py.age"));
        for odd in ["../../.bashrc", ".bashrc", "-rf", "a\\b", "..", "a\u{202e}b", ""] {
            assert_eq!(name_for(&view(odd), false), Path::new("0190abcd0190abcd0190abcd0190abcd"), "{odd}");
        }
    }
}
