//! What a check run looks like.

use maud::{Markup, html};

use crate::domain::text::shown;
use crate::http::web::page::Frame;
use crate::http::web::piece::{check_mark, foreign, moment, sentence, short};
use crate::wire::check::{JobView, LogView, RunView};

/// No page shows more lines of a log: the next ones have a page of their own.
const LINES: usize = 5_000;

/// The part of a job's log that a page shows.
pub(crate) struct LogPart {
    job: String,
    from: i64,
    log: LogView,
    /// Whether there is more on the next page.
    more: bool,
}

impl LogPart {
    /// Takes what fits from a log that was read from this line on.
    pub(crate) fn new(job: &str, from: i64, mut log: LogView) -> Self {
        let more = log.lines.len() > LINES;
        log.lines.truncate(LINES);
        if let (true, Some(last)) = (more, log.lines.last()) {
            log.next = last.n + 1;
        }
        Self { job: job.to_owned(), from, log, more }
    }
}

/// Renders a run with the log of one of its jobs.
pub(crate) fn check_page(view: &RunView, log: Option<&LogPart>, frame: &Frame<'_>) -> Markup {
    let (owner, place) = match (&view.case, &view.release) {
        (_, Some(release)) => (release.as_str(), format!("/releases/{release}")),
        (Some(case), None) => (case.as_str(), format!("/cases/{case}")),
        (None, None) => ("", "/".to_owned()),
    };
    let content = html! {
        p.eyebrow { a href=(place) { (owner) } " · checks for " code { (foreign(&view.line)) } }
        div.heading {
            h1 { "Checks on " code title=(view.head) { (short(&view.head)) } }
            (check_mark(&view.state))
        }
        p.soft {
            "Asked for " (moment(&view.queued_at))
            @if let Some(ended) = &view.ended_at { " · ended " (moment(ended)) }
        }
        @if !view.note.is_empty() { div.notice { p { (sentence(&view.note)) } } }
        @if view.may_cancel { (frame.button(&format!("/checks/{}/cancel", view.id), "danger", "Stop this run")) }
        h2 { "Jobs" }
        @if view.jobs.is_empty() {
            p.soft { @if view.ended_at.is_some() { "There was no job to run." } @else { "No job is planned yet." } }
        } @else {
            ul.jobs { @for job in &view.jobs { (job_row(view, job, log.map(|part| part.job.as_str()))) } }
        }
        @if let Some(part) = log { (log_part(view, part)) }
    };
    frame.page(&format!("Checks of {owner}"), content)
}

fn job_row(view: &RunView, job: &JobView, open: Option<&str>) -> Markup {
    let current = (open == Some(job.id.as_str())).then_some("true");
    html! {
        li aria-current=[current] {
            a href={ "/checks/" (view.id) "?job=" (job.id) "#log" } { (foreign(&job.name)) }
            (check_mark(&job.state))
            span.soft.small {
                @if let Some(at) = &job.started_at { "from " (moment(at)) }
                @if let Some(at) = &job.ended_at { " to " (moment(at)) }
            }
            @if let Some(reason) = &job.reason { p.soft { (sentence(reason)) } }
        }
    }
}

fn log_part(view: &RunView, part: &LogPart) -> Markup {
    let LogPart { job, log, from, more } = part;
    let name = view.jobs.iter().find(|known| known.id == *job).map(|known| known.name.as_str()).unwrap_or_default();
    let events = (!log.ended && !more).then(|| format!("/checks/{}/jobs/{job}/events?from={}", view.id, log.next));
    let place = |from: i64| format!("/checks/{}?job={job}&from={from}#log", view.id);
    html! {
        section #log {
            div.heading { h2 { "Log of " (foreign(name)) } span.soft.small { "secrets are masked" } }
            @if *from > 0 { p { a href=(place(0)) { "From the first line" } } }
            ol.log tabindex="0" aria-label="Log" data-events=[events] {
                @for line in &log.lines { li value=(line.n + 1) { (shown(&line.text)) } }
            }
            p.soft #log-state role="status" {
                @if *more { a href=(place(log.next)) { "More lines" } }
                @else if log.ended { "The log is complete." }
                @else { "The job goes on. " a href=(place(log.next)) { "Load what came since" } "." }
            }
        }
    }
}
