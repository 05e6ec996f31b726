//! Templates of what a release writes into git: the messages of merges, squashed commits and tags, and the riders.
//!
//! Guards: an unknown name is refused when the configuration is read; a value is one line and stands behind words of the
//! template, so that no title makes a line or a trailer of its own; and a line whose value is not there is left out. Leaves
//! where the values come from to `workflow::recipe`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::id::words;
use super::refusal::Malformed;
use super::text::{deceptive, shown};

/// Bytes a template may have.
const LONGEST: usize = 4_000;

words! {
    /// A name that stands for a value.
    Slot {
        /// The project's name.
        Project = "project",
        /// The line.
        Line = "line",
        /// The tag.
        Tag = "tag",
        /// The line whose commit is merged in.
        From = "from",
        /// The id of the case.
        Case = "case",
        /// The ids of all cases of the release, with commas.
        Cases = "cases",
        /// The title of the advisory.
        Title = "title",
        /// The public id of the advisory.
        Advisory = "advisory",
        /// The CVE id; a case may have none.
        Cve = "cve",
        /// For each case that is fixed on the line: the title and the ids of its advisory.
        Fixes = "fixes",
        /// Each reporter who agreed to be named.
        Reporter = "reporter",
        /// Each person who approved the fix at the commit that ships.
        Reviewer = "reviewer",
    }
}

impl Slot {
    /// Tells whether its value may be missing, or be several.
    const fn varies(self) -> bool {
        match self {
            Self::Cve | Self::Fixes | Self::Reporter | Self::Reviewer => true,
            Self::Project
            | Self::Line
            | Self::Tag
            | Self::From
            | Self::Case
            | Self::Cases
            | Self::Title
            | Self::Advisory => false,
        }
    }

    /// Tells whether somebody wrote its value freely.
    const fn is_free(self) -> bool {
        match self {
            Self::Title | Self::Fixes | Self::Reporter | Self::Reviewer | Self::Project => true,
            Self::Line | Self::Tag | Self::From | Self::Case | Self::Cases | Self::Advisory | Self::Cve => false,
        }
    }
}

/// What a template is for.
pub trait Purpose {
    /// What its text is called in a refusal.
    const WHAT: &'static str;
    /// The names it may use.
    const SLOTS: &'static [Slot];
    /// Checks the form besides the names.
    fn form(rows: &[Row]) -> Result<(), String>;
}

/// The message of a merge or of a squashed commit: of one fix on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfFix;

/// The message of a tag: of all fixes on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfTag;

/// A trailer that is added when the release is built: one line, `Name: value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfRider;

impl Purpose for OfFix {
    const WHAT: &'static str = "a message of a fix";
    const SLOTS: &'static [Slot] =
        &[Slot::Project, Slot::Line, Slot::Tag, Slot::Case, Slot::Title, Slot::Advisory, Slot::Cve];
    fn form(rows: &[Row]) -> Result<(), String> {
        message(rows)
    }
}

impl Purpose for OfTag {
    const WHAT: &'static str = "a message of a tag";
    const SLOTS: &'static [Slot] = &[Slot::Project, Slot::Line, Slot::Tag, Slot::Cases, Slot::Fixes];
    fn form(rows: &[Row]) -> Result<(), String> {
        message(rows)
    }
}

/// The message of a merge of what one line ships into another line or branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfForward;

impl Purpose for OfForward {
    const WHAT: &'static str = "a message of a forward merge";
    const SLOTS: &'static [Slot] = &[Slot::Project, Slot::From, Slot::Line, Slot::Tag];
    fn form(rows: &[Row]) -> Result<(), String> {
        message(rows)
    }
}

/// The path of a file that a release adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfPath;

impl Purpose for OfPath {
    const WHAT: &'static str = "a path of release notes";
    const SLOTS: &'static [Slot] = &[Slot::Line, Slot::Tag];
    fn form(rows: &[Row]) -> Result<(), String> {
        let [Row(pieces)] = rows else { return Err("is one line".to_owned()) };
        let names_the_tag = pieces.contains(&Piece::Slot(Slot::Tag));
        if names_the_tag {
            Ok(())
        } else {
            Err("names the {tag}, so that each release adds a file of its own".to_owned())
        }
    }
}

impl Template<OfPath> {
    /// Writes the path; none if it would leave the tree or touch what is git's own.
    pub fn path(&self, values: &Values) -> Option<String> {
        let path = self.write(values);
        let part = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && !part.to_ascii_lowercase().starts_with(".git")
        };
        let plain = |c: char| !deceptive(c) && c != '\\';
        (path.split('/').all(part) && path.chars().all(plain)).then_some(path)
    }
}

impl Purpose for OfRider {
    const WHAT: &'static str = "a rider";
    const SLOTS: &'static [Slot] =
        &[Slot::Project, Slot::Line, Slot::Tag, Slot::Case, Slot::Advisory, Slot::Cve, Slot::Reporter, Slot::Reviewer];
    fn form(rows: &[Row]) -> Result<(), String> {
        let [Row(pieces)] = rows else { return Err("is one line".to_owned()) };
        match pieces.first() {
            Some(Piece::Text(text)) if is_trailer(text) => Ok(()),
            Some(Piece::Text(_) | Piece::Slot(_)) | None => {
                Err("begins with its name, as in \"Fixes: {cve}\"".to_owned())
            }
        }
    }
}

/// Checks what every message keeps to: a first line that is always there, and no line that begins with what somebody wrote.
fn message(rows: &[Row]) -> Result<(), String> {
    let Some(first) = rows.first().filter(|row| !row.0.is_empty()) else {
        return Err("begins with a line of its own".to_owned());
    };
    if let Some(slot) = first.slots().find(|slot| slot.varies()) {
        return Err(format!("needs a first line that is always there, and there may be no {{{slot}}}"));
    }
    for row in &rows[1..] {
        if let Some(Piece::Slot(slot)) = row.0.first()
            && slot.is_free()
        {
            return Err(format!(
                "may not begin a line with {{{slot}}}, which could pose as a trailer: write \"- {{{slot}}}\""
            ));
        }
    }
    Ok(())
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Slot(Slot),
}

/// One line of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(Vec<Piece>);

/// A template that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "P: Purpose + Clone")]
pub struct Template<P> {
    text: String,
    rows: Vec<Row>,
    purpose: PhantomData<P>,
}

/// What the names stand for. Each value is one line.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<Slot, Vec<String>>);

impl Values {
    /// Adds a value; what could deceive a reader or break the line is written out as `\u{..}`.
    #[must_use]
    pub fn with(mut self, slot: Slot, value: &str) -> Self {
        let value = shown(value.trim());
        if !value.is_empty() {
            self.0.entry(slot).or_default().push(value);
        }
        self
    }

    fn of(&self, slot: Slot) -> &[String] {
        self.0.get(&slot).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Row {
    fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Slot(slot) => Some(*slot),
            Piece::Text(_) => None,
        })
    }

    /// Writes the line as often as its names have values: not at all where one has none.
    fn write(&self, values: &Values) -> Vec<String> {
        let times =
            self.slots().map(|slot| values.of(slot).len()).min_by_key(|times| (*times != 0, usize::MAX - times));
        let line = |n: usize| {
            self.0.iter().fold(String::new(), |mut line, piece| {
                match piece {
                    Piece::Text(text) => line.push_str(text),
                    Piece::Slot(slot) => {
                        let all = values.of(*slot);
                        line.push_str(all.get(n).or(all.first()).map_or("", String::as_str));
                    }
                }
                line
            })
        };
        (0..times.unwrap_or(1)).map(line).collect()
    }
}

impl<P: Purpose> Template<P> {
    /// Reads a template.
    ///
    /// # Errors
    /// A clause that says what is wrong: an unknown name, or a form that could deceive.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let what = P::WHAT;
        let wrong = |why: &str| Malformed::composed(format!("{what} {why}"));
        if text.len() > LONGEST {
            return Err(wrong("has at most 4000 bytes"));
        }
        if text.chars().any(|c| deceptive(c) && c != '\n') {
            return Err(wrong("holds no control or direction-changing characters"));
        }
        let rows = text.trim_end().split('\n').map(|line| row::<P>(line.trim_end())).collect::<Result<Vec<_>, _>>()?;
        P::form(&rows).map_err(|why| wrong(&why))?;
        Ok(Self { text: text.to_owned(), rows, purpose: PhantomData })
    }

    /// Writes the lines, without those that name something that is not there.
    pub fn write(&self, values: &Values) -> String {
        let mut lines: Vec<String> = Vec::new();
        for row in &self.rows {
            let blank = row.0.is_empty();
            if blank && lines.last().is_some_and(String::is_empty) {
                continue;
            }
            lines.extend(row.write(values));
        }
        lines.join("\n").trim_end().to_owned()
    }

    /// Tells whether it uses a name.
    pub fn names(&self, slot: Slot) -> bool {
        self.rows.iter().any(|row| row.slots().any(|used| used == slot))
    }
}

impl Template<OfRider> {
    /// Returns the key of its trailers; none where it is made of a name.
    pub fn key(&self) -> Option<String> {
        let (key, _) = self.text.split_once(':')?;
        (!key.contains('{')).then(|| key.trim().to_owned())
    }

    /// Writes the trailers: one for each value, none where there is no value.
    pub fn trailers(&self, values: &Values) -> Vec<String> {
        self.rows.iter().flat_map(|row| row.write(values)).collect()
    }
}

fn row<P: Purpose>(line: &str) -> Result<Row, Malformed> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find('{') {
        if start > 0 {
            pieces.push(Piece::Text(rest[..start].to_owned()));
        }
        let inner = &rest[start + 1..];
        let end = inner.find('}').ok_or_else(|| Malformed::composed(format!("`{line}` opens a {{ and closes none")))?;
        let name = &inner[..end];
        let slot = name.parse::<Slot>().ok().filter(|slot| P::SLOTS.contains(slot));
        let slot = slot.ok_or_else(|| {
            let known: Vec<_> = P::SLOTS.iter().map(|slot| format!("{{{slot}}}")).collect();
            Malformed::composed(format!("{} knows no {{{name}}}: use {}", P::WHAT, known.join(" ")))
        })?;
        pieces.push(Piece::Slot(slot));
        rest = &inner[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(Row(pieces))
}

/// Adds trailers to a message: to those it ends with, or in a paragraph of their own.
pub fn with_trailers(message: &str, trailers: &[String]) -> String {
    let message = message.trim_end();
    if trailers.is_empty() {
        return message.to_owned();
    }
    let last = message.rsplit_once("\n\n").map(|(_, last)| last.trim_start_matches('\n'));
    let ends_with_trailers = last.is_some_and(|last| last.lines().all(is_trailer));
    let new: Vec<&str> =
        trailers.iter().map(String::as_str).filter(|new| !message.lines().any(|line| line == *new)).collect();
    match (new.is_empty(), ends_with_trailers) {
        (true, _) => message.to_owned(),
        (false, true) => format!("{message}\n{}", new.join("\n")),
        (false, false) => format!("{message}\n\n{}", new.join("\n")),
    }
}

/// Tells whether git would take a line for a trailer: a word of letters, digits and dashes, a colon, a space.
fn is_trailer(line: &str) -> bool {
    line.split_once(": ").is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

impl<P: Purpose> TryFrom<String> for Template<P> {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl<P> From<Template<P>> for String {
    fn from(template: Template<P>) -> String {
        template.text
    }
}

impl<P> fmt::Display for Template<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values::default()
            .with(Slot::Project, "Sample")
            .with(Slot::Case, "DEMO-1")
            .with(Slot::Title, "Crafted file runs code")
            .with(Slot::Advisory, "DEMO-2030-0001")
    }

    fn fix(text: &str) -> Result<String, String> {
        Template::<OfFix>::parse(text).map(|template| template.write(&values())).map_err(|error| error.to_string())
    }

    fn rider(text: &str) -> Result<Template<OfRider>, String> {
        Template::parse(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_without_its_value_is_left_out() {
        let text = "Fix {case}: {title}\n\nSee {advisory}.\nAlso known as {cve}.";
        assert_eq!(fix(text).unwrap(), "Fix DEMO-1: Crafted file runs code\n\nSee DEMO-2030-0001.");
        assert_eq!(fix("Fix {case}\n\n{cve}\n\nEnd").unwrap(), "Fix DEMO-1\n\nEnd");
    }

    #[test]
    fn a_name_that_nobody_knows_or_that_is_not_for_this_is_refused_with_those_there_are() {
        let said = fix("Fix {cves}").unwrap_err();
        assert!(said.contains("knows no {cves}: use {project} {line}"), "{said}");
        assert!(fix("Fix {reporter}").is_err(), "reporters are thanked by riders alone");
        assert!(fix("Fix {case").unwrap_err().contains("closes none"));
        assert!(fix("").is_err() && fix("\nlate").is_err());
        assert!(fix("Fix {cve}").unwrap_err().contains("always there"));
        assert!(rider("Fixes {cve}").unwrap_err().contains("begins with its name"));
        assert!(rider("{cve}: x").is_err() && rider("Fixes: a\nb").is_err());
    }

    #[test]
    fn no_value_makes_a_line_or_a_trailer() {
        let evil = Values::default().with(Slot::Title, "x\n\nReviewed-by: Nobody\u{202e}").with(Slot::Case, "DEMO-1");
        let template = Template::<OfFix>::parse("Fix {case}: {title}").unwrap();
        let written = template.write(&evil);
        assert_eq!(written, "Fix DEMO-1: x\\u{a}\\u{a}Reviewed-by: Nobody\\u{202e}");
        let said = fix("Fix {case}\n\n{title}").unwrap_err();
        assert!(said.contains("could pose as a trailer: write \"- {title}\""), "{said}");
        assert!(fix("Fix {case}\u{202e}").is_err());
    }

    #[test]
    fn a_line_is_written_once_for_each_of_several_values() {
        let values = values().with(Slot::Reporter, "Sample Reporter").with(Slot::Reporter, "Sample Finder");
        let thanks = rider("Reported-by: {reporter}").unwrap();
        assert_eq!(thanks.trailers(&values), ["Reported-by: Sample Reporter", "Reported-by: Sample Finder"]);
        assert!(rider("Fixes: {cve}").unwrap().trailers(&values).is_empty());
        assert_eq!(rider("Security: yes").unwrap().trailers(&values), ["Security: yes"]);
        let both = rider("Fixes: {advisory} for {reporter}").unwrap();
        assert_eq!(both.trailers(&values).len(), 2);
    }

    #[test]
    fn a_path_stays_in_the_tree_and_is_new_for_each_release() {
        let values = Values::default().with(Slot::Tag, "v1.2").with(Slot::Line, "release/1.x");
        let path = |text: &str| Template::<OfPath>::parse(text).map(|template| template.path(&values));
        assert_eq!(path("changes/{line}/{tag}.md").unwrap().as_deref(), Some("changes/release/1.x/v1.2.md"));
        for bad in ["/{tag}", "../{tag}", "a//{tag}", ".git/{tag}", ".GitHub/{tag}", "a\\{tag}"] {
            assert_eq!(path(bad).unwrap(), None, "{bad}");
        }
        assert!(path("CHANGELOG.md").unwrap_err().to_string().contains("names the {tag}"));
    }

    #[test]
    fn trailers_join_those_a_message_ends_with() {
        let one = ["Fixes: CVE-2030-1".to_owned()];
        assert_eq!(with_trailers("Subject", &one), "Subject\n\nFixes: CVE-2030-1");
        assert_eq!(with_trailers("A: b", &one), "A: b\n\nFixes: CVE-2030-1", "a subject is no trailer");
        let signed = "Subject\n\nWhy.\n\nSigned-off-by: Sample <s@example.org>\n";
        assert_eq!(with_trailers(signed, &one).lines().count(), 6);
        assert_eq!(with_trailers("S\n\nText: and\nmore text", &one).lines().count(), 6);
        assert_eq!(with_trailers("S\n\nFixes: CVE-2030-1", &one), "S\n\nFixes: CVE-2030-1", "not twice");
        assert_eq!(with_trailers("S\n", &[]), "S");
    }
}
