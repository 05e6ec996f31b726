//! The advisory of a case: the draft as it will be published, its editor, its approval.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;

use self::editor::{Editor, Remark};
use self::typed::{Fault, Press, Typed};
use super::page::Frame;
use super::{Nothing, Result, frame_of};
use crate::app::App;
use crate::domain::amendment::AmendmentAct;
use crate::domain::channel::ChannelName;
use crate::domain::digest::Digest;
use crate::domain::id::CaseId;
use crate::domain::refusal::RefusalKind;
use crate::domain::text::Sentence;
use crate::http::caller::{Form, LongForm, Member, Named};
use crate::http::problem::{Page, refused_on};
use crate::wire::advisory::EditAdvisory;
use crate::wire::amendment::AmendRequest;
use crate::workflow::advisory::{self, Editing};
use crate::workflow::{Error, amendment};

mod details;
pub(crate) mod editor;
pub(crate) mod page;
pub(crate) mod public;
pub(crate) mod typed;

type CaseName = Named<CaseId, Page>;
type Fields = Vec<(String, String)>;

/// The longest form of the editor: three texts of 64 KiB, each byte of which may be written as three.
const LONGEST_FORM: usize = 1024 * 1024;

/// Returns the routes of drafts.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/cases/{case}/advisory", get(show))
        .route("/cases/{case}/advisory/edit", get(edit).post(save).layer(DefaultBodyLimit::max(LONGEST_FORM)))
        .route("/cases/{case}/advisory/approve", post(approve))
        .route("/cases/{case}/advisory/amend", post(amend))
        .route("/cases/{case}/advisory/drop", post(drop))
        .route("/cases/{case}/advisory/retell", post(retell))
        .route("/cases/{case}/advisory/details", post(details::put_off))
}

#[derive(Deserialize)]
struct Amend {
    act: AmendmentAct,
    why: Sentence,
}

#[derive(Deserialize)]
struct Retell {
    channel: ChannelName,
}

#[derive(Deserialize)]
struct Approval {
    digest: Digest,
}

async fn show(State(app): State<Arc<App>>, member: Member, id: CaseName) -> Result<Markup> {
    let view = advisory::show(&app, &member.actor, &id.0).await?;
    let documents = advisory::previews(&app, &member.actor, &id.0).await?;
    Ok(page::advisory_page(&id.0.to_string(), &view, &documents, &frame_of(&app, &member)))
}

async fn edit(State(app): State<Arc<App>>, member: Member, id: CaseName) -> Result<Markup> {
    let editing = advisory::editing(&app, &member.actor, &id.0).await?;
    editing.changeable?;
    let sheet = Sheet { case: id.0.to_string(), typed: Typed::of_draft(&editing.draft), lines: editing.lines };
    Ok(sheet.page(Remark::Nothing, &[], None, &frame_of(&app, &member)))
}

/// Saves what was typed, or shows it again with what keeps it from being saved.
async fn save(State(app): State<Arc<App>>, id: CaseName, form: LongForm<Fields>) -> Result<Response> {
    let case = id.0.to_string();
    let (member, fields) = match form {
        LongForm::Ours(member, fields) => (member, fields),
        LongForm::Stale(member, fields) => {
            let editing = advisory::editing(&app, &member.actor, &id.0).await?;
            let sheet = Sheet { case, typed: Typed::of_form(fields), lines: editing.lines };
            let page = sheet.page(Remark::SignedInAnew, &[], None, &frame_of(&app, &member));
            return Ok((StatusCode::CONFLICT, page).into_response());
        }
        LongForm::SignedOut(fields) => {
            // Shows nothing but what was sent, so that the case need not be there.
            let sheet = Sheet { case, typed: Typed::of_form(fields), lines: Vec::new() };
            let page = sheet.page(Remark::SignedOut, &[], None, &Frame::stranger());
            return Ok((StatusCode::UNAUTHORIZED, page).into_response());
        }
    };
    let editing = advisory::editing(&app, &member.actor, &id.0).await?;
    let press = fields.iter().find(|(name, _)| name == "act").map_or(Ok(Press::Save), |(_, word)| word.parse())?;
    let sheet = Sheet { case, typed: Typed::of_form(fields), lines: editing.lines.clone() };
    pressed(&app, (&member, &id.0), (press, sheet), editing).await
}

/// Does what a button of the editor asks for.
async fn pressed(app: &App, who: (&Member, &CaseId), what: (Press, Sheet), editing: Editing) -> Result<Response> {
    let ((member, case), (press, mut sheet)) = (who, what);
    let frame = frame_of(app, member);
    match press {
        Press::Add(row) => {
            let first = sheet.typed.add(row);
            return Ok(sheet.page(Remark::Nothing, &[], Some(&first), &frame).into_response());
        }
        Press::Remove(row, number) => {
            sheet.typed.remove(row, number);
            return Ok(sheet.page(Remark::Nothing, &[], None, &frame).into_response());
        }
        Press::Save => {}
    }
    let wish = match sheet.typed.read() {
        Ok(advisory) => EditAdvisory { advisory, version: sheet.typed.version() },
        Err(faults) => {
            let first = faults.first().map(|fault| fault.field.as_str());
            let page = sheet.page(Remark::Nothing, &faults, first, &frame);
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    match advisory::edit(app, &member.actor, case, &wish).await {
        Ok(()) => Ok(Redirect::to(&format!("/cases/{case}/advisory")).into_response()),
        Err(Error::Conflict) => {
            let theirs = Typed::of_draft(&editing.draft);
            sheet.typed.rebase(editing.draft.version);
            let (by, at) = (editing.edited_by.as_deref(), editing.edited_at.as_deref());
            let page = sheet.page(Remark::Overtaken { theirs: &theirs, by, at }, &[], None, &frame);
            Ok((StatusCode::CONFLICT, page).into_response())
        }
        // The one rule that looks past the fields is about who is thanked.
        Err(Error::Refused(refusal)) if refusal.kind() == RefusalKind::Input => {
            let faults = |why: &str| [Fault { field: "credits".to_owned(), sentence: why.to_owned() }];
            Ok(refused_on(|why| sheet.page(Remark::Nothing, &faults(why), None, &frame), refusal))
        }
        Err(Error::Refused(refusal)) if refusal.kind() == RefusalKind::Moment => {
            Ok(refused_on(|why| sheet.page(Remark::Refused(why), &[], None, &frame), refusal))
        }
        Err(error) => Err(error.into()),
    }
}

async fn approve(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Approval>) -> Result<Redirect> {
    advisory::approve(&app, &form.by.actor, &id.0, &form.value.digest).await?;
    Ok(Redirect::to(&format!("/cases/{}/advisory", id.0)))
}

async fn amend(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Amend>) -> Result<Redirect> {
    let Amend { act, why } = form.value;
    amendment::amend(&app, &form.by.actor, &id.0, &AmendRequest { act, why }).await?;
    Ok(Redirect::to(&format!("/cases/{}/advisory#public", id.0)))
}

async fn drop(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Nothing>) -> Result<Redirect> {
    amendment::drop(&app, &form.by.actor, &id.0).await?;
    Ok(Redirect::to(&format!("/cases/{}/advisory#public", id.0)))
}

async fn retell(State(app): State<Arc<App>>, id: CaseName, form: Form<Member, Retell>) -> Result<Redirect> {
    amendment::retell(&app, &form.by.actor, &id.0, &form.value.channel).await?;
    Ok(Redirect::to(&format!("/cases/{}/advisory#public", id.0)))
}

/// What an editor shows, whatever is said about it.
struct Sheet {
    case: String,
    typed: Typed,
    lines: Vec<String>,
}

impl Sheet {
    fn page(&self, remark: Remark<'_>, faults: &[Fault], focus: Option<&str>, frame: &Frame<'_>) -> Markup {
        let Self { case, typed, lines } = self;
        Editor { case, typed, faults, lines, remark, focus }.page(frame)
    }
}
