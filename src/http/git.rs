//! The git door: smart HTTP at `/<CASE>/<repository>` and `/<RELEASE>/<repository>`, with or without `.git`.
//!
//! Guards: 401 to everyone who has shown no token, the same 404 for unknown and forbidden after that, streams both ways.
//! Leaves who may to `workflow::remote`, packs to `git::serve`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::TryStreamExt;
use serde::Deserialize;

use super::caller::GitCaller;
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::refusal::Refusal;
use crate::git::serve::{self, Encoding, Hooks, Protocol, Served, Service};
use crate::workflow::remote::{self, Admitted, Stage};
use crate::workflow::{self, Error};

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

/// Who comes to which repository; the answer to who has shown no token comes before the address is looked at.
struct Addressed {
    app: Arc<App>,
    actor: Actor,
    address: (String, String),
}

impl FromRequestParts<Arc<App>> for Addressed {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        let GitCaller(actor) = GitCaller::from_request_parts(parts, app).await?;
        let address = Path::from_request_parts(parts, app).await;
        let Path(address) = address.map_err(|_| nothing())?;
        Ok(Self { app: Arc::clone(app), actor, address })
    }
}

impl Addressed {
    async fn admit(&self, service: Service, stage: Stage) -> workflow::Result<Admitted> {
        let (owner, name) = &self.address;
        let name = name.strip_suffix(".git").unwrap_or(name);
        let (Ok(owner), Ok(name)) = (owner.parse(), name.parse()) else { return Err(Error::NotFound) };
        remote::admit(&self.app, &self.actor, (&owner, &name), service, stage).await
    }
}

async fn advertise(to: Addressed, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    // Without a service a client speaks the dumb protocol, which is not spoken here.
    let Some(service) = asked.service.as_deref().and_then(Service::from_parameter) else { return nothing() };
    let served = async {
        let admitted = to.admit(service, Stage::Asks).await?;
        Ok(to.app.git.advertise(&admitted.repo, service, protocol(&headers)).await?)
    };
    answer(served.await)
}

async fn fetch(to: Addressed, request: Request<Body>) -> Response {
    let served = async {
        let admitted = to.admit(Service::UploadPack, Stage::Begins).await?;
        Ok(to.app.git.serve_fetch(&admitted.repo, parts(request)?, ()).await?)
    };
    answer(served.await)
}

async fn push(to: Addressed, request: Request<Body>) -> Response {
    let served = async {
        let admitted = to.admit(Service::ReceivePack, Stage::Begins).await?;
        let Some(ticket) = admitted.ticket else { return Err(Error::NotFound) };
        let app = &to.app;
        let hooks =
            Hooks { binary: app.binary.clone(), socket: app.config.hook_socket(), ticket: ticket.word().clone() };
        Ok(app.git.serve_push(&admitted.repo, parts(request)?, hooks, ticket).await?)
    };
    answer(served.await)
}

fn protocol(headers: &HeaderMap) -> Protocol {
    Protocol::from_header(text(headers, "git-protocol"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Takes a request apart for `git::serve`; refuses an encoding that git does not send.
fn parts(
    request: Request<Body>,
) -> workflow::Result<serve::Request<impl futures_util::Stream<Item = std::io::Result<bytes::Bytes>> + Send + 'static>>
{
    let (parts, body) = request.into_parts();
    let encoding = Encoding::from_header(text(&parts.headers, "content-encoding"));
    Ok(serve::Request {
        protocol: protocol(&parts.headers),
        content_type: text(&parts.headers, "content-type").unwrap_or_default().to_owned(),
        encoding: encoding
            .ok_or_else(|| Refusal::input("This content encoding is not read here: git sends plain or gzip."))?,
        body: body.into_data_stream().map_err(std::io::Error::other),
    })
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
