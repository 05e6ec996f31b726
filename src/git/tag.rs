//! Annotated tags, signed by whoever holds the key.
//!
//! Guards: names and times are given, so that the same tag has the same bytes and, with an Ed25519 key, the same id in a
//! rehearsal and at the release. Leaves the key to the caller, who signs [`TagDraft::payload`].

use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice as _;
use gix::objs::{Kind, Tag, WriteTo};
use jiff::Timestamp;

use super::error::{Error, Result};
use super::identity::Identity;
use super::refs;
use super::{Git, Repo};
use crate::domain::refusal::Refusal;
use crate::domain::repo::{CommitId, TagName};
use crate::domain::text::shown;

/// What a tag says.
#[derive(Clone, Debug)]
pub struct TagText {
    /// Its name.
    pub name: TagName,
    /// The commit it names.
    pub target: CommitId,
    /// Who made it.
    pub tagger: Identity,
    /// When, to the second.
    pub dated_at: Timestamp,
    /// Its message.
    pub message: String,
}

/// A tag before its signature.
#[derive(Clone, Debug)]
pub struct TagDraft(Tag);

impl TagDraft {
    /// Puts a tag together.
    pub fn new(text: &TagText) -> Result<Self> {
        let message = text.message.trim_end();
        if message.is_empty() || message.contains('\0') || message.contains("-----BEGIN ") {
            return Err(
                Refusal::input("A tag has a message, without NUL and without what looks like a signature.").into()
            );
        }
        Ok(Self(Tag {
            target: refs::object_id(&text.target)?,
            target_kind: Kind::Commit,
            name: text.name.as_str().into(),
            tagger: Some(text.tagger.at(text.dated_at)),
            message: message.into(),
            signature: None,
        }))
    }

    /// Returns the bytes to be signed, under the namespace `git` if the signature is an SSH one.
    pub fn payload(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.write_to(&mut bytes).map_err(Error::library("writing a tag"))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Adds an armored signature of [`Self::payload`].
    pub fn sign(mut self, armored: &str) -> Result<SignedTag> {
        let armored = armored.trim_end();
        if !armored.starts_with("-----BEGIN ") || armored.contains('\0') {
            return Err(Refusal::input("A signature is armored text that begins with -----BEGIN.").into());
        }
        self.0.signature = Some(format!("{armored}\n").into());
        Ok(SignedTag(self.0))
    }
}

/// A tag with its signature.
#[derive(Clone, Debug)]
pub struct SignedTag(Tag);

impl Git {
    /// Stores a signed tag and returns its id. No ref points to it yet.
    ///
    /// # Errors
    /// [`Error::Missing`] if its commit is not in the repository.
    pub async fn write_tag(&self, repo: &Repo, tag: SignedTag) -> Result<CommitId> {
        let target = refs::commit_id(tag.0.target)?;
        self.commit(repo, &target).await?;
        self.write(repo, tag.0).await
    }

    /// Stores a tag without a signature and returns its id.
    pub async fn write_unsigned_tag(&self, repo: &Repo, tag: TagDraft) -> Result<CommitId> {
        let target = refs::commit_id(tag.0.target)?;
        self.commit(repo, &target).await?;
        let mut tag = tag.0;
        tag.message.push(b'\n');
        self.write(repo, tag).await
    }
}

/// Who may sign tags: files of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Keys of SSH with the names they stand for, as `ssh-keygen` calls it an allowed signers file.
    pub ssh: Option<PathBuf>,
    /// Keys of OpenPGP, as `gpg --export` writes them.
    pub openpgp: Option<PathBuf>,
}

impl Git {
    /// Reads a tag without its signature.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such tag object.
    pub async fn tag_draft(&self, repo: &Repo, id: &CommitId) -> Result<TagDraft> {
        const WHAT: &str = "reading a tag";
        let id = refs::object_id(id)?;
        self.read(repo, WHAT, move |repository| {
            let tag = repository.find_tag(id).map_err(|_| Error::Missing)?;
            let mut tag = Tag::try_from(tag.decode().map_err(Error::library(WHAT))?).map_err(Error::library(WHAT))?;
            tag.signature = None;
            let end = tag.message.trim_end_with(|c| c == '\n').len();
            tag.message.truncate(end);
            Ok(TagDraft(tag))
        })
        .await
    }

    /// Lets git verify a tag; returns the name it is signed for, if one of these may sign and did.
    pub async fn verify_tag(&self, repo: &Repo, id: &CommitId, allowed: &Allowed) -> Result<Option<String>> {
        const WHAT: &str = "verifying a tag";
        // gpg reads public keys from a folder of its own, and writes there what it likes.
        let home = self.scratch()?;
        super::private(home.path())?;
        if let Some(keys) = &allowed.openpgp {
            let ring = std::fs::read(keys).map_err(Error::at("reading who may sign", keys))?;
            std::fs::write(home.path().join("pubring.gpg"), ring).map_err(Error::io(WHAT))?;
        }
        let nobody = Path::new("/dev/null");
        let signers = allowed.ssh.as_deref().unwrap_or(nobody);
        let output = self
            .command(WHAT)
            .in_repository(&self.existing(repo)?)
            .env("GNUPGHOME", home.path())
            .config("gpg.ssh.allowedSignersFile", signers)
            .args(["verify-tag", id.as_str()])
            .run(b"")
            .await?;
        if output.code != Some(0) {
            return Ok(None);
        }
        Ok(output.said.text().lines().find_map(signer))
    }
}

/// Reads whom a good signature is of, from what git or gpg says.
fn signer(line: &str) -> Option<String> {
    let ssh = || line.strip_prefix("Good \"git\" signature for ")?.split_once(" with ").map(|(name, _)| name);
    let openpgp = || line.strip_prefix("gpg: Good signature from \"")?.split_once('"').map(|(name, _)| name);
    ssh().or_else(openpgp).map(shown)
}

#[cfg(test)]
mod tests {
    use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey};

    use super::super::sample::Sample;
    use super::*;

    #[tokio::test]
    async fn git_verifies_a_signed_tag_and_the_same_tag_has_the_same_id() {
        let sample = Sample::new().await;
        sample.update().await.unwrap();
        let repo = Repo::Mirror(sample.id);
        let keypair = ssh_key::private::Ed25519Keypair::from_seed(&[7; 32]);
        let key = PrivateKey::from(keypair);
        assert_eq!(key.algorithm(), Algorithm::Ed25519);
        let text = TagText {
            name: "v1.1".parse().unwrap(),
            target: sample.head("main").await,
            tagger: Sample::identity(),
            dated_at: "2026-02-01T12:00:00Z".parse().unwrap(),
            message: "Version 1.1\n\nFixes things.".to_owned(),
        };
        let mut ids = Vec::new();
        for _ in 0..2 {
            let draft = TagDraft::new(&text).unwrap();
            let signature = key.sign("git", HashAlg::Sha512, &draft.payload().unwrap()).unwrap();
            let armored = signature.to_pem(LineEnding::LF).unwrap();
            ids.push(sample.git.write_tag(&repo, draft.sign(&armored).unwrap()).await.unwrap());
        }
        assert_eq!(ids[0], ids[1]);
        let signers = sample.folder.path().join("signers");
        let public = key.public_key().to_openssh().unwrap();
        std::fs::write(&signers, format!("manager@example.org namespaces=\"git\" {public}\n")).unwrap();
        let verify = |id: CommitId| {
            let command = sample.git.command("verify").in_repository(&sample.git.path(&repo));
            command.config("gpg.ssh.allowedSignersFile", &signers).args(["verify-tag", id.as_str()])
        };
        let output = verify(ids[0].clone()).run(b"").await.unwrap();
        assert_eq!(output.code, Some(0), "{}", output.said.text());
        assert!(output.said.text().contains("Good \"git\" signature"));
        let plain = sample.git.write_unsigned_tag(&repo, TagDraft::new(&text).unwrap()).await.unwrap();
        assert_eq!(verify(plain.clone()).run(b"").await.unwrap().code, Some(1));

        // What is read back is what was signed, whether it bears a signature or not.
        for id in [&plain, &ids[0]] {
            let draft = sample.git.tag_draft(&repo, id).await.unwrap();
            assert_eq!(draft.payload().unwrap(), TagDraft::new(&text).unwrap().payload().unwrap());
        }
        let allowed = Allowed { ssh: Some(signers.clone()), openpgp: None };
        let who = |allowed: Allowed, id: CommitId| {
            let (git, repo) = (sample.git.clone(), repo.clone());
            async move { git.verify_tag(&repo, &id, &allowed).await.unwrap() }
        };
        assert_eq!(who(allowed.clone(), ids[0].clone()).await.as_deref(), Some("manager@example.org"));
        assert_eq!(who(allowed.clone(), plain).await, None);
        assert_eq!(who(Allowed::default(), ids[0].clone()).await, None, "nobody may sign");
        let stranger = PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[8; 32]));
        let draft = TagDraft::new(&text).unwrap();
        let armored = stranger.sign("git", HashAlg::Sha512, &draft.payload().unwrap()).unwrap();
        let armored = armored.to_pem(LineEnding::LF).unwrap();
        let foreign = sample.git.write_tag(&repo, draft.sign(&armored).unwrap()).await.unwrap();
        assert_eq!(who(allowed.clone(), foreign).await, None, "a key that is not allowed");
        let early = format!("manager@example.org valid-before=\"20260101\" {public}\n");
        std::fs::write(&signers, early).unwrap();
        assert_eq!(
            who(allowed.clone(), ids[0].clone()).await,
            None,
            "a key that was no longer valid at the tag's date"
        );
        std::fs::write(&signers, "").unwrap();
        assert_eq!(who(allowed, ids[0].clone()).await, None, "a key that was taken back");
        sample.fsck(&repo).await;
    }

    #[test]
    fn a_message_cannot_pose_as_a_signature() {
        let text = |message: &str| TagText {
            name: "v1".parse().unwrap(),
            target: "1".repeat(40).parse().unwrap(),
            tagger: Sample::identity(),
            dated_at: Timestamp::UNIX_EPOCH,
            message: message.to_owned(),
        };
        assert!(TagDraft::new(&text("-----BEGIN SSH SIGNATURE-----")).is_err());
        assert!(TagDraft::new(&text("x")).unwrap().sign("not armored").is_err());
    }
}
