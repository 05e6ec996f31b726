//! What a release looks like: what ships, when, what still blocks it, and the journal of the run.

use maud::{Markup, html};

use super::plan_form::plan_form;
use super::{candidate, pushed};
use crate::domain::effect::{EffectState, Phase};
use crate::domain::release::ReleaseState;
use crate::domain::text::shown;
use crate::http::web::page::Frame;
use crate::http::web::piece::{
    Tone, distance, exact_time, foreign, instant_field, mark, moment, sentence, short, word,
};
use crate::wire::case::CaseSummary;
use crate::wire::project::ProjectView;
use crate::wire::release::{EffectView, HasteView, HoldView, ReleaseSummary, ReleaseView, TargetView};

/// Renders a release.
pub(crate) fn release_page(view: &ReleaseView, frame: &Frame<'_>) -> Markup {
    let summary = &view.summary;
    let content = html! {
        p.eyebrow { "Release " (summary.id) " · " a href={ "/projects/" (summary.project) } { (summary.project) } }
        div.heading { h1 { "Disclosure of " (view.cases.join(", ")) } (release_mark(&summary.state)) }
        @if let Some(hold) = &view.hold { (held(hold)) }
        @if let Some(haste) = &view.haste { @if haste.since.is_some() || !haste.asked_by.is_empty() { (hastened(haste)) } }
        div.pair { (instant(view, frame)) (acts(view, frame)) }
        @if !view.blockers.is_empty() { (blockers(view)) }
        section #plan {
            h2 { "What ships" }
            ul.people { @for case in &view.cases { li {
                a href={ "/cases/" (case) } { (case) }
                @if may(view, "drop") {
                    form.inline.last method="post" action=(path(view, "drop")) {
                        (frame.token())
                        input type="hidden" name="case" value=(case);
                        button.plain aria-label={ "Drop " (case) " from this release" } { "Drop from this release" }
                    }
                }
            } } }
            table.stack {
                thead { tr { th scope="col" { "Line" } th scope="col" { "Tag" } th scope="col" { "Rehearsal" } th scope="col" { "Candidate" } } }
                tbody { @for target in &view.targets { (target_row(view, target, frame)) } }
            }
            (pushed::commits(view))
            @if !view.channels.is_empty() { p.soft { "Published on this server's own pages, and through " (view.channels.join(", ")) "." } }
            @for sentence in &view.awaits { p.soft { (sentence) } }
            @if let Some(dress) = &view.dress {
                p.soft { @if dress.outcome == "trouble" { (mark(Tone::Bad, "trouble")) " " } (sentence(&dress.words())) " (" (moment(&dress.tried_at)) ")" }
            }
            @for trial in &view.trials {
                p.soft { "A push tried on " (trial.repository) " " (trial.words()) ", " (moment(&trial.tried_at)) "." }
            }
        }
        (super::wave::section(view))
        (super::hook::section(view))
        (super::details::section(view, frame))
        (super::landing::section(view, frame))
        @if let Some(digest) = &view.digest {
            p.small.soft { "What was frozen, with its instant, has the SHA-256 " code.hash { (digest) } }
        }
        @if !view.effects.is_empty() {
            section #journal data-running[view.summary.state == "running"] {
                h2 { "Journal of the run" }
                ol.effects { @for effect in &view.effects { (effect_row(effect, view, frame)) } }
            }
        }
    };
    frame.page(&format!("Release {}", summary.id), content)
}

/// Renders the part of a project's page that is about releases, with the plan of a new one.
pub(crate) fn releases(
    project: &ProjectView,
    releases: &[ReleaseSummary],
    cases: &[CaseSummary],
    frame: &Frame<'_>,
) -> Markup {
    let own = releases.iter().filter(|release| release.project == project.id);
    let ready: Vec<_> = cases
        .iter()
        .filter(|case| case.project == project.id && case.state == "accepted" && case.published_at.is_none())
        .collect();
    html! {
        section #releases {
            h2 { "Releases" }
            ul.jobs { @for release in own {
                li {
                    a href={ "/releases/" (release.id) } { (release.id) }
                    (release_mark(&release.state))
                    span.soft { (moment(&release.due_at)) }
                    @for need in &release.needs { span { (need) } }
                }
            } }
            @if project.may_release {
                details.card {
                    summary { "Plan a release" }
                    @if ready.is_empty() {
                        p { "A release takes accepted cases; there is none now." }
                    } @else {
                        (plan_form(project, &ready, frame))
                    }
                }
            }
        }
    }
}

/// Renders the state of a release.
pub(crate) fn release_mark(state: &str) -> Markup {
    let (tone, words) = match state.parse::<ReleaseState>() {
        Ok(ReleaseState::Planned) => (Tone::Neutral, "planned"),
        Ok(ReleaseState::Frozen) => (Tone::Busy, "frozen"),
        Ok(ReleaseState::Armed) => (Tone::Waiting, "armed"),
        Ok(ReleaseState::Running) => (Tone::Busy, "running"),
        Ok(ReleaseState::Held) => (Tone::Bad, "held"),
        Ok(ReleaseState::Done) => (Tone::Good, "done"),
        Ok(ReleaseState::Abandoned) => (Tone::Neutral, "abandoned"),
        Err(_) => (Tone::Neutral, state),
    };
    mark(tone, words)
}

fn held(hold: &HoldView) -> Markup {
    html! {
        div.notice.bad role="alert" {
            p { strong { "Held: " (word(&hold.reason)) "." } " " (sentence(&hold.note)) }
            p { (sentence(&hold.advice)) }
            @if !hold.commands.is_empty() {
                pre tabindex="0" { code { @for command in &hold.commands { (shown(command)) "\n" } } }
            }
        }
    }
}

fn instant(view: &ReleaseView, frame: &Frame<'_>) -> Markup {
    let due = &view.summary.due_at;
    let ahead = due.parse::<jiff::Timestamp>().is_ok_and(|at| at > frame.now());
    let counts = ahead && !matches!(view.summary.state.parse(), Ok(ReleaseState::Done | ReleaseState::Abandoned));
    html! {
        section.card #instant {
            h2 { "The instant" }
            @if counts {
                p.countdown data-countdown=(due) data-now=(frame.now()) role="timer" { (distance(due, frame.now())) }
            }
            p { (exact_time(due)) }
            @if counts { p.soft { (leak(view)) } }
            @if let Some(at) = &view.begun_at { p.soft { "Begun " (exact_time(at)) } }
            @if let Some(at) = &view.public_at { p.soft { "Public from " (exact_time(at)) ": no way back" } }
            @if let Some(at) = &view.done_at { p { (mark(Tone::Good, "done")) " " (exact_time(at)) } }
            @if may(view, "postpone") {
                details {
                    summary { "Move the instant" }
                    form method="post" action=(path(view, "postpone")) {
                        (frame.token())
                        (instant_field("move-to", "To"))
                        p.hint { "A move to a later time within the policy's bound keeps who armed it. Any other disarms." }
                        button { "Move it" }
                    }
                }
            }
        }
    }
}

/// Says how soon it could ship if it had to: from what was measured, or that nothing was.
fn leak(view: &ReleaseView) -> String {
    match view.ready_in_seconds {
        Some(seconds) => {
            let minutes = seconds / 60 + 1;
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            format!(
                "If it leaked now, it could be merged, checked and disclosed within {minutes} {unit}, once enough people say so: as last measured."
            )
        }
        None => {
            "If it leaked now, it could ship in an unknown time: not every line was merged and checked yet.".to_owned()
        }
    }
}

fn acts(view: &ReleaseView, frame: &Frame<'_>) -> Markup {
    let act = |verb: &str, class: &str, label: &str| {
        html! { @if may(view, verb) { (frame.button(&path(view, verb), class, label)) } }
    };
    html! {
        section.card #arming {
            h2 { "Armed by " (view.armed_by.len()) " of " (view.arms_needed) }
            @if view.armed_by.is_empty() { p.soft { "Nobody yet. Armed, it discloses at its instant without a human." } }
            ul.people { @for arming in &view.armed_by { li { strong { (foreign(&arming.person)) } span.soft { (moment(&arming.at)) } } } }
            div.row {
                (arm(view, frame))
                (act("resume", "primary", "Resume"))
                (act("freeze", if may(view, "arm") { "" } else { "primary" }, "Freeze"))
                (act("rehearse", "", "Rehearse"))
                (act("disarm", "danger", "Disarm"))
                (act("reopen", "", "Reopen the plan"))
                (act("abandon", "danger", "Abandon"))
            }
            (disclose_now(view, frame))
            @if may(view, "arm") { p.soft.small { "Arming needs a sign-in from the last five minutes. If yours is older, you are asked to sign in again and come back here." } }
        }
    }
}

/// The button arms what this page shows: if that changed meanwhile, it refuses.
fn arm(view: &ReleaseView, frame: &Frame<'_>) -> Markup {
    html! {
        @if let (Some(digest), true) = (&view.digest, may(view, "arm")) {
            form.inline method="post" action=(path(view, "arm")) {
                (frame.token())
                input type="hidden" name="digest" value=(digest);
                button.primary { "Arm" }
            }
        }
    }
}

/// Renders who wants it disclosed now, or that it is.
fn hastened(haste: &HasteView) -> Markup {
    html! {
        div.notice.bad role="alert" {
            @match &haste.since {
                Some(at) => p { strong { "Disclosed now, " } (exact_time(at)) ", by the word of " (people(haste)) "." },
                None => p {
                    strong { (people(haste)) " wants this disclosed now." } " "
                    (haste.asked_by.len()) " of " (haste.needed) " have said so; their word counts for an hour."
                },
            }
            @if haste.since.is_some() && !haste.passes_over.is_empty() { (passed_over("Passed over", &haste.passes_over)) }
        }
    }
}

fn people(haste: &HasteView) -> String {
    let names: Vec<_> = haste.asked_by.iter().map(|asked| shown(&asked.person)).collect();
    names.join(" and ")
}

fn passed_over(heading: &str, sentences: &[String]) -> Markup {
    html! { p { (heading) ":" } ul { @for each in sentences { li { (sentence(each)) } } } }
}

/// Renders what disclosing now would mean, and its button.
fn disclose_now(view: &ReleaseView, frame: &Frame<'_>) -> Markup {
    let Some(haste) = view.haste.as_ref().filter(|_| may(view, "disclose-now")) else { return html! {} };
    html! {
        details {
            summary { "Something leaked: disclose now" }
            p { "The same run, at once: merges, tags and advisory become public as they are " @if view.digest.is_some() { "frozen." } @else { "rehearsed." } " The advisory bears the instant at which this is decided; commits and tags keep their date." }
            @if haste.blocked_by.is_empty() {
                @if haste.passes_over.is_empty() { p { "Nothing is passed over." } }
                @else { (passed_over("Passed over, as the project has decided beforehand", &haste.passes_over)) }
                p.hint { "Takes " (haste.needed) @if haste.needed == 1 { " person" } @else { " people within an hour" } ", signed in within the last five minutes. What is pushed cannot be taken back." }
                (frame.button(&path(view, "disclose-now"), "danger", "Disclose now"))
            } @else {
                (passed_over("Not before this is mended", &haste.blocked_by))
            }
        }
    }
}

fn blockers(view: &ReleaseView) -> Markup {
    let armed = view.summary.state.parse() == Ok(ReleaseState::Armed);
    html! {
        section #blockers {
            h2 { "What still blocks it" }
            @if armed { div.notice.bad role="alert" { p { strong { "As it stands, it will be held at its instant" } ", and nothing will be sent." } } }
            ul.jobs { @for blocker in &view.blockers {
                li {
                    (mark(Tone::Waiting, &word(&blocker.kind)))
                    a href=(blocker.link) { (sentence(&blocker.sentence)) }
                    span.role { "for a " (word(&blocker.owner)) }
                }
            } }
        }
    }
}

fn target_row(view: &ReleaseView, target: &TargetView, frame: &Frame<'_>) -> Markup {
    let commit = |id: &Option<String>| {
        html! {
            @match id { Some(id) => code title=(id) { (short(id)) }, None => span.soft { "none" } }
        }
    };
    html! {
        tr {
            th scope="row" { code { (foreign(&target.line)) } br; span.soft.small { (target.repository) } }
            td data-label="Tag" {
                code { (foreign(&target.tag)) } br; span.soft.small { (word(&target.tag_style)) }
                @if let Some(who) = &target.signed_by { br; (mark(Tone::Good, "signed")) " " span.small { (foreign(who)) } }
            }
            td data-label="Rehearsal" {
                @match target.rehearsal.as_str() {
                    "clean" => (mark(Tone::Good, "merges cleanly")),
                    "trouble" => (mark(Tone::Bad, "does not merge")),
                    _ => (mark(Tone::Neutral, "not rehearsed")),
                }
                @if let Some(at) = &target.rehearsed_at { " " span.soft.small { (moment(at)) } }
                @if let Some(why) = &target.trouble { p.small { (sentence(why)) } }
                (pushed::strategy(view, target, frame))
            }
            td data-label="Candidate" {
                (commit(&target.candidate)) @if target.base.is_some() { br; span.soft.small { "on " (commit(&target.base)) } }
                (candidate::standing(view, target, frame))
            }
        }
    }
}

fn effect_row(effect: &EffectView, view: &ReleaseView, frame: &Frame<'_>) -> Markup {
    let (tone, words) = match effect.state.parse::<EffectState>() {
        Ok(EffectState::Pending) => (Tone::Neutral, "waits"),
        Ok(EffectState::Started) => (Tone::Busy, "begun"),
        Ok(EffectState::Done) => (Tone::Good, "done"),
        Ok(EffectState::Unknown) => (Tone::Waiting, "looking again"),
        Ok(EffectState::Failed) => (Tone::Bad, "failed"),
        Ok(EffectState::GivenUp) => (Tone::Neutral, "given up"),
        Err(_) => (Tone::Neutral, effect.state.as_str()),
    };
    let phase = match effect.phase.parse::<Phase>() {
        Ok(Phase::Preflight) => "Look before the push",
        Ok(Phase::PushFixes) => "Push the fixes",
        Ok(Phase::VerifyPublic) => "Read the public refs back",
        Ok(Phase::PublishAdvisories) => "Publish the advisory",
        Ok(Phase::NotifyPublic) => "Tell the member",
        Ok(Phase::OpenCase) => "Mark the case public",
        Ok(Phase::AwaitPackages) => "Wait for the package",
        Ok(Phase::PublishChannels) => "Publish through",
        Ok(Phase::CallHooks) => "Call the hook",
        Err(_) => effect.phase.as_str(),
    };
    html! {
        li {
            (mark(tone, words))
            span { (phase) " " span.soft { (foreign(&effect.target)) } }
            @if effect.attempts > 1 { span.soft.small { (effect.attempts) " tries" } }
            @if let Some(at) = effect.done_at.as_ref().or(effect.started_at.as_ref()) { (exact_time(at)) }
            @if let Some(gap) = effect.after_push_ms { span.soft.small { (gap) " ms after the push" } }
            @if effect.may_give_up {
                form.inline.last method="post" action=(path(view, "give-up")) {
                    (frame.token())
                    input type="hidden" name="position" value=(effect.position);
                    button.plain aria-label={ "Give up on " (effect.target) } { "Give up" }
                }
            }
            @if !effect.note.is_empty() { p.soft.small { (shown(&effect.note)) } }
        }
    }
}

pub(super) fn may(view: &ReleaseView, verb: &str) -> bool {
    view.allowed.iter().any(|allowed| allowed == verb)
}

pub(super) fn path(view: &ReleaseView, act: &str) -> String {
    format!("/releases/{}/{act}", view.summary.id)
}
