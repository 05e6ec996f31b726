//! Checks as the API shows them.

use serde::{Deserialize, Serialize};

/// A run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub id: String,
    /// The case whose fix it checks, if it is one.
    pub case: Option<String>,
    /// The release whose candidate it checks, if it is one.
    pub release: Option<String>,
    /// The line it is a pull request to.
    pub line: String,
    /// The commit under test.
    pub head: String,
    /// A word of the check states; `unsupported` is neutral, never green.
    pub state: String,
    /// A sentence about the run as a whole.
    pub note: String,
    /// When it was asked for.
    pub queued_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Its jobs.
    pub jobs: Vec<JobView>,
    /// Whether the asker may stop it.
    pub may_cancel: bool,
}

/// A job of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// `<workflow> / <job>`.
    pub name: String,
    /// A word of the check states.
    pub state: String,
    /// Why it is not run, or how it ended.
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
}

/// A piece of a job's log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogView {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// The number to ask from next.
    pub next: i64,
    /// Whether nothing will be added.
    pub ended: bool,
}

/// A line of a log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogLine {
    /// Its number, from 0.
    pub n: i64,
    /// Its text.
    pub text: String,
}
