//! Candidates that people pushed to a release, and their approvals.

use jiff::SignedDuration;

use crate::domain::access::Grants;
use crate::domain::candidate::Pushed;
use crate::domain::change::Change;
use crate::domain::event::EventKind;
use crate::domain::fix::Approval;
use crate::domain::id::{LineId, ReleaseId};
use crate::domain::owner::Proof;
use crate::domain::release::Release;
use crate::domain::repo::CommitId;

use super::check::record;
use super::{Error, Result, Rows, Tx, instant, parsed};

/// Reads what was pushed last for a line of the release.
pub async fn of_line(rows: &mut impl Rows, of: (&Release, &Grants), line: LineId) -> Result<Option<Pushed>> {
    let (release, line_text) = (of.0.id.to_string(), line.to_string());
    let row = sqlx::query!(
        "select head, pushed_by, pushed_at from candidate where release = ? and line = ?",
        release,
        line_text
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| {
        Ok(Pushed {
            release: of.0.id.clone(),
            line,
            head: parsed(&row.head, "candidate", "head")?,
            pushed_by: parsed(&row.pushed_by, "candidate", "pushed_by")?,
            pushed_at: instant(row.pushed_at, "candidate", "pushed_at")?,
        })
    })
    .transpose()
}

/// Saves what a settled push brought.
pub async fn save(tx: &mut Tx, proof: &impl Proof, pushed: &Pushed) -> Result<()> {
    let (release, line, head) = (pushed.release.to_string(), pushed.line.to_string(), pushed.head.as_str());
    let (by, at) = (pushed.pushed_by.to_string(), pushed.pushed_at.as_millisecond());
    sqlx::query!(
        "insert into candidate (release, line, head, pushed_by, pushed_at) values (?1, ?2, ?3, ?4, ?5)
         on conflict (release, line) do update set head = ?3, pushed_by = ?4, pushed_at = ?5",
        release,
        line,
        head,
        by,
        at
    )
    .execute(tx.conn())
    .await?;
    record(tx, proof, EventKind::PushSettled, format!("candidate of {line} at {head}")).await
}

/// Takes back what was pushed for a line: the branch was deleted.
pub async fn remove(tx: &mut Tx, proof: &impl Proof, line: LineId) -> Result<()> {
    let owner = proof.owner();
    let release = owner.release().ok_or(Error::Conflict)?.to_string();
    let line = line.to_string();
    sqlx::query!("delete from candidate where release = ? and line = ?", release, line).execute(tx.conn()).await?;
    record(tx, proof, EventKind::PushSettled, format!("candidate of {line} deleted")).await
}

/// Forgets everything that was pushed to the release: one of its cases left it, and its code is in there.
pub async fn forget(tx: &mut Tx, of: (&Release, &Grants)) -> Result<()> {
    let release = of.0.id.to_string();
    sqlx::query!("delete from candidate where release = ?", release).execute(tx.conn()).await?;
    sqlx::query!("delete from candidate_approval where release = ?", release).execute(tx.conn()).await?;
    Ok(())
}

/// Writes down how long it took to build a release's candidates.
pub async fn built_in(tx: &mut Tx, release: &ReleaseId, took: SignedDuration) -> Result<()> {
    let (release, now) = (release.to_string(), tx.now().as_millisecond());
    let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    sqlx::query!(
        "insert into rehearsal_time (release, milliseconds, measured_at) values (?1, ?2, ?3)
         on conflict (release) do update set milliseconds = ?2, measured_at = ?3",
        release,
        took,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Returns how long it took to build the release's candidates the last time; none if that was never measured.
pub async fn build_time(rows: &mut impl Rows, of: (&Release, &Grants)) -> Result<Option<SignedDuration>> {
    let release = of.0.id.to_string();
    let row = sqlx::query!("select milliseconds from rehearsal_time where release = ?", release)
        .fetch_optional(rows.conn())
        .await?;
    Ok(row.map(|row| SignedDuration::from_millis(row.milliseconds)))
}

/// Returns how long the last green checks of a line took: of the release's candidates, or else of a fix of one of its cases.
pub async fn check_time(rows: &mut impl Rows, of: (&Release, &Grants), line: LineId) -> Result<Option<SignedDuration>> {
    let (release, line) = (of.0.id.to_string(), line.to_string());
    let row = sqlx::query!(
        r#"select started_at as "started_at!: i64", ended_at as "ended_at!: i64" from check_run
           where line = ?1 and state = 'success' and started_at is not null and ended_at is not null
             and (release = ?2 or "case" in (select "case" from release_case where release = ?2))
           order by release is null, ended_at desc limit 1"#,
        line,
        release
    )
    .fetch_optional(rows.conn())
    .await?;
    Ok(row.map(|row| SignedDuration::from_millis((row.ended_at - row.started_at).max(0))))
}

/// Saves an approval; given twice, the first stands.
pub async fn approve(tx: &mut Tx, of: (&Release, &Grants), line: LineId, change: Change<Approval>) -> Result<()> {
    let (approval, event) = (change.next, change.event);
    let (release, line) = (of.0.id.to_string(), line.to_string());
    let (head, person) = (approval.head.as_str(), approval.person.to_string());
    let (at, counts) = (approval.approved_at.as_millisecond(), approval.counts_at.as_millisecond());
    sqlx::query!(
        "insert into candidate_approval (release, line, head, person, approved_at, counts_at) values (?, ?, ?, ?, ?, ?)
         on conflict do nothing",
        release,
        line,
        head,
        person,
        at,
        counts
    )
    .execute(tx.conn())
    .await?;
    let actor = of.actor().ok_or(Error::Conflict)?.clone();
    super::event::append(tx, &actor, &event).await
}

/// Lists the approvals of one head by those who may still give one: release managers of every case of the release.
pub async fn approvals(
    rows: &mut impl Rows,
    of: (&Release, &Grants),
    line: LineId,
    head: &CommitId,
) -> Result<Vec<Approval>> {
    let (release, line, text) = (of.0.id.to_string(), line.to_string(), head.as_str());
    let found = sqlx::query!(
        r#"select a.person, a.approved_at, a.counts_at from candidate_approval a
           join person p on p.id = a.person and p.state = 'active'
           where a.release = ? and a.line = ? and a.head = ? and not exists (
             select 1 from release_case c where c.release = a.release and not exists (
               select 1 from member m where m."case" = c."case" and m.person = a.person and m.left_at is null
                 and m.role = 'release_manager' and m.consent not in ('invited', 'declined')))
           order by a.approved_at, a.person"#,
        release,
        line,
        text
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Approval {
                head: head.clone(),
                person: parsed(&row.person, "candidate_approval", "person")?,
                approved_at: instant(row.approved_at, "candidate_approval", "approved_at")?,
                counts_at: instant(row.counts_at, "candidate_approval", "counts_at")?,
            })
        })
        .collect()
}
