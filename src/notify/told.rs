//! What a member of an audience is written: that a security release comes, when, and their personal link.
//!
//! Guards: no field can hold a case, a title or a text; the severity is a word of a closed set; the link's code is never printed and
//! stands in the fragment, which no server and no referrer sees. Leaves who may know how much to `domain::wave`.

use std::fmt;
use std::fmt::Write as _;

use jiff::Timestamp;

use crate::domain::plain::Link;
use crate::domain::repo::{LineName, RepoName, TagName};
use crate::domain::sealed::Secret;
use crate::domain::severity::SeverityWord;
use crate::domain::text::Label;

/// The words of a mail to a recipient, put together when it is sent and stored nowhere.
#[derive(Clone)]
pub struct ToldWords {
    /// The project.
    pub project: Label,
    /// The instant.
    pub due_at: Timestamp,
    /// What ships.
    pub lines: Vec<ToldLine>,
    /// The highest severity.
    pub severity: Severest,
    /// The code of the recipient's link.
    pub code: Secret,
}

/// One line that ships.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldLine {
    /// The repository.
    pub repository: RepoName,
    /// The line.
    pub line: LineName,
    /// The tag.
    pub tag: TagName,
}

/// What is told of the highest severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severest {
    /// Nothing.
    Untold,
    /// That the project rates none.
    Unrated,
    /// The word.
    Rated(SeverityWord),
}

impl Severest {
    /// Returns the word for people; nothing if nothing is told.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Untold => None,
            Self::Unrated => Some("not rated"),
            Self::Rated(word) => Some(word.as_str()),
        }
    }
}

impl ToldWords {
    /// Returns the text below the greeting.
    pub(super) fn text(&self, base_url: &Link) -> String {
        let mut text = format!(
            "a security release of {} is planned for\n\n  {}\n\nWhat ships:\n\n",
            self.project,
            minute(self.due_at)
        );
        for ToldLine { repository, line, tag } in &self.lines {
            let _ = writeln!(text, "  {repository} {line}: {tag}");
        }
        if let Some(word) = self.severity.word() {
            let _ = write!(text, "\nThe highest severity: {word}.\n");
        }
        let link = base_url.join(&format!("w/#{}", self.code.expose()));
        let _ = write!(
            text,
            "\nThis link is yours alone. Please acknowledge there, and say whether you are\naffected:\n\n  {link}\n\n\
             Until the release is out, please tell nobody outside your audience."
        );
        text
    }
}

impl fmt::Debug for ToldWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToldWords(..)")
    }
}

impl PartialEq for ToldWords {
    fn eq(&self, other: &Self) -> bool {
        let parts = |it: &Self| (it.project.clone(), it.due_at, it.lines.clone(), it.severity);
        parts(self) == parts(other) && self.code.expose() == other.code.expose()
    }
}

impl Eq for ToldWords {}

/// Writes an instant for a mail, in UTC.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
