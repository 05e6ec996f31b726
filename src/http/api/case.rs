//! The desk, as JSON.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{delete, get, post};
use futures_util::TryStreamExt;

use super::Json;
use super::report::{file_name, media_type};
use crate::app::App;
use crate::domain::access::Consent;
use crate::domain::id::{AttachmentId, CaseId};
use crate::domain::report::Audience;
use crate::domain::text::Handle;
use crate::http::caller::{Client, Named};
use crate::http::download::ciphertext;
use crate::http::problem::{Api, ApiError};
use crate::wire::case::{
    ApproveRequest, CaseSummary, CaseView, CloseRequest, DateRequest, DateWord, EventView, IntroducedBy, InviteRequest,
    MarkRequest, MessageRequest, MessageTo, SuggestionView,
};
use crate::wire::follow_up::{FollowUpRequest, FollowUpView};
use crate::wire::report::StoredView;
use crate::wire::retrospective::RetrospectiveView;
use crate::workflow::case::{self, Act, DateAct};
use crate::workflow::{fix, follow_up, mark, report, retrospective};

type Result<T> = std::result::Result<T, ApiError>;
type CaseName = Named<CaseId, Api>;
const DONE: StatusCode = StatusCode::NO_CONTENT;

/// Returns the routes of cases.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/cases", get(list))
        .route("/cases/{case}", get(show))
        .route("/cases/{case}/acknowledge", post(acknowledge))
        .route("/cases/{case}/validate", post(validate))
        .route("/cases/{case}/invalidate", post(invalidate))
        .route("/cases/{case}/accept", post(accept))
        .route("/cases/{case}/defer", post(defer))
        .route("/cases/{case}/close", post(close))
        .route("/cases/{case}/messages", post(write))
        .route("/cases/{case}/date", post(date))
        .route("/cases/{case}/members", post(invite))
        .route("/cases/{case}/members/{handle}", delete(remove))
        .route("/cases/{case}/join", post(join))
        .route("/cases/{case}/decline", post(decline))
        .route("/cases/{case}/approve", post(approve))
        .route("/cases/{case}/mark", get(suggest).post(mark))
        .route("/cases/{case}/attachments", post(attach))
        .route("/cases/{case}/attachments/{attachment}", get(fetch))
        .route("/cases/{case}/history", get(history))
        .route("/cases/{case}/follow-up", post(follow_up))
        .route("/cases/{case}/retrospective", get(retrospective))
}

async fn list(State(app): State<Arc<App>>, client: Client) -> Result<Json<Vec<CaseSummary>>> {
    Ok(Json(case::list(&app, &client.actor).await?))
}

async fn show(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<Json<CaseView>> {
    Ok(Json(case::show(&app, &client.actor, &id.0).await?))
}

async fn acknowledge(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<StatusCode> {
    case::act(&app, &client.actor, &id.0, Act::Acknowledge).await?;
    Ok(DONE)
}

async fn validate(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<StatusCode> {
    case::act(&app, &client.actor, &id.0, Act::Validate).await?;
    Ok(DONE)
}

async fn invalidate(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<StatusCode> {
    case::act(&app, &client.actor, &id.0, Act::Invalidate).await?;
    Ok(DONE)
}

async fn accept(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<StatusCode> {
    case::act(&app, &client.actor, &id.0, Act::Accept).await?;
    Ok(DONE)
}

async fn defer(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<StatusCode> {
    case::act(&app, &client.actor, &id.0, Act::Defer).await?;
    Ok(DONE)
}

async fn close(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(asked): Json<CloseRequest>,
) -> Result<StatusCode> {
    case::act(&app, &client.actor, &id.0, Act::Close(asked.verdict)).await?;
    Ok(DONE)
}

async fn write(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(asked): Json<MessageRequest>,
) -> Result<StatusCode> {
    let to = match asked.to {
        MessageTo::Team => Audience::Team,
        MessageTo::All => Audience::All,
        MessageTo::Reporter => case::first_report(&app, &client.actor, &id.0).await?,
    };
    case::write(&app, &client.actor, &id.0, to, asked.text).await?;
    Ok(DONE)
}

async fn date(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(asked): Json<DateRequest>,
) -> Result<StatusCode> {
    case::date(&app, &client.actor, &id.0, date_act(&asked)?).await?;
    Ok(DONE)
}

/// Reads what is to be done about the date.
pub(super) fn date_act(asked: &DateRequest) -> std::result::Result<DateAct, crate::domain::refusal::Refusal> {
    match (asked.act, asked.at) {
        (DateWord::Propose, Some(at)) => Ok(DateAct::Propose(at)),
        (DateWord::Propose, None) => {
            Err(crate::domain::refusal::Refusal::input("A proposal names its instant in `at`."))
        }
        (DateWord::Accept, _) => Ok(DateAct::Accept),
        (DateWord::Reject, _) => Ok(DateAct::Reject),
        (DateWord::Terminate, _) => Ok(DateAct::Terminate),
    }
}

async fn invite(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(asked): Json<InviteRequest>,
) -> Result<StatusCode> {
    case::invite(&app, &client.actor, &id.0, &asked.handle, asked.role).await?;
    Ok(DONE)
}

async fn remove(State(app): State<Arc<App>>, client: Client, who: Named<(CaseId, Handle), Api>) -> Result<StatusCode> {
    case::remove(&app, &client.actor, &who.0.0, &who.0.1).await?;
    Ok(DONE)
}

async fn join(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<StatusCode> {
    case::join(&app, &client.actor, &id.0, Consent::Signatory).await?;
    Ok(DONE)
}

async fn decline(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<StatusCode> {
    case::join(&app, &client.actor, &id.0, Consent::Declined).await?;
    Ok(DONE)
}

async fn approve(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(asked): Json<ApproveRequest>,
) -> Result<StatusCode> {
    let which = (asked.repository.as_ref(), &asked.line, asked.kind);
    fix::approve(&app, &client.actor, &id.0, which, &asked.commit).await?;
    Ok(DONE)
}

async fn mark(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(asked): Json<MarkRequest>,
) -> Result<StatusCode> {
    mark::set(&app, &client.actor, &id.0, &asked).await?;
    Ok(DONE)
}

async fn suggest(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Query(asked): Query<IntroducedBy>,
) -> Result<Json<Vec<SuggestionView>>> {
    Ok(Json(mark::suggest(&app, &client.actor, &id.0, &asked.introduced).await?))
}

async fn attach(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<StoredView>)> {
    let name = file_name(&headers)?;
    let upload = report::upload(media_type(&headers), body.into_data_stream().map_err(std::io::Error::other));
    let stored = report::attach(&app, &client.actor, &id.0, name, upload).await?;
    Ok((StatusCode::CREATED, Json(stored)))
}

async fn fetch(
    State(app): State<Arc<App>>,
    client: Client,
    which: Named<(CaseId, AttachmentId), Api>,
) -> Result<Response> {
    let (attachment, file) = report::fetch(&app, &client.actor, &which.0.0, which.0.1).await?;
    Ok(ciphertext(&attachment, file))
}

async fn follow_up(
    State(app): State<Arc<App>>,
    client: Client,
    id: CaseName,
    Json(wish): Json<FollowUpRequest>,
) -> Result<(StatusCode, Json<FollowUpView>)> {
    Ok((StatusCode::CREATED, Json(follow_up::follow_up(&app, &client.actor, &id.0, &wish).await?)))
}

async fn retrospective(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<Json<RetrospectiveView>> {
    Ok(Json(retrospective::show(&app, &client.actor, &id.0).await?))
}

async fn history(State(app): State<Arc<App>>, client: Client, id: CaseName) -> Result<Json<Vec<EventView>>> {
    Ok(Json(case::audit(&app, &client.actor, &id.0).await?))
}
