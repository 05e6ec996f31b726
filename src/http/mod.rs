//! The public door: routes, headers on every answer, the server and its stop.
//!
//! Guards: a header that does not come is not waited for, an answer says nothing to caches and frames, and the log names
//! the route's template, never the URI. Leaves who asks to [`caller`], failures to [`problem`], pages and JSON to `web` and `api`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::crowd::Crowd;
use self::origin::Peer;
use self::pace::Paced;
use crate::app::App;

pub(crate) mod api;
pub(crate) mod caller;
mod crowd;
mod download;
mod git;
pub mod hook;
mod origin;
mod pace;
pub(crate) mod place;
pub(crate) mod problem;
pub(crate) mod web;

/// No form or JSON body is longer; routes for files and packs set bounds of their own.
const LONGEST_BODY: usize = 256 * 1024;
/// No request's head takes longer to arrive, and no idle connection is kept longer.
const HEAD: Duration = Duration::from_secs(30);
/// How long a stop waits for answers in progress.
const FAREWELL: Duration = Duration::from_secs(30);
/// Connections at once, if the process may hold twice as many descriptors: the rest is for git, files and the database.
const MOST_CONNECTIONS: usize = 1024;
/// The part of them that one address may hold.
const SHARE: usize = 8;

const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Tells streams that the server stops.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(pub(crate) CancellationToken);

/// Builds the routes of the public listener.
pub(crate) fn router(app: Arc<App>, stop: CancellationToken) -> Router {
    Router::new()
        .merge(web::routes())
        .nest("/api/v1", api::routes())
        .merge(git::routes())
        .route("/healthz", get(healthz))
        .fallback(problem::nothing_here)
        .with_state(Arc::clone(&app))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(Extension(Stopping(stop)))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), problem::faults))
        .layer(middleware::from_fn_with_state(app, headers))
        .layer(middleware::from_fn(logged))
}

/// Serves until `stop` is cancelled; then answers what was asked, for half a minute at most, and returns.
pub async fn serve(app: Arc<App>, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let router = router(Arc::clone(&app), stop.clone());
    let tracker = TaskTracker::new();
    let most = most_connections();
    let (seats, crowd) = (Arc::new(Semaphore::new(most)), Crowd::new(most.div_ceil(SHARE)));
    loop {
        let seat = Arc::clone(&seats).acquire_owned();
        let (seat, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            both = async { (seat.await, listener.accept().await) } => both,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = crowd.enter(peer.ip(), &app.config.trusted_proxies) else {
                    tracing::debug!("an address holds all the connections it may");
                    continue;
                };
                let (router, stop) = (router.clone(), stop.clone());
                tracker.spawn(async move {
                    converse((stream, Peer(peer.ip())), router, stop).await;
                    drop((seat, place));
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: the next connection comes when one is free again.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    tracker.close();
    if tokio::time::timeout(FAREWELL, tracker.wait()).await.is_err() {
        tracing::warn!(connections = tracker.len(), "stopped with answers in progress");
    }
    Ok(())
}

/// Returns how many connections are held at once: half of the descriptors the process may have, at most.
fn most_connections() -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = descriptors.map_or(MOST_CONNECTIONS, |most| usize::try_from(most / 2).unwrap_or(MOST_CONNECTIONS));
    half.clamp(1, MOST_CONNECTIONS)
}

async fn converse(from: (TcpStream, Peer), router: Router, stop: CancellationToken) {
    let (stream, peer) = from;
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        routes.call(request.map(Paced::new))
    });
    // Small answers should not wait for each other's acknowledgement.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Bytes without which nothing more can be written down.
const NEARLY_FULL: u64 = 16 * 1024 * 1024;

/// Says that the server can read, and has room to write.
async fn healthz(State(app): State<Arc<App>>) -> Result<&'static str, problem::PageError> {
    drop(app.read().await?);
    if app.disk_left() < NEARLY_FULL {
        let sentence = "The disk of the data folder is nearly full: make room.".to_owned();
        return Err(crate::workflow::Error::Unavailable { sentence, source: None }.into());
    }
    Ok("ok\n")
}

/// Puts the security headers on every answer, whoever made it. A handler may only narrow them or open a cache.
async fn headers(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(header::CACHE_CONTROL, "no-store");
    if app.config.base_url.is_https() {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000");
    }
    response
}

async fn logged(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, route) = (response.status().as_u16(), route.as_deref().unwrap_or("none"));
    tracing::info!(%method, route, status, milliseconds, "answered");
    response
}
