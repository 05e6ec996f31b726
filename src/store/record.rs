//! The public record of a case: reporters' answers, the sealed draft, and what was published.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::access::Grant;
use crate::domain::digest::Digest;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{PersonId, ReportId};
use crate::domain::plain::AdvisoryId;
use crate::domain::record::{Answers, Part, RecordAnswer, Said};
use crate::domain::sealed::Sealed;

use super::release::digest_of;
use super::{Result, Rows, Tx, instant, one_row, parsed};

/// A record as somebody put it together, once opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordDraft {
    /// The keys of its lines.
    pub keys: Vec<String>,
    /// The reports whose reporters' own words are in it.
    pub reports: Vec<ReportId>,
    /// The body of its page.
    pub html: String,
    /// The same as Markdown.
    pub markdown: String,
}

impl RecordDraft {
    /// Returns what publishing it is bound to: both texts, byte for byte.
    pub fn digest(&self) -> Digest {
        Digest::of_parts(&[b"embargo-record-1", self.html.as_bytes(), self.markdown.as_bytes()])
    }
}

/// A record as the public reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicRecord {
    /// The body of its page.
    pub html: String,
    /// The same as Markdown.
    pub markdown: String,
    /// What was published.
    pub digest: Digest,
    /// When.
    pub published_at: Timestamp,
}

/// Reads what the reporters of a case said.
pub async fn answers(rows: &mut impl Rows, grant: &Grant) -> Result<Answers> {
    let case = grant.case().to_string();
    let found = sqlx::query!(r#"select report, answer, parts, answered_at from record_consent where "case" = ?"#, case)
        .fetch_all(rows.conn())
        .await?;
    found
        .into_iter()
        .map(|row| {
            let parts = row.parts.split(' ').filter(|word| !word.is_empty());
            let said = Said {
                answer: parsed(&row.answer, "record_consent", "answer")?,
                parts: parts.map(|word| parsed(word, "record_consent", "parts")).collect::<Result<_>>()?,
                at: instant(row.answered_at, "record_consent", "answered_at")?,
            };
            Ok((parsed(&row.report, "record_consent", "report")?, said))
        })
        .collect()
}

/// Writes down what a reporter says to these parts; the last word counts.
pub async fn answer(
    tx: &mut Tx,
    grant: &Grant,
    report: ReportId,
    (answer, parts): (RecordAnswer, &[Part]),
) -> Result<()> {
    let parts = parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(" ");
    let (case, id, word, now) =
        (grant.case().to_string(), report.to_string(), answer.as_str(), tx.now().as_millisecond());
    sqlx::query!(
        r#"insert into record_consent (report, "case", answer, parts, answered_at) values (?, ?, ?, ?, ?)
           on conflict (report) do update
             set answer = excluded.answer, parts = excluded.parts, answered_at = excluded.answered_at"#,
        id,
        case,
        word,
        parts,
        now
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_case(EventKind::RecordAnswered, grant.case(), format!("{id} {answer}"));
    super::event::append(tx, grant.actor(), &event).await
}

/// Reads the draft of a case's record, if somebody made one.
pub async fn draft(rows: &mut impl Rows, grant: &Grant) -> Result<Option<Sealed<RecordDraft>>> {
    let case = grant.case().to_string();
    let row =
        sqlx::query!(r#"select draft from record_draft where "case" = ?"#, case).fetch_optional(rows.conn()).await?;
    Ok(row.map(|row| Sealed::from_envelope(row.draft)))
}

/// Keeps a draft, in place of an earlier one.
pub async fn choose(tx: &mut Tx, grant: &Grant, draft: &Sealed<RecordDraft>, by: PersonId) -> Result<()> {
    let (case, body) = (grant.case().to_string(), draft.envelope());
    let (by, now) = (by.to_string(), tx.now().as_millisecond());
    sqlx::query!(
        r#"insert into record_draft ("case", draft, made_by, made_at) values (?, ?, ?, ?)
           on conflict ("case") do update set draft = excluded.draft, made_by = excluded.made_by, made_at = excluded.made_at"#,
        case,
        body,
        by,
        now
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_case(EventKind::RecordChosen, grant.case(), "draft");
    super::event::append(tx, grant.actor(), &event).await
}

/// Publishes a draft under the case's advisory, and forgets it. A conflict if there is a record already.
pub async fn publish(tx: &mut Tx, grant: &Grant, advisory: &AdvisoryId, draft: &RecordDraft) -> Result<()> {
    let (case, id, now) = (grant.case().to_string(), advisory.to_string(), tx.now().as_millisecond());
    let digest = draft.digest();
    let sha256 = digest.as_bytes().as_slice();
    let result = sqlx::query!(
        "insert into public_record (advisory, html, markdown, sha256, published_at) values (?, ?, ?, ?, ?)
         on conflict (advisory) do nothing",
        id,
        draft.html,
        draft.markdown,
        sha256,
        now
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    sqlx::query!(r#"delete from record_draft where "case" = ?"#, case).execute(tx.conn()).await?;
    let event = Event::of_case(EventKind::RecordPublished, grant.case(), format!("{id} {digest}"));
    super::event::append(tx, grant.actor(), &event).await
}

/// Reads the public record of an advisory, if there is one. For everybody.
pub async fn published(rows: &mut impl Rows, advisory: &AdvisoryId) -> Result<Option<PublicRecord>> {
    let id = advisory.to_string();
    let row = sqlx::query!("select html, markdown, sha256, published_at from public_record where advisory = ?", id)
        .fetch_optional(rows.conn())
        .await?;
    row.map(|row| {
        Ok(PublicRecord {
            html: row.html,
            markdown: row.markdown,
            digest: digest_of(&row.sha256, "public_record", "sha256")?,
            published_at: instant(row.published_at, "public_record", "published_at")?,
        })
    })
    .transpose()
}
