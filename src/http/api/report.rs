//! Reports, as JSON: what strangers send, and the reporter's side.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use futures_util::TryStreamExt;

use super::Json;
use super::case::date_act;
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::refusal::{Malformed, Refusal};
use crate::domain::report::{CreditWish, ReportBody};
use crate::domain::sealed::Secret;
use crate::domain::text::Label;
use crate::http::caller::{Client, Named};
use crate::http::origin::Sender;
use crate::http::problem::{Api, ApiError};
use crate::wire::case::DateRequest;
use crate::wire::record::AnswerRecord;
use crate::wire::report::{
    ClaimRequest, IntakeView, ReceiptView, ReporterView, SignedReceiptView, StoredView, TextRequest, VisitView,
};
use crate::workflow::{Error, account, case, limit, receipt, record, report};

type Result<T> = std::result::Result<T, ApiError>;
const DONE: StatusCode = StatusCode::NO_CONTENT;

/// Returns the routes of reports.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/projects/{project}/intake", get(intake))
        .route("/projects/{project}/reports", post(submit))
        .route("/report/claim", post(claim))
        .route("/report", get(show))
        .route("/report/receipt", get(signed))
        .route("/report/reply", post(reply))
        .route("/report/credit", post(credit))
        .route("/report/date", post(date))
        .route("/report/record", post(answer))
        .route("/report/attachments", post(attach))
}

async fn intake(State(app): State<Arc<App>>, project: Named<ProjectId, Api>) -> Result<Json<IntakeView>> {
    Ok(Json(report::intake(&app, &project.0).await?))
}

async fn submit(
    State(app): State<Arc<App>>,
    sender: Sender,
    project: Named<ProjectId, Api>,
    Json(body): Json<ReportBody>,
) -> Result<(StatusCode, Json<ReceiptView>)> {
    limit::report(&app, sender.0, &project.0)?;
    let (_, receipt) = report::submit(&app, &project.0, &body).await?;
    Ok((StatusCode::CREATED, Json(receipt)))
}

async fn claim(
    State(app): State<Arc<App>>,
    sender: Sender,
    Json(asked): Json<ClaimRequest>,
) -> Result<(StatusCode, Json<VisitView>)> {
    limit::claim(&app, sender.0)?;
    let (actor, case) = report::claim(&app, &Secret::new(asked.claim_code)).await?;
    let Actor::Reporter(report) = actor else { return Err(Error::NotFound.into()) };
    let (visit, begun) = account::begin_visit(&app, report).await?;
    let view = VisitView {
        case: case.to_string(),
        visit: visit.expose().to_owned(),
        expires_at: begun.expires_at.to_string(),
    };
    Ok((StatusCode::CREATED, Json(view)))
}

async fn show(State(app): State<Arc<App>>, client: Client) -> Result<Json<ReporterView>> {
    let case = own(&app, &client).await?;
    Ok(Json(report::show(&app, &client.actor, &case).await?))
}

async fn signed(State(app): State<Arc<App>>, client: Client) -> Result<Json<SignedReceiptView>> {
    let case = own(&app, &client).await?;
    Ok(Json(receipt::signed(&app, &client.actor, &case).await?))
}

async fn reply(State(app): State<Arc<App>>, client: Client, Json(asked): Json<TextRequest>) -> Result<StatusCode> {
    let case = own(&app, &client).await?;
    report::reply(&app, &client.actor, &case, asked.text).await?;
    Ok(DONE)
}

async fn credit(State(app): State<Arc<App>>, client: Client, Json(wish): Json<CreditWish>) -> Result<StatusCode> {
    let case = own(&app, &client).await?;
    report::credit(&app, &client.actor, &case, wish).await?;
    Ok(DONE)
}

async fn date(State(app): State<Arc<App>>, client: Client, Json(asked): Json<DateRequest>) -> Result<StatusCode> {
    let own = own(&app, &client).await?;
    case::date(&app, &client.actor, &own, date_act(&asked)?).await?;
    Ok(DONE)
}

async fn answer(State(app): State<Arc<App>>, client: Client, Json(asked): Json<AnswerRecord>) -> Result<StatusCode> {
    let own = own(&app, &client).await?;
    record::answer(&app, &client.actor, &own, asked.answer).await?;
    Ok(DONE)
}

async fn attach(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<StoredView>)> {
    let case = own(&app, &client).await?;
    let name = file_name(&headers)?;
    let upload = report::upload(media_type(&headers), body.into_data_stream().map_err(std::io::Error::other));
    let stored = report::attach(&app, &client.actor, &case, name, upload).await?;
    Ok((StatusCode::CREATED, Json(stored)))
}

/// Finds the case of the reporter who asks; anyone else finds nothing here.
async fn own(app: &App, client: &Client) -> std::result::Result<CaseId, Error> {
    match client.actor {
        Actor::Reporter(id) => report::case_of(app, id).await,
        Actor::Person { .. } | Actor::System(_) => Err(Error::NotFound),
    }
}

/// Reads the name of an upload from `Embargo-File-Name`, percent-encoded UTF-8: it stands in no URL and no log.
pub(super) fn file_name(headers: &HeaderMap) -> std::result::Result<Label, Refusal> {
    let rule = || Refusal::input("Name the file in the header Embargo-File-Name, percent-encoded.");
    let text = headers.get("embargo-file-name").and_then(|value| value.to_str().ok()).ok_or_else(rule)?;
    let name = percent_decoded(text).ok_or_else(rule)?;
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.parse().map_err(|malformed: Malformed| malformed.into())
}

/// Returns the media type of a body without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_keeps_its_last_part_and_cannot_deceive() {
        let named = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("embargo-file-name", text.parse().unwrap());
            file_name(&headers).map(|name| name.to_string())
        };
        assert_eq!(named("..%2F..%2Fpoc.py").unwrap(), "poc.py");
        assert_eq!(named("pr%C3%BCf.txt").unwrap(), "prüf.txt");
        assert!(named("a%E2%80%AEtxt.exe").is_err());
        assert!(named("%2").is_err());
        assert!(named("x/").is_err());
    }
}
