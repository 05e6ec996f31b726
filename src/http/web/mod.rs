//! The pages: rendered here, whole without script.
//!
//! Guards: a handler extracts, asks one use case and renders. What a page looks like is a function of values in the
//! noun's `page` file, so that it can be looked at without a server.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Deserialize;

use self::page::Frame;
use crate::app::App;
use crate::http::caller::{MakesForms, Member, Visitor};
use crate::http::problem::PageError;

pub(crate) mod account;
pub(crate) mod advisory;
pub(crate) mod case;
pub(crate) mod check;
pub(crate) mod field;
mod history;
pub(crate) mod home;
pub(crate) mod page;
mod parts;
pub(crate) mod piece;
pub(crate) mod project;
pub(crate) mod public;
mod record;
pub(crate) mod release;
pub(crate) mod report;
pub(crate) mod reporter;
#[cfg(test)]
mod samples;
pub(crate) mod told;
pub(crate) mod upload;

type Result<T, E = PageError> = std::result::Result<T, E>;

/// A form that is nothing but its button.
#[derive(Deserialize)]
struct Nothing {}

/// Returns the routes of all pages and their assets.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .merge(account::routes())
        .merge(home::routes())
        .merge(project::routes())
        .merge(case::routes())
        .merge(check::routes())
        .merge(advisory::routes())
        .merge(record::routes())
        .merge(release::routes())
        .merge(report::routes())
        .merge(reporter::routes())
        .merge(told::routes())
        .merge(public::routes())
        .merge(history::routes())
        .route("/style.css", get(async || asset("text/css; charset=utf-8", include_str!("style.css"))))
        .route("/script.js", get(async || asset("text/javascript; charset=utf-8", include_str!("script.js"))))
        .route("/sign-in.js", get(async || asset("text/javascript; charset=utf-8", include_str!("sign-in.js"))))
        .route("/icon.svg", get(async || asset("image/svg+xml", include_str!("icon.svg"))))
}

/// The frame of a page for a person who is signed in.
fn frame_of<'a>(app: &App, member: &'a Member) -> Frame<'a> {
    Frame::member(member.form_token(), app.clock.now())
}

/// The frame of a page for a reporter.
fn frame_of_visit<'a>(app: &App, visitor: &'a Visitor) -> Frame<'a> {
    Frame::reporter(visitor.form_token(), app.clock.now())
}

fn asset(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=3600")], text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_page_stands_in_the_way_of_another_or_of_git() {
        // The router panics over two routes that could both answer.
        drop(super::routes().merge(crate::http::git::routes()));
    }
}
