//! The worker: sleeps to the next due instant, claims what is due under a lease, runs it, settles it.
//!
//! Guards: a job runs outside any transaction, its lease is renewed while it runs and is lost when the process dies, and a
//! claim that was taken over can no longer settle. What is due is in the database; the bell and the alarm clock only wake.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::store::job::{self, Claimed, Settled};
use crate::workflow;

pub mod clock;
mod dispatch;

/// How long a claim lasts without being renewed.
const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// The wall clock is looked at again at least this often: it may have been set, or the machine suspended.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Jobs at a time; checks have their own, smaller number of slots.
const AT_ONCE: usize = 16;

/// Puts right what a crash left behind, and brings the projects in from the configuration. Before anything is served.
pub async fn start(app: &App) -> workflow::Result<()> {
    let mut tx = app.begin("worker.start").await?;
    let orphans = job::release_all(&mut tx).await?;
    app.commit(tx).await?;
    if orphans > 0 {
        tracing::info!(orphans, "jobs of the last run are taken up again");
    }
    workflow::signers::note(app).await?;
    workflow::push::settle_all(app).await?;
    workflow::project::configure(app).await
}

/// Works until cancelled; then waits for the jobs in hand that cannot be left.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let tracker = TaskTracker::new();
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut jumped = false;
    loop {
        let off = app.clock_jumped();
        if let Some(off) = off.filter(|_| !jumped) {
            tracing::error!(seconds = off.as_secs(), "the clock jumped: no release begins until somebody looked");
        }
        jumped = off.is_some();
        // Registered before the look, so that a job queued meanwhile is not slept over.
        let bell = app.bell.notified();
        let wait = match fill(&app, &tracker, &room, &stop).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the queue could not be read");
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = bell => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    tracker.close();
    tracker.wait().await;
}

/// Runs due jobs one after the other until none is left: what tests call instead of [`run`].
pub async fn settle(app: &App) -> workflow::Result<()> {
    while let Some(claimed) = app.store.claim(app.clock.now(), app.clock.now() + LEASE).await? {
        let settled = dispatch::run(app, &claimed).await;
        save(app, &claimed, &settled).await?;
    }
    Ok(())
}

/// Claims what is due while there is room; returns how long to sleep.
async fn fill(
    app: &Arc<App>,
    tracker: &TaskTracker,
    room: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> workflow::Result<Duration> {
    while !stop.is_cancelled() {
        let Ok(permit) = room.clone().try_acquire_owned() else { return Ok(LOOK_AGAIN) };
        let now = app.clock.now();
        let Some(claimed) = app.store.claim(now, now + LEASE).await? else { break };
        let app = app.clone();
        tracker.spawn(async move {
            work(&app, &claimed).await;
            drop(permit);
            app.bell.notify_one();
        });
    }
    let mut rows = app.read().await?;
    let due = job::next_due(&mut rows).await?;
    let left = due.map_or(i64::MAX, |due| due - app.clock.now().as_millisecond()).max(0);
    Ok(Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(LOOK_AGAIN))
}

async fn work(app: &App, claimed: &Claimed) {
    let settled = {
        let run = std::pin::pin!(dispatch::run(app, claimed));
        let renew = std::pin::pin!(renew(app, claimed));
        match futures_util::future::select(run, renew).await {
            futures_util::future::Either::Left((settled, _)) => settled,
            futures_util::future::Either::Right(((), _)) => {
                tracing::warn!(job = claimed.id, "the lease of a job was lost: it is left to whoever has it");
                return;
            }
        }
    };
    if let Err(error) = save(app, claimed, &settled).await {
        tracing::error!(job = claimed.id, error = &error as &dyn std::error::Error, "a job could not be settled");
    }
}

/// Keeps the lease; returns only when it is lost.
async fn renew(app: &App, claimed: &Claimed) {
    let mut every = tokio::time::interval(Duration::from_secs(20));
    every.tick().await;
    loop {
        every.tick().await;
        let kept = async {
            let mut tx = app.begin("job.renew").await?;
            let until = tx.now() + LEASE;
            job::renew(&mut tx, claimed, until).await?;
            tx.commit().await
        };
        match kept.await {
            Ok(()) => {}
            Err(crate::store::Error::Conflict) => return,
            Err(error) => {
                tracing::warn!(
                    job = claimed.id,
                    error = &error as &dyn std::error::Error,
                    "a lease could not be renewed"
                );
            }
        }
    }
}

async fn save(app: &App, claimed: &Claimed, settled: &Settled) -> workflow::Result<()> {
    match settled {
        Settled::Done => tracing::debug!(job = claimed.id, "job done"),
        Settled::Retry(at, why) => tracing::info!(job = claimed.id, %at, why, "job will be tried again"),
        Settled::Halt(why) => tracing::error!(job = claimed.id, why, "job given up: somebody must look"),
    }
    let mut tx = app.begin("job.settle").await?;
    job::settle(&mut tx, claimed, settled).await?;
    app.commit(tx).await?;
    Ok(())
}
