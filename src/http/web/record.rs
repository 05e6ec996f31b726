//! The public record of a case: its lines to choose from, what was put together, and what the public reads.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;

use super::page::Frame;
use super::piece::{Tone, mark, moment, sentence};
use super::{Nothing, Result, frame_of};
use crate::app::App;
use crate::domain::digest::Digest;
use crate::domain::id::CaseId;
use crate::domain::plain::AdvisoryId;
use crate::domain::record::Part;
use crate::http::caller::{Form, Member, Named};
use crate::http::problem::Page;
use crate::wire::record::{ChooseRecord, RecordDraftView, RecordLineView, RecordView};
use crate::workflow::record;

type CaseName = Named<CaseId, Page>;
type Fields = Vec<(String, String)>;

/// Returns the routes of records.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/cases/{case}/record", get(show).post(choose))
        .route("/cases/{case}/record/publish", post(publish))
        .route("/cases/{case}/record/ask", post(ask))
        .route("/advisories/{name}/record", get(public))
        .route("/advisories/{name}/record.md", get(markdown))
}

#[derive(Deserialize)]
struct Publish {
    digest: Digest,
}

async fn show(State(app): State<Arc<App>>, member: Member, id: CaseName) -> Result<Markup> {
    Ok(record_page(&record::show(&app, &member.actor, &id.0).await?, &frame_of(&app, &member)))
}

async fn choose(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Fields>) -> Result<Redirect> {
    let lines = form.value.into_iter().filter(|(name, _)| name == "line").map(|(_, key)| key).collect();
    record::choose(&app, &form.by.actor, &id.0, &ChooseRecord { lines }).await?;
    Ok(Redirect::to(&format!("/cases/{}/record#draft", id.0)))
}

async fn publish(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Publish>) -> Result<Redirect> {
    record::publish(&app, &form.by.actor, &id.0, &form.value.digest).await?;
    Ok(Redirect::to(&format!("/cases/{}/record", id.0)))
}

async fn ask(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Nothing>) -> Result<Redirect> {
    record::ask(&app, &form.by.actor, &id.0).await?;
    Ok(Redirect::to(&format!("/cases/{}/record", id.0)))
}

async fn public(State(app): State<Arc<App>>, id: Named<AdvisoryId, Page>) -> Result<Markup> {
    Ok(public_page(&id.0, &record::published(&app, &id.0).await?.html))
}

async fn markdown(State(app): State<Arc<App>>, id: Named<AdvisoryId, Page>) -> Result<Response> {
    let found = record::published(&app, &id.0).await?;
    Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], found.markdown).into_response())
}

fn public_page(id: &AdvisoryId, body: &str) -> Markup {
    let content = html! {
        p.eyebrow { a href={ "/advisories/" (id) } { (id) } }
        // Rendered and escaped by us when it was put together; the bytes are those that were shown then.
        (PreEscaped(body))
        p { a href={ "/advisories/" (id) "/record.md" } { "This record as Markdown" } }
    };
    Frame::stranger().page(&format!("Record of {id}"), content)
}

fn record_page(view: &RecordView, frame: &Frame<'_>) -> Markup {
    let content = html! {
        p.eyebrow { a href={ "/cases/" (view.case) } { (view.case) } }
        h1 { "Public record" }
        p.lead { "Choose what everybody may read of this case, read it as it will be, and publish it under the advisory. Nothing is public before." }
        @if let Some(url) = &view.published { div.notice { p { "The record is public: " a href=(url) { (url) } } } }
        @if view.published.is_none() {
            form method="post" action={ "/cases/" (view.case) "/record" } {
                (frame.token())
                @for part in &view.opens {
                    fieldset {
                        legend { (name(*part)) }
                        @let lines: Vec<_> = view.lines.iter().filter(|line| line.part == *part).collect();
                        @if lines.is_empty() { p.soft { "There is nothing." } }
                        @for line in lines { (row(line)) }
                    }
                }
                @if view.may_publish { button.primary { "Put it together" } }
            }
            @if view.may_publish && view.opens.iter().any(|part| *part != Part::Timeline) {
                p.soft { "What a reporter wrote is opened only with that reporter's agreement. They find the question on their page." }
                (frame.button(&format!("/cases/{}/record/ask", view.case), "", "Tell the reporters that there is news"))
            }
        }
        @if let Some(draft) = &view.draft { (together(view, draft, frame)) }
    };
    frame.page(&format!("Public record of {}", view.case), content)
}

fn row(line: &RecordLineView) -> Markup {
    html! {
        label.choice {
            input type="checkbox" name="line" value=(line.key) checked[line.chosen] disabled[line.barred.is_some()];
            span {
                span.soft { (moment(&line.at)) " " (line.voice) } " "
                @if let Some(barred) = &line.barred { (mark(Tone::Waiting, "not agreed")) " " span.soft { (sentence(barred)) } " " }
                span.text dir="auto" { (line.text) }
            }
        }
    }
}

fn together(view: &RecordView, draft: &RecordDraftView, frame: &Frame<'_>) -> Markup {
    html! {
        section #draft {
            h2 { "As the public will read it" }
            // Rendered and escaped by us, as it will be on the public page.
            div.card.preview { (PreEscaped(&draft.html)) }
            @if view.may_publish {
                p.small.soft { "Page and Markdown have the SHA-256 " code.hash { (draft.digest) } }
                form method="post" action={ "/cases/" (view.case) "/record/publish" } {
                    (frame.token())
                    input type="hidden" name="digest" value=(draft.digest);
                    button.danger { "Publish exactly this, for good" }
                }
            }
        }
    }
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Timeline => "Timeline",
        Part::Reports => "Reports",
        Part::Thread => "Thread",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_agreed_cannot_be_ticked_and_texts_are_escaped() {
        let line = |key: &str, barred: Option<&str>| RecordLineView {
            key: key.to_owned(),
            part: Part::Reports,
            voice: "reporter".to_owned(),
            at: "2026-03-01T12:00:00Z".to_owned(),
            text: "<b>Open</b> the file.".to_owned(),
            chosen: barred.is_none(),
            barred: barred.map(str::to_owned),
        };
        let view = RecordView {
            case: "DEMO-1".to_owned(),
            opens: vec![Part::Timeline, Part::Reports],
            lines: vec![line("report/1", None), line("report/2", Some("The reporter has not said."))],
            draft: Some(RecordDraftView {
                digest: Digest::of(b"x"),
                html: "<article>x</article>".to_owned(),
                markdown: "x".to_owned(),
            }),
            published: None,
            may_publish: true,
        };
        let text = record_page(&view, &Frame::stranger()).into_string();
        assert!(!text.contains("<b>Open") && text.contains("&lt;b&gt;Open"), "{text}");
        assert!(
            text.contains("value=\"report/1\" checked>") && text.contains("value=\"report/2\" disabled>"),
            "{text}"
        );
        assert!(text.contains("Publish exactly this"), "{text}");
        let public = RecordView {
            published: Some("https://x/advisories/D/record".to_owned()),
            may_publish: false,
            draft: None,
            ..view
        };
        assert!(!record_page(&public, &Frame::stranger()).into_string().contains("<form"));
    }
}
