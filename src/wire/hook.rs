//! What a hook and the server say to each other over the Unix socket: one line of JSON each way.

use serde::{Deserialize, Serialize};

use crate::domain::repo::RefUpdate;

/// What a hook asks. The ticket says who, which case and which repository; the hook names none of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookCall {
    /// `pre-receive` or `post-receive`.
    pub hook: HookName,
    /// The ticket of the push.
    pub ticket: String,
    /// Where the pushed objects wait, as git names it; only pre-receive has one.
    pub quarantine: Option<String>,
    /// What the push asks for.
    pub updates: Vec<RefUpdate>,
}

/// The two hooks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookName {
    /// Before any ref moves.
    PreReceive,
    /// After the refs moved.
    PostReceive,
}

/// What the server answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookAnswer {
    /// Whether the push goes on.
    pub accepted: bool,
    /// Lines for the pusher's terminal.
    pub lines: Vec<String>,
}
