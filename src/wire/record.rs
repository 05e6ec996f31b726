//! The public record of a case as the API shows and takes it.

use serde::{Deserialize, Serialize};

use crate::domain::digest::Digest;
use crate::domain::record::{Part, RecordAnswer};

/// What may be opened of a case: `GET /api/v1/cases/{id}/record`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordView {
    /// The case.
    pub case: String,
    /// The parts that the project's configuration opens.
    pub opens: Vec<Part>,
    /// The lines, part by part, in the order in which they happened.
    pub lines: Vec<RecordLineView>,
    /// What was put together and waits to be published.
    pub draft: Option<RecordDraftView>,
    /// Where the record is, once it is public.
    pub published: Option<String>,
    /// Whether the asker may choose lines and publish them.
    pub may_publish: bool,
}

/// A line that may be opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordLineView {
    /// What it is chosen by.
    pub key: String,
    /// Which part it belongs to.
    pub part: Part,
    /// Whose words it is: `recorded`, `team` or `reporter`.
    pub voice: String,
    /// When, RFC 3339.
    pub at: String,
    /// The words.
    pub text: String,
    /// Whether the draft has it.
    pub chosen: bool,
    /// Why it may not be opened now, if it may not.
    pub barred: Option<String>,
}

/// A record before it is published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordDraftView {
    /// What publishing it names.
    pub digest: Digest,
    /// The body of its page.
    pub html: String,
    /// The same as Markdown.
    pub markdown: String,
}

/// A choice of lines: `POST /api/v1/cases/{id}/record`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChooseRecord {
    /// The keys of the lines.
    pub lines: Vec<String>,
}

/// A wish to publish what was read: `POST /api/v1/cases/{id}/record/publish`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishRecord {
    /// The hash of what was read.
    pub digest: Digest,
}

/// A reporter's word about their own words: `POST /api/v1/report/record`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerRecord {
    /// What they say.
    pub answer: RecordAnswer,
}

/// What a reporter is asked, and what they said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordQuestion {
    /// The parts that the project may open.
    pub parts: Vec<Part>,
    /// What they said so far.
    pub answer: Option<RecordAnswer>,
}
