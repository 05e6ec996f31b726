//! Drafts of advisories and waivers, as JSON.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use serde::Deserialize;

use super::Json;
use crate::app::App;
use crate::domain::id::CaseId;
use crate::domain::plain::AdvisoryId;
use crate::http::caller::{Client, Named};
use crate::http::problem::{Api, ApiError};
use crate::wire::advisory::{
    AdvisoryView, ApproveAdvisory, DocumentView, EditAdvisory, Format, PublishedView, Stage, WaiveChecks,
};
use crate::wire::amendment::{AmendRequest, RetellRequest};
use crate::wire::details::MoveDetails;
use crate::wire::history::HistoryView;
use crate::workflow::{advisory, amendment, details, history, publication, release};

type Result<T> = std::result::Result<T, ApiError>;
type CaseName = Named<CaseId, Api>;

#[derive(Deserialize)]
struct Wanted {
    format: String,
    stage: Option<String>,
}

/// Returns the routes of advisories.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/advisories", get(list))
        .route("/advisories/{name}/history", get(history))
        .route("/cases/{case}/advisory", get(show).put(edit))
        .route("/cases/{case}/advisory/preview", get(preview))
        .route("/cases/{case}/advisory/approve", post(approve))
        .route("/cases/{case}/advisory/amend", post(amend))
        .route("/cases/{case}/advisory/drop", post(drop))
        .route("/cases/{case}/advisory/retell", post(retell))
        .route("/cases/{case}/advisory/details", post(move_details))
        .route("/cases/{case}/waive", post(waive))
}

async fn list(State(app): State<Arc<App>>) -> Result<Json<Vec<PublishedView>>> {
    Ok(Json(publication::published(&app).await?))
}

async fn history(State(app): State<Arc<App>>, id: Named<AdvisoryId, Api>) -> Result<Json<HistoryView>> {
    Ok(Json(history::show(&app, &id.0).await?))
}

async fn show(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<Json<AdvisoryView>> {
    Ok(Json(advisory::show(&app, &client.actor, &id.0).await?))
}

async fn edit(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(wish): Json<EditAdvisory>,
) -> Result<Json<AdvisoryView>> {
    advisory::edit(&app, &client.actor, &id.0, &wish).await?;
    Ok(Json(advisory::show(&app, &client.actor, &id.0).await?))
}

async fn preview(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Query(wanted): Query<Wanted>,
) -> Result<Json<DocumentView>> {
    let format: Format = wanted.format.parse()?;
    let stage = wanted.stage.as_deref().map_or(Ok(Stage::First), str::parse)?;
    Ok(Json(advisory::preview(&app, &client.actor, &id.0, (format, stage)).await?))
}

async fn approve(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(wish): Json<ApproveAdvisory>,
) -> Result<Json<AdvisoryView>> {
    advisory::approve(&app, &client.actor, &id.0, &wish.digest).await?;
    Ok(Json(advisory::show(&app, &client.actor, &id.0).await?))
}

async fn amend(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(wish): Json<AmendRequest>,
) -> Result<Json<AdvisoryView>> {
    amendment::amend(&app, &client.actor, &id.0, &wish).await?;
    Ok(Json(advisory::show(&app, &client.actor, &id.0).await?))
}

async fn drop(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<Json<AdvisoryView>> {
    amendment::drop(&app, &client.actor, &id.0).await?;
    Ok(Json(advisory::show(&app, &client.actor, &id.0).await?))
}

async fn retell(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(wish): Json<RetellRequest>,
) -> Result<Json<AdvisoryView>> {
    amendment::retell(&app, &client.actor, &id.0, &wish.channel).await?;
    Ok(Json(advisory::show(&app, &client.actor, &id.0).await?))
}

async fn move_details(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(wish): Json<MoveDetails>,
) -> Result<Json<AdvisoryView>> {
    details::put_off(&app, &client.actor, &id.0, &wish).await?;
    Ok(Json(advisory::show(&app, &client.actor, &id.0).await?))
}

async fn waive(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(wish): Json<WaiveChecks>,
) -> Result<Json<()>> {
    release::waive_checks(&app, &client.actor, &id.0, &wish.line, &wish.head).await?;
    Ok(Json(()))
}
