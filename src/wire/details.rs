//! Technical details that are held back, as the API shows and takes them.

use serde::{Deserialize, Serialize};

use super::advisory::DocumentView;
use crate::domain::audience::Lead;
use crate::domain::details::DetailsState;

/// When the technical details of a release follow: `POST /api/v1/releases/{id}/hold-details`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldDetails {
    /// How long after the advisory, such as `7d`; none: they are published with it.
    pub after: Option<Lead>,
}

/// Another time for what is held back: `POST /api/v1/cases/{id}/advisory/details`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case", deny_unknown_fields)]
pub enum MoveDetails {
    /// Now.
    Now,
    /// At an instant.
    At {
        /// RFC 3339.
        at: jiff::Timestamp,
    },
    /// Not until somebody says otherwise.
    Never,
}

/// What will take the place of the files that are published first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LaterView {
    /// When, RFC 3339; none while nobody knows.
    pub at: Option<String>,
    /// The files, with the technical details.
    pub documents: Vec<DocumentView>,
}

/// Where the technical details of a public advisory stand.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DetailsView {
    /// The case.
    pub case: String,
    /// Whether they are held back or public.
    pub state: DetailsState,
    /// When they follow, RFC 3339; none while they are not to.
    pub follows_at: Option<String>,
    /// The revision they became.
    pub revision: Option<u32>,
    /// Whether they follow the advisory as it is public; not once it was withdrawn.
    pub in_step: bool,
    /// How often they could not be published.
    pub attempts: u32,
    /// Why.
    pub note: String,
    /// Whether the asker may move them.
    pub may_move: bool,
}

/// When the technical details of a release follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseDetailsView {
    /// How long after the advisory, such as `7d`.
    pub after: String,
    /// When that is, as the release stands, RFC 3339.
    pub at: String,
    /// Each advisory whose details are or were held back, once it is public.
    pub advisories: Vec<DetailsView>,
}

impl DetailsView {
    /// Says where they stand, in words.
    pub fn words(&self) -> String {
        let stands = match (self.state, &self.follows_at) {
            (DetailsState::Published, _) => {
                let revision = self.revision.map(|number| format!(", as revision {number}")).unwrap_or_default();
                return format!("the technical details are public{revision}");
            }
            (DetailsState::Frozen | DetailsState::Held, _) if !self.in_step => {
                return "the technical details do not follow while the advisory is withdrawn".to_owned();
            }
            (DetailsState::Frozen | DetailsState::Held, Some(at)) => format!("the technical details follow on {at}"),
            (DetailsState::Frozen | DetailsState::Held, None) => {
                "the technical details are held back until somebody says otherwise".to_owned()
            }
        };
        if self.note.is_empty() {
            stands
        } else {
            format!("{stands}, after {} failed tries: {}", self.attempts, self.note)
        }
    }
}
