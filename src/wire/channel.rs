//! What a webhook is told, in the form Standard Webhooks recommends: a type, a time, and data.

use serde::{Deserialize, Serialize};

/// The message of a webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishedMessage {
    /// `advisory.published`; for a revision `advisory.` and what it did, such as `advisory.corrected`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The date of the advisory, RFC 3339.
    pub timestamp: String,
    /// Which advisory.
    pub data: PublishedData,
}

/// An advisory that became public: what it is called and where it is, nothing of what it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishedData {
    /// Its id.
    pub id: String,
    /// The project.
    pub project: String,
    /// Its page.
    pub url: String,
    /// Its CVE id, if it has one.
    pub cve: Option<String>,
    /// The number of the revision, for one after the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// Its files for programs.
    pub files: Vec<PublishedFile>,
}

/// A public file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishedFile {
    /// Where it is.
    pub url: String,
    /// Its media type.
    pub media_type: String,
    /// The SHA-256 of its bytes.
    pub sha256: String,
}
