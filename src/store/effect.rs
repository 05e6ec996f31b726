//! The journal of a run: effects, written before and after, each by the run that holds the fence.
//!
//! Guards: an older run, or a second server, writes nothing; a release that was disarmed begins nothing.

use crate::domain::access::Grants;
use crate::domain::actor::Actor;
use crate::domain::effect::{Effect, Outcome};
use crate::domain::event::{Event, EventKind};
use crate::domain::hold::HoldReason;
use crate::domain::id::ReleaseId;

use super::{Error, Result, Rows, Tx, instant_opt, one_row, parsed, parsed_opt};

/// A run's right to write the journal of a release, until another run takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    release: ReleaseId,
    number: i64,
}

impl Fence {
    /// Returns the release.
    pub fn release(&self) -> &ReleaseId {
        &self.release
    }
}

struct EffectRow {
    position: i64,
    phase: String,
    target: String,
    needs: String,
    state: String,
    key: String,
    attempts: i64,
    retry_at: Option<i64>,
    reason: Option<String>,
    note: String,
    started_at: Option<i64>,
    done_at: Option<i64>,
}

impl TryFrom<EffectRow> for Effect {
    type Error = Error;
    fn try_from(row: EffectRow) -> Result<Self> {
        let number = |n: i64, column| u32::try_from(n).map_err(|_| Error::Inconsistent { table: "effect", column });
        Ok(Self {
            position: number(row.position, "position")?,
            phase: parsed(&row.phase, "effect", "phase")?,
            target: parsed(&row.target, "effect", "target")?,
            needs: row.needs.split_whitespace().map(|need| parsed(need, "effect", "needs")).collect::<Result<_>>()?,
            state: parsed(&row.state, "effect", "state")?,
            key: row.key,
            attempts: number(row.attempts, "attempts")?,
            retry_at: instant_opt(row.retry_at, "effect", "retry_at")?,
            reason: parsed_opt(row.reason.as_deref(), "effect", "reason")?,
            note: row.note,
            started_at: instant_opt(row.started_at, "effect", "started_at")?,
            done_at: instant_opt(row.done_at, "effect", "done_at")?,
        })
    }
}

/// Takes the right to run this release from whoever had it; `None` unless the release is running.
pub async fn take(tx: &mut Tx, release: &ReleaseId) -> Result<Option<Fence>> {
    let id = release.to_string();
    let row =
        sqlx::query!("update release set fence = fence + 1 where id = ? and state = 'running' returning fence", id)
            .fetch_optional(tx.conn())
            .await?;
    Ok(row.map(|row| Fence { release: release.clone(), number: row.fence }))
}

/// Checks that the right is still this run's, and that the release still runs.
pub async fn holds(tx: &mut Tx, fence: &Fence) -> Result<bool> {
    let id = fence.release.to_string();
    let row = sqlx::query!("select id from release where id = ? and fence = ? and state = 'running'", id, fence.number)
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.is_some())
}

/// Writes the journal of a run that begins, in place of one that left nothing in public.
pub async fn write(tx: &mut Tx, release: &ReleaseId, effects: &[Effect]) -> Result<()> {
    let id = release.to_string();
    sqlx::query!("delete from effect where release = ?", id).execute(tx.conn()).await?;
    for effect in effects {
        let (position, phase) = (i64::from(effect.position), effect.phase.as_str());
        let (target, state) = (effect.target.to_string(), effect.state.as_str());
        let needs = effect.needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let retry = effect.retry_at.map(jiff::Timestamp::as_millisecond);
        sqlx::query!(
            "insert into effect (release, position, phase, target, needs, state, key, retry_at) values (?, ?, ?, ?, ?, ?, ?, ?)",
            id,
            position,
            phase,
            target,
            needs,
            state,
            effect.key,
            retry
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Reads the journal; the grants are those the release was found under.
pub async fn of_release(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Vec<Effect>> {
    let id = release.to_string();
    let found = sqlx::query_as!(
        EffectRow,
        "select position, phase, target, needs, state, key, attempts, retry_at, reason, note, started_at, done_at
         from effect where release = ? order by position",
        id
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Effect::try_from).collect()
}

/// Writes down that an effect is begun. Refused as a conflict unless the fence is held and the release runs.
pub async fn start(tx: &mut Tx, actor: &Actor, fence: &Fence, effect: Effect) -> Result<Effect> {
    let now = tx.now();
    let effect = effect.start(now).map_err(|_| Error::Conflict)?;
    save(tx, actor, fence, effect).await
}

/// Writes down how an effect ended. Refused as a conflict unless the fence is held and the release runs.
pub async fn end(tx: &mut Tx, actor: &Actor, fence: &Fence, ended: (Effect, Outcome)) -> Result<Effect> {
    let now = tx.now();
    let effect = ended.0.end(ended.1, now).map_err(|_| Error::Conflict)?;
    save(tx, actor, fence, effect).await
}

/// Gives the failed effects of a resumed release back to its next run.
pub async fn revive(tx: &mut Tx, effects: Vec<Effect>, release: &ReleaseId) -> Result<()> {
    let id = release.to_string();
    for effect in effects.into_iter().map(Effect::revive) {
        let (position, state) = (i64::from(effect.position), effect.state.as_str());
        let retry = effect.retry_at.map(jiff::Timestamp::as_millisecond);
        let reason = effect.reason.map(HoldReason::as_str);
        let started = effect.started_at.map(jiff::Timestamp::as_millisecond);
        sqlx::query!(
            "update effect set state = ?, retry_at = ?, reason = ?, started_at = ? where release = ? and position = ?",
            state,
            retry,
            reason,
            started,
            id,
            position
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Writes down that a person gave an effect up; a run that is in the middle of it can no longer write how it ended.
pub async fn give_up(tx: &mut Tx, actor: &Actor, release: &ReleaseId, effect: &Effect) -> Result<()> {
    let (id, position, state) = (release.to_string(), i64::from(effect.position), effect.state.as_str());
    let result = sqlx::query!(
        "update effect set state = ?, retry_at = null, reason = null
         where release = ? and position = ? and state not in ('done', 'given_up')",
        state,
        id,
        position
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    told(tx, actor, release, effect).await
}

/// Puts into the chain how far an effect is.
async fn told(tx: &mut Tx, actor: &Actor, release: &ReleaseId, effect: &Effect) -> Result<()> {
    let object = format!("{} {} {} {}", effect.position, effect.phase, effect.target, effect.state);
    super::event::append(tx, actor, &Event::of_release(EventKind::ReleaseEffect, release, object)).await
}

async fn save(tx: &mut Tx, actor: &Actor, fence: &Fence, effect: Effect) -> Result<Effect> {
    let id = fence.release.to_string();
    let (position, state, attempts) = (i64::from(effect.position), effect.state.as_str(), i64::from(effect.attempts));
    let retry = effect.retry_at.map(jiff::Timestamp::as_millisecond);
    let reason = effect.reason.map(HoldReason::as_str);
    let started = effect.started_at.map(jiff::Timestamp::as_millisecond);
    let done = effect.done_at.map(jiff::Timestamp::as_millisecond);
    let result = sqlx::query!(
        "update effect set state = ?, attempts = ?, retry_at = ?, reason = ?, note = ?, started_at = ?, done_at = ?, fence = ?
         where release = ? and position = ? and state not in ('done', 'given_up')
           and exists (select 1 from release r where r.id = effect.release and r.fence = ? and r.state = 'running')",
        state,
        attempts,
        retry,
        reason,
        effect.note,
        started,
        done,
        fence.number,
        id,
        position,
        fence.number
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    told(tx, actor, &fence.release, &effect).await?;
    Ok(effect)
}
