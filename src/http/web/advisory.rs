//! The draft of a case's advisory: read as the public will read it, approved by the hash of exactly that text.
//!
//! Leaves editing to `embargo advisory edit`, which brings the person's own editor.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use super::page::Frame;
use super::piece::{Tone, foreign, mark, moment, word};
use super::{Result, frame_of};
use crate::app::App;
use crate::domain::digest::Digest;
use crate::domain::id::CaseId;
use crate::http::caller::{Form, Member, Named};
use crate::http::problem::Page;
use crate::wire::advisory::{AdvisoryView, DocumentView, Format};
use crate::workflow::advisory;

type CaseName = Named<CaseId, Page>;

/// Returns the routes of drafts.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/cases/{case}/advisory", get(show)).route("/cases/{case}/advisory/approve", post(approve))
}

#[derive(Deserialize)]
struct Approval {
    digest: Digest,
}

async fn show(State(app): State<Arc<App>>, member: Member, id: CaseName) -> Result<Markup> {
    let view = advisory::show(&app, &member.actor, &id.0).await?;
    let preview = advisory::preview(&app, &member.actor, &id.0, Format::Markdown).await?;
    Ok(advisory_page(&id.0.to_string(), &view, &preview, &frame_of(&app, &member)))
}

async fn approve(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Approval>) -> Result<Redirect> {
    advisory::approve(&app, &form.by.actor, &id.0, &form.value.digest).await?;
    Ok(Redirect::to(&format!("/cases/{}/advisory", id.0)))
}

/// Renders a draft.
pub(crate) fn advisory_page(case: &str, view: &AdvisoryView, preview: &DocumentView, frame: &Frame<'_>) -> Markup {
    let content = html! {
        p.eyebrow { a href={ "/cases/" (case) } { (case) } " · advisory" @if let Some(id) = &view.id { " " (id) } }
        div.heading {
            h1 { (foreign(&view.advisory.title.to_string())) }
            @if view.approved { (mark(Tone::Good, "approved")) } @else { (mark(Tone::Waiting, "not approved")) }
        }
        p.soft {
            @match (&view.edited_by, &view.edited_at) {
                (Some(by), Some(at)) => { "Edited by " (foreign(by)) ", " (moment(at)) ". " }
                (_, _) => "A first draft, made from the report. ",
            }
            @if let Some(by) = &view.approved_by { "Approved by " (foreign(by)) "." }
        }
        @if !view.missing.is_empty() {
            div.notice.waiting { p { strong { "Still missing" } } ul { @for sentence in &view.missing { li { (sentence) } } } }
        }
        @if view.may_edit { p { "Edit it with " code { "embargo advisory edit " (case) } ": it opens your editor." } }
        section {
            h2 { "As the public will read it" }
            pre.document tabindex="0" dir="auto" { (preview.text) }
        }
        section {
            h2 { "Who is thanked" }
            @if view.credits.is_empty() { p.soft { "Nobody by name." } }
            ul.people { @for credit in &view.credits { li { strong { (foreign(&credit.name)) } span.role { (word(&credit.kind)) } } } }
            @if view.waiting_credits > 0 { p.soft { "Asked and not answered yet: " (view.waiting_credits) "." } }
        }
        section {
            h2 { "Approval" }
            @match (&view.digest, view.may_approve) {
                (Some(digest), true) => {
                    p.small.soft { "The text above and its machine-readable forms have the SHA-256 " code.hash { (digest) } }
                    form method="post" action={ "/cases/" (case) "/advisory/approve" } {
                        (frame.token())
                        input type="hidden" name="digest" value=(digest);
                        button.primary { "Approve exactly this text" }
                    }
                }
                (_, _) => p { @match &view.not_approvable {
                    Some(sentence) => (sentence),
                    None => "It is approved, or your role does not include approving it.",
                } },
            }
        }
    };
    frame.page(&format!("Advisory of {case}"), content)
}
