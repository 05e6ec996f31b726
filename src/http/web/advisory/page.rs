//! The draft of a case's advisory: read as the public will read it, approved by the hash of exactly that text.

use maud::{Markup, PreEscaped, html};

use super::{details, public};
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, foreign, mark, moment, sentence};
use crate::wire::advisory::{AdvisoryView, DocumentView};

/// Renders a draft and its files as they would be published.
pub(crate) fn advisory_page(case: &str, view: &AdvisoryView, documents: &[DocumentView], frame: &Frame<'_>) -> Markup {
    let of = |media_type: &str| documents.iter().find(|document| document.media_type.starts_with(media_type));
    let content = html! {
        p.eyebrow { a href={ "/cases/" (case) } { (case) } " · advisory" @if let Some(id) = &view.id { " " (id) } }
        div.heading {
            p.facts {
                @match (&view.published_at, view.approved) {
                    (Some(_), _) if view.public.as_ref().is_some_and(|public| public.withdrawn) => (mark(Tone::Bad, "withdrawn")),
                    (Some(_), _) => (mark(Tone::Good, "public")),
                    (None, true) => (mark(Tone::Good, "approved")),
                    (None, false) => (mark(Tone::Waiting, "not approved")),
                }
                span {
                    @match (&view.edited_by, &view.edited_at) {
                        (Some(by), Some(at)) => { "Edited by " (foreign(by)) ", " (moment(at)) "." }
                        (_, _) => "A first draft, made from the report.",
                    }
                    @if let Some(by) = &view.approved_by { " Approved by " (foreign(by)) "." }
                }
            }
            @if let (Some(id), Some(_)) = (&view.id, &view.published_at) { a.button href={ "/advisories/" (id) } { "Public page" } }
            @if view.may_edit { a.button href={ "/cases/" (case) "/advisory/edit" } { "Edit" } }
        }
        @if !view.missing.is_empty() {
            div.notice.waiting { p { strong { "Still missing" } } ul { @for lack in &view.missing { li { (sentence(lack)) } } } }
        }
        @if let Some(page) = of("text/html") {
            p.small.soft #preview {
                @match (&view.published_at, &view.digest) {
                    (Some(_), None) => "As the public reads it:",
                    (_, Some(_)) => "As the public will read it:",
                    (None, None) => "As the public will read it, once a release says number, date and commits:",
                }
            }
            // Rendered and escaped by us, as it is on the public page.
            div.card.preview aria-describedby="preview" { (PreEscaped(&page.text)) }
        }
        @if view.waiting_credits > 0 { p.soft { "Asked for a credit and not answered yet: " (view.waiting_credits) "." } }
        (file("As Markdown", of("text/markdown")))
        (file("As OSV, for programs", of("application/json")))
        @if let Some(later) = &view.later { (details::later(later)) }
        @match &view.public {
            Some(public) => (public::part(case, view, public, frame)),
            None => (approval(case, view, frame)),
        }
    };
    frame.page(&format!("Advisory of {case}"), content)
}

fn approval(case: &str, view: &AdvisoryView, frame: &Frame<'_>) -> Markup {
    html! {
        section {
            h2 { "Approval" }
            @match (&view.digest, view.may_approve) {
                (Some(digest), true) => {
                    @if view.later.is_some() { p { "The approval holds for both: what is published at first, and what follows." } }
                    p.small.soft { "The text above and its machine-readable forms have the SHA-256 " code.hash { (digest) } }
                    form method="post" action={ "/cases/" (case) "/advisory/approve" } {
                        (frame.token())
                        input type="hidden" name="digest" value=(digest);
                        button.primary { "Approve exactly this text" }
                    }
                }
                (_, _) => p { @match &view.not_approvable {
                    Some(barred) => (sentence(barred)),
                    None => "It is approved, or your role does not include approving it.",
                } },
            }
        }
    }
}

fn file(label: &str, document: Option<&DocumentView>) -> Markup {
    html! {
        @if let Some(document) = document {
            details { summary { (label) } pre.document tabindex="0" dir="auto" { (document.text) } }
        }
    }
}
