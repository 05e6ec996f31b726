//! Disclosing now: one word of as many people as the project asks for, and the run begins.
//!
//! A planned release is frozen first, as it was rehearsed. Its documents then bear the instant at which enough people had said so:
//! an advisory that is public does not speak of the future. What is passed over is what the project's configuration allows, and
//! stands in the release from then on; everything else blocks as ever. The run itself is `disclose`, unchanged.

use super::readiness::{Gathered, gather};
use super::release::{blocked, keep, named, wake_at_its_time, write_down};
use super::rendering::Rendered;
use super::{Error, Result, shown_at};
use crate::app::App;
use crate::domain::access::Action;
use crate::domain::actor::Actor;
use crate::domain::blocker::Blocker;
use crate::domain::change::Change;
use crate::domain::id::ReleaseId;
use crate::domain::manifest::Manifest;
use crate::domain::readiness::Facts;
use crate::domain::release::{Policy, Release, ReleaseState};
use crate::store::{self, Tx};
use crate::wire::release::{ArmingView, HasteView};

/// Says that a release is to be disclosed now. Asks for a fresh sign-in, as arming does.
pub async fn disclose_now(app: &App, actor: &Actor, id: &ReleaseId) -> Result<()> {
    let (mut tx, gathered) = gather(app, actor, id, Action::ArmRelease, "release.disclose_now").await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    gathered.release.may_hasten()?;
    let (policy, now) = (gathered.policy.clone(), tx.now());
    let account = gathered.release.haste_account(&gathered.facts, &policy);
    let ready = account.outcome.map_err(blocked)?;
    let gathered = if gathered.release.state == ReleaseState::Planned {
        write_down(app, &mut tx, actor, (ready, gathered)).await?
    } else {
        gathered
    };
    let account = gathered.release.haste_account(&gathered.facts, &policy);
    let change = gathered.release.clone().disclose_now(account, person, &policy, now)?;
    let mut release = store::release::save(&mut tx, actor, change).await?;
    if release.told_at() != release.dated_at {
        let change = redated(app, &mut tx, release, gathered).await?;
        release = store::release::save(&mut tx, actor, change).await?;
    }
    if release.haste.in_force() {
        tracing::warn!(release = %id, "a release is disclosed now, before its instant");
    } else {
        super::disclose::call(app, &mut tx, &release).await?;
    }
    wake_at_its_time(&mut tx, &release).await?;
    Ok(app.commit(tx).await?)
}

/// Has every document of a frozen release bear the instant at which it was decided to disclose it now. Commits and tags keep the
/// date they were rehearsed, checked and signed with.
async fn redated(app: &App, tx: &mut Tx, next: Release, gathered: Gathered) -> Result<Change<Release>> {
    let Gathered { grants, advisories, layout, .. } = gathered;
    let before = super::disclose::manifest(app, tx, &grants, &next).await?;
    let dated = advisories.into_iter().map(|rendered| rendered.dated(app, next.told_at()));
    let advisories = dated.collect::<Result<Vec<_>>>()?;
    let channels = super::channel::prepare(app, (&next, &layout), &advisories, &before.packages)?;
    let after = Manifest {
        advisories: advisories.iter().map(Rendered::frozen).collect::<Result<_>>()?,
        channels: channels.iter().map(|channel| channel.frozen.clone()).collect(),
        ..before.clone()
    };
    let sealed = keep(app, tx, (&next, &grants), (&after, &advisories, &channels)).await?;
    Ok(next.redate(&before, &after, sealed)?)
}

/// Shows who wants a release disclosed now and what it would mean; `None` once that question is over.
pub(super) async fn view(tx: &mut Tx, release: &Release, known: (&Facts, &Policy)) -> Result<Option<HasteView>> {
    let (facts, policy) = known;
    let ahead = release.may_hasten().is_ok() && !release.haste.in_force();
    if !ahead && !release.haste.in_force() {
        return Ok(None);
    }
    let mut asked_by = Vec::new();
    for (person, at) in release.haste.recent(facts.now) {
        asked_by.push(ArmingView { person: named(tx, *person).await?, at: shown_at(*at) });
    }
    let account = ahead.then(|| release.haste_account(facts, policy));
    let sentences = |blockers: &[Blocker]| blockers.iter().map(|blocker| blocker.sentence.clone()).collect::<Vec<_>>();
    let (passes_over, blocked_by) = match &account {
        Some(account) => {
            (sentences(&account.skipped), account.outcome.as_ref().err().map(|all| sentences(all)).unwrap_or_default())
        }
        None => (release.haste.skipped.iter().map(|skip| skip.sentence().to_owned()).collect(), Vec::new()),
    };
    let since = release.haste.since.map(shown_at);
    Ok(Some(HasteView { asked_by, needed: policy.haste.people.max(1), since, passes_over, blocked_by }))
}
