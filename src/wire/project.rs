//! A project as the API shows it.

use serde::{Deserialize, Serialize};

/// A project's page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProjectView {
    /// Short name.
    pub id: String,
    /// The prefix of its cases.
    pub prefix: String,
    /// The name people know.
    pub name: String,
    /// `several` or `solo`.
    pub team_kind: String,
    /// Its public repositories.
    pub repositories: Vec<RepositoryView>,
    /// The team.
    pub team: Vec<TeamMemberView>,
    /// Open cases the asker has a seat in.
    pub open_cases: i64,
    /// Whether the asker may fetch the mirror now.
    pub may_mirror: bool,
    /// Whether the asker may start a release.
    pub may_release: bool,
    /// Whether reports with attachments can be taken: somebody has an age or SSH key.
    pub takes_attachments: bool,
    /// What keeps mail from getting out, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_trouble: Option<String>,
}

/// One public repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RepositoryView {
    /// Its name in private remotes.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// `unknown`, `ok`, `down`, `moved`, `empty` or `rewritten`.
    pub state: String,
    /// A sentence about that.
    pub note: String,
    /// When it was last looked at, RFC 3339.
    pub checked_at: Option<String>,
    /// Its lines, with the commit each is at.
    pub lines: Vec<LineView>,
    /// What a fetch that is going on is doing.
    pub progress: Option<String>,
}

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LineView {
    /// The branch.
    pub name: String,
    /// The commit it is at in the mirror.
    pub head: Option<String>,
    /// How fixes are put onto it, unless a plan says otherwise: `merge`, `rebase` or `squash`.
    #[serde(default)]
    pub strategy: String,
    /// How its releases are tagged, unless a plan says otherwise: `annotated` or `lightweight`.
    #[serde(default)]
    pub tags: String,
}

/// One member of the team.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TeamMemberView {
    /// Handle.
    pub handle: String,
    /// Name.
    pub name: String,
    /// Role.
    pub role: String,
}
