//! The start page: what needs me, sorted by distance to the date; then my other cases and my projects.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};

use super::page::Frame;
use super::piece::{case_mark, distance, foreign, moment, word};
use super::release::page::release_mark;
use super::{Result, frame_of};
use crate::app::App;
use crate::domain::project::Project;
use crate::domain::release::ReleaseState;
use crate::http::caller::Member;
use crate::wire::case::CaseSummary;
use crate::wire::release::ReleaseSummary;
use crate::workflow::{case, project, release};

/// Returns the route of the start page.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/", get(home))
}

async fn home(State(app): State<Arc<App>>, member: Member) -> Result<Markup> {
    let cases = case::list(&app, &member.actor).await?;
    let projects = project::list(&app, &member.actor).await?;
    let mut releases = release::list(&app, &member.actor).await?;
    releases.retain(|release| !matches!(release.state.parse(), Ok(ReleaseState::Done | ReleaseState::Abandoned)));
    Ok(home_page(&cases, &releases, &projects, &frame_of(&app, &member)))
}

/// Renders the start page of a person.
pub(crate) fn home_page(
    cases: &[CaseSummary],
    releases: &[ReleaseSummary],
    projects: &[Project],
    frame: &Frame<'_>,
) -> Markup {
    let (waiting, rest) = sorted(cases);
    let content = html! {
        h1 { "What needs me" }
        @if !releases.is_empty() { ol.needs { @for release in releases { (train(release, frame)) } } }
        @if waiting.is_empty() {
            div.empty { p { strong { "Nothing waits for you." } } p.soft { "New reports and dates that come near appear here." } }
        } @else {
            ol.needs { @for case in &waiting { (needing(case, frame)) } }
        }
        @if !rest.is_empty() {
            h2 { "My other cases" }
            table.stack {
                thead { tr { th scope="col" { "Case" } th scope="col" { "State" } th scope="col" { "My role" } th scope="col" { "Date" } } }
                tbody { @for case in &rest { (row(case)) } }
            }
        }
        h2 { "My projects" }
        @if projects.is_empty() {
            p.soft { "You are in no team yet. The operator adds people to teams." }
        } @else {
            ul.cards {
                @for project in projects {
                    li.card {
                        h3 { a href={ "/projects/" (project.id) } { (project.name) } }
                        p.soft { "Cases are named " (project.prefix) "-1, " (project.prefix) "-2, …" }
                        p { a href={ "/report/" (project.id) } { "Report form" } }
                    }
                }
            }
        }
    };
    frame.page("Home", content)
}

/// Parts the cases into those that need the person and the rest, each by distance to the date.
fn sorted(cases: &[CaseSummary]) -> (Vec<&CaseSummary>, Vec<&CaseSummary>) {
    let mut all: Vec<&CaseSummary> = cases.iter().collect();
    // RFC 3339 in UTC sorts as text; no date comes after every date.
    all.sort_by_key(|case| (over(case), case.date.is_none(), case.date.as_deref(), case.opened_at.as_str()));
    all.into_iter().partition(|case| !case.needs.is_empty())
}

fn over(case: &CaseSummary) -> bool {
    case.published_at.is_some() || case.state == "closed"
}

/// Renders a release that is not over: what is due, and what would stop it.
fn train(release: &ReleaseSummary, frame: &Frame<'_>) -> Markup {
    html! {
        li.card.need {
            div.what {
                p.eyebrow { "Release · " (release.project) }
                h3 { a.whole href={ "/releases/" (release.id) } { (release.id) } }
                ul.todo { @for need in &release.needs { li { (need) } } }
            }
            div.when {
                strong { (distance(&release.due_at, frame.now())) } span.soft { (moment(&release.due_at)) }
                (release_mark(&release.state))
            }
        }
    }
}

fn row(case: &CaseSummary) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/cases/" (case.id) } { (case.id) } " " (foreign(&case.title)) }
            td data-label="State" { (case_mark(&case.state)) }
            td data-label="My role" { (word(&case.role)) }
            td data-label="Date" { @match case.published_at.as_ref().or(case.date.as_ref()) {
                Some(date) => (moment(date)),
                None => span.soft { "none yet" },
            } }
        }
    }
}

fn needing(case: &CaseSummary, frame: &Frame<'_>) -> Markup {
    html! {
        li.card.need {
            div.what {
                p.eyebrow { (case.id) " · " (case.project) }
                h3 { a.whole href={ "/cases/" (case.id) } { (foreign(&case.title)) } }
                ul.todo { @for need in &case.needs { li { (need) } } }
            }
            div.when {
                @match &case.date {
                    Some(date) => { strong { (distance(date, frame.now())) } span.soft { (moment(date)) } }
                    None => span.soft { "no date yet" },
                }
                (case_mark(&case.state))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(id: &str, date: Option<&str>, needs: &[&str]) -> CaseSummary {
        CaseSummary {
            id: id.to_owned(),
            project: "demo".to_owned(),
            title: "Sample".to_owned(),
            state: "accepted".to_owned(),
            role: "triager".to_owned(),
            date: date.map(str::to_owned),
            opened_at: "2030-01-01T00:00:00Z".to_owned(),
            published_at: None,
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        }
    }

    #[test]
    fn the_nearest_date_comes_first_and_no_date_last() {
        let cases = [
            case("DEMO-1", None, &["Answer"]),
            case("DEMO-2", Some("2030-03-01T00:00:00Z"), &["Answer"]),
            case("DEMO-3", Some("2030-02-01T00:00:00Z"), &["Answer"]),
            case("DEMO-4", Some("2030-01-02T00:00:00Z"), &[]),
        ];
        let (waiting, rest) = sorted(&cases);
        assert_eq!(waiting.iter().map(|case| case.id.as_str()).collect::<Vec<_>>(), ["DEMO-3", "DEMO-2", "DEMO-1"]);
        assert_eq!(rest.iter().map(|case| case.id.as_str()).collect::<Vec<_>>(), ["DEMO-4"]);
    }
}
