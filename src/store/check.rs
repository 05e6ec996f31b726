//! Check runs, their jobs and their sealed logs.

use jiff::Timestamp;

use crate::domain::check::CheckState;
use crate::domain::event::EventKind;
use crate::domain::id::{CheckJobId, CheckRunId, LineId, ReleaseId};
use crate::domain::owner::{Owner, Proof};
use crate::domain::repo::CommitId;
use crate::domain::sealed::Sealed;

use super::{Error, Result, Rows, Tx, instant, instant_opt, one_row, parsed};

/// A run of the project's workflows on one commit: the head of a case's fix, or the candidate of a release.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id.
    pub id: CheckRunId,
    /// Whose commit it is.
    pub owner: Owner,
    /// The line it is a pull request to.
    pub line: LineId,
    /// The commit under test.
    pub head: CommitId,
    /// The public tip it was planned against.
    pub base: CommitId,
    /// The sum of its jobs.
    pub state: CheckState,
    /// A sentence about the run as a whole, free of case text.
    pub note: String,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Changes so far.
    pub version: i64,
}

/// A job of a run.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: CheckJobId,
    /// `<workflow> / <job>`.
    pub name: Sealed<String>,
    /// Whether readiness asks for it.
    pub required: bool,
    /// Where it stands.
    pub state: CheckState,
    /// Why it is not run.
    pub reason: Option<Sealed<String>>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A batch of log lines.
#[derive(Debug, Clone)]
pub struct Lines {
    /// The number of the first line, from 0.
    pub first: i64,
    /// How many lines.
    pub count: i64,
    /// The lines, joined by newlines.
    pub body: Sealed<String>,
}

/// Names the columns of an owner: the case, or the release.
pub(super) fn columns(owner: &Owner) -> (Option<String>, Option<String>) {
    (owner.case().map(ToString::to_string), owner.release().map(ToString::to_string))
}

/// Reads the columns of an owner.
pub(super) fn owner_of_columns(case: Option<&str>, release: Option<&str>, table: &'static str) -> Result<Owner> {
    match (case, release) {
        (Some(case), None) => Ok(Owner::Case(parsed(case, table, "case")?)),
        (None, Some(release)) => Ok(Owner::Release(parsed(release, table, "release")?)),
        (None, None) | (Some(_), Some(_)) => Err(Error::Inconsistent { table, column: "release" }),
    }
}

/// Appends what happened to something of an owner, by whom the proof is about.
pub(super) async fn record(tx: &mut Tx, proof: &impl Proof, kind: EventKind, object: String) -> Result<()> {
    let actor = proof.actor().ok_or(Error::Conflict)?.clone();
    super::event::append(tx, &actor, &proof.owner().event(kind, object)).await
}

/// Queues a run.
pub async fn queue(tx: &mut Tx, proof: &impl Proof, run: &Run) -> Result<()> {
    let (id, line) = (run.id.to_string(), run.line.to_string());
    let (case, release) = columns(&proof.owner());
    let (head, base, state, at) =
        (run.head.as_str(), run.base.as_str(), run.state.as_str(), run.queued_at.as_millisecond());
    sqlx::query!(
        r#"insert into check_run (id, "case", release, line, head, base, state, queued_at)
           values (?, ?, ?, ?, ?, ?, ?, ?)"#,
        id,
        case,
        release,
        line,
        head,
        base,
        state,
        at
    )
    .execute(tx.conn())
    .await?;
    record(tx, proof, EventKind::CheckMoved, format!("{id} {state}")).await
}

/// Finds whose a run is, so that it can be opened with a proof.
pub async fn owner_of(rows: &mut impl Rows, id: CheckRunId) -> Result<Option<Owner>> {
    let id = id.to_string();
    let row =
        sqlx::query!(r#"select "case", release from check_run where id = ?"#, id).fetch_optional(rows.conn()).await?;
    row.map(|row| owner_of_columns(row.case.as_deref(), row.release.as_deref(), "check_run")).transpose()
}

struct RunRow {
    id: String,
    line: String,
    head: String,
    base: String,
    state: String,
    note: String,
    queued_at: i64,
    ended_at: Option<i64>,
    version: i64,
}

fn run(row: RunRow, owner: Owner) -> Result<Run> {
    Ok(Run {
        id: parsed(&row.id, "check_run", "id")?,
        owner,
        line: parsed(&row.line, "check_run", "line")?,
        head: parsed(&row.head, "check_run", "head")?,
        base: parsed(&row.base, "check_run", "base")?,
        state: parsed(&row.state, "check_run", "state")?,
        note: row.note,
        queued_at: instant(row.queued_at, "check_run", "queued_at")?,
        ended_at: instant_opt(row.ended_at, "check_run", "ended_at")?,
        version: row.version,
    })
}

/// Reads one run of the owner.
pub async fn get(rows: &mut impl Rows, proof: &impl Proof, id: CheckRunId) -> Result<Option<Run>> {
    let owner = proof.owner();
    let (id, (case, release)) = (id.to_string(), columns(&owner));
    let row = sqlx::query_as!(
        RunRow,
        r#"select id, line, head, base, state, note, queued_at, ended_at, version from check_run
           where id = ? and "case" is ? and release is ?"#,
        id,
        case,
        release
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| run(row, owner)).transpose()
}

/// Lists the runs of the owner, newest first, at most fifty.
pub async fn of_owner(rows: &mut impl Rows, proof: &impl Proof) -> Result<Vec<Run>> {
    let owner = proof.owner();
    let (case, release) = columns(&owner);
    let found = sqlx::query_as!(
        RunRow,
        r#"select id, line, head, base, state, note, queued_at, ended_at, version from check_run
           where "case" is ? and release is ? order by queued_at desc, id desc limit 50"#,
        case,
        release
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| run(row, owner.clone())).collect()
}

/// Finds the newest run on a commit of the owner towards one line.
pub async fn newest(rows: &mut impl Rows, proof: &impl Proof, line: LineId, head: &CommitId) -> Result<Option<Run>> {
    let owner = proof.owner();
    let ((case, release), line, head) = (columns(&owner), line.to_string(), head.as_str());
    let row = sqlx::query_as!(
        RunRow,
        r#"select id, line, head, base, state, note, queued_at, ended_at, version from check_run
           where head = ? and line = ? and "case" is ? and release is ? order by queued_at desc, id desc limit 1"#,
        head,
        line,
        case,
        release
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| run(row, owner)).transpose()
}

/// Forgets the runs of a release with their jobs and logs: one of its cases left it, and no trace of that may stay.
pub async fn forget(tx: &mut Tx, _proof: &impl Proof, release: &ReleaseId) -> Result<()> {
    let release = release.to_string();
    sqlx::query!(
        "delete from check_log where job in
           (select j.id from check_job j join check_run r on r.id = j.run where r.release = ?)",
        release
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!("delete from check_job where run in (select id from check_run where release = ?)", release)
        .execute(tx.conn())
        .await?;
    sqlx::query!("delete from check_run where release = ?", release).execute(tx.conn()).await?;
    Ok(())
}

/// Moves a run to another state.
pub async fn move_run(tx: &mut Tx, proof: &impl Proof, run: &Run, state: CheckState, note: &str) -> Result<Run> {
    let (id, word, now) = (run.id.to_string(), state.as_str(), tx.now().as_millisecond());
    let ended = state.terminal().then_some(now);
    let result = sqlx::query!(
        "update check_run set state = ?, note = ?, started_at = coalesce(started_at, ?), ended_at = ?, version = version + 1
         where id = ? and version = ?",
        word,
        note,
        now,
        ended,
        id,
        run.version
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    record(tx, proof, EventKind::CheckMoved, format!("{id} {state}")).await?;
    let ended_at = state.terminal().then_some(tx.now());
    Ok(Run { state, note: note.to_owned(), ended_at, version: run.version + 1, ..run.clone() })
}

/// Replaces the jobs of a run with those of a new plan from the workflow files of `base`, and forgets their logs: a run
/// starts over as a whole.
pub async fn plan(tx: &mut Tx, proof: &impl Proof, run: &Run, base: &CommitId, jobs: &[Job]) -> Result<()> {
    let (id, base) = (run.id.to_string(), base.as_str());
    let result = sqlx::query!("update check_run set base = ? where id = ?", base, id).execute(tx.conn()).await?;
    one_row(&result)?;
    sqlx::query!("delete from check_log where job in (select id from check_job where run = ?)", id)
        .execute(tx.conn())
        .await?;
    sqlx::query!("delete from check_job where run = ?", id).execute(tx.conn()).await?;
    for (position, job) in (0_i64..).zip(jobs) {
        let (job_id, state, required) = (job.id.to_string(), job.state.as_str(), i64::from(job.required));
        let name = job.name.envelope();
        let reason = job.reason.as_ref().map(Sealed::envelope);
        sqlx::query!(
            "insert into check_job (id, run, position, name, required, state, reason) values (?, ?, ?, ?, ?, ?, ?)",
            job_id,
            id,
            position,
            name,
            required,
            state,
            reason
        )
        .execute(tx.conn())
        .await?;
    }
    record(tx, proof, EventKind::CheckMoved, format!("{id} planned {} jobs", jobs.len())).await
}

/// Lists the jobs of a run of the owner, in the order of the plan.
pub async fn jobs(rows: &mut impl Rows, proof: &impl Proof, run: CheckRunId) -> Result<Vec<Job>> {
    let (run, (case, release)) = (run.to_string(), columns(&proof.owner()));
    let found = sqlx::query!(
        r#"select j.id, j.name, j.required, j.state, j.reason, j.started_at, j.ended_at
           from check_job j join check_run r on r.id = j.run
           where j.run = ? and r."case" is ? and r.release is ? order by j.position"#,
        run,
        case,
        release
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Job {
                id: parsed(&row.id, "check_job", "id")?,
                name: Sealed::from_envelope(row.name),
                required: row.required == 1,
                state: parsed(&row.state, "check_job", "state")?,
                reason: row.reason.map(Sealed::from_envelope),
                started_at: instant_opt(row.started_at, "check_job", "started_at")?,
                ended_at: instant_opt(row.ended_at, "check_job", "ended_at")?,
            })
        })
        .collect()
}

/// Moves a job to another state.
pub async fn move_job(
    tx: &mut Tx,
    proof: &impl Proof,
    job: CheckJobId,
    state: CheckState,
    reason: Option<&Sealed<String>>,
) -> Result<()> {
    let (id, word, now) = (job.to_string(), state.as_str(), tx.now().as_millisecond());
    let ended = state.terminal().then_some(now);
    let reason = reason.map(Sealed::envelope);
    let result = sqlx::query!(
        "update check_job set state = ?, reason = coalesce(?, reason), started_at = coalesce(started_at, ?), ended_at = ?,
           version = version + 1 where id = ?",
        word,
        reason,
        now,
        ended,
        id
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    record(tx, proof, EventKind::CheckMoved, format!("{id} {state}")).await
}

/// Appends a batch of lines to a job's log.
pub async fn append_log(tx: &mut Tx, _proof: &impl Proof, job: CheckJobId, lines: &Lines) -> Result<()> {
    let (job, body) = (job.to_string(), lines.body.envelope());
    sqlx::query!(
        "insert into check_log (job, first_line, lines, body) values (?, ?, ?, ?)",
        job,
        lines.first,
        lines.count,
        body
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Reads a job's log from a line on, in batches as they were stored.
pub async fn log(rows: &mut impl Rows, proof: &impl Proof, job: CheckJobId, from: i64) -> Result<Vec<Lines>> {
    let (job, (case, release)) = (job.to_string(), columns(&proof.owner()));
    let found = sqlx::query!(
        r#"select l.first_line, l.lines, l.body from check_log l join check_job j on j.id = l.job
           join check_run r on r.id = j.run
           where l.job = ? and r."case" is ? and r.release is ? and l.first_line + l.lines > ?
           order by l.first_line limit 200"#,
        job,
        case,
        release,
        from
    )
    .fetch_all(rows.conn())
    .await?;
    Ok(found
        .into_iter()
        .map(|row| Lines { first: row.first_line, count: row.lines, body: Sealed::from_envelope(row.body) })
        .collect())
}
