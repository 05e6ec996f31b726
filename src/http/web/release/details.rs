//! When the technical details of a release follow its advisories, and where those stand that are held back.

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use serde::Deserialize;

use super::page::{may, path};
use super::{Done, ReleaseName, to};
use crate::app::App;
use crate::domain::audience::Lead;
use crate::domain::refusal::Malformed;
use crate::http::caller::{Form, Member};
use crate::http::web::page::Frame;
use crate::http::web::piece::{moment, sentence};
use crate::wire::release::ReleaseView;
use crate::workflow::plan;

/// The form that says how long after the advisory details follow; empty: with it.
#[derive(Deserialize)]
pub(super) struct Hold {
    #[serde(rename = "details-after", default)]
    after: String,
}

/// Reads the field; nothing where it is empty.
pub(super) fn after(text: &str) -> Result<Option<Lead>, Malformed> {
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// Says when the technical details of a planned release follow.
pub(super) async fn hold(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Hold>) -> Done {
    plan::hold_details(&app, &form.by.actor, &id.0, after(&form.value.after)?).await?;
    Ok(to(&id.0))
}

/// Renders the field for how long details are held back.
pub(super) fn field(id: &str, value: &str) -> Markup {
    html! {
        label for=(id) { "Hold technical details back for" }
        input id=(id) name="details-after" value=(value) autocomplete="off" spellcheck="false" placeholder="7d" pattern="[0-9]{1,6}[dhm]";
        p.hint { "Such as 7d, counted from the instant, so that users can update before everybody reads how it works. Empty: they are published with the rest." }
    }
}

/// Renders the part of a release's page that is about technical details; nothing where none are held back and none may be.
pub(super) fn section(view: &ReleaseView, frame: &Frame<'_>) -> Markup {
    let may = may(view, "hold-details");
    html! {
        @if may || view.details.is_some() {
            section #details {
                h2 { "Technical details" }
                @match &view.details {
                    Some(details) if details.advisories.is_empty() => p { "They follow " (details.after) " after the advisory, " (moment(&details.at)) "." },
                    Some(details) => ul.people { @for each in &details.advisories { li {
                        a href={ "/cases/" (each.case) "/advisory#details" } { (each.case) } " " (sentence(&each.words()))
                    } } },
                    None => p.soft { "What an advisory says of how it works is published with it." },
                }
                @if may {
                    details {
                        summary { "Change this" }
                        form method="post" action=(path(view, "hold-details")) {
                            (frame.token())
                            (field("details-after", view.details.as_ref().map_or("", |details| details.after.as_str())))
                            button { "Save" }
                        }
                    }
                }
            }
        }
    }
}
