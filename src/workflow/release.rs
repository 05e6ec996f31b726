//! Release trains: planned, rehearsed, frozen, armed. What happens at the instant is `disclose`.
//!
//! A rehearsal builds what the release would push, with the release's own dates and signature, so that the ids people arm
//! are the ids that become public. Freezing pushes nothing and builds nothing: it writes down what was rehearsed.

use jiff::Timestamp;

use super::channel::Prepared;
use super::readiness::{Gathered, Layout, SETTLED, gather, open_release, policy};
use super::rendering::Rendered;
use super::{Error, Result, open, shown_at};
use crate::app::App;
use crate::domain::access::{Action, Grants};
use crate::domain::actor::{Actor, Chore};
use crate::domain::blocker::Blocker;
use crate::domain::change::Change;
use crate::domain::digest::Digest;
use crate::domain::id::{CaseId, LineId, PersonId, ReleaseId};
use crate::domain::job::Job;
use crate::domain::manifest::{ChecksWord, FrozenFix, Manifest, Repository};
use crate::domain::project::TeamKind;
use crate::domain::readiness::{Facts, Ready};
use crate::domain::refusal::Refusal;
use crate::domain::rehearsal::{Rehearsal, Target};
use crate::domain::release::{Policy, Release, ReleaseState};
use crate::domain::repo::{CommitId, LineName};
use crate::domain::sealed::Sealed;
use crate::store::{self, Tx};
use crate::wire::release::{ArmingView, ReleaseSummary, ReleaseView, TargetView};

/// The place of a sealed manifest.
pub(super) const MANIFEST: (&str, &str) = ("release", "manifest");
/// The place of a sealed document.
pub(super) const DOCUMENT: (&str, &str) = ("release_document", "body");

const CHORE: Actor = Actor::System(Chore::Disclose);

/// Lists the releases this person may see whole.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<ReleaseSummary>> {
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let mut rows = app.read().await?;
    let (mut live, mut over) = (Vec::new(), Vec::new());
    for listed in store::release::of_person(&mut rows, person).await? {
        // The list is joined on membership; a token may reach less.
        match open_release(&mut rows, actor, &listed.id, Action::ReadTeam).await {
            Ok((release, _)) if release.live() => live.push(release.id),
            Ok((release, _)) => over.push(summary(&release, Vec::new())),
            Err(Error::NotFound | Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    drop(rows);
    let mut summaries = Vec::new();
    for id in &live {
        let (tx, found) = gather(app, actor, id, Action::ReadTeam, "release.list").await?;
        let blockers = found.release.readiness(&found.facts, &found.policy).err().map_or(0, |all| all.len());
        let needs = found.release.needs(blockers, &found.policy, tx.now());
        app.commit(tx).await?;
        summaries.push(summary(&found.release, needs));
    }
    summaries.append(&mut over);
    Ok(summaries)
}

/// Shows a release: plan, blockers, who armed it, and its run.
pub async fn show(app: &App, actor: &Actor, id: &ReleaseId) -> Result<ReleaseView> {
    let (mut tx, gathered) = gather(app, actor, id, Action::ReadTeam, "release.show").await?;
    let Gathered { release, grants, facts, policy, layout, .. } = gathered;
    let mut people = Vec::new();
    for arming in &release.armings {
        people.push(ArmingView { person: named(&mut tx, arming.person).await?, at: shown_at(arming.armed_at) });
    }
    let haste = super::haste::view(&mut tx, &release, (&facts, &policy)).await?;
    let mut targets = Vec::new();
    for (target, known) in release.targets.iter().zip(&facts.targets) {
        let mut view = target_view(&layout, target)?;
        if let Rehearsal::Candidate(candidate) = &target.rehearsal {
            let checks = release.candidate_checks(candidate, (target, known), &facts);
            let of = (candidate, checks, &known.candidate);
            view.standing = Some(super::candidate::view(app, &mut tx, (&release, &grants), of).await?);
        }
        view.fallen = super::candidate::fallen(target, &known.line, &known.candidate);
        super::preview::words(&mut view, target, known);
        targets.push(view);
    }
    let ready_in = super::candidate::ready_in(app, &mut tx, (&release, &grants), &facts).await?;
    let manages = grants.each().iter().all(|grant| grant.also(Action::PlanRelease));
    let channels = super::channel::names(app, &mut tx, &release, &grants).await?;
    let awaits = super::awaited::sentences(app, &mut tx, (&release, &grants), (&facts, &layout)).await?;
    let embargoes: Vec<_> = facts.cases.iter().map(|known| (known.case.clone(), known.embargo.clone())).collect();
    let waves = super::wave::views(&mut tx, (&release, &grants), (&facts.waves, &embargoes)).await?;
    let hooks = super::hook::views(app, &mut tx, (&release, &grants)).await?;
    let details = super::details::of_release(&mut tx, (&release, &grants)).await?;
    let tests = super::landing::view::view(app, &mut tx, (&release, &grants), (&facts, &layout)).await?;
    let journal = super::journal::views(&mut tx, (&release, &grants), &layout, manages).await?;
    app.commit(tx).await?;
    for (view, target) in targets.iter_mut().zip(&release.targets) {
        view.commits = super::preview::commits(app, &release, target).await?;
        view.moves = super::preview::moves(app, &release, target).await?;
        view.version_patch = super::preview::version_patch(app, &release, target).await?;
    }
    let blockers = match release.state {
        ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Armed | ReleaseState::Held => {
            release.readiness(&facts, &policy).err().unwrap_or_default()
        }
        ReleaseState::Running | ReleaseState::Done | ReleaseState::Abandoned => Vec::new(),
    };
    let arms = manages && actor.person().is_some_and(|me| release.armings.iter().all(|arming| arming.person != me));
    Ok(ReleaseView {
        allowed: if manages { allowed(&release, blockers.is_empty(), (arms, tests.is_open())) } else { Vec::new() },
        summary: summary(&release, release.needs(blockers.len(), &policy, facts.now)),
        cases: release.cases.iter().map(ToString::to_string).collect(),
        targets,
        channels,
        awaits,
        trials: facts.around.trials.iter().map(super::preview::trial_view).collect(),
        dress: facts.around.dress.as_ref().map(super::dress::view),
        waves,
        hooks,
        details,
        tests,
        blockers: blockers.iter().map(super::preview::blocker_view).collect(),
        digest: release.digest().map(|digest| digest.to_string()),
        armed_by: people,
        arms_needed: policy.arms,
        haste,
        ready_in_seconds: ready_in.filter(|_| release.public_at.is_none() && release.live()).map(|took| took.as_secs()),
        hold: super::hold::view(app, &layout, &release)?,
        begun_at: release.begun_at.map(shown_at),
        public_at: release.public_at.map(shown_at),
        done_at: release.done_at.map(shown_at),
        effects: journal,
    })
}

/// Freezes what was rehearsed into a manifest, and keeps the documents as they will be published.
pub async fn freeze(app: &App, actor: &Actor, id: &ReleaseId) -> Result<()> {
    let (mut tx, gathered) = gather(app, actor, id, Action::PlanRelease, "release.freeze").await?;
    let ready = gathered.release.readiness(&gathered.facts, &gathered.policy).map_err(blocked)?;
    let frozen = write_down(app, &mut tx, actor, (ready, gathered)).await?;
    wake_at_its_time(&mut tx, &frozen.release).await?;
    Ok(app.commit(tx).await?)
}

/// Writes the manifest of a release that was found ready, and its documents. Returns it with what is known of it.
pub(super) async fn write_down(
    app: &App,
    tx: &mut Tx,
    actor: &Actor,
    (ready, gathered): (Ready, Gathered),
) -> Result<Gathered> {
    let (manifest, channels) = composed(app, &gathered)?;
    let (release, grants) = (gathered.release, &gathered.grants);
    store::hook::plan(tx, &release.id, &manifest.hooks).await?;
    let sealed = keep(app, tx, (&release, grants), (&manifest, &gathered.advisories, &channels)).await?;
    for rendered in &gathered.advisories {
        let grant = grant_of(grants, &rendered.case)?;
        let text = app.sealing(tx, grant).await?.seal(SETTLED, &rendered.case.to_string(), rendered.text())?;
        store::advisory::settle(tx, grant, &text).await?;
    }
    let change = release.freeze(ready, &manifest, sealed)?;
    let release = store::release::save(tx, actor, change).await?;
    Ok(Gathered { release, ..gathered })
}

/// Keeps what a release will publish, sealed, in place of what was kept before; returns its manifest as it is to be saved.
pub(super) async fn keep(
    app: &App,
    tx: &mut Tx,
    (release, grants): (&Release, &Grants),
    (manifest, advisories, channels): (&Manifest, &[Rendered], &[Prepared]),
) -> Result<Sealed<Manifest>> {
    let id = &release.id;
    super::channel::freeze(app, tx, (id, grants), channels).await?;
    for rendered in advisories {
        let grant = grant_of(grants, &rendered.case)?;
        let sealing = app.sealing(tx, grant).await?;
        let frozen = manifest.advisory_of(&rendered.case).ok_or(Error::Conflict)?;
        super::details::freeze(app, tx, grant, (id, rendered.later.as_ref())).await?;
        let mut files = Vec::new();
        for (document, file) in frozen.documents.iter().zip(rendered.documents.as_slice()) {
            let text = String::from_utf8(file.bytes.clone()).map_err(|error| Error::Internal(Box::new(error)))?;
            files.push((document.clone(), sealing.seal(DOCUMENT, document.path.as_str(), &text)?));
        }
        store::publication::freeze(tx, grant, id, &files).await?;
    }
    let sealing = app.sealing(tx, grant_of(grants, &release.cases[0])?).await?;
    Ok(sealing.seal(MANIFEST, &id.to_string(), manifest)?)
}

/// Puts together what a freezing writes down, and what the channels will publish.
pub(super) fn composed(app: &App, gathered: &Gathered) -> Result<(Manifest, Vec<Prepared>)> {
    let Gathered { release, facts, advisories, layout, policy, .. } = gathered;
    let packages = super::awaited::prepare(app, release, facts, layout)?;
    let channels = super::channel::prepare(app, (release, layout), advisories, &packages)?;
    let manifest = Manifest {
        packages,
        channels: channels.iter().map(|channel| channel.frozen.clone()).collect(),
        waves: facts.waves.iter().map(|known| known.planned.wave.clone()).collect(),
        hooks: super::hook::prepare(app, release)?,
        tests: release.landings(facts, policy),
        ..manifest(release, facts, advisories, layout)?
    };
    Ok((manifest, channels))
}

pub(super) fn grant_of<'a>(grants: &'a Grants, case: &CaseId) -> Result<&'a crate::domain::access::Grant> {
    grants.each().iter().find(|grant| grant.case() == case).ok_or(Error::NotFound)
}

/// Writes down what was rehearsed: every ref with its old and new value, every document by its hash.
fn manifest(release: &Release, facts: &Facts, advisories: &[Rendered], layout: &Layout) -> Result<Manifest> {
    let mut repositories: Vec<Repository> = Vec::new();
    let mut fixes = Vec::new();
    for known in &facts.cases {
        for fix in &known.fixes {
            let Some(head) = &fix.head else { continue };
            // Readiness allows no such checks, unless the release is frozen to be disclosed now.
            let checks = fix.checks.frozen().unwrap_or(ChecksWord::PassedOver);
            fixes.push(FrozenFix { case: known.case.clone(), line: fix.line, commit: head.clone(), checks });
        }
    }
    let mut candidates = Vec::new();
    for (target, known) in release.targets.iter().zip(&facts.targets) {
        let (line, upstream) = layout.place(target)?;
        let Rehearsal::Candidate(candidate) = &target.rehearsal else {
            return Err(Refusal::moment("Rehearse the release first.").into());
        };
        let checks = release.candidate_checks(candidate, (target, known), facts);
        candidates.push(checks.frozen(target, candidate));
        let place = repositories.iter().position(|repository| repository.upstream == upstream.id);
        let at = place.unwrap_or(repositories.len());
        if place.is_none() {
            let here = |case: &CaseId| {
                let known = facts.cases.iter().find(|known| &known.case == case);
                let lines = |fix: LineId| layout.lines.iter().any(|l| l.id == fix && l.upstream == upstream.id);
                known.is_some_and(|known| known.fixes.iter().any(|fix| lines(fix.line)))
            };
            repositories.push(Repository {
                upstream: upstream.id,
                name: upstream.name.clone(),
                cases: release.cases.iter().filter(|case| here(case)).cloned().collect(),
                refs: Vec::new(),
            });
        }
        let refs = &mut repositories[at].refs;
        let (branches, tag) = super::public::moved_by(target, known, line, candidate);
        for branch in branches {
            // Several tags may stand on one line.
            if !refs.contains(&branch) {
                refs.push(branch);
            }
        }
        refs.push(tag);
    }
    Ok(Manifest {
        form: 1,
        release: release.id.clone(),
        project: release.project.clone(),
        dated_at: release.dated_at.as_second(),
        cases: release.cases.clone(),
        fixes,
        tests: Vec::new(),
        candidates,
        repositories,
        advisories: advisories.iter().map(Rendered::frozen).collect::<Result<_>>()?,
        packages: Vec::new(),
        channels: Vec::new(),
        waves: Vec::new(),
        hooks: Vec::new(),
    })
}

/// Arms the release by the digest of what was read: once enough people did, it publishes at its time without a human.
pub async fn arm(app: &App, actor: &Actor, id: &ReleaseId, read: &Digest) -> Result<()> {
    let (mut tx, gathered) = gather(app, actor, id, Action::ArmRelease, "release.arm").await?;
    let Gathered { release, facts, policy, .. } = gathered;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let ready = release.readiness(&facts, &policy).map_err(blocked)?;
    // It covers the instant, too: whoever read another one did not arm this.
    if release.digest().is_some_and(|digest| digest != *read) {
        return Err(Refusal::moment("The release or its instant changed since you read it: read it again.").into());
    }
    let now = tx.now();
    let release = store::release::save(&mut tx, actor, release.arm(ready, person, &policy, now)?).await?;
    wake_at_its_time(&mut tx, &release).await?;
    Ok(app.commit(tx).await?)
}

/// Takes everybody's arming back. Asks for no fresh sign-in: stopping must be quick.
pub async fn disarm(app: &App, actor: &Actor, id: &ReleaseId) -> Result<()> {
    change(app, actor, id, |release, _, _| release.disarm()).await
}

/// Moves the instant.
pub async fn postpone(app: &App, actor: &Actor, id: &ReleaseId, due_at: Timestamp) -> Result<()> {
    change(app, actor, id, |release, policy, now| release.postpone(due_at, policy, now)).await
}

/// Opens the plan of a frozen, armed or held release again.
pub async fn reopen(app: &App, actor: &Actor, id: &ReleaseId) -> Result<()> {
    change(app, actor, id, |release, _, _| release.reopen()).await
}

/// Opens the plan of the case's release again, because a reporter's credit changed, and calls those who manage it.
pub(super) async fn recall(app: &App, tx: &mut Tx, case: &CaseId) -> Result<()> {
    let Some(id) = store::release::live_of(tx, case, None).await? else { return Ok(()) };
    let (before, grants) = open_release(tx, &CHORE, &id, Action::Maintain).await?;
    let Some(change) = before.clone().recall()? else {
        // A name may stand in what is rehearsed.
        return wake_at_its_time(tx, &before).await;
    };
    super::wave::news::follow(app, tx, (&before, &grants), &change.next).await?;
    let release = store::release::save(tx, &CHORE, change).await?;
    super::disclose::call(app, tx, &release).await?;
    wake_at_its_time(tx, &release).await
}

/// Gives the release up.
pub async fn abandon(app: &App, actor: &Actor, id: &ReleaseId) -> Result<()> {
    change(app, actor, id, |release, _, _| release.abandon()).await
}

/// Goes on with a held run: what failed is looked at again first, and until something is public, whether it may go on at all.
pub async fn resume(app: &App, actor: &Actor, id: &ReleaseId) -> Result<()> {
    let (mut tx, gathered) = gather(app, actor, id, Action::ArmRelease, "release.resume").await?;
    let Gathered { release, grants, facts, policy, .. } = gathered;
    let change = release.clone().resume()?;
    if release.public_at.is_none() {
        let mut blockers = release.readiness(&facts, &policy).err().unwrap_or_default();
        blockers.retain(|blocker| blocker.kind.stops_the_run());
        if !blockers.is_empty() {
            return Err(blocked(blockers));
        }
    }
    let effects = store::effect::of_release(&mut tx, &grants, id).await?;
    store::effect::revive(&mut tx, effects, id).await?;
    let release = store::release::save(&mut tx, actor, change).await?;
    wake_at_its_time(&mut tx, &release).await?;
    Ok(app.commit(tx).await?)
}

async fn change(
    app: &App,
    actor: &Actor,
    id: &ReleaseId,
    decide: impl FnOnce(Release, &Policy, Timestamp) -> Result<Change<Release>, Refusal>,
) -> Result<()> {
    let mut tx = app.begin("release.change").await?;
    let (before, grants) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    let project = store::project::find(&mut tx, &before.project).await?.ok_or(Error::NotFound)?;
    let (policy, now) = (policy(app, &project), tx.now());
    let change = decide(before.clone(), &policy, now)?;
    super::wave::news::follow(app, &mut tx, (&before, &grants), &change.next).await?;
    let release = store::release::save(&mut tx, actor, change).await?;
    wake_at_its_time(&mut tx, &release).await?;
    Ok(app.commit(tx).await?)
}

/// Queues what the release's state asks for: a rehearsal of a plan, the run of what is armed or running.
pub(super) async fn wake_at_its_time(tx: &mut Tx, release: &Release) -> Result<()> {
    let (id, now) = (release.id.clone(), tx.now());
    match release.state {
        ReleaseState::Planned => store::job::queue(tx, &Job::Rehearse { release: id }, now).await?,
        ReleaseState::Armed => {
            store::job::queue(tx, &Job::Disclose { release: id }, release.due_at - super::begin::LEAD).await?;
        }
        ReleaseState::Running => store::job::queue(tx, &Job::Disclose { release: id }, now).await?,
        ReleaseState::Frozen | ReleaseState::Held | ReleaseState::Done | ReleaseState::Abandoned => {}
    }
    if matches!(release.state, ReleaseState::Frozen | ReleaseState::Armed) {
        super::wave::send::wake(tx, release).await?;
    }
    Ok(())
}

/// Answers for a head whose checks could not run here; recorded with the person.
pub async fn waive_checks(app: &App, actor: &Actor, case: &CaseId, line: &LineName, head: &CommitId) -> Result<()> {
    let mut tx = app.begin("release.waive").await?;
    let grant = open(&mut tx, actor, case, Action::ApproveFix).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let found = store::case::get(&mut tx, &grant).await?;
    let lines = store::project::lines(&mut tx, &found.project).await?;
    let mut fixes = store::fix::of_case(&mut tx, &grant).await?;
    fixes.extend(store::fix::tests_of_case(&mut tx, &grant).await?);
    let here = fixes.into_iter().filter(|fix| fix.head.as_ref() == Some(head)).find_map(|fix| {
        let at = lines.iter().find(|known| known.id == fix.line && &known.name == line)?;
        Some((at, fix))
    });
    let Some((line, fix)) = here else {
        return Err(Refusal::moment(format!("The fix of {line} is not at {}: look at it again.", head.short())).into());
    };
    let team = app.config.project(&found.project).map_or(TeamKind::Several, |settings| settings.team);
    let pushers = store::push::pushers(&mut tx, &grant, (line, fix.kind)).await?;
    let run = store::check::newest(&mut tx, &grant, line.id, head).await?;
    fix.may_waive((person, &pushers), team, run.map(|run| run.state))?;
    store::advisory::waive(&mut tx, &grant, fix.id, (head, person)).await?;
    Ok(app.commit(tx).await?)
}

pub(super) fn blocked(blockers: Vec<Blocker>) -> Error {
    Error::Blocked(blockers.into_iter().map(|blocker| blocker.sentence).collect())
}

pub(super) async fn named(tx: &mut Tx, person: PersonId) -> Result<String> {
    let found = store::account::find(tx, person).await?;
    Ok(found.map_or_else(|| "a former member".to_owned(), |person| format!("@{}", person.handle)))
}

/// Lists the verbs a release manager could use now, from the rules themselves.
fn allowed(release: &Release, ready: bool, (may_arm, tests): (bool, bool)) -> Vec<String> {
    let mut verbs = Vec::new();
    let planned = release.state == ReleaseState::Planned;
    let ahead = matches!(release.state, ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Armed);
    let each = [
        ("rehearse", planned),
        ("drop", planned && release.cases.len() > 1),
        ("wave", planned || release.state == ReleaseState::Frozen),
        ("set-strategy", planned),
        ("hold-details", planned),
        ("freeze", planned && ready),
        ("arm", release.state == ReleaseState::Frozen && ready && may_arm),
        ("disclose-now", release.may_hasten().is_ok() && !release.haste.in_force()),
        ("disarm", release.clone().disarm().is_ok()),
        ("postpone", ahead),
        ("reopen", release.clone().reopen().is_ok()),
        ("resume", release.clone().resume().is_ok()),
        ("tests", tests && release.state != ReleaseState::Abandoned),
        ("abandon", release.clone().abandon().is_ok()),
    ];
    verbs.extend(each.into_iter().filter(|(_, may)| *may).map(|(verb, _)| verb.to_owned()));
    verbs
}

fn summary(release: &Release, needs: Vec<String>) -> ReleaseSummary {
    ReleaseSummary {
        id: release.id.to_string(),
        project: release.project.to_string(),
        state: release.state.to_string(),
        due_at: shown_at(release.due_at),
        needs,
    }
}

fn target_view(layout: &Layout, target: &Target) -> Result<TargetView> {
    let (line, upstream) = layout.place(target)?;
    let (word, trouble, candidate, at) = match &target.rehearsal {
        Rehearsal::None => ("none", None, None, None),
        Rehearsal::Trouble { sentence, at } => ("trouble", Some(sentence.clone()), None, Some(*at)),
        Rehearsal::Candidate(candidate) => ("clean", None, Some(candidate), Some(candidate.at)),
    };
    Ok(TargetView {
        repository: upstream.name.to_string(),
        line: line.name.to_string(),
        tag: target.tag.to_string(),
        rehearsal: word.to_owned(),
        trouble,
        base: candidate.map(|candidate| candidate.base.to_string()),
        candidate: candidate.map(|candidate| candidate.commit.to_string()),
        tag_object: candidate.map(|candidate| candidate.tag_object.to_string()),
        tagged: candidate.map(|candidate| candidate.tagged().to_string()),
        rehearsed_at: at.map(shown_at),
        standing: None,
        fallen: None,
        strategy: String::new(),
        tag_style: String::new(),
        advances: Vec::new(),
        moves: Vec::new(),
        commits: Vec::new(),
        tag_message: None,
        version_patch: None,
        signed_by: None,
    })
}
