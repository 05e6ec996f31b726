//! The public history of an advisory as the API shows it.

use serde::{Deserialize, Serialize};

use crate::domain::revision::RevisionKind;

/// Every revision of a public advisory, oldest first: `GET /api/v1/advisories/{id}/history`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HistoryView {
    /// The advisory.
    pub id: String,
    /// Its revisions, oldest first.
    pub revisions: Vec<RevisionView>,
}

/// One revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevisionView {
    /// Its number, from 1.
    pub number: u32,
    /// What it did.
    pub kind: RevisionKind,
    /// The instant its files say they were changed at, RFC 3339.
    pub at: String,
    /// Why; none for the first.
    pub why: Option<String>,
    /// The address of its page, as it was then.
    pub page: String,
    /// Its machine-readable files, as they were then.
    pub files: Vec<RevisionFileView>,
}

/// A file of a revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevisionFileView {
    /// The last part of its path.
    pub name: String,
    /// Where its bytes are.
    pub url: String,
    /// The media type.
    pub media_type: String,
    /// The SHA-256 of its bytes.
    pub sha256: String,
}
