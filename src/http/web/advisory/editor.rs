//! The editor of an advisory: one form, whole without script, that keeps what was typed whatever happens to it.
//!
//! Guards: a sentence at each field that cannot be taken, and what another wrote beside one's own where both differ.
//! Leaves what a draft may say to [`super::typed`].

use maud::{Markup, html};

use super::typed::{Fault, Row, Typed};
use crate::domain::advisory::{CreditConsent, CreditKind, Ecosystem, ReferenceKind};
use crate::domain::severity::SeverityWord;
use crate::http::web::page::Frame;
use crate::http::web::piece::{foreign, moment, sentence, word};

/// What is said above the form.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Remark<'a> {
    /// Nothing.
    Nothing,
    /// A rule said no to the whole.
    Refused(&'a str),
    /// Nobody is signed in any more.
    SignedOut,
    /// Somebody signed in since the form was made.
    SignedInAnew,
    /// Another saved a text meanwhile.
    Overtaken {
        /// What they wrote.
        theirs: &'a Typed,
        /// Who.
        by: Option<&'a str>,
        /// When, RFC 3339.
        at: Option<&'a str>,
    },
}

/// The editor with what stands in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Editor<'a> {
    /// The case.
    pub(crate) case: &'a str,
    /// What stands in the fields.
    pub(crate) typed: &'a Typed,
    /// What cannot be taken.
    pub(crate) faults: &'a [Fault],
    /// The lines of the project, as `repository line`.
    pub(crate) lines: &'a [String],
    /// What is said above.
    pub(crate) remark: Remark<'a>,
    /// The field to go to.
    pub(crate) focus: Option<&'a str>,
}

impl Editor<'_> {
    /// Renders the page.
    pub(crate) fn page(&self, frame: &Frame<'_>) -> Markup {
        let back = format!("/cases/{}/advisory", self.case);
        let content = html! {
            p.eyebrow { a href={ "/cases/" (self.case) } { (self.case) } " · " a href=(back) { "advisory" } }
            form.editor method="post" action={ (back) "/edit" } {
                (frame.token())
                input type="hidden" name="version" value=(self.typed.get("version"));
                div.heading {
                    h1 { "Edit the advisory" }
                    // First in the form: Enter in a field saves, and takes no row out.
                    div.row { button.primary name="act" value="save" { "Save" } a.button href=(back) { "Cancel" } }
                }
                (self.remark())
                (self.faults())
                (self.line("title", "Title", html! { "One line that names software and flaw." }))
                (self.text("description", "What happens", 14, "What an attacker can do, who is affected and what to do. Markdown."))
                (self.text("workaround", "Workaround", 4, "What helps those who cannot update. Markdown; leave it empty if there is none."))
                (self.text("technical", "Technical details", 6, "How it works and how it is shown to be there. The plan of the release says whether this part is held back at first. Markdown; may stay empty."))
                (self.severity())
                (self.line("cve", "CVE id", html! { "Such as CVE-2030-12345; empty while there is none." }))
                (self.rows(Row::Line, "Affected and fixed", "One row for each line and package. “First affected” stays empty where every version is; “last affected” is for a line that gets no fix."))
                (self.rows(Row::Credit, "Who is thanked", "Reporters stand in the advisory as they wish, without a row here."))
                (self.rows(Row::Reference, "Where to read on", "Pages that help the reader."))
                div.row.end { button.primary.large name="act" value="save" { "Save" } a.button href=(back) { "Cancel" } }
                p.soft.small { "Saving ends an approval of the earlier text. The next page shows what will be published." }
            }
        };
        frame.page(&format!("Edit the advisory of {}", self.case), content)
    }

    fn remark(&self) -> Markup {
        html! {
            @match self.remark {
                Remark::Nothing => {}
                Remark::Refused(why) => div.notice.bad role="alert" { p { strong { "Nothing was saved." } " " (sentence(why)) } },
                Remark::SignedOut => div.notice.bad role="alert" {
                    p { strong { "You are signed out, and nothing was saved." } " What you typed stands below. "
                        a href="/sign-in" target="_blank" rel="noopener" { "Sign in in a new tab" } ", then come back to this one and save." }
                },
                Remark::SignedInAnew => div.notice.waiting role="alert" {
                    p { strong { "Nothing was saved yet." } " You signed in since this page was made: press Save once more." }
                },
                Remark::Overtaken { by, at, .. } => div.notice.waiting role="alert" {
                    p {
                        strong { "The draft changed while you were writing, and nothing was saved yet." }
                        @if let (Some(by), Some(at)) = (by, at) { " It was last edited by " (foreign(by)) ", " (moment(at)) "." }
                    }
                    p { "Where it differs from yours, it stands beside your text. Take from it what you want to keep: saving replaces it with what stands in the fields." }
                },
            }
        }
    }

    fn faults(&self) -> Markup {
        html! {
            @if !self.faults.is_empty() {
                div.notice.bad role="alert" {
                    p { strong { "Nothing was saved." } " What you typed stands below; this cannot be taken as it is:" }
                    ul { @for fault in self.faults { li { a href={ "#" (fault.field) } { (fault.sentence) } } } }
                }
            }
        }
    }

    /// The ids of what describes a field: its hint, what is wrong with it, what another wrote.
    fn described(&self, field: &str, hint: bool) -> Option<String> {
        let fault = self.fault(field).map(|_| "fault");
        let theirs = self.theirs(field).map(|_| "theirs");
        let ids: Vec<_> = hint
            .then_some("hint")
            .into_iter()
            .chain(fault)
            .chain(theirs)
            .map(|what| format!("{field}-{what}"))
            .collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    fn fault(&self, field: &str) -> Option<&str> {
        self.faults.iter().find(|fault| fault.field == field).map(|fault| fault.sentence.as_str())
    }

    /// What another wrote into this field, where it is not what stands in it.
    fn theirs(&self, field: &str) -> Option<&str> {
        match self.remark {
            Remark::Overtaken { theirs, .. } => Some(theirs.get(field)).filter(|text| *text != self.typed.get(field)),
            Remark::Nothing | Remark::Refused(_) | Remark::SignedOut | Remark::SignedInAnew => None,
        }
    }

    /// What stands below a field.
    fn below(&self, field: &str) -> Markup {
        html! {
            @if let Some(sentence) = self.fault(field) { p.fault id={ (field) "-fault" } { (sentence) } }
            @if let Some(text) = self.theirs(field) {
                div.theirs id={ (field) "-theirs" } {
                    p.small { "In the saved draft:" }
                    @if text.is_empty() { p.soft { "nothing" } } @else { pre dir="auto" { (text) } }
                }
            }
        }
    }

    fn line(&self, field: &str, label: &str, hint: Markup) -> Markup {
        html! {
            label for=(field) { (label) }
            (self.input(field, true))
            p.hint id={ (field) "-hint" } { (hint) }
            (self.below(field))
        }
    }

    fn input(&self, field: &str, hint: bool) -> Markup {
        html! {
            input id=(field) name=(field) value=(self.typed.get(field)) autocomplete="off" dir="auto"
                autofocus[self.focus == Some(field)] aria-invalid=[self.fault(field).map(|_| "true")] aria-describedby=[self.described(field, hint)];
        }
    }

    fn text(&self, field: &str, label: &str, rows: u8, hint: &str) -> Markup {
        html! {
            label for=(field) { (label) }
            textarea id=(field) name=(field) rows=(rows) dir="auto"
                autofocus[self.focus == Some(field)] aria-invalid=[self.fault(field).map(|_| "true")] aria-describedby=[self.described(field, true)] {
                // The first line break after the tag would be swallowed.
                "\n" (self.typed.get(field))
            }
            p.hint id={ (field) "-hint" } { (hint) }
            (self.below(field))
        }
    }

    /// A choice of words. What was typed and is none of them stays a choice, so that it is not lost.
    fn choice(&self, field: &str, label: &str, words: &[(&str, &str)]) -> Markup {
        let typed = self.typed.get(field);
        html! {
            label for=(field) { (label) }
            select id=(field) name=(field)
                autofocus[self.focus == Some(field)] aria-invalid=[self.fault(field).map(|_| "true")] aria-describedby=[self.described(field, false)] {
                @for (value, words) in words { option value=(value) selected[*value == typed] { (words) } }
                @if !words.iter().any(|(value, _)| *value == typed) && !typed.is_empty() { option value=(typed) selected { (typed) } }
            }
            (self.below(field))
        }
    }

    fn severity(&self) -> Markup {
        let mut choices = vec![("", "Not said yet"), ("cvss", "As the CVSS vector says")];
        choices.extend(SeverityWord::ALL.iter().map(|word| (word.as_str(), word.as_str())));
        choices.push(("none", "None, for the reason below"));
        html! {
            fieldset {
                legend { "Severity" }
                div.fields {
                    div { (self.choice("severity", "How bad it is", &choices)) }
                    div.wide {
                        label for="vector" { "CVSS vector" }
                        (self.input("vector", true))
                        p.hint #vector-hint {
                            @match self.typed.score() {
                                Some((score, band)) => { "Scores " strong { (format!("{score:.1}")) } @if let Some(band) = band { ", " (band) } "." }
                                None => "Version 4.0 or 3.1, such as CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N.",
                            }
                        }
                        (self.below("vector"))
                    }
                    div.wide {
                        label for="reason" { "Why there is none" }
                        (self.input("reason", false))
                        (self.below("reason"))
                    }
                }
            }
        }
    }

    fn rows(&self, row: Row, legend: &str, hint: &str) -> Markup {
        html! {
            fieldset id={ (row.word()) "s" } {
                legend { (legend) }
                p.hint { (hint) }
                @if let Some(sentence) = self.fault(&format!("{}s", row.word())) { p.fault { (sentence) } }
                @for (place, number) in self.typed.rows(row).into_iter().enumerate() {
                    fieldset.card {
                        legend { (noun(row)) " " (place + 1) }
                        div.fields { (self.cells(row, number)) }
                        button.plain name="act" value={ "remove-" (row.word()) "-" (number) } formnovalidate
                            aria-label={ "Remove " (noun(row).to_lowercase()) " " (place + 1) } { "Remove" }
                    }
                }
                button name="act" value={ "add-" (row.word()) } formnovalidate { "Add " (article(row)) }
                (self.their_rows(row))
            }
        }
    }

    fn cells(&self, row: Row, number: usize) -> Markup {
        let cell = |part: &str, label: &str| {
            let field = row.field(number, part);
            html! { div { label for=(field) { (label) } (self.input(&field, false)) (self.below_cell(&field)) } }
        };
        let choice = |part: &str, label: &str, words: &[(&str, &str)]| {
            html! { div { (self.choice(&row.field(number, part), label, words)) } }
        };
        match row {
            Row::Line => {
                let mut places = vec![("", "Choose a line")];
                places.extend(self.lines.iter().map(|line| (line.as_str(), line.as_str())));
                let mut registries = vec![("", "In no registry")];
                registries.extend(Ecosystem::ALL.iter().map(|word| (word.as_str(), word.as_str())));
                html! {
                    (choice("place", "Repository and line", &places))
                    (cell("introduced", "First affected"))
                    (cell("fixed", "Fixed in"))
                    (cell("last_affected", "Last affected"))
                    (choice("ecosystem", "Registry", &registries))
                    (cell("package", "Package"))
                    (cell("tag", "Tag"))
                    (cell("fix_commit", "Fix commit"))
                }
            }
            Row::Credit => {
                let kinds: Vec<_> = CreditKind::ALL.iter().map(|kind| (kind.as_str(), word(kind.as_str()))).collect();
                let kinds: Vec<_> = kinds.iter().map(|(value, words)| (*value, words.as_str())).collect();
                let consents = CreditConsent::ALL.iter().map(|consent| (consent.as_str(), consent_words(*consent)));
                html! {
                    (cell("name", "Name"))
                    (choice("kind", "What they did", &kinds))
                    (cell("url", "Their page"))
                    (choice("consent", "To be named", &consents.collect::<Vec<_>>()))
                }
            }
            Row::Reference => {
                let kinds: Vec<_> = ReferenceKind::ALL.iter().map(|kind| (kind.as_str(), kind.as_str())).collect();
                html! { (cell("url", "Address")) (choice("kind", "What it is", &kinds)) }
            }
        }
    }

    /// What is wrong with a cell. What another wrote is shown below the rows, which may stand in another order.
    fn below_cell(&self, field: &str) -> Markup {
        html! { @if let Some(sentence) = self.fault(field) { p.fault id={ (field) "-fault" } { (sentence) } } }
    }

    fn their_rows(&self, row: Row) -> Markup {
        let Remark::Overtaken { theirs, .. } = self.remark else { return html! {} };
        let (own, theirs) = (in_words(self.typed, row), in_words(theirs, row));
        html! {
            @if own != theirs {
                div.theirs {
                    p.small { "In the saved draft:" }
                    @if theirs.is_empty() { p.soft { "nothing" } } @else { ul { @for words in &theirs { li { (foreign(words)) } } } }
                }
            }
        }
    }
}

/// Says what stands in each row that is not empty.
fn in_words(typed: &Typed, row: Row) -> Vec<String> {
    let rows = typed.rows(row).into_iter().map(|number| {
        let texts = row.parts().iter().map(|part| (part, typed.get(&row.field(number, part))));
        let texts = texts.filter(|(_, text)| !text.is_empty()).map(|(part, text)| format!("{}: {text}", word(part)));
        texts.collect::<Vec<_>>().join(", ")
    });
    rows.filter(|words| !words.is_empty()).collect()
}

fn noun(row: Row) -> &'static str {
    match row {
        Row::Line => "Line",
        Row::Credit => "Credit",
        Row::Reference => "Reference",
    }
}

fn article(row: Row) -> &'static str {
    match row {
        Row::Line => "a line",
        Row::Credit => "a credit",
        Row::Reference => "a reference",
    }
}

fn consent_words(consent: CreditConsent) -> &'static str {
    match consent {
        CreditConsent::Asked => "asked, not answered: left out",
        CreditConsent::Agreed => "agreed to be named",
        CreditConsent::Anonymous => "counted, not named",
        CreditConsent::Declined => "declined: left out",
    }
}
