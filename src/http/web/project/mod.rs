//! A project's page.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use maud::{Markup, html};

use super::{Nothing, Result, frame_of};
use crate::app::App;
use crate::domain::id::ProjectId;
use crate::http::caller::{Form, Member, Named};
use crate::http::problem::Page;
use crate::workflow::project;

pub(crate) mod page;

/// Returns the routes of projects.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/projects/{project}", get(show)).route("/projects/{project}/mirror", post(mirror))
}

async fn show(State(app): State<Arc<App>>, member: Member, id: Named<ProjectId, Page>) -> Result<Markup> {
    let view = project::show(&app, &member.actor, &id.0).await?;
    Ok(page::project_page(&view, html! {}, &frame_of(&app, &member)))
}

async fn mirror(
    State(app): State<Arc<App>>,
    id: Named<ProjectId, Page>,
    form: Form<Member, Nothing>,
) -> Result<Redirect> {
    project::mirror_now(&app, &form.by.actor, &id.0).await?;
    Ok(Redirect::to(&format!("/projects/{}", id.0)))
}
