//! The form that plans a release.

use maud::{Markup, html};

use super::pushed::{options, strategy_words, style_words};
use crate::domain::project::TagStyle;
use crate::domain::recipe::Strategy;
use crate::http::web::page::Frame;
use crate::http::web::piece::{foreign, instant_field};
use crate::wire::case::CaseSummary;
use crate::wire::project::{LineView, ProjectView, RepositoryView};

/// Renders the form over these cases.
pub(super) fn plan_form(project: &ProjectView, cases: &[&CaseSummary], frame: &Frame<'_>) -> Markup {
    html! {
        form method="post" action={ "/projects/" (project.id) "/releases" } {
            (frame.token())
            fieldset {
                legend { "Cases" }
                @for case in cases {
                    label.choice { input type="checkbox" name="case" value=(case.id); span { (case.id) " " (foreign(&case.title)) } }
                }
            }
            fieldset {
                legend { "Tags" }
                p.hint { "One for each line that ships. Leave a line empty that does not." }
                @for (at, repository) in project.repositories.iter().enumerate() {
                    @for (n, line) in repository.lines.iter().enumerate() { (line_fields((repository, line), &format!("{at}-{n}"))) }
                }
            }
            (instant_field("due-at", "The instant"))
            (super::details::field("plan-details-after", ""))
            label for="tests-after" { "Tests that are held back follow" }
            input #tests-after name="tests_after" autocomplete="off" spellcheck="false" placeholder="14d" aria-describedby="tests-after-hint";
            p.hint #tests-after-hint { "What is pushed to " code { "tests/<line>" } " stays private at the instant, and becomes public this long after it: " code { "14d" } ", " code { "36h" } ", or " code { "never" } ". Leave it empty where there are none." }
            button.primary { "Plan" }
        }
    }
}

fn line_fields(place: (&RepositoryView, &LineView), id: &str) -> Markup {
    let (repository, line) = place;
    let name = |what: &str| format!("{what}:{}:{}", repository.name, line.name);
    html! {
        label for={ "tag-" (id) } { (repository.name) " " code { (foreign(&line.name)) } }
        input id={ "tag-" (id) } name=(name("tag")) autocomplete="off" spellcheck="false" placeholder="v1.2.3";
        details {
            summary { "How it is put onto " code { (foreign(&line.name)) } }
            label for={ "strategy-" (id) } { "Fixes" }
            select id={ "strategy-" (id) } name=(name("strategy")) {
                (options(Strategy::ALL.iter().map(|each| (each.as_str(), strategy_words(*each))), &line.strategy))
            }
            label for={ "tags-" (id) } { "The tag" }
            select id={ "tags-" (id) } name=(name("tags")) {
                (options(TagStyle::ALL.iter().map(|each| (each.as_str(), style_words(*each))), &line.tags))
            }
        }
    }
}
