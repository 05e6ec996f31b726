//! What everybody may read: the list of advisories, their pages and files, the feed, security.txt.
//!
//! Guards: a page shows the stored bytes within the frame and nothing else of the case; the same to everyone, no cookie is
//! looked at. Leaves what is published to the release.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, PreEscaped, html};

use super::page::Frame;
use super::piece::{exact_time, foreign};
use crate::app::App;
use crate::domain::manifest::DocumentPath;
use crate::domain::plain::AdvisoryId;
use crate::http::caller::Named;
use crate::http::problem::{Page, PageError};
use crate::wire::advisory::{ContactView, PlannedView, PublishedView};
use crate::workflow::{Error, publication, record, signers};

type Result<T> = std::result::Result<T, PageError>;

/// What was published stays as it is; a correction is seen within a minute.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// Returns the routes of what is public.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/advisories", get(list))
        .route("/advisories/{name}", get(advisory))
        .route("/advisories.atom", get(feed))
        .route("/osv/{file}", get(osv))
        .route("/.well-known/security.txt", get(security_txt))
}

async fn list(State(app): State<Arc<App>>) -> Result<Markup> {
    let advisories = publication::published(&app).await?;
    let planned = publication::planned(&app).await?;
    Ok(list_page(&advisories, &planned, &publication::contacts(&app)))
}

/// Serves the page of an advisory, or one of its files under `<id>.md`, `<id>.sha256` and `<id>.sha256.sig`; or who signs these.
async fn advisory(State(app): State<Arc<App>>, name: Named<String, Page>) -> Result<Response> {
    if name.0 == "allowed_signers" {
        let text = signers::allowed(&app).await?;
        return Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response());
    }
    let is_file = |end: &str| name.0.strip_suffix(end).is_some_and(|id| id.parse::<AdvisoryId>().is_ok());
    if [".md", ".sha256", ".sha256.sig"].into_iter().any(is_file) {
        return file(&app, &format!("advisories/{}", name.0)).await;
    }
    // Whatever is no id names no advisory.
    let id: AdvisoryId = name.0.parse().map_err(|_| Error::NotFound)?;
    let found = publication::page(&app, &id).await?;
    let body = String::from_utf8_lossy(&found.body);
    let record = record::is_there(&app, &id).await?.then_some("record");
    let more: Vec<_> = (found.revision > 1).then_some("history").into_iter().chain(record).collect();
    let files = publication::beside(&app, &id).await?;
    Ok(([(header::CACHE_CONTROL, KEPT)], advisory_page(&id, &body, (&files, &more))).into_response())
}

async fn osv(State(app): State<Arc<App>>, name: Named<String, Page>) -> Result<Response> {
    file(&app, &format!("osv/{}", name.0)).await
}

async fn feed(State(app): State<Arc<App>>) -> Result<Response> {
    let bytes = publication::atom(&app).await?;
    Ok(([(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")], bytes).into_response())
}

async fn security_txt(State(app): State<Arc<App>>) -> Result<Response> {
    let text = publication::security_txt(&app)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

async fn file(app: &App, path: &str) -> Result<Response> {
    // A path of another form names nothing that was ever published.
    let path: DocumentPath = path.parse().map_err(|_| Error::NotFound)?;
    let found = publication::file(app, &path).await?;
    let media_type = HeaderValue::from_str(&found.media_type).map_err(|error| Error::Internal(Box::new(error)))?;
    Ok(([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, KEPT)], found.body).into_response())
}

fn list_page(advisories: &[PublishedView], planned: &[PlannedView], contacts: &[ContactView]) -> Markup {
    let content = html! {
        h1 { "Security advisories" }
        @if !planned.is_empty() {
            section.card #planned {
                h2 { "Planned" }
                @for release in planned {
                    p {
                        "A security release of " strong { (foreign(&release.project)) } " is planned for " (exact_time(&release.due_at)) "."
                        @if let Some(severity) = &release.severity { " The highest severity: " strong { (severity) } "." }
                    }
                }
                p.soft { "What it mends is public then, and nothing is said before." }
            }
        }
        @if advisories.is_empty() {
            p { "Nothing has been published yet." }
        } @else {
            table.stack {
                thead { tr {
                    th scope="col" { "Advisory" } th scope="col" { "Title" } th scope="col" { "Project" } th scope="col" { "Published" }
                } }
                tbody {
                    @for advisory in advisories {
                        tr {
                            th scope="row" { a href={ "/advisories/" (advisory.id) } { (advisory.id) } }
                            td data-label="Title" { @if advisory.withdrawn { strong { "Withdrawn: " } } (foreign(&advisory.title)) }
                            td data-label="Project" { (advisory.project) }
                            td data-label="Published" { (exact_time(&advisory.published_at)) }
                        }
                    }
                }
            }
        }
        p { a href="/advisories.atom" { "Feed of advisories" } }
        section #policy {
            h2 { "How vulnerabilities are handled here" }
            p {
                "Report in secret, without an account. A person answers within seven days. The fix is made in private, and "
                "fix and advisory become public together, on a date agreed with you; you are credited as you wish."
            }
            ul {
                @for contact in contacts {
                    li {
                        (contact.name) ": " a href=(contact.form) { "report a vulnerability" }
                        @if contact.embargo_days > 0 { ", made public after " (contact.embargo_days) " days unless another date is agreed" }
                    }
                }
            }
        }
    };
    Frame::stranger().page("Security advisories", content)
}

/// Renders an advisory's page; `files` are those beside it, and `more` names what else is public of it: `history`, `record`.
fn advisory_page(id: &AdvisoryId, body: &str, (files, more): (&[DocumentPath], &[&str])) -> Markup {
    let content = html! {
        // Rendered and escaped by us when it was approved; the bytes are those whose hash was.
        (PreEscaped(body))
        p {
            @for file in files { a href={ "/" (file) } { (said(file)) } " · " }
            @if more.contains(&"history") { a href={ "/advisories/" (id) "/history" } { "What was changed, and why" } " · " }
            @if more.contains(&"record") { a href={ "/advisories/" (id) "/record" } { "Record of the case" } " · " }
            a href="/advisories" { "All advisories" }
        }
    };
    Frame::stranger().page(id.as_str(), content)
}

/// Says what a file beside the page is.
fn said(file: &DocumentPath) -> &str {
    let path = file.as_str();
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("md") => "This advisory as Markdown",
        Some("json") => "as OSV",
        Some("sha256") => "hashes of these files",
        Some("sig") => "signature of the hashes",
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_escaped_and_stored_bodies_are_not() {
        let listed = PublishedView {
            id: "DEMO-2026-0001".to_owned(),
            project: "Demo".to_owned(),
            title: "Flaw in <demo>".to_owned(),
            published_at: "2026-03-01T12:00:00Z".to_owned(),
            modified_at: "2026-03-01T12:00:00Z".to_owned(),
            withdrawn: true,
        };
        let text = list_page(&[listed], &[], &[]).into_string();
        assert!(text.contains("Flaw in &lt;demo&gt;") && text.contains("/advisories/DEMO-2026-0001"), "{text}");
        let page = advisory_page(&"DEMO-2026-0001".parse().unwrap(), "<article>x</article>", (&[], &[])).into_string();
        assert!(page.contains("<article>x</article>") && !page.contains("/history"), "{page}");
        assert!(text.contains("Withdrawn: "), "{text}");
        let files =
            ["advisories/DEMO-2026-0001.md", "osv/x_DEMO-2026-0001.json", "advisories/DEMO-2026-0001.sha256.sig"];
        let files = files.map(|path| path.parse().unwrap());
        let more = ["history", "record"];
        let page = advisory_page(&"DEMO-2026-0001".parse().unwrap(), "", (&files, &more)).into_string();
        assert!(page.contains("href=\"/advisories/DEMO-2026-0001.sha256.sig\">signature of the hashes"), "{page}");
        assert!(page.contains("href=\"/osv/x_DEMO-2026-0001.json\">as OSV"), "{page}");
        assert!(page.contains("/advisories/DEMO-2026-0001/history") && page.contains("/record"), "{page}");
    }
}
