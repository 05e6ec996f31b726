//! Alarms of releases: who can act hears within a minute that one got into trouble, and once that it is clear again.

use std::collections::BTreeSet;

use super::disclose::mail_id;
use super::readiness::{Gathered, gather};
use super::{Error, Result};
use crate::app::App;
use crate::domain::access::{Action, Consent, Grants, Holder, Role};
use crate::domain::actor::{Actor, Chore};
use crate::domain::alarm::Word;
use crate::domain::id::ReleaseId;
use crate::notify::notice::Notice;
use crate::store::{self, Tx};

const CHORE: Actor = Actor::System(Chore::Disclose);

/// Looks at every release that is ahead, and tells what changed since somebody was told.
pub async fn sweep(app: &App) -> Result<()> {
    if app.mailer.is_off() {
        return Ok(());
    }
    let mut rows = app.read().await?;
    let watched = store::alarm::watched(&mut rows, app.clock.now()).await?;
    drop(rows);
    for release in watched {
        match look(app, &release).await {
            Ok(()) => {}
            // It changed meanwhile: the next minute looks again.
            Err(Error::Conflict | Error::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn look(app: &App, id: &ReleaseId) -> Result<()> {
    let (mut tx, found) = gather(app, &CHORE, id, Action::Maintain, "alarm.look").await?;
    let Gathered { release, grants, facts, policy, .. } = found;
    let known = store::alarm::of_release(&mut tx, &grants, id).await?;
    let blockers = release.readiness(&facts, &policy).err().unwrap_or_default();
    let now = tx.now();
    if let Some((word, alarm)) = known.look(&release, &blockers, now) {
        store::alarm::save(&mut tx, &grants, id, &alarm).await?;
        match word {
            Word::Blocked(roles) => tell(app, &mut tx, (id, &grants), (&roles, Notice::ReleaseBlocked)).await?,
            Word::Clear(roles) => tell(app, &mut tx, (id, &grants), (&roles, Notice::ReleaseClear)).await?,
            Word::Over => {}
        }
    }
    Ok(app.commit(tx).await?)
}

/// Mails each person who holds one of these roles in a case of the release, once.
async fn tell(app: &App, tx: &mut Tx, of: (&ReleaseId, &Grants), what: (&BTreeSet<Role>, Notice)) -> Result<()> {
    let ((id, grants), (roles, notice), at) = (of, what, tx.now());
    let mut told = BTreeSet::new();
    for grant in grants.each() {
        for seat in store::member::of_case(tx, grant).await? {
            let Holder::Person(person) = seat.holder else { continue };
            if seat.consent != Consent::Signatory || !roles.contains(&seat.role) || !told.insert(person) {
                continue;
            }
            let known = store::account::find(tx, person).await?;
            let Some(address) = known.and_then(|person| person.email) else { continue };
            let sealing = app.sealing(tx, grant).await?;
            let mail = mail_id(at.as_second(), &format!("{notice:?} {id} {} {person}", at.as_millisecond()));
            super::mail::queue_as(tx, &sealing, mail, (grant.case(), Some(id)), (&notice, &address)).await?;
        }
    }
    Ok(())
}
