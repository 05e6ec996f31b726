//! Cases that follow up on each other, as the API shows and takes them.

use serde::{Deserialize, Serialize};

use crate::domain::follow_up::{Because, End};
use crate::domain::text::Title;

/// A wish for a case that follows up on a public one: `POST /api/v1/cases/{id}/follow-up`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowUpRequest {
    /// Why.
    pub because: Because,
    /// What members call the new case.
    pub title: Title,
}

/// The case that was opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FollowUpView {
    /// Its id.
    pub case: String,
}

/// Another case that a case is linked with. Shown to those alone who have a seat in both.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkView {
    /// The other case.
    pub case: String,
    /// Which of the two it is.
    pub end: End,
    /// Why the later follows up on the earlier.
    pub because: Because,
}
