//! Disclosing now: one word of as many people as the project asks for, and the run begins.
//!
//! A planned release is frozen first, as it was rehearsed. What is passed over is what the project's configuration allows, and
//! stands in the release from then on; everything else blocks as ever. The run itself is `disclose`, unchanged.

use super::readiness::gather;
use super::release::{blocked, named, wake_at_its_time, write_down};
use super::{Error, Result, shown_at};
use crate::app::App;
use crate::domain::access::Action;
use crate::domain::actor::Actor;
use crate::domain::blocker::Blocker;
use crate::domain::id::ReleaseId;
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
    let (release, facts) = if gathered.release.state == ReleaseState::Planned {
        write_down(app, &mut tx, actor, (ready, gathered)).await?
    } else {
        (gathered.release, gathered.facts)
    };
    let account = release.haste_account(&facts, &policy);
    let change = release.disclose_now(account, person, &policy, now)?;
    let release = store::release::save(&mut tx, actor, change).await?;
    if release.haste.in_force() {
        tracing::warn!(release = %id, "a release is disclosed now, before its instant");
    } else {
        super::disclose::call(app, &mut tx, &release).await?;
    }
    wake_at_its_time(&mut tx, &release).await?;
    Ok(app.commit(tx).await?)
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
