//! Use cases: every public function is one. Five beats: open, gather, decide, save, commit.
//!
//! [`open`] is how all of them begin: it asks the database who the actor is to the case and `domain::access` what that
//! allows. Nothing slow happens while a transaction is open; what is slow becomes a job.

use jiff::Timestamp;

use crate::domain::access::{Action, Denied, Grant, admit};
use crate::domain::actor::Actor;
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::owner::{Owner, Pass};
use crate::domain::refusal::{Malformed, Refusal};
use crate::domain::team::{ProjectAction, ProjectGrant, admit_project};
use crate::store::{self, Rows, Tx, member};
use crate::{app, crypto, git};

pub mod account;
pub mod advisory;
pub mod alarm;
pub mod amendment;
mod awaited;
mod begin;
pub mod candidate;
pub mod case;
pub mod channel;
pub mod check;
pub mod console;
pub mod details;
pub mod disclose;
pub mod dress;
pub mod fix;
pub mod follow_up;
mod forward;
pub mod haste;
pub mod history;
mod hold;
pub mod hook;
mod journal;
pub mod landing;
pub mod limit;
pub mod mail;
pub mod mark;
pub mod plan;
mod preview;
pub mod project;
mod public;
pub mod publication;
pub mod push;
mod readiness;
pub mod receipt;
mod recipe;
pub mod record;
pub mod rehearsal;
pub mod release;
pub mod reminder;
pub mod remote;
mod rendering;
pub mod report;
pub mod retrospective;
pub mod sign;
pub mod signers;
pub mod sweep;
mod told;
pub mod trial;
mod version;
pub mod wave;

/// How a use case fails. `Display` is fit for the person; the source is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Missing, or not theirs to know: the same in every byte.
    #[error("There is nothing here, or nothing you may see.")]
    NotFound,
    /// Nobody is signed in.
    #[error("Sign in first: `embargo login`, or the link you were given.")]
    Unauthenticated,
    /// A rule said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Several things stand in the way.
    #[error("This cannot be done yet: {}", .0.join(" "))]
    Blocked(Vec<String>),
    /// Somebody else was faster.
    #[error("This was changed by somebody else in the meantime: look again and repeat.")]
    Conflict,
    /// A part outside is not there right now.
    #[error("{sentence}")]
    Unavailable {
        /// What is missing and what to do.
        sentence: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A fault of ours.
    #[error("Something went wrong on our side; nothing was lost. Try again, and tell the operator if it stays.")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What use cases return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Conflict => Self::Conflict,
            other @ (store::Error::Open { .. }
            | store::Error::Damaged { .. }
            | store::Error::Database(_)
            | store::Error::Migrate(_)
            | store::Error::Inconsistent { .. }) => Self::Internal(Box::new(other)),
        }
    }
}

impl From<app::Error> for Error {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Store(error) => error.into(),
            app::Error::Shredded => Self::Refused(Refusal::moment("The text of this case was shredded.")),
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<crypto::Error> for Error {
    fn from(error: crypto::Error) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<git::Error> for Error {
    fn from(error: git::Error) -> Self {
        match error {
            git::Error::Refused(refusal) => Self::Refused(refusal),
            other => Self::Internal(Box::new(other)),
        }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Refused(malformed.into())
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Hidden => Self::NotFound,
            Denied::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

/// Admits the actor to the action in the case. Absent and hidden both end here, as the same error.
pub async fn open(rows: &mut impl Rows, actor: &Actor, case: &CaseId, action: Action) -> Result<Grant> {
    if let Actor::System(_) = actor {
        if !member::exists(rows, case).await? {
            return Err(Error::NotFound);
        }
        return Ok(admit(actor, case, None, action)?);
    }
    let membership = member::admission(rows, actor, case).await?;
    Ok(admit(actor, case, membership.as_ref(), action)?)
}

/// Admits the actor to the action in a case, or to what that means for a release, in every case of it.
async fn open_owner(rows: &mut impl Rows, actor: &Actor, owner: &Owner, action: Action) -> Result<Pass> {
    match owner {
        Owner::Case(case) => Ok(Pass::Case(open(rows, actor, case, action).await?)),
        Owner::Release(id) => {
            let (release, grants) = readiness::open_release(rows, actor, id, action.on_candidate()).await?;
            Ok(Pass::Release(Box::new(release), grants))
        }
    }
}

/// Admits the actor to the action in the project.
pub async fn open_project(
    rows: &mut impl Rows,
    actor: &Actor,
    project: &ProjectId,
    action: ProjectAction,
) -> Result<ProjectGrant> {
    let seat = member::team_seat(rows, actor, project).await?;
    Ok(admit_project(actor, project, seat.as_ref(), action)?)
}

/// Writes an instant as RFC 3339 in UTC, to the second where there are no milliseconds.
fn shown_at(at: Timestamp) -> String {
    at.to_string()
}

/// Records an event that accompanies no change, in a write of its own.
async fn note(app: &app::App, actor: &Actor, event: &crate::domain::event::Event) -> Result<()> {
    let mut tx: Tx = app.begin("event.note").await?;
    tx.note(actor, event).await?;
    app.commit(tx).await?;
    Ok(())
}
