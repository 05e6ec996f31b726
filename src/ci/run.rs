//! Running a job: its steps in order, each in a sandbox of its own, with the job's home, temporary files and workspace.
//!
//! Guards: a step that was not understood never gets here, a job ends green only if a script ran and none failed, and every
//! line is masked before it is handed out. Leaves the queue, the checkout and storing the log to the caller.

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::expression::{Template, When};
use super::folder::StepFolder;
use super::log::{Line, Lines, Masks};
use super::plan::{Action, PlannedStep, Recipe, Shell};
use super::sandbox::{Call, Event, HOME, STEP, Sandbox, WORKSPACE};
use super::{Error, JobFolder};
use crate::domain::check::CheckState;

/// What an executor says while a job runs, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The step of this number has begun.
    Began(u32),
    /// A line of the log.
    Line(Line),
    /// A step has ended, or was left out.
    Ended(StepOutcome),
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepOutcome {
    /// Its place in the job, from 0.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Success, failure, skipped, cancelled or timed out.
    pub state: CheckState,
    /// The first line of the log that is its own.
    pub log_from: u64,
    /// How many lines of the log are its own.
    pub log_lines: u64,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobOutcome {
    /// Success, failure, skipped, cancelled or timed out. Skipped if no script ran.
    pub state: CheckState,
    /// Its steps, all of them.
    pub steps: Vec<StepOutcome>,
}

/// Where the words of a job go: a channel, and what must not be said.
#[derive(Debug)]
pub struct Report {
    to: mpsc::Sender<Progress>,
    masks: Masks,
}

impl Report {
    /// Reports to the channel. A job whose reader is gone is cancelled.
    pub fn new(to: mpsc::Sender<Progress>, masks: Masks) -> Self {
        Self { to, masks }
    }
}

/// Runs a job to its end. The workspace of the folder holds the commit, or nothing if the job wants no checkout.
///
/// Dropping the future kills whatever runs.
pub async fn execute(
    sandbox: &Sandbox,
    recipe: &Recipe,
    folder: &JobFolder,
    report: Report,
    cancel: CancellationToken,
) -> Result<JobOutcome, Error> {
    execute_within(sandbox.options().timeout(), (sandbox, recipe, folder), report, cancel).await
}

/// Runs a job in at most this time.
pub(super) async fn execute_within(
    longest: Duration,
    (sandbox, recipe, folder): (&Sandbox, &Recipe, &JobFolder),
    report: Report,
    cancel: CancellationToken,
) -> Result<JobOutcome, Error> {
    folder.hand_to(sandbox.uid())?;
    let own = recipe.minutes.map_or(longest, |minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let mut vars = BTreeMap::new();
    for (name, value) in &recipe.env {
        let value = value.fill(&vars);
        vars.insert(name.clone(), value);
    }
    let mut job = Job {
        sandbox,
        recipe,
        folder,
        lines: Lines::new(report.masks),
        to: report.to,
        cancel,
        deadline: Instant::now() + own.min(longest),
        vars,
        path: Vec::new(),
        failed: false,
        stopped: None,
    };
    let mut steps = Vec::with_capacity(recipe.steps.len());
    let mut ran = false;
    for (number, step) in (0u32..).zip(&recipe.steps) {
        let log_from = job.lines.next();
        let state = job.step(number, step).await?;
        ran |= matches!(step.action, Action::Run { .. }) && state != CheckState::Skipped;
        let log_lines = job.lines.next() - log_from;
        let outcome = StepOutcome { number, name: step.name.clone(), state, log_from, log_lines };
        job.say(Progress::Ended(outcome.clone())).await;
        steps.push(outcome);
    }
    let state = match (job.stopped, job.failed, ran) {
        (Some(stopped), _, _) => stopped,
        (None, true, _) => CheckState::Failure,
        (None, false, true) => CheckState::Success,
        (None, false, false) => CheckState::Skipped,
    };
    Ok(JobOutcome { state, steps })
}

/// Returns the folder inside the workspace that a `working-directory` names; `None` if it leads out by its words.
///
/// Links are none of its business: they are followed inside the sandbox.
pub(super) fn inside_workspace(text: &str) -> Option<String> {
    let below = match text.strip_prefix(WORKSPACE) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        Some(_) | None if text.starts_with('/') => return None,
        Some(_) | None => text,
    };
    let mut parts = vec![WORKSPACE];
    for part in below.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
                if parts.is_empty() {
                    return None;
                }
            }
            _ if part.contains('\0') => return None,
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

struct Job<'a> {
    sandbox: &'a Sandbox,
    recipe: &'a Recipe,
    folder: &'a JobFolder,
    lines: Lines,
    to: mpsc::Sender<Progress>,
    cancel: CancellationToken,
    deadline: Instant,
    /// The `env` of the workflow and the job, and what steps added.
    vars: BTreeMap<String, String>,
    /// What steps put before the search path, the latest first.
    path: Vec<String>,
    failed: bool,
    stopped: Option<CheckState>,
}

enum End {
    Exit(ExitStatus),
    Cancelled,
    TimedOut,
}

impl Job<'_> {
    async fn step(&mut self, number: u32, step: &PlannedStep) -> Result<CheckState, Error> {
        let runs = match step.when {
            When::Success => !self.failed,
            When::Failure => self.failed,
            When::Always => true,
            When::Never => false,
        };
        if !runs || self.stopped.is_some() {
            return Ok(CheckState::Skipped);
        }
        self.say(Progress::Began(number)).await;
        let Action::Run { script, shell, folder, env } = &step.action else {
            return Ok(CheckState::Success);
        };
        let mut vars = self.vars.clone();
        for (name, value) in env {
            let value = value.fill(&vars);
            vars.insert(name.clone(), value);
        }
        let directory =
            folder.as_ref().map_or(Some(WORKSPACE.to_owned()), |folder| inside_workspace(&folder.fill(&vars)));
        let state = if let Some(directory) = directory {
            self.script((number, step), (script, *shell), &directory, vars).await?
        } else {
            self.note(number, "The working directory of this step is outside of the workspace.").await;
            CheckState::Failure
        };
        match state {
            CheckState::Success => {}
            CheckState::Cancelled => self.stopped = Some(state),
            _ if step.forgiving && self.stopped.is_none() => {}
            _ => self.failed = true,
        }
        Ok(state)
    }

    async fn script(
        &mut self,
        (number, step): (u32, &PlannedStep),
        (script, shell): (&Template, Shell),
        directory: &str,
        vars: BTreeMap<String, String>,
    ) -> Result<CheckState, Error> {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        let handed = self.folder.step(place, &script.fill(&vars), self.sandbox.uid())?;
        let env = self.environment(vars);
        let own = step.minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes.saturating_mul(60)));
        let until = own.map_or(self.deadline, |own| own.min(self.deadline));
        let call = Call { folder: self.folder, step: &handed, env: &env, directory, command: shell.command() };
        let end = self.watch(number, call, until).await?;
        let state = match end {
            End::Exit(status) if status.success() => self.take_back(number, &handed).await?,
            End::Exit(status) => {
                let code = status.code().map_or("a signal".to_owned(), |code| format!("exit code {code}"));
                self.note(number, &format!("The step ended with {code}.")).await;
                // What it wrote before it failed still counts, as it does elsewhere.
                self.take_back(number, &handed).await?;
                CheckState::Failure
            }
            End::Cancelled => {
                self.note(number, "The job was cancelled.").await;
                CheckState::Cancelled
            }
            End::TimedOut => {
                self.note(number, "The time is up: everything that ran was stopped.").await;
                if until == self.deadline {
                    self.stopped = Some(CheckState::TimedOut);
                }
                CheckState::TimedOut
            }
        };
        Ok(state)
    }

    /// Runs a command and hands out its lines until it ends, its time is up, or the job is cancelled.
    async fn watch(&mut self, number: u32, call: Call<'_>, until: Instant) -> Result<End, Error> {
        let mut running = self.sandbox.start(call).await?;
        let cancel = self.cancel.clone();
        let mut buffer = vec![0; 32 * 1024];
        let mut open = true;
        let end = loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break End::Cancelled,
                () = sleep_until(until) => break End::TimedOut,
                event = running.next(&mut buffer, open) => match event.map_err(Error::Watch)? {
                    Event::Exit(status) => break End::Exit(status),
                    Event::Output(count) => {
                        open = count > 0;
                        self.log(number, &buffer[..count]).await;
                    }
                }
            }
        };
        if !matches!(end, End::Exit(_)) {
            running.kill();
            running.exited().await.map_err(Error::Watch)?;
        }
        // All that ran inside is dead, so what is left in the pipe is all there is.
        while open {
            let count = running.rest(&mut buffer).await;
            open = count > 0;
            self.log(number, &buffer[..count]).await;
        }
        if let Some(line) = self.lines.flush(number) {
            self.say(Progress::Line(line)).await;
        }
        Ok(end)
    }

    /// Composes what a step finds in its environment. Nothing of the server's own is in it.
    fn environment(&self, vars: BTreeMap<String, String>) -> Vec<(String, String)> {
        let path = vars.get("PATH").cloned().unwrap_or_else(|| self.sandbox.path());
        let path = self.path.iter().cloned().chain([path]).collect::<Vec<_>>().join(":");
        let mut env = BTreeMap::from([
            ("CI".to_owned(), "true".to_owned()),
            ("HOME".to_owned(), HOME.to_owned()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("TZ".to_owned(), "UTC".to_owned()),
            ("USER".to_owned(), "ci".to_owned()),
        ]);
        env.extend(vars);
        env.insert("PATH".to_owned(), path);
        env.extend(self.recipe.facts.clone());
        let files =
            [("ENV", "env"), ("OUTPUT", "output"), ("PATH", "path"), ("STEP_SUMMARY", "summary"), ("STATE", "state")];
        env.extend(files.map(|(name, file)| (format!("GITHUB_{name}"), format!("{STEP}/{file}"))));
        for (name, value) in [("GITHUB_ACTIONS", "true"), ("RUNNER_OS", "Linux"), ("RUNNER_TEMP", "/tmp")] {
            env.insert(name.to_owned(), value.to_owned());
        }
        env.into_iter().collect()
    }

    /// Takes what a step left for later steps.
    async fn take_back(&mut self, number: u32, step: &StepFolder) -> Result<CheckState, Error> {
        let paths = step.read_back("path")?;
        for line in paths.lines().filter(|line| line.starts_with('/') && !line.contains(['\0', ':'])) {
            self.path.insert(0, line.to_owned());
        }
        self.path.truncate(100);
        let Ok(added) = assignments(&step.read_back("env")?) else {
            self.note(number, "What the step wrote to GITHUB_ENV cannot be read.").await;
            return Ok(CheckState::Failure);
        };
        for (name, value) in added {
            if !name.starts_with("GITHUB_") && !name.starts_with("RUNNER_") {
                self.vars.insert(name, value);
            }
        }
        Ok(CheckState::Success)
    }

    async fn log(&mut self, number: u32, bytes: &[u8]) {
        for line in self.lines.push(number, bytes) {
            self.say(Progress::Line(line)).await;
        }
    }

    /// Adds a line of our own.
    async fn note(&mut self, number: u32, text: &str) {
        if let Some(line) = self.lines.line(number, format!("::error::{text}")) {
            self.say(Progress::Line(line)).await;
        }
    }

    async fn say(&mut self, progress: Progress) {
        if self.to.send(progress).await.is_err() {
            self.cancel.cancel();
        }
    }
}

impl Shell {
    fn command(self) -> &'static [&'static str] {
        match self {
            Self::Default => &["bash", "-e", "/github/script"],
            Self::Bash => &["bash", "--noprofile", "--norc", "-eo", "pipefail", "/github/script"],
            Self::Sh => &["sh", "-e", "/github/script"],
            Self::Python => &["python3", "/github/script"],
        }
    }
}

/// Reads `NAME=value` lines and `NAME<<END … END` blocks.
fn assignments(text: &str) -> Result<Vec<(String, String)>, ()> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let (block, plain) = (line.find("<<"), line.find('='));
        let (name, value) = match (block, plain) {
            (Some(at), plain) if plain.is_none_or(|equals| at < equals) => {
                let end = &line[at + 2..];
                let mut value: Vec<&str> = Vec::new();
                loop {
                    match lines.next() {
                        Some(line) if line == end => break,
                        Some(line) => value.push(line),
                        None => return Err(()),
                    }
                }
                (&line[..at], value.join("\n"))
            }
            (_, Some(at)) => (&line[..at], line[at + 1..].to_owned()),
            (_, None) => return Err(()),
        };
        if name.is_empty() || name.contains('\0') || value.contains('\0') {
            return Err(());
        }
        found.push((name.to_owned(), value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_directory_cannot_lead_out_by_its_words() {
        for (text, expected) in [
            ("", Some("/w")),
            (".", Some("/w")),
            ("lib", Some("/w/lib")),
            ("./lib//a/../b", Some("/w/lib/b")),
            ("/w/lib", Some("/w/lib")),
            ("/w", Some("/w")),
            ("..", None),
            ("a/../..", None),
            ("/wide", None),
            ("/tmp", None),
            ("a\0b", None),
        ] {
            assert_eq!(inside_workspace(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn assignments_are_lines_or_blocks() {
        let read = |text| {
            assignments(text)
                .map(|found| found.into_iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>())
        };
        assert_eq!(read("A=1\n\nB=x=y<<z\nC<<END\none\nA=2\nEND\n").unwrap(), ["A:1", "B:x=y<<z", "C:one\nA=2"]);
        for bad in ["A", "=1", "A<<END\nno end", "A=\0"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
