//! The report form, and what comes of sending it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::get;
use maud::Markup;

use super::Result;
use super::field::CreditForm;
use super::page::Frame;
use super::parts::Parts;
use super::upload::{self, Lost};
use crate::app::App;
use crate::domain::actor::Actor;
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::refusal::{Malformed, Refusal};
use crate::domain::report::ReportBody;
use crate::domain::sealed::Secret;
use crate::http::caller::{Named, SameSite, visit_cookie};
use crate::http::origin::Sender;
use crate::http::problem::{Page, PageError, refused_on};
use crate::wire::report::ReceiptView;
use crate::workflow::{Error, limit, report};

pub(crate) mod page;

/// No form has more parts, files among them.
const MOST_PARTS: usize = 50;

/// Returns the routes of the report form.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/report/{project}", get(form).post(submit).layer(DefaultBodyLimit::disable()))
}

/// The text fields of the form, as they come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    title: String,
    text: String,
    versions: String,
    severity: String,
    credit: CreditForm,
    contact: String,
}

/// Why there is no receipt.
enum Unsent {
    /// A rule said no: the form comes back as it was filled in.
    Refused(Box<Fields>, Refusal),
    /// Anything else.
    Failed(PageError),
}

impl<E: Into<PageError>> From<E> for Unsent {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
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

    fn body(&self) -> Result<ReportBody, Refusal> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let about = |what: &'static str| move |malformed: Malformed| Refusal::input(format!("{what}: {malformed}."));
        Ok(ReportBody {
            title: self.title.parse().map_err(about("The title"))?,
            versions: given(&self.versions).map(|text| text.parse()).transpose().map_err(about("The versions"))?,
            text: self.text.parse().map_err(about("The report"))?,
            severity: self.severity.parse().map_err(about("The severity"))?,
            credit: self.credit.wish()?,
            contact: given(&self.contact).map(|text| text.parse()).transpose().map_err(about("The mail address"))?,
        })
    }
}

async fn form(State(app): State<Arc<App>>, project: Named<ProjectId, Page>) -> Result<Markup> {
    let view = report::intake(&app, &project.0).await?;
    Ok(page::report_page(&view, &Frame::stranger()))
}

async fn submit(
    State(app): State<Arc<App>>,
    sender: Sender,
    project: Named<ProjectId, Page>,
    _: SameSite,
    mut form: Parts,
) -> Result<Response> {
    let (receipt, lost) = match take(&app, (sender, &project.0), &mut form).await {
        Ok(taken) => taken,
        Err(Unsent::Refused(fields, refusal)) => {
            upload::drain(&mut form).await;
            let view = report::intake(&app, &project.0).await?;
            return Ok(refused_on(|why| page::returned_page(&view, (&fields, why), &Frame::stranger()), refusal));
        }
        Err(Unsent::Failed(error)) => return Err(error),
    };
    let cookie = visit_cookie(&app, &Secret::new(receipt.visit.clone()));
    let lost: Vec<_> = lost.into_iter().map(|(name, why)| (name, why.to_string())).collect();
    let page = page::receipt_page(&receipt, &lost, &Frame::stranger());
    Ok((StatusCode::CREATED, AppendHeaders([(header::SET_COOKIE, cookie)]), page).into_response())
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
async fn take(app: &App, to: (Sender, &ProjectId), form: &mut Parts) -> Result<(ReceiptView, Vec<Lost>), Unsent> {
    let mut fields = Fields::default();
    let mut opened: Option<Opened> = None;
    for _ in 0..MOST_PARTS {
        let part = upload::next(form).await;
        match (part, &mut opened) {
            (Ok(Some(field)), Some(opened)) => {
                opened.lost.extend(taken(upload::store(app, &opened.actor, &opened.case, field).await));
            }
            (Ok(Some(field)), None) if field.name() == Some("file") => {
                let begun = opened.insert(open(app, to, std::mem::take(&mut fields)).await?);
                begun.lost.extend(taken(upload::store(app, &begun.actor, &begun.case, field).await));
            }
            (Ok(Some(field)), None) => {
                let name = field.name().unwrap_or_default().to_owned();
                fields.set(&name, upload::text(field).await?);
            }
            (Ok(None), _) => break,
            (Err(_), Some(opened)) => {
                opened.lost.push(("The rest".to_owned(), Refusal::input("The form was cut off on its way.")));
                break;
            }
            (Err(error), None) => return Err(error.into()),
        }
    }
    let opened = match opened {
        Some(opened) => opened,
        None => open(app, to, fields).await?,
    };
    Ok((opened.receipt, opened.lost))
}

async fn open(app: &App, to: (Sender, &ProjectId), fields: Fields) -> Result<Opened, Unsent> {
    let (sender, project) = to;
    let submitted = async {
        let body = fields.body()?;
        limit::report(app, sender.0, project)?;
        report::submit(app, project, &body).await
    };
    match submitted.await {
        Ok((actor, receipt)) => {
            Ok(Opened { actor, case: receipt.case.parse().map_err(Error::from)?, receipt, lost: Vec::new() })
        }
        Err(Error::Refused(refusal)) => Err(Unsent::Refused(Box::new(fields), refusal)),
        Err(error) => Err(error.into()),
    }
}

/// Turns a fault while storing a file into a sentence for the reporter and a line for the operator.
fn taken(stored: Result<Option<Lost>, Error>) -> Option<Lost> {
    stored.unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        tracing::error!(cause, "a file of a report could not be stored");
        Some(("A file".to_owned(), Refusal::moment(error.to_string())))
    })
}
