//! The page of a check run, and its log as it grows.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::{Stream, StreamExt, stream};
use maud::Markup;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Nothing, Result, frame_of};
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::check::CheckState;
use crate::domain::id::{CheckJobId, CheckRunId};
use crate::http::Stopping;
use crate::http::caller::{Form, Member, Named};
use crate::http::problem::Page;
use crate::wire::check::{LogView, RunView};
use crate::workflow::check;

pub(crate) mod page;

/// Returns the routes of checks.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/checks/{run}", get(show))
        .route("/checks/{run}/cancel", post(cancel))
        .route("/checks/{run}/jobs/{job}/events", get(events))
}

#[derive(Deserialize)]
struct Asked {
    job: Option<CheckJobId>,
    #[serde(default)]
    from: i64,
}

/// Where a watcher of a log stands.
struct Watch {
    app: Arc<App>,
    actor: Actor,
    run: CheckRunId,
    job: CheckJobId,
    from: i64,
    news: Receiver<CheckRunId>,
    stopping: Stopping,
    /// Whether the log ended with what was sent last.
    over: bool,
}

async fn show(
    State(app): State<Arc<App>>,
    member: Member,
    run: Named<CheckRunId, Page>,
    Query(asked): Query<Asked>,
) -> Result<Markup> {
    let view = check::show(&app, &member.actor, run.0).await?;
    let frame = frame_of(&app, &member);
    let Some(job) = asked.job.or_else(|| telling(&view)) else { return Ok(page::check_page(&view, None, &frame)) };
    let from = asked.from.max(0);
    let log = check::log(&app, &member.actor, run.0, job, from).await?;
    Ok(page::check_page(&view, Some(&page::LogPart::new(&job.to_string(), from, log)), &frame))
}

async fn cancel(
    State(app): State<Arc<App>>,
    run: Named<CheckRunId, Page>,
    form: Form<Member, Nothing>,
) -> Result<Redirect> {
    check::cancel(&app, &form.by.actor, run.0).await?;
    Ok(Redirect::to(&format!("/checks/{}", run.0)))
}

async fn events(
    State(app): State<Arc<App>>,
    member: Member,
    of: Named<(CheckRunId, CheckJobId), Page>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    Extension(stopping): Extension<Stopping>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    // A browser that lost the connection names the last line it has.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
    let (run, job) = of.0;
    let news = app.check_news.subscribe();
    check::show(&app, &member.actor, run).await?;
    let from = last.unwrap_or(asked.from).max(0);
    Ok(watch(Watch { app, actor: member.actor, run, job, from, news, stopping, over: false }))
}

/// Streams the lines of a log as they are stored. Each piece is admitted anew, so the stream ends with the seat.
fn watch(start: Watch) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let pieces = stream::unfold((start, true), async |(mut watch, first)| {
        if watch.over || (!first && !watch.wait().await) {
            return None;
        }
        let log = check::log(&watch.app, &watch.actor, watch.run, watch.job, watch.from).await.ok()?;
        watch.from = log.next;
        watch.over = log.ended && log.lines.is_empty();
        let events = watch.events(log);
        Some((stream::iter(events), (watch, false)))
    });
    Sse::new(pieces.flatten()).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

impl Watch {
    /// Waits until the run has news; false when there will be none.
    async fn wait(&mut self) -> bool {
        loop {
            let heard = tokio::select! {
                () = self.stopping.0.cancelled() => return false,
                heard = self.news.recv() => heard,
                // An ended log brings no news: what is left of it is read at once.
                () = tokio::time::sleep(Duration::from_secs(2)) => return true,
            };
            match heard {
                Ok(of) if of == self.run => return true,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return true,
                Err(RecvError::Closed) => return false,
            }
        }
    }

    fn events(&self, log: LogView) -> Vec<Result<Event, Infallible>> {
        let line = |n: i64, text: &str| {
            Event::default().event("line").id((n + 1).to_string()).json_data(crate::domain::text::shown(text)).ok()
        };
        let mut events: Vec<_> = log.lines.iter().filter_map(|shown| line(shown.n, &shown.text)).map(Ok).collect();
        if self.over {
            events.push(Ok(Event::default().event("end").data("")));
        }
        events
    }
}

/// Chooses the job whose log tells most: one that runs, one that failed, the first that began.
fn telling(view: &RunView) -> Option<CheckJobId> {
    let in_state = |wanted: &dyn Fn(CheckState) -> bool| {
        view.jobs.iter().find(|job| job.state.parse::<CheckState>().is_ok_and(wanted))
    };
    let running = || in_state(&|state| matches!(state, CheckState::Running | CheckState::Cancelling));
    let red = || in_state(&CheckState::red);
    let begun = || view.jobs.iter().find(|job| job.started_at.is_some());
    running().or_else(red).or_else(begun)?.id.parse().ok()
}
