//! The beginning of a run: what it needs is read shortly before its instant, and what was armed is looked at again.
//!
//! Guards: state, journal and recipients come into being in one write, at the instant or after it and never before; what is
//! no longer as it was armed is held at once. Leaves the run itself to `disclose`.

use jiff::{SignedDuration, Timestamp};

use super::disclose::{call, manifest, recipients};
use super::readiness::{gather, open_release};
use super::{Error, Result};
use crate::app::App;
use crate::domain::access::Action;
use crate::domain::actor::{Actor, Chore, Via};
use crate::domain::blocker::BlockerKind;
use crate::domain::effect::journal;
use crate::domain::hold::{Hold, HoldReason};
use crate::domain::id::ReleaseId;
use crate::domain::rehearsal::Rehearsal;
use crate::domain::release::{Release, ReleaseState};
use crate::store::{self, Tx};

const CHORE: Actor = Actor::System(Chore::Disclose);
/// How long before its instant a run gets the database for itself and reads what it needs: at the instant it waits for
/// nobody. Whoever writes meanwhile waits that long.
pub(super) const LEAD: SignedDuration = SignedDuration::from_millis(300);

/// Whether a run began.
pub(super) enum Begun {
    Yes,
    /// Not yet: it is looked at again at this instant.
    Early(Timestamp),
}

/// Begins the run at its instant: state, journal and recipients in one write. What is no longer as it was armed is held at once.
pub(super) async fn begin(app: &App, id: &ReleaseId) -> Result<Begun> {
    let (mut tx, mut gathered) = gather(app, &CHORE, id, Action::Maintain, "disclose.begin").await?;
    if gathered.release.state != ReleaseState::Armed {
        // Another run began it, or somebody disarmed it, since it was looked at.
        return Err(Error::Conflict);
    }
    let due_at = gathered.release.due_at;
    // It was moved, or the clock set back, since this came due: nobody else is kept waiting for that.
    if due_at.duration_since(app.clock.now()) > LEAD {
        return Ok(Begun::Early(due_at - LEAD));
    }
    // Nobody else writes from here on, so what was read holds at the instant, too.
    app.clock.reach(due_at).await;
    let now = app.clock.now();
    if now < due_at {
        return Ok(Begun::Early(due_at));
    }
    tx.happens(now);
    gathered.facts.now = now;
    let begun = store::release::save(&mut tx, &CHORE, gathered.release.begin(now)?).await?;
    let manifest = manifest(app, &mut tx, &gathered.grants, &begun).await?;
    let recipients = recipients(&mut tx, &gathered.grants).await?;
    let mut effects = journal(&manifest, &recipients);
    super::hook::schedule(&mut effects, &manifest, now);
    store::effect::write(&mut tx, id, &effects).await?;
    let moved = begun.targets.iter().zip(&gathered.facts.targets).find(|(target, known)| {
        let Rehearsal::Candidate(candidate) = &target.rehearsal else { return true };
        known.tip.as_ref() != Some(&candidate.base)
    });
    let armed = still_armed(&mut tx, &begun).await?;
    let blockers = begun.readiness(&gathered.facts, &gathered.policy).err().unwrap_or_default();
    let lost = blockers.iter().find(|blocker| blocker.kind.stops_the_run());
    let reason = match (moved, lost) {
        (None, None) if !armed => Some(Hold {
            reason: HoldReason::NotReady,
            note: "Somebody who armed it may not arm it any more: disarm it, and have it armed anew.".to_owned(),
        }),
        (None, None) => begun.missed(&gathered.policy, now),
        (Some((_, known)), _) => Some(Hold { reason: HoldReason::LineMoved, note: line_moved(known.line.as_str()) }),
        // A stale rehearsal whose lines stand still means that a fix moved after freezing.
        (None, Some(blocker)) if blocker.kind == BlockerKind::RehearsalStale => Some(Hold {
            reason: HoldReason::NotReady,
            note: "A fix changed after the release was frozen: what was armed is no longer what its authors want."
                .to_owned(),
        }),
        (None, Some(blocker)) => Some(Hold { reason: HoldReason::NotReady, note: blocker.sentence.clone() }),
    };
    if let Some(hold) = reason {
        let held = store::release::save(&mut tx, &CHORE, begun.hold(hold)?).await?;
        call(app, &mut tx, &held).await?;
    }
    app.crash.pass("disclose:beginning");
    app.commit(tx).await?;
    app.crash.pass("disclose:begun");
    Ok(Begun::Yes)
}

/// Tells whether everybody who armed a release could arm it now: a word counts as long as its seat does.
async fn still_armed(tx: &mut Tx, release: &Release) -> Result<bool> {
    for arming in &release.armings {
        let actor = Actor::Person { id: arming.person, via: Via::Session { fresh: true } };
        match open_release(tx, &actor, &release.id, Action::ArmRelease).await {
            Ok(_) => {}
            Err(Error::NotFound | Error::Refused(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

pub(super) fn line_moved(line: &str) -> String {
    format!("The public line {line} moved after the release was frozen.")
}
