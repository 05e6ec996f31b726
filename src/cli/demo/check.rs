//! Checks as the story meets them: waited for, and held against what they should be.

use std::time::Duration;

use super::stage::Stage;
use super::story::Mended;
use super::tale::{Job, Tale};
use super::upstream::Line;
use super::wait::until;
use crate::cli::{Failure, Result};
use crate::domain::check::CheckState;
use crate::wire::check::{LogLine, RunView};

/// How long a run may take.
const PATIENCE: Duration = Duration::from_hours(1);

/// What a run should show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A failure.
    Red,
    /// Success.
    Green,
    /// Whatever runs here; of a real project that may be a part.
    Anything,
}

/// Waits for the run on a head, and says how it went; an unexpected end is a failure of the story.
pub(super) async fn expect(
    stage: &Stage<'_>,
    mended: &mut Mended,
    (line, head): (&Line, &str),
    wanted: Wanted,
    tale: &mut Tale,
) -> Result<String> {
    let run = ended(stage, &mended.case, head).await?;
    let state: CheckState = run.state.parse()?;
    let name = &line.name;
    let not_run = state == CheckState::Unsupported && run.jobs.is_empty();
    if not_run {
        mended.unchecked = Some(run.note.trim_start_matches("Not run: ").trim_end_matches('.').to_owned());
        return Ok(format!("checks on {name} not run"));
    }
    if wanted != Wanted::Anything {
        let right = if wanted == Wanted::Red { CheckState::Failure } else { CheckState::Success };
        if state != right {
            let last = log(stage, &run).await.unwrap_or_default();
            return Err(Failure::Refused(format!("The checks on {name} should be {right} and are {state}. {last}")));
        }
        let last = log(stage, &run).await?;
        return Ok(format!("CI on {name} is {} ({last})", if wanted == Wanted::Red { "red" } else { "green" }));
    }
    let (jobs, note) = (run.jobs.len(), if run.jobs.is_empty() { format!(": {}", run.note) } else { String::new() });
    let ran = run.jobs.iter().filter(|job| job.started_at.is_some()).count();
    for job in run.jobs {
        tale.job(Job { line: name.clone(), job: job.name, state: job.state, reason: job.reason });
    }
    Ok(format!("CI on {name} is {state}, {ran} of {jobs} jobs ran here{note}"))
}

/// Waits until the newest run on a head has ended.
async fn ended(stage: &Stage<'_>, case: &str, head: &str) -> Result<RunView> {
    let maintainer = &stage.cast.maintainer;
    until(PATIENCE, "The checks did not end.", async || {
        let runs: Vec<RunView> = maintainer.embargo(&["check", "list", case]).await?;
        let Some(run) = runs.into_iter().find(|run| run.head == head) else { return Ok(None) };
        let state: CheckState = run.state.parse()?;
        Ok(state.terminal().then_some(run))
    })
    .await
}

/// Returns the line of the log that sums the tests up.
async fn log(stage: &Stage<'_>, run: &RunView) -> Result<String> {
    let Some(job) = run.jobs.first() else { return Ok(run.note.clone()) };
    let lines: Vec<LogLine> = stage.cast.maintainer.embargo(&["check", "log", &run.id, &job.id]).await?;
    let texts = lines.iter().map(|line| line.text.trim());
    let sums = texts.filter(|text| *text == "OK" || text.starts_with("FAILED") || text.starts_with("Ran "));
    Ok(sums.collect::<Vec<_>>().join(", "))
}
