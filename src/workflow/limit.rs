//! How often strangers may ask: asked by the doors before the use case, and by uploads, which know their reporter.
//!
//! Sign-ins and claim codes have no bound over all addresses: with one, anybody could keep the team from signing in, or
//! reporters from their reports. What each costs is bounded where it is spent: one slow hash runs at a time, and a challenge is
//! forgotten in minutes.

use super::Result;
use crate::app::App;
use crate::domain::id::{ProjectId, RecipientId, ReportId};
use crate::domain::limit::{Asked, PerHour, Source};
use crate::domain::origin::Origin;
use crate::domain::refusal::Refusal;

/// Counts a report that is about to be taken, against its origin and, from the second one on, against its project: whoever
/// has sent none lately is heard although others flood the project. A project that is not there has no count.
pub fn report(app: &App, origin: Origin, project: &ProjectId) -> Result<()> {
    let limits = &app.config.limits;
    let first = app.strangers.is_new(Asked::Report, Source::Origin(origin), app.clock.now());
    let known = app.config.project(project).filter(|_| !first).map(|found| Source::Project(found.id.clone()));
    let of_project = known.map(|project| (project, limits.project_reports_per_hour));
    let sources = [(Source::Origin(origin), limits.reports_per_hour)].into_iter().chain(of_project);
    count(app, Asked::Report, sources, "Too many reports arrived from where you are, or for this project")
}

/// Counts a claim code that is about to be looked up.
pub fn claim(app: &App, origin: Origin) -> Result<()> {
    let sources = [(Source::Origin(origin), app.config.limits.claims_per_hour)];
    count(app, Asked::Claim, sources, "Too many claim codes were entered from where you are")
}

/// Counts a step of a sign-in.
pub fn sign_in(app: &App, origin: Origin) -> Result<()> {
    let sources = [(Source::Origin(origin), app.config.limits.sign_ins_per_hour)];
    count(app, Asked::SignIn, sources, "Too many sign-ins were tried from where you are")
}

/// Counts a file of a reporter that is about to be stored, against the report and its project.
pub(super) fn file(app: &App, report: ReportId, project: &ProjectId) -> Result<()> {
    let limits = &app.config.limits;
    let sources = [
        (Source::Report(report), limits.files_per_hour),
        (Source::Project(project.clone()), limits.project_files_per_hour),
    ];
    count(app, Asked::File, sources, "Too many files arrived for this report, or for the project")
}

/// Counts a copy that is about to be made for a member of an audience.
pub(super) fn copy(app: &App, recipient: RecipientId) -> Result<()> {
    let sources = [(Source::Recipient(recipient), app.config.limits.copies_per_hour)];
    count(app, Asked::Copy, sources, "Your copy was fetched very often")
}

fn count(
    app: &App,
    asked: Asked,
    sources: impl IntoIterator<Item = (Source, PerHour)>,
    too_many: &'static str,
) -> Result<()> {
    let counted = app.strangers.count(asked, sources, app.clock.now());
    Ok(counted.map_err(|wait| Refusal::often(too_many, wait))?)
}
