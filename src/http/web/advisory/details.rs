//! Technical details that are held back: as they will be read, and the form that moves them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use serde::Deserialize;

use super::CaseName;
use crate::app::App;
use crate::domain::details::DetailsState;
use crate::domain::refusal::Refusal;
use crate::http::caller::{Form, Member};
use crate::http::web::Result;
use crate::http::web::field::Instant;
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, instant_field, mark, moment, sentence};
use crate::wire::details::{DetailsView, LaterView, MoveDetails};
use crate::workflow::details;

/// The form that moves what is held back: `at` is of use where `when` says so.
#[derive(Deserialize)]
pub(super) struct Moved {
    when: String,
    #[serde(default)]
    at: String,
}

impl Moved {
    fn wish(&self) -> Result<MoveDetails, Refusal> {
        match self.when.as_str() {
            "now" => Ok(MoveDetails::Now),
            "never" => Ok(MoveDetails::Never),
            "at" => Ok(MoveDetails::At { at: Instant::try_from(self.at.clone())?.0 }),
            _ => Err(Refusal::input("Say when the technical details follow: now, at an instant, or not for now.")),
        }
    }
}

/// Gives what is held back another time.
pub(super) async fn put_off(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Moved>) -> Result<Redirect> {
    details::put_off(&app, &form.by.actor, &id.0, &form.value.wish()?).await?;
    Ok(Redirect::to(&format!("/cases/{}/advisory#public", id.0)))
}

/// Renders what follows later, for whoever approves it.
pub(super) fn later(view: &LaterView) -> Markup {
    let of = |media_type: &str| view.documents.iter().find(|document| document.media_type.starts_with(media_type));
    html! {
        section #later {
            h2 { "With the technical details" }
            p {
                "Held back at first. This takes the place of the text above "
                @match &view.at { Some(at) => { "on " (moment(at)) "." }, None => "once somebody says when." }
            }
            @for (label, media_type) in [("As Markdown", "text/markdown"), ("As OSV, for programs", "application/json")] {
                @if let Some(document) = of(media_type) {
                    details open[media_type == "text/markdown"] { summary { (label) } pre.document tabindex="0" dir="auto" { (document.text) } }
                }
            }
        }
    }
}

/// Renders where the details of a public advisory stand, and what may be done about them.
pub(super) fn held(case: &str, view: &DetailsView, frame: &Frame<'_>) -> Markup {
    let public = view.state == DetailsState::Published;
    let (tone, words) = match (public, view.note.is_empty()) {
        (true, _) => (Tone::Good, "public"),
        (false, true) => (Tone::Waiting, "held back"),
        (false, false) => (Tone::Bad, "could not be published"),
    };
    let choice = |value: &str, words: &str, checked: bool| {
        html! { label.choice { input type="radio" name="when" value=(value) required checked[checked]; " " (words) } }
    };
    html! {
        div #details {
            h3 { "Technical details " (mark(tone, words)) }
            p { (sentence(&view.words())) "." }
            @if view.may_move {
                details.card {
                    summary { "Move them" }
                    form method="post" action={ "/cases/" (case) "/advisory/details" } {
                        (frame.token())
                        fieldset {
                            legend { "When they are published" }
                            (choice("at", "At this instant:", true))
                            (instant_field("details-at", "Instant"))
                            (choice("now", "Now", false))
                            (choice("never", "Not until somebody says otherwise", false))
                        }
                        p.hint { "Needs a sign-in from the last five minutes. The advisory itself names the new day once it is corrected." }
                        button { "Move them" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> DetailsView {
        DetailsView {
            case: "DEMO-1".to_owned(),
            state: DetailsState::Held,
            follows_at: Some("2030-01-08T12:00:00Z".to_owned()),
            revision: None,
            in_step: true,
            attempts: 0,
            note: String::new(),
            may_move: true,
        }
    }

    #[test]
    fn only_who_may_move_details_is_shown_how() {
        let text = held("DEMO-1", &view(), &Frame::stranger()).into_string();
        assert!(
            text.contains("follow on 2030-01-08T12:00:00Z") && text.contains("/cases/DEMO-1/advisory/details"),
            "{text}"
        );
        let barred = held("DEMO-1", &DetailsView { may_move: false, ..view() }, &Frame::stranger()).into_string();
        assert!(!barred.contains("<form"), "{barred}");
    }

    #[test]
    fn the_form_names_one_of_three_times() {
        let moved = |when: &str, at: &str| Moved { when: when.to_owned(), at: at.to_owned() }.wish();
        assert!(matches!(moved("now", ""), Ok(MoveDetails::Now)));
        assert!(matches!(moved("never", ""), Ok(MoveDetails::Never)));
        assert!(matches!(moved("at", "2030-01-08T12:00"), Ok(MoveDetails::At { .. })));
        assert!(moved("at", "").is_err() && moved("soon", "").is_err());
    }
}
