//! The page of a release, and what its buttons do.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;

use super::field::Instant;
use super::{Nothing, Result, frame_of};
use crate::app::App;
use crate::domain::digest::Digest;
use crate::domain::id::{CaseId, ProjectId, ReleaseId};
use crate::domain::recipe::Strategy;
use crate::domain::refusal::Refusal;
use crate::domain::repo::{CommitId, LineName, RepoName};
use crate::http::caller::{Form, Member, Named};
use crate::http::problem::Page;
use crate::wire::release::{PlanRelease, PlanTarget, SetStrategy};
use crate::workflow::{self, channel, check, haste, plan, rehearsal, release};

mod candidate;
mod details;
mod hook;
mod landing;
pub(crate) mod page;
mod plan_form;
mod pushed;
pub(crate) mod wave;

type ReleaseName = Named<ReleaseId, Page>;
type Done = Result<Redirect>;

/// Returns the routes of releases.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .merge(wave::routes())
        .merge(landing::routes())
        .route("/projects/{project}/releases", post(plan))
        .route("/releases/{release}", get(show))
        .route("/releases/{release}/rehearse", post(rehearse))
        .route("/releases/{release}/drop", post(drop_case))
        .route("/releases/{release}/set-strategy", post(set_strategy))
        .route("/releases/{release}/hold-details", post(details::hold))
        .route("/releases/{release}/freeze", post(freeze))
        .route("/releases/{release}/arm", post(arm))
        .route("/releases/{release}/disclose-now", post(disclose_now))
        .route("/releases/{release}/disarm", post(disarm))
        .route("/releases/{release}/postpone", post(postpone))
        .route("/releases/{release}/reopen", post(reopen))
        .route("/releases/{release}/resume", post(resume))
        .route("/releases/{release}/give-up", post(give_up))
        .route("/releases/{release}/abandon", post(abandon))
        .route("/releases/{release}/approve-candidate", post(approve_candidate))
        .route("/releases/{release}/checks", post(rerun))
}

#[derive(Deserialize)]
struct Drop {
    case: CaseId,
}

#[derive(Deserialize)]
struct Put {
    repository: RepoName,
    line: LineName,
    strategy: Strategy,
}

#[derive(Deserialize)]
struct Read {
    digest: Digest,
}

#[derive(Deserialize)]
struct GiveUp {
    position: u32,
}

#[derive(Deserialize)]
struct Postpone {
    at: Instant,
}

#[derive(Deserialize)]
struct OfLine {
    repository: RepoName,
    line: LineName,
}

#[derive(Deserialize)]
struct Approve {
    repository: RepoName,
    line: LineName,
    commit: CommitId,
}

async fn show(State(app): State<Arc<App>>, member: Member, id: ReleaseName) -> Result<Markup> {
    let view = release::show(&app, &member.actor, &id.0).await?;
    Ok(page::release_page(&view, &frame_of(&app, &member)))
}

async fn plan(
    State(app): State<Arc<App>>,
    project: Named<ProjectId, Page>,
    form: Form<Member, Vec<(String, String)>>,
) -> Done {
    let id = plan::plan(&app, &form.by.actor, &wish(project.0, &form.value)?).await?;
    Ok(to(&id))
}

async fn rehearse(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Nothing>) -> Done {
    rehearsal::rehearse_now(&app, &form.by.actor, &id.0).await?;
    Ok(to(&id.0))
}

async fn drop_case(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Drop>) -> Done {
    plan::drop_case(&app, &form.by.actor, &id.0, &form.value.case).await?;
    Ok(to(&id.0))
}

async fn set_strategy(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Put>) -> Done {
    let Put { repository, line, strategy } = &form.value;
    let wish = SetStrategy { repository: Some(repository.clone()), line: line.clone(), strategy: *strategy };
    plan::set_strategy(&app, &form.by.actor, &id.0, &wish).await?;
    Ok(to(&id.0))
}

async fn freeze(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Nothing>) -> Done {
    release::freeze(&app, &form.by.actor, &id.0).await?;
    Ok(to(&id.0))
}

async fn arm(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Read>) -> Done {
    release::arm(&app, &form.by.actor, &id.0, &form.value.digest).await?;
    Ok(to(&id.0))
}

async fn disclose_now(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Nothing>) -> Done {
    haste::disclose_now(&app, &form.by.actor, &id.0).await?;
    Ok(to(&id.0))
}

async fn disarm(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Nothing>) -> Done {
    release::disarm(&app, &form.by.actor, &id.0).await?;
    Ok(to(&id.0))
}

async fn postpone(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Postpone>) -> Done {
    release::postpone(&app, &form.by.actor, &id.0, form.value.at.0).await?;
    Ok(to(&id.0))
}

async fn reopen(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Nothing>) -> Done {
    release::reopen(&app, &form.by.actor, &id.0).await?;
    Ok(to(&id.0))
}

async fn resume(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Nothing>) -> Done {
    release::resume(&app, &form.by.actor, &id.0).await?;
    Ok(to(&id.0))
}

async fn give_up(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, GiveUp>) -> Done {
    channel::give_up(&app, &form.by.actor, &id.0, form.value.position).await?;
    Ok(to(&id.0))
}

async fn abandon(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Nothing>) -> Done {
    release::abandon(&app, &form.by.actor, &id.0).await?;
    Ok(to(&id.0))
}

async fn approve_candidate(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, Approve>) -> Done {
    let Approve { repository, line, commit } = &form.value;
    workflow::candidate::approve(&app, &form.by.actor, &id.0, (Some(repository), line), commit).await?;
    Ok(to(&id.0))
}

async fn rerun(State(app): State<Arc<App>>, id: ReleaseName, form: Form<Member, OfLine>) -> Done {
    let OfLine { repository, line } = &form.value;
    let run = check::rerun_candidate(&app, &form.by.actor, &id.0, (Some(repository), line)).await?;
    Ok(Redirect::to(&format!("/checks/{run}")))
}

/// Reads the plan from its fields: `case` as often as there are cases, `tag:<repository>:<line>` with `strategy:…` and `tags:…`
/// of the same place, `at`, and `details-after` and `tests_after`, which may stay empty.
fn wish(project: ProjectId, fields: &[(String, String)]) -> Result<PlanRelease, Refusal> {
    let (mut cases, mut targets, mut due_at) = (Vec::new(), Vec::new(), None);
    let (mut details_after, mut tests_after) = (None, None);
    for (name, value) in fields {
        if name == "case" {
            cases.push(value.parse()?);
        } else if name == "at" {
            due_at = Some(Instant::try_from(value.clone())?.0);
        } else if name == "details-after" {
            details_after = details::after(value)?;
        } else if name == "tests_after" {
            let said = Some(value.trim()).filter(|said| !said.is_empty());
            tests_after = said.map(str::parse).transpose()?;
        } else if let Some((repository, line)) = name.strip_prefix("tag:").and_then(|place| place.split_once(':')) {
            let tag = value.trim();
            if !tag.is_empty() {
                let repository = Some(repository.parse()?);
                let of_place = |what: &str| {
                    let name = format!("{what}:{}", name.trim_start_matches("tag:"));
                    fields.iter().find(|(field, value)| *field == name && !value.is_empty()).map(|(_, value)| value)
                };
                let strategy = of_place("strategy").map(|word| word.parse()).transpose()?;
                let tags = of_place("tags").map(|word| word.parse()).transpose()?;
                targets.push(PlanTarget { repository, line: line.parse()?, tag: tag.parse()?, strategy, tags });
            }
        }
    }
    let due_at = due_at.ok_or_else(|| Refusal::input("A release names its instant."))?;
    Ok(PlanRelease { project, cases, targets, due_at, details_after, tests_after })
}

fn to(release: &ReleaseId) -> Redirect {
    Redirect::to(&format!("/releases/{release}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_tag_does_not_ship() {
        let fields = [
            ("case", "DEMO-1"),
            ("strategy:demo:main", "rebase"),
            ("tags:demo:main", ""),
            ("tag:demo:main", "v1.1.0"),
            ("tag:demo:1.0.x", " "),
            ("at", "2030-05-01T12:00"),
            ("details-after", "7d"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let wish = wish("demo".parse().unwrap(), &fields).unwrap();
        assert_eq!((wish.cases.len(), wish.targets.len()), (1, 1));
        assert_eq!(wish.targets[0].tag.to_string(), "v1.1.0");
        assert_eq!((wish.targets[0].strategy, wish.targets[0].tags), (Some(Strategy::Rebase), None));
        assert_eq!(wish.due_at.to_string(), "2030-05-01T12:00:00Z");
        assert_eq!(wish.details_after.unwrap().words(), "7 days");
    }
}
