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
        if message.contains('\0') || message.contains("-----BEGIN ") {
            return Err(Refusal::input("A tag's message holds no NUL and nothing that looks like a signature.").into());
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
        self.0.message.push(b'\n');
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
