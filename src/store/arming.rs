//! People's words on a release: who armed it, and who wants it disclosed now.

use jiff::Timestamp;

use crate::domain::access::Grant;
use crate::domain::id::{PersonId, ProjectId, ReleaseId};
use crate::domain::release::{Arming, Release};

use super::release::digest_of;
use super::{Result, Rows, Tx, instant, parsed};

/// Lists who armed a release.
pub(super) async fn armings(rows: &mut impl Rows, release: &str) -> Result<Vec<Arming>> {
    let found = sqlx::query!(
        "select person, digest, due_at, armed_at from arming where release = ? order by armed_at, person",
        release
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Arming {
                person: parsed(&row.person, "arming", "person")?,
                digest: digest_of(&row.digest, "arming", "digest")?,
                due_at: instant(row.due_at, "arming", "due_at")?,
                armed_at: instant(row.armed_at, "arming", "armed_at")?,
            })
        })
        .collect()
}

/// Lists who wants a release disclosed now.
pub(super) async fn asked(rows: &mut impl Rows, release: &str) -> Result<Vec<(PersonId, Timestamp)>> {
    let found = sqlx::query!("select person, asked_at from haste where release = ? order by asked_at, person", release)
        .fetch_all(rows.conn())
        .await?;
    let pair =
        |(person, at): (String, i64)| Ok((parsed(&person, "haste", "person")?, instant(at, "haste", "asked_at")?));
    found.into_iter().map(|row| pair((row.person, row.asked_at))).collect()
}

/// Writes who armed a release.
pub(super) async fn write_armings(tx: &mut Tx, release: &Release) -> Result<()> {
    let id = release.id.to_string();
    sqlx::query!("delete from arming where release = ?", id).execute(tx.conn()).await?;
    for arming in &release.armings {
        let (person, digest) = (arming.person.to_string(), arming.digest.as_bytes().as_slice());
        let (due, at) = (arming.due_at.as_millisecond(), arming.armed_at.as_millisecond());
        sqlx::query!(
            "insert into arming (release, person, digest, due_at, armed_at) values (?, ?, ?, ?, ?)",
            id,
            person,
            digest,
            due,
            at
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Writes who wants a release disclosed now.
pub(super) async fn write_haste(tx: &mut Tx, release: &Release) -> Result<()> {
    let id = release.id.to_string();
    sqlx::query!("delete from haste where release = ?", id).execute(tx.conn()).await?;
    for (person, at) in &release.haste.asked {
        let (person, at) = (person.to_string(), at.as_millisecond());
        sqlx::query!("insert into haste (release, person, asked_at) values (?, ?, ?)", id, person, at)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

/// Names a release of the case that waits or runs on this person's word, armed or to be disclosed now: their seat may not
/// change under it.
pub async fn armed_by(rows: &mut impl Rows, grant: &Grant, person: PersonId) -> Result<Option<ReleaseId>> {
    let (case, person) = (grant.case().to_string(), person.to_string());
    let row = sqlx::query!(
        r#"select r.id from release r join release_case c on c.release = r.id
           where c."case" = ?1 and r.state in ('frozen', 'armed', 'running', 'held')
             and (exists (select 1 from arming a where a.release = r.id and a.person = ?2)
               or exists (select 1 from haste h where h.release = r.id and h.person = ?2))"#,
        case,
        person
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| parsed(&row.id, "release", "id")).transpose()
}

/// Names a release of the project that waits or runs on this person's word: they may not leave the team under it.
pub async fn armed_in(rows: &mut impl Rows, project: &ProjectId, person: PersonId) -> Result<Option<ReleaseId>> {
    let (project, person) = (project.to_string(), person.to_string());
    let row = sqlx::query!(
        "select r.id from release r where r.project = ?1 and r.state in ('frozen', 'armed', 'running', 'held')
           and (exists (select 1 from arming a where a.release = r.id and a.person = ?2)
             or exists (select 1 from haste h where h.release = r.id and h.person = ?2)) order by r.id limit 1",
        project,
        person
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| parsed(&row.id, "release", "id")).transpose()
}
