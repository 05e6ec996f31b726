//! Landings: tests of a release on their way onto a public line, a row for each line.
//!
//! Guards: a row is changed by one job or person at a time, and never without its event.

use jiff::Timestamp;

use crate::domain::access::Grants;
use crate::domain::actor::Actor;
use crate::domain::change::{Change, Version};
use crate::domain::id::{LineId, ReleaseId};
use crate::domain::landing::{Landed, Landing};
use crate::domain::repo::CommitId;

use super::{Error, Result, Rows, Tx, instant_opt, one_row, parsed, parsed_opt};

const TABLE: &str = "landing";

struct LandingRow {
    release: String,
    line: String,
    upstream: String,
    state: String,
    due_at: Option<i64>,
    base: Option<String>,
    commit: Option<String>,
    checked: i64,
    attempts: i64,
    retry_at: Option<i64>,
    note: String,
    done_at: Option<i64>,
    version: i64,
}

impl TryFrom<LandingRow> for Landing {
    type Error = Error;
    fn try_from(row: LandingRow) -> Result<Self> {
        let base: Option<CommitId> = parsed_opt(row.base.as_deref(), TABLE, "base")?;
        let commit: Option<CommitId> = parsed_opt(row.commit.as_deref(), TABLE, "commit")?;
        Ok(Self {
            release: parsed(&row.release, TABLE, "release")?,
            line: parsed(&row.line, TABLE, "line")?,
            upstream: parsed(&row.upstream, TABLE, "upstream")?,
            state: parsed(&row.state, TABLE, "state")?,
            due_at: instant_opt(row.due_at, TABLE, "due_at")?,
            landed: base.zip(commit).map(|(base, commit)| Landed { base, commit }),
            checked: row.checked != 0,
            attempts: u32::try_from(row.attempts)
                .map_err(|_| Error::Inconsistent { table: TABLE, column: "attempts" })?,
            retry_at: instant_opt(row.retry_at, TABLE, "retry_at")?,
            note: row.note,
            done_at: instant_opt(row.done_at, TABLE, "done_at")?,
            version: Version(row.version),
        })
    }
}

/// Adds what was planned for a line.
pub async fn add(tx: &mut Tx, actor: &Actor, change: Change<Landing>) -> Result<()> {
    let landing = change.next;
    let (release, line) = (landing.release.to_string(), landing.line.to_string());
    let (upstream, state) = (landing.upstream.to_string(), landing.state.as_str());
    let due = landing.due_at.map(Timestamp::as_millisecond);
    sqlx::query!(
        "insert into landing (release, line, upstream, state, due_at) values (?, ?, ?, ?, ?)",
        release,
        line,
        upstream,
        state,
        due
    )
    .execute(tx.conn())
    .await?;
    super::event::append(tx, actor, &change.event).await
}

/// Saves the next value of a landing with its event; a conflict when somebody else changed it.
pub async fn save(tx: &mut Tx, actor: &Actor, change: Change<Landing>) -> Result<()> {
    let landing = change.next;
    let (release, line, state) = (landing.release.to_string(), landing.line.to_string(), landing.state.as_str());
    let base = landing.landed.as_ref().map(|landed| landed.base.as_str());
    let commit = landing.landed.as_ref().map(|landed| landed.commit.as_str());
    let (checked, attempts) = (i64::from(landing.checked), i64::from(landing.attempts));
    let due = landing.due_at.map(Timestamp::as_millisecond);
    let retry = landing.retry_at.map(Timestamp::as_millisecond);
    let done = landing.done_at.map(Timestamp::as_millisecond);
    let result = sqlx::query!(
        r#"update landing set state = ?, due_at = ?, base = ?, "commit" = ?, checked = ?, attempts = ?, retry_at = ?, note = ?,
             done_at = ?, version = version + 1
           where release = ? and line = ? and version = ?"#,
        state,
        due,
        base,
        commit,
        checked,
        attempts,
        retry,
        landing.note,
        done,
        release,
        line,
        landing.version.0
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &change.event).await
}

/// Lists the landings of a release, in the order of its project's lines; the grants are those the release was found under.
pub async fn of_release(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Vec<Landing>> {
    let release = release.to_string();
    let found = sqlx::query_as!(
        LandingRow,
        r#"select d.release, d.line, d.upstream, d.state, d.due_at, d.base, d."commit", d.checked, d.attempts, d.retry_at, d.note,
             d.done_at, d.version
           from landing d join line l on l.id = d.line where d.release = ? order by l.position, d.line"#,
        release
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Landing::try_from).collect()
}

/// Names the releases of which tests are to be landed, or asked after, at this instant. For the server's chores.
pub async fn due(rows: &mut impl Rows, now: Timestamp) -> Result<Vec<ReleaseId>> {
    let now = now.as_millisecond();
    let found = sqlx::query!(
        "select distinct release from landing
         where (state in ('checking', 'pushing') or state = 'waiting' and due_at <= ?1) and (retry_at is null or retry_at <= ?1)",
        now
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.release, TABLE, "release")).collect()
}

/// Tells whether another release was frozen on a line and is not public yet: what moves the line would stop it.
pub async fn awaited(rows: &mut impl Rows, release: &ReleaseId, line: LineId) -> Result<bool> {
    let (release, line) = (release.to_string(), line.to_string());
    let found = sqlx::query!(
        "select r.id from release r join release_target t on t.release = r.id
         where t.line = ? and r.id <> ? and r.public_at is null and r.state in ('frozen', 'armed', 'running', 'held') limit 1",
        line,
        release
    )
    .fetch_optional(rows.conn())
    .await?;
    Ok(found.is_some())
}

/// Tells whether a commit was made for a line of this release and is still to be checked.
pub async fn is_checked(
    rows: &mut impl Rows,
    release: &ReleaseId,
    (line, commit): (LineId, &CommitId),
) -> Result<bool> {
    let (release, line, commit) = (release.to_string(), line.to_string(), commit.as_str());
    let row = sqlx::query!(
        r#"select line from landing where release = ? and line = ? and "commit" = ? and state = 'checking'"#,
        release,
        line,
        commit
    )
    .fetch_optional(rows.conn())
    .await?;
    Ok(row.is_some())
}
