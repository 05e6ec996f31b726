//! The public record of a case, as JSON.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::Json;
use crate::app::App;
use crate::domain::id::CaseId;
use crate::http::caller::{Client, Named};
use crate::http::problem::{Api, ApiError};
use crate::wire::record::{ChooseRecord, PublishRecord, RecordView};
use crate::workflow::record;

type Result<T> = std::result::Result<T, ApiError>;
type CaseName = Named<CaseId, Api>;

/// Returns the routes of public records.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/cases/{case}/record", get(show).post(choose))
        .route("/cases/{case}/record/publish", post(publish))
        .route("/cases/{case}/record/ask", post(ask))
}

async fn show(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<Json<RecordView>> {
    Ok(Json(record::show(&app, &client.actor, &id.0).await?))
}

async fn choose(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(wish): Json<ChooseRecord>,
) -> Result<Json<RecordView>> {
    record::choose(&app, &client.actor, &id.0, &wish).await?;
    Ok(Json(record::show(&app, &client.actor, &id.0).await?))
}

async fn publish(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(wish): Json<PublishRecord>,
) -> Result<Json<RecordView>> {
    record::publish(&app, &client.actor, &id.0, &wish.digest).await?;
    Ok(Json(record::show(&app, &client.actor, &id.0).await?))
}

async fn ask(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<StatusCode> {
    record::ask(&app, &client.actor, &id.0).await?;
    Ok(StatusCode::NO_CONTENT)
}
