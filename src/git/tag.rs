//! Annotated tags, signed by whoever holds the key.
//!
//! Guards: names and times are given, so that the same tag has the same bytes and, with an Ed25519 key, the same id in a
//! rehearsal and at the release. Leaves the key to the caller, who signs [`TagDraft::payload`].

use gix::objs::{Kind, Tag, WriteTo};
use jiff::Timestamp;

use super::error::{Error, Result};
use super::identity::Identity;
use super::refs;
use super::{Git, Repo};
use crate::domain::refusal::Refusal;
use crate::domain::repo::{CommitId, TagName};

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
        assert_eq!(verify(plain).run(b"").await.unwrap().code, Some(1));
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
