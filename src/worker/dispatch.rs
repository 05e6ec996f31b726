//! Which use case a job is: one exhaustive match.

use jiff::SignedDuration;

use crate::app::App;
use crate::domain::job::Job;
use crate::store::job::{Claimed, Settled};
use crate::workflow::{self, Error};

/// A job that fails this often is given up.
const TRIES: i64 = 12;

/// Runs a claimed job and says how it ended.
pub(super) async fn run(app: &App, claimed: &Claimed) -> Settled {
    let ended = match &claimed.job {
        Job::Mirror { upstream } => workflow::project::mirror(app, *upstream).await,
        Job::Remote { case } => workflow::remote::make(app, case).await,
        Job::Check { run } => workflow::check::perform(app, *run).await,
        Job::Rehearse { release } => workflow::rehearsal::rehearse(app, release).await,
        Job::Disclose { release } => workflow::disclose::run(app, release).await,
        Job::Mail { mail } => workflow::mail::send(app, *mail).await,
    };
    ended.unwrap_or_else(|error| failed(app, claimed, &error))
}

/// A fault that no use case understood: tried again with growing pauses, then given up.
fn failed(app: &App, claimed: &Claimed, error: &Error) -> Settled {
    tracing::error!(job = claimed.id, attempt = claimed.attempt, error = error as &dyn std::error::Error, "job failed");
    let hopeless = match error {
        Error::NotFound | Error::Unauthenticated | Error::Refused(_) | Error::Blocked(_) => true,
        Error::Conflict | Error::Unavailable { .. } | Error::Internal(_) => claimed.attempt >= TRIES,
    };
    if hopeless {
        return Settled::Halt(error.to_string());
    }
    let pause = SignedDuration::from_secs(1 << claimed.attempt.clamp(0, 9));
    Settled::Retry(app.clock.now() + pause, error.to_string())
}
