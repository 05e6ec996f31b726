//! Mails on their way: one row per recipient, so that a crash loses none and repeats at most the one in flight.

use crate::domain::access::Grant;
use crate::domain::actor::{Actor, Chore};
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{CaseId, MailId, ReleaseId, words};
use crate::domain::sealed::Sealed;
use crate::domain::text::EmailAddress;

use super::{Result, Rows, Tx, one_row, parsed, parsed_opt};

words! {
    /// Where a mail stands.
    MailState {
        /// Not handed over yet.
        Waiting = "waiting",
        /// Taken by the mail server.
        Sent = "sent",
        /// A crash fell between handing over and writing it down.
        MaybeSent = "maybe_sent",
        /// Given up.
        Failed = "failed",
    }
}

/// A mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its id, from which its Message-ID is made.
    pub id: MailId,
    /// The case under whose key the address is sealed.
    pub case: CaseId,
    /// The release it belongs to, if any.
    pub release: Option<ReleaseId>,
    /// Which notice it carries: a word of the closed list.
    pub notice: String,
    /// Where it goes.
    pub recipient: Sealed<EmailAddress>,
    /// Where it stands.
    pub state: MailState,
    /// Tries so far.
    pub attempts: i64,
}

/// Queues a mail; the caller queues its job in the same transaction.
pub async fn queue(tx: &mut Tx, mail: &Mail) -> Result<()> {
    let (id, case, now) = (mail.id.to_string(), mail.case.to_string(), tx.now().as_millisecond());
    let release = mail.release.as_ref().map(ToString::to_string);
    let (recipient, state) = (mail.recipient.envelope(), mail.state.as_str());
    sqlx::query!(
        r#"insert into mail (id, "case", release, notice, recipient, state, queued_at) values (?, ?, ?, ?, ?, ?, ?)
           on conflict (id) do nothing"#,
        id,
        case,
        release,
        mail.notice,
        recipient,
        state,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Finds the case of a mail, so that it can be opened under a grant.
pub async fn case_of(rows: &mut impl Rows, id: MailId) -> Result<Option<CaseId>> {
    let id = id.to_string();
    let row =
        sqlx::query!(r#"select "case" as "case!" from mail where id = ?"#, id).fetch_optional(rows.conn()).await?;
    row.map(|row| parsed(&row.case, "mail", "case")).transpose()
}

/// Reads a mail of the case a grant is for.
pub async fn get(rows: &mut impl Rows, grant: &Grant, id: MailId) -> Result<Option<Mail>> {
    let (text, case) = (id.to_string(), grant.case().to_string());
    let row = sqlx::query!(
        r#"select release, notice, recipient, state, attempts from mail where id = ? and "case" = ?"#,
        text,
        case
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| {
        Ok(Mail {
            id,
            case: grant.case().clone(),
            release: parsed_opt(row.release.as_deref(), "mail", "release")?,
            notice: row.notice,
            recipient: Sealed::from_envelope(row.recipient),
            state: parsed(&row.state, "mail", "state")?,
            attempts: row.attempts,
        })
    })
    .transpose()
}

/// Notes a try before it is made: after a crash the row tells that the mail may have gone out.
pub async fn attempt(tx: &mut Tx, id: MailId) -> Result<()> {
    let id = id.to_string();
    let result = sqlx::query!("update mail set attempts = attempts + 1, version = version + 1 where id = ?", id)
        .execute(tx.conn())
        .await?;
    one_row(&result)
}

/// Settles a mail.
pub async fn settle(tx: &mut Tx, mail: &Mail, state: MailState) -> Result<()> {
    let (id, word, now) = (mail.id.to_string(), state.as_str(), tx.now().as_millisecond());
    let result = sqlx::query!(
        "update mail set state = ?, settled_at = ?, version = version + 1 where id = ? and state = 'waiting'",
        word,
        now,
        id
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    let event = Event::of_case(EventKind::MailSettled, &mail.case, format!("{id} {state}"));
    super::event::append(tx, &Actor::System(Chore::Notify), &event).await
}
