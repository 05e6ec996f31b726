//! Tries, while there is time, what a release will need at its instant: the push to each public repository, and mail.
//!
//! Guards: a trial sends no object and names nothing but the refs that would move; what it finds blocks the release early
//! instead of holding it at its instant.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::public::{Public, leased, moved_by};
use super::readiness::{Gathered, gather, open_release};
use super::{Error, Result};
use crate::app::App;
use crate::domain::access::Action;
use crate::domain::actor::{Actor, Chore};
use crate::domain::id::ReleaseId;
use crate::domain::job::Job;
use crate::domain::project::Upstream;
use crate::domain::rehearsal::{Rehearsal, Target};
use crate::domain::release::Release;
use crate::domain::signing::Commits;
use crate::domain::trial::{Trial, due};
use crate::forge::repository::ForgeRepository;
use crate::forge::rules::{History, PushShape};
use crate::git::publish::Leased;
use crate::store;
use crate::store::job::Settled;

const CHORE: Actor = Actor::System(Chore::Disclose);

/// Queues the trials that are due.
pub async fn sweep(app: &App) -> Result<()> {
    let mut rows = app.read().await?;
    let mut wanted = Vec::new();
    let now = app.clock.now();
    for id in store::release::near(&mut rows, (now, Timestamp::MAX)).await? {
        let (release, grants) = match open_release(&mut rows, &CHORE, &id, Action::Maintain).await {
            Ok(found) => found,
            Err(Error::NotFound) => continue,
            Err(error) => return Err(error),
        };
        let tried = store::trial::of_release(&mut rows, &grants, &id).await?;
        let rehearsed = release.targets.iter().any(|target| matches!(target.rehearsal, Rehearsal::Candidate(_)));
        if rehearsed && due(&release, &tried, now) {
            wanted.push(id);
        }
    }
    drop(rows);
    if wanted.is_empty() {
        return Ok(());
    }
    let mut tx = app.begin("trial.queue").await?;
    let now = tx.now();
    for release in wanted {
        store::job::queue(&mut tx, &Job::Try { release }, now).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Tries the push of a release on every public repository, and greets the mail server.
pub async fn run(app: &App, id: &ReleaseId) -> Result<Settled> {
    let (tx, gathered) = gather(app, &CHORE, id, Action::Maintain, "trial.gather").await?;
    app.commit(tx).await?;
    let Gathered { release, facts, layout, .. } = gathered;
    let mut trials = Vec::new();
    for upstream in &layout.upstreams {
        let mut plan: Vec<Leased> = Vec::new();
        for (target, known) in release.targets.iter().zip(&facts.targets) {
            let (Rehearsal::Candidate(candidate), true) = (&target.rehearsal, target.upstream == upstream.id) else {
                continue;
            };
            let (branches, tag) = moved_by(target, known, layout.place(target)?.0, candidate);
            for moved in branches.iter().chain([&tag]).map(leased) {
                // Several tags may stand on one line.
                if !plan.contains(&moved) {
                    plan.push(moved);
                }
            }
        }
        if plan.is_empty() {
            continue;
        }
        let rules = rules(app, &release, upstream, &plan).await;
        let outcome = Public::trial(app, id, upstream, plan)?.try_push().await;
        trials.push(Trial { upstream: upstream.id, outcome, rules, tried_at: app.clock.now() });
    }
    super::mail::greet(app).await;
    app.door.note(app.forge.certificate(app.config.base_url.as_str()).await);
    let mut tx = app.begin("trial.save").await?;
    let (found, grants) = open_release(&mut tx, &CHORE, id, Action::Maintain).await?;
    // What was tried is not the plan any more: the next minute tries that one.
    if found.targets == release.targets {
        for trial in &trials {
            store::trial::save(&mut tx, &grants, id, trial).await?;
        }
    }
    app.commit(tx).await?;
    Ok(Settled::Done)
}

/// Asks the forge of a repository which of its rules stand against a push; nothing where none is configured.
async fn rules(app: &App, release: &Release, upstream: &Upstream, plan: &[Leased]) -> Vec<String> {
    let settings = super::project::settings(app, upstream);
    let Some((forge, token)) = settings.and_then(|it| it.forge.as_ref().zip(it.password_file.as_deref())) else {
        return Vec::new();
    };
    let Ok(repository) = ForgeRepository::open(forge.kind, &forge.api, &forge.place, token) else {
        return vec!["its token cannot be read: see to `password_file`, mode 0600".to_owned()];
    };
    let commits = app.config.project(&release.project).map_or(Commits::Unsigned, |project| project.commits);
    let mut push = PushShape { commits, branches: BTreeMap::new(), tags: BTreeSet::new() };
    let (branches, tags): (Vec<_>, Vec<_>) =
        plan.iter().partition(|leased| !leased.name.as_str().starts_with("refs/tags/"));
    push.tags = tags.into_iter().map(|leased| leased.name.clone()).collect();
    for leased in branches {
        let here = |target: &&Target| match &target.rehearsal {
            Rehearsal::Candidate(candidate) => target.upstream == upstream.id && candidate.commit == leased.new,
            Rehearsal::None | Rehearsal::Trouble { .. } => false,
        };
        let merges = release.targets.iter().find(here).is_none_or(|target| target.strategy.keeps_commits());
        push.branches.insert(leased.name.clone(), if merges { History::Merged } else { History::Linear });
    }
    app.forge.rules(&repository, &push).await
}
