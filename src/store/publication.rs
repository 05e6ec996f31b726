//! What will be published and what the public reads: sealed until the run, plain afterwards, the same bytes.

use jiff::Timestamp;

use crate::domain::access::Grant;
use crate::domain::digest::Digest;
use crate::domain::event::{Event, EventKind};
use crate::domain::haste::told_at;
use crate::domain::id::{CaseId, ProjectId, ReleaseId};
use crate::domain::manifest::{Document, DocumentPath, FrozenAdvisory};
use crate::domain::plain::AdvisoryId;
use crate::domain::revision::{Revision, RevisionKind};
use crate::domain::sealed::Sealed;
use crate::domain::text::Title;

use super::release::digest_of;
use super::{Error, Result, Rows, Tx, instant, instant_opt, parsed};

/// The text of a frozen file, once opened.
pub type DocumentText = String;

/// A file as the public gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The advisory it belongs to.
    pub advisory: AdvisoryId,
    /// The media type to serve it under.
    pub media_type: String,
    /// The bytes.
    pub body: Vec<u8>,
    /// Their SHA-256.
    pub sha256: Digest,
    /// When it was put up.
    pub published_at: Timestamp,
    /// The revision of its advisory it is of, from 1.
    pub revision: u32,
}

/// An advisory in the public list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its id.
    pub id: AdvisoryId,
    /// The project.
    pub project: ProjectId,
    /// Its title.
    pub title: Title,
    /// When it was put up.
    pub published_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
    /// What its newest revision did.
    pub kind: RevisionKind,
}

/// Keeps the files of one case of a release, sealed, until its run; in place of those of an earlier freezing.
pub async fn freeze(
    tx: &mut Tx,
    grant: &Grant,
    release: &ReleaseId,
    files: &[(Document, Sealed<DocumentText>)],
) -> Result<()> {
    let (release, case) = (release.to_string(), grant.case().to_string());
    sqlx::query!(r#"delete from release_document where release = ? and "case" = ?"#, release, case)
        .execute(tx.conn())
        .await?;
    for (document, sealed) in files {
        let (path, sha256, body) = (document.path.as_str(), document.sha256.as_bytes().as_slice(), sealed.envelope());
        sqlx::query!(
            r#"insert into release_document (release, "case", path, media_type, sha256, body) values (?, ?, ?, ?, ?, ?)"#,
            release,
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

/// Reads the frozen files of the case a grant is for.
pub async fn frozen(
    rows: &mut impl Rows,
    grant: &Grant,
    release: &ReleaseId,
) -> Result<Vec<(Document, Sealed<DocumentText>)>> {
    let (release, case) = (release.to_string(), grant.case().to_string());
    let found = sqlx::query!(
        r#"select path, media_type, sha256, body from release_document where release = ? and "case" = ? order by path"#,
        release,
        case
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            let document = Document {
                path: parsed(&row.path, "release_document", "path")?,
                media_type: row.media_type,
                sha256: digest_of(&row.sha256, "release_document", "sha256")?,
            };
            Ok((document, Sealed::from_envelope(row.body)))
        })
        .collect()
}

/// Puts an advisory up with its files, all of them or none; put up already with the same bytes, nothing changes.
pub async fn publish(
    tx: &mut Tx,
    grant: &Grant,
    place: (&ReleaseId, &ProjectId),
    advisory: &FrozenAdvisory,
    bodies: &[(DocumentPath, Vec<u8>)],
) -> Result<()> {
    let (id, case) = (advisory.id.to_string(), grant.case().to_string());
    let (release, project, now) = (place.0.to_string(), place.1.to_string(), tx.now().as_millisecond());
    let title = advisory.title.as_str();
    let known = sqlx::query!(r#"select "case", release from published_advisory where id = ?"#, id)
        .fetch_optional(tx.conn())
        .await?;
    if let Some(known) = known {
        return if known.case == case && known.release == release { Ok(()) } else { Err(Error::Conflict) };
    }
    sqlx::query!(
        r#"insert into published_advisory (id, "case", release, project, title, published_at, modified_at)
           values (?, ?, ?, ?, ?, ?, ?)"#,
        id,
        case,
        release,
        project,
        title,
        now,
        now
    )
    .execute(tx.conn())
    .await?;
    // What the documents say of themselves, whenever they are put up.
    let dated =
        sqlx::query!("select dated_at, hastened_at from release where id = ?", release).fetch_one(tx.conn()).await?;
    let since = instant_opt(dated.hastened_at, "release", "hastened_at")?;
    let at = told_at(instant(dated.dated_at, "release", "dated_at")?, since);
    let first = Revision { number: 1, kind: RevisionKind::Published, at, why: None };
    super::revision::add(tx, &advisory.id, &first).await?;
    for document in &advisory.documents {
        // What is put up is what was frozen, or nothing is.
        let Some((_, body)) = bodies.iter().find(|(path, _)| path == &document.path) else {
            return Err(Error::Inconsistent { table: "release_document", column: "body" });
        };
        super::revision::put_up(tx, (&advisory.id, first.number), document, body).await?;
    }
    let event = Event::of_case(EventKind::AdvisoryPublished, grant.case(), id);
    super::event::append(tx, grant.actor(), &event).await
}

/// Names the public advisory of a case, if it is up. For the server's chores and the case's members.
pub async fn of_case(rows: &mut impl Rows, case: &CaseId) -> Result<Option<AdvisoryId>> {
    let case = case.to_string();
    let row =
        sqlx::query!(r#"select id from published_advisory where "case" = ?"#, case).fetch_optional(rows.conn()).await?;
    row.map(|row| parsed(&row.id, "published_advisory", "id")).transpose()
}

/// Names the public advisory of the case a grant is for, and the release that published it.
pub async fn placed(rows: &mut impl Rows, grant: &Grant) -> Result<Option<(AdvisoryId, ReleaseId)>> {
    let case = grant.case().to_string();
    let row = sqlx::query!(r#"select id, release from published_advisory where "case" = ?"#, case)
        .fetch_optional(rows.conn())
        .await?;
    let parts = |id: String, release: String| {
        Ok((parsed(&id, "published_advisory", "id")?, parsed(&release, "published_advisory", "release")?))
    };
    row.map(|row| parts(row.id, row.release)).transpose()
}

/// Finds a public file by its path, as its newest revision has it.
pub async fn file(rows: &mut impl Rows, path: &DocumentPath) -> Result<Option<Publication>> {
    let path = path.as_str();
    let row = sqlx::query!(
        "select advisory, revision, media_type, body, sha256, published_at from publication
         where path = ? order by revision desc limit 1",
        path
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| {
        Ok(Publication {
            advisory: parsed(&row.advisory, "publication", "advisory")?,
            media_type: row.media_type,
            body: row.body,
            sha256: digest_of(&row.sha256, "publication", "sha256")?,
            published_at: instant(row.published_at, "publication", "published_at")?,
            revision: super::revision::number(row.revision)?,
        })
    })
    .transpose()
}

/// Lists the public advisories, newest first, at most `limit`.
pub async fn list(rows: &mut impl Rows, limit: i64) -> Result<Vec<Published>> {
    let found = sqlx::query!(
        r#"select a.id, a.project, a.title, a.published_at, a.modified_at, r.kind
           from published_advisory a join revision r on r.advisory = a.id
             and r.number = (select max(number) from revision where advisory = a.id)
           order by a.published_at desc, a.id desc limit ?"#,
        limit
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Published {
                id: parsed(&row.id, "published_advisory", "id")?,
                project: parsed(&row.project, "published_advisory", "project")?,
                title: parsed(&row.title, "published_advisory", "title")?,
                published_at: instant(row.published_at, "published_advisory", "published_at")?,
                modified_at: instant(row.modified_at, "published_advisory", "modified_at")?,
                kind: parsed(&row.kind, "revision", "kind")?,
            })
        })
        .collect()
}
