//! Landings: tests that follow their fix. Planned when the release is done, then put onto each line at their time.
//!
//! Guards: what lands was frozen and armed with the release; it is put onto the line as it is by then, checked, and pushed to where
//! the line still is; each step is written down before and after, and looked for in public before it is done again. Leaves what
//! comes when to `domain::landing`.

use jiff::Timestamp;

use super::check::Unchecked;
use super::readiness::{Gathered, gather, open_release};
use super::{Error, Result, check};
use crate::app::App;
use crate::domain::access::Action;
use crate::domain::actor::{Actor, Chore};
use crate::domain::change::Change;
use crate::domain::id::{LineId, ReleaseId};
use crate::domain::job::Job;
use crate::domain::landing::{Landed, Landing, LandingState, Step, TestsDue, TestsWish, next};
use crate::domain::manifest::{ChecksWord, Manifest};
use crate::domain::owner::Owner;
use crate::domain::readiness::Checks;
use crate::domain::refusal::Refusal;
use crate::domain::release::{Release, ReleaseState};
use crate::git::combine::Merged;
use crate::git::publish::{Leased, PushOutcome};
use crate::store::job::Settled;
use crate::store::{self, Tx};
use crate::wire::landing::SetTests;

pub(super) mod guard;
mod line;
pub(super) mod view;

use line::{Tip, Work};

const CHORE: Actor = Actor::System(Chore::Disclose);
/// What a landing says that waits for another release.
const AWAITED: &str =
    "Another release is frozen on this line, and would be stopped: the tests follow once it is public or reopened.";
/// Steps of one landing in one job at most: each changes its row, and the next minute goes on.
const STEPS: usize = 30;
const SILENT: &str = "The public repository does not answer.";
const OURS: &str = "This server could not do its part: see its log.";

/// Says when the tests of a release become public, brings them forward, puts them off, or tries again what needed a person.
pub async fn schedule(app: &App, actor: &Actor, id: &ReleaseId, wish: &SetTests) -> Result<()> {
    let mut tx = app.begin("landing.schedule").await?;
    let (release, _) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    // To keep something private longer must be quick; to make it public takes what arming takes, once somebody may have armed it.
    let keeps = wish.when == TestsWish::Due(TestsDue::Never) || release.state == ReleaseState::Planned;
    let action = if keeps { Action::PlanRelease } else { Action::ArmRelease };
    let (release, grants) = open_release(&mut tx, actor, id, action).await?;
    if release.state != ReleaseState::Done {
        if wish.line.is_some() {
            return Err(
                Refusal::input("Until the release is public, all its tests follow together: name no line.").into()
            );
        }
        store::release::save(&mut tx, actor, release.set_tests(wish.when)?).await?;
        return Ok(app.commit(tx).await?);
    }
    let layout = super::readiness::Layout::of(&mut tx, &release.project).await?;
    let only = match &wish.line {
        Some(name) => Some(layout.named(wish.repository.as_ref(), name)?.0.id),
        None => None,
    };
    let mut landings = store::landing::of_release(&mut tx, &grants, id).await?;
    landings.retain(|landing| only.is_none_or(|line| landing.line == line));
    if landings.is_empty() {
        return Err(Refusal::moment("No tests were held back there.").into());
    }
    if only.is_none() {
        landings.retain(|landing| landing.state != LandingState::Done);
    }
    if landings.is_empty() {
        return Err(Refusal::moment("The tests are public already.").into());
    }
    let now = tx.now();
    for landing in landings {
        store::landing::save(&mut tx, actor, landing.schedule(wish.when, &release, now)?).await?;
    }
    store::job::queue(&mut tx, &Job::Land { release: id.clone() }, now).await?;
    Ok(app.commit(tx).await?)
}

/// Plans the landings of a release that is done, in the write that says so.
pub(super) async fn plan(tx: &mut Tx, release: &Release, manifest: &Manifest) -> Result<()> {
    let lines = store::project::lines(tx, &release.project).await?;
    let mut planned: Vec<LineId> = Vec::new();
    for tests in &manifest.tests {
        let line = lines.iter().find(|line| line.id == tests.line);
        if let Some(line) = line.filter(|line| !planned.contains(&line.id)) {
            store::landing::add(tx, &CHORE, Landing::plan(release, (line.upstream, line.id))).await?;
            planned.push(line.id);
        }
    }
    Ok(())
}

/// Queues the releases of which tests are due, or wait for an answer.
pub async fn sweep(app: &App) -> Result<()> {
    let mut rows = app.read().await?;
    let due = store::landing::due(&mut rows, app.clock.now()).await?;
    drop(rows);
    if due.is_empty() {
        return Ok(());
    }
    let mut tx = app.begin("landing.queue").await?;
    let now = tx.now();
    for release in due {
        store::job::queue(&mut tx, &Job::Land { release }, now).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Goes on with a landing whose checks have ended.
pub(super) async fn checked(tx: &mut Tx, release: &Release) -> Result<()> {
    let now = tx.now();
    match release.state {
        ReleaseState::Done => Ok(store::job::queue(tx, &Job::Land { release: release.id.clone() }, now).await?),
        ReleaseState::Planned
        | ReleaseState::Frozen
        | ReleaseState::Armed
        | ReleaseState::Running
        | ReleaseState::Held
        | ReleaseState::Abandoned => Ok(()),
    }
}

/// Lands what is due of a release, line by line; one that needs a person holds no other. Safe to repeat, and to run twice at once.
pub async fn run(app: &App, id: &ReleaseId) -> Result<Settled> {
    let mut rows = app.read().await?;
    let (_, grants) = open_release(&mut rows, &CHORE, id, Action::Maintain).await?;
    let lines: Vec<_> = store::landing::of_release(&mut rows, &grants, id).await?.iter().map(|it| it.line).collect();
    drop(rows);
    for line in lines {
        for _ in 0..STEPS {
            match step(app, id, line).await {
                Ok(true) => {}
                // Another job, or a person, was faster: the next minute looks again.
                Ok(false) | Err(Error::Conflict) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Settled::Done)
}

/// Does the next thing on one line; false if there is none now.
async fn step(app: &App, id: &ReleaseId, line: LineId) -> Result<bool> {
    let mut rows = app.read().await?;
    let (release, grants) = open_release(&mut rows, &CHORE, id, Action::Maintain).await?;
    let mut landings = store::landing::of_release(&mut rows, &grants, id).await?.into_iter();
    let Some(landing) = landings.find(|landing| landing.line == line) else { return Ok(false) };
    let awaited = store::landing::awaited(&mut rows, id, line).await?;
    drop(rows);
    let before = landing.clone();
    let step = next(&release, &landing, app.clock.now());
    if awaited && matches!(step, Step::Build | Step::Push) {
        // The next minute looks again; it is said once.
        return if landing.note == AWAITED { Ok(false) } else { save(app, landing.wait(AWAITED)).await };
    }
    let done = match step {
        Step::Rest => return Ok(false),
        Step::Build => build(app, landing).await,
        Step::Check => check(app, landing).await,
        Step::Push => push(app, landing).await,
    };
    match done {
        Ok(done) => Ok(done),
        Err(Error::Conflict) => Err(Error::Conflict),
        Err(Error::Refused(refusal)) => save(app, before.stick(&refusal.to_string())).await,
        Err(error) => {
            tracing::error!(release = %id, error = &error as &dyn std::error::Error, "a landing failed");
            let now = app.clock.now();
            save(app, before.again(OURS, now)).await
        }
    }
}

/// Puts the tests onto the line as it is now.
async fn build(app: &App, landing: Landing) -> Result<bool> {
    let (mut tx, gathered) = gather(app, &CHORE, &landing.release, Action::Maintain, "landing.gather").await?;
    let manifest = super::disclose::manifest(app, &mut tx, &gathered.grants, &gathered.release).await?;
    let work = Work::of(app, &mut tx, &gathered, (&manifest, &landing)).await?;
    app.commit(tx).await?;
    let tip = match work.place.tip(app).await? {
        Tip::At(tip) => tip,
        Tip::Gone => return save(app, landing.stick("There is no such branch in public.")).await,
        Tip::Silent => return save(app, landing.again(SILENT, app.clock.now())).await,
    };
    let repo = &work.place.repo;
    work.bring(app).await?;
    let commit = match app.git.combine(repo, &tip, &work.topics, (work.strategy, &work.stamp)).await? {
        Merged::Clean { commit, tree } if commit == tip || tree == app.git.commit(repo, &tip).await?.tree => {
            return save(app, landing.find("The line holds them already.", app.clock.now())).await;
        }
        Merged::Clean { commit, .. } => commit,
        Merged::Conflict { paths, .. } => {
            let note = format!("They do not fit the line as it is now, in {} files.", paths.len());
            return save(app, landing.stick(&note)).await;
        }
        Merged::Differs { .. } => {
            let note = "They hold a merge, and their commits alone do not add up to what was approved.";
            return save(app, landing.stick(note)).await;
        }
    };
    app.git.keep(repo, std::slice::from_ref(&commit)).await?;
    // What a row names is on the disk before the row is.
    app.git.settle().await?;
    app.crash.pass("landing:building");
    let unchecked = Unchecked { line: landing.line, commit: commit.clone(), base: tip.clone() };
    let change = landing.build(Landed { base: tip, commit });
    let mut tx = app.begin("landing.built").await?;
    if change.next.state == LandingState::Checking {
        let id = change.next.release.clone();
        check::queue_candidates(app, &mut tx, &id, &[unchecked], &[]).await?;
    }
    store::landing::save(&mut tx, &CHORE, change).await?;
    app.commit(tx).await?;
    app.crash.pass("landing:built");
    Ok(true)
}

/// Asks how the checks went of what was built.
async fn check(app: &App, landing: Landing) -> Result<bool> {
    let Some(landed) = landing.landed.clone() else { return Err(Error::Conflict) };
    let mut tx = app.begin("landing.check").await?;
    let (release, grants) = open_release(&mut tx, &CHORE, &landing.release, Action::Maintain).await?;
    let manifest = super::disclose::manifest(app, &mut tx, &grants, &release).await?;
    let owner = Owner::Release(release.id.clone());
    let pass = super::open_owner(&mut tx, &Actor::System(Chore::Checks), &owner, Action::RunChecks).await?;
    let run = store::check::newest(&mut tx, &pass, landing.line, &landed.commit).await?;
    let waived = line::tests_of(&manifest, landing.line).any(|tests| tests.checks == ChecksWord::Waived);
    let change = match Checks::of(run.as_ref().map(|run| run.state), waived && run.is_some()) {
        Checks::Green | Checks::Nothing | Checks::Waived => landing.pass(),
        Checks::Running => {
            app.commit(tx).await?;
            return Ok(false);
        }
        Checks::Failed => landing.stick("Put onto the line as it is now, their checks are not green."),
        Checks::NotRun => landing.stick("Put onto the line as it is now, their checks could not run here."),
        Checks::Missing => landing.follow(tx.now()),
    };
    write(app, tx, change).await?;
    app.crash.pass("landing:checked");
    Ok(true)
}

/// Looks where the line is in public, and pushes if it is where it was when the tests were put onto it.
async fn push(app: &App, landing: Landing) -> Result<bool> {
    let Some(landed) = landing.landed.clone() else { return Err(Error::Conflict) };
    let place = line::Place::of(app, &landing).await?;
    let now = || app.clock.now();
    let tip = match place.tip(app).await? {
        Tip::At(tip) => tip,
        Tip::Gone => return save(app, landing.stick("There is no such branch in public.")).await,
        Tip::Silent => return save(app, landing.again(SILENT, now())).await,
    };
    if app.git.is_ancestor(&place.repo, &landed.commit, &tip).await? {
        return save(app, landing.find("Found in public.", now())).await;
    }
    if tip != landed.base {
        return save(app, landing.follow(now())).await;
    }
    let plan = [Leased { name: place.line.branch(), old: landed.base, new: landed.commit }];
    let mut outcome = app.git.dry_run(&place.repo, &place.remote, &plan).await?;
    if outcome == PushOutcome::Done {
        outcome = app.git.push_atomic(&place.repo, &place.remote, &plan).await?;
        app.crash.pass("landing:pushed");
    }
    match outcome {
        // What is written down is what is read back, in the next step.
        PushOutcome::Done | PushOutcome::AlreadyDone => match place.tip(app).await? {
            Tip::At(tip) if app.git.is_ancestor(&place.repo, &plan[0].new, &tip).await? => {
                save(app, landing.find("Pushed, and read back.", now())).await
            }
            Tip::At(_) | Tip::Gone | Tip::Silent => {
                save(app, landing.again("Pushed, and not seen in public yet.", now())).await
            }
        },
        PushOutcome::Stale { .. } => save(app, landing.follow(now())).await,
        PushOutcome::Refused { sent: false, .. } => {
            save(app, landing.stick("The public repository refuses this push; nothing was sent.")).await
        }
        PushOutcome::Refused { sent: true, .. } => {
            let note = "The public repository refused the push after it had the objects: they may be public.";
            save(app, landing.stick(note)).await
        }
        PushOutcome::Unknown { .. } => {
            save(app, landing.again("The connection was lost during the push.", now())).await
        }
    }
}

async fn save(app: &App, change: Change<Landing>) -> Result<bool> {
    let tx = app.begin("landing.save").await?;
    write(app, tx, change).await?;
    Ok(true)
}

/// Writes a landing down; one that came to a halt calls those who manage the release, one that is public has the mirror follow.
async fn write(app: &App, mut tx: Tx, change: Change<Landing>) -> Result<()> {
    let (id, state, upstream) = (change.next.release.clone(), change.next.state, change.next.upstream);
    store::landing::save(&mut tx, &CHORE, change).await?;
    let now: Timestamp = tx.now();
    match state {
        LandingState::Stuck => {
            let (release, _) = open_release(&mut tx, &CHORE, &id, Action::Maintain).await?;
            super::disclose::call(app, &mut tx, &release).await?;
        }
        LandingState::Done => store::job::queue(&mut tx, &Job::Mirror { upstream }, now).await?,
        LandingState::Waiting | LandingState::Checking | LandingState::Pushing | LandingState::Never => {}
    }
    app.crash.pass(&format!("landing:{state}"));
    app.commit(tx).await?;
    tracing::info!(release = %id, %state, "a landing");
    Ok(())
}
