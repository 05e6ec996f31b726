//! Tests that become public later, as the API shows and takes them.

use serde::{Deserialize, Serialize};

use crate::domain::landing::TestsWish;
use crate::domain::repo::{LineName, RepoName};

/// When tests that are held back become public: `POST /api/v1/releases/{id}/tests`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTests {
    /// `14d` after the release became public, an instant (RFC 3339), `now`, or `never`.
    pub when: TestsWish,
    /// One line alone, once the release is public.
    #[serde(default)]
    pub line: Option<LineName>,
    /// The repository; needed only if several have a line of this name.
    #[serde(default)]
    pub repository: Option<RepoName>,
}

/// Tests that become public later.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TestsView {
    /// When they follow, as the plan has it: `14d`, or `never`.
    pub due: Option<String>,
    /// Line by line.
    pub lines: Vec<LandingView>,
}

/// The tests of a release for one line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LandingView {
    /// The repository.
    pub repository: String,
    /// The line.
    pub line: String,
    /// The cases they belong to.
    pub cases: Vec<String>,
    /// `held_back` until the release is done; then `waiting`, `checking`, `pushing`, `stuck` (needs a person), `done` or `never`.
    pub state: String,
    /// When they become public, RFC 3339: from the instant as it is planned, or from when it was.
    pub due_at: Option<String>,
    /// What was made of the line and them.
    pub commit: Option<String>,
    /// What happened.
    pub note: String,
    /// Where a person is needed: what they would type, in this order.
    #[serde(default)]
    pub commands: Vec<String>,
}

impl TestsView {
    /// Tells whether anything of it is still to become public, or to be said.
    pub fn is_open(&self) -> bool {
        self.lines.iter().any(|line| line.state != "done")
    }
}
