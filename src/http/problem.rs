//! How a use case's failure looks from outside: JSON (RFC 9457) at the API, a page elsewhere.
//!
//! Guards: what is missing and what is hidden are the same bytes; the cause of a fault goes to the log alone, under an id
//! that the person sees. The router decides between JSON and page, never the request's headers.

use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use futures_util::FutureExt;
use maud::Markup;

use super::place::Place;
use super::web::{account, page};
use crate::app::App;
use crate::domain::id::FaultId;
use crate::domain::refusal::{Malformed, Refusal, RefusalKind};
use crate::wire::problem::Problem;
use crate::workflow::Error;

/// The faces a failure can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The JSON API.
    Api,
    /// The pages.
    Page,
}

/// A face as a type, so that a handler's return type decides how its failures look.
pub(crate) trait Face: Send + 'static {
    /// Which one it is.
    const SIDE: Side;
}

/// The JSON API.
#[derive(Debug)]
pub(crate) struct Api;

/// The pages.
#[derive(Debug)]
pub(crate) struct Page;

impl Face for Api {
    const SIDE: Side = Side::Api;
}

impl Face for Page {
    const SIDE: Side = Side::Page;
}

/// A failure at a face.
#[derive(Debug)]
pub(crate) struct Failure<F>(Error, PhantomData<F>);

/// A failure at the API.
pub(crate) type ApiError = Failure<Api>;
/// A failure at a page.
pub(crate) type PageError = Failure<Page>;

/// A sign-in that a page asks for; rides on the response that [`faults`] completes.
#[derive(Clone, Copy)]
enum Detour {
    /// Nobody is signed in.
    First,
    /// The sign-in is too long ago.
    Again,
}

/// A fault of ours on its way to the log; rides on the response that [`faults`] completes.
#[derive(Clone)]
struct Fault {
    side: Side,
    source: Arc<dyn std::error::Error + Send + Sync>,
}

impl<F> From<Error> for Failure<F> {
    fn from(error: Error) -> Self {
        Self(error, PhantomData)
    }
}

impl<F> From<crate::store::Error> for Failure<F> {
    fn from(error: crate::store::Error) -> Self {
        Error::from(error).into()
    }
}

impl<F> From<Refusal> for Failure<F> {
    fn from(refusal: Refusal) -> Self {
        Error::from(refusal).into()
    }
}

impl<F> From<Malformed> for Failure<F> {
    fn from(malformed: Malformed) -> Self {
        Error::from(malformed).into()
    }
}

impl<F: Face> IntoResponse for Failure<F> {
    fn into_response(self) -> Response {
        let Self(error, _) = self;
        if matches!((&error, F::SIDE), (Error::Unauthenticated, Side::Page)) {
            let mut response = Redirect::to("/sign-in").into_response();
            response.extensions_mut().insert(Detour::First);
            return response;
        }
        let mut response = shown(F::SIDE, &described(&error));
        if matches!((&error, F::SIDE), (Error::Refused(refusal), Side::Page) if refusal.kind() == RefusalKind::Fresh) {
            response.extensions_mut().insert(Detour::Again);
        }
        match error {
            Error::Unauthenticated => {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Error::Unavailable { source, .. } => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
                if let Some(source) = source {
                    tracing::warn!(cause = chain(source.as_ref()), "a part outside is unavailable");
                }
            }
            Error::Internal(source) => {
                response.extensions_mut().insert(Fault { side: F::SIDE, source: Arc::from(source) });
            }
            Error::Refused(refusal) => {
                if let RefusalKind::Often(seconds) = refusal.kind() {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
            }
            Error::NotFound | Error::Blocked(_) | Error::Conflict => {}
        }
        response
    }
}

/// Answers a refusal by the page it came from, with what was filled in, in place of a page that only says so.
pub(super) fn refused_on(page: impl FnOnce(&str) -> Markup, refusal: Refusal) -> Response {
    let page = page(&refusal.to_string());
    let mut response = PageError::from(refusal).into_response();
    *response.body_mut() = page.into_string().into();
    response
}

/// Gives every fault an id, logs its cause under that id, and shows the id. A panic in a handler is a fault too. A sign-in
/// that was asked for leads back to the page that asked.
pub(super) async fn faults(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let side = side_of(request.uri().path());
    let place = Place::of(request.uri().path());
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let (response, fault) = match answered {
        Ok(mut response) => match response.extensions_mut().remove::<Fault>() {
            None => return led_back(&app, place, response),
            Some(fault) => (Some(response), fault),
        },
        // What it was stands in the log already, with its place.
        Err(_) => (None, Fault { side, source: Arc::new(Panicked) }),
    };
    let id: FaultId = app.mint();
    tracing::error!(fault = %id, cause = chain(fault.source.as_ref()), "fault {id} while answering a request");
    drop(response);
    let error = Error::Internal(Box::new(Panicked));
    let problem = Problem { incident: Some(id.to_string()), ..described(&error) };
    shown(fault.side, &problem)
}

/// Remembers the page that asked for a sign-in, and shows how to sign in again where one is not enough.
fn led_back(app: &App, place: Option<Place>, mut response: Response) -> Response {
    let Some(detour) = response.extensions_mut().remove::<Detour>() else { return response };
    let base = &app.config.base_url;
    if matches!(detour, Detour::Again) {
        response = (response.status(), account::again_page(base, place.as_ref())).into_response();
    }
    if let Some(place) = place {
        response.headers_mut().append(header::SET_COOKIE, place.kept(base));
    }
    response
}

/// Answers requests that no route takes, in the same bytes as for something hidden.
pub(super) async fn nothing_here(request: Request) -> Response {
    match side_of(request.uri().path()) {
        Side::Api => ApiError::from(Error::NotFound).into_response(),
        Side::Page => PageError::from(Error::NotFound).into_response(),
    }
}

/// Describes the failure for the person who met it.
fn described(error: &Error) -> Problem {
    let (status, word, title) = match error {
        Error::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
        Error::Unauthenticated => (StatusCode::UNAUTHORIZED, "sign-in", "Not signed in"),
        Error::Refused(refusal) => match refusal.kind() {
            RefusalKind::Person => (StatusCode::FORBIDDEN, "refused", "Not allowed"),
            RefusalKind::Moment => (StatusCode::CONFLICT, "not-now", "Not now"),
            RefusalKind::Input => (StatusCode::UNPROCESSABLE_ENTITY, "input", "Not right as it is"),
            RefusalKind::Fresh => (StatusCode::FORBIDDEN, "fresh-sign-in", "Sign in again"),
            RefusalKind::Often(_) => (StatusCode::TOO_MANY_REQUESTS, "too-often", "Too often"),
        },
        Error::Blocked(_) => (StatusCode::CONFLICT, "blocked", "Something stands in the way"),
        Error::Conflict => (StatusCode::CONFLICT, "conflict", "Changed meanwhile"),
        Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available right now"),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "fault", "A fault of ours"),
    };
    let blockers = match error {
        Error::Blocked(blockers) => blockers.clone(),
        Error::NotFound
        | Error::Unauthenticated
        | Error::Refused(_)
        | Error::Conflict
        | Error::Unavailable { .. }
        | Error::Internal(_) => Vec::new(),
    };
    Problem {
        kind: format!("urn:embargo:problem:{word}"),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: Some(error.to_string()),
        blockers,
        incident: None,
    }
}

fn shown(side: Side, problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match side {
        Side::Api => {
            let body = serde_json::to_vec(problem).unwrap_or_default();
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
        }
        Side::Page => (status, page::problem_page(problem)).into_response(),
    }
}

fn side_of(path: &str) -> Side {
    if path.starts_with("/api/") { Side::Api } else { Side::Page }
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct Panicked;

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(error: Error) -> u16 {
        ApiError::from(error).into_response().status().as_u16()
    }

    #[test]
    fn every_failure_has_its_status() {
        assert_eq!(status(Error::NotFound), 404);
        assert_eq!(status(Error::Unauthenticated), 401);
        assert_eq!(status(Refusal::person("No.").into()), 403);
        assert_eq!(status(Refusal::fresh().into()), 403);
        assert_eq!(status(Refusal::moment("No.").into()), 409);
        assert_eq!(status(Refusal::input("No.").into()), 422);
        assert_eq!(status(Refusal::often("No", jiff::SignedDuration::from_secs(7)).into()), 429);
        assert_eq!(status(Error::Blocked(vec!["A check is red.".into()])), 409);
        assert_eq!(status(Error::Conflict), 409);
        assert_eq!(status(Error::Unavailable { sentence: "Later.".into(), source: None }), 503);
        assert_eq!(status(Error::Internal(Box::new(Panicked))), 500);
    }

    #[test]
    fn a_page_sends_strangers_to_the_sign_in() {
        let response = PageError::from(Error::Unauthenticated).into_response();
        assert_eq!(response.status(), 303);
        assert_eq!(response.headers()[header::LOCATION], "/sign-in");
    }

    #[test]
    fn the_cause_of_a_fault_is_not_shown() {
        let problem = described(&Error::Internal(Box::new(std::io::Error::other("secret"))));
        assert!(!serde_json::to_string(&problem).unwrap().contains("secret"));
    }
}
