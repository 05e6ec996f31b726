//! What a case looks like to its members: what waits, what may be done, and everything that is known, in that order.

use maud::{Markup, html};

use super::{after, talk, work};
use crate::domain::access::{Action, Role};
use crate::domain::case::{CaseState, Verdict};
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, case_mark, distance, foreign, instant_field, mark, moment, word};
use crate::http::web::release::page::release_mark;
use crate::wire::case::{CaseView, EventView, MemberView, ReportView};

/// Renders a case.
pub(crate) fn case_page(view: &CaseView, frame: &Frame<'_>) -> Markup {
    let summary = &view.summary;
    let content = html! {
        p.eyebrow {
            (summary.id) " · " a href={ "/projects/" (summary.project) } { (summary.project) }
            " · you are " (word(&summary.role))
        }
        div.heading { h1 { (foreign(&summary.title)) } (case_mark(&summary.state)) }
        @if !summary.needs.is_empty() {
            div.notice.waiting role="note" { ul.todo { @for need in &summary.needs { li { (need) } } } }
        }
        div.pair {
            (date_card(view, frame))
            (state_card(view, frame))
        }
        nav.within aria-label="On this page" {
            a href="#reports" { "Report" } a href="#thread" { "Thread" }
            @if !view.fixes.is_empty() || !view.remotes.is_empty() || view.remote_pending { a href="#fixes" { "Fixes" } }
            a href="#attachments" { "Attachments" } a href="#members" { "Members" }
            @if may(view, Action::ReadTeam) { a href={ "/cases/" (summary.id) "/advisory" } { "Advisory" } }
            @if !view.opens.is_empty() && may(view, Action::ReadTeam) { a href={ "/cases/" (summary.id) "/record" } { "Public record" } }
            @if !view.history.is_empty() { a href="#history" { "History" } }
        }
        section #reports { @for report in &view.reports { (report_card(report)) } }
        (talk::thread(view, frame))
        (work::fixes(view, frame))
        (work::attachments(view, frame))
        (after::part(view, frame))
        (members(view, frame))
        (history(&view.summary.id, &view.history))
    };
    frame.page(&format!("{} {}", summary.id, summary.title), content)
}

/// Renders the terms of an invitation. Says nothing of the case but the id that was asked for.
pub(crate) fn invitation_page(case: &str, frame: &Frame<'_>) -> Markup {
    let content = html! {
        div.narrow {
            p.eyebrow { (case) }
            h1 { "Join a case under embargo" }
            p.lead { "If you were invited to this case, you read it once you agree to its terms." }
            section.card {
                h2 { "The terms" }
                ul {
                    li { "What stands in the case stays in it until it is public: no hint, no early fix, no public commit." }
                    li { "You pass it to nobody, also not inside your organisation, without asking the team first." }
                    li { "You keep to the date, and tell the team at once if something leaked or is attacked." }
                }
                div.row {
                    (frame.button(&format!("/cases/{case}/join"), "primary", "Agree and join"))
                    (frame.button(&format!("/cases/{case}/decline"), "", "Decline"))
                }
            }
        }
    };
    frame.page(&format!("Join {case}"), content)
}

/// Tells whether the viewer may do this.
pub(super) fn may(view: &CaseView, action: Action) -> bool {
    view.allowed.iter().any(|allowed| allowed == action.as_str())
}

/// The path of the case, with what is done to it.
pub(super) fn path(view: &CaseView, act: &str) -> String {
    format!("/cases/{}/{act}", view.summary.id)
}

fn date_card(view: &CaseView, frame: &Frame<'_>) -> Markup {
    html! {
        section.card #date {
            h2 { "The date" }
            @match (&view.summary.published_at, &view.summary.date) {
                (Some(at), _) => p { (mark(Tone::Good, "public")) " since " (moment(at)) },
                (None, Some(at)) => { p.big { (moment(at)) } p.soft { "public " (distance(at, frame.now())) } }
                (None, None) if view.date_state == "exited" => p { "The embargo is over: it may be disclosed." },
                (None, None) => p { "No date is agreed yet." },
            }
            @for release in &view.releases {
                p { "Release " a href={ "/releases/" (release.id) } { (release.id) } " " (release_mark(&release.state)) " " span.soft { (moment(&release.due_at)) } }
            }
            @if let Some((at, by)) = &view.date_proposed { (proposal(view, (at, by), frame)) }
            @if may(view, Action::Date) && view.summary.published_at.is_none() && view.date_state != "exited" {
                details {
                    summary { "Propose another date" }
                    form method="post" action=(path(view, "date")) {
                        (frame.token())
                        (instant_field("propose-at", "Public at"))
                        button name="act" value="propose" { "Propose" }
                    }
                    @if view.summary.role != Role::Reporter.as_str() && view.summary.date.is_some() {
                        form method="post" action=(path(view, "date")) {
                            (frame.token())
                            p.soft { "Ending the embargo permits disclosure; it publishes nothing by itself." }
                            button.danger name="act" value="terminate" { "End the embargo" }
                        }
                    }
                }
            }
        }
    }
}

fn proposal(view: &CaseView, proposed: (&str, &str), frame: &Frame<'_>) -> Markup {
    let (at, by) = proposed;
    let own = (by == "reporter") == (view.summary.role == Role::Reporter.as_str());
    html! {
        div.notice.waiting {
            p { "The " (by) " proposes " strong { (moment(at)) } " " span.soft { "(" (distance(at, frame.now())) ")" } }
            @if own {
                p.soft { "The other side has not answered." }
            } @else if may(view, Action::Date) {
                form.row method="post" action=(path(view, "date")) {
                    (frame.token())
                    button.primary name="act" value="accept" { "Agree" }
                    button name="act" value="reject" { "Reject" }
                }
            }
        }
    }
}

fn state_card(view: &CaseView, frame: &Frame<'_>) -> Markup {
    let state = view.summary.state.parse::<CaseState>().ok();
    html! {
        section.card #state {
            h2 { "State" }
            p { (case_mark(&view.summary.state)) @if let Some(verdict) = &view.verdict { " as " (word(verdict)) } }
            p.soft {
                "Opened " (moment(&view.summary.opened_at)) ". "
                @match &view.acknowledged_at {
                    Some(at) => { "Answered " (moment(at)) "." }
                    None => strong { "The reporter has had no answer yet." },
                }
            }
            @match state {
                Some(state) => (acts(view, state, frame)),
                // What was published is over once somebody says so.
                None if view.summary.published_at.is_some() && view.verdict.is_none() => (closing(view, frame)),
                None => {}
            }
        }
    }
}

/// What may follow the state, the likely act first.
fn acts(view: &CaseView, state: CaseState, frame: &Frame<'_>) -> Markup {
    let (triage, accept) = (may(view, Action::Triage), may(view, Action::Accept));
    let acknowledge = triage && view.acknowledged_at.is_none();
    let (accepts, rest, closes): (bool, &[(&str, &str)], bool) = match state {
        CaseState::Received => (true, &[("validate", "Confirm"), ("invalidate", "Not a vulnerability")], false),
        CaseState::Invalid => (false, &[("validate", "Confirm after all")], true),
        CaseState::Valid => (true, &[("defer", "Put off")], false),
        CaseState::Accepted => (false, &[("defer", "Put off")], true),
        CaseState::Deferred => (true, &[], true),
        CaseState::Closed => (false, &[], false),
    };
    html! {
        div.row {
            @if accepts && accept { (frame.button(&path(view, "accept"), "primary", "Accept")) }
            @if acknowledge { (frame.button(&path(view, "acknowledge"), "", "Acknowledge")) }
            @if triage { @for (act, label) in rest { (frame.button(&path(view, act), "", label)) } }
        }
        @if accepts && accept { p.soft.small { "Accepting makes the private remote and tells the reporter." } }
        @if closes { (closing(view, frame)) }
    }
}

/// The form that closes the case, for those who may.
fn closing(view: &CaseView, frame: &Frame<'_>) -> Markup {
    html! {
        @if may(view, Action::Triage) {
            details {
                summary { "Close" }
                form method="post" action=(path(view, "close")) {
                    (frame.token())
                    label for="verdict" { "It turned out to be" }
                    select #verdict name="verdict" { @for verdict in Verdict::ALL {
                        option value=(verdict) { (verdict_words(*verdict)) }
                    } }
                    button.danger { "Close the case" }
                }
            }
        }
    }
}

fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "a vulnerability",
        Verdict::Invalid => "not a vulnerability",
        Verdict::Duplicate => "known from another case",
        Verdict::OutOfScope => "nothing this project looks after",
        Verdict::Spam => "not sent in earnest",
    }
}

fn report_card(report: &ReportView) -> Markup {
    html! {
        article.card.report {
            div.heading {
                h2 { "Report: " (foreign(&report.title)) }
                span.soft { (moment(&report.received_at)) }
            }
            p.facts {
                span { "Severity by the reporter: " strong { (report.severity) } }
                @if let Some(versions) = &report.versions { span { "Versions: " strong { (foreign(versions)) } } }
                span { "Credit: " strong { (foreign(&report.credit)) } }
                span { @if report.has_contact { "Notices reach the reporter" } @else { "No address for notices: the reporter looks in" } }
            }
            div.text dir="auto" { (report.text) }
        }
    }
}

fn members(view: &CaseView, frame: &Frame<'_>) -> Markup {
    html! {
        section #members {
            h2 { "Members" }
            ul.people { @for member in &view.members { li { (member_row(view, member, frame)) } } }
            @if may(view, Action::Members) {
                details.card {
                    summary { "Invite somebody" }
                    form method="post" action=(path(view, "members")) {
                        (frame.token())
                        label for="handle" { "Handle" }
                        input #handle name="handle" required maxlength="32" autocomplete="off" autocapitalize="none" spellcheck="false";
                        label for="role" { "As" }
                        select #role name="role" { @for role in Role::ALL.iter().filter(|role| **role != Role::Reporter) {
                            option value=(role) selected[*role == Role::Guest] { (word(role.as_str())) }
                        } }
                        p.hint { "A guest reads nothing before agreeing to the terms." }
                        button { "Invite" }
                    }
                }
            }
        }
    }
}

fn member_row(view: &CaseView, member: &MemberView, frame: &Frame<'_>) -> Markup {
    let waits = (member.consent == "invited").then_some("has not agreed yet");
    let gone = (member.consent == "declined").then_some("declined");
    html! {
        strong { (foreign(&member.name)) }
        @if let Some(handle) = &member.handle { " " span.soft { "@" (handle) } }
        @if member.role != member.name { span.role { (word(&member.role)) } }
        @if let Some(words) = waits.or(gone) { (mark(Tone::Neutral, words)) }
        @if let (Some(handle), true) = (&member.handle, may(view, Action::Members)) {
            form.inline.last method="post" action=(path(view, &format!("members/{handle}/remove"))) {
                (frame.token())
                button.plain aria-label={ "Remove " (handle) } { "Remove" }
            }
        }
    }
}

fn history(case: &str, events: &[EventView]) -> Markup {
    html! {
        @if !events.is_empty() {
            section #history {
                h2 { "History" }
                p { a href={ "/cases/" (case) "/retrospective" } { "Retrospective" } span.soft { " drafted from it" } }
                details {
                    summary { (events.len()) " entries, newest first" }
                    ol.history { @for event in events {
                        li { (moment(&event.at)) span.who { (event.actor) } span { (event.kind.replace('.', " ")) " " span.soft { (event.object) } } }
                    } }
                }
            }
        }
    }
}
