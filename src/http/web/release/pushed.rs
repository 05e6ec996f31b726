//! What exactly a release pushes: how fixes reach each line, and every new commit and tag with its words.

use maud::{Markup, html};

use super::page::{may, path};
use crate::domain::forward::MovedBy;
use crate::domain::project::TagStyle;
use crate::domain::recipe::Strategy;
use crate::http::web::page::Frame;
use crate::http::web::piece::{foreign, short};
use crate::wire::release::{CommitView, MoveView, ReleaseView, TargetView};

/// Renders how fixes are put onto a line, and the choice of another way while the release is planned.
pub(super) fn strategy(view: &ReleaseView, target: &TargetView, frame: &Frame<'_>) -> Markup {
    html! {
        @if let Ok(strategy) = target.strategy.parse::<Strategy>() { p.small.soft { (strategy_words(strategy)) "." } }
        @if !target.advances.is_empty() { p.small.soft { "Moves with it: " (target.advances.join(", ")) "." } }
        @for moved in &target.moves {
            p.small.soft { (why(moved)) code { (foreign(&moved.branch)) } "." }
        }
        @if may(view, "set-strategy") {
            details {
                summary aria-label={ "Put fixes onto " (target.line) " otherwise" } { "Otherwise" }
                form method="post" action=(path(view, "set-strategy")) {
                    (frame.token())
                    input type="hidden" name="repository" value=(target.repository);
                    input type="hidden" name="line" value=(target.line);
                    label for={ "strategy-" (target.repository) "-" (target.tag) } { "Fixes" }
                    select id={ "strategy-" (target.repository) "-" (target.tag) } name="strategy" {
                        (options(Strategy::ALL.iter().map(|each| (each.as_str(), strategy_words(*each))), &target.strategy))
                    }
                    button { "Rehearse so" }
                }
            }
        }
    }
}

/// Renders every commit and tag that becomes public, as it will be read.
pub(super) fn commits(view: &ReleaseView) -> Markup {
    html! {
        @for target in view.targets.iter().filter(|target| !target.commits.is_empty()) {
            details.card {
                summary { "What is pushed to " (target.repository) " " code { (foreign(&target.line)) } " as " code { (foreign(&target.tag)) } }
                @if target.strategy.parse().is_ok_and(|strategy: Strategy| !strategy.keeps_commits()) {
                    p.hint { "Approvals are of the fix as it was pushed. These commits are made from it: the same change, on the public line, with these words." }
                }
                (each(&target.commits))
                @for moved in &target.moves {
                    p.small { (why(moved)) code { (foreign(&moved.branch)) } ", which goes to " code title=(moved.to) { (short(&moved.to)) } }
                    (each(&moved.commits))
                }
                @if let Some(patch) = &target.version_patch {
                    p.small { "What the version command changed" }
                    (words(patch))
                }
                @if let Some(message) = &target.tag_message {
                    p.small { "The tag" }
                    (words(message))
                }
            }
        }
    }
}

fn each(commits: &[CommitView]) -> Markup {
    html! {
        @for commit in commits {
            p.small { code title=(commit.id) { (short(&commit.id)) } " by " (foreign(&commit.author)) }
            (words(&commit.message))
        }
    }
}

/// Says why a branch moves, as the beginning of a sentence that ends with its name.
fn why(moved: &MoveView) -> &'static str {
    match moved.by.parse::<MovedBy>() {
        Ok(MovedBy::Tag) => "The tag stands on ",
        Ok(MovedBy::Forward) => "Merged on into ",
        Err(_) => "Moves ",
    }
}

fn words(message: &str) -> Markup {
    html! { pre tabindex="0" { code { @for line in message.lines() { (foreign(line)) "\n" } } } }
}

/// Renders choices, one of them chosen.
pub(super) fn options(each: impl Iterator<Item = (&'static str, &'static str)>, chosen: &str) -> Markup {
    html! { @for (value, words) in each { option value=(value) selected[value == chosen] { (words) } } }
}

/// Says what a strategy does.
pub(super) fn strategy_words(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Merge => "A merge for each fix",
        Strategy::Rebase => "Each commit made anew on the line",
        Strategy::Squash => "One commit for each fix",
    }
}

/// Says how a tag looks.
pub(super) fn style_words(style: TagStyle) -> &'static str {
    match style {
        TagStyle::Annotated => "Annotated and signed",
        TagStyle::Lightweight => "Lightweight",
    }
}
