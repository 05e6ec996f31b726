//! The reporter's side: the claim code opens a visit, the visit opens the report.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;

use super::field::{CreditForm, DateForm, TextForm};
use super::page::Frame;
use super::parts::Parts;
use super::{Nothing, Result, frame_of_visit, upload};
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::record::RecordAnswer;
use crate::domain::sealed::Secret;
use crate::http::caller::{Form, Named, OpenForm, SameSite, Visitor, no_visit_cookie, visit_cookie};
use crate::http::origin::Sender;
use crate::http::problem::{Page, refused_on};
use crate::workflow::{Error, account, case, limit, receipt, record, report};

pub(crate) mod page;

type Done = Result<Redirect>;

/// Returns the routes of the reporter's page.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/r", get(async || Redirect::to("/r/")))
        .route("/r/", get(show).post(claim))
        .route("/r/receipt/{file}", get(receipt))
        .route("/r/reply", post(reply))
        .route("/r/date", post(date))
        .route("/r/credit", post(credit))
        .route("/r/record", post(record))
        .route("/r/attachments", post(attach).layer(DefaultBodyLimit::disable()))
        .route("/r/leave", post(leave))
        .route("/r/feed/{secret}", get(feed))
}

#[derive(Deserialize)]
struct Claim {
    code: String,
}

#[derive(Deserialize)]
struct Answer {
    answer: RecordAnswer,
}

async fn show(State(app): State<Arc<App>>, visitor: Option<Visitor>) -> Result<Markup> {
    let Some(visitor) = visitor else { return Ok(page::claim_page(None, &Frame::stranger())) };
    let case = report::case_of(&app, visitor.visit.report).await?;
    let view = report::show(&app, &visitor.actor, &case).await?;
    Ok(page::reporter_page(&view, &frame_of_visit(&app, &visitor)))
}

/// The secret feed: times of news and nothing else, for reporters who left no address.
async fn feed(State(app): State<Arc<App>>, secret: Named<String, Page>) -> Result<Response> {
    let bytes = report::news(&app, &secret.0).await?;
    Ok(([(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")], bytes).into_response())
}

async fn claim(State(app): State<Arc<App>>, sender: Sender, OpenForm(form): OpenForm<Claim>) -> Result<Response> {
    let claimed = async {
        limit::claim(&app, sender.0)?;
        report::claim(&app, &Secret::new(form.code)).await
    };
    let actor = match claimed.await {
        Ok((actor, _)) => actor,
        Err(Error::Refused(refusal)) => {
            return Ok(refused_on(|sentence| page::claim_page(Some(sentence), &Frame::stranger()), refusal));
        }
        Err(error) => return Err(error.into()),
    };
    let Actor::Reporter(id) = actor else { return Err(Error::NotFound.into()) };
    let (visit, _) = account::begin_visit(&app, id).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, visit_cookie(&app, &visit))]), Redirect::to("/r/")).into_response())
}

/// Serves the receipt, its signature, or what its hash covers, each under the name it is best kept by.
async fn receipt(State(app): State<Arc<App>>, visitor: Visitor, file: Named<String, Page>) -> Result<Response> {
    let own = report::case_of(&app, visitor.visit.report).await?;
    let signed = receipt::signed(&app, &visitor.actor, &own).await?;
    let text = match file.0.as_str() {
        page::RECEIPT => signed.receipt,
        page::SIGNATURE => signed.signature,
        page::OPENING => signed.opening,
        _ => return Err(Error::NotFound.into()),
    };
    let named = format!("attachment; filename=\"{}\"", file.0);
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, named)];
    Ok((headers, text).into_response())
}

async fn reply(State(app): State<Arc<App>>, form: Form<Visitor, TextForm>) -> Done {
    let own = report::case_of(&app, form.by.visit.report).await?;
    report::reply(&app, &form.by.actor, &own, form.value.text).await?;
    Ok(Redirect::to("/r/#thread"))
}

async fn date(State(app): State<Arc<App>>, form: Form<Visitor, DateForm>) -> Done {
    let own = report::case_of(&app, form.by.visit.report).await?;
    case::date(&app, &form.by.actor, &own, form.value.act()?).await?;
    Ok(Redirect::to("/r/#date"))
}

async fn credit(State(app): State<Arc<App>>, form: Form<Visitor, CreditForm>) -> Done {
    let own = report::case_of(&app, form.by.visit.report).await?;
    report::credit(&app, &form.by.actor, &own, form.value.wish()?).await?;
    Ok(Redirect::to("/r/#credit"))
}

async fn record(State(app): State<Arc<App>>, form: Form<Visitor, Answer>) -> Done {
    let own = report::case_of(&app, form.by.visit.report).await?;
    record::answer(&app, &form.by.actor, &own, form.value.answer).await?;
    Ok(Redirect::to("/r/#record"))
}

async fn attach(State(app): State<Arc<App>>, visitor: Visitor, _: SameSite, form: Parts) -> Done {
    let own = report::case_of(&app, visitor.visit.report).await?;
    upload::receive(&app, &visitor, (&visitor.actor, &own), form).await?;
    Ok(Redirect::to("/r/#attachments"))
}

async fn leave(State(app): State<Arc<App>>, form: Form<Visitor, Nothing>) -> Result<impl IntoResponse> {
    account::end_visit(&app, &form.by.secret).await?;
    Ok((AppendHeaders([(header::SET_COOKIE, no_visit_cookie(&app))]), Redirect::to("/r/")))
}
