//! A recipient: one member of an audience who was told of a release, and what they said.
//!
//! Guards: a recipient's link opens what their level holds and nothing of anybody else; what they write is short, and for the
//! release's managers alone.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audience::Level;
use super::id::words;
use super::plain::AdvisoryId;
use super::refusal::{Malformed, Refusal};
use super::text::{Body, EmailAddress, Label};

words! {
    /// How far a recipient is.
    RecipientState {
        /// The mail is on its way.
        Pending = "pending",
        /// The mail server took the mail.
        Sent = "sent",
        /// The mail was given up.
        Failed = "failed",
        /// The recipient said that it arrived.
        Acknowledged = "acknowledged",
    }
}

words! {
    /// How an advisory concerns a recipient.
    Affect {
        /// What they look after is affected.
        Affected = "affected",
        /// It is not.
        NotAffected = "not_affected",
        /// They do not know yet.
        Unknown = "unknown",
    }
}

/// Who a recipient is, as the configuration named them when they were told. Stored sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// The name.
    pub name: Label,
    /// Where the mail goes.
    pub email: EmailAddress,
}

/// What a recipient adds to an answer: at most 2,000 bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Remark(Body);

/// An answer before it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The advisory; none for the release as a whole.
    pub advisory: Option<AdvisoryId>,
    /// How it concerns them.
    pub affect: Affect,
    /// What they add.
    pub remark: Option<Remark>,
}

impl Remark {
    const LONGEST: usize = 2_000;

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Remark {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let body: Body = text.parse()?;
        if body.as_str().len() > Self::LONGEST {
            return Err(Malformed::new("a remark has at most 2,000 letters: write the team a mail for more"));
        }
        Ok(Self(body))
    }
}

impl TryFrom<String> for Remark {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Remark> for String {
    fn from(remark: Remark) -> Self {
        remark.0.into()
    }
}

impl fmt::Debug for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remark({} bytes)", self.as_str().len())
    }
}

/// Returns the advisories a recipient of this level may know of by id: below the text, not even how many there are.
pub fn named(level: Level, advisories: &[AdvisoryId]) -> &[AdvisoryId] {
    if level.is_encrypted() { advisories } else { &[] }
}

impl Answer {
    /// Checks that it is about something the recipient may know of.
    pub fn check(&self, level: Level, advisories: &[AdvisoryId]) -> Result<(), Refusal> {
        let known = named(level, advisories);
        let fits = match &self.advisory {
            None => known.is_empty(),
            Some(id) => known.contains(id),
        };
        if fits { Ok(()) } else { Err(Refusal::input("Answer for what this page names: load it again.")) }
    }
}

impl RecipientState {
    /// Says how far a recipient is, from how far the mail is and what they did.
    pub fn of(mail: Self, acknowledged_at: Option<Timestamp>) -> Self {
        if acknowledged_at.is_some() { Self::Acknowledged } else { mail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_about_what_its_level_names() {
        let ids: Vec<AdvisoryId> = ["DEMO-2030-0001", "DEMO-2030-0002"].map(|id| id.parse().unwrap()).to_vec();
        let about = |advisory: Option<&str>| Answer {
            advisory: advisory.map(|id| id.parse().unwrap()),
            affect: Affect::Unknown,
            remark: None,
        };
        for (level, advisory, fits) in [
            (Level::Date, None, true),
            (Level::Severity, None, true),
            (Level::Severity, Some("DEMO-2030-0001"), false),
            (Level::Text, Some("DEMO-2030-0002"), true),
            (Level::Patches, Some("DEMO-2030-0003"), false),
            (Level::Patches, None, false),
        ] {
            assert_eq!(about(advisory).check(level, &ids).is_ok(), fits, "{level} {advisory:?}");
        }
    }

    #[test]
    fn a_remark_is_short_and_does_not_print() {
        assert!("x".repeat(2_001).parse::<Remark>().is_err());
        assert!(" ".parse::<Remark>().is_err());
        let remark: Remark = "canary".parse().unwrap();
        assert!(!format!("{remark:?}").contains("canary"));
    }
}
