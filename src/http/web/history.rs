//! The public history of an advisory: what was changed when and why, and each revision as it was.
//!
//! Guards: the same to everyone; an old revision says that it is old before anything else, and shows its stored bytes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, PreEscaped, html};

use super::Result;
use super::page::Frame;
use super::piece::{exact_time, foreign};
use crate::app::App;
use crate::domain::plain::AdvisoryId;
use crate::domain::revision::RevisionKind;
use crate::http::caller::Named;
use crate::http::problem::Page;
use crate::wire::history::{HistoryView, RevisionView};
use crate::workflow::{Error, history};

/// Returns the routes of public histories.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/advisories/{name}/history", get(list))
        .route("/advisories/{name}/history/{number}", get(revision))
        .route("/advisories/{name}/history/{number}/{file}", get(file))
}

async fn list(State(app): State<Arc<App>>, id: Named<AdvisoryId, Page>) -> Result<Markup> {
    Ok(list_page(&history::show(&app, &id.0).await?))
}

async fn revision(State(app): State<Arc<App>>, which: Named<(AdvisoryId, u32), Page>) -> Result<Markup> {
    let (id, number) = &which.0;
    let found = history::page(&app, id, *number).await?;
    let known = history::show(&app, id).await?;
    let this = known.revisions.iter().find(|revision| revision.number == *number).ok_or(Error::NotFound)?;
    Ok(revision_page(&known, this, &String::from_utf8_lossy(&found.body)))
}

async fn file(State(app): State<Arc<App>>, which: Named<(AdvisoryId, u32, String), Page>) -> Result<Response> {
    let (id, number, name) = &which.0;
    let found = history::file(&app, id, *number, name).await?;
    let media_type = &found.document.media_type;
    let media_type = HeaderValue::from_str(media_type).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(([(header::CONTENT_TYPE, media_type)], found.body).into_response())
}

/// Names what a revision did.
fn done(kind: RevisionKind) -> &'static str {
    match kind {
        RevisionKind::Published => "Published",
        RevisionKind::Details => "Details added",
        RevisionKind::Corrected => "Corrected",
        RevisionKind::Withdrawn => "Withdrawn",
        RevisionKind::Reinstated => "Reinstated",
    }
}

fn list_page(history: &HistoryView) -> Markup {
    let content = html! {
        p.eyebrow { a href={ "/advisories/" (history.id) } { (history.id) } }
        h1 { "History" }
        p.lead { "Everything this advisory ever said in public. Nothing is changed without a revision." }
        table.stack {
            thead { tr { th scope="col" { "Revision" } th scope="col" { "When" } th scope="col" { "What" } th scope="col" { "Why" } th scope="col" { "As it was" } } }
            tbody {
                @for revision in history.revisions.iter().rev() {
                    tr {
                        th scope="row" { (revision.number) }
                        td data-label="When" { (exact_time(&revision.at)) }
                        td data-label="What" { (done(revision.kind)) }
                        td data-label="Why" { @if let Some(why) = &revision.why { (foreign(why)) } }
                        td data-label="As it was" {
                            a href=(revision.page) { "page" }
                            @for file in &revision.files { " · " a href=(file.url) { (file.name) } }
                        }
                    }
                }
            }
        }
    };
    Frame::stranger().page(&format!("History of {}", history.id), content)
}

fn revision_page(history: &HistoryView, this: &RevisionView, body: &str) -> Markup {
    let newest = history.revisions.last().map_or(this.number, |newest| newest.number);
    let content = html! {
        p.eyebrow { a href={ "/advisories/" (history.id) "/history" } { "History of " (history.id) } }
        div.notice.waiting role="note" { p {
            "This is revision " (this.number) " of " (newest) ", as it was. "
            @if this.number < newest { "It no longer stands: " a href={ "/advisories/" (history.id) } { "read what does" } "." }
        } }
        // Rendered and escaped by us when it was approved; the bytes are those whose hash was.
        (PreEscaped(body))
    };
    Frame::stranger().page(&format!("{}, revision {}", history.id, this.number), content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_revision_says_so_and_a_reason_is_escaped() {
        let revision = |number, kind, why: Option<&str>| RevisionView {
            number,
            kind,
            at: "2026-03-01T12:00:00Z".to_owned(),
            why: why.map(str::to_owned),
            page: format!("/advisories/DEMO-2026-0001/history/{number}"),
            files: Vec::new(),
        };
        let revisions = vec![
            revision(1, RevisionKind::Published, None),
            revision(2, RevisionKind::Corrected, Some("Not <b>1.2</b> but 1.3.")),
        ];
        let history = HistoryView { id: "DEMO-2026-0001".to_owned(), revisions };
        let list = list_page(&history).into_string();
        assert!(list.contains("Not &lt;b&gt;1.2&lt;/b&gt; but 1.3.") && list.contains("Corrected"), "{list}");
        let old = revision_page(&history, &history.revisions[0], "<article>x</article>").into_string();
        assert!(old.contains("It no longer stands") && old.contains("<article>x</article>"), "{old}");
        let new = revision_page(&history, &history.revisions[1], "").into_string();
        assert!(!new.contains("It no longer stands"), "{new}");
    }
}
