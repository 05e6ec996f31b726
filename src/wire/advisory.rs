//! An advisory's draft as the API shows it and takes it, and the public list.

use serde::{Deserialize, Serialize};

use crate::domain::advisory::Advisory;
use crate::domain::digest::Digest;
use crate::domain::repo::{CommitId, LineName};

/// A draft: `GET /api/v1/cases/{id}/advisory`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdvisoryView {
    /// Its public id, once the case is planned into a release.
    pub id: Option<String>,
    /// The text.
    pub advisory: Advisory,
    /// Which edit this is; a save names the one it started from.
    pub version: i64,
    /// What it lacks.
    pub missing: Vec<String>,
    /// The hash of its documents as they would be published now; none until a release says tags and dates.
    pub digest: Option<Digest>,
    /// Whether exactly this was approved.
    pub approved: bool,
    /// Its files as they would be published now.
    pub documents: Vec<DocumentView>,
}

/// One file of an advisory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DocumentView {
    /// Its path below the public address.
    pub path: String,
    /// The media type.
    pub media_type: String,
    /// The text.
    pub text: String,
}

/// A new text: `PUT /api/v1/cases/{id}/advisory`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditAdvisory {
    /// The text.
    pub advisory: Advisory,
    /// The edit it started from.
    pub version: i64,
}

/// An approval: `POST /api/v1/cases/{id}/advisory/approve`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveAdvisory {
    /// The hash of what was read.
    pub digest: Digest,
}

/// A person's word for a commit whose checks could not run: `POST /api/v1/cases/{id}/waive`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaiveChecks {
    /// The line.
    pub line: LineName,
    /// The head of its fix.
    pub head: CommitId,
}

/// One public advisory in the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishedView {
    /// Its id.
    pub id: String,
    /// The project.
    pub project: String,
    /// Its title.
    pub title: String,
    /// When it was put up, RFC 3339.
    pub published_at: String,
}
