//! What is held back of advisories: sealed from the freezing to its own instant, and who moved it.
//!
//! Guards: what is kept here is what was approved with the revision it follows; it is put in place of that only together.

use jiff::Timestamp;

use crate::domain::access::Grant;
use crate::domain::details::{DetailsState, Held};
use crate::domain::digest::Digest;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{CaseId, ReleaseId};
use crate::domain::manifest::Document;
use crate::domain::plain::AdvisoryId;
use crate::domain::sealed::Sealed;

use super::publication::DocumentText;
use super::release::digest_of;
use super::{Error, Result, Rows, Tx, instant, instant_opt, one_row, parsed};

const TABLE: &str = "details";

/// What documents are made of, in the form its reader knows.
pub type Source = String;

/// What is to be kept back: made once, kept until its instant.
#[derive(Debug)]
pub struct Kept {
    /// What the documents are made of, sealed.
    pub source: Sealed<Source>,
    /// The instant they say they were changed at; whole seconds.
    pub dated_at: Timestamp,
    /// The documents, sealed.
    pub files: Vec<(Document, Sealed<DocumentText>)>,
}

/// Keeps what a release holds back of a case's advisory until its run, in place of what an earlier freezing kept; none: nothing.
pub async fn freeze(tx: &mut Tx, grant: &Grant, release: &ReleaseId, kept: Option<&Kept>) -> Result<()> {
    drop(tx, grant).await?;
    let Some(kept) = kept else { return Ok(()) };
    let (case, release) = (grant.case().to_string(), release.to_string());
    let (source, dated) = (kept.source.envelope(), kept.dated_at.as_millisecond());
    sqlx::query!(
        r#"insert into details ("case", release, state, source, dated_at) values (?, ?, 'frozen', ?, ?)"#,
        case,
        release,
        source,
        dated
    )
    .execute(tx.conn())
    .await?;
    write(tx, &case, &kept.files).await
}

/// Lets what was frozen wait for its instant, from the advisory's first revision on. Begun twice, nothing changes.
///
/// # Errors
/// Inconsistent unless what was kept is, file by file, what the Manifest names.
pub async fn begin(
    tx: &mut Tx,
    grant: &Grant,
    of: (&AdvisoryId, &ReleaseId),
    named: &[Document],
    due_at: Timestamp,
) -> Result<()> {
    let (case, advisory, release) = (grant.case().to_string(), of.0.to_string(), of.1.to_string());
    let due = due_at.as_millisecond();
    let result = sqlx::query!(
        r#"update details set state = 'held', advisory = ?, follows = 1, due_at = ?
           where "case" = ? and release = ? and state = 'frozen'"#,
        advisory,
        due,
        case,
        release
    )
    .execute(tx.conn())
    .await?;
    if result.rows_affected() == 0 {
        return Ok(());
    }
    let files = files(tx, grant).await?;
    let there = |document: &Document| files.iter().any(|(kept, _)| kept == document);
    if files.len() != named.len() || !named.iter().all(there) {
        return Err(Error::Inconsistent { table: "details_document", column: "sha256" });
    }
    moved(tx, grant, Some(due_at)).await
}

/// Reads what is, or was, held back of the public advisory of a case.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Option<Held>> {
    let case = grant.case().to_string();
    let row = sqlx::query!(
        r#"select release, state, dated_at, due_at, advisory, follows, revision, attempts, note from details where "case" = ?"#,
        case
    )
    .fetch_optional(rows.conn())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let state: DetailsState = parsed(&row.state, TABLE, "state")?;
    let (Some(advisory), Some(follows)) = (row.advisory, row.follows) else {
        return match state {
            DetailsState::Frozen => Ok(None),
            DetailsState::Held | DetailsState::Published => {
                Err(Error::Inconsistent { table: TABLE, column: "follows" })
            }
        };
    };
    Ok(Some(Held {
        advisory: parsed(&advisory, TABLE, "advisory")?,
        release: parsed(&row.release, TABLE, "release")?,
        follows: super::revision::number(follows)?,
        dated_at: instant(row.dated_at, TABLE, "dated_at")?,
        due_at: instant_opt(row.due_at, TABLE, "due_at")?,
        revision: row.revision.map(super::revision::number).transpose()?,
        attempts: u32::try_from(row.attempts).map_err(|_| Error::Inconsistent { table: TABLE, column: "attempts" })?,
        note: row.note,
    }))
}

/// Reads what the documents are made of.
pub async fn source(rows: &mut impl Rows, grant: &Grant) -> Result<Option<Sealed<Source>>> {
    let case = grant.case().to_string();
    let row = sqlx::query!(r#"select source from details where "case" = ?"#, case).fetch_optional(rows.conn()).await?;
    Ok(row.map(|row| Sealed::from_envelope(row.source)))
}

/// Reads the documents, by path; empty if nothing is held back.
pub async fn files(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<(Document, Sealed<DocumentText>)>> {
    let case = grant.case().to_string();
    let found = sqlx::query!(
        r#"select path, media_type, sha256, body from details_document where "case" = ? order by path"#,
        case
    )
    .fetch_all(rows.conn())
    .await?;
    let file = |path: String, media_type: String, sha256: Vec<u8>, body: Vec<u8>| {
        let path = parsed(&path, "details_document", "path")?;
        let sha256: Digest = digest_of(&sha256, "details_document", "sha256")?;
        Ok((Document { path, media_type, sha256 }, Sealed::from_envelope(body)))
    };
    found.into_iter().map(|row| file(row.path, row.media_type, row.sha256, row.body)).collect()
}

/// Names the cases of which something held back is due, of the newest revision of their advisory. For the server's chores.
pub async fn due(rows: &mut impl Rows, now: Timestamp) -> Result<Vec<CaseId>> {
    let now = now.as_millisecond();
    let found = sqlx::query!(
        r#"select "case" from details where state = 'held' and due_at <= ?
             and follows = (select max(number) from revision where advisory = details.advisory)
           order by due_at"#,
        now
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.case, TABLE, "case")).collect()
}

/// Puts other documents in place of those that are held back: what follows this revision from now on.
pub async fn replace(tx: &mut Tx, grant: &Grant, follows: u32, kept: &Kept) -> Result<()> {
    let (case, follows) = (grant.case().to_string(), i64::from(follows));
    let (source, dated) = (kept.source.envelope(), kept.dated_at.as_millisecond());
    let result = sqlx::query!(
        r#"update details set follows = ?, source = ?, dated_at = ? where "case" = ? and state = 'held'"#,
        follows,
        source,
        dated,
        case
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    sqlx::query!(r#"delete from details_document where "case" = ?"#, case).execute(tx.conn()).await?;
    write(tx, &case, &kept.files).await
}

/// Gives what is held back another instant; none: it stays back. A conflict if it is public by now.
pub async fn put_off(tx: &mut Tx, grant: &Grant, due_at: Option<Timestamp>) -> Result<()> {
    let (case, due) = (grant.case().to_string(), due_at.map(Timestamp::as_millisecond));
    let result = sqlx::query!(
        r#"update details set due_at = ?, attempts = 0, note = '' where "case" = ? and state = 'held'"#,
        due,
        case
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    moved(tx, grant, due_at).await
}

/// Writes down that it is public, as this revision. A conflict if it was already.
pub async fn published(tx: &mut Tx, grant: &Grant, revision: u32) -> Result<()> {
    let (case, revision) = (grant.case().to_string(), i64::from(revision));
    let result = sqlx::query!(
        r#"update details set state = 'published', revision = ?, note = '' where "case" = ? and state = 'held'"#,
        revision,
        case
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)
}

/// Writes down that it could not be published. A conflict if it is public by now.
pub async fn failed(tx: &mut Tx, grant: &Grant, note: &str) -> Result<()> {
    let case = grant.case().to_string();
    let result = sqlx::query!(
        r#"update details set attempts = attempts + 1, note = ? where "case" = ? and state = 'held'"#,
        note,
        case
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)
}

/// Forgets what is held back of a case's advisory, if anything is.
pub async fn drop(tx: &mut Tx, grant: &Grant) -> Result<()> {
    let case = grant.case().to_string();
    sqlx::query!(r#"delete from details_document where "case" = ?"#, case).execute(tx.conn()).await?;
    sqlx::query!(r#"delete from details where "case" = ? and state <> 'published'"#, case).execute(tx.conn()).await?;
    Ok(())
}

async fn write(tx: &mut Tx, case: &str, files: &[(Document, Sealed<DocumentText>)]) -> Result<()> {
    for (document, sealed) in files {
        let (path, sha256, body) = (document.path.as_str(), document.sha256.as_bytes().as_slice(), sealed.envelope());
        sqlx::query!(
            r#"insert into details_document ("case", path, media_type, sha256, body) values (?, ?, ?, ?, ?)"#,
            case,
            path,
            document.media_type,
            sha256,
            body
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

async fn moved(tx: &mut Tx, grant: &Grant, due_at: Option<Timestamp>) -> Result<()> {
    let object = due_at.map_or_else(|| "until somebody says".to_owned(), |at| format!("until {at}"));
    let event = Event::of_case(EventKind::DetailsMoved, grant.case(), object);
    super::event::append(tx, grant.actor(), &event).await
}
