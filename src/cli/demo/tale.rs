//! What the demo tells: a line per step with its time, or one JSON document at the end.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use serde::Serialize;

use crate::cli::output::Output;
use crate::cli::{Failure, Result};

/// The story so far.
pub(super) struct Tale {
    output: Output,
    began: Instant,
    last: Instant,
    document: Document,
}

/// The story as a program reads it.
#[derive(Default, Serialize)]
struct Document {
    /// Whether all went as it should.
    ok: bool,
    /// Why it did not.
    failure: Option<String>,
    steps: Vec<Step>,
    ids: BTreeMap<String, String>,
    urls: BTreeMap<String, String>,
    /// The jobs of a real project's workflows.
    jobs: Vec<Job>,
    /// Milliseconds from the end of the push to the last advisory, by the release's own journal.
    gap_ms: Option<i64>,
    /// Milliseconds the push itself took.
    push_ms: Option<i64>,
    /// Milliseconds from the instant to the last effect.
    instant_to_done_ms: Option<i64>,
}

#[derive(Serialize)]
struct Step {
    name: &'static str,
    milliseconds: u64,
    detail: String,
}

/// A job of the project's own workflows, and how it went here.
#[derive(Serialize)]
pub(super) struct Job {
    /// The line it is a check of.
    pub(super) line: String,
    /// Its name.
    pub(super) job: String,
    /// A word of the check states.
    pub(super) state: String,
    /// Why it did not run, or how it ended.
    pub(super) reason: Option<String>,
}

/// How long the parts of a disclosure took.
pub(super) struct Times {
    /// From the end of the push to the last advisory.
    pub(super) gap_ms: Option<i64>,
    /// The push.
    pub(super) push_ms: Option<i64>,
    /// From the instant to the last effect.
    pub(super) whole_ms: Option<i64>,
}

impl Tale {
    /// Begins.
    pub(super) fn new(output: Output) -> Self {
        let now = Instant::now();
        Self { output, began: now, last: now, document: Document::default() }
    }

    /// Ends a step: the time since the one before is its time.
    pub(super) fn step(&mut self, name: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        let now = Instant::now();
        let took = now.duration_since(self.last);
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.last = now;
        if !self.output.is_json() {
            let at = now.duration_since(self.began).as_secs_f64();
            line(&format!("{at:6.1} s  {name:<10} {detail}  ({milliseconds} ms)"));
        }
        self.document.steps.push(Step { name, milliseconds, detail });
    }

    /// Says something beside the steps.
    pub(super) fn aside(&self, text: &str) {
        if !self.output.is_json() {
            line(text);
        }
    }

    /// Keeps the id of something.
    pub(super) fn id(&mut self, name: impl Into<String>, id: impl ToString) {
        self.document.ids.insert(name.into(), id.to_string());
    }

    /// Keeps where something is.
    pub(super) fn url(&mut self, name: impl Into<String>, url: impl ToString) {
        self.document.urls.insert(name.into(), url.to_string());
    }

    /// Tells of a job.
    pub(super) fn job(&mut self, job: Job) {
        let reason = job.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
        self.aside(&format!("           {}: {} {}{reason}", job.line, job.job, job.state));
        self.document.jobs.push(job);
    }

    /// Keeps how long the disclosure took.
    pub(super) fn times(&mut self, times: &Times) {
        self.document.gap_ms = times.gap_ms;
        self.document.push_ms = times.push_ms;
        self.document.instant_to_done_ms = times.whole_ms;
    }

    /// Ends the story with the JSON document, if one was asked for.
    pub(super) fn end(&mut self, told: &Result<()>) -> Result<()> {
        self.document.ok = told.is_ok();
        self.document.failure = told.as_ref().err().map(ToString::to_string);
        if !self.output.is_json() {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&self.document);
        line(&text.map_err(|error| Failure::because("The story is no JSON.", error))?);
        Ok(())
    }
}

/// Prints a line at once. A reader that has seen enough closes the pipe; that is no failure.
fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
