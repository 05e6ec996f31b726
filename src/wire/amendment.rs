//! Changes of a public advisory as the API shows and takes them.

use serde::{Deserialize, Serialize};

use super::details::DetailsView;
use crate::domain::amendment::{AmendmentAct, RetellingState};
use crate::domain::channel::ChannelName;
use crate::domain::text::Sentence;

/// What can be done with an advisory that is public, and what is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublicView {
    /// The number of its newest revision.
    pub revision: u32,
    /// Whether that one withdrew it.
    pub withdrawn: bool,
    /// What is asked for, if anything is.
    pub amendment: Option<AmendmentView>,
    /// Whether the draft says something else than the public reads.
    pub differs: bool,
    /// What the asker may ask for now.
    pub acts: Vec<AmendmentAct>,
    /// How far the channels are with each revision after the first, the newest first.
    pub retellings: Vec<RetellingView>,
    /// Sentences with which this advisory may tell of those that follow up on it, while it names them not.
    pub offers: Vec<String>,
    /// What is, or was, held back of it.
    #[serde(default)]
    pub details: Option<DetailsView>,
}

/// What is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AmendmentView {
    /// What is to be done.
    pub act: AmendmentAct,
    /// Why, as the public will read it.
    pub why: String,
    /// Who asked.
    pub asked_by: String,
    /// When, RFC 3339.
    pub asked_at: String,
    /// What would change in public, file by file.
    pub difference: Vec<DiffView>,
}

/// What would change in one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DiffView {
    /// Its path below the public address.
    pub path: String,
    /// The lines that differ, as a unified diff.
    pub text: String,
}

/// How far a channel is with a revision.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetellingView {
    /// The number of the revision.
    pub revision: u32,
    /// The channel.
    pub channel: String,
    /// How far it is.
    pub state: RetellingState,
    /// What happened last.
    pub note: String,
}

/// A wish to change what is public: `POST /api/v1/cases/{id}/advisory/amend`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmendRequest {
    /// What is to be done.
    pub act: AmendmentAct,
    /// Why, as the public will read it: one sentence.
    pub why: Sentence,
}

/// A wish that a channel that did not take a revision is told again: `POST /api/v1/cases/{id}/advisory/retell`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetellRequest {
    /// The channel.
    pub channel: ChannelName,
}
