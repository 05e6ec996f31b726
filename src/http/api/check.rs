//! Checks, as JSON, and their log as a stream of events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::Json;
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::id::{CaseId, CheckJobId, CheckRunId};
use crate::http::Stopping;
use crate::http::caller::{Client, Named};
use crate::http::problem::{Api, ApiError};
use crate::wire::case::RerunRequest;
use crate::wire::check::{LogView, RunView};
use crate::workflow::check;

type Result<T> = std::result::Result<T, ApiError>;

/// Returns the routes of checks.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/cases/{case}/checks", get(list).post(rerun))
        .route("/checks/{run}", get(show))
        .route("/checks/{run}/cancel", post(cancel))
        .route("/checks/{run}/jobs/{job}/log", get(log))
        .route("/checks/{run}/events", get(events))
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    from: i64,
}

async fn list(State(app): State<Arc<App>>, client: Client, case: Named<CaseId, Api>) -> Result<Json<Vec<RunView>>> {
    Ok(Json(check::list(&app, &client.actor, &case.0).await?))
}

async fn rerun(
    State(app): State<Arc<App>>,
    client: Client,
    case: Named<CaseId, Api>,
    Json(asked): Json<RerunRequest>,
) -> Result<(StatusCode, Json<RunView>)> {
    let run = check::rerun(&app, &client.actor, &case.0, &asked.line).await?;
    Ok((StatusCode::CREATED, Json(check::show(&app, &client.actor, run).await?)))
}

async fn show(State(app): State<Arc<App>>, client: Client, run: Named<CheckRunId, Api>) -> Result<Json<RunView>> {
    Ok(Json(check::show(&app, &client.actor, run.0).await?))
}

async fn cancel(State(app): State<Arc<App>>, client: Client, run: Named<CheckRunId, Api>) -> Result<StatusCode> {
    check::cancel(&app, &client.actor, run.0).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn log(
    State(app): State<Arc<App>>,
    client: Client,
    of: Named<(CheckRunId, CheckJobId), Api>,
    Query(asked): Query<From>,
) -> Result<Json<LogView>> {
    Ok(Json(check::log(&app, &client.actor, of.0.0, of.0.1, asked.from.max(0)).await?))
}

async fn events(
    State(app): State<Arc<App>>,
    client: Client,
    run: Named<CheckRunId, Api>,
    Extension(stopping): Extension<Stopping>,
) -> Result<Sse<impl Stream<Item = std::result::Result<Event, Infallible>>>> {
    check::show(&app, &client.actor, run.0).await?;
    Ok(watch(app, client.actor, run.0, stopping))
}

/// Streams the state of a run as it changes: each event is a [`RunView`] as JSON. Every event is admitted anew, so the
/// stream ends with the watcher's seat.
pub(crate) fn watch(
    app: Arc<App>,
    actor: Actor,
    run: CheckRunId,
    stopping: Stopping,
) -> Sse<impl Stream<Item = std::result::Result<Event, Infallible>>> {
    let news = app.check_news.subscribe();
    let start = Some((app, actor, news, stopping, true));
    let events = stream::unfold(start, move |state| async move {
        let (app, actor, mut news, stopping, first) = state?;
        if !first {
            loop {
                let heard = tokio::select! {
                    () = stopping.0.cancelled() => return None,
                    heard = news.recv() => heard,
                };
                match heard {
                    Ok(of) if of == run => break,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return None,
                }
            }
        }
        let view = check::show(&app, &actor, run).await.ok()?;
        let over = view.ended_at.is_some();
        let event = Event::default().event("run").json_data(&view).ok()?;
        let next = (!over).then_some((app, actor, news, stopping, false));
        Some((Ok(event), next))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
