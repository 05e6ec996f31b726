//! Disclosure: the run at the instant.

use super::Result;
use crate::app::App;
use crate::domain::id::ReleaseId;
use crate::store::job::Settled;

/// Performs a release's disclosure, or goes on with it.
pub async fn run(_app: &App, _release: &ReleaseId) -> Result<Settled> {
    Ok(Settled::Done)
}

/// Queues the run of every armed release whose instant has come.
pub async fn wake(_app: &App) -> Result<()> {
    Ok(())
}
