//! The pages behind a personal link: where its code goes, what it opens, and the two ways in which it opens nothing.

use maud::{Markup, html};

use crate::domain::plain::AdvisoryId;
use crate::domain::recipient::Affect;
use crate::domain::sealed::Secret;
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, exact_time, foreign, mark, moment};
use crate::wire::wave::{QuestionView, ToldView};

/// Renders the page that a link leads to; its script takes the code from behind the `#`.
pub(crate) fn link_page() -> Markup {
    let content = html! {
        div.narrow {
            h1 { "A planned security release" }
            p.lead { "This page was opened by a link that is yours alone." }
            form.card method="post" action="/w/" {
                label for="code" { "The code of your link" }
                input.code #code name="code" required autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="code-hint";
                p.hint #code-hint { "What stands behind the # of the link. It is sent in the form, never in an address." }
                button.primary #open { "Open" }
            }
        }
        script src="/sign-in.js" defer {}
    };
    Frame::anyone().page("A planned security release", content)
}

/// Renders what a recipient may know.
pub(crate) fn told_page(view: &ToldView, code: &Secret) -> Markup {
    let content = html! {
        div.narrow {
            p.eyebrow { "For " (foreign(&view.name)) " alone" }
            h1 { "A security release of " (foreign(&view.project)) }
            section.card {
                p.big { (exact_time(&view.due_at)) }
                @if let Some(severity) = &view.severity { p { "The highest severity: " strong { (severity) } "." } }
                p.soft { "Until then, please tell nobody outside your audience. If the date moves, you get a mail." }
            }
            section #lines {
                h2 { "What ships" }
                table.stack {
                    thead { tr { th scope="col" { "Line" } th scope="col" { "Tag" } } }
                    tbody { @for line in &view.lines {
                        tr {
                            th scope="row" { code { (foreign(&line.line)) } " " span.soft.small { (foreign(&line.repository)) } }
                            td data-label="Tag" { code { (foreign(&line.tag)) } }
                        }
                    } }
                }
            }
            @if let Some(key) = &view.key { (copy(view, key, code)) }
            section #acknowledge {
                h2 { "Did this arrive?" }
                @match &view.acknowledged_at {
                    Some(at) => p { (mark(Tone::Good, "acknowledged")) " " (moment(at)) },
                    None => form method="post" action="/w/acknowledge" { (hidden(code)) button.primary { "Yes, it arrived" } },
                }
            }
            section #answers {
                h2 { "Are you affected?" }
                p.soft { "Your answer goes to those who manage the release, and to nobody else." }
                @for (n, question) in view.questions.iter().enumerate() { (asked(n, question, code)) }
            }
        }
    };
    Frame::anyone().page("A planned security release", content)
}

/// Renders the page of a link whose release is public.
pub(crate) fn public_page(advisories: &[AdvisoryId]) -> Markup {
    let content = html! {
        div.narrow {
            h1 { "This release is public" }
            p.lead { "Your link opens nothing any more; there is nothing left that is secret." }
            ul { @for id in advisories { li { a href={ "/advisories/" (id) } { (id) } } } }
        }
    };
    Frame::anyone().page("Public", content)
}

/// Renders the one page of every code that opens nothing.
pub(crate) fn nothing_page() -> Markup {
    let content = html! {
        div.narrow {
            h1 { "This link opens nothing" }
            p.lead { "It was never made, or what it was for is over: the release is called off or has a new date, for which another link follows." }
            p { "What is public stands among the " a href="/advisories" { "advisories" } "." }
        }
    };
    Frame::anyone().page("Nothing here", content)
}

fn copy(view: &ToldView, key: &str, code: &Secret) -> Markup {
    let patches = view.level == "patches";
    html! {
        section.card #copy {
            h2 { @if patches { "The advisory and the fixes" } @else { "The advisory" } }
            p { "One file, encrypted to your key " code { (key) } ". The server makes it for you alone: it can be told from every other copy." }
            form method="post" action="/w/copy" { (hidden(code)) button.primary { "Fetch your copy" } }
            p.soft { "Open it on your own machine:" }
            pre tabindex="0" { code { "age -d -i key.txt release.tar.age | tar -x" } }
        }
    }
}

fn asked(n: usize, question: &QuestionView, code: &Secret) -> Markup {
    let chosen = question.answer.as_deref().and_then(|answer| answer.parse::<Affect>().ok());
    html! {
        form.card method="post" action="/w/answer" {
            (hidden(code))
            @if let Some(advisory) = &question.advisory { input type="hidden" name="advisory" value=(advisory); }
            fieldset {
                legend { @match &question.advisory { Some(advisory) => (advisory), None => "This release" } }
                @for affect in Affect::ALL {
                    label.choice { input type="radio" name="answer" value=(affect) required checked[chosen == Some(*affect)]; span { (said(*affect)) } }
                }
            }
            label for={ "remark-" (n) } { "A remark, if there is something to say" }
            textarea id={ "remark-" (n) } name="remark" rows="2" maxlength="2000" dir="auto" { (question.remark.as_deref().unwrap_or_default()) }
            button { @if chosen.is_some() { "Change the answer" } @else { "Answer" } }
        }
    }
}

fn said(affect: Affect) -> &'static str {
    match affect {
        Affect::Affected => "What we look after is affected",
        Affect::NotAffected => "It is not affected",
        Affect::Unknown => "We do not know yet",
    }
}

fn hidden(code: &Secret) -> Markup {
    html! { input type="hidden" name="code" value=(code.expose().trim()); }
}
