//! A report: what a reporter sent. Sealed as one JSON text the moment it arrives; opens a case at once.

use serde::{Deserialize, Serialize};

use super::id::{ReportId, words};
use super::text::{Body, EmailAddress, Label, Title};

words! {
    /// How bad the reporter thinks it is. The maintainers rate it themselves.
    ClaimedSeverity {
        /// Not said.
        Unsaid = "unsaid",
        /// Low.
        Low = "low",
        /// Medium.
        Medium = "medium",
        /// High.
        High = "high",
        /// Critical.
        Critical = "critical",
    }
}

/// How a reporter wants to be thanked in public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "credit", rename_all = "snake_case", deny_unknown_fields)]
pub enum CreditWish {
    /// Under this name.
    Named {
        /// The name.
        name: Label,
    },
    /// As "an anonymous reporter".
    Anonymous,
    /// Not at all.
    Unnamed,
}

/// The content of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportBody {
    /// What it is about, in a line.
    pub title: Title,
    /// Which versions are affected, in the reporter's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Label>,
    /// The report itself.
    pub text: Body,
    /// How bad the reporter thinks it is.
    pub severity: ClaimedSeverity,
    /// How the reporter wants to be thanked.
    pub credit: CreditWish,
    /// Where "there is news" goes; never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<EmailAddress>,
}

/// Who may read a message besides its author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The team alone.
    Team,
    /// The team and this one report's reporter: reporters of merged duplicates don't meet.
    Report(ReportId),
    /// Every member, guests and all reporters included.
    All,
}

impl Audience {
    /// Returns the word this audience is stored and shown as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Report(_) => "report",
            Self::All => "all",
        }
    }
}
