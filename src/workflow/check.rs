//! Checks: queued by a push, planned from the line's own workflow files, run in the sandbox.

use super::Result;
use crate::app::App;
use crate::domain::access::Grant;
use crate::domain::check::CheckState;
use crate::domain::id::CheckRunId;
use crate::domain::job::Job;
use crate::domain::project::Line;
use crate::domain::repo::CommitId;
use crate::store::check::Run;
use crate::store::{self, Tx};

/// Queues a run on the new head of a fix.
pub(super) async fn queue(
    app: &App,
    tx: &mut Tx,
    grant: &Grant,
    pushed: (&Line, &CommitId, CommitId),
) -> Result<CheckRunId> {
    let (line, head, base) = pushed;
    let run = Run {
        id: app.mint(),
        case: grant.case().clone(),
        line: line.id,
        head: head.clone(),
        base,
        state: CheckState::Waiting,
        note: String::new(),
        queued_at: tx.now(),
        ended_at: None,
        version: 0,
    };
    store::check::queue(tx, grant, &run).await?;
    let now = tx.now();
    store::job::queue(tx, &Job::Check { run: run.id }, now).await?;
    Ok(run.id)
}
