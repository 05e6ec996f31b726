//! What an error looks like in JSON (RFC 9457).

use serde::{Deserialize, Serialize};

/// A problem document, sent as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem it is: one of a closed list.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// A sentence that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What stands in the way, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<String>,
    /// The number under which the operator finds more in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
}
