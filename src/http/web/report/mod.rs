//! The report form, and what comes of sending it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::get;
use maud::Markup;

use super::Result;
use super::field::CreditForm;
use super::page::Frame;
use super::upload::{self, Lost};
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::refusal::{Malformed, Refusal};
use crate::domain::report::ReportBody;
use crate::domain::sealed::Secret;
use crate::http::caller::{Named, SameSite, visit_cookie};
use crate::http::problem::Page;
use crate::wire::report::ReceiptView;
use crate::workflow::report;

pub(crate) mod page;

/// No form has more parts, files among them.
const MOST_PARTS: usize = 50;

/// Returns the routes of the report form.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/report/{project}", get(form).post(submit).layer(DefaultBodyLimit::disable()))
}

/// The text fields of the form, as they come.
#[derive(Default)]
struct Fields {
    title: String,
    text: String,
    versions: String,
    severity: String,
    credit: CreditForm,
    contact: String,
}

impl Fields {
    fn set(&mut self, name: &str, text: String) {
        match name {
            "title" => self.title = text,
            "text" => self.text = text,
            "versions" => self.versions = text,
            "severity" => self.severity = text,
            "credit" => self.credit.credit = text,
            "credit_name" => self.credit.credit_name = text,
            "contact" => self.contact = text,
            // A field this form does not have.
            _ => {}
        }
    }

    fn body(self) -> Result<ReportBody, Refusal> {
        let given = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let about = |what: &'static str| move |malformed: Malformed| Refusal::input(format!("{what}: {malformed}."));
        Ok(ReportBody {
            title: self.title.parse().map_err(about("The title"))?,
            versions: given(self.versions).map(|text| text.parse()).transpose().map_err(about("The versions"))?,
            text: self.text.parse().map_err(about("The report"))?,
            severity: self.severity.parse().map_err(about("The severity"))?,
            credit: self.credit.wish()?,
            contact: given(self.contact).map(|text| text.parse()).transpose().map_err(about("The mail address"))?,
        })
    }
}

async fn form(State(app): State<Arc<App>>, project: Named<ProjectId, Page>) -> Result<Markup> {
    let view = report::intake(&app, &project.0).await?;
    Ok(page::report_page(&view, &Frame::stranger()))
}

async fn submit(
    State(app): State<Arc<App>>,
    project: Named<ProjectId, Page>,
    _: SameSite,
    form: Multipart,
) -> Result<impl IntoResponse> {
    let (receipt, lost) = take(&app, &project.0, form).await?;
    let cookie = visit_cookie(&app, &Secret::new(receipt.visit.clone()));
    let page = page::receipt_page(&receipt, &lost, &Frame::stranger());
    Ok((StatusCode::CREATED, AppendHeaders([(header::SET_COOKIE, cookie)]), page))
}

/// A case that a form has opened, and the files of the form it did not get.
struct Opened {
    actor: Actor,
    case: CaseId,
    receipt: ReceiptView,
    lost: Vec<Lost>,
}

/// Takes the texts, opens the case at the first file or the end, and streams the files to it. Once the case is open
/// nothing fails any more: the claim code must reach the reporter, with the names of the files that were not taken.
async fn take(app: &App, project: &ProjectId, mut form: Multipart) -> Result<(ReceiptView, Vec<Lost>)> {
    let mut fields = Fields::default();
    let mut opened: Option<Opened> = None;
    for _ in 0..MOST_PARTS {
        let part = upload::next(&mut form).await;
        match (part, &mut opened) {
            (Ok(Some(field)), Some(opened)) => {
                opened.lost.extend(taken(upload::store(app, &opened.actor, &opened.case, field).await));
            }
            (Ok(Some(field)), None) if field.name() == Some("file") => {
                let begun = opened.insert(open(app, project, std::mem::take(&mut fields)).await?);
                begun.lost.extend(taken(upload::store(app, &begun.actor, &begun.case, field).await));
            }
            (Ok(Some(field)), None) => {
                let name = field.name().unwrap_or_default().to_owned();
                fields.set(&name, upload::text(field).await?);
            }
            (Ok(None), _) => break,
            (Err(_), Some(opened)) => {
                opened.lost.push(("The rest".to_owned(), "The form was cut off on its way.".to_owned()));
                break;
            }
            (Err(error), None) => return Err(error),
        }
    }
    let opened = match opened {
        Some(opened) => opened,
        None => open(app, project, fields).await?,
    };
    Ok((opened.receipt, opened.lost))
}

async fn open(app: &App, project: &ProjectId, fields: Fields) -> Result<Opened> {
    let (actor, receipt) = report::submit(app, project, &fields.body()?).await?;
    let case = receipt.case.parse()?;
    Ok(Opened { actor, case, receipt, lost: Vec::new() })
}

/// Turns a fault while storing a file into a sentence for the reporter and a line for the operator.
fn taken(stored: std::result::Result<Option<Lost>, crate::workflow::Error>) -> Option<Lost> {
    stored.unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(cause, "a file of a report could not be stored");
        Some(("A file".to_owned(), error.to_string()))
    })
}
