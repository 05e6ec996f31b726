//! Checks: asked for by a push or a rehearsal, listed, watched live, stopped and run again by people.
//!
//! Guards: a run on a release's candidate holds text of all its cases and is opened over all of them; what is read of a log is
//! admitted piece by piece. Leaves planning and running to [`mod@perform`].

mod perform;

pub use perform::perform;

use super::readiness::Layout;
use super::{Error, Result, open, open_owner, shown_at};
use crate::app::{App, Unsealing};
use crate::domain::access::{Action, Grant};
use crate::domain::actor::{Actor, Chore};
use crate::domain::check::CheckState;
use crate::domain::id::{CaseId, CheckJobId, CheckRunId, LineId, ReleaseId};
use crate::domain::job::Job;
use crate::domain::owner::{Owner, Pass, Proof};
use crate::domain::project::Line;
use crate::domain::refusal::Refusal;
use crate::domain::rehearsal::Rehearsal;
use crate::domain::repo::{CommitId, LineName, RepoName};
use crate::store::check::{self as rows, Run};
use crate::store::{self, Tx};
use crate::wire::check::{JobView, LogLine, LogView, RunView};

const ACTOR: Actor = Actor::System(Chore::Checks);
const NAME: (&str, &str) = ("check_job", "name");
const REASON: (&str, &str) = ("check_job", "reason");
const LOG: (&str, &str) = ("check_log", "body");

/// Queues a run on the new head of a fix.
pub(super) async fn queue(
    app: &App,
    tx: &mut Tx,
    grant: &Grant,
    pushed: (&Line, &CommitId, CommitId),
) -> Result<CheckRunId> {
    let (line, head, base) = pushed;
    queue_of(app, tx, grant, (line.id, head, base)).await
}

async fn queue_of(app: &App, tx: &mut Tx, proof: &impl Proof, on: (LineId, &CommitId, CommitId)) -> Result<CheckRunId> {
    let (line, head, base) = on;
    let run = Run {
        id: app.mint(),
        owner: proof.owner(),
        line,
        head: head.clone(),
        base,
        state: CheckState::Waiting,
        note: String::new(),
        queued_at: tx.now(),
        ended_at: None,
        version: 0,
    };
    rows::queue(tx, proof, &run).await?;
    let now = tx.now();
    store::job::queue(tx, &Job::Check { run: run.id }, now).await?;
    Ok(run.id)
}

/// A commit that a release would push to a line, and that no other checks speak for.
pub(super) struct Unchecked {
    /// The line.
    pub(super) line: LineId,
    /// The commit.
    pub(super) commit: CommitId,
    /// Where the line is in public.
    pub(super) base: CommitId,
}

/// Queues a run on every candidate of a release that needs one of its own and has none. `fresh` are those this rehearsal
/// made: one of them that was made before, and whose run was stopped when another took its place, is run again.
pub(super) async fn queue_candidates(
    app: &App,
    tx: &mut Tx,
    release: &ReleaseId,
    wanted: &[Unchecked],
    fresh: &[CommitId],
) -> Result<()> {
    let pass = open_owner(tx, &ACTOR, &Owner::Release(release.clone()), Action::RunChecks).await?;
    for Unchecked { line, commit, base } in wanted {
        let last = rows::newest(tx, &pass, *line, commit).await?;
        let last = last.filter(|run| run.base == *base);
        let stopped = last.as_ref().is_some_and(|run| run.state == CheckState::Cancelled);
        if last.is_none() || (stopped && fresh.contains(commit)) {
            queue_of(app, tx, &pass, (*line, commit, base.clone())).await?;
        }
    }
    Ok(())
}

/// Starts a run of a line's fix again.
pub async fn rerun(app: &App, actor: &Actor, case: &CaseId, line: &LineName) -> Result<CheckRunId> {
    let mut tx = app.begin("check.rerun").await?;
    let grant = open(&mut tx, actor, case, Action::RunChecks).await?;
    let project = store::case::get(&mut tx, &grant).await?.project;
    let lines = store::project::lines(&mut tx, &project).await?;
    let fixes = store::fix::of_case(&mut tx, &grant).await?;
    let found = lines.iter().find(|found| found.name == *line);
    let fix = found.and_then(|line| fixes.iter().find(|fix| fix.line == line.id));
    let (Some(line), Some(head)) = (found, fix.and_then(|fix| fix.head.as_ref())) else {
        return Err(Refusal::moment("Nothing is pushed to this line's fix yet.").into());
    };
    let last = rows::newest(&mut tx, &grant, line.id, head).await?;
    let base = last.map_or_else(CommitId::zero, |run| run.base);
    let id = queue(app, &mut tx, &grant, (line, head, base)).await?;
    app.commit(tx).await?;
    Ok(id)
}

/// Starts a run of a release's candidate again.
pub async fn rerun_candidate(
    app: &App,
    actor: &Actor,
    id: &ReleaseId,
    which: (Option<&RepoName>, &LineName),
) -> Result<CheckRunId> {
    let mut tx = app.begin("check.rerun_candidate").await?;
    let pass = open_owner(&mut tx, actor, &Owner::Release(id.clone()), Action::RunChecks).await?;
    let Pass::Release(release, _) = &pass else { return Err(Error::NotFound) };
    release.takes_candidates()?;
    let layout = Layout::of(&mut tx, &release.project).await?;
    let (line, _) = layout.named(which.0, which.1)?;
    let target = release.targets.iter().find(|target| target.line == line.id);
    let Some(Rehearsal::Candidate(candidate)) = target.map(|target| &target.rehearsal) else {
        return Err(Refusal::moment(format!("There is no candidate for {}: see why on the release.", line.name)).into());
    };
    // The line's own commit, where it was checked by itself.
    if candidate.commit != *candidate.tagged()
        && rows::newest(&mut tx, &pass, line.id, &candidate.commit).await?.is_some()
    {
        queue_of(app, &mut tx, &pass, (line.id, &candidate.commit, candidate.base.clone())).await?;
    }
    let run = queue_of(app, &mut tx, &pass, (line.id, candidate.tagged(), candidate.base.clone())).await?;
    app.commit(tx).await?;
    Ok(run)
}

/// Asks a run to stop.
pub async fn cancel(app: &App, actor: &Actor, id: CheckRunId) -> Result<()> {
    let owner = locate(app, id).await?;
    let mut tx = app.begin("check.cancel").await?;
    let pass = open_owner(&mut tx, actor, &owner, Action::RunChecks).await?;
    let run = rows::get(&mut tx, &pass, id).await?.ok_or(Error::NotFound)?;
    let state = match run.state {
        CheckState::Waiting | CheckState::Blocked | CheckState::NeedsApproval => CheckState::Cancelled,
        CheckState::Running | CheckState::Cancelling => CheckState::Cancelling,
        CheckState::Success
        | CheckState::Failure
        | CheckState::Cancelled
        | CheckState::Skipped
        | CheckState::TimedOut
        | CheckState::Lost
        | CheckState::Unsupported => return Err(Refusal::moment("This check is over.").into()),
    };
    rows::move_run(&mut tx, &pass, &run, state, &run.note).await?;
    app.commit(tx).await?;
    let _ = app.check_news.send(id);
    Ok(())
}

/// Lists the runs of a case, or of a release's candidates.
pub async fn list(app: &App, actor: &Actor, owner: impl Into<Owner>) -> Result<Vec<RunView>> {
    let mut tx = app.begin("check.list").await?;
    let pass = open_owner(&mut tx, actor, &owner.into(), Action::ReadChecks).await?;
    let mut views = Vec::new();
    for run in rows::of_owner(&mut tx, &pass).await? {
        views.push(view(app, &mut tx, &pass, run).await?);
    }
    app.commit(tx).await?;
    Ok(views)
}

/// Shows a run with its jobs.
pub async fn show(app: &App, actor: &Actor, id: CheckRunId) -> Result<RunView> {
    let owner = locate(app, id).await?;
    let mut tx = app.begin("check.show").await?;
    let pass = open_owner(&mut tx, actor, &owner, Action::ReadChecks).await?;
    let run = rows::get(&mut tx, &pass, id).await?.ok_or(Error::NotFound)?;
    let view = view(app, &mut tx, &pass, run).await?;
    app.commit(tx).await?;
    Ok(view)
}

/// Reads a piece of a job's log from a line on. Each piece is admitted anew, so that a stream ends with its seat.
pub async fn log(app: &App, actor: &Actor, id: CheckRunId, job: CheckJobId, from: i64) -> Result<LogView> {
    let owner = locate(app, id).await?;
    let mut tx = app.begin("check.log").await?;
    let pass = open_owner(&mut tx, actor, &owner, Action::ReadChecks).await?;
    let jobs = rows::jobs(&mut tx, &pass, id).await?;
    let found = jobs.iter().find(|found| found.id == job).ok_or(Error::NotFound)?;
    let unsealing = unsealing(app, &mut tx, &pass).await?;
    let ended = found.state.terminal();
    let batches = rows::log(&mut tx, &pass, job, from).await?;
    app.commit(tx).await?;
    let mut view = LogView { lines: Vec::new(), next: from, ended };
    for batch in batches {
        let body: String = unsealing.open(LOG, &log_row(job, batch.first), &batch.body)?;
        for (n, text) in (batch.first..).zip(body.split('\n')) {
            if n >= from {
                view.lines.push(LogLine { n, text: text.to_owned() });
            }
        }
        view.next = view.next.max(batch.first + batch.count);
    }
    Ok(view)
}

async fn view(app: &App, tx: &mut Tx, pass: &Pass, run: Run) -> Result<RunView> {
    let unsealing = unsealing(app, tx, pass).await?;
    let keeper = pass.keeper().ok_or(Error::NotFound)?;
    let project = store::case::get(tx, keeper).await?.project;
    let lines = store::project::lines(tx, &project).await?;
    let mut jobs = Vec::new();
    for job in rows::jobs(tx, pass, run.id).await? {
        let id = job.id.to_string();
        let reason = job.reason.map(|reason| unsealing.open::<String>(REASON, &id, &reason)).transpose()?;
        jobs.push(JobView {
            name: unsealing.open(NAME, &id, &job.name)?,
            id,
            state: job.state.to_string(),
            reason,
            started_at: job.started_at.map(shown_at),
            ended_at: job.ended_at.map(shown_at),
        });
    }
    Ok(RunView {
        id: run.id.to_string(),
        case: run.owner.case().map(ToString::to_string),
        release: run.owner.release().map(ToString::to_string),
        line: lines.iter().find(|line| line.id == run.line).map(|line| line.name.to_string()).unwrap_or_default(),
        head: run.head.to_string(),
        state: run.state.to_string(),
        note: run.note,
        queued_at: shown_at(run.queued_at),
        ended_at: run.ended_at.map(shown_at),
        jobs,
        may_cancel: pass.also(Action::RunChecks) && !run.state.terminal(),
    })
}

/// Gets the key for reading, and notes in every case concerned who opened it for what.
async fn unsealing(app: &App, tx: &mut Tx, pass: &Pass) -> Result<Unsealing> {
    let keeper = pass.keeper().ok_or(Error::NotFound)?;
    for other in pass.each().iter().filter(|grant| grant.case() != keeper.case()) {
        app.unsealing(tx, other).await?;
    }
    Ok(app.unsealing(tx, keeper).await?)
}

/// Finds whose a run is. What it returns is shown to nobody before they were admitted.
async fn locate(app: &App, id: CheckRunId) -> Result<Owner> {
    let mut reader = app.read().await?;
    rows::owner_of(&mut reader, id).await?.ok_or(Error::NotFound)
}

/// A batch's row is named by its job and first line, so that a batch opens in its own place only.
fn log_row(job: CheckJobId, first: i64) -> String {
    format!("{job}/{first}")
}
