//! The frame of every page, and the pieces that pages share.

use maud::{DOCTYPE, Markup, html};

use crate::http::caller::MakesForms;
use crate::wire::problem::Problem;

/// Puts a page into the frame. `member` shows the way around for people who are signed in.
pub(crate) fn page(title: &str, member: bool, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href="/assets/style.css";
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header {
                    nav aria-label="Main" {
                        a.brand href="/" { "embargo" }
                        @if member {
                            a href="/" { "Home" }
                            a href="/account" { "Account" }
                        }
                    }
                }
                main #content { (content) }
            }
        }
    }
}

/// Puts the token of the page's session into a form.
pub(crate) fn form_token(by: &impl MakesForms) -> Markup {
    html! { input type="hidden" name="form_token" value=(by.form_token()); }
}

/// Shows a failure.
pub(crate) fn problem_page(problem: &Problem) -> Markup {
    let content = html! {
        h1 { (problem.title) }
        @if problem.blockers.is_empty() {
            @if let Some(detail) = &problem.detail { p { (detail) } }
        } @else {
            ul { @for blocker in &problem.blockers { li { (blocker) } } }
        }
        @if let Some(incident) = &problem.incident {
            p { "The operator finds more in the log under " code { (incident) } "." }
        }
        p { a href="/" { "Go to the start page" } }
    };
    page(&problem.title, false, content)
}
