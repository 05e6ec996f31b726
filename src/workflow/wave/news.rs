//! What follows for those who were told: the new instant, that the date fell, a reminder.
//!
//! Guards: whatever opens the plan again ends every link, so that no recipient outlives what was frozen; a move that would make
//! what was told too early is refused.

use super::{CHORE, facts, planned, unsealings, who};
use crate::app::App;
use crate::domain::access::{Action, Grants, Holder, Role};
use crate::domain::id::{CaseId, ReleaseId};
use crate::domain::project::Project;
use crate::domain::recipient::RecipientState;
use crate::domain::release::{Release, ReleaseState};
use crate::domain::wave;
use crate::notify::notice::Notice;
use crate::store::recipient::Recipient;
use crate::store::{self, Tx};
use crate::workflow::disclose::mail_id;
use crate::workflow::mail::queue_as;
use crate::workflow::readiness::open_release;
use crate::workflow::release::grant_of;
use crate::workflow::{Error, Result};

/// Follows a change of a release, in its write: refuses a move that comes too late for those who were told, tells them of any
/// other, and tells them that the date fell where the plan is opened again or given up.
pub(in crate::workflow) async fn follow(app: &App, tx: &mut Tx, of: (&Release, &Grants), next: &Release) -> Result<()> {
    let (before, grants) = of;
    let waves = facts(app, tx, (before, grants)).await?;
    if planned(&waves).iter().all(|planned| planned.sent_at.is_none()) {
        return Ok(());
    }
    let moved = next.due_at != before.due_at;
    let fallen = matches!(next.state, ReleaseState::Planned | ReleaseState::Abandoned);
    if moved && !fallen {
        wave::may_move(&waves, next.due_at)?;
    }
    if !moved && !fallen {
        return Ok(());
    }
    let project = store::project::find(tx, &before.project).await?.ok_or(Error::NotFound)?;
    let name = project.name.parse()?;
    let notice = if moved && next.state != ReleaseState::Abandoned {
        Notice::WaveMoved { project: name, due_at: next.due_at }
    } else {
        Notice::WaveFell { project: name }
    };
    tell(app, tx, of, &notice).await?;
    if fallen {
        store::wave::fall(tx, &CHORE, (&before.id, &before.project)).await?;
    }
    Ok(())
}

/// Queues a notice for every recipient whose own mail may have got out.
async fn tell(app: &App, tx: &mut Tx, of: (&Release, &Grants), notice: &Notice) -> Result<()> {
    let (release, grants) = of;
    if app.mailer.is_off() {
        return Ok(());
    }
    let mut told = store::recipient::of_release(tx, grants, &release.id).await?;
    told.retain(|recipient| recipient.ended_at.is_none() && recipient.may_know());
    let keys = unsealings(app, tx, grants, &told).await?;
    let what = serde_json::to_string(notice).map_err(|error| Error::Internal(Box::new(error)))?;
    for recipient in &told {
        let address = who(&keys, recipient)?.email;
        write(app, tx, (release, grants), recipient, (notice, &address, &what)).await?;
    }
    Ok(())
}

/// Queues one mail to a recipient under an id made from what it says and when, so that the same is said once.
async fn write(
    app: &App,
    tx: &mut Tx,
    of: (&Release, &Grants),
    recipient: &Recipient,
    letter: (&Notice, &crate::domain::text::EmailAddress, &str),
) -> Result<()> {
    let ((release, grants), (notice, address, what)) = (of, letter);
    let grant = grant_of(grants, &recipient.case)?;
    let sealing = app.sealing(tx, grant).await?;
    let now = tx.now();
    let id = mail_id(now.as_second(), &format!("wave {} {what} {now}", recipient.id));
    queue_as(tx, &sealing, id, (grant.case(), Some(&release.id)), (notice, address)).await
}

/// Reminds recipients who were told some time ago and have not acknowledged, once each, and tells the release's managers.
pub(in crate::workflow) async fn sweep(app: &App) -> Result<()> {
    if app.mailer.is_off() {
        return Ok(());
    }
    let mut rows = app.read().await?;
    let silent = store::recipient::silent(&mut rows).await?;
    drop(rows);
    for release in silent {
        match remind(app, &release).await {
            // It changed meanwhile: the next minute looks again.
            Ok(()) | Err(Error::Conflict | Error::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn remind(app: &App, id: &ReleaseId) -> Result<()> {
    let mut tx = app.begin("wave.remind").await?;
    let (release, grants) = open_release(&mut tx, &CHORE, id, Action::Maintain).await?;
    if !matches!(release.state, ReleaseState::Frozen | ReleaseState::Armed) {
        return Ok(());
    }
    let now = tx.now();
    let mut silent = store::recipient::of_release(&mut tx, &grants, id).await?;
    silent.retain(|recipient| {
        recipient.state == RecipientState::Sent
            && recipient.ended_at.is_none()
            && recipient.reminded_at.is_none()
            && wave::remind_at(recipient.told_at, release.due_at) <= now
            && now < release.due_at
    });
    if silent.is_empty() {
        return Ok(());
    }
    let keys = unsealings(app, &mut tx, &grants, &silent).await?;
    let project: Project = store::project::find(&mut tx, &release.project).await?.ok_or(Error::NotFound)?;
    let notice = Notice::WaveReminder { project: project.name.parse()?, due_at: release.due_at };
    for recipient in &silent {
        store::recipient::reminded(&mut tx, recipient).await?;
        let address = who(&keys, recipient)?.email;
        write(app, &mut tx, (&release, &grants), recipient, (&notice, &address, "reminder")).await?;
    }
    tell_managers(app, &mut tx, &release).await?;
    Ok(app.commit(tx).await?)
}

/// Tells those who manage a release that somebody has not acknowledged: the page of its waves says who.
async fn tell_managers(app: &App, tx: &mut Tx, release: &Release) -> Result<()> {
    let first: &CaseId = &release.cases[0];
    let grant = crate::workflow::open(tx, &CHORE, first, Action::Maintain).await?;
    let sealing = app.sealing(tx, &grant).await?;
    for seat in store::member::of_case(tx, &grant).await? {
        let Holder::Person(person) = seat.holder else { continue };
        if seat.role != Role::ReleaseManager {
            continue;
        }
        let known = store::account::find(tx, person).await?;
        if let Some(address) = known.and_then(|person| person.email) {
            let about = (grant.case(), Some(&release.id));
            crate::workflow::mail::queue(app, tx, &sealing, about, (&Notice::ReleaseNear, &address)).await?;
        }
    }
    Ok(())
}
