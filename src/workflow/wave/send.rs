//! Telling an audience whose time has come: recipients and their mails in one write, then one mail each.
//!
//! Guards: only what stands in the manifest goes out, only while the release is frozen or armed, and never earlier than the
//! audience may know by the instant and the configuration of that moment. A mail is put together when it is sent, so that it says
//! what is true then; its link is the same at every try.

use jiff::Timestamp;

use super::{CHORE, LINK, WHO, embargoes, facts, unsealings, who};
use crate::app::{App, Sealing};
use crate::crypto::token::{self, Kind};
use crate::domain::access::{Action, Grant, Grants};
use crate::domain::audience::Level;
use crate::domain::id::{MailId, RecipientId, ReleaseId};
use crate::domain::job::Job;
use crate::domain::recipient::Who;
use crate::domain::release::{Release, ReleaseState};
use crate::domain::sealed::Secret;
use crate::domain::severity::SeverityWord;
use crate::domain::wave::{Standing, Wave, WaveFacts};
use crate::notify::notice::Notice;
use crate::notify::told::{Severest, ToldLine, ToldWords};
use crate::store::job::Settled;
use crate::store::mail::MailState;
use crate::store::recipient::{NewRecipient, Recipient};
use crate::store::{self, Tx};
use crate::workflow::account::minted_hash;
use crate::workflow::disclose::{call, manifest};
use crate::workflow::readiness::{Layout, open_release, read_draft};
use crate::workflow::release::grant_of;
use crate::workflow::{Error, Result};

/// Commits of copies are at most this many seconds older than the fixes themselves.
const SHIFTS: u32 = 8 * 3600;

/// Queues the telling of every release of which a wave is due.
pub(in crate::workflow) async fn sweep(app: &App) -> Result<()> {
    let mut tx = app.begin("wave.sweep").await?;
    let now = tx.now();
    for release in store::wave::due(&mut tx, now).await? {
        store::job::queue(&mut tx, &Job::Announce { release }, now).await?;
    }
    Ok(app.commit(tx).await?)
}

/// Queues the telling of a release's audiences for the time of its next wave.
pub(in crate::workflow) async fn wake(tx: &mut Tx, release: &Release) -> Result<()> {
    let Some(before) = store::wave::next(tx, &release.id).await? else { return Ok(()) };
    let at = before.before(release.due_at).max(tx.now());
    Ok(store::job::queue(tx, &Job::Announce { release: release.id.clone() }, at).await?)
}

/// Tells the audiences of a release whose time has come. Twice does no harm: a wave goes out once.
pub async fn announce(app: &App, id: &ReleaseId) -> Result<Settled> {
    let mut tx = app.begin("wave.announce").await?;
    let (release, grants) = open_release(&mut tx, &CHORE, id, Action::Maintain).await?;
    if !matches!(release.state, ReleaseState::Frozen | ReleaseState::Armed) {
        return Ok(Settled::Done);
    }
    let waves = facts(app, &mut tx, (&release, &grants)).await?;
    let (embargoes, now) = (embargoes(&mut tx, &grants).await?, tx.now());
    let (mut due, mut next): (Vec<&WaveFacts>, Option<Timestamp>) = (Vec::new(), None);
    for wave in &waves {
        match wave.standing(&release, &embargoes, now) {
            Standing::Due => due.push(wave),
            Standing::Ahead(at) => next = Some(next.map_or(at, |next| next.min(at))),
            // Whoever mends it wakes us, or the next minute does.
            Standing::Unfrozen
            | Standing::Undated(_)
            | Standing::Wrong(_)
            | Standing::Sent(_)
            | Standing::PassedOver => {}
        }
    }
    if !due.is_empty() {
        let armed = manifest(app, &mut tx, &grants, &release).await?.waves;
        for known in due {
            let wave = &known.planned.wave;
            if armed.contains(wave) {
                tell(app, &mut tx, (&release, &grants), known).await?;
            } else {
                tracing::error!(release = %id, "a wave that is in no manifest was not sent");
            }
        }
        app.crash.pass("wave:sending");
        app.commit(tx).await?;
        app.crash.pass("wave:sent");
    }
    Ok(next.map_or(Settled::Done, |at| Settled::Retry(at, "the next wave".to_owned())))
}

/// Writes down that an audience is told, and queues a mail for each of its members.
async fn tell(app: &App, tx: &mut Tx, of: (&Release, &Grants), known: &WaveFacts) -> Result<()> {
    let ((release, grants), wave) = (of, &known.planned.wave);
    let place = (&release.id, &release.project);
    if known.audience.as_ref().is_some_and(crate::domain::audience::Audience::is_public) {
        let severity = if wave.level == Level::Date { None } else { severest(app, tx, grants).await? };
        return Ok(store::wave::sent(tx, &CHORE, place, wave, severity).await?);
    }
    // Without a mail server nobody can be told; readiness says so.
    if app.mailer.is_off() {
        return Ok(());
    }
    store::wave::sent(tx, &CHORE, place, wave, None).await?;
    let grant = grant_of(grants, &release.cases[0])?;
    let sealing = app.sealing(tx, grant).await?;
    let mut taken = store::recipient::shifts(tx, grants, &release.id).await?;
    for member in super::members(app, release, &wave.audience).map(|found| found.members.as_slice()).unwrap_or_default()
    {
        let shift = fresh_shift(&taken)?;
        taken.push(shift);
        let to = Who { name: member.name.clone(), email: member.email.clone() };
        add(app, tx, (release, grant, &sealing), wave, (&to, shift)).await?;
    }
    tracing::info!(release = %release.id, "an audience was told");
    Ok(())
}

/// Adds one recipient with a link of their own, and queues its mail.
async fn add(app: &App, tx: &mut Tx, of: (&Release, &Grant, &Sealing), wave: &Wave, to: (&Who, u32)) -> Result<()> {
    let ((release, grant, sealing), (who, shift)) = (of, to);
    let (id, mail): (RecipientId, MailId) = (app.mint(), app.mint());
    let (row, code) = (id.to_string(), token::mint(Kind::Wave));
    let about = (grant.case(), Some(&release.id));
    crate::workflow::mail::queue_as(tx, sealing, mail, about, (&Notice::Told { recipient: id }, &who.email)).await?;
    let new = NewRecipient {
        id,
        audience: wave.audience.clone(),
        level: wave.level,
        who: sealing.seal(WHO, &row, who)?,
        hash: minted_hash(Kind::Wave, &code)?,
        link: sealing.seal(LINK, &row, &code.expose().to_owned())?,
        mail,
        mark: data_encoding::HEXLOWER.encode(&token::random::<8>()),
        shift,
    };
    Ok(store::recipient::add(tx, grant, &release.id, &new).await?)
}

/// Chooses by how many seconds the commits of one more recipient are older: by no number that another has, nor one that tells how
/// many others there are.
fn fresh_shift(taken: &[u32]) -> Result<u32> {
    for _ in 0..10_000 {
        let shift = 1 + u32::from_be_bytes(token::random::<4>()) % SHIFTS;
        if !taken.contains(&shift) {
            return Ok(shift);
        }
    }
    Err(Error::Conflict)
}

/// Puts together what a recipient's mail says at this moment; nothing if they are not to be told any more.
pub(in crate::workflow) async fn words(app: &App, tx: &mut Tx, id: RecipientId) -> Result<Option<ToldWords>> {
    let Some(release) = store::recipient::release_of(tx, id).await? else { return Ok(None) };
    let (release, grants) = open_release(tx, &CHORE, &release, Action::Maintain).await?;
    let Some(recipient) = find(tx, &grants, (&release, id)).await? else { return Ok(None) };
    let live = matches!(release.state, ReleaseState::Frozen | ReleaseState::Armed) && recipient.ended_at.is_none();
    let Some(link) = recipient.link.as_ref().filter(|_| live) else { return Ok(None) };
    let keys = unsealings(app, tx, &grants, std::slice::from_ref(&recipient)).await?;
    let who = who(&keys, &recipient)?;
    let member = super::members(app, &release, &recipient.audience).and_then(|audience| audience.member(&who.email));
    let Some(unsealing) = keys.get(&recipient.case).filter(|_| member.is_some()) else { return Ok(None) };
    let code: String = unsealing.open(LINK, &id.to_string(), link)?;
    let layout = Layout::of(tx, &release.project).await?;
    let severity = match recipient.level {
        Level::Date => Severest::Untold,
        Level::Severity | Level::Text | Level::Patches => {
            severest(app, tx, &grants).await?.map_or(Severest::Unrated, Severest::Rated)
        }
    };
    Ok(Some(ToldWords {
        project: layout.project.name.parse()?,
        due_at: release.due_at,
        lines: lines(&release, &layout)?,
        severity,
        code: Secret::new(code),
    }))
}

/// Lists what a release ships, line by line.
pub(super) fn lines(release: &Release, layout: &Layout) -> Result<Vec<ToldLine>> {
    let line = |target| {
        let (line, upstream) = layout.place(target)?;
        Ok(ToldLine { repository: upstream.name.clone(), line: line.name.clone(), tag: target.tag.clone() })
    };
    release.targets.iter().map(line).collect()
}

/// Notes how a recipient's mail ended, and calls those who manage the release if it came to nothing.
pub(in crate::workflow) async fn mailed(app: &App, tx: &mut Tx, id: RecipientId, state: MailState) -> Result<()> {
    store::recipient::unlink(tx, id).await?;
    let Some(release) = store::recipient::release_of(tx, id).await?.filter(|_| state == MailState::Failed) else {
        return Ok(());
    };
    let (release, grants) = open_release(tx, &CHORE, &release, Action::Maintain).await?;
    let told = find(tx, &grants, (&release, id)).await?;
    if release.live() && told.is_some_and(|recipient| recipient.ended_at.is_none()) {
        call(app, tx, &release).await?;
    }
    Ok(())
}

/// Finds one recipient of a release.
pub(super) async fn find(tx: &mut Tx, grants: &Grants, of: (&Release, RecipientId)) -> Result<Option<Recipient>> {
    let all = store::recipient::of_release(tx, grants, &of.0.id).await?;
    Ok(all.into_iter().find(|recipient| recipient.id == of.1))
}

/// Returns the highest severity of the cases; none if none is rated.
pub(super) async fn severest(app: &App, tx: &mut Tx, grants: &Grants) -> Result<Option<SeverityWord>> {
    let mut highest = None;
    for grant in grants.each() {
        let Some(draft) = store::advisory::get(tx, grant).await? else { continue };
        let unsealing = app.unsealing(tx, grant).await?;
        let advisory = read_draft(&unsealing, grant.case(), &draft)?;
        highest = highest.max(advisory.severity.and_then(|severity| severity.word()));
    }
    Ok(highest)
}
