//! The pages of a case, and what their forms do.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;

use super::field::DateForm;
use super::parts::Parts;
use super::{Nothing, Result, frame_of, upload};
use crate::app::App;
use crate::domain::access::{Consent, Role};
use crate::domain::case::Verdict;
use crate::domain::fix::FixKind;
use crate::domain::follow_up::Because;
use crate::domain::id::{AttachmentId, CaseId};
use crate::domain::mark::Standing;
use crate::domain::repo::{CommitId, LineName, RepoName};
use crate::domain::report::Audience;
use crate::domain::text::{Body, Handle, Title};
use crate::http::caller::{Form, Member, Named, SameSite};
use crate::http::download::ciphertext;
use crate::http::problem::Page;
use crate::wire::case::{MarkRequest, MessageTo};
use crate::wire::follow_up::FollowUpRequest;
use crate::workflow::case::{self, Act};
use crate::workflow::{check, fix, follow_up, mark, release, report, retrospective};

pub(crate) mod after;
pub(crate) mod page;
pub(crate) mod talk;
pub(crate) mod work;

type CaseName = Named<CaseId, Page>;
type Done = Result<Redirect>;

/// Returns the routes of cases.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/cases", get(async || Redirect::to("/")))
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
        .route("/cases/{case}/members/{handle}/remove", post(remove))
        .route("/cases/{case}/join", get(invitation).post(join))
        .route("/cases/{case}/decline", post(decline))
        .route("/cases/{case}/approve", post(approve))
        .route("/cases/{case}/mark", post(mark))
        .route("/cases/{case}/waive", post(waive))
        .route("/cases/{case}/follow-up", post(follow_up))
        .route("/cases/{case}/retrospective", get(retrospective))
        .route("/cases/{case}/checks", post(rerun))
        .route("/cases/{case}/attachments", post(attach).layer(DefaultBodyLimit::disable()))
        .route("/cases/{case}/attachments/{attachment}", get(fetch))
}

#[derive(Deserialize)]
struct Close {
    verdict: Verdict,
}

#[derive(Deserialize)]
struct Message {
    to: MessageTo,
    text: Body,
}

#[derive(Deserialize)]
struct Invite {
    handle: Handle,
    role: Role,
}

#[derive(Deserialize)]
struct Approve {
    #[serde(default)]
    kind: FixKind,
    repository: RepoName,
    line: LineName,
    commit: CommitId,
}

#[derive(Deserialize)]
struct Mark {
    repository: RepoName,
    line: LineName,
    standing: Standing,
}

#[derive(Deserialize)]
struct Waive {
    line: LineName,
    commit: CommitId,
}

#[derive(Deserialize)]
struct FollowUp {
    because: Because,
    title: Title,
}

#[derive(Deserialize)]
struct Rerun {
    line: LineName,
}

async fn show(State(app): State<Arc<App>>, member: Member, id: CaseName) -> Result<Markup> {
    let view = case::show(&app, &member.actor, &id.0).await?;
    Ok(page::case_page(&view, &frame_of(&app, &member)))
}

async fn acknowledge(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Nothing>) -> Done {
    case::act(&app, &form.by.actor, &id.0, Act::Acknowledge).await?;
    Ok(to(&id.0, "state"))
}

async fn validate(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Nothing>) -> Done {
    case::act(&app, &form.by.actor, &id.0, Act::Validate).await?;
    Ok(to(&id.0, "state"))
}

async fn invalidate(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Nothing>) -> Done {
    case::act(&app, &form.by.actor, &id.0, Act::Invalidate).await?;
    Ok(to(&id.0, "state"))
}

async fn accept(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Nothing>) -> Done {
    case::act(&app, &form.by.actor, &id.0, Act::Accept).await?;
    Ok(to(&id.0, "state"))
}

async fn defer(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Nothing>) -> Done {
    case::act(&app, &form.by.actor, &id.0, Act::Defer).await?;
    Ok(to(&id.0, "state"))
}

async fn close(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Close>) -> Done {
    case::act(&app, &form.by.actor, &id.0, Act::Close(form.value.verdict)).await?;
    Ok(to(&id.0, "state"))
}

async fn write(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Message>) -> Done {
    let actor = &form.by.actor;
    let audience = match form.value.to {
        MessageTo::Team => Audience::Team,
        MessageTo::All => Audience::All,
        MessageTo::Reporter => case::first_report(&app, actor, &id.0).await?,
    };
    case::write(&app, actor, &id.0, audience, form.value.text).await?;
    Ok(to(&id.0, "thread"))
}

async fn date(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, DateForm>) -> Done {
    case::date(&app, &form.by.actor, &id.0, form.value.act()?).await?;
    Ok(to(&id.0, "date"))
}

async fn invite(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Invite>) -> Done {
    case::invite(&app, &form.by.actor, &id.0, &form.value.handle, form.value.role).await?;
    Ok(to(&id.0, "members"))
}

async fn remove(State(app): State<Arc<App>>, who: Named<(CaseId, Handle), Page>, form: Form<Member, Nothing>) -> Done {
    let (id, handle) = &who.0;
    case::remove(&app, &form.by.actor, id, handle).await?;
    Ok(to(id, "members"))
}

/// Shows the terms. The page is the same whether there is an invitation, a case, or neither.
async fn invitation(State(app): State<Arc<App>>, member: Member, id: CaseName) -> Markup {
    page::invitation_page(&id.0.to_string(), &frame_of(&app, &member))
}

async fn join(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Nothing>) -> Done {
    case::join(&app, &form.by.actor, &id.0, Consent::Signatory).await?;
    Ok(Redirect::to(&format!("/cases/{}", id.0)))
}

async fn decline(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Nothing>) -> Done {
    case::join(&app, &form.by.actor, &id.0, Consent::Declined).await?;
    Ok(Redirect::to("/"))
}

async fn approve(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Approve>) -> Done {
    let asked = &form.value;
    fix::approve(&app, &form.by.actor, &id.0, (Some(&asked.repository), &asked.line, asked.kind), &asked.commit)
        .await?;
    Ok(to(&id.0, "fixes"))
}

async fn mark(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Mark>) -> Done {
    let Mark { repository, line, standing } = form.value;
    let wish = MarkRequest { line, repository: Some(repository), standing };
    mark::set(&app, &form.by.actor, &id.0, &wish).await?;
    Ok(to(&id.0, "fixes"))
}

async fn waive(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Waive>) -> Done {
    release::waive_checks(&app, &form.by.actor, &id.0, &form.value.line, &form.value.commit).await?;
    Ok(to(&id.0, "fixes"))
}

async fn rerun(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Rerun>) -> Done {
    let run = check::rerun(&app, &form.by.actor, &id.0, &form.value.line).await?;
    Ok(Redirect::to(&format!("/checks/{run}")))
}

async fn follow_up(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, FollowUp>) -> Done {
    let FollowUp { because, title } = form.value;
    let made = follow_up::follow_up(&app, &form.by.actor, &id.0, &FollowUpRequest { because, title }).await?;
    Ok(Redirect::to(&format!("/cases/{}", made.case)))
}

async fn retrospective(State(app): State<Arc<App>>, member: Member, id: CaseName) -> Result<Markup> {
    let view = retrospective::show(&app, &member.actor, &id.0).await?;
    Ok(after::retrospective_page(&view, &frame_of(&app, &member)))
}

async fn attach(State(app): State<Arc<App>>, member: Member, _: SameSite, id: CaseName, form: Parts) -> Done {
    upload::receive(&app, &member, (&member.actor, &id.0), form).await?;
    Ok(to(&id.0, "attachments"))
}

async fn fetch(
    State(app): State<Arc<App>>,
    member: Member,
    which: Named<(CaseId, AttachmentId), Page>,
) -> Result<Response> {
    let (attachment, file) = report::fetch(&app, &member.actor, &which.0.0, which.0.1).await?;
    Ok(ciphertext(&attachment, file))
}

/// Back to the case, at the part the form stands in.
fn to(case: &CaseId, part: &str) -> Redirect {
    Redirect::to(&format!("/cases/{case}#{part}"))
}
