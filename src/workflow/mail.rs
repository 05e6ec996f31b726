//! Notices: rows queued with what caused them, sent by jobs, one recipient each.

use jiff::SignedDuration;

use super::{Error, Result, open};
use crate::app::{App, Sealing};
use crate::domain::access::{Action, Grant, Holder, Role};
use crate::domain::actor::{Actor, Chore};
use crate::domain::effect::EffectState;
use crate::domain::id::{CaseId, MailId, MemberId, RecipientId, ReleaseId};
use crate::domain::job::Job;
use crate::domain::report::ReportBody;
use crate::domain::text::EmailAddress;
use crate::notify::SendError;
use crate::notify::notice::{Mail as Letter, Notice};
use crate::store::mail::{Mail, MailState};
use crate::store::report::Report;
use crate::store::{self, Rows, Tx};

const PLACE: (&str, &str) = ("mail", "recipient");

/// Says how far a mail is, for the page of the release that queued it; nothing while it is not queued.
pub(super) async fn standing(rows: &mut impl Rows, grant: &Grant, id: MailId) -> Result<Option<(EffectState, String)>> {
    let Some(mail) = store::mail::get(rows, grant, id).await? else { return Ok(None) };
    let tries = if mail.attempts == 1 { "1 try".to_owned() } else { format!("{} tries", mail.attempts) };
    Ok(Some(match mail.state {
        MailState::Waiting if mail.attempts == 0 => (EffectState::Pending, "In the outbox.".to_owned()),
        MailState::Waiting => {
            let note = format!("The mail server did not take it yet, after {tries}: it is tried again by itself.");
            (EffectState::Pending, note)
        }
        MailState::Sent => (EffectState::Done, "Taken by the mail server.".to_owned()),
        MailState::MaybeSent => {
            (EffectState::Done, "Taken by the mail server; an earlier try may have arrived too.".to_owned())
        }
        MailState::Failed => (EffectState::Failed, format!("Given up after {tries}: tell them in some other way.")),
    }))
}

/// Tells a reporter that the report arrived, if they left an address.
pub(super) async fn notify_report(
    app: &App,
    tx: &mut Tx,
    sealing: &Sealing,
    report: &Report,
    contact: Option<&EmailAddress>,
) -> Result<()> {
    match contact {
        Some(contact) => queue(app, tx, sealing, (&report.case, None), (&Notice::ReportReceived, contact)).await,
        None => Ok(()),
    }
}

/// Tells the team's members of a case that there is news.
pub(super) async fn notify_team(app: &App, tx: &mut Tx, sealing: &Sealing, case: &CaseId) -> Result<()> {
    let grant = open(tx, &Actor::System(Chore::Notify), case, Action::Maintain).await?;
    for seat in store::member::of_case(tx, &grant).await? {
        let Holder::Person(person) = seat.holder else { continue };
        if seat.role < Role::Triager {
            continue;
        }
        let found = store::account::find(tx, person).await?;
        if let Some(address) = found.and_then(|person| person.email) {
            queue(app, tx, sealing, (case, None), (&Notice::MemberNews, &address)).await?;
        }
    }
    Ok(())
}

/// Queues one mail and its job.
pub(super) async fn queue(
    app: &App,
    tx: &mut Tx,
    sealing: &Sealing,
    about: (&CaseId, Option<&ReleaseId>),
    letter: (&Notice, &EmailAddress),
) -> Result<()> {
    if app.mailer.is_off() {
        return Ok(());
    }
    queue_as(tx, sealing, app.mint(), about, letter).await
}

/// Queues one mail under an id that its caller chose, so that queueing it twice leaves one.
pub(super) async fn queue_as(
    tx: &mut Tx,
    sealing: &Sealing,
    id: MailId,
    about: (&CaseId, Option<&ReleaseId>),
    letter: (&Notice, &EmailAddress),
) -> Result<()> {
    let notice = serde_json::to_string(letter.0).map_err(|error| Error::Internal(Box::new(error)))?;
    let mail = Mail {
        id,
        case: about.0.clone(),
        release: about.1.cloned(),
        notice,
        recipient: sealing.seal(PLACE, &id.to_string(), letter.1)?,
        state: MailState::Waiting,
        attempts: 0,
    };
    store::mail::queue(tx, &mail).await?;
    let now = tx.now();
    Ok(store::job::queue(tx, &Job::Mail { mail: id }, now).await?)
}

/// Greets the mail server, so that an outage is known before there is a mail to send.
pub(super) async fn greet(app: &App) {
    if !app.mailer.is_off() {
        watch(app, app.mailer.greet().await);
    }
}

/// Tells the operator when the way to the mail server closes and opens, once each.
fn watch(app: &App, sent: std::result::Result<(), SendError>) {
    match sent {
        Err(error) if error.is_outage() => {
            if app.mail_way.close(app.clock.now()) {
                tracing::warn!(%error, "mail does not get out: every notice waits and is tried again, see [mail]");
            }
        }
        // A server that says no to one mail is there.
        Ok(()) | Err(_) => {
            if app.mail_way.open() {
                tracing::info!("mail gets out again");
            }
        }
    }
}

/// Says to those who plan a release what keeps mail from getting out.
pub(super) fn trouble(app: &App) -> Option<String> {
    if app.mailer.is_off() {
        return Some(
            "This server sends no mail: nobody is told of anything, and no release can be frozen or armed. The operator \
             names a mail server as `[mail]` in the configuration."
                .to_owned(),
        );
    }
    app.mail_way.closed_since().map(|since| {
        format!(
            "Mail does not get out since {}: the mail server cannot be used, and every notice waits. The log says why; \
             the operator mends it before the next release.",
            since.strftime("%Y-%m-%d %H:%M UTC")
        )
    })
}

/// Sends one mail. A mail that may have gone out before a crash is sent again under the same Message-ID.
pub async fn send(app: &App, id: MailId) -> Result<store::job::Settled> {
    let actor = Actor::System(Chore::Notify);
    let mut tx = app.begin("mail.send").await?;
    let case = store::mail::case_of(&mut tx, id).await?.ok_or(Error::NotFound)?;
    let grant = open(&mut tx, &actor, &case, Action::Maintain).await?;
    let mail = store::mail::get(&mut tx, &grant, id).await?.ok_or(Error::NotFound)?;
    if mail.state != MailState::Waiting {
        return Ok(store::job::Settled::Done);
    }
    let notice: Notice = serde_json::from_str(&mail.notice).map_err(|error| Error::Internal(Box::new(error)))?;
    let told = if let Notice::Told { recipient } = &notice { Some(*recipient) } else { None };
    let notice = match told {
        None => notice,
        Some(recipient) => match super::wave::send::words(app, &mut tx, recipient).await? {
            Some(words) => Notice::ToldNow(Box::new(words)),
            // The release moved on before the mail went out.
            None => return unsent(app, tx, &mail, recipient).await,
        },
    };
    let unsealing = app.unsealing(&mut tx, &grant).await?;
    let to: EmailAddress = unsealing.open(PLACE, &id.to_string(), &mail.recipient)?;
    store::mail::attempt(&mut tx, id).await?;
    app.commit(tx).await?;

    let base_url = app.config.base_url.as_str().parse().map_err(Error::from)?;
    let letter = Letter { to, id, at: app.clock.now(), base_url, notice };
    app.crash.pass("mail:before");
    let sent = app.mailer.send(&letter).await;
    app.crash.pass("mail:after");
    watch(app, sent);

    let state = match sent {
        // The second try of a mail whose first may have got through says so.
        Ok(()) if mail.attempts > 0 => MailState::MaybeSent,
        Ok(()) => MailState::Sent,
        Err(error) if error.retry() && mail.attempts < 40 => {
            let wait = SignedDuration::from_secs(15 * (1 << mail.attempts.clamp(0, 6)));
            return Ok(store::job::Settled::Retry(app.clock.now() + wait, error.to_string()));
        }
        Err(_) => MailState::Failed,
    };
    let mut tx = app.begin("mail.settle").await?;
    store::mail::settle(&mut tx, &mail, state).await?;
    if let Some(recipient) = told {
        super::wave::send::mailed(app, &mut tx, recipient, state).await?;
    }
    app.commit(tx).await?;
    Ok(store::job::Settled::Done)
}

/// Gives up a mail to a member of an audience who is not to be told any more.
async fn unsent(app: &App, mut tx: Tx, mail: &Mail, recipient: RecipientId) -> Result<store::job::Settled> {
    store::mail::settle(&mut tx, mail, MailState::Failed).await?;
    super::wave::send::mailed(app, &mut tx, recipient, MailState::Failed).await?;
    app.commit(tx).await?;
    Ok(store::job::Settled::Done)
}

/// Finds where news for a seat goes, if its holder left an address.
pub(super) async fn of_seat(app: &App, tx: &mut Tx, grant: &Grant, seat: MemberId) -> Result<Option<EmailAddress>> {
    let seats = store::member::of_case(tx, grant).await?;
    match seats.into_iter().find(|found| found.id == seat).map(|found| found.holder) {
        Some(Holder::Person(person)) => Ok(store::account::find(tx, person).await?.and_then(|person| person.email)),
        Some(Holder::Report(report)) => {
            let reports = store::report::of_case(tx, grant).await?;
            let Some(found) = reports.into_iter().find(|found| found.id == report) else { return Ok(None) };
            let unsealing = app.unsealing(tx, grant).await?;
            let body: ReportBody = unsealing.open(("report", "body"), &report.to_string(), &found.body)?;
            Ok(body.contact)
        }
        None => Ok(None),
    }
}
