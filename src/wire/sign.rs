//! Tags that people sign on machines of their own, as the API shows and takes them.

use serde::{Deserialize, Serialize};

use crate::domain::digest::Digest;
use crate::domain::repo::{LineName, RepoName, TagName};
use crate::domain::signing::Armored;

/// A tag of a release, as it would be pushed: `GET /api/v1/releases/{id}/tags`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TagToSign {
    /// The repository.
    pub repository: String,
    /// The line.
    pub line: String,
    /// The tag.
    pub tag: String,
    /// The exact text to be signed: git's tag object without a signature, ending in a line feed.
    pub payload: String,
    /// The SHA-256 of its bytes.
    pub sha256: String,
    /// Whom the signature it bears is of, if it bears one that counts.
    pub signed_by: Option<String>,
}

/// A signature of a tag: `POST /api/v1/releases/{id}/sign`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignTag {
    /// The repository; needed only if several have a line of this name.
    #[serde(default)]
    pub repository: Option<RepoName>,
    /// The line.
    pub line: LineName,
    /// The tag.
    pub tag: TagName,
    /// The SHA-256 of the text that was signed.
    pub sha256: Digest,
    /// The armored signature: of SSH for the namespace `git`, or of OpenPGP.
    pub signature: Armored,
}
