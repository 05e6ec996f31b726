//! The JSON API: tokens only, no cookies, failures as problem documents.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::caller::PATIENCE;
use super::problem::ApiError;
use crate::app::App;
use crate::domain::refusal::Refusal;

pub(crate) mod account;
mod advisory;
pub(crate) mod case;
pub(crate) mod check;
pub(crate) mod project;
mod record;
mod release;
pub(crate) mod report;
mod wave;

/// A JSON body: as it comes, with a problem document if it is not what was asked for; or as it goes.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let body = tokio::time::timeout(PATIENCE, axum::extract::Json::<T>::from_request(request, app)).await;
        let body = body.map_err(|_| Refusal::input("The request took too long to arrive: try again."))?;
        // The parser names a field and a place, never more of the body than a word that is out of place.
        let axum::extract::Json(value) = body.map_err(|rejection| {
            Refusal::input(format!("The body is not the JSON that is asked for here: {}.", rejection.body_text()))
        })?;
        Ok(Self(value))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::extract::Json(self.0).into_response()
    }
}

/// Returns the routes under `/api/v1`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .merge(account::routes())
        .merge(advisory::routes())
        .merge(case::routes())
        .merge(check::routes())
        .merge(project::routes())
        .merge(record::routes())
        .merge(release::routes())
        .merge(report::routes())
        .merge(wave::routes())
}
