//! Who acts: a person, a reporter behind a claim code, or the server itself doing a chore.

use serde::{Deserialize, Serialize};

use super::id::{CaseId, PersonId, ProjectId, ReportId, words};

words! {
    /// What the server does by itself. Each chore is admitted to its own actions only.
    Chore {
        /// Fetches upstream repositories.
        Mirror = "mirror",
        /// Makes and refreshes the private remotes.
        Remotes = "remotes",
        /// Settles pushes whose post-receive was lost.
        Settle = "settle",
        /// Plans and runs checks.
        Checks = "checks",
        /// Rehearses and discloses releases.
        Disclose = "disclose",
        /// Sends mail.
        Notify = "notify",
        /// Tells audiences before the instant, and serves those who hold a link.
        Announce = "announce",
    }
}

words! {
    /// What a token may be used for.
    Scope {
        /// Clone and fetch over git.
        GitRead = "git:read",
        /// Push over git.
        GitWrite = "git:write",
        /// Read over the API.
        ApiRead = "api:read",
        /// Change things over the API.
        ApiWrite = "api:write",
    }
}

/// What a token is confined to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// One project, if it is confined to one.
    pub project: Option<ProjectId>,
    /// One case, if it is confined to one.
    pub case: Option<CaseId>,
}

/// How a person proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// A browser session.
    Session {
        /// Whether the sign-in is at most five minutes old.
        fresh: bool,
    },
    /// An access token.
    Token(Reach),
    /// The operator's own shell on the server: `embargo admin`.
    Console,
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person with an account.
    Person {
        /// Which one.
        id: PersonId,
        /// How that was proved.
        via: Via,
    },
    /// A reporter who showed the claim code of this report.
    Reporter(ReportId),
    /// The server, doing this chore.
    System(Chore),
}

impl Actor {
    /// Returns the person, if it is one.
    pub fn person(&self) -> Option<PersonId> {
        match self {
            Self::Person { id, .. } => Some(*id),
            Self::Reporter(_) | Self::System(_) => None,
        }
    }

    /// Returns the kind and id that stand in an event: never a name.
    pub fn recorded(&self) -> (&'static str, String) {
        match self {
            Self::Person { id, .. } => ("person", id.to_string()),
            Self::Reporter(report) => ("reporter", report.to_string()),
            Self::System(chore) => ("system", chore.to_string()),
        }
    }
}
