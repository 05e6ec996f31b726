//! Waves as the API shows and takes them, and what a recipient's link opens.

use serde::{Deserialize, Serialize};

use crate::domain::audience::{AudienceName, Lead, Level};
use crate::domain::plain::AdvisoryId;
use crate::domain::recipient::{Affect, Remark};

/// A wave to be added, or moved to another time: `POST /api/v1/releases/{id}/waves`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetWave {
    /// The audience.
    pub audience: AudienceName,
    /// How much it is told: `date`, `severity`, `text` or `patches`.
    pub level: Level,
    /// How long before the instant, such as `7d`, `36h` or `90m`.
    pub before: Lead,
}

/// A wave to be dropped: `POST /api/v1/releases/{id}/waves/drop`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropWave {
    /// The audience.
    pub audience: AudienceName,
    /// How much it is told.
    pub level: Level,
}

/// One wave of a release.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WaveView {
    /// The audience.
    pub audience: String,
    /// `date`, `severity`, `text` or `patches`.
    pub level: String,
    /// How long before the instant.
    pub before: String,
    /// When it goes out as things stand, or went out, RFC 3339.
    pub at: String,
    /// `ahead`, `due`, `waits`, `wrong`, `sent` or `passed_over`.
    pub state: String,
    /// What is to be known about it, in a sentence.
    pub note: String,
    /// How many were told.
    pub told: usize,
    /// How many of them acknowledged.
    pub acknowledged: usize,
    /// To how many no mail got out.
    pub failed: usize,
}

/// The waves of a release with everybody who was told: `GET /api/v1/releases/{id}/waves`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WavesView {
    /// The release.
    pub release: String,
    /// The instant, RFC 3339.
    pub due_at: String,
    /// Whether waves can be changed now.
    pub may_change: bool,
    /// The audiences of the project.
    pub audiences: Vec<AudienceView>,
    /// The waves.
    pub waves: Vec<WaveView>,
    /// Everybody who was told, and what they said.
    pub recipients: Vec<RecipientView>,
}

/// An audience of a project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AudienceView {
    /// Its name.
    pub name: String,
    /// What it takes to belong to it.
    pub criteria: String,
    /// The most it may be told.
    pub level: String,
    /// The longest time before the instant its members may know.
    pub longest: String,
    /// How many members it has; of everybody none.
    pub members: usize,
}

/// A recipient, as the release's managers see them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecipientView {
    /// Their id, as the audit chain names them.
    pub id: String,
    /// The audience.
    pub audience: String,
    /// How much they were told.
    pub level: String,
    /// The name.
    pub name: String,
    /// `pending`, `sent`, `failed` or `acknowledged`.
    pub state: String,
    /// When they were told, RFC 3339.
    pub told_at: String,
    /// When they first opened their link, RFC 3339.
    pub opened_at: Option<String>,
    /// When they acknowledged, RFC 3339.
    pub acknowledged_at: Option<String>,
    /// When they were reminded, RFC 3339.
    pub reminded_at: Option<String>,
    /// Since when their link opens nothing, RFC 3339.
    pub ended_at: Option<String>,
    /// What they said.
    pub answers: Vec<AnswerView>,
}

/// What a recipient said of one advisory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnswerView {
    /// The advisory; none for the release as a whole.
    pub advisory: Option<String>,
    /// `affected`, `not_affected` or `unknown`.
    pub answer: String,
    /// What they added.
    pub remark: Option<String>,
    /// When, RFC 3339.
    pub answered_at: String,
}

/// What the copies of one recipient can be known by: `GET /api/v1/releases/{id}/canaries`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CanaryView {
    /// The recipient, as the audit chain names them.
    pub recipient: String,
    /// The name.
    pub name: String,
    /// The audience.
    pub audience: String,
    /// What stands in their files.
    pub mark: String,
    /// The ids of commits that they alone were given.
    pub commits: Vec<String>,
}

/// The code of a recipient's link: `POST /api/v1/told`, and what follows from it. In the body, so that no address and no log
/// holds it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowLink {
    /// The code, the part of the link behind `#`.
    pub code: String,
}

/// What a recipient says of an advisory: `POST /api/v1/told/answer`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerWave {
    /// The code of the link.
    pub code: String,
    /// The advisory; left out where the page names none.
    #[serde(default)]
    pub advisory: Option<AdvisoryId>,
    /// `affected`, `not_affected` or `unknown`.
    pub answer: Affect,
    /// A short remark.
    #[serde(default)]
    pub remark: Option<Remark>,
}

/// What a recipient's link opens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToldView {
    /// The project.
    pub project: String,
    /// Whose link it is.
    pub name: String,
    /// How much they may know.
    pub level: String,
    /// The instant, RFC 3339.
    pub due_at: String,
    /// What ships.
    pub lines: Vec<ToldLineView>,
    /// The highest severity, `low` to `critical` or `not rated`; absent below that level.
    pub severity: Option<String>,
    /// When they acknowledged, RFC 3339.
    pub acknowledged_at: Option<String>,
    /// What they are asked about.
    pub questions: Vec<QuestionView>,
    /// The fingerprint of the key their copy is encrypted to; absent where there is none to fetch.
    pub key: Option<String>,
}

/// One line that ships.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToldLineView {
    /// The repository.
    pub repository: String,
    /// The line.
    pub line: String,
    /// The tag.
    pub tag: String,
}

/// One question to a recipient, with their last answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuestionView {
    /// The advisory; none for the release as a whole.
    pub advisory: Option<String>,
    /// `affected`, `not_affected` or `unknown`; absent while they have not said.
    pub answer: Option<String>,
    /// What they added.
    pub remark: Option<String>,
}
