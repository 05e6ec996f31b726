//! Recipients of waves: one row for one copy, found by the hash of its link; what they said, and what their copies are known by.
//!
//! Guards: the link's code is kept only as a hash, and sealed as long as its mail is on its way; who a recipient is, and what
//! they wrote, is sealed under the key of a case of the release.

use jiff::Timestamp;

use crate::domain::access::{Grant, Grants};
use crate::domain::actor::Actor;
use crate::domain::audience::{AudienceName, Level};
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{CaseId, MailId, RecipientId, ReleaseId};
use crate::domain::plain::AdvisoryId;
use crate::domain::recipient::{Affect, RecipientState, Remark, Who};
use crate::domain::sealed::Sealed;

use super::mail::MailState;
use super::{Error, Result, Rows, Tx, instant, instant_opt, one_row, parsed, parsed_opt};

/// The code of a personal link, once opened.
pub type LinkCode = String;

/// A recipient before they are stored.
#[derive(Debug)]
pub struct NewRecipient {
    /// Their id.
    pub id: RecipientId,
    /// Which audience.
    pub audience: AudienceName,
    /// How much they may know.
    pub level: Level,
    /// Who.
    pub who: Sealed<Who>,
    /// The hash of their link's code.
    pub hash: [u8; 32],
    /// The code.
    pub link: Sealed<LinkCode>,
    /// The mail that carries it.
    pub mail: MailId,
    /// What stands in their files: 16 hexadecimal digits.
    pub mark: String,
    /// Seconds by which their commits are older; no other recipient of the release has the same.
    pub shift: u32,
}

/// A recipient.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Their id.
    pub id: RecipientId,
    /// The release.
    pub release: ReleaseId,
    /// Which audience.
    pub audience: AudienceName,
    /// How much they may know.
    pub level: Level,
    /// The case under whose key they are sealed.
    pub case: CaseId,
    /// Who.
    pub who: Sealed<Who>,
    /// The link's code, while its mail is on its way.
    pub link: Option<Sealed<LinkCode>>,
    /// The mail that carries it.
    pub mail: MailId,
    /// How far they are.
    pub state: RecipientState,
    /// How often their mail was tried.
    pub tries: i64,
    /// What stands in their files.
    pub mark: String,
    /// Seconds by which their commits are older.
    pub shift: u32,
    /// When they were told.
    pub told_at: Timestamp,
    /// When they first opened the link.
    pub opened_at: Option<Timestamp>,
    /// When they acknowledged.
    pub acknowledged_at: Option<Timestamp>,
    /// When they were reminded.
    pub reminded_at: Option<Timestamp>,
    /// Since when the link opens nothing.
    pub ended_at: Option<Timestamp>,
}

/// What a recipient said of an advisory.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The advisory; none for the release as a whole.
    pub advisory: Option<AdvisoryId>,
    /// How it concerns them.
    pub affect: Affect,
    /// What they added.
    pub remark: Option<Sealed<Remark>>,
    /// When.
    pub answered_at: Timestamp,
}

struct RecipientRow {
    id: String,
    release: String,
    audience: String,
    level: String,
    case: String,
    who: Vec<u8>,
    link: Option<Vec<u8>>,
    mail: String,
    mail_state: String,
    tries: i64,
    mark: String,
    shift: i64,
    told_at: i64,
    opened_at: Option<i64>,
    acknowledged_at: Option<i64>,
    reminded_at: Option<i64>,
    ended_at: Option<i64>,
}

impl TryFrom<RecipientRow> for Recipient {
    type Error = Error;
    fn try_from(row: RecipientRow) -> Result<Self> {
        const TABLE: &str = "wave_recipient";
        let acknowledged_at = instant_opt(row.acknowledged_at, TABLE, "acknowledged_at")?;
        let mail = match parsed(&row.mail_state, "mail", "state")? {
            MailState::Waiting => RecipientState::Pending,
            MailState::Sent | MailState::MaybeSent => RecipientState::Sent,
            MailState::Failed => RecipientState::Failed,
        };
        Ok(Self {
            id: parsed(&row.id, TABLE, "id")?,
            release: parsed(&row.release, TABLE, "release")?,
            audience: parsed(&row.audience, TABLE, "audience")?,
            level: parsed(&row.level, TABLE, "level")?,
            case: parsed(&row.case, TABLE, "case")?,
            who: Sealed::from_envelope(row.who),
            link: row.link.map(Sealed::from_envelope),
            mail: parsed(&row.mail, TABLE, "mail")?,
            state: RecipientState::of(mail, acknowledged_at),
            tries: row.tries,
            mark: row.mark,
            shift: u32::try_from(row.shift).map_err(|_| Error::Inconsistent { table: TABLE, column: "shift" })?,
            told_at: instant(row.told_at, TABLE, "told_at")?,
            opened_at: instant_opt(row.opened_at, TABLE, "opened_at")?,
            acknowledged_at,
            reminded_at: instant_opt(row.reminded_at, TABLE, "reminded_at")?,
            ended_at: instant_opt(row.ended_at, TABLE, "ended_at")?,
        })
    }
}

impl Recipient {
    /// Tells whether their mail got out, or may have.
    pub fn may_know(&self) -> bool {
        match self.state {
            RecipientState::Sent | RecipientState::Acknowledged => true,
            RecipientState::Pending => self.tries > 0,
            RecipientState::Failed => false,
        }
    }
}

/// Adds a recipient, sealed under the case the grant is for. The wave's event says that its audience was told.
pub async fn add(tx: &mut Tx, grant: &Grant, release: &ReleaseId, new: &NewRecipient) -> Result<()> {
    let (id, release, case) = (new.id.to_string(), release.to_string(), grant.case().to_string());
    let (audience, level, mail) = (new.audience.as_str(), new.level.as_str(), new.mail.to_string());
    let (who, hash, link, shift) = (new.who.envelope(), new.hash.as_slice(), new.link.envelope(), i64::from(new.shift));
    let now = tx.now().as_millisecond();
    sqlx::query!(
        r#"insert into wave_recipient (id, release, audience, level, "case", who, link_hash, link, mail, mark, shift, told_at)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"#,
        id,
        release,
        audience,
        level,
        case,
        who,
        hash,
        link,
        mail,
        new.mark,
        shift,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Lists the recipients of a release, those of its present waves and earlier ones, by audience; without those sealed under a case
/// that the grants do not cover.
pub async fn of_release(rows: &mut impl Rows, grants: &Grants, release: &ReleaseId) -> Result<Vec<Recipient>> {
    let release = release.to_string();
    let found = sqlx::query_as!(
        RecipientRow,
        r#"select r.id, r.release, r.audience, r.level, r."case", r.who, r.link, r.mail, m.state as mail_state, m.attempts as tries, r.mark, r.shift,
             r.told_at, r.opened_at, r.acknowledged_at, r.reminded_at, r.ended_at
           from wave_recipient r join mail m on m.id = r.mail where r.release = ? order by r.audience, r.told_at, r.id"#,
        release
    )
    .fetch_all(rows.conn())
    .await?;
    let recipients = found.into_iter().map(Recipient::try_from).collect::<Result<Vec<_>>>()?;
    let covered = |recipient: &Recipient| grants.each().iter().any(|grant| grant.case() == &recipient.case);
    Ok(recipients.into_iter().filter(covered).collect())
}

/// Names the frozen and armed releases of which a recipient whose mail got out has neither acknowledged nor been reminded. For the
/// server's chores.
pub async fn silent(rows: &mut impl Rows) -> Result<Vec<ReleaseId>> {
    let found = sqlx::query!(
        "select distinct w.release from wave_recipient w join mail m on m.id = w.mail join release r on r.id = w.release
         where r.state in ('frozen', 'armed') and m.state in ('sent', 'maybe_sent') and w.acknowledged_at is null
           and w.reminded_at is null and w.ended_at is null"
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.release, "wave_recipient", "release")).collect()
}

/// Names the release of a recipient, so that they can be read under grants over it.
pub async fn release_of(rows: &mut impl Rows, id: RecipientId) -> Result<Option<ReleaseId>> {
    let id = id.to_string();
    let row = sqlx::query!("select release from wave_recipient where id = ?", id).fetch_optional(rows.conn()).await?;
    row.map(|row| parsed(&row.release, "wave_recipient", "release")).transpose()
}

/// Names the recipient whose link has this hash, and their release: the one read without a grant.
pub async fn by_link(rows: &mut impl Rows, hash: &[u8; 32]) -> Result<Option<(RecipientId, ReleaseId)>> {
    let hash = hash.as_slice();
    let row = sqlx::query!("select id, release from wave_recipient where link_hash = ?", hash)
        .fetch_optional(rows.conn())
        .await?;
    row.map(|row| Ok((parsed(&row.id, "wave_recipient", "id")?, parsed(&row.release, "wave_recipient", "release")?)))
        .transpose()
}

/// Names the shifts that recipients of a release have: another needs another.
pub async fn shifts(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Vec<u32>> {
    let release = release.to_string();
    let found =
        sqlx::query!("select shift from wave_recipient where release = ?", release).fetch_all(rows.conn()).await?;
    let number =
        |shift| u32::try_from(shift).map_err(|_| Error::Inconsistent { table: "wave_recipient", column: "shift" });
    found.into_iter().map(|row| number(row.shift)).collect()
}

/// Forgets the code of a link: its mail is settled.
pub async fn unlink(tx: &mut Tx, id: RecipientId) -> Result<()> {
    let id = id.to_string();
    sqlx::query!("update wave_recipient set link = null where id = ?", id).execute(tx.conn()).await?;
    Ok(())
}

/// Notes that a recipient opened their link; once.
pub async fn opened(tx: &mut Tx, actor: &Actor, recipient: &Recipient) -> Result<()> {
    if recipient.opened_at.is_some() {
        return Ok(());
    }
    let (id, now) = (recipient.id.to_string(), tx.now().as_millisecond());
    let result = sqlx::query!("update wave_recipient set opened_at = ? where id = ? and opened_at is null", now, id)
        .execute(tx.conn())
        .await?;
    one_row(&result)?;
    note(tx, actor, recipient, EventKind::WaveOpened, String::new()).await
}

/// Notes that a recipient acknowledged; a second time changes nothing.
pub async fn acknowledge(tx: &mut Tx, actor: &Actor, recipient: &Recipient) -> Result<()> {
    if recipient.acknowledged_at.is_some() {
        return Ok(());
    }
    let (id, now) = (recipient.id.to_string(), tx.now().as_millisecond());
    let result =
        sqlx::query!("update wave_recipient set acknowledged_at = ? where id = ? and acknowledged_at is null", now, id)
            .execute(tx.conn())
            .await?;
    one_row(&result)?;
    note(tx, actor, recipient, EventKind::WaveAnswered, " acknowledged".to_owned()).await
}

/// Notes that a recipient was reminded; a conflict if they were before.
pub async fn reminded(tx: &mut Tx, recipient: &Recipient) -> Result<()> {
    let (id, now) = (recipient.id.to_string(), tx.now().as_millisecond());
    let result =
        sqlx::query!("update wave_recipient set reminded_at = ? where id = ? and reminded_at is null", now, id)
            .execute(tx.conn())
            .await?;
    one_row(&result)
}

/// Stores what a recipient says of an advisory, in place of what they said before.
pub async fn answer(
    tx: &mut Tx,
    actor: &Actor,
    recipient: &Recipient,
    of: (Option<&AdvisoryId>, Affect),
    remark: Option<&Sealed<Remark>>,
) -> Result<()> {
    let (id, now) = (recipient.id.to_string(), tx.now().as_millisecond());
    let (advisory, answer) = (of.0.map(ToString::to_string).unwrap_or_default(), of.1.as_str());
    let remark = remark.map(Sealed::envelope);
    sqlx::query!(
        "insert into wave_answer (recipient, advisory, answer, remark, answered_at) values (?, ?, ?, ?, ?)
         on conflict (recipient, advisory) do update set answer = excluded.answer, remark = excluded.remark,
           answered_at = excluded.answered_at",
        id,
        advisory,
        answer,
        remark,
        now
    )
    .execute(tx.conn())
    .await?;
    note(tx, actor, recipient, EventKind::WaveAnswered, format!(" {advisory} {answer}")).await
}

/// Lists what a recipient said, by advisory.
pub async fn answers(rows: &mut impl Rows, recipient: &Recipient) -> Result<Vec<Answered>> {
    let id = recipient.id.to_string();
    let found = sqlx::query!(
        "select advisory, answer, remark, answered_at from wave_answer where recipient = ? order by advisory",
        id
    )
    .fetch_all(rows.conn())
    .await?;
    let answers = found.into_iter().map(|row| {
        let advisory = Some(row.advisory.as_str()).filter(|advisory| !advisory.is_empty());
        Ok(Answered {
            advisory: parsed_opt(advisory, "wave_answer", "advisory")?,
            affect: parsed(&row.answer, "wave_answer", "answer")?,
            remark: row.remark.map(Sealed::from_envelope),
            answered_at: instant(row.answered_at, "wave_answer", "answered_at")?,
        })
    });
    answers.collect()
}

/// Notes that a recipient is handed a copy, and what it can be known by, before the first byte of it is served.
pub async fn hand_out(tx: &mut Tx, actor: &Actor, recipient: &Recipient, canaries: &[String]) -> Result<()> {
    let id = recipient.id.to_string();
    for value in canaries {
        sqlx::query!("insert into wave_canary (recipient, value) values (?, ?) on conflict do nothing", id, value)
            .execute(tx.conn())
            .await?;
    }
    let what = format!(" {} {} commits", recipient.level, canaries.len());
    note(tx, actor, recipient, EventKind::WaveHandedOut, what).await
}

/// Lists what a recipient's copies can be known by besides their mark.
pub async fn canaries(rows: &mut impl Rows, recipient: &Recipient) -> Result<Vec<String>> {
    let id = recipient.id.to_string();
    let found = sqlx::query!("select value from wave_canary where recipient = ? order by value", id)
        .fetch_all(rows.conn())
        .await?;
    Ok(found.into_iter().map(|row| row.value).collect())
}

/// Seals a recipient anew, under the case the grant is for: the case they were sealed under leaves the release.
pub async fn reseal(tx: &mut Tx, grant: &Grant, recipient: &Recipient, who: &Sealed<Who>) -> Result<()> {
    let (id, case, who) = (recipient.id.to_string(), grant.case().to_string(), who.envelope());
    let result =
        sqlx::query!(r#"update wave_recipient set "case" = ?, who = ?, link = null where id = ?"#, case, who, id)
            .execute(tx.conn())
            .await?;
    one_row(&result)
}

/// Puts a remark that was sealed anew in the old one's place.
pub async fn reseal_remark(
    tx: &mut Tx,
    recipient: &Recipient,
    advisory: Option<&AdvisoryId>,
    remark: &Sealed<Remark>,
) -> Result<()> {
    let (id, advisory, remark) =
        (recipient.id.to_string(), advisory.map(ToString::to_string).unwrap_or_default(), remark.envelope());
    let result =
        sqlx::query!("update wave_answer set remark = ? where recipient = ? and advisory = ?", remark, id, advisory)
            .execute(tx.conn())
            .await?;
    one_row(&result)
}

async fn note(tx: &mut Tx, actor: &Actor, recipient: &Recipient, kind: EventKind, what: String) -> Result<()> {
    let event = Event::of_release(kind, &recipient.release, format!("{}{what}", recipient.id));
    super::event::append(tx, actor, &event).await
}
