//! A project looked after here: its repositories, lines and team. What it is comes from the configuration.

use super::id::{LineId, Prefix, ProjectId, UpstreamId, words};
use super::repo::{LineName, RefName, RepoName};

words! {
    /// How an upstream repository was found at the last look.
    UpstreamState {
        /// Not looked at yet.
        Unknown = "unknown",
        /// Fetched.
        Ok = "ok",
        /// Did not answer.
        Down = "down",
        /// Answers elsewhere or not at all under this URL.
        Moved = "moved",
        /// Holds no branch.
        Empty = "empty",
        /// A branch was replaced by one that does not descend from it. Old commits are kept.
        Rewritten = "rewritten",
    }
}

words! {
    /// How a release's tags look.
    TagStyle {
        /// A tag object with message and signature.
        Annotated = "annotated",
        /// A bare ref.
        Lightweight = "lightweight",
    }
}

words! {
    /// Who has to agree before things go on.
    TeamKind {
        /// Several people: two arm, nobody approves their own push.
        Several = "several",
        /// One volunteer: one arms, own approval counts after a recorded delay.
        Solo = "solo",
    }
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its short name.
    pub id: ProjectId,
    /// The prefix of its cases.
    pub prefix: Prefix,
    /// The name people know.
    pub name: String,
    /// Whether one volunteer looks after it alone.
    pub team: TeamKind,
}

/// One of a project's public repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its id, kept when the URL changes.
    pub id: UpstreamId,
    /// The project.
    pub project: ProjectId,
    /// Its name in remote URLs.
    pub name: RepoName,
    /// Where it is fetched from and pushed to.
    pub url: String,
    /// How it was found at the last look.
    pub state: UpstreamState,
    /// A sentence about that, for the project page.
    pub note: String,
    /// When it was last looked at: milliseconds since 1970 UTC.
    pub checked_at: Option<i64>,
}

/// A public branch that gets fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its id: survives a rename upstream.
    pub id: LineId,
    /// The repository it is in.
    pub upstream: UpstreamId,
    /// The branch's short name today.
    pub name: LineName,
}

impl Line {
    /// Returns the full name of the public branch.
    pub fn branch(&self) -> RefName {
        RefName::branch(&self.name)
    }

    /// Returns the full name of its fix branch in a case's remote.
    pub fn fix(&self) -> RefName {
        RefName::fix(&self.name)
    }
}
