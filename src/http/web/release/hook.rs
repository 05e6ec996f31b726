//! The hooks on the page of a release: what is done around its instant, when, and what came of it.

use maud::{Markup, html};

use crate::domain::text::shown;
use crate::http::web::piece::{Tone, exact_time, foreign, mark};
use crate::wire::release::{HookView, ReleaseView};

/// Renders the hooks; nothing where there are none.
pub(super) fn section(view: &ReleaseView) -> Markup {
    html! {
        @if !view.hooks.is_empty() {
            section #hooks {
                h2 { "Around the instant" }
                ul.jobs { @for hook in &view.hooks { (row(hook)) } }
            }
        }
    }
}

fn row(hook: &HookView) -> Markup {
    let (tone, words) = match hook.state.as_str() {
        "ahead" => (Tone::Neutral, "ahead"),
        "done" => (Tone::Good, "done"),
        "undone" => (Tone::Neutral, "undone"),
        "started" => (Tone::Busy, "begun"),
        "pending" => (Tone::Waiting, "tried again"),
        "unknown" => (Tone::Waiting, "may be done"),
        "passed_over" => (Tone::Bad, "passed over"),
        other => (Tone::Neutral, other),
    };
    html! {
        li {
            (mark(tone, words))
            span {
                code { (foreign(&hook.name)) }
                @if let Some(at) = &hook.at { " at " (at) }
                @if let Some(undoes) = &hook.undoes { ", undoing " code { (foreign(undoes)) } }
                @if let Some(undo) = &hook.undone_by { span.soft { ", undone by " code { (foreign(undo)) } } }
            }
            (exact_time(&hook.when))
            @if !hook.note.is_empty() { p.soft.small { (shown(&hook.note)) } }
        }
    }
}
