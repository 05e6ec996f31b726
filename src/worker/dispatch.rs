//! Which use case a job is: one exhaustive match.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use jiff::SignedDuration;

use crate::app::App;
use crate::domain::job::Job;
use crate::store::job::{Claimed, Settled};
use crate::workflow::{self, Error};

/// A job that fails this often is given up.
const TRIES: i64 = 12;

/// Runs a claimed job and says how it ended.
pub(super) async fn run(app: &App, claimed: &Claimed) -> Settled {
    let ended = caught(Box::pin(async {
        match &claimed.job {
            Job::Mirror { upstream } => workflow::project::mirror(app, *upstream).await,
            Job::Remote { case } => workflow::remote::make(app, case).await,
            Job::Check { run } => workflow::check::perform(app, *run).await,
            Job::Rehearse { release } => workflow::rehearsal::rehearse(app, release).await,
            Job::Try { release } => workflow::trial::run(app, release).await,
            Job::Dress { release } => workflow::dress::run(app, release).await,
            Job::Disclose { release } => workflow::disclose::run(app, release).await,
            Job::Announce { release } => workflow::wave::send::announce(app, release).await,
            Job::Retell { advisory, revision, channel } => {
                workflow::amendment::tell::run(app, advisory, *revision, channel).await
            }
            Job::Details { case } => workflow::details::run(app, case).await,
            Job::Hook { release } => workflow::hook::run(app, release).await,
            Job::Land { release } => workflow::landing::run(app, release).await,
            Job::Mail { mail } => workflow::mail::send(app, *mail).await,
        }
    }));
    ended.await.unwrap_or_else(|error| failed(app, claimed, &error))
}

/// Takes a panic for a fault: the job is settled like any other, and no lease has to run out before it is tried again.
async fn caught(job: impl Future<Output = workflow::Result<Settled>>) -> workflow::Result<Settled> {
    let ended = AssertUnwindSafe(job).catch_unwind().await;
    // What it was stands in the log already, with its place.
    ended.unwrap_or_else(|_| Err(Error::Internal(Box::new(Panicked))))
}

#[derive(Debug, thiserror::Error)]
#[error("the job panicked")]
struct Panicked;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_ends_as_one_that_failed() {
        let ended = caught(async { panic!("a sample") }).await;
        assert!(matches!(ended, Err(Error::Internal(_))));
        assert!(matches!(caught(async { Ok(Settled::Done) }).await, Ok(Settled::Done)));
    }
}
