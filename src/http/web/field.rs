//! The fields of forms that need more than a word: instants, the date's acts, the wish to be thanked.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::domain::refusal::{Malformed, Refusal};
use crate::domain::report::CreditWish;
use crate::domain::text::{Body, Label};
use crate::wire::case::DateWord;
use crate::workflow::case::DateAct;

const INSTANT: Malformed = Malformed::new("an instant is a day and a time in UTC, for example 2030-05-01 12:00");

/// An instant from a field that knows no zone: UTC, as its label says.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Instant(pub(crate) Timestamp);

/// What is done about the date.
#[derive(Debug, Deserialize)]
pub(crate) struct DateForm {
    act: DateWord,
    at: Option<Instant>,
}

/// How a reporter wants to be thanked.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct CreditForm {
    /// `named`, `anonymous` or `unnamed`.
    pub(crate) credit: String,
    /// The name, for `named`.
    #[serde(default)]
    pub(crate) credit_name: String,
}

/// A message.
#[derive(Debug, Deserialize)]
pub(crate) struct TextForm {
    /// Its text.
    pub(crate) text: Body,
}

impl TryFrom<String> for Instant {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self(at));
        }
        let civil: DateTime = text.trim().parse().map_err(|_| INSTANT)?;
        let zoned = civil.to_zoned(TimeZone::UTC).map_err(|_| INSTANT)?;
        Ok(Self(zoned.timestamp()))
    }
}

impl DateForm {
    /// Reads what is to be done.
    pub(crate) fn act(&self) -> Result<DateAct, Refusal> {
        match (self.act, self.at) {
            (DateWord::Propose, Some(at)) => Ok(DateAct::Propose(at.0)),
            (DateWord::Propose, None) => Err(INSTANT.into()),
            (DateWord::Accept, _) => Ok(DateAct::Accept),
            (DateWord::Reject, _) => Ok(DateAct::Reject),
            (DateWord::Terminate, _) => Ok(DateAct::Terminate),
        }
    }
}

impl CreditForm {
    /// Says what is chosen as the page of a report says it; nothing chosen is the anonymous thanks the form begins with.
    pub(crate) fn words(&self) -> String {
        match self.credit.as_str() {
            "named" => format!("as {}", self.credit_name),
            "unnamed" => "not at all".to_owned(),
            _ => "as an anonymous reporter".to_owned(),
        }
    }

    /// Reads the wish.
    pub(crate) fn wish(&self) -> Result<CreditWish, Refusal> {
        match self.credit.as_str() {
            "named" => {
                let name: Result<Label, _> = self.credit_name.parse();
                let name =
                    name.map_err(|_| Refusal::input("Write the name the advisory should thank, in one line."))?;
                Ok(CreditWish::Named { name })
            }
            "anonymous" => Ok(CreditWish::Anonymous),
            "unnamed" => Ok(CreditWish::Unnamed),
            _ => Err(Refusal::input("Choose how the advisory should thank you.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_without_a_zone_is_utc() {
        for text in ["2030-05-01T12:00", "2030-05-01T12:00:00", "2030-05-01T14:00:00+02:00"] {
            assert_eq!(Instant::try_from(text.to_owned()).unwrap().0.to_string(), "2030-05-01T12:00:00Z", "{text}");
        }
        assert!(Instant::try_from("tomorrow".to_owned()).is_err());
        assert!(Instant::try_from(String::new()).is_err());
    }

    #[test]
    fn a_name_that_is_asked_for_must_be_there() {
        let form = |credit: &str, name: &str| CreditForm { credit: credit.to_owned(), credit_name: name.to_owned() };
        assert!(form("named", " ").wish().is_err());
        assert_eq!(form("anonymous", "ignored").wish().unwrap(), CreditWish::Anonymous);
        assert!(form("loudly", "x").wish().is_err());
    }
}
