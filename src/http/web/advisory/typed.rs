//! An advisory as it is typed into the editor: every field a text under its name, so that nothing typed is lost.
//!
//! Guards: a draft is made only when every field has its form; otherwise each field that has not gets one sentence. Rows
//! (`line-0-fixed`) are numbered, not counted: a row that was removed leaves a gap. Leaves how it looks to [`super::editor`].

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::domain::advisory::{
    Advisory, AffectedLine, Credit, CreditConsent, CreditKind, Package, Reference, ReferenceKind,
};
use crate::domain::refusal::{Malformed, Refusal};
use crate::domain::severity::{CvssVector, Severity, SeverityWord};
use crate::wire::advisory::EditAdvisory;

/// The kinds of rows of which an advisory has any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// What is affected and fixed on one line.
    Line,
    /// Somebody who is thanked.
    Credit,
    /// A page that helps the reader.
    Reference,
}

/// The button that sent the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Press {
    /// Save the draft.
    Save,
    /// Add an empty row.
    Add(Row),
    /// Take the row of this number out.
    Remove(Row, usize),
}

/// A field that cannot be taken as it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The field's name.
    pub(crate) field: String,
    /// One sentence.
    pub(crate) sentence: String,
}

/// What stands in the fields, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed(BTreeMap<String, String>);

/// The fields that stand once.
const SINGLE: [&str; 9] =
    ["version", "title", "description", "workaround", "technical", "severity", "vector", "reason", "cve"];

impl Row {
    /// All kinds, in the order of the page.
    pub(crate) const ALL: [Self; 3] = [Self::Line, Self::Credit, Self::Reference];

    /// The first part of the names of its fields.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Credit => "credit",
            Self::Reference => "reference",
        }
    }

    /// The last parts of the names of its fields, the first field first.
    pub(crate) fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Line => {
                &["place", "introduced", "last_affected", "fixed", "ecosystem", "package", "tag", "fix_commit"]
            }
            Self::Credit => &["name", "kind", "url", "consent"],
            Self::Reference => &["url", "kind"],
        }
    }

    /// The name of a field of a row.
    pub(crate) fn field(self, number: usize, part: &str) -> String {
        format!("{}-{number}-{part}", self.word())
    }

    /// Reads kind and number back from a field's name, if it is one of a row.
    fn of(field: &str) -> Option<(Self, usize)> {
        let row = Self::ALL.into_iter().find(|row| field.split('-').next() == Some(row.word()))?;
        let (number, part) = field.strip_prefix(row.word())?.strip_prefix('-')?.split_once('-')?;
        let number: u16 = number.parse().ok()?;
        row.parts().contains(&part).then_some((row, usize::from(number)))
    }
}

impl FromStr for Press {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let unknown = || Malformed::new("this button is not one of the editor's: load the page again");
        let row = |word: &str| Row::ALL.into_iter().find(|row| row.word() == word).ok_or_else(unknown);
        let mut words = text.split('-');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("save"), None, ..) => Ok(Self::Save),
            (Some("add"), Some(word), None, _) => Ok(Self::Add(row(word)?)),
            (Some("remove"), Some(word), Some(number), None) => {
                Ok(Self::Remove(row(word)?, number.parse().map_err(|_| unknown())?))
            }
            _ => Err(unknown()),
        }
    }
}

impl Typed {
    /// Takes the fields of a form; a button and what the editor does not know are left out.
    pub(crate) fn of_form(fields: Vec<(String, String)>) -> Self {
        let known = |name: &str| SINGLE.contains(&name) || Row::of(name).is_some();
        let lines = |(name, text): (String, String)| (name, text.replace("\r\n", "\n"));
        Self(fields.into_iter().filter(|(name, _)| known(name)).map(lines).collect())
    }

    /// Writes a draft into the fields.
    pub(crate) fn of_draft(draft: &EditAdvisory) -> Self {
        let advisory = &draft.advisory;
        let mut typed = Self::default();
        typed.set("version", draft.version);
        typed.set("title", Some(&advisory.title));
        typed.set("description", advisory.description.as_ref());
        typed.set("workaround", advisory.workaround.as_ref());
        typed.set("technical", advisory.technical.as_ref());
        typed.set("cve", advisory.cve.as_ref());
        match &advisory.severity {
            None => {}
            Some(Severity::Word(word)) => typed.set("severity", Some(word)),
            Some(Severity::Cvss(vector)) => {
                typed.set("severity", Some("cvss"));
                typed.set("vector", Some(vector));
            }
            Some(Severity::None(reason)) => {
                typed.set("severity", Some("none"));
                typed.set("reason", Some(reason));
            }
        }
        for (number, line) in advisory.affected.iter().enumerate() {
            let mut set = |part: &str, value: Option<String>| typed.set(&Row::Line.field(number, part), value);
            set("place", Some(format!("{} {}", line.repository, line.line)));
            set("introduced", line.introduced.as_ref().map(ToString::to_string));
            set("last_affected", line.last_affected.as_ref().map(ToString::to_string));
            set("fixed", line.fixed.as_ref().map(ToString::to_string));
            set("ecosystem", line.package.as_ref().map(|package| package.ecosystem.to_string()));
            set("package", line.package.as_ref().map(|package| package.name.to_string()));
            set("tag", line.tag.as_ref().map(ToString::to_string));
            set("fix_commit", line.fix_commit.as_ref().map(ToString::to_string));
        }
        for (number, credit) in advisory.credits.iter().enumerate() {
            let mut set = |part: &str, value: Option<String>| typed.set(&Row::Credit.field(number, part), value);
            set("name", Some(credit.name.to_string()));
            set("kind", Some(credit.kind.to_string()));
            set("url", credit.url.as_ref().map(ToString::to_string));
            set("consent", Some(credit.consent.to_string()));
        }
        for (number, reference) in advisory.references.iter().enumerate() {
            typed.set(&Row::Reference.field(number, "url"), Some(&reference.url));
            typed.set(&Row::Reference.field(number, "kind"), Some(reference.kind));
        }
        typed
    }

    /// Returns what stands in a field; nothing where there is no such field.
    pub(crate) fn get(&self, field: &str) -> &str {
        self.0.get(field).map_or("", String::as_str)
    }

    /// Returns the numbers of the rows of a kind, in order.
    pub(crate) fn rows(&self, row: Row) -> BTreeSet<usize> {
        self.0.keys().filter_map(|name| Row::of(name)).filter(|(found, _)| *found == row).map(|(_, n)| n).collect()
    }

    /// Adds an empty row, and returns the name of its first field.
    pub(crate) fn add(&mut self, row: Row) -> String {
        let number = self.rows(row).last().map_or(0, |last| last + 1);
        let first = row.field(number, row.parts()[0]);
        self.0.insert(first.clone(), String::new());
        first
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, row: Row, number: usize) {
        self.0.retain(|name, _| Row::of(name) != Some((row, number)));
    }

    /// Stands on another version from now on: the next save replaces that one.
    pub(crate) fn rebase(&mut self, version: Option<i64>) {
        self.0.remove("version");
        self.set("version", version);
    }

    /// Returns the version it started from.
    pub(crate) fn version(&self) -> Option<i64> {
        self.get("version").parse().ok()
    }

    /// Returns the score and band of the vector, where it is one.
    pub(crate) fn score(&self) -> Option<(f64, Option<&'static str>)> {
        let vector: CvssVector = self.get("vector").parse().ok()?;
        Some((vector.score(), vector.word().map(SeverityWord::as_str)))
    }

    /// Makes the draft, or says of every field that cannot be taken what to do.
    pub(crate) fn read(&self) -> Result<Advisory, Vec<Fault>> {
        let mut reader = Reader { typed: self, faults: Vec::new() };
        let title = reader.needed("title");
        let description = reader.optional("description");
        let workaround = reader.optional("workaround");
        let technical = reader.optional("technical");
        let severity = reader.severity();
        let cve = reader.optional("cve");
        let affected: Vec<_> = self.rows(Row::Line).into_iter().filter_map(|number| reader.line(number)).collect();
        let credits: Vec<_> = self.rows(Row::Credit).into_iter().filter_map(|number| reader.credit(number)).collect();
        let references = self.rows(Row::Reference).into_iter().filter_map(|number| reader.reference(number)).collect();
        match title {
            Some(title) if reader.faults.is_empty() => {
                Ok(Advisory { title, description, affected, workaround, technical, severity, cve, credits, references })
            }
            Some(_) | None => Err(reader.faults),
        }
    }

    fn set(&mut self, field: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.insert(field.to_owned(), value.to_string());
        }
    }
}

/// Reads fields one after the other and keeps what is wrong with them.
struct Reader<'a> {
    typed: &'a Typed,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, field: &str, sentence: impl Into<String>) {
        self.faults.push(Fault { field: field.to_owned(), sentence: sentence.into() });
    }

    fn needed<T: FromStr<Err = Malformed>>(&mut self, field: &str) -> Option<T> {
        let read = self.typed.get(field).trim().parse();
        read.map_err(|malformed| self.fault(field, Refusal::from(malformed).to_string())).ok()
    }

    fn optional<T: FromStr<Err = Malformed>>(&mut self, field: &str) -> Option<T> {
        if self.typed.get(field).trim().is_empty() { None } else { self.needed(field) }
    }

    fn filled(&self, row: Row, number: usize, parts: &[&str]) -> bool {
        parts.iter().any(|part| !self.typed.get(&row.field(number, part)).trim().is_empty())
    }

    fn severity(&mut self) -> Option<Severity> {
        let typed = self.typed;
        let (vector, reason) = (!typed.get("vector").trim().is_empty(), !typed.get("reason").trim().is_empty());
        match (typed.get("severity"), vector, reason) {
            // What was typed says what was meant.
            ("cvss", ..) | ("", true, false) => self.needed("vector").map(Severity::Cvss),
            ("none", ..) | ("", false, true) => {
                if !reason {
                    self.fault("reason", "Say in one line why there is no severity: the public reads it in its place.");
                    return None;
                }
                self.needed("reason").map(Severity::None)
            }
            ("", true, true) => {
                self.fault("severity", "Choose what counts: the CVSS vector, or the reason why there is no severity.");
                None
            }
            ("", false, false) => None,
            (_, true, _) => {
                self.fault("severity", "Choose “as the CVSS vector says”, or empty the vector: they would contradict.");
                None
            }
            (_, false, _) => self.needed("severity").map(Severity::Word),
        }
    }

    fn line(&mut self, number: usize) -> Option<AffectedLine> {
        let field = |part: &str| Row::Line.field(number, part);
        let place = self.typed.get(&field("place"));
        if place.is_empty() {
            if self.filled(Row::Line, number, &Row::Line.parts()[1..]) {
                self.fault(&field("place"), "Choose the line this is about, or remove the row.");
            }
            return None;
        }
        let named = place.split_once(' ').and_then(|(name, line)| Some((name.parse().ok()?, line.parse().ok()?)));
        if named.is_none() {
            self.fault(&field("place"), "Choose one of the lines of this project.");
        }
        let package = match (self.optional(&field("ecosystem")), self.optional(&field("package"))) {
            (Some(ecosystem), Some(name)) => Some(Package { ecosystem, name }),
            (Some(_), None) if !self.filled(Row::Line, number, &["package"]) => {
                self.fault(&field("package"), "Write the package's name in that registry, or choose no registry.");
                None
            }
            (None, Some(_)) if !self.filled(Row::Line, number, &["ecosystem"]) => {
                self.fault(&field("ecosystem"), "Choose the registry of this package, or empty its name.");
                None
            }
            (Some(_) | None, None) | (None, Some(_)) => None,
        };
        let introduced = self.optional(&field("introduced"));
        let last_affected = self.optional(&field("last_affected"));
        let (fixed, tag) = (self.optional(&field("fixed")), self.optional(&field("tag")));
        let fix_commit = self.optional(&field("fix_commit"));
        let (repository, line) = named?;
        Some(AffectedLine { repository, line, package, introduced, last_affected, fixed, tag, fix_commit })
    }

    fn credit(&mut self, number: usize) -> Option<Credit> {
        let field = |part: &str| Row::Credit.field(number, part);
        if !self.filled(Row::Credit, number, &["name", "url"]) {
            return None;
        }
        let (name, url) = (self.needed(&field("name")), self.optional(&field("url")));
        let kind: Option<CreditKind> = self.needed(&field("kind"));
        let consent: Option<CreditConsent> = self.needed(&field("consent"));
        Some(Credit { name: name?, kind: kind?, url, consent: consent? })
    }

    fn reference(&mut self, number: usize) -> Option<Reference> {
        let field = |part: &str| Row::Reference.field(number, part);
        if !self.filled(Row::Reference, number, &["url"]) {
            return None;
        }
        let (url, kind) = (self.needed(&field("url")), self.needed::<ReferenceKind>(&field("kind")));
        Some(Reference { kind: kind?, url: url? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(fields: &[(&str, &str)]) -> Typed {
        Typed::of_form(fields.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
    }

    fn draft() -> Advisory {
        serde_json::from_value(serde_json::json!({
            "title": "Sample flaw", "description": "What\nhappens.", "workaround": "Switch it off.", "cve": "CVE-2026-0001",
            "severity": { "kind": "cvss", "value": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" },
            "affected": [
                { "repository": "octo", "line": "main", "package": { "ecosystem": "npm", "name": "octo" }, "introduced": "1.0", "fixed": "2.0", "tag": "v2.0" },
                { "repository": "octo", "line": "1.x", "last_affected": "1.4", "fix_commit": "4f0c2b7d9e1a3b5c7d9e1f2a3b4c5d6e7f809102" }
            ],
            "credits": [{ "name": "Sample Person", "kind": "analyst", "url": "https://example.org/", "consent": "agreed" }],
            "references": [{ "kind": "web", "url": "https://example.org/more" }]
        }))
        .unwrap()
    }

    fn faults(fields: &[(&str, &str)]) -> Vec<String> {
        typed(fields).read().unwrap_err().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn a_draft_comes_out_of_the_fields_as_it_went_in() {
        let draft = EditAdvisory { advisory: draft(), version: Some(7) };
        let typed = Typed::of_draft(&draft);
        assert_eq!(typed.read().unwrap(), draft.advisory);
        assert_eq!(typed.version(), Some(7));
        for severity in
            [None, Some(Severity::Word("high".parse().unwrap())), Some(Severity::None("No.".parse().unwrap()))]
        {
            let advisory = Advisory { severity, ..draft.advisory.clone() };
            assert_eq!(
                Typed::of_draft(&EditAdvisory { advisory: advisory.clone(), version: None }).read().unwrap(),
                advisory
            );
        }
    }

    #[test]
    fn rows_are_added_and_removed_and_empty_ones_left_out() {
        let mut typed = Typed::of_draft(&EditAdvisory { advisory: draft(), version: None });
        assert_eq!(typed.add(Row::Line), "line-2-place");
        typed.remove(Row::Line, 0);
        assert_eq!(typed.add(Row::Line), "line-3-place");
        typed.add(Row::Credit);
        typed.add(Row::Reference);
        let advisory = typed.read().unwrap();
        let lines: Vec<_> = advisory.affected.iter().map(|line| line.line.as_str()).collect();
        assert_eq!((lines, advisory.credits.len(), advisory.references.len()), (vec!["1.x"], 1, 1));
    }

    #[test]
    fn every_wrong_field_is_named_and_what_was_typed_stays() {
        let fields = [
            ("title", " "),
            ("vector", "9.8"),
            ("cve", "2026-1"),
            ("line-0-place", "octo main"),
            ("line-0-fixed", "not a version"),
            ("line-0-package", "octo"),
            ("line-4-fixed", "1.0"),
            ("credit-1-url", "javascript:alert(1)"),
            ("credit-1-kind", "analyst"),
            ("credit-1-consent", "agreed"),
            ("reference-0-url", "example"),
            ("reference-0-kind", "web"),
        ];
        let expected = [
            "title",
            "vector",
            "cve",
            "line-0-ecosystem",
            "line-0-fixed",
            "line-4-place",
            "credit-1-name",
            "credit-1-url",
            "reference-0-url",
        ];
        assert_eq!(faults(&fields), expected);
        assert_eq!(typed(&fields).get("line-0-fixed"), "not a version");
        for fault in typed(&fields).read().unwrap_err() {
            assert!(fault.sentence.ends_with('.') && fault.sentence.starts_with(char::is_uppercase), "{fault:?}");
        }
    }

    #[test]
    fn a_severity_that_contradicts_itself_is_asked_about() {
        let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
        assert_eq!(faults(&[("title", "x"), ("severity", "high"), ("vector", vector)]), ["severity"]);
        assert_eq!(faults(&[("title", "x"), ("vector", vector), ("reason", "None.")]), ["severity"]);
        assert_eq!(faults(&[("title", "x"), ("severity", "none")]), ["reason"]);
        assert_eq!(faults(&[("title", "x"), ("severity", "cvss")]), ["vector"]);
        assert!(matches!(
            typed(&[("title", "x"), ("vector", vector)]).read().unwrap().severity,
            Some(Severity::Cvss(_))
        ));
    }

    #[test]
    fn buttons_and_names_that_are_not_the_editors_do_nothing() {
        assert_eq!("save".parse(), Ok(Press::Save));
        assert_eq!("add-credit".parse(), Ok(Press::Add(Row::Credit)));
        assert_eq!("remove-line-12".parse(), Ok(Press::Remove(Row::Line, 12)));
        for wrong in ["", "save-line", "add", "add-house", "remove-line", "remove-line-x", "remove-line-1-2"] {
            assert!(wrong.parse::<Press>().is_err(), "{wrong}");
        }
        assert_eq!(typed(&[("line-0-house", "x"), ("act", "save"), ("form_token", "x")]), Typed::default());
    }
}
