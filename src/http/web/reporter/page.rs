//! The reporter's side: where the claim code is entered, and what it opens.

use maud::{Markup, html};

use crate::domain::record::{Part, RecordAnswer};
use crate::http::web::case::talk::message_item;
use crate::http::web::case::work::{attachment_facts, upload_form};
use crate::http::web::page::Frame;
use crate::http::web::piece::{distance, foreign, instant_field, moment, sentence};
use crate::http::web::report::page::credit_fields;
use crate::wire::record::RecordQuestion;
use crate::wire::report::ReporterView;

/// The name of a receipt as a file.
pub(super) const RECEIPT: &str = "receipt.txt";
/// The name of its signature.
pub(super) const SIGNATURE: &str = "receipt.txt.sig";
/// The name of what its hash covers.
pub(super) const OPENING: &str = "report.txt";

/// Renders the page where a reporter enters the claim code, with what was wrong about the last one.
pub(crate) fn claim_page(wrong: Option<&str>, frame: &Frame<'_>) -> Markup {
    let content = html! {
        div.narrow {
            h1 { "Your report" }
            p.lead { "Enter the claim code you were shown when you sent it." }
            @if let Some(wrong) = wrong { div.notice.bad role="alert" { p { (sentence(wrong)) } } }
            form.card method="post" action="/r/" {
                label for="code" { "Claim code" }
                input.code #code name="code" required autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="code-hint";
                p.hint #code-hint { "Capital letters and dashes do not matter. The code is sent in the form, never in an address." }
                button.primary { "Open my report" }
            }
            p.soft { "A lost code cannot be found again. Write a new report and say which one it is about." }
        }
    };
    frame.page("Your report", content)
}

/// Renders a report to its reporter.
pub(crate) fn reporter_page(view: &ReporterView, frame: &Frame<'_>) -> Markup {
    let content = html! {
        div.narrow {
            p.eyebrow { (view.case) " · " (view.project) }
            h1 { (foreign(&view.title)) }
            section.card.progress {
                p.big { (view.state) }
                p { (view.next) }
                @if let Some(advisory) = &view.advisory { p { a href=(advisory) { "Read the advisory" } } }
            }
            (date(view, frame))
            section #thread {
                h2 { "You and the team" }
                @if view.thread.is_empty() { p.soft { "Nothing has been written yet." } }
                ol.thread { @for message in &view.thread { (message_item(message)) } }
                form.card.composer method="post" action="/r/reply" {
                    (frame.token())
                    label for="message" { "Write to the team" }
                    textarea #message name="text" rows="5" required maxlength="65536" dir="auto" {}
                    button.primary { "Send" }
                }
            }
            section #credit {
                h2 { "Credit" }
                p { "The advisory will thank you " strong { (foreign(&view.credit)) } "." }
                @if view.advisory.is_none() {
                    details {
                        summary { "Change that" }
                        form.card method="post" action="/r/credit" { (frame.token()) (credit_fields(&view.credit)) p.hint { "If a release is prepared already, the team approves the new text first, and the date may move." } button { "Save" } }
                    }
                }
            }
            @if let Some(question) = &view.record { (record(question, frame)) }
            @if view.receipts { (receipt()) }
            section #attachments {
                h2 { "Files" }
                @if view.attachments.is_empty() { p.soft { "None." } }
                ul.files { @for attachment in &view.attachments { li.card { (attachment_facts(attachment)) } } }
                details.card {
                    summary { "Send a file" }
                    @if view.recipients.is_empty() {
                        p { "No file can be taken now: nobody of the team has a key." }
                    } @else {
                        (upload_form("/r/attachments", frame))
                        details {
                            summary { "Encrypt it first with age" }
                            p { "Save these lines as " code { "team.txt" } ", then run " code { "age -R team.txt -o proof.zip.age proof.zip" } "." }
                            pre tabindex="0" { code { (view.recipients) } }
                        }
                    }
                }
            }
        }
    };
    frame.page(&format!("Your report {}", view.case), content)
}

/// Offers the receipt.
fn receipt() -> Markup {
    html! {
        section.card #receipt {
            h2 { "Your proof" }
            p { "Keep these three files. The signed receipt says what arrived here and when, without a word of it. Once everything is public, it proves together with your report that you were first." }
            ul {
                li { a href={ "/r/receipt/" (RECEIPT) } download { (RECEIPT) } ": the receipt, with a hash of your report and of each file you sent" }
                li { a href={ "/r/receipt/" (SIGNATURE) } download { (SIGNATURE) } ": this server's signature over it" }
                li { a href={ "/r/receipt/" (OPENING) } download { (OPENING) } ": your report, as the hash covers it. " strong { "Show it to nobody before the disclosure." } }
            }
        }
    }
}

/// Asks whether the reporter's own words may be shown, and shows what they said.
fn record(question: &RecordQuestion, frame: &Frame<'_>) -> Markup {
    html! {
        section.card #record {
            h2 { "Your own words in public" }
            p {
                "The team may open parts of this case now that it is public. What you wrote, your report"
                @if question.parts.contains(&Part::Thread) { " and your messages" }
                ", is shown only if you agree. The team chooses what it opens, and your name is not added."
            }
            @match question.answer {
                Some(RecordAnswer::Agreed) => p { strong { "You agreed." } " You can take it back until the record is public." },
                Some(RecordAnswer::Declined) => p { strong { "You declined." } " Your words stay closed." },
                None => p.soft { "Until you answer, your words stay closed." },
            }
            form.row method="post" action="/r/record" {
                (frame.token())
                button name="answer" value=(RecordAnswer::Agreed) { "My words may be shown" }
                button name="answer" value=(RecordAnswer::Declined) { "They may not" }
            }
        }
    }
}

fn date(view: &ReporterView, frame: &Frame<'_>) -> Markup {
    let answers = view.date_proposed_by_team.as_deref();
    html! {
        section.card #date {
            h2 { "The date" }
            @match &view.date {
                Some(at) if view.advisory.is_some() => { p.big { (moment(at)) } }
                Some(at) if at.parse::<jiff::Timestamp>().is_ok_and(|at| at <= frame.now()) => {
                    p.big { (moment(at)) }
                    p { "The date is over and the release is not out yet: the team knows. Please tell nobody until it is, or until you have agreed on something else." }
                }
                Some(at) => { p.big { (moment(at)) } p.soft { "public " (distance(at, frame.now())) ". Until then, please tell nobody." } }
                None => p { "No date is agreed yet. Until then, please tell nobody." },
            }
            @if let Some(at) = answers {
                div.notice.waiting {
                    p { "The team proposes " strong { (moment(at)) } " " span.soft { "(" (distance(at, frame.now())) ")" } }
                    form.row method="post" action="/r/date" {
                        (frame.token())
                        button.primary name="act" value="accept" { "Agree" }
                        button name="act" value="reject" { "Reject" }
                    }
                }
            }
            @if let Some(at) = &view.date_proposed_by_you { p.soft { "You proposed " (moment(at)) ". The team has not answered." } }
            @if view.advisory.is_none() {
                details {
                    summary { "Propose another date" }
                    form method="post" action="/r/date" {
                        (frame.token())
                        (instant_field("propose-at", "Public at"))
                        button name="act" value="propose" { "Propose" }
                    }
                }
            }
        }
    }
}
