//! Reminders of releases whose instant comes near. Asked every minute; each reminder reaches a person once.

use std::collections::BTreeSet;

use super::disclose::mail_id;
use super::readiness::gather;
use super::{Error, Result};
use crate::app::App;
use crate::domain::access::{Action, Consent, Holder};
use crate::domain::actor::{Actor, Chore};
use crate::domain::id::ReleaseId;
use crate::domain::reminder;
use crate::notify::notice::Notice;
use crate::store;

const CHORE: Actor = Actor::System(Chore::Disclose);

/// Reminds those who can act of every release that comes near.
pub async fn sweep(app: &App) -> Result<()> {
    if app.mailer.is_off() {
        return Ok(());
    }
    let now = app.clock.now();
    let until = now.checked_add(reminder::horizon()).unwrap_or(now);
    let mut rows = app.read().await?;
    let near = store::release::near(&mut rows, (now, until)).await?;
    drop(rows);
    for release in near {
        match remind(app, &release).await {
            Ok(()) => {}
            // It changed meanwhile: the next minute looks again.
            Err(Error::Conflict | Error::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn remind(app: &App, id: &ReleaseId) -> Result<()> {
    let (mut tx, found) = gather(app, &CHORE, id, Action::Maintain, "reminder.remind").await?;
    let Some(at) = reminder::due(&found.release, tx.now()) else { return Ok(app.commit(tx).await?) };
    // Whoever was told since that it is blocked does not hear it twice for this time.
    let alarm = store::alarm::of_release(&mut tx, &found.grants, id).await?;
    if !alarm.roles.is_empty() && alarm.at.is_some_and(|told| told >= at) {
        return Ok(app.commit(tx).await?);
    }
    let blockers = found.release.readiness(&found.facts, &found.policy).err().unwrap_or_default();
    let mut told = BTreeSet::new();
    for grant in found.grants.each() {
        for seat in store::member::of_case(&mut tx, grant).await? {
            let Holder::Person(person) = seat.holder else { continue };
            let reads = seat.consent == Consent::Signatory && reminder::concerns(seat.role, &found.release, &blockers);
            if !reads || !told.insert(person) {
                continue;
            }
            let known = store::account::find(&mut tx, person).await?;
            let Some(address) = known.and_then(|person| person.email) else { continue };
            let sealing = app.sealing(&mut tx, grant).await?;
            let mail = mail_id(at.as_second(), &format!("remind {id} {} {person}", at.as_second()));
            let about = (grant.case(), Some(id));
            super::mail::queue_as(&mut tx, &sealing, mail, about, (&Notice::ReleaseNear, &address)).await?;
        }
    }
    Ok(app.commit(tx).await?)
}
