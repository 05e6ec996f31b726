//! Every revision of what was published, with its bytes: added, never changed.
//!
//! Guards: a revision goes up whole or not at all, with the bytes its documents were hashed over, and under the paths the
//! public knows. Leaves what may follow what to `domain::revision`.

use jiff::Timestamp;

use crate::domain::access::Grant;
use crate::domain::digest::Digest;
use crate::domain::event::{Event, EventKind};
use crate::domain::manifest::{Document, DocumentPath};
use crate::domain::plain::AdvisoryId;
use crate::domain::revision::{Revision, Successor};
use crate::domain::text::Sentence;

use super::release::digest_of;
use super::{Error, Result, Rows, Tx, instant, one_row, parsed};

/// A file of one revision as it was put up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionFile {
    /// Path, media type and hash.
    pub document: Document,
    /// The bytes.
    pub body: Vec<u8>,
}

/// Reads every revision of a public advisory, oldest first; empty if it is not public.
pub async fn of_advisory(rows: &mut impl Rows, id: &AdvisoryId) -> Result<Vec<Revision>> {
    let id = id.to_string();
    let found = sqlx::query!("select number, kind, at, why from revision where advisory = ? order by number", id)
        .fetch_all(rows.conn())
        .await?;
    found
        .into_iter()
        .map(|row| {
            let why: Option<&str> = (!row.why.is_empty()).then_some(row.why.as_str());
            Ok(Revision {
                number: number(row.number)?,
                kind: parsed(&row.kind, "revision", "kind")?,
                at: instant(row.at, "revision", "at")?,
                why: super::parsed_opt::<Sentence>(why, "revision", "why")?,
            })
        })
        .collect()
}

/// Reads the newest revision of an advisory; `None` if it is not public.
pub async fn newest(rows: &mut impl Rows, id: &AdvisoryId) -> Result<Option<Revision>> {
    Ok(of_advisory(rows, id).await?.pop())
}

/// Reads the files of one revision, by path; empty if there is none of that number.
pub async fn files(rows: &mut impl Rows, id: &AdvisoryId, number: u32) -> Result<Vec<RevisionFile>> {
    let (id, number) = (id.to_string(), i64::from(number));
    let found = sqlx::query!(
        "select path, media_type, sha256, body from publication where advisory = ? and revision = ? order by path",
        id,
        number
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            let document = Document {
                path: parsed(&row.path, "publication", "path")?,
                media_type: row.media_type,
                sha256: digest_of(&row.sha256, "publication", "sha256")?,
            };
            Ok(RevisionFile { document, body: row.body })
        })
        .collect()
}

/// Puts these files up in place of those that are public, as the next revision, and returns its number: all of them or none.
///
/// The newest revision repeated, of the same kind and with the same bytes, changes nothing.
///
/// # Errors
/// A conflict if the advisory is not public, of another case, or was changed at the same instant or later; inconsistent if
/// bytes and hashes differ or a path that the public knows is missing.
pub async fn revise(
    tx: &mut Tx,
    grant: &Grant,
    id: &AdvisoryId,
    next: &Successor,
    files: &[RevisionFile],
) -> Result<u32> {
    let change = next.change();
    let (text, case) = (id.to_string(), grant.case().to_string());
    let newest = newest(tx, id).await?.ok_or(Error::Conflict)?;
    let known = self::files(tx, id, newest.number).await?;
    let of = |path: &DocumentPath| files.iter().find(|file| &file.document.path == path);
    let same = |file: &RevisionFile| of(&file.document.path).is_some_and(|new| new.document == file.document);
    if newest.kind == change.kind && known.len() == files.len() && known.iter().all(same) {
        return Ok(newest.number);
    }
    if change.at <= newest.at {
        return Err(Error::Conflict);
    }
    if known.iter().any(|file| of(&file.document.path).is_none()) {
        return Err(Error::Inconsistent { table: "publication", column: "path" });
    }
    let number = newest.number + 1;
    add(tx, id, &Revision { number, kind: change.kind, at: change.at, why: Some(change.why.clone()) }).await?;
    for file in files {
        put_up(tx, (id, number), &file.document, &file.body).await?;
    }
    let (title, at) = (change.title.as_str(), change.at.as_millisecond());
    let result = sqlx::query!(
        r#"update published_advisory set title = ?, modified_at = max(modified_at, ?) where id = ? and "case" = ?"#,
        title,
        at,
        text,
        case
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    let event = Event::of_case(EventKind::AdvisoryRevised, grant.case(), format!("{id} {number} {}", change.kind));
    super::event::append(tx, grant.actor(), &event).await?;
    Ok(number)
}

/// Writes a revision down.
pub(super) async fn add(tx: &mut Tx, id: &AdvisoryId, revision: &Revision) -> Result<()> {
    let (id, number, kind) = (id.to_string(), i64::from(revision.number), revision.kind.as_str());
    let at = whole(revision.at).as_millisecond();
    let why = revision.why.as_ref().map_or("", Sentence::as_str);
    sqlx::query!(
        "insert into revision (advisory, number, kind, at, why) values (?, ?, ?, ?, ?)",
        id,
        number,
        kind,
        at,
        why
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts one file of a revision up; refused unless its bytes are those that were hashed.
pub(super) async fn put_up(tx: &mut Tx, of: (&AdvisoryId, u32), document: &Document, body: &[u8]) -> Result<()> {
    if Digest::of(body) != document.sha256 {
        return Err(Error::Inconsistent { table: "publication", column: "body" });
    }
    let (id, number, now) = (of.0.to_string(), i64::from(of.1), tx.now().as_millisecond());
    let (path, sha256) = (document.path.as_str(), document.sha256.as_bytes().as_slice());
    sqlx::query!(
        "insert into publication (path, revision, advisory, media_type, body, sha256, published_at)
         values (?, ?, ?, ?, ?, ?, ?)",
        path,
        number,
        id,
        document.media_type,
        body,
        sha256,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) fn number(number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::Inconsistent { table: "revision", column: "number" })
}

fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
