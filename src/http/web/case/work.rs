//! Where a case is worked on: the private remote, the fixes by line, the attachments.

use maud::{Markup, html};

use super::page::{may, path};
use crate::domain::access::Action;
use crate::domain::fix::FixKind;
use crate::domain::mark::Standing;
use crate::http::web::page::Frame;
use crate::http::web::piece::{Tone, check_mark, foreign, mark, moment, sentence, short, size, word};
use crate::wire::case::{AttachmentView, CaseView, FixView};

/// Renders the private remote and the table of fixes.
pub(super) fn fixes(view: &CaseView, frame: &Frame<'_>) -> Markup {
    let nothing = view.fixes.is_empty() && view.remotes.is_empty() && !view.remote_pending;
    html! {
        @if !nothing {
            section #fixes {
                h2 { "Fixes" }
                (remote(view))
                @if view.fixes.is_empty() {
                    p.soft { "Nothing is pushed yet." }
                } @else {
                    table.stack {
                        thead { tr {
                            th scope="col" { "Line" } th scope="col" { "Head" } th scope="col" { "Checks" } th scope="col" { "Approval" }
                        } }
                        tbody { @for fix in &view.fixes { (fix_row(view, fix, frame)) } }
                    }
                }
            }
        }
    }
}

fn remote(view: &CaseView) -> Markup {
    let archive = view.summary.published_at.is_some();
    html! {
        @if view.remote_pending { p role="status" { (mark(Tone::Busy, "the private remote is being made: load the page again in a moment")) } }
        @for (n, remote) in view.remotes.iter().enumerate() {
            div.card {
                h3 { "Private remote " (remote.name) @if archive { " " (mark(Tone::Neutral, "archive")) } }
                @if archive {
                    p.soft { "To fetch from, and to push to no more: what it held is public. Push to the public repository, or open a case that follows up on this one." }
                    pre tabindex="0" { code { "git fetch " (remote.url) } }
                } @else {
                    p.soft { "In your clone. " code { "embargo fix start " (view.summary.id) } " does the same. The password is an access token from your account page." }
                    pre tabindex="0" {
                        code {
                            "git remote add embargo " (remote.url) "\n"
                            "git fetch embargo\n"
                            "git push embargo HEAD:fix/" (view.fixes.get(n).map_or("<line>", |fix| fix.line.as_str()))
                        }
                    }
                }
            }
        }
    }
}

fn fix_row(view: &CaseView, fix: &FixView, frame: &Frame<'_>) -> Markup {
    html! {
        tr {
            th scope="row" { code { (fix.kind) "/" (foreign(&fix.line)) } br; span.soft.small { (fix.repository) } }
            @match &fix.head {
                None => td data-label="Head" { (standing(view, fix, frame)) },
                Some(head) => td data-label="Head" {
                    @if fix.kind == FixKind::Tests { (mark(Tone::Neutral, "public later")) br; }
                    @if let Some(subject) = &fix.subject { (foreign(subject)) br; }
                    code.soft title=(head) { (short(head)) }
                    @if let Some(by) = &fix.pushed_by { " " span.soft { "by " (foreign(by)) } }
                },
            }
            td data-label="Checks" {
                @match &fix.run {
                    Some(run) => a.quiet href={ "/checks/" (run) } { (check_mark(&fix.checks)) },
                    None => (check_mark(&fix.checks)),
                }
                @if !fix.checks_note.is_empty() { p.small { (sentence(&fix.checks_note)) } }
                @if fix.head.is_some() && fix.kind == FixKind::Fix && may(view, Action::RunChecks) {
                    form.inline method="post" action=(path(view, "checks")) {
                        (frame.token())
                        input type="hidden" name="line" value=(fix.line);
                        button.plain aria-label={ "Run again: checks of fix/" (fix.line) } { "Run again" }
                    }
                }
                (waiver(view, fix, frame))
            }
            td data-label="Approval" { (approval(view, fix, frame)) }
        }
    }
}

/// What was said of a line nothing is pushed for, and the way to say it.
fn standing(view: &CaseView, fix: &FixView, frame: &Frame<'_>) -> Markup {
    let said = match fix.standing {
        None => mark(Tone::Neutral, "nothing pushed"),
        Some(Standing::Affected) => mark(Tone::Waiting, "affected, nothing pushed"),
        Some(Standing::NotAffected) => mark(Tone::Good, "not affected"),
        Some(Standing::WontFix) => mark(Tone::Bad, "affected, will not be fixed"),
    };
    html! {
        p { (said) }
        @if may(view, Action::MarkLines) && view.summary.published_at.is_none() {
            form.choose method="post" action=(path(view, "mark")) {
                (frame.token())
                input type="hidden" name="repository" value=(fix.repository);
                input type="hidden" name="line" value=(fix.line);
                select name="standing" aria-label={ "How " (fix.line) " stands to the flaw" } {
                    @for each in Standing::ALL { option value=(each) selected[fix.standing == Some(*each)] { (word(each.as_str())) } }
                }
                button aria-label={ "Mark " (fix.line) } { "Mark" }
            }
        }
    }
}

/// A person's word for checks that could not run here, given or to be given; as an approval, for the commit on the screen.
fn waiver(view: &CaseView, fix: &FixView, frame: &Frame<'_>) -> Markup {
    html! {
        @if let Some(by) = &fix.waived_by { p.small { (foreign(by)) " answers for this commit." } }
        @if let (Some(head), true) = (&fix.head, fix.may_waive) {
            details {
                summary { "Answer for it" }
                p.small {
                    "Nothing ran here. With your name you say that " code { (short(head)) } " was tested in another way and may be released: "
                    "your word stands in the history and in place of green checks."
                }
                form method="post" action=(path(view, "waive")) {
                    (frame.token())
                    input type="hidden" name="line" value=(fix.line);
                    input type="hidden" name="commit" value=(head);
                    button aria-label={ "I answer for it: " (short(head)) " of " (fix.kind) "/" (fix.line) } { "I answer for it" }
                }
            }
        }
    }
}

/// The approval names the commit on the screen: if another was pushed meanwhile, the button refuses.
fn approval(view: &CaseView, fix: &FixView, frame: &Frame<'_>) -> Markup {
    html! {
        @if fix.approved { (mark(Tone::Good, "approved")) }
        @else if !fix.approved_by.is_empty() { (mark(Tone::Waiting, "not enough yet")) }
        @else if fix.head.is_some() { (mark(Tone::Waiting, "not approved")) }
        @if !fix.approved_by.is_empty() {
            " " span.soft { "by " @for (n, name) in fix.approved_by.iter().enumerate() { @if n > 0 { ", " } (foreign(name)) } }
        }
        @if let (Some(head), false, true) = (&fix.head, fix.approved, fix.may_approve) {
            form.inline method="post" action=(path(view, "approve")) {
                (frame.token())
                input type="hidden" name="repository" value=(fix.repository);
                input type="hidden" name="line" value=(fix.line);
                input type="hidden" name="kind" value=(fix.kind);
                input type="hidden" name="commit" value=(head);
                button aria-label={ "Approve " (short(head)) " of " (fix.kind) "/" (fix.line) } { "Approve " code { (short(head)) } }
            }
        }
    }
}

/// Renders the attachments and the way to add one.
pub(super) fn attachments(view: &CaseView, frame: &Frame<'_>) -> Markup {
    let fetch = may(view, Action::GetAttachment);
    html! {
        section #attachments {
            h2 { "Attachments" }
            @if view.attachments.is_empty() { p.soft { "None." } }
            ul.files { @for attachment in &view.attachments {
                li.card {
                    (attachment_facts(attachment))
                    @if fetch {
                        pre tabindex="0" { code { "embargo attachment get " (view.summary.id) " " (attachment.id) } }
                        p.small { a href=(path(view, &format!("attachments/{}", attachment.id))) download { "Download the encrypted file" } " and open it with " code { "age --decrypt -i <your key>" } "." }
                    }
                }
            } }
            @if may(view, Action::PutAttachment) {
                details.card {
                    summary { "Add a file" }
                    (upload_form(&path(view, "attachments"), frame))
                }
            }
        }
    }
}

/// What is known of a file nobody here can read.
pub(crate) fn attachment_facts(attachment: &AttachmentView) -> Markup {
    let bytes = u64::try_from(attachment.size).unwrap_or(0);
    html! {
        p { strong { (foreign(&attachment.name)) } " " span.soft { (size(bytes)) " encrypted · " (moment(&attachment.stored_at)) } }
        @if attachment.passed_through_server {
            p.small.soft { "Sent without " code { "age" } ": the server encrypted it on its way to the disk." }
        } @else {
            p.small { (mark(Tone::Good, "encrypted by its sender")) }
        }
        p.small.soft { "SHA-256 " code.hash { (attachment.sha256) } }
    }
}

/// The form for files of people who are known already.
pub(crate) fn upload_form(action: &str, frame: &Frame<'_>) -> Markup {
    html! {
        form method="post" action=(action) enctype="multipart/form-data" {
            (frame.token())
            label for="file" { "File" }
            input #file name="file" type="file" required multiple aria-describedby="file-hint";
            p.hint #file-hint { "A name that ends in " code { ".age" } " is stored as it comes. Anything else passes through the server's memory and is encrypted before it reaches the disk." }
            button { "Send the file" }
        }
    }
}
