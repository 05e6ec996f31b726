//! What speaks for a candidate on the page of its release: its checks, who pushed it, who approved it.

use maud::{Markup, html};

use super::page::path;
use crate::domain::candidate::ChecksBy;
use crate::domain::readiness::Checks;
use crate::domain::text::shown;
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, foreign, mark, short};
use crate::wire::release::{CandidateView, ReleaseView, TargetView};

/// Renders what speaks for a target's candidate, and what somebody who manages the release can do about it.
pub(super) fn standing(view: &ReleaseView, target: &TargetView, frame: &Frame<'_>) -> Markup {
    html! {
        @if let Some(standing) = &target.standing {
            p.small { (checks(standing)) }
            @if standing.may_rerun && asks_again(standing) {
                form.inline method="post" action=(path(view, "checks")) {
                    (place(target, frame))
                    button.plain aria-label={ "Run the checks of candidate/" (target.line) " again" } { "Run again" }
                }
            }
            @if let Some(pusher) = &standing.pushed_by { p.small { "Pushed by " (foreign(pusher)) "." } }
            @if standing.bumped { p.small { "Its last commit is what the version command changed." } }
            @if standing.bumped || standing.pushed_by.is_some() { (approval(view, (target, standing), frame)) }
        }
        @if let Some(why) = &target.fallen { p.small { (mark(Tone::Waiting, "not used")) " " (shown(why)) } }
    }
}

fn checks(standing: &CandidateView) -> Markup {
    let (tone, words) = match standing.checks.parse::<Checks>() {
        Ok(Checks::Green) => (Tone::Good, "passed"),
        Ok(Checks::Nothing) => (Tone::Neutral, "nothing to run"),
        Ok(Checks::Waived) => (Tone::Neutral, "answered for"),
        Ok(Checks::NotRun) => (Tone::Waiting, "not run here"),
        Ok(Checks::Running) => (Tone::Busy, "running"),
        Ok(Checks::Failed) => (Tone::Bad, "failed"),
        Ok(Checks::Missing) | Err(_) => (Tone::Neutral, "no checks yet"),
    };
    let whose = match standing.checks_by.parse::<ChecksBy>() {
        Ok(ChecksBy::Fix) => "by the fix: it is the same tree",
        Ok(ChecksBy::Word) => "by those who answer for the fixes",
        Ok(ChecksBy::Candidate) | Err(_) => "",
    };
    html! {
        (mark(tone, words)) " "
        @if let Some(run) = &standing.run { a href={ "/checks/" (run) } { "the run and its log" } " " }
        span.soft { (whose) }
    }
}

/// Tells whether running the checks again could help.
fn asks_again(standing: &CandidateView) -> bool {
    match standing.checks.parse::<Checks>() {
        Ok(Checks::Failed | Checks::NotRun) => standing.checks_by == ChecksBy::Candidate.as_str(),
        Ok(Checks::Green | Checks::Nothing | Checks::Waived | Checks::Running | Checks::Missing) | Err(_) => false,
    }
}

/// The approval names the commit on the screen: if another was pushed meanwhile, the button refuses.
fn approval(view: &ReleaseView, of: (&TargetView, &CandidateView), frame: &Frame<'_>) -> Markup {
    let (target, standing) = of;
    html! {
        @if standing.approved_by.is_empty() { (mark(Tone::Waiting, "not approved")) } @else {
            (mark(Tone::Good, "approved")) " "
            span.soft { "by " @for (n, name) in standing.approved_by.iter().enumerate() { @if n > 0 { ", " } (foreign(name)) } }
        }
        @if let (Some(commit), true) = (&target.candidate, standing.may_approve) {
            form.inline method="post" action=(path(view, "approve-candidate")) {
                (place(target, frame))
                input type="hidden" name="commit" value=(commit);
                button aria-label={ "Approve " (short(commit)) " of candidate/" (target.line) } { "Approve " code { (short(commit)) } }
            }
        }
    }
}

fn place(target: &TargetView, frame: &Frame<'_>) -> Markup {
    html! {
        (frame.token())
        input type="hidden" name="repository" value=(target.repository);
        input type="hidden" name="line" value=(target.line);
    }
}
