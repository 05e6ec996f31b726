//! `embargo check`: runs of the project's own workflows on a fix or on a release's candidate, listed, followed and run again.
//!
//! Guards: what follows a run succeeds only when the run did; a state this version does not know is no success.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Subcommand;

use super::screen::table;
use super::server::Server;
use super::{Failure, Output, Result};
use crate::domain::check::CheckState;
use crate::domain::id::CheckRunId;
use crate::domain::owner::Owner;
use crate::domain::repo::{LineName, RepoName};
use crate::domain::text::shown;
use crate::wire::case::RerunRequest;
use crate::wire::check::{JobView, LogLine, LogView, RunView};
use crate::wire::release::CheckCandidate;

/// How long to wait between two looks at a run.
const PAUSE: Duration = Duration::from_millis(300);

/// Commands about checks.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CheckCommand {
    /// List the runs of a case or of a release's candidates, newest first
    List {
        /// The case or release
        owner: Owner,
    },
    /// Follow a run until it ends, and succeed if it does
    Watch {
        /// The run, or a case or release for its newest run
        which: Which,
    },
    /// Show the log of one job
    Log {
        /// The run, or a case or release for its newest run
        which: Which,
        /// The job, by its id or its name
        job: String,
    },
    /// Run the checks of a fix, or of a release's candidate, again
    Rerun {
        /// The case or release
        owner: Owner,
        /// The line of the fix or candidate
        #[arg(long)]
        line: LineName,
        /// The repository of a release's line, if several have a line of this name
        #[arg(long)]
        repository: Option<RepoName>,
    },
    /// Stop a run
    Cancel {
        /// The run
        run: CheckRunId,
    },
}

/// A run, or the newest of a case or release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Which {
    /// This run.
    Run(CheckRunId),
    /// The newest of this case or release.
    Newest(Owner),
}

impl std::str::FromStr for Which {
    type Err = crate::domain::refusal::Malformed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Newest).or_else(|_| text.parse().map(Self::Run))
    }
}

/// Runs one of them.
pub(super) async fn run(command: &CheckCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    match command {
        CheckCommand::List { owner } => {
            let runs = of_owner(&server, owner).await?;
            let heads: Vec<&str> = runs.iter().map(|run| run.head.get(..12).unwrap_or(&run.head)).collect();
            let rows = runs.iter().zip(heads);
            let rows: Vec<_> =
                rows.map(|(r, head)| [r.id.as_str(), &r.line, head, &r.state, &r.queued_at, &r.note]).collect();
            output.result(&runs, &table(&rows))
        }
        CheckCommand::Watch { which } => watch(&server, which, output).await,
        CheckCommand::Log { which, job } => {
            let run = named(&server, which).await?;
            let view: RunView = server.get(&format!("/checks/{run}")).await?;
            let found = view.jobs.iter().find(|known| known.id == *job || known.name == *job);
            let found = found.ok_or_else(|| no_such_job(&view))?;
            let mut lines: Vec<LogLine> = Vec::new();
            let mut next = 0;
            loop {
                let piece = log(&server, &view, found, next).await?;
                let more = piece.next > next && !piece.lines.is_empty();
                lines.extend(piece.lines);
                next = piece.next;
                if !more {
                    break;
                }
            }
            let text: Vec<String> = lines.iter().map(|line| shown(&line.text)).collect();
            output.result(&lines, &text.join("\n"))
        }
        CheckCommand::Rerun { owner, line, repository } => {
            let (run, what): (RunView, _) = match owner {
                Owner::Case(case) => {
                    let wish = RerunRequest { line: line.clone() };
                    (server.post(&format!("/cases/{case}/checks"), &wish).await?, "fix")
                }
                Owner::Release(release) => {
                    let wish = CheckCandidate { repository: repository.clone(), line: line.clone() };
                    (server.post(&format!("/releases/{release}/checks"), &wish).await?, "candidate")
                }
            };
            let id = shown(&run.id);
            let told = format!("The checks of {what}/{line} run again: `embargo check watch {id}` follows them.");
            output.result(&run, &told)
        }
        CheckCommand::Cancel { run } => {
            server.press(&format!("/checks/{run}/cancel")).await?;
            output.result(&run, &format!("The run {run} was asked to stop."))
        }
    }
}

async fn of_owner(server: &Server, owner: &Owner) -> Result<Vec<RunView>> {
    match owner {
        Owner::Case(case) => server.get(&format!("/cases/{case}/checks")).await,
        Owner::Release(release) => server.get(&format!("/releases/{release}/checks")).await,
    }
}

async fn named(server: &Server, which: &Which) -> Result<CheckRunId> {
    match which {
        Which::Run(run) => Ok(*run),
        Which::Newest(owner) => {
            let newest = of_owner(server, owner).await?.into_iter().next();
            let newest = newest.ok_or_else(|| Failure::Refused(format!("Nothing has been checked in {owner} yet.")))?;
            Ok(newest.id.parse()?)
        }
    }
}

async fn watch(server: &Server, which: &Which, output: Output) -> Result<()> {
    let id = named(server, which).await?;
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    let mut state = String::new();
    loop {
        let view: RunView = server.get(&format!("/checks/{id}")).await?;
        // Looked at before the logs: lines that were written before the end are fetched below.
        let over = view.ended_at.is_some() || view.state.parse().is_ok_and(CheckState::terminal);
        for job in &view.jobs {
            follow(server, &view, job, &mut told, output).await?;
        }
        if view.state != state {
            state.clone_from(&view.state);
            output.remark(&format!("The run is {}. {}", shown(&state), shown(&view.note)));
        }
        if over {
            return ended(&view, output);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Shows the lines of a job that were not shown yet.
async fn follow(
    server: &Server,
    run: &RunView,
    job: &JobView,
    told: &mut BTreeMap<String, i64>,
    output: Output,
) -> Result<()> {
    if job.started_at.is_none() {
        return Ok(());
    }
    let next = told.entry(job.id.clone()).or_default();
    loop {
        let piece = log(server, run, job, *next).await?;
        for line in &piece.lines {
            let line = format!("[{}] {}", shown(&job.name), shown(&line.text));
            // The one JSON document comes at the end.
            if output.is_json() { output.remark(&line) } else { output.result(&(), &line)? }
        }
        let more = piece.next > *next && !piece.lines.is_empty();
        *next = piece.next.max(*next);
        if !more {
            return Ok(());
        }
    }
}

async fn log(server: &Server, run: &RunView, job: &JobView, from: i64) -> Result<LogView> {
    // Both ids come from the server; parsed, they can be nothing but ids.
    let (run, job): (CheckRunId, crate::domain::id::CheckJobId) = (run.id.parse()?, job.id.parse()?);
    server.get(&format!("/checks/{run}/jobs/{job}/log?from={from}")).await
}

fn ended(view: &RunView, output: Output) -> Result<()> {
    let rows: Vec<[&str; 3]> =
        view.jobs.iter().map(|job| [job.state.as_str(), &job.name, job.reason.as_deref().unwrap_or("")]).collect();
    output.result(view, &table(&rows))?;
    if view.state.parse() == Ok(CheckState::Success) {
        return Ok(());
    }
    Err(Failure::Refused(format!("The run ended as {}: this is no success.", shown(&view.state))))
}

fn no_such_job(view: &RunView) -> Failure {
    let names: Vec<String> = view.jobs.iter().map(|job| shown(&job.name)).collect();
    Failure::Refused(format!("This run has no such job. It has: {}.", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_a_case_and_a_release_are_told_apart() {
        assert_eq!("OCTO-1".parse(), Ok(Which::Newest("OCTO-1".parse().unwrap())));
        assert_eq!("OCTO-R1".parse(), Ok(Which::Newest("OCTO-R1".parse().unwrap())));
        let id = "0190abcd0190abcd0190abcd0190abcd";
        assert_eq!(id.parse(), Ok(Which::Run(id.parse().unwrap())));
        assert!("octo".parse::<Which>().is_err());
    }
}
