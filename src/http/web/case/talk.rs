//! The thread of a case and the composer. A team-only note looks like one, before and after it is written.

use maud::{Markup, html};

use super::page::{may, path};
use crate::domain::access::Action;
use crate::http::web::page::Frame;
use crate::http::web::piece::{foreign, moment};
use crate::wire::case::{CaseView, MessageView};

/// Renders the thread, oldest first, and what may be written below it.
pub(super) fn thread(view: &CaseView, frame: &Frame<'_>) -> Markup {
    html! {
        section #thread {
            h2 { "Thread" }
            @if view.thread.is_empty() { p.soft { "Nothing has been written yet." } }
            ol.thread { @for message in &view.thread { (message_item(message)) } }
            (composer(view, frame))
        }
    }
}

/// Renders one message with who may read it.
pub(crate) fn message_item(message: &MessageView) -> Markup {
    let (class, reach) = match message.audience.as_str() {
        "team" => ("message team", "Team only"),
        "all" => ("message", "All members"),
        _ => ("message", "Team and reporter"),
    };
    html! {
        li class=(class) {
            p.by { strong { (foreign(&message.author)) } span.reach { (reach) } span.soft { (moment(&message.written_at)) } }
            div.text dir="auto" { (message.text) }
        }
    }
}

fn composer(view: &CaseView, frame: &Frame<'_>) -> Markup {
    let (reply, note) = (may(view, Action::Reply), may(view, Action::Note));
    let choices: Vec<(&str, &str, &str)> = [
        (reply && note && !view.reports.is_empty(), ("reporter", "The reporter", "the team reads it too")),
        (reply, ("all", "All members", "guests and every reporter included")),
        (note, ("team", "Team-only note", "the reporter never sees it")),
    ]
    .into_iter()
    .filter_map(|(allowed, choice)| allowed.then_some(choice))
    .collect();
    html! {
        @if !choices.is_empty() {
            form.card.composer method="post" action=(path(view, "messages")) {
                (frame.token())
                label for="message" { "Write" }
                textarea #message name="text" rows="5" required maxlength="65536" dir="auto" {}
                fieldset {
                    legend { "Who reads it" }
                    @for (n, (to, label, hint)) in choices.iter().enumerate() {
                        label.choice { input type="radio" name="to" value=(to) required checked[n == 0]; span { (label) " " span.soft { (hint) } } }
                    }
                }
                button.primary { "Send" }
            }
        }
    }
}
