//! What everybody may read: the list of advisories, each one's page and files, the feed. Nobody is asked who they are.
//!
//! Guards: a file is served byte for byte as it was frozen, under the media type that was frozen with it. What is not
//! public is not found, in the same bytes as what does not exist.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, PreEscaped, html};

use super::page::page;
use crate::app::App;
use crate::domain::manifest::DocumentPath;
use crate::domain::plain::AdvisoryId;
use crate::http::problem::PageError;
use crate::workflow::{Error, advisory};

type Result<T, E = PageError> = std::result::Result<T, E>;

/// Public pages may be kept for a minute, so that a new advisory is seen at once.
const FRESH: &str = "public, max-age=60";

/// Returns the routes of the public pages.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/advisories", get(list))
        .route("/advisories.atom", get(feed))
        .route("/advisories/{name}", get(show))
        .route("/osv/{name}", get(osv))
}

async fn list(State(app): State<Arc<App>>) -> Result<impl IntoResponse> {
    let published = advisory::published(&app).await?;
    let content = html! {
        h1 { "Security advisories" }
        @if published.is_empty() { p { "Nothing has been published here yet." } }
        ul.advisories {
            @for advisory in &published {
                li {
                    a href={ "/advisories/" (advisory.id) } { (advisory.title) }
                    " " small { (advisory.id) ", " (advisory.project) ", " time datetime=(advisory.published_at) { (advisory.published_at) } }
                }
            }
        }
        p { a href="/advisories.atom" { "Follow them as a feed" } }
    };
    Ok((fresh(), page("Security advisories", false, content)))
}

/// Shows an advisory's page, or one of its files when the name has an ending.
async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response> {
    let Ok(id) = name.parse::<AdvisoryId>() else { return file(&app, &format!("advisories/{name}")).await };
    let path: DocumentPath = format!("advisories/{id}.html").parse().map_err(|_| Error::NotFound)?;
    let file = advisory::file(&app, &path).await?;
    let article = String::from_utf8(file.body).map_err(|error| Error::Internal(Box::new(error)))?;
    // Frozen as markup by `export`, which escaped every part of it.
    let content: Markup = html! { (PreEscaped(article)) };
    Ok((fresh(), page(id.as_str(), false, content)).into_response())
}

async fn osv(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response> {
    file(&app, &format!("osv/{name}")).await
}

async fn feed(State(app): State<Arc<App>>) -> Result<impl IntoResponse> {
    let mut headers = fresh();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/atom+xml; charset=utf-8"));
    Ok((headers, advisory::atom(&app).await?))
}

async fn file(app: &App, path: &str) -> Result<Response> {
    let path: DocumentPath = path.parse().map_err(|_| Error::NotFound)?;
    let file = advisory::file(app, &path).await?;
    let mut headers = fresh();
    let media_type = HeaderValue::from_str(&file.media_type).map_err(|error| Error::Internal(Box::new(error)))?;
    headers.insert(header::CONTENT_TYPE, media_type);
    Ok((headers, file.body).into_response())
}

fn fresh() -> HeaderMap {
    HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(FRESH))])
}
