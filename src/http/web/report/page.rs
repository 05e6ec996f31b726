//! The report form, and the page that shows the claim code this once.

use maud::{Markup, html};

use super::Fields;
use crate::domain::report::ClaimedSeverity;
use crate::http::web::page::Frame;
use crate::http::web::piece::{sentence, size};
use crate::wire::report::{IntakeView, ReceiptView};

/// Renders the report form of a project.
pub(crate) fn report_page(view: &IntakeView, frame: &Frame<'_>) -> Markup {
    let content = match &view.refused {
        Some(why) => html! { div.notice.waiting role="alert" { p { (sentence(why)) } } },
        None => form(view, &Fields::default()),
    };
    framed(view, &content, frame)
}

/// Renders the form of a report that was refused: as it was filled in, under the reason. Browsers keep no chosen files.
pub(crate) fn returned_page(view: &IntakeView, refused: (&Fields, &str), frame: &Frame<'_>) -> Markup {
    let (fields, why) = refused;
    let content = html! {
        div.notice.bad role="alert" {
            p { strong { (sentence(why)) } }
            p { "Your report was not sent. What you wrote is still here; choose your files again." }
        }
        (form(view, fields))
    };
    framed(view, &content, frame)
}

fn framed(view: &IntakeView, content: &Markup, frame: &Frame<'_>) -> Markup {
    let content = html! {
        div.narrow {
            p.eyebrow { "Report to " (view.name) }
            h1 { "Report a vulnerability" }
            (content)
        }
    };
    frame.page(&format!("Report a vulnerability in {}", view.name), content)
}

fn form(view: &IntakeView, fields: &Fields) -> Markup {
    html! {
        p.lead { "Only the project's security team reads this. You need no account: a code that you get at the end leads you back." }
        form.report method="post" action={ "/report/" (view.project) } enctype="multipart/form-data" {
            label for="title" { "What is it about, in a line" }
            input #title name="title" required maxlength="200" autocomplete="off" dir="auto" value=(fields.title);

            label for="text" { "What happens, and how can the team see it too" }
            textarea #text name="text" rows="12" required maxlength="65536" dir="auto" aria-describedby="text-hint" { "\n" (fields.text) }
            p.hint #text-hint { "Steps, what you expected, what came instead, and what somebody could do with it. Plain text." }

            label for="versions" { "Affected versions " span.soft { "(if you know)" } }
            input #versions name="versions" maxlength="100" autocomplete="off" dir="auto" value=(fields.versions);

            label for="severity" { "How bad is it, in your view" }
            select #severity name="severity" { @for severity in ClaimedSeverity::ALL {
                option value=(severity) selected[fields.severity == severity.as_str()] { @match severity {
                    ClaimedSeverity::Unsaid => "I would rather not say",
                    ClaimedSeverity::Low => "Low",
                    ClaimedSeverity::Medium => "Medium",
                    ClaimedSeverity::High => "High",
                    ClaimedSeverity::Critical => "Critical",
                } }
            } }

            (credit_fields(&fields.credit.words()))

            label for="contact" { "Mail address " span.soft { "(optional)" } }
            input #contact name="contact" type="email" maxlength="254" autocomplete="email" aria-describedby="contact-hint" value=(fields.contact);
            p.hint #contact-hint { "Only for mails that say “there is news”. They never say what. The team sees only that there is an address." }

            label for="file" { "Files " span.soft { "(optional, each up to " (size(view.attachment_bytes)) ")" } }
            input #file name="file" type="file" multiple aria-describedby="file-hint";
            div.notice #file-hint {
                p { "Proofs of concept are stored encrypted to the team's keys; the server cannot open them later. A file sent from this page still "
                    strong { "passes through the server's memory" } ", unless you encrypt it first:" }
                details {
                    summary { "Encrypt it first with age" }
                    p { "Save these lines as " code { "team.txt" } ":" }
                    pre tabindex="0" { code { (view.recipients) } }
                    p { "Then run this and choose the " code { ".age" } " file here:" }
                    pre tabindex="0" { code { "age -R team.txt -o proof.zip.age proof.zip" } }
                    p.soft { "Or let " code { "embargo report submit" } " do both." }
                }
            }
            button.primary.large { "Send the report" }
        }
    }
}

/// The fields in which a reporter says how to be thanked. `now` is what is chosen at present, in words.
pub(crate) fn credit_fields(now: &str) -> Markup {
    let name = now.strip_prefix("as ").filter(|name| *name != "an anonymous reporter");
    html! {
        fieldset {
            legend { "How should the advisory thank you" }
            label.choice { input type="radio" name="credit" value="named" checked[name.is_some()]; span { "By this name" } }
            input.sub name="credit_name" maxlength="100" autocomplete="name" aria-label="Name to be thanked by" value=[name] dir="auto";
            label.choice { input type="radio" name="credit" value="anonymous" checked[now == "as an anonymous reporter"]; span { "As an anonymous reporter" } }
            label.choice { input type="radio" name="credit" value="unnamed" checked[now == "not at all"]; span { "Not at all" } }
        }
    }
}

/// Renders the answer to a report. `lost` names files that could not be taken, with the reason.
pub(crate) fn receipt_page(receipt: &ReceiptView, lost: &[(String, String)], frame: &Frame<'_>) -> Markup {
    let content = html! {
        div.narrow {
            p.eyebrow { (receipt.case) }
            h1 { "Your report has arrived" }
            section.card.claim aria-labelledby="claim-title" {
                h2 #claim-title { "Your claim code" }
                code.secret.big { (receipt.claim_code) }
                p { strong { "It is shown this once." } " Keep it on paper or in a password manager: it is the only way back to your report, and nobody can tell it to you again." }
            }
            @if !lost.is_empty() {
                div.notice.bad role="alert" {
                    p { strong { "Not every file was taken." } " The report itself was." }
                    ul { @for (name, reason) in lost { li { strong { (crate::http::web::piece::foreign(name)) } ": " (sentence(reason)) } } }
                }
            }
            h2 { "What comes next" }
            ol {
                li { "A person of the team answers within seven days." }
                li { "You see the state, answer questions and agree on a date at " a href="/r/" { (receipt.page) } ", where you enter the code." }
                li { "When the fix is released, your page says so and links to the advisory." }
            }
            details.card {
                summary { "Be told of news by a feed" }
                p { "Add this address to a feed reader. It says only that there is news. Treat it like the code: it is not shown again." }
                code.secret { (receipt.feed) }
            }
            p { a.button href="/r/" { "Go to your report" } }
        }
    };
    frame.page("Your report has arrived", content)
}
