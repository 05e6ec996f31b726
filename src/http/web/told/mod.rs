//! What a member of an audience sees who was told of a release before its instant.
//!
//! Guards: the link's code comes in the body of a form, never in an address, so that it is in no log, no history and no referrer;
//! every page that it opens carries it on in its own forms, and nothing is kept at the browser. Whatever a code does not open is the
//! same page, byte for byte.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;

use super::Result;
use crate::app::App;
use crate::domain::plain::AdvisoryId;
use crate::domain::recipient::{Affect, Answer, Remark};
use crate::domain::refusal::Malformed;
use crate::domain::sealed::Secret;
use crate::http::caller::OpenForm;
use crate::http::download;
use crate::workflow::Error;
use crate::workflow::wave::copy;
use crate::workflow::wave::told::{self, Opened};

pub(crate) mod page;

/// Returns the routes of what a personal link opens.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/w", get(async || Redirect::to("/w/")))
        .route("/w/", get(async || page::link_page()).post(open))
        .route("/w/acknowledge", post(acknowledge))
        .route("/w/answer", post(answer))
        .route("/w/copy", post(fetch))
}

#[derive(Deserialize)]
struct Link {
    code: String,
}

#[derive(Deserialize)]
struct Said {
    code: String,
    #[serde(default)]
    advisory: String,
    answer: Affect,
    #[serde(default)]
    remark: String,
}

impl Said {
    fn answer(&self) -> Result<Answer, Malformed> {
        let advisory = Some(self.advisory.as_str()).filter(|text| !text.is_empty());
        let remark = Some(self.remark.as_str()).filter(|text| !text.trim().is_empty());
        Ok(Answer {
            advisory: advisory.map(str::parse::<AdvisoryId>).transpose()?,
            affect: self.answer,
            remark: remark.map(str::parse::<Remark>).transpose()?,
        })
    }
}

async fn open(State(app): State<Arc<App>>, OpenForm(form): OpenForm<Link>) -> Result<Response> {
    shown(&app, &Secret::new(form.code)).await
}

async fn acknowledge(State(app): State<Arc<App>>, OpenForm(form): OpenForm<Link>) -> Result<Response> {
    let code = Secret::new(form.code);
    match told::acknowledge(&app, &code).await {
        Ok(()) | Err(Error::NotFound) => shown(&app, &code).await,
        Err(error) => Err(error.into()),
    }
}

async fn answer(State(app): State<Arc<App>>, OpenForm(form): OpenForm<Said>) -> Result<Response> {
    let answer = form.answer()?;
    let code = Secret::new(form.code);
    match told::answer(&app, &code, &answer).await {
        Ok(()) | Err(Error::NotFound) => shown(&app, &code).await,
        Err(error) => Err(error.into()),
    }
}

async fn fetch(State(app): State<Arc<App>>, OpenForm(form): OpenForm<Link>) -> Result<Response> {
    match copy::fetch(&app, &Secret::new(form.code)).await {
        Ok(copy) => Ok(download::copy(copy)),
        Err(Error::NotFound) => Ok(nothing(&page::nothing_page())),
        Err(error) => Err(error.into()),
    }
}

async fn shown(app: &App, code: &Secret) -> Result<Response> {
    Ok(match told::open(app, code).await? {
        Opened::Told(view) => page::told_page(&view, code).into_response(),
        Opened::Public(advisories) => page::public_page(&advisories).into_response(),
        Opened::Nothing => nothing(&page::nothing_page()),
    })
}

fn nothing(page: &Markup) -> Response {
    (StatusCode::NOT_FOUND, page.clone()).into_response()
}
