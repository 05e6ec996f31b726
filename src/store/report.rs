//! Reports, the thread and attachments of a case: all text as ciphertext.

use jiff::Timestamp;

use crate::domain::access::{Action, Grant};
use crate::domain::actor::Actor;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{AttachmentId, CaseId, MessageId, PersonId, ReportId};
use crate::domain::receipt::Salt;
use crate::domain::report::{Audience, ReportBody};
use crate::domain::sealed::Sealed;
use crate::domain::text::{Body, Label};

use super::{Error, Result, Rows, Tx, instant, parsed, parsed_opt};

/// A report as its row holds it.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its id.
    pub id: ReportId,
    /// The case it opened or joined.
    pub case: CaseId,
    /// Its content.
    pub body: Sealed<ReportBody>,
    /// Whether the reporter left an address.
    pub has_contact: bool,
    /// What is hashed before it in a receipt.
    pub salt: Salt,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// What of a report is kept to recognise its reporter again.
#[derive(Clone)]
pub struct Recognition {
    /// Slow hash of the claim code.
    pub claim: Vec<u8>,
    /// SHA-256 of the secret feed's name.
    pub feed: Vec<u8>,
}

/// A message of the thread.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Who may read it.
    pub audience: Audience,
    /// The person who wrote it, with their name; none: the reporter.
    pub author: Option<(PersonId, String)>,
    /// The text.
    pub body: Sealed<Body>,
    /// When.
    pub written_at: Timestamp,
}

/// A stored attachment: ciphertext to people's own keys.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Its id, and its file's name.
    pub id: AttachmentId,
    /// The case.
    pub case: CaseId,
    /// The report it came with, if any.
    pub report: Option<ReportId>,
    /// The file name the sender gave.
    pub name: Sealed<Label>,
    /// Bytes of ciphertext.
    pub size: i64,
    /// SHA-256 of the ciphertext.
    pub sha256: [u8; 32],
    /// Recipients in its header.
    pub recipients: i64,
    /// Whether the plaintext passed through the server's memory.
    pub by_server: bool,
    /// When it was stored.
    pub stored_at: Timestamp,
}

/// Stores a report.
pub async fn receive(tx: &mut Tx, report: &Report, recognition: &Recognition) -> Result<()> {
    let (id, case) = (report.id.to_string(), report.case.to_string());
    let (body, at) = (report.body.envelope(), report.received_at.as_millisecond());
    let has_contact = i64::from(report.has_contact);
    let salt = report.salt.as_bytes().as_slice();
    sqlx::query!(
        r#"insert into report (id, "case", claim, feed, body, has_contact, salt, received_at) values (?, ?, ?, ?, ?, ?, ?, ?)"#,
        id,
        case,
        recognition.claim,
        recognition.feed,
        body,
        has_contact,
        salt,
        at
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_case(EventKind::ReportReceived, &report.case, id);
    super::event::append(tx, &Actor::Reporter(report.id), &event).await
}

/// Finds the report whose claim code has this slow hash.
pub async fn claimed(rows: &mut impl Rows, claim: &[u8]) -> Result<Option<(ReportId, CaseId)>> {
    let row =
        sqlx::query!(r#"select id, "case" from report where claim = ?"#, claim).fetch_optional(rows.conn()).await?;
    row.map(|row| Ok((parsed(&row.id, "report", "id")?, parsed(&row.case, "report", "case")?))).transpose()
}

/// Finds the report whose secret feed has this hash.
pub async fn by_feed(rows: &mut impl Rows, feed: &[u8]) -> Result<Option<(ReportId, CaseId)>> {
    let row = sqlx::query!(r#"select id, "case" from report where feed = ?"#, feed).fetch_optional(rows.conn()).await?;
    row.map(|row| Ok((parsed(&row.id, "report", "id")?, parsed(&row.case, "report", "case")?))).transpose()
}

/// Lists the reports a grant reaches, oldest first.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Report>> {
    let case = grant.case().to_string();
    let only = grant.confined_to_report().map(|report| report.to_string());
    let found = sqlx::query!(
        r#"select id, body, has_contact, salt, received_at from report where "case" = ?1 and (?2 is null or id = ?2) order by received_at"#,
        case,
        only
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Report {
                id: parsed(&row.id, "report", "id")?,
                case: grant.case().clone(),
                body: Sealed::from_envelope(row.body),
                has_contact: row.has_contact == 1,
                salt: Salt::from_bytes(&row.salt)
                    .map_err(|_| Error::Inconsistent { table: "report", column: "salt" })?,
                received_at: instant(row.received_at, "report", "received_at")?,
            })
        })
        .collect()
}

/// Finds the case of a report, for the reporter who proved it.
pub async fn case_of(rows: &mut impl Rows, report: ReportId) -> Result<Option<CaseId>> {
    let report = report.to_string();
    let row = sqlx::query!(r#"select "case" from report where id = ?"#, report).fetch_optional(rows.conn()).await?;
    row.map(|row| parsed(&row.case, "report", "case")).transpose()
}

/// Saves what a reporter changed in their own report.
pub async fn rewrite(tx: &mut Tx, grant: &Grant, report: &Report) -> Result<()> {
    let (id, case, body) = (report.id.to_string(), grant.case().to_string(), report.body.envelope());
    let result = sqlx::query!(
        r#"update report set body = ?, version = version + 1 where id = ? and "case" = ?"#,
        body,
        id,
        case
    )
    .execute(tx.conn())
    .await?;
    super::one_row(&result)?;
    let event = Event::of_case(EventKind::CreditSettled, grant.case(), id);
    super::event::append(tx, grant.actor(), &event).await
}

/// Writes a message into the thread.
pub async fn write(tx: &mut Tx, grant: &Grant, message: &Message) -> Result<()> {
    let (id, case, audience) = (message.id.to_string(), grant.case().to_string(), message.audience.as_str());
    let report = match message.audience {
        Audience::Report(report) => Some(report.to_string()),
        Audience::Team | Audience::All => None,
    };
    let author = message.author.as_ref().map(|(person, _)| person.to_string());
    let (body, at) = (message.body.envelope(), message.written_at.as_millisecond());
    sqlx::query!(
        r#"insert into message (id, "case", audience, report, author, body, written_at) values (?, ?, ?, ?, ?, ?, ?)"#,
        id,
        case,
        audience,
        report,
        author,
        body,
        at
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_case(EventKind::MessageWritten, grant.case(), format!("{id} to {audience}"));
    super::event::append(tx, grant.actor(), &event).await
}

/// Lists the messages a grant reaches, oldest first: a reporter sees their own report's thread and what is for all.
pub async fn thread(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Message>> {
    let case = grant.case().to_string();
    let only = grant.confined_to_report().map(|report| report.to_string());
    let team = i64::from(grant.confined_to_report().is_none() && grant.also(Action::ReadTeam));
    let found = sqlx::query!(
        r#"select m.id, m.audience, m.report, m.author, m.body, m.written_at, p.name as "name?"
           from message m left join person p on p.id = m.author
           where m."case" = ?1 and (m.audience = 'all' or ?2 = 1 or (m.audience = 'report' and m.report = ?3))
           order by m.written_at, m.id"#,
        case,
        team,
        only
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            let report: Option<ReportId> = parsed_opt(row.report.as_deref(), "message", "report")?;
            let audience = match (row.audience.as_str(), report) {
                ("team", None) => Audience::Team,
                ("report", Some(report)) => Audience::Report(report),
                ("all", None) => Audience::All,
                _ => return Err(Error::Inconsistent { table: "message", column: "audience" }),
            };
            let author: Option<PersonId> = parsed_opt(row.author.as_deref(), "message", "author")?;
            Ok(Message {
                id: parsed(&row.id, "message", "id")?,
                audience,
                author: author.map(|author| (author, row.name.unwrap_or_default())),
                body: Sealed::from_envelope(row.body),
                written_at: instant(row.written_at, "message", "written_at")?,
            })
        })
        .collect()
}

/// Records a stored attachment.
pub async fn attach(tx: &mut Tx, grant: &Grant, attachment: &Attachment) -> Result<()> {
    let (id, case) = (attachment.id.to_string(), grant.case().to_string());
    let report = attachment.report.map(|report| report.to_string());
    let (name, sha256, at) =
        (attachment.name.envelope(), attachment.sha256.as_slice(), attachment.stored_at.as_millisecond());
    let by_server = i64::from(attachment.by_server);
    sqlx::query!(
        r#"insert into attachment (id, "case", report, name, size, sha256, recipients, by_server, stored_at)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?)"#,
        id,
        case,
        report,
        name,
        attachment.size,
        sha256,
        attachment.recipients,
        by_server,
        at
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_case(EventKind::AttachmentStored, grant.case(), format!("{id} {} bytes", attachment.size));
    super::event::append(tx, grant.actor(), &event).await
}

struct AttachmentRow {
    id: String,
    case: String,
    report: Option<String>,
    name: Vec<u8>,
    size: i64,
    sha256: Vec<u8>,
    recipients: i64,
    by_server: i64,
    stored_at: i64,
}

impl TryFrom<AttachmentRow> for Attachment {
    type Error = Error;
    fn try_from(row: AttachmentRow) -> Result<Self> {
        Ok(Self {
            id: parsed(&row.id, "attachment", "id")?,
            case: parsed(&row.case, "attachment", "case")?,
            report: parsed_opt(row.report.as_deref(), "attachment", "report")?,
            name: Sealed::from_envelope(row.name),
            size: row.size,
            sha256: row.sha256.try_into().map_err(|_| Error::Inconsistent { table: "attachment", column: "sha256" })?,
            recipients: row.recipients,
            by_server: row.by_server == 1,
            stored_at: instant(row.stored_at, "attachment", "stored_at")?,
        })
    }
}

/// Lists the attachments a grant reaches.
pub async fn attachments(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Attachment>> {
    let case = grant.case().to_string();
    let only = grant.confined_to_report().map(|report| report.to_string());
    let found = sqlx::query_as!(
        AttachmentRow,
        r#"select id, "case", report, name, size, sha256, recipients, by_server, stored_at from attachment
           where "case" = ?1 and (?2 is null or report = ?2) order by stored_at, id"#,
        case,
        only
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Attachment::try_from).collect()
}

/// Adds up the ciphertext bytes a case holds.
pub async fn attached_bytes(rows: &mut impl Rows, case: &CaseId) -> Result<i64> {
    let case = case.to_string();
    let row = sqlx::query!(r#"select coalesce(sum(size), 0) as "sum!: i64" from attachment where "case" = ?"#, case)
        .fetch_one(rows.conn())
        .await?;
    Ok(row.sum)
}
