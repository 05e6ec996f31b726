//! Hooks of releases: when they are due, and each call of one before the instant, written before and after.
//!
//! Guards: a call is begun by one job at a time; where a hook leads stands sealed, so that it can be undone when the manifest
//! that named it is gone.

use jiff::Timestamp;

use crate::domain::access::Grants;
use crate::domain::actor::Actor;
use crate::domain::event::{Event, EventKind};
use crate::domain::hook::{Hook, HookCall, Offset};
use crate::domain::id::{CaseId, ReleaseId};
use crate::domain::sealed::Sealed;

use super::{Error, Result, Rows, Tx, instant_opt, one_row, parsed, parsed_opt};

const TABLE: &str = "hook_call";

/// Where a call leads, and what undoes it: sealed under the key of a case.
pub type Kept = (Hook, Option<Hook>);

struct CallRow {
    id: i64,
    name: String,
    undoes: Option<String>,
    at_minutes: Option<i64>,
    undone_by: Option<String>,
    repeats: i64,
    state: String,
    key: String,
    attempts: i64,
    retry_at: Option<i64>,
    note: String,
    told: i64,
    started_at: Option<i64>,
    done_at: Option<i64>,
    closed: i64,
}

impl TryFrom<CallRow> for HookCall {
    type Error = Error;
    fn try_from(row: CallRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: parsed(&row.name, TABLE, "name")?,
            undoes: parsed_opt(row.undoes.as_deref(), TABLE, "undoes")?,
            at: row.at_minutes.map(offset).transpose()?,
            undone_by: parsed_opt(row.undone_by.as_deref(), TABLE, "undone_by")?,
            repeats: row.repeats != 0,
            state: parsed(&row.state, TABLE, "state")?,
            key: row.key,
            attempts: u32::try_from(row.attempts)
                .map_err(|_| Error::Inconsistent { table: TABLE, column: "attempts" })?,
            retry_at: instant_opt(row.retry_at, TABLE, "retry_at")?,
            note: row.note,
            told: row.told != 0,
            started_at: instant_opt(row.started_at, TABLE, "started_at")?,
            done_at: instant_opt(row.done_at, TABLE, "done_at")?,
            closed: row.closed != 0,
        })
    }
}

fn offset(minutes: i64) -> Result<Offset> {
    let sign = if minutes < 0 { '-' } else { '+' };
    parsed(&format!("{sign}{}m", minutes.unsigned_abs()), TABLE, "at_minutes")
}

/// Writes down when the hooks of a release are due that was frozen, in place of those of an earlier freezing.
pub async fn plan(tx: &mut Tx, release: &ReleaseId, hooks: &[Hook]) -> Result<()> {
    let id = release.to_string();
    sqlx::query!("delete from release_hook where release = ?", id).execute(tx.conn()).await?;
    for hook in hooks {
        let Some(at) = hook.before() else { continue };
        let (name, minutes) = (hook.name.as_str(), at.minutes());
        sqlx::query!("insert into release_hook (release, name, at_minutes) values (?, ?, ?)", id, name, minutes)
            .execute(tx.conn())
            .await?;
    }
    Ok(())
}

/// Names the releases of which a hook is to be called, called again, undone or passed over at this instant. For the server's chores.
pub async fn due(rows: &mut impl Rows, now: Timestamp) -> Result<Vec<ReleaseId>> {
    let now = now.as_millisecond();
    let found = sqlx::query!(
        r#"select r.id as "id!" from release r join release_hook h on h.release = r.id
           where r.state = 'armed' and r.due_at > ?1 and r.due_at + h.at_minutes * 60000 <= ?1
             and not exists (select 1 from hook_call c where c.release = r.id and c.closed = 0
               and (c.name = h.name and c.undoes is null or c.undoes = h.name))
           union
           select r.id from release r join hook_call c on c.release = r.id
           where c.closed = 0 and case
             when c.state in ('started', 'unknown', 'pending') and c.retry_at is not null and c.retry_at > ?1
               and (c.undoes is not null or c.state = 'started' or r.state = 'armed' and r.due_at + c.at_minutes * 60000 <= ?1) then 0
             when c.undoes is not null then c.state in ('pending', 'started') or c.state = 'unknown' and c.repeats = 1
             when r.state in ('planned', 'frozen', 'abandoned') then 1
             when r.state = 'armed' and r.due_at + c.at_minutes * 60000 > ?1 then 1
             when r.state = 'armed' then c.state in ('pending', 'started') or c.state = 'unknown' and c.repeats = 1
             else c.state in ('pending', 'started') end"#,
        now
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.id, "release", "id")).collect()
}

/// Lists every call for a release, oldest first; the grants are those the release was found under.
pub async fn of_release(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Vec<HookCall>> {
    let release = release.to_string();
    let found = sqlx::query_as!(
        CallRow,
        "select id, name, undoes, at_minutes, undone_by, repeats, state, key, attempts, retry_at, note, told, started_at, done_at,
           closed
         from hook_call where release = ? order by id",
        release
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(HookCall::try_from).collect()
}

/// Returns where a call leads, and the case under whose key that is sealed.
pub async fn kept(rows: &mut impl Rows, _grants: &Grants, call: i64) -> Result<(CaseId, Sealed<Kept>)> {
    let row = sqlx::query!(r#"select "case", hook from hook_call where id = ?"#, call).fetch_one(rows.conn()).await?;
    Ok((parsed(&row.case, TABLE, "case")?, Sealed::from_envelope(row.hook)))
}

/// Adds a call that begins; its number is given. `kept` is sealed under the case's key.
pub async fn add(
    tx: &mut Tx,
    actor: &Actor,
    release: &ReleaseId,
    call: HookCall,
    (case, kept): (&CaseId, &Sealed<Kept>),
) -> Result<HookCall> {
    let (id, name, undoes) = (release.to_string(), call.name.as_str(), call.undoes.as_ref().map(ToString::to_string));
    let (at, undone_by) = (call.at.map(Offset::minutes), call.undone_by.as_ref().map(ToString::to_string));
    let (repeats, state, attempts) = (i64::from(call.repeats), call.state.as_str(), i64::from(call.attempts));
    let (retry, started) =
        (call.retry_at.map(Timestamp::as_millisecond), call.started_at.map(Timestamp::as_millisecond));
    let (case, kept) = (case.to_string(), kept.envelope());
    let row = sqlx::query!(
        r#"insert into hook_call (release, name, undoes, at_minutes, undone_by, "case", hook, repeats, state, key, attempts, retry_at,
             started_at)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning id as "id!: i64""#,
        id,
        name,
        undoes,
        at,
        undone_by,
        case,
        kept,
        repeats,
        state,
        call.key,
        attempts,
        retry,
        started
    )
    .fetch_one(tx.conn())
    .await?;
    told(tx, actor, release, &call).await?;
    Ok(HookCall { id: row.id, ..call })
}

/// Saves what became of a call; a conflict if another job changed it since `before` was read.
pub async fn save(
    tx: &mut Tx,
    actor: &Actor,
    release: &ReleaseId,
    (before, call): (&HookCall, &HookCall),
) -> Result<()> {
    let (was, attempted) = (before.state.as_str(), i64::from(before.attempts));
    let (state, attempts) = (call.state.as_str(), i64::from(call.attempts));
    let retry = call.retry_at.map(Timestamp::as_millisecond);
    let (started, done) = (call.started_at.map(Timestamp::as_millisecond), call.done_at.map(Timestamp::as_millisecond));
    let (told_flag, closed) = (i64::from(call.told), i64::from(call.closed));
    let result = sqlx::query!(
        "update hook_call set state = ?, attempts = ?, retry_at = ?, note = ?, told = ?, started_at = ?, done_at = ?, closed = ?
         where id = ? and state = ? and attempts = ? and closed = 0",
        state,
        attempts,
        retry,
        call.note,
        told_flag,
        started,
        done,
        closed,
        call.id,
        was,
        attempted
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    told(tx, actor, release, call).await
}

/// Puts into the chain how far a call is.
async fn told(tx: &mut Tx, actor: &Actor, release: &ReleaseId, call: &HookCall) -> Result<()> {
    let undoes = call.undoes.as_ref().map(|name| format!(" undoing {name}")).unwrap_or_default();
    let closed = if call.closed { " closed" } else { "" };
    let object = format!("{}{undoes} {}{closed}", call.name, call.state);
    super::event::append(tx, actor, &Event::of_release(EventKind::HookCalled, release, object)).await
}
