//! What a project's page looks like.

use maud::{Markup, html};

use crate::domain::project::UpstreamState;
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, foreign, mark, moment, sentence, short, word};
use crate::wire::project::{ProjectView, RepositoryView};

/// Renders a project's page. `releases` is the part of the release trains.
pub(crate) fn project_page(view: &ProjectView, releases: Markup, frame: &Frame<'_>) -> Markup {
    let content = html! {
        p.eyebrow { "Project " (view.id) }
        h1 { (view.name) }
        p.lead {
            @match view.open_cases { 0 => "No open case of yours.", 1 => "One open case of yours.", n => { (n) " open cases of yours." } }
            " " a href={ "/report/" (view.id) } { "The report form" } " is what you link from the project's website and " code { "SECURITY.md" } "."
        }
        @if !view.takes_attachments {
            div.notice.waiting role="note" {
                p { strong { "Reports cannot be taken yet." } " Nobody of the team has a key for attachments: add one on your " a href="/account#keys" { "account page" } "." }
            }
        }
        @if let Some(trouble) = &view.mail_trouble {
            div.notice.waiting role="note" { p { strong { "No mail." } " " (sentence(trouble)) } }
        }
        div.heading {
            h2 { "Repositories" }
            @if view.may_mirror { (frame.button(&format!("/projects/{}/mirror", view.id), "", "Fetch now")) }
        }
        @for repository in &view.repositories { (repository_card(repository)) }
        (releases)
        h2 { "Team" }
        @if view.team_kind == "solo" {
            p.soft { "One volunteer: one arms a release, and the own approval counts after a short delay." }
        }
        ul.people { @for person in &view.team {
            li { strong { (foreign(&person.name)) } " " span.soft { "@" (person.handle) } span.role { (word(&person.role)) } }
        } }
    };
    frame.page(&view.name, content)
}

fn repository_card(repository: &RepositoryView) -> Markup {
    html! {
        section.card {
            div.heading { h3 { (repository.name) } (state(&repository.state)) }
            p.soft { code { (foreign(&repository.url)) } }
            @if !repository.note.is_empty() { p { (sentence(&repository.note)) } }
            @if let Some(progress) = &repository.progress { p role="status" { (mark(Tone::Busy, progress)) } }
            @if repository.lines.is_empty() {
                p.soft { "No lines are known yet." }
            } @else {
                dl.lines { @for line in &repository.lines {
                    div { dt { code { (foreign(&line.name)) } } dd { @match &line.head {
                        Some(head) => code.soft title=(head) { (short(head)) },
                        None if repository.checked_at.is_none() => span.soft { "not fetched yet" },
                        None => span.soft { "not in the mirror" },
                    } } }
                } }
            }
            @if let Some(at) = &repository.checked_at { p.soft.small { "Looked at " (moment(at)) } }
        }
    }
}

fn state(state: &str) -> Markup {
    let (tone, words) = match state.parse::<UpstreamState>() {
        Ok(UpstreamState::Unknown) => (Tone::Neutral, "not looked at yet"),
        Ok(UpstreamState::Ok) => (Tone::Good, "up to date"),
        Ok(UpstreamState::Down) => (Tone::Bad, "does not answer"),
        Ok(UpstreamState::Moved) => (Tone::Bad, "cannot be fetched"),
        Ok(UpstreamState::Empty) => (Tone::Waiting, "has no branch"),
        Ok(UpstreamState::Rewritten) => (Tone::Waiting, "history was rewritten"),
        Err(_) => (Tone::Neutral, state),
    };
    mark(tone, words)
}
