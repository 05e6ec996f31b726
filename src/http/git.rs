//! The git door: smart HTTP at `/<CASE>/<repository>`, with or without `.git`.
//!
//! Guards: 401 to everyone who has shown no token, the same 404 for unknown and forbidden after that, streams both ways.
//! Leaves who may to `workflow::remote`, packs to `git::serve`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::TryStreamExt;
use serde::Deserialize;

use super::caller::GitCaller;
use crate::app::App;
use crate::domain::id::CaseId;
use crate::domain::repo::RepoName;
use crate::git::serve::{self, Encoding, Hooks, Protocol, Served, Service};
use crate::workflow::{self, Error, remote};

/// Returns the routes of the git door.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/{case}/{repository}/info/refs", get(advertise))
        .route("/{case}/{repository}/git-upload-pack", post(fetch))
        .route("/{case}/{repository}/git-receive-pack", post(push))
}

#[derive(Deserialize)]
struct Asked {
    service: Option<String>,
}

async fn advertise(
    State(app): State<Arc<App>>,
    GitCaller(actor): GitCaller,
    Path(address): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    // Without a service a client speaks the dumb protocol, which is not spoken here.
    let Some(service) = asked.service.as_deref().and_then(Service::from_parameter) else { return nothing() };
    let admitted = async {
        let (case, name) = address_of(&address)?;
        let admitted = remote::admit(&app, &actor, (&case, &name), service, remote::Stage::Asks).await?;
        Ok(app.git.advertise(&admitted.repo, service, protocol(&headers)).await?)
    };
    answer(admitted.await)
}

async fn fetch(
    State(app): State<Arc<App>>,
    GitCaller(actor): GitCaller,
    Path(address): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let served = async {
        let (case, name) = address_of(&address)?;
        let stage = remote::Stage::Begins;
        let admitted = remote::admit(&app, &actor, (&case, &name), Service::UploadPack, stage).await?;
        let Some(request) = parts(request) else { return Err(unreadable()) };
        Ok(app.git.serve_fetch(&admitted.repo, request, ()).await?)
    };
    answer(served.await)
}

async fn push(
    State(app): State<Arc<App>>,
    GitCaller(actor): GitCaller,
    Path(address): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let served = async {
        let (case, name) = address_of(&address)?;
        let stage = remote::Stage::Begins;
        let admitted = remote::admit(&app, &actor, (&case, &name), Service::ReceivePack, stage).await?;
        let Some(ticket) = admitted.ticket else { return Err(Error::NotFound) };
        let Some(request) = parts(request) else { return Err(unreadable()) };
        let hooks =
            Hooks { binary: app.binary.clone(), socket: app.config.hook_socket(), ticket: ticket.word().clone() };
        Ok(app.git.serve_push(&admitted.repo, request, hooks, ticket).await?)
    };
    answer(served.await)
}

fn address_of(address: &(String, String)) -> workflow::Result<(CaseId, RepoName)> {
    let name = address.1.strip_suffix(".git").unwrap_or(&address.1);
    match (address.0.parse(), name.parse()) {
        (Ok(case), Ok(name)) => Ok((case, name)),
        _ => Err(Error::NotFound),
    }
}

fn protocol(headers: &HeaderMap) -> Protocol {
    Protocol::from_header(text(headers, "git-protocol"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Takes a request apart for `git::serve`; `None` when its encoding is none that git sends.
fn parts(
    request: Request<Body>,
) -> Option<serve::Request<impl futures_util::Stream<Item = std::io::Result<bytes::Bytes>> + Send + 'static>> {
    let (parts, body) = request.into_parts();
    Some(serve::Request {
        protocol: protocol(&parts.headers),
        content_type: text(&parts.headers, "content-type").unwrap_or_default().to_owned(),
        encoding: Encoding::from_header(text(&parts.headers, "content-encoding"))?,
        body: body.into_data_stream().map_err(std::io::Error::other),
    })
}

fn unreadable() -> Error {
    crate::domain::refusal::Refusal::input("This content encoding is not read here: git sends plain or gzip.").into()
}

fn answer(served: workflow::Result<Served>) -> Response {
    match served {
        Ok(served) => {
            let status = StatusCode::from_u16(served.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let headers = [
                (header::CONTENT_TYPE, served.content_type),
                (header::CACHE_CONTROL, "no-cache, max-age=0, must-revalidate"),
            ];
            (status, headers, Body::from_stream(served.body)).into_response()
        }
        Err(Error::Refused(refusal)) => (StatusCode::FORBIDDEN, format!("{refusal}\n")).into_response(),
        Err(Error::NotFound | Error::Unauthenticated) => nothing(),
        Err(error) => super::problem::PageError::from(error).into_response(),
    }
}

/// Unknown and forbidden alike.
fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "There is nothing here, or nothing you may see.\n").into_response()
}
