//! Releases, as JSON. Every act answers with the release as it is afterwards.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::Json;
use crate::app::App;
use crate::domain::id::ReleaseId;
use crate::http::caller::{Client, Named};
use crate::http::problem::{Api, ApiError};
use crate::wire::check::RunView;
use crate::wire::details::HoldDetails;
use crate::wire::landing::SetTests;
use crate::wire::release::{
    ApproveCandidate, Arm, CheckCandidate, DropCase, GiveUp, PlanRelease, Postpone, ReleaseSummary, ReleaseView,
    SetStrategy,
};
use crate::wire::sign::{SignTag, TagToSign};
use crate::workflow::{self, candidate, channel, check, haste, landing, plan, rehearsal, release};

type Result<T> = std::result::Result<T, ApiError>;
type ReleaseName = Named<ReleaseId, Api>;

/// Returns the routes of releases.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/releases", get(list).post(plan))
        .route("/releases/{release}", get(show))
        .route("/releases/{release}/rehearse", post(rehearse))
        .route("/releases/{release}/drop", post(drop_case))
        .route("/releases/{release}/set-strategy", post(set_strategy))
        .route("/releases/{release}/hold-details", post(hold_details))
        .route("/releases/{release}/tags", get(tags))
        .route("/releases/{release}/sign", post(sign))
        .route("/releases/{release}/freeze", post(freeze))
        .route("/releases/{release}/arm", post(arm))
        .route("/releases/{release}/disclose-now", post(disclose_now))
        .route("/releases/{release}/disarm", post(disarm))
        .route("/releases/{release}/postpone", post(postpone))
        .route("/releases/{release}/reopen", post(reopen))
        .route("/releases/{release}/resume", post(resume))
        .route("/releases/{release}/give-up", post(give_up))
        .route("/releases/{release}/tests", post(tests))
        .route("/releases/{release}/abandon", post(abandon))
        .route("/releases/{release}/approve-candidate", post(approve_candidate))
        .route("/releases/{release}/checks", get(checks).post(rerun))
}

async fn list(State(app): State<Arc<App>>, client: Client) -> Result<Json<Vec<ReleaseSummary>>> {
    Ok(Json(release::list(&app, &client.actor).await?))
}

async fn plan(
    State(app): State<Arc<App>>,
    client: Client,
    Json(wish): Json<PlanRelease>,
) -> Result<(StatusCode, Json<ReleaseView>)> {
    let id = plan::plan(&app, &client.actor, &wish).await?;
    Ok((StatusCode::CREATED, Json(release::show(&app, &client.actor, &id).await?)))
}

async fn show(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<ReleaseView>> {
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn rehearse(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<ReleaseView>> {
    rehearsal::rehearse_now(&app, &client.actor, &id.0).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn tags(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<Vec<TagToSign>>> {
    Ok(Json(workflow::sign::tags(&app, &client.actor, &id.0).await?))
}

async fn sign(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<SignTag>,
) -> Result<Json<ReleaseView>> {
    workflow::sign::sign(&app, &client.actor, &id.0, &wish).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn set_strategy(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<SetStrategy>,
) -> Result<Json<ReleaseView>> {
    plan::set_strategy(&app, &client.actor, &id.0, &wish).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn hold_details(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<HoldDetails>,
) -> Result<Json<ReleaseView>> {
    plan::hold_details(&app, &client.actor, &id.0, wish.after).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn drop_case(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<DropCase>,
) -> Result<Json<ReleaseView>> {
    plan::drop_case(&app, &client.actor, &id.0, &wish.case).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn freeze(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<ReleaseView>> {
    release::freeze(&app, &client.actor, &id.0).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn arm(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<Arm>,
) -> Result<Json<ReleaseView>> {
    release::arm(&app, &client.actor, &id.0, &wish.digest).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn disclose_now(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<ReleaseView>> {
    haste::disclose_now(&app, &client.actor, &id.0).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn disarm(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<ReleaseView>> {
    release::disarm(&app, &client.actor, &id.0).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn postpone(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<Postpone>,
) -> Result<Json<ReleaseView>> {
    release::postpone(&app, &client.actor, &id.0, wish.due_at).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn reopen(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<ReleaseView>> {
    release::reopen(&app, &client.actor, &id.0).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn resume(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<ReleaseView>> {
    release::resume(&app, &client.actor, &id.0).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn give_up(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<GiveUp>,
) -> Result<Json<ReleaseView>> {
    channel::give_up(&app, &client.actor, &id.0, wish.position).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn tests(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<SetTests>,
) -> Result<Json<ReleaseView>> {
    landing::schedule(&app, &client.actor, &id.0, &wish).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn abandon(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<ReleaseView>> {
    release::abandon(&app, &client.actor, &id.0).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn approve_candidate(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<ApproveCandidate>,
) -> Result<Json<ReleaseView>> {
    let which = (wish.repository.as_ref(), &wish.line);
    candidate::approve(&app, &client.actor, &id.0, which, &wish.commit).await?;
    Ok(Json(release::show(&app, &client.actor, &id.0).await?))
}

async fn checks(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<Vec<RunView>>> {
    Ok(Json(check::list(&app, &client.actor, &id.0).await?))
}

async fn rerun(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<CheckCandidate>,
) -> Result<(StatusCode, Json<RunView>)> {
    let which = (wish.repository.as_ref(), &wish.line);
    let run = check::rerun_candidate(&app, &client.actor, &id.0, which).await?;
    Ok((StatusCode::CREATED, Json(check::show(&app, &client.actor, run).await?)))
}
