//! The frame of every page.
//!
//! Guards: whole without script, nothing inline that the content policy forbids, a form of a known viewer carries the
//! token of their session. Leaves who looks to `caller`, pieces to [`super::piece`], and pages to their own files.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::piece::sentence;
use crate::domain::text::shown;
use crate::wire::problem::Problem;

/// Who looks at a page, as far as its frame and its forms need to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    viewer: Viewer<'a>,
    now: Timestamp,
}

/// The kinds of people who see pages.
#[derive(Clone, Copy, Debug)]
enum Viewer<'a> {
    /// Nobody looked who it is.
    Anyone,
    Stranger,
    Reporter(&'a str),
    Member(&'a str),
}

impl<'a> Frame<'a> {
    /// The frame for a page that is the same for everyone: without ways that need a sign-in, or hint at one.
    pub(crate) fn anyone() -> Self {
        Self { viewer: Viewer::Anyone, now: Timestamp::UNIX_EPOCH }
    }

    /// The frame for somebody who is not signed in. Its pages tell no distances.
    pub(crate) fn stranger() -> Self {
        Self { viewer: Viewer::Stranger, now: Timestamp::UNIX_EPOCH }
    }

    /// The frame for a reporter during a visit, with the token of the visit's forms.
    pub(crate) fn reporter(form_token: &'a str, now: Timestamp) -> Self {
        Self { viewer: Viewer::Reporter(form_token), now }
    }

    /// The frame for a person who is signed in, with the token of the session's forms.
    pub(crate) fn member(form_token: &'a str, now: Timestamp) -> Self {
        Self { viewer: Viewer::Member(form_token), now }
    }

    /// Returns the instant the page was made.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Puts the token of the viewer's forms into a form.
    pub(crate) fn token(&self) -> Markup {
        html! {
            @match self.viewer {
                Viewer::Reporter(token) | Viewer::Member(token) => input type="hidden" name="form_token" value=(token);,
                Viewer::Stranger | Viewer::Anyone => {}
            }
        }
    }

    /// A form that is nothing but its button.
    pub(crate) fn button(&self, action: &str, class: &str, label: &str) -> Markup {
        html! { form.inline method="post" action=(action) { (self.token()) button class=(class) { (label) } } }
    }

    /// Puts a page into the frame.
    pub(crate) fn page(&self, title: &str, content: Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (shown(title)) " · embargo" }
                    link rel="icon" href="/icon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/style.css";
                    script src="/script.js" type="module" {}
                }
                body {
                    a.skip href="#content" { "Skip to content" }
                    header.top {
                        nav aria-label="Main" {
                            a.brand href="/" { img src="/icon.svg" alt="" width="22" height="22"; "embargo" }
                            (self.way_around())
                        }
                    }
                    main #content { (content) }
                    @match self.viewer {
                        Viewer::Member(_) | Viewer::Reporter(_) => {
                            footer.foot { p { "What stands here is not public unless it says so. Do not pass it on." } }
                        }
                        Viewer::Stranger | Viewer::Anyone => {}
                    }
                }
            }
        }
    }

    fn way_around(&self) -> Markup {
        html! {
            @match self.viewer {
                Viewer::Member(_) => {
                    a href="/" { "Home" }
                    a href="/advisories" { "Advisories" }
                    a.last href="/account" { "Account" }
                }
                Viewer::Reporter(_) => {
                    a href="/advisories" { "Advisories" }
                    form.inline.last method="post" action="/r/leave" { (self.token()) button.plain { "Leave this page" } }
                }
                Viewer::Anyone => {}
                Viewer::Stranger => {
                    a href="/advisories" { "Advisories" }
                    a href="/r/" { "Your report" }
                    a.last href="/sign-in" { "Sign in" }
                }
            }
        }
    }
}

/// Shows a failure: the same to everyone.
pub(crate) fn problem_page(problem: &Problem) -> Markup {
    let content = html! {
        div.narrow {
            h1 { (problem.title) }
            @if problem.blockers.is_empty() {
                @if let Some(detail) = &problem.detail { p.lead { (sentence(detail)) } }
            } @else {
                ul { @for blocker in &problem.blockers { li { (sentence(blocker)) } } }
            }
            @if let Some(incident) = &problem.incident {
                p { "The operator finds more in the log under " code { (incident) } "." }
            }
            p { a.button href="/" { "Go to the start page" } }
        }
    };
    Frame::anyone().page(&problem.title, content)
}
