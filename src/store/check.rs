//! Check runs, their jobs and their sealed logs.

use jiff::Timestamp;

use crate::domain::access::Grant;
use crate::domain::check::CheckState;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{CaseId, CheckJobId, CheckRunId, LineId};
use crate::domain::repo::CommitId;
use crate::domain::sealed::Sealed;

use super::{Result, Rows, Tx, instant, instant_opt, one_row, parsed};

/// A run of the project's workflows on one commit of a case.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id.
    pub id: CheckRunId,
    /// The case.
    pub case: CaseId,
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

/// Queues a run.
pub async fn queue(tx: &mut Tx, grant: &Grant, run: &Run) -> Result<()> {
    let (id, case, line) = (run.id.to_string(), run.case.to_string(), run.line.to_string());
    let (head, base, state, at) =
        (run.head.as_str(), run.base.as_str(), run.state.as_str(), run.queued_at.as_millisecond());
    sqlx::query!(
        r#"insert into check_run (id, "case", line, head, base, state, queued_at) values (?, ?, ?, ?, ?, ?, ?)"#,
        id,
        case,
        line,
        head,
        base,
        state,
        at
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_case(EventKind::CheckMoved, &run.case, format!("{id} {state}"));
    super::event::append(tx, grant.actor(), &event).await
}

/// Finds the case of a run, so that it can be opened under a grant.
pub async fn case_of(rows: &mut impl Rows, id: CheckRunId) -> Result<Option<CaseId>> {
    let id = id.to_string();
    let row = sqlx::query!(r#"select "case" from check_run where id = ?"#, id).fetch_optional(rows.conn()).await?;
    row.and_then(|row| row.case).map(|case| parsed(&case, "check_run", "case")).transpose()
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

fn run(row: RunRow, grant: &Grant) -> Result<Run> {
    Ok(Run {
        id: parsed(&row.id, "check_run", "id")?,
        case: grant.case().clone(),
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

/// Reads one run of the case.
pub async fn get(rows: &mut impl Rows, grant: &Grant, id: CheckRunId) -> Result<Option<Run>> {
    let (id, case) = (id.to_string(), grant.case().to_string());
    let row = sqlx::query_as!(
        RunRow,
        r#"select id, line, head, base, state, note, queued_at, ended_at, version from check_run where id = ? and "case" = ?"#,
        id,
        case
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| run(row, grant)).transpose()
}

/// Lists the runs of the case, newest first, at most fifty.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Run>> {
    let case = grant.case().to_string();
    let found = sqlx::query_as!(
        RunRow,
        r#"select id, line, head, base, state, note, queued_at, ended_at, version from check_run
           where "case" = ? order by queued_at desc, id desc limit 50"#,
        case
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| run(row, grant)).collect()
}

/// Finds the newest run on a commit of the case towards one line.
pub async fn newest(rows: &mut impl Rows, grant: &Grant, line: LineId, head: &CommitId) -> Result<Option<Run>> {
    let runs = of_case(rows, grant).await?;
    Ok(runs.into_iter().find(|run| &run.head == head && run.line == line))
}

/// Moves a run to another state.
pub async fn move_run(tx: &mut Tx, grant: &Grant, run: &Run, state: CheckState, note: &str) -> Result<Run> {
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
    let event = Event::of_case(EventKind::CheckMoved, &run.case, format!("{id} {state}"));
    super::event::append(tx, grant.actor(), &event).await?;
    let ended_at = state.terminal().then_some(tx.now());
    Ok(Run { state, note: note.to_owned(), ended_at, version: run.version + 1, ..run.clone() })
}

/// Replaces the jobs of a run with those of a new plan, and forgets their logs: a run starts over as a whole.
pub async fn plan(tx: &mut Tx, grant: &Grant, run: &Run, jobs: &[Job]) -> Result<()> {
    let id = run.id.to_string();
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
    let event = Event::of_case(EventKind::CheckMoved, &run.case, format!("{id} planned {} jobs", jobs.len()));
    super::event::append(tx, grant.actor(), &event).await
}

/// Lists the jobs of a run of the case, in the order of the plan.
pub async fn jobs(rows: &mut impl Rows, grant: &Grant, run: CheckRunId) -> Result<Vec<Job>> {
    let (run, case) = (run.to_string(), grant.case().to_string());
    let found = sqlx::query!(
        r#"select j.id, j.name, j.required, j.state, j.reason, j.started_at, j.ended_at
           from check_job j join check_run r on r.id = j.run where j.run = ? and r."case" = ? order by j.position"#,
        run,
        case
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
    grant: &Grant,
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
    let event = Event::of_case(EventKind::CheckMoved, grant.case(), format!("{id} {state}"));
    super::event::append(tx, grant.actor(), &event).await
}

/// Appends a batch of lines to a job's log.
pub async fn append_log(tx: &mut Tx, _grant: &Grant, job: CheckJobId, lines: &Lines) -> Result<()> {
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
pub async fn log(rows: &mut impl Rows, grant: &Grant, job: CheckJobId, from: i64) -> Result<Vec<Lines>> {
    let (job, case) = (job.to_string(), grant.case().to_string());
    let found = sqlx::query!(
        r#"select l.first_line, l.lines, l.body from check_log l join check_job j on j.id = l.job
           join check_run r on r.id = j.run
           where l.job = ? and r."case" = ? and l.first_line + l.lines > ? order by l.first_line limit 200"#,
        job,
        case,
        from
    )
    .fetch_all(rows.conn())
    .await?;
    Ok(found
        .into_iter()
        .map(|row| Lines { first: row.first_line, count: row.lines, body: Sealed::from_envelope(row.body) })
        .collect())
}
