//! Planning and running a check: from the line's own workflow files, in the sandbox.
//!
//! Guards: workflow files come from the line, never from the pushed branch; something newer cancels what it supersedes; what
//! does not run is never green; the log is masked before it is sealed, and sealed before it is stored.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ACTOR, LOG, NAME, REASON, log_row};
use crate::app::{App, Checks, Sealing};
use crate::ci::plan::{Fate, Plan, PullRequest, WorkflowFile};
use crate::ci::{self, JobFolder, Masks, PlannedJob, Progress, Report, Sandbox};
use crate::domain::access::Action;
use crate::domain::check::CheckState;
use crate::domain::id::{CheckJobId, CheckRunId, UpstreamId};
use crate::domain::owner::{Owner, Pass};
use crate::domain::project::Line;
use crate::domain::repo::CommitId;
use crate::domain::sealed::Sealed;
use crate::domain::text::shown;
use crate::git::Repo;
use crate::store::check::{self as rows, Lines, Run};
use crate::store::job::Settled;
use crate::store::{self, Rows};
use crate::workflow::rehearsal::rehearse_open;
use crate::workflow::{Error, Result, open_owner};

/// Bytes of one workflow file.
const FILE: u64 = 1024 * 1024;
/// Changed paths looked at for `paths:` filters.
const PATHS: usize = 20_000;
/// Lines sealed and stored together, at most this many or what came in this time.
const BATCH: usize = 500;
const PAUSE: Duration = Duration::from_millis(150);

/// Plans and runs a check. A server that died in the middle starts it over.
pub async fn perform(app: &App, id: CheckRunId) -> Result<Settled> {
    let mut reader = app.read().await?;
    let Some(owner) = rows::owner_of(&mut reader, id).await? else { return Ok(Settled::Done) };
    let pass = open_owner(&mut reader, &ACTOR, &owner, Action::RunChecks).await?;
    let Some(run) = rows::get(&mut reader, &pass, id).await? else { return Ok(Settled::Done) };
    let keeper = pass.keeper().ok_or(Error::NotFound)?;
    let project = store::case::get(&mut reader, keeper).await?.project;
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
    let (base, plan) = plan(app, &run, &line).await?;
    let Some((run, jobs, sealing)) = begin(app, &run, &base, &plan).await? else { return Ok(Settled::Done) };
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
    let (state, note) = match plan.only_on_pushes() {
        Some(path) => (CheckState::Unsupported, only_on_pushes(&path, &line)),
        None if plan.jobs.is_empty() => {
            (CheckState::Skipped, "No workflow of this project runs for pull requests to this line.".to_owned())
        }
        None => (CheckState::sum(&states), String::new()),
    };
    end(app, &run, state, &note).await
}

/// Says that the project's own checks never see a fix, and what to do.
fn only_on_pushes(path: &str, line: &Line) -> String {
    let name = &line.name;
    format!(
        "Nothing was checked: {path} runs on pushes alone, and a fix is checked as a pull request to {name}. Add \
         `pull_request` to its `on:` on the public {name} and run the checks again, or test this commit in another way and \
         answer for it.",
    )
}

/// Reads the line's workflow files and plans what they ask for.
async fn plan(app: &App, run: &Run, line: &Line) -> Result<(CommitId, Plan)> {
    let repo = Repo::of(&run.owner, line.upstream);
    let base = match &run.owner {
        // A fix is held against the line as it is now.
        Owner::Case(_) => app.git.resolve(&repo, &line.branch()).await?.unwrap_or_else(|| run.base.clone()),
        // A candidate was built on one commit of it, and falls with that.
        Owner::Release(_) => run.base.clone(),
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
    let repository = format!("{}/{}", run.owner, line.upstream);
    let pull = PullRequest { repository, commit: run.head.clone(), line: line.name.clone(), changed };
    let planned = tokio::task::spawn_blocking(move || ci::plan::plan(&files, &pull)).await;
    Ok((base, planned.map_err(|error| Error::Internal(Box::new(error)))?))
}

/// Writes the plan down and moves the run to running; `None` if the run was forgotten meanwhile.
async fn begin(app: &App, run: &Run, base: &CommitId, plan: &Plan) -> Result<Option<(Run, Vec<CheckJobId>, Sealing)>> {
    let mut tx = app.begin("check.begin").await?;
    let pass = open_run(&mut tx, run).await?;
    if rows::get(&mut tx, &pass, run.id).await?.is_none() {
        return Ok(None);
    }
    let sealing = app.sealing(&mut tx, pass.keeper().ok_or(Error::NotFound)?).await?;
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
    rows::plan(&mut tx, &pass, run, base, &jobs).await?;
    let run = rows::move_run(&mut tx, &pass, run, CheckState::Running, "").await?;
    app.commit(tx).await?;
    let _ = app.check_news.send(run.id);
    Ok(Some((run, jobs.iter().map(|job| job.id).collect(), sealing)))
}

/// Runs one job in the sandbox and stores its log as it comes.
async fn one(
    app: &App,
    sandbox: &Sandbox,
    on: (&Run, UpstreamId),
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
            app.git.checkout(&Repo::of(&run.owner, upstream), &run.head, &folder.workspace()).await?;
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
            let pass = open_run(&mut tx, run).await?;
            rows::append_log(&mut tx, &pass, job, &Lines { first, count, body }).await?;
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

async fn open_run(rows: &mut impl Rows, run: &Run) -> Result<Pass> {
    open_owner(rows, &ACTOR, &run.owner, Action::RunChecks).await
}

/// Tells whether the run was asked to stop, or something newer took the place of its commit.
async fn superseded(app: &App, run: &Run) -> Result<bool> {
    let mut reader = app.read().await?;
    let pass = open_run(&mut reader, run).await?;
    let now = rows::get(&mut reader, &pass, run.id).await?;
    if now.is_none_or(|now| matches!(now.state, CheckState::Cancelling | CheckState::Cancelled)) {
        return Ok(true);
    }
    let stands = match &pass {
        Pass::Case(grant) => {
            let mut fixes = store::fix::of_case(&mut reader, grant).await?;
            fixes.extend(store::fix::tests_of_case(&mut reader, grant).await?);
            fixes.iter().any(|fix| fix.line == run.line && fix.head.as_ref() == Some(&run.head))
        }
        Pass::Release(release, _) => {
            let lands = store::landing::is_checked(&mut reader, &release.id, (run.line, &run.head)).await?;
            lands || release.checks_at(run.line, &run.head)
        }
    };
    Ok(!stands)
}

async fn settle_job(app: &App, run: &Run, job: CheckJobId, to: (CheckState, Option<&Sealed<String>>)) -> Result<()> {
    let mut tx = app.begin("check.job").await?;
    let pass = open_run(&mut tx, run).await?;
    rows::move_job(&mut tx, &pass, job, to.0, to.1).await?;
    app.commit(tx).await?;
    let _ = app.check_news.send(run.id);
    Ok(())
}

async fn end(app: &App, run: &Run, state: CheckState, note: &str) -> Result<Settled> {
    let mut tx = app.begin("check.end").await?;
    let pass = open_run(&mut tx, run).await?;
    // Read again: somebody may have asked it to stop meanwhile.
    let Some(now) = rows::get(&mut tx, &pass, run.id).await? else { return Ok(Settled::Done) };
    let state = if now.state == CheckState::Cancelling { CheckState::Cancelled } else { state };
    if !now.state.terminal() {
        rows::move_run(&mut tx, &pass, &now, state, note).await?;
    }
    match &pass {
        Pass::Case(grant) => {
            let project = store::case::get(&mut tx, grant).await?.project;
            rehearse_open(&mut tx, &project).await?;
        }
        Pass::Release(release, _) => crate::workflow::landing::checked(&mut tx, release).await?,
    }
    app.commit(tx).await?;
    let _ = app.check_news.send(run.id);
    Ok(Settled::Done)
}

/// Keeps a line one line; colours stay, for the page to render or drop.
fn shown_line(text: &str) -> String {
    text.split('\u{1b}').map(shown).collect::<Vec<_>>().join("\u{1b}")
}
