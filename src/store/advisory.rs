//! Drafts of advisories, their approval by hash, and waivers of checks that could not run.

use jiff::Timestamp;

use crate::domain::access::Grant;
use crate::domain::advisory::Advisory;
use crate::domain::change::Version;
use crate::domain::digest::Digest;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{FixId, PersonId};
use crate::domain::plain::AdvisoryId;
use crate::domain::repo::CommitId;
use crate::domain::sealed::Sealed;

use super::release::digest_of;
use super::{Result, Rows, Tx, instant, one_row, parsed, parsed_opt};

/// A draft as its row holds it.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The text, sealed.
    pub sealed: Sealed<Advisory>,
    /// When it was last edited.
    pub edited_at: Timestamp,
    /// Who edited it last.
    pub edited_by: Option<PersonId>,
    /// Everybody who edited since the text was settled.
    pub editors: Vec<PersonId>,
    /// The text, with its reporters and what its release knew of it, as it was last frozen or published; sealed.
    pub settled: Option<Sealed<Advisory>>,
    /// The hash that was approved, and by whom.
    pub approved: Option<(Digest, PersonId)>,
    /// Its public id, once one was given.
    pub public_id: Option<AdvisoryId>,
    /// Changes so far.
    pub version: Version,
}

/// Reads the draft of the case a grant is for; `None` while there is none.
pub async fn get(rows: &mut impl Rows, grant: &Grant) -> Result<Option<Draft>> {
    let case = grant.case().to_string();
    let row = sqlx::query!(
        r#"select draft, edited_at, edited_by, editors, settled, approved_digest, approved_by, public_id, version
           from advisory where "case" = ?"#,
        case
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| {
        let digest = row.approved_digest.map(|bytes| digest_of(&bytes, "advisory", "approved_digest")).transpose()?;
        let by = parsed_opt(row.approved_by.as_deref(), "advisory", "approved_by")?;
        Ok(Draft {
            sealed: Sealed::from_envelope(row.draft),
            edited_at: instant(row.edited_at, "advisory", "edited_at")?,
            edited_by: parsed_opt(row.edited_by.as_deref(), "advisory", "edited_by")?,
            editors: row
                .editors
                .split_whitespace()
                .map(|id| parsed(id, "advisory", "editors"))
                .collect::<Result<_>>()?,
            settled: row.settled.map(Sealed::from_envelope),
            approved: digest.zip(by),
            public_id: parsed_opt(row.public_id.as_deref(), "advisory", "public_id")?,
            version: Version(row.version),
        })
    })
    .transpose()
}

/// Saves the draft; `version` is the one that was edited, none for the first. The approval of the earlier text is void.
pub async fn edit(tx: &mut Tx, grant: &Grant, sealed: &Sealed<Advisory>, version: Option<Version>) -> Result<()> {
    let (case, now, draft) = (grant.case().to_string(), tx.now().as_millisecond(), sealed.envelope());
    let by = grant.actor().person().map(|person| person.to_string());
    let result = match version {
        Some(Version(version)) => {
            sqlx::query!(
                r#"update advisory set draft = ?1, edited_at = ?2, edited_by = ?3, approved_digest = null, approved_by = null,
                     approved_at = null, version = version + 1,
                     editors = case when ?3 is null or instr(editors, ?3) > 0 then editors else trim(editors || ' ' || ?3) end
                   where "case" = ?4 and version = ?5"#,
                draft,
                now,
                by,
                case,
                version
            )
            .execute(tx.conn())
            .await?
        }
        None => {
            sqlx::query!(
                r#"insert into advisory ("case", draft, edited_at, edited_by, editors) values (?1, ?2, ?3, ?4, coalesce(?4, ''))
                   on conflict ("case") do nothing"#,
                case,
                draft,
                now,
                by
            )
            .execute(tx.conn())
            .await?
        }
    };
    one_row(&result)?;
    let event = Event::of_case(EventKind::AdvisoryEdited, grant.case(), "draft");
    super::event::append(tx, grant.actor(), &event).await
}

/// Keeps the text as it is frozen or published now, and begins to count anew who edits it. What decided that is its event.
pub async fn settle(tx: &mut Tx, grant: &Grant, text: &Sealed<Advisory>) -> Result<()> {
    let (case, text) = (grant.case().to_string(), text.envelope());
    let result = sqlx::query!(r#"update advisory set settled = ?, editors = '' where "case" = ?"#, text, case)
        .execute(tx.conn())
        .await?;
    one_row(&result)
}

/// Gives the draft its public id, once and for good.
pub async fn name(tx: &mut Tx, grant: &Grant, id: &AdvisoryId) -> Result<()> {
    let (case, id) = (grant.case().to_string(), id.to_string());
    let result = sqlx::query!(r#"update advisory set public_id = ? where "case" = ? and public_id is null"#, id, case)
        .execute(tx.conn())
        .await?;
    one_row(&result)
}

/// Records the approval of the text with this hash.
pub async fn approve(tx: &mut Tx, grant: &Grant, person: PersonId, approved: (Digest, Version)) -> Result<()> {
    let (case, person, now) = (grant.case().to_string(), person.to_string(), tx.now().as_millisecond());
    let (digest, Version(version)) = approved;
    let bytes = digest.as_bytes().as_slice();
    let result = sqlx::query!(
        r#"update advisory set approved_digest = ?, approved_by = ?, approved_at = ?, version = version + 1
           where "case" = ? and version = ?"#,
        bytes,
        person,
        now,
        case,
        version
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    let event = Event::of_case(EventKind::AdvisoryApproved, grant.case(), digest.to_string());
    super::event::append(tx, grant.actor(), &event).await
}

/// Records that a person answers for a commit whose checks could not run here; given twice, the first stands.
pub async fn waive(tx: &mut Tx, grant: &Grant, fix: FixId, answer: (&CommitId, PersonId)) -> Result<()> {
    let (fix_text, head, person) = (fix.to_string(), answer.0.to_string(), answer.1.to_string());
    let (case, now) = (grant.case().to_string(), tx.now().as_millisecond());
    sqlx::query!(
        r#"insert into waiver (fix, head, person, waived_at)
           select id, ?, ?, ? from fix where id = ? and "case" = ? on conflict do nothing"#,
        head,
        person,
        now,
        fix_text,
        case
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_case(EventKind::CheckMoved, grant.case(), format!("fix {fix} waived at {head}"));
    super::event::append(tx, grant.actor(), &event).await
}

/// Names who answered for this head of a fix, if anybody did.
pub async fn waived(rows: &mut impl Rows, grant: &Grant, fix: FixId, head: &CommitId) -> Result<Option<PersonId>> {
    let (fix, head, case) = (fix.to_string(), head.to_string(), grant.case().to_string());
    let row = sqlx::query!(
        r#"select w.person from waiver w join fix f on f.id = w.fix where w.fix = ? and w.head = ? and f."case" = ?"#,
        fix,
        head,
        case
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| parsed(&row.person, "waiver", "person")).transpose()
}

#[cfg(test)]
#[path = "advisory_tests.rs"]
mod tests;
