//! Tests that follow later, on the page of a release: which, when, what became of them, and how that is changed.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use maud::{Markup, html};
use serde::Deserialize;

use super::page::{may, path};
use super::{Done, ReleaseName, to};
use crate::app::App;
use crate::domain::landing::{LandingState, TestsWish};
use crate::domain::repo::{LineName, RepoName};
use crate::domain::text::shown;
use crate::http::caller::{Form, Member};
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, exact_time, foreign, mark, sentence, short};
use crate::wire::landing::{LandingView, SetTests};
use crate::wire::release::ReleaseView;
use crate::workflow::landing;

/// Returns the routes of tests that follow later.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/releases/{release}/tests", post(schedule))
}

#[derive(Deserialize)]
struct Schedule {
    when: TestsWish,
    line: Option<LineName>,
    repository: Option<RepoName>,
}

async fn schedule(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Schedule>) -> Done {
    let Schedule { when, line, repository } = form.value;
    landing::schedule(&app, &form.by.actor, &id.0, &SetTests { when, line, repository }).await?;
    Ok(to(&id.0))
}

/// Renders the tests that follow later; nothing where there are none.
pub(super) fn section(view: &ReleaseView, frame: &Frame<'_>) -> Markup {
    let tests = &view.tests;
    let public = view.done_at.is_some();
    html! {
        @if !tests.lines.is_empty() {
            section #tests {
                h2 { "Tests that follow later" }
                @if !public {
                    p.soft {
                        @match tests.due.as_deref() {
                            None => "They stay private at the instant. Nobody has said when they become public.",
                            Some("never") => "They stay private at the instant, and are not made public by this server.",
                            Some(due) => { "They stay private at the instant, and become public " strong { (due) } " after it, each line on its own." },
                        }
                    }
                }
                ul.jobs { @for line in &tests.lines { (row(view, line, frame)) } }
                @if may(view, "tests") {
                    details {
                        summary { "Say when they follow" }
                        form method="post" action=(path(view, "tests")) {
                            (frame.token())
                            label for="tests-when" { "They become public" }
                            input #tests-when name="when" required autocomplete="off" spellcheck="false" value=(tests.due.as_deref().unwrap_or("14d")) aria-describedby="tests-hint";
                            p.hint #tests-hint {
                                "A time after the release is public, such as " code { "14d" } ", or " code { "never" }
                                @if public { "; an instant such as " code { "2030-01-15T13:00:00Z" } "; or " code { "now" } }
                                ". Sooner needs a sign-in from the last five minutes, as arming does."
                            }
                            button { "Set" }
                        }
                    }
                }
            }
        }
    }
}

fn row(view: &ReleaseView, line: &LandingView, frame: &Frame<'_>) -> Markup {
    let state = line.state.parse::<LandingState>();
    let (tone, words) = match state {
        Ok(LandingState::Waiting) if line.note.is_empty() => (Tone::Waiting, "waits for its time"),
        Ok(LandingState::Waiting) => (Tone::Waiting, "tried again"),
        Ok(LandingState::Checking) => (Tone::Busy, "being checked"),
        Ok(LandingState::Pushing) => (Tone::Busy, "being pushed"),
        Ok(LandingState::Stuck) => (Tone::Bad, "needs a person"),
        Ok(LandingState::Done) => (Tone::Good, "public"),
        Ok(LandingState::Never) => (Tone::Neutral, "stays private"),
        Err(_) => (Tone::Neutral, "held back"),
    };
    let act = |when: &str, label: &str| {
        html! {
            form.inline method="post" action=(path(view, "tests")) {
                (frame.token())
                input type="hidden" name="when" value=(when);
                input type="hidden" name="line" value=(line.line);
                input type="hidden" name="repository" value=(line.repository);
                button.plain aria-label={ (label) ": tests of " (line.repository) " " (line.line) } { (label) }
            }
        }
    };
    html! {
        li {
            (mark(tone, words))
            span {
                code { "tests/" (foreign(&line.line)) } " " span.soft { (line.repository) @if !line.cases.is_empty() { ", " (line.cases.join(", ")) } }
                @if let Some(commit) = &line.commit { " " code.soft title=(commit) { (short(commit)) } }
            }
            @if let Some(at) = &line.due_at { (exact_time(at)) }
            @if may(view, "tests") {
                @match state {
                    Ok(LandingState::Stuck) => { (act("now", "Try again")) (act("never", "Leave it")) },
                    Ok(LandingState::Waiting | LandingState::Checking | LandingState::Never) => (act("now", "Make it public now")),
                    Ok(LandingState::Pushing | LandingState::Done) | Err(_) => {},
                }
            }
            @if !line.note.is_empty() { p.soft.small { (sentence(&line.note)) } }
            @if !line.commands.is_empty() { pre tabindex="0" { code { @for command in &line.commands { (shown(command)) "\n" } } } }
        }
    }
}
