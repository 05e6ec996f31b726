//! A project's page.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use maud::Markup;

use super::{Nothing, Result, frame_of};
use crate::app::App;
use crate::domain::id::ProjectId;
use crate::http::caller::{Form, Member, Named};
use crate::http::problem::Page;
use crate::workflow::{case, project, release};

pub(crate) mod page;

/// Returns the routes of projects.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/projects/{project}", get(show)).route("/projects/{project}/mirror", post(mirror))
}

async fn show(State(app): State<Arc<App>>, member: Member, id: Named<ProjectId, Page>) -> Result<Markup> {
    let view = project::show(&app, &member.actor, &id.0).await?;
    let releases = release::list(&app, &member.actor).await?;
    let cases = case::list(&app, &member.actor).await?;
    let frame = frame_of(&app, &member);
    Ok(page::project_page(&view, super::release::page::releases(&view, &releases, &cases, &frame), &frame))
}

async fn mirror(
    State(app): State<Arc<App>>,
    id: Named<ProjectId, Page>,
    form: Form<Member, Nothing>,
) -> Result<Redirect> {
    project::mirror_now(&app, &form.by.actor, &id.0).await?;
    Ok(Redirect::to(&format!("/projects/{}", id.0)))
}
