//! Projects, as JSON.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::Json;
use crate::app::App;
use crate::domain::id::ProjectId;
use crate::http::caller::{Client, Named};
use crate::http::problem::{Api, ApiError};
use crate::wire::project::ProjectView;
use crate::workflow::project;

type Result<T> = std::result::Result<T, ApiError>;

/// Returns the routes of projects.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/projects", get(list))
        .route("/projects/{project}", get(show))
        .route("/projects/{project}/mirror", post(mirror))
}

async fn list(State(app): State<Arc<App>>, client: Client) -> Result<Json<Vec<String>>> {
    let found = project::list(&app, &client.actor).await?;
    Ok(Json(found.into_iter().map(|project| project.id.to_string()).collect()))
}

async fn show(State(app): State<Arc<App>>, client: Client, id: Named<ProjectId, Api>) -> Result<Json<ProjectView>> {
    Ok(Json(project::show(&app, &client.actor, &id.0).await?))
}

async fn mirror(State(app): State<Arc<App>>, client: Client, id: Named<ProjectId, Api>) -> Result<StatusCode> {
    project::mirror_now(&app, &client.actor, &id.0).await?;
    Ok(StatusCode::ACCEPTED)
}
