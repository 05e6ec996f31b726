//! Checks: queued by a push, planned from the line's own workflow files, run in the sandbox, watched live.
//!
//! Guards: workflow files come from the line, never from the pushed branch; a newer push cancels what it supersedes; what
//! does not run is never green; the log is masked before it is sealed, and sealed before it is stored.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Error, Result, open, shown_at};
use crate::app::{App, Checks, Sealing};
use crate::ci::plan::{Fate, Plan, PullRequest, WorkflowFile};
use crate::ci::{self, JobFolder, Masks, PlannedJob, Progress, Report, Sandbox};
use crate::domain::access::{Action, Grant};
use crate::domain::actor::{Actor, Chore};
use crate::domain::check::CheckState;
use crate::domain::id::{CaseId, CheckJobId, CheckRunId};
use crate::domain::job::Job;
use crate::domain::project::Line;
use crate::domain::refusal::Refusal;
use crate::domain::repo::{CommitId, LineName};
use crate::domain::text::shown;
use crate::git::Repo;
use crate::store::check::{self as rows, Lines, Run};
use crate::store::job::Settled;
use crate::store::{self, Tx};
use crate::wire::check::{JobView, LogLine, LogView, RunView};

const ACTOR: Actor = Actor::System(Chore::Checks);
const NAME: (&str, &str) = ("check_job", "name");
const REASON: (&str, &str) = ("check_job", "reason");
const LOG: (&str, &str) = ("check_log", "body");
/// Bytes of one workflow file.
const FILE: u64 = 1024 * 1024;
/// Changed paths looked at for `paths:` filters.
const PATHS: usize = 20_000;
/// Lines sealed and stored together, at most this many or what came in this time.
const BATCH: usize = 500;
const PAUSE: Duration = Duration::from_millis(150);

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
    rows::queue(tx, grant, &run).await?;
    let now = tx.now();
    store::job::queue(tx, &Job::Check { run: run.id }, now).await?;
    Ok(run.id)
}

/// Plans and runs a check. A server that died in the middle starts it over.
pub async fn perform(app: &App, id: CheckRunId) -> Result<Settled> {
    let mut reader = app.read().await?;
    let Some(case) = rows::case_of(&mut reader, id).await? else { return Ok(Settled::Done) };
    let grant = open(&mut reader, &ACTOR, &case, Action::RunChecks).await?;
    let Some(run) = rows::get(&mut reader, &grant, id).await? else { return Ok(Settled::Done) };
    let project = store::case::get(&mut reader, &grant).await?.project;
    let lines = store::project::lines(&mut reader, &project).await?;
    drop(reader);
    if run.state.terminal() {
        return Ok(Settled::Done);
    }
    let Some(line) = lines.into_iter().find(|line| line.id == run.line) else {
        return end(app, &run, CheckState::Cancelled, "The line is no longer looked after.").await;
    };
    let sandbox = match &app.checks {
        Checks::Ready(sandbox) => sandbox,
        Checks::Off(why) => return end(app, &run, CheckState::Unsupported, &format!("Not run: {why}")).await,
    };
    let Ok(_slot) = app.check_slots.acquire().await else {
        return Err(Error::Unavailable { sentence: "The server is stopping.".to_owned(), source: None });
    };
    if superseded(app, &run).await? {
        return end(app, &run, CheckState::Cancelled, "A newer push took its place.").await;
    }
    let plan = plan(app, &run, &line).await?;
    let (run, jobs, sealing) = begin(app, &run, &plan).await?;
    let mut states = Vec::new();
    for (planned, job) in plan.jobs.iter().zip(jobs) {
        let state = match &planned.fate {
            Fate::Run(_) if superseded(app, &run).await? => {
                settle_job(app, &run, job, (CheckState::Cancelled, None)).await?;
                CheckState::Cancelled
            }
            Fate::Run(_) => one(app, sandbox, (&run, line.upstream), (planned, job), &sealing).await?,
            Fate::Skipped(_) | Fate::Unsupported(_) => planned.state(),
        };
        states.push(state);
    }
    let note =
        if plan.jobs.is_empty() { "No workflow of this project runs for pull requests to this line." } else { "" };
    end(app, &run, CheckState::sum(&states), note).await
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

/// Asks a run to stop.
pub async fn cancel(app: &App, actor: &Actor, id: CheckRunId) -> Result<()> {
    let (case, _) = locate(app, id).await?;
    let mut tx = app.begin("check.cancel").await?;
    let grant = open(&mut tx, actor, &case, Action::RunChecks).await?;
    let run = rows::get(&mut tx, &grant, id).await?.ok_or(Error::NotFound)?;
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
    rows::move_run(&mut tx, &grant, &run, state, &run.note).await?;
    app.commit(tx).await?;
    let _ = app.check_news.send(id);
    Ok(())
}

/// Lists the runs of a case.
pub async fn list(app: &App, actor: &Actor, case: &CaseId) -> Result<Vec<RunView>> {
    let mut tx = app.begin("check.list").await?;
    let grant = open(&mut tx, actor, case, Action::ReadChecks).await?;
    let mut views = Vec::new();
    for run in rows::of_case(&mut tx, &grant).await? {
        views.push(view(app, &mut tx, &grant, run).await?);
    }
    app.commit(tx).await?;
    Ok(views)
}

/// Shows a run with its jobs.
pub async fn show(app: &App, actor: &Actor, id: CheckRunId) -> Result<RunView> {
    let (case, _) = locate(app, id).await?;
    let mut tx = app.begin("check.show").await?;
    let grant = open(&mut tx, actor, &case, Action::ReadChecks).await?;
    let run = rows::get(&mut tx, &grant, id).await?.ok_or(Error::NotFound)?;
    let view = view(app, &mut tx, &grant, run).await?;
    app.commit(tx).await?;
    Ok(view)
}

/// Reads a piece of a job's log from a line on. Each piece is admitted anew, so that a stream ends with its seat.
pub async fn log(app: &App, actor: &Actor, id: CheckRunId, job: CheckJobId, from: i64) -> Result<LogView> {
    let (case, _) = locate(app, id).await?;
    let mut tx = app.begin("check.log").await?;
    let grant = open(&mut tx, actor, &case, Action::ReadChecks).await?;
    let jobs = rows::jobs(&mut tx, &grant, id).await?;
    let found = jobs.iter().find(|found| found.id == job).ok_or(Error::NotFound)?;
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let ended = found.state.terminal();
    let batches = rows::log(&mut tx, &grant, job, from).await?;
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

async fn view(app: &App, tx: &mut Tx, grant: &Grant, run: Run) -> Result<RunView> {
    let unsealing = app.unsealing(tx, grant).await?;
    let project = store::case::get(tx, grant).await?.project;
    let lines = store::project::lines(tx, &project).await?;
    let mut jobs = Vec::new();
    for job in rows::jobs(tx, grant, run.id).await? {
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
        case: run.case.to_string(),
        line: lines.iter().find(|line| line.id == run.line).map(|line| line.name.to_string()).unwrap_or_default(),
        head: run.head.to_string(),
        state: run.state.to_string(),
        note: run.note,
        queued_at: shown_at(run.queued_at),
        ended_at: run.ended_at.map(shown_at),
        jobs,
        may_cancel: grant.also(Action::RunChecks) && !run.state.terminal(),
    })
}

/// Finds the case of a run. What it returns is shown to nobody before `open` has admitted them.
async fn locate(app: &App, id: CheckRunId) -> Result<(CaseId, CheckRunId)> {
    let mut reader = app.read().await?;
    rows::case_of(&mut reader, id).await?.map(|case| (case, id)).ok_or(Error::NotFound)
}

/// Reads the line's workflow files and plans what they ask for.
async fn plan(app: &App, run: &Run, line: &Line) -> Result<Plan> {
    let repo = Repo::Case(run.case.clone(), line.upstream);
    let base = match app.git.resolve(&repo, &line.branch()).await? {
        Some(base) => base,
        None => run.base.clone(),
    };
    let mut files = Vec::new();
    for folder in ci::plan::FOLDERS {
        // The first folder that is there counts, as on the forges themselves.
        if !files.is_empty() {
            break;
        }
        for path in app.git.folder(&repo, &base, folder).await? {
            let extension = std::path::Path::new(&path).extension().unwrap_or_default().to_ascii_lowercase();
            if extension != "yml" && extension != "yaml" {
                continue;
            }
            if let Some(bytes) = app.git.file(&repo, &base, &path, FILE).await? {
                files.push(WorkflowFile { path, text: String::from_utf8_lossy(&bytes).into_owned() });
            }
        }
    }
    let fork = app.git.merge_base(&repo, &base, &run.head).await?.unwrap_or_else(|| base.clone());
    let changed = app.git.changed_paths(&repo, &fork, &run.head, PATHS).await?;
    let repository = format!("{}/{}", run.case, line.upstream);
    let pull = PullRequest { repository, commit: run.head.clone(), line: line.name.clone(), changed };
    let planned = tokio::task::spawn_blocking(move || ci::plan::plan(&files, &pull)).await;
    planned.map_err(|error| Error::Internal(Box::new(error)))
}

/// Writes the plan down and moves the run to running.
async fn begin(app: &App, run: &Run, plan: &Plan) -> Result<(Run, Vec<CheckJobId>, Sealing)> {
    let mut tx = app.begin("check.begin").await?;
    let grant = open(&mut tx, &ACTOR, &run.case, Action::RunChecks).await?;
    let sealing = app.sealing(&mut tx, &grant).await?;
    let mut jobs = Vec::new();
    for planned in &plan.jobs {
        let id: CheckJobId = app.mint();
        let row = id.to_string();
        let reason = planned.reason().map(|reason| sealing.seal(REASON, &row, &reason.to_owned())).transpose()?;
        jobs.push(rows::Job {
            id,
            name: sealing.seal(NAME, &row, &planned.context)?,
            required: matches!(planned.fate, Fate::Run(_)),
            state: planned.state(),
            reason,
            started_at: None,
            ended_at: None,
        });
    }
    rows::plan(&mut tx, &grant, run, &jobs).await?;
    let run = rows::move_run(&mut tx, &grant, run, CheckState::Running, "").await?;
    app.commit(tx).await?;
    let _ = app.check_news.send(run.id);
    Ok((run, jobs.iter().map(|job| job.id).collect(), sealing))
}

/// Runs one job in the sandbox and stores its log as it comes.
async fn one(
    app: &App,
    sandbox: &Sandbox,
    on: (&Run, crate::domain::id::UpstreamId),
    job: (&PlannedJob, CheckJobId),
    sealing: &Sealing,
) -> Result<CheckState> {
    let (run, upstream) = on;
    let (planned, id) = job;
    let Fate::Run(recipe) = &planned.fate else { return Ok(planned.state()) };
    settle_job(app, run, id, (CheckState::Running, None)).await?;
    let parent = app.config.checks_folder();
    let folder = JobFolder::create(&parent, &id.to_string()).map_err(|error| Error::Internal(Box::new(error)))?;
    let outcome = async {
        if recipe.wants_checkout() {
            app.git.checkout(&Repo::Case(run.case.clone(), upstream), &run.head, &folder.workspace()).await?;
        }
        let (to, from) = mpsc::channel(1024);
        let cancel = CancellationToken::new();
        let work = ci::execute(sandbox, recipe, &folder, Report::new(to, Masks::default()), cancel.clone());
        let (outcome, stored) = tokio::join!(work, keep_log(app, (run, id), sealing, from, cancel));
        stored?;
        outcome.map_err(|error| Error::Internal(Box::new(error)))
    };
    let outcome = outcome.await;
    if let Err(error) = folder.remove() {
        tracing::warn!(job = %id, error = &error as &dyn std::error::Error, "a check's folder could not be removed");
    }
    let (state, reason) = match outcome {
        Ok(outcome) => (outcome.state, None),
        Err(Error::Internal(source)) => {
            tracing::error!(job = %id, error = &*source as &dyn std::error::Error, "a check could not be run");
            (
                CheckState::Lost,
                Some("The check could not be run here: run it again, and tell the operator if it stays."),
            )
        }
        Err(error) => return Err(error),
    };
    let reason = reason.map(|text| sealing.seal(REASON, &id.to_string(), &text.to_owned())).transpose()?;
    settle_job(app, run, id, (state, reason.as_ref())).await?;
    Ok(state)
}

/// Seals and stores what a job says, in batches; cancels the job when its run was asked to stop.
async fn keep_log(
    app: &App,
    of: (&Run, CheckJobId),
    sealing: &Sealing,
    mut from: mpsc::Receiver<Progress>,
    cancel: CancellationToken,
) -> Result<()> {
    let (run, job) = of;
    let mut pending: Vec<String> = Vec::new();
    let mut first = 0_i64;
    let mut every = tokio::time::interval(PAUSE);
    loop {
        let open = tokio::select! {
            said = from.recv() => match said {
                Some(Progress::Line(line)) => { pending.push(shown_line(&line.text)); true }
                Some(Progress::Began(_) | Progress::Ended(_)) => true,
                None => false,
            },
            _ = every.tick() => {
                if superseded(app, run).await? {
                    cancel.cancel();
                }
                true
            }
        };
        if !pending.is_empty() && (!open || pending.len() >= BATCH || from.is_empty()) {
            let count = i64::try_from(pending.len()).unwrap_or(i64::MAX);
            let body = sealing.seal(LOG, &log_row(job, first), &pending.join("\n"))?;
            let mut tx = app.begin("check.log").await?;
            let grant = open_run(&mut tx, run).await?;
            rows::append_log(&mut tx, &grant, job, &Lines { first, count, body }).await?;
            app.commit(tx).await?;
            let _ = app.check_news.send(run.id);
            first += count;
            pending.clear();
        }
        if !open {
            return Ok(());
        }
    }
}

async fn open_run(tx: &mut Tx, run: &Run) -> Result<Grant> {
    open(tx, &ACTOR, &run.case, Action::RunChecks).await
}

/// Tells whether the run was asked to stop, or a newer push took its place.
async fn superseded(app: &App, run: &Run) -> Result<bool> {
    let mut reader = app.read().await?;
    let grant = open(&mut reader, &ACTOR, &run.case, Action::RunChecks).await?;
    let now = rows::get(&mut reader, &grant, run.id).await?;
    if now.is_none_or(|now| matches!(now.state, CheckState::Cancelling | CheckState::Cancelled)) {
        return Ok(true);
    }
    let fixes = store::fix::of_case(&mut reader, &grant).await?;
    Ok(!fixes.iter().any(|fix| fix.line == run.line && fix.head.as_ref() == Some(&run.head)))
}

async fn settle_job(
    app: &App,
    run: &Run,
    job: CheckJobId,
    to: (CheckState, Option<&crate::domain::sealed::Sealed<String>>),
) -> Result<()> {
    let mut tx = app.begin("check.job").await?;
    let grant = open_run(&mut tx, run).await?;
    rows::move_job(&mut tx, &grant, job, to.0, to.1).await?;
    app.commit(tx).await?;
    let _ = app.check_news.send(run.id);
    Ok(())
}

async fn end(app: &App, run: &Run, state: CheckState, note: &str) -> Result<Settled> {
    let mut tx = app.begin("check.end").await?;
    let grant = open_run(&mut tx, run).await?;
    // Read again: somebody may have asked it to stop meanwhile.
    let Some(now) = rows::get(&mut tx, &grant, run.id).await? else { return Ok(Settled::Done) };
    let state = if now.state == CheckState::Cancelling { CheckState::Cancelled } else { state };
    if !now.state.terminal() {
        rows::move_run(&mut tx, &grant, &now, state, note).await?;
    }
    let project = store::case::get(&mut tx, &grant).await?.project;
    super::rehearsal::rehearse_open(&mut tx, &project).await?;
    app.commit(tx).await?;
    let _ = app.check_news.send(run.id);
    Ok(Settled::Done)
}

/// A batch's row is named by its job and first line, so that a batch opens in its own place only.
fn log_row(job: CheckJobId, first: i64) -> String {
    format!("{job}/{first}")
}

/// Keeps a line one line; colours stay, for the page to render or drop.
fn shown_line(text: &str) -> String {
    text.split('\u{1b}').map(shown).collect::<Vec<_>>().join("\u{1b}")
}
