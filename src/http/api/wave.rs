//! Waves of releases, as JSON; and what a personal link opens, whose code stands in the body of each request.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};

use super::Json;
use crate::app::App;
use crate::domain::id::ReleaseId;
use crate::domain::recipient::Answer;
use crate::domain::refusal::Refusal;
use crate::domain::sealed::Secret;
use crate::http::caller::{Client, Named};
use crate::http::download;
use crate::http::problem::{Api, ApiError};
use crate::wire::wave::{AnswerWave, CanaryView, DropWave, SetWave, ShowLink, ToldView, WavesView};
use crate::workflow::Error;
use crate::workflow::wave::told::{self, Opened};
use crate::workflow::wave::{self, copy};

type Result<T> = std::result::Result<T, ApiError>;
type ReleaseName = Named<ReleaseId, Api>;

/// Returns the routes of waves and of personal links.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/releases/{release}/waves", get(show).post(set))
        .route("/releases/{release}/waves/drop", post(drop_wave))
        .route("/releases/{release}/canaries", get(canaries))
        .route("/told", post(open))
        .route("/told/acknowledge", post(acknowledge))
        .route("/told/answer", post(answer))
        .route("/told/copy", post(fetch))
}

async fn show(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<WavesView>> {
    Ok(Json(wave::show(&app, &client.actor, &id.0).await?))
}

async fn set(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<SetWave>,
) -> Result<Json<WavesView>> {
    wave::set(&app, &client.actor, &id.0, &wish).await?;
    Ok(Json(wave::show(&app, &client.actor, &id.0).await?))
}

async fn drop_wave(
    State(app): State<Arc<App>>,
    client: Client,
    id: ReleaseName,
    Json(wish): Json<DropWave>,
) -> Result<Json<WavesView>> {
    wave::drop_wave(&app, &client.actor, &id.0, &wish).await?;
    Ok(Json(wave::show(&app, &client.actor, &id.0).await?))
}

async fn canaries(State(app): State<Arc<App>>, client: Client, id: ReleaseName) -> Result<Json<Vec<CanaryView>>> {
    Ok(Json(copy::canaries(&app, &client.actor, &id.0).await?))
}

async fn open(State(app): State<Arc<App>>, Json(link): Json<ShowLink>) -> Result<Json<ToldView>> {
    shown(&app, &Secret::new(link.code)).await
}

async fn acknowledge(State(app): State<Arc<App>>, Json(link): Json<ShowLink>) -> Result<Json<ToldView>> {
    let code = Secret::new(link.code);
    told::acknowledge(&app, &code).await?;
    shown(&app, &code).await
}

async fn answer(State(app): State<Arc<App>>, Json(said): Json<AnswerWave>) -> Result<Json<ToldView>> {
    let code = Secret::new(said.code);
    let answer = Answer { advisory: said.advisory, affect: said.answer, remark: said.remark };
    told::answer(&app, &code, &answer).await?;
    shown(&app, &code).await
}

async fn fetch(State(app): State<Arc<App>>, Json(link): Json<ShowLink>) -> Result<Response> {
    Ok(download::copy(copy::fetch(&app, &Secret::new(link.code)).await?))
}

async fn shown(app: &App, code: &Secret) -> Result<Json<ToldView>> {
    match told::open(app, code).await? {
        Opened::Told(view) => Ok(Json(*view)),
        Opened::Public(advisories) => {
            let ids: Vec<_> = advisories.iter().map(ToString::to_string).collect();
            Err(Refusal::moment(format!("This release is public: see {}.", ids.join(", "))).into())
        }
        Opened::Nothing => Err(Error::NotFound.into()),
    }
}
