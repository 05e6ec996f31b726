//! What a case offers after its disclosure: the cases that follow up on it, and a new one.

use maud::{Markup, html};

use super::page::{may, path};
use crate::domain::access::Action;
use crate::domain::follow_up::{Because, End};
use crate::http::web::page::Frame;
use crate::http::web::piece::{moment, word};
use crate::wire::case::CaseView;
use crate::wire::retrospective::RetrospectiveView;

/// Renders the links of a case, and once it is public the form of a case that follows up on it.
pub(super) fn part(view: &CaseView, frame: &Frame<'_>) -> Markup {
    let public = view.summary.published_at.is_some();
    let opens = public && may(view, Action::Accept);
    html! {
        @if opens || !view.links.is_empty() {
            section #after {
                h2 { "Linked cases" }
                @for link in &view.links {
                    p {
                        a href={ "/cases/" (link.case) } { (link.case) } " "
                        @match link.end {
                            End::Later => { "follows up on this one: " (words(link.because)) },
                            End::Earlier => { "was first: " (words(link.because)) },
                        }
                    }
                }
                @if opens {
                    details.card {
                        summary { "Open a case that follows up on this one" }
                        form method="post" action=(path(view, "follow-up")) {
                            (frame.token())
                            label for="because" { "Because" }
                            select #because name="because" { @for because in Because::ALL {
                                option value=(because) { (words(*because)) }
                            } }
                            label for="follow-up-title" { "What members call it" }
                            input #follow-up-title name="title" required maxlength="200" dir="auto";
                            p.hint { "It is accepted at once, with the team's members of this case. Its reporters are no members: invite whom you need. Who sits in one of the two alone learns nothing of the other." }
                            button { "Open the case" }
                        }
                    }
                }
            }
        }
    }
}

/// Renders what was recorded of a case, and the draft that people go on with.
pub(crate) fn retrospective_page(view: &RetrospectiveView, frame: &Frame<'_>) -> Markup {
    let content = html! {
        p.eyebrow { a href={ "/cases/" (view.case) } { (view.case) } }
        h1 { "Retrospective" }
        p.lead { "Drafted from what was recorded when it happened. It holds no text of the case." }
        @if view.steps.is_empty() {
            p { "Nothing is recorded." }
        } @else {
            table.stack {
                thead { tr { th scope="col" { "What" } th scope="col" { "When" } } }
                tbody { @for step in &view.steps {
                    tr { th scope="row" { (step.name) } td data-label="When" { (moment(&step.at)) } }
                } }
            }
        }
        @for wait in &view.waits {
            p { "Waited for " strong { (word(&wait.reason)) } " from " (moment(&wait.from)) @if let Some(to) = &wait.to { " to " (moment(to)) } "." }
        }
        @for told in &view.told {
            p { strong { (told.audience) } " (" (told.level) "): " (told.copies) " told before, " (told.acknowledged) " acknowledged." }
        }
        h2 { "To go on with" }
        pre.document tabindex="0" { (view.markdown) }
    };
    frame.page(&format!("Retrospective of {}", view.case), content)
}

fn words(because: Because) -> &'static str {
    match because {
        Because::Incomplete => "the fix was incomplete",
        Because::Superseded => "another fix takes its place",
        Because::Regression => "the fix made a flaw of its own",
    }
}
