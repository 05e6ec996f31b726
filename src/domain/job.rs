//! Work for later, as data: rows written in the transaction that decided them, run after it under a lease.

use serde::{Deserialize, Serialize};

use super::channel::ChannelName;
use super::id::{CaseId, CheckRunId, MailId, ReleaseId, UpstreamId, words};
use super::plain::AdvisoryId;

/// What is to be done. Every job looks before it acts and may run twice without harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Fetch one upstream repository into its mirror.
    Mirror {
        /// Which.
        upstream: UpstreamId,
    },
    /// Make a case's private remote, or bring its public lines up to date.
    Remote {
        /// Which case.
        case: CaseId,
    },
    /// Plan and run a check.
    Check {
        /// Which run.
        run: CheckRunId,
    },
    /// Try the merges of a release on today's public lines.
    Rehearse {
        /// Which release.
        release: ReleaseId,
    },
    /// Try the pushes of a release on the public repositories.
    Try {
        /// Which release.
        release: ReleaseId,
    },
    /// Perform a release's disclosure on a stage.
    Dress {
        /// Which release.
        release: ReleaseId,
    },
    /// Perform a release's disclosure, or go on with it.
    Disclose {
        /// Which release.
        release: ReleaseId,
    },
    /// Tell the audiences of a release whose time has come.
    Announce {
        /// Which release.
        release: ReleaseId,
    },
    /// Tell one channel of a revision of what is public.
    Retell {
        /// Which advisory.
        advisory: AdvisoryId,
        /// The number of the revision.
        revision: u32,
        /// Which channel.
        channel: ChannelName,
    },
    /// Publish what was held back of a case's advisory, once its instant has come.
    Details {
        /// Which case.
        case: CaseId,
    },
    /// Call the hooks of a release whose time has come, or undo them.
    Hook {
        /// Which release.
        release: ReleaseId,
    },
    /// Put the tests of a release onto the public lines whose time has come.
    Land {
        /// Which release.
        release: ReleaseId,
    },
    /// Hand a mail to the mail server.
    Mail {
        /// Which mail.
        mail: MailId,
    },
}

impl Job {
    /// Returns a key such that a second job of the same key need not be queued while the first waits.
    pub fn key(&self) -> String {
        match self {
            Self::Mirror { upstream } => format!("mirror {upstream}"),
            Self::Remote { case } => format!("remote {case}"),
            Self::Check { run } => format!("check {run}"),
            Self::Rehearse { release } => format!("rehearse {release}"),
            Self::Try { release } => format!("try {release}"),
            Self::Dress { release } => format!("dress {release}"),
            Self::Disclose { release } => format!("disclose {release}"),
            Self::Announce { release } => format!("announce {release}"),
            Self::Retell { advisory, revision, channel } => format!("retell {advisory} {revision} {channel}"),
            Self::Details { case } => format!("details {case}"),
            Self::Hook { release } => format!("hook {release}"),
            Self::Land { release } => format!("land {release}"),
            Self::Mail { mail } => format!("mail {mail}"),
        }
    }
}

words! {
    /// Where a job stands.
    JobState {
        /// Due at its time.
        Waiting = "waiting",
        /// Held by a worker under a lease.
        Running = "running",
        /// Over.
        Done = "done",
        /// Given up; a person has to look.
        Halted = "halted",
    }
}
