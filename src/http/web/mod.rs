//! The pages: rendered here, whole without script.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::app::App;

pub(crate) mod account;
mod advisory;
pub(crate) mod page;

/// Returns the routes of all pages and their assets.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .merge(account::routes())
        .merge(advisory::routes())
        .route("/assets/style.css", get(async || asset("text/css; charset=utf-8", include_str!("style.css"))))
        .route("/assets/sign-in.js", get(async || asset("text/javascript; charset=utf-8", include_str!("sign-in.js"))))
}

fn asset(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=3600")], text)
}
