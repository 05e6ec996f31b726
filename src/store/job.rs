//! The queue: jobs are rows of the transaction that decided them, claimed under a lease by one statement.

use jiff::Timestamp;

use crate::domain::job::Job;

use super::{Error, Result, Rows, Store, Tx, one_row};

/// A job in a worker's hands until its lease ends.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The row.
    pub id: i64,
    /// What is to be done.
    pub job: Job,
    /// Which try this is, from 1.
    pub attempt: i64,
    /// Distinguishes this claim from a later one of the same row.
    pub fence: i64,
}

/// How a claimed job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Over.
    Done,
    /// Again, at this instant.
    Retry(Timestamp, String),
    /// Given up: a person has to look.
    Halt(String),
}

/// Queues a job for `due`, unless one of the same key waits already; then the earlier instant counts.
pub async fn queue(tx: &mut Tx, job: &Job, due: Timestamp) -> Result<()> {
    let key = job.key();
    let payload = serde_json::to_string(job).map_err(|_| Error::Inconsistent { table: "job", column: "payload" })?;
    let (due, now) = (due.as_millisecond(), tx.now().as_millisecond());
    sqlx::query!(
        "insert into job (key, payload, state, due_at, queued_at) values (?, ?, 'waiting', ?, ?)
         on conflict (key) where state = 'waiting' do update set due_at = min(due_at, excluded.due_at)",
        key,
        payload,
        due,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Claims the job due longest, or one whose lease ran out; its lease lasts until `lease_until`.
///
/// A job of the same key that is running elsewhere keeps its twin waiting.
pub async fn claim(tx: &mut Tx, lease_until: Timestamp) -> Result<Option<Claimed>> {
    let (now, lease) = (tx.now().as_millisecond(), lease_until.as_millisecond());
    let row = sqlx::query!(
        "update job set state = 'running', lease_until = ?2, fence = fence + 1, attempts = attempts + 1
         where id = (
             select j.id from job j
             where ((j.state = 'waiting' and j.due_at <= ?1) or (j.state = 'running' and j.lease_until <= ?1))
               and not exists (select 1 from job k where k.key = j.key and k.id <> j.id and k.state = 'running' and k.lease_until > ?1)
             order by j.due_at, j.id limit 1)
         returning id, payload, attempts, fence",
        now,
        lease
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        let job =
            serde_json::from_str(&row.payload).map_err(|_| Error::Inconsistent { table: "job", column: "payload" })?;
        Ok(Claimed { id: row.id, job, attempt: row.attempts, fence: row.fence })
    })
    .transpose()
}

/// Extends the lease of a claim that is still ours.
pub async fn renew(tx: &mut Tx, claimed: &Claimed, lease_until: Timestamp) -> Result<()> {
    let lease = lease_until.as_millisecond();
    let result = sqlx::query!(
        "update job set lease_until = ? where id = ? and fence = ? and state = 'running'",
        lease,
        claimed.id,
        claimed.fence
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)
}

/// Ends a claim that is still ours. A retry becomes void when the same job was queued again meanwhile.
pub async fn settle(tx: &mut Tx, claimed: &Claimed, settled: &Settled) -> Result<()> {
    let now = tx.now().as_millisecond();
    let key = claimed.job.key();
    let result = match settled {
        Settled::Done => {
            sqlx::query!(
                "update job set state = 'done', lease_until = null, error = '' where id = ? and fence = ? and state = 'running'",
                claimed.id,
                claimed.fence
            )
            .execute(tx.conn())
            .await?
        }
        Settled::Retry(at, error) => {
            let at = at.as_millisecond();
            sqlx::query!(
                "update job set lease_until = null, error = ?, due_at = ?,
                     state = case when exists (select 1 from job k where k.key = ? and k.state = 'waiting') then 'done' else 'waiting' end
                 where id = ? and fence = ? and state = 'running'",
                error,
                at,
                key,
                claimed.id,
                claimed.fence
            )
            .execute(tx.conn())
            .await?
        }
        Settled::Halt(error) => {
            sqlx::query!(
                "update job set state = 'halted', lease_until = null, error = ? where id = ? and fence = ? and state = 'running'",
                error,
                claimed.id,
                claimed.fence
            )
            .execute(tx.conn())
            .await?
        }
    };
    sqlx::query!("delete from job where state = 'done' and queued_at < ? - 7 * 86400000", now)
        .execute(tx.conn())
        .await?;
    one_row(&result)
}

/// Gives up every lease: called once at start, when no worker of this data folder lives.
pub async fn release_all(tx: &mut Tx) -> Result<u64> {
    let result = sqlx::query!("update job set lease_until = 0 where state = 'running'").execute(tx.conn()).await?;
    Ok(result.rows_affected())
}

/// Returns the next instant something is due, in milliseconds since 1970 UTC.
pub async fn next_due(rows: &mut impl Rows) -> Result<Option<i64>> {
    let row = sqlx::query!(
        r#"select min(case state when 'waiting' then due_at else lease_until end) as "due: i64"
           from job where state in ('waiting', 'running')"#
    )
    .fetch_one(rows.conn())
    .await?;
    Ok(row.due)
}

/// Counts jobs that wait for their time or run: none means that the server is idle.
pub async fn pending(rows: &mut impl Rows, now: Timestamp) -> Result<i64> {
    let now = now.as_millisecond();
    let row = sqlx::query!(
        r#"select count(*) as "count!: i64" from job where state = 'running' or (state = 'waiting' and due_at <= ?)"#,
        now
    )
    .fetch_one(rows.conn())
    .await?;
    Ok(row.count)
}

impl Store {
    /// Claims a job in a write of its own.
    pub async fn claim(&self, now: Timestamp, lease_until: Timestamp) -> Result<Option<Claimed>> {
        let mut tx = self.begin("job.claim", now).await?;
        let claimed = claim(&mut tx, lease_until).await?;
        tx.commit().await?;
        Ok(claimed)
    }
}
