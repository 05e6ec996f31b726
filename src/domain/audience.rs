//! Audiences: who may know of a release before its instant, how much, and how long before.
//!
//! Guards: the longest time is a rule of the audience, a list's own terms, and not of a release. Who belongs to one stands in
//! the configuration; leaves waves, which tell an audience of a release, to [`super::wave`].

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::id::words;
use super::plain::{Form, Plain};
use super::refusal::Malformed;
use super::text::Body;

words! {
    /// How much is told before the instant, least first, so that words compare; each holds what those before it hold.
    Level {
        /// Project, instant, lines and their tags.
        Date = "date",
        /// Also the highest severity.
        Severity = "severity",
        /// Also the advisories' text, encrypted.
        Text = "text",
        /// Also the fixes, encrypted.
        Patches = "patches",
    }
}

/// The form of an [`AudienceName`].
pub enum AudienceNameForm {}

/// An audience's name: lower-case letters, digits and inner dashes, at most 40.
pub type AudienceName = Plain<AudienceNameForm>;

impl Form for AudienceNameForm {
    const NAME: &'static str = "AudienceName";
    const RULE: &'static str =
        "an audience's name is 1 to 40 lower-case letters, digits and dashes, not starting or ending with a dash";
    fn fits(text: &str) -> bool {
        let inner = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        (1..=40).contains(&text.len()) && inner && !text.starts_with('-') && !text.ends_with('-')
    }
}

/// A time before the instant of a release, in whole minutes: `7d`, `36h`, `90m`; at most ninety days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lead(u32);

/// An audience as a project knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// Its name.
    pub name: AudienceName,
    /// What it takes to belong to it, for people.
    pub criteria: Body,
    /// The most it may be told.
    pub level: Level,
    /// The longest time before the instant its members may know.
    pub longest: Lead,
}

impl Level {
    /// Tells whether some of it is handed out in encrypted files only.
    pub fn is_encrypted(self) -> bool {
        match self {
            Self::Date | Self::Severity => false,
            Self::Text | Self::Patches => true,
        }
    }
}

impl Lead {
    const DAY: u32 = 24 * 60;
    const LONGEST: u32 = 90 * Self::DAY;

    /// Makes a time of this many days, ninety at most.
    pub const fn days(days: u32) -> Self {
        let minutes = days * Self::DAY;
        Self(if minutes > Self::LONGEST { Self::LONGEST } else { minutes })
    }

    /// Takes a number of minutes, for example from a row.
    pub fn from_minutes(minutes: u32) -> Result<Self, Malformed> {
        const RULE: Malformed = Malformed::new(
            "a time before or after the instant is a number and d, h or m, such as 7d, 36h or 90m: at least 1m, at most 90d",
        );
        if (1..=Self::LONGEST).contains(&minutes) { Ok(Self(minutes)) } else { Err(RULE) }
    }

    /// Returns the whole minutes.
    pub fn minutes(self) -> u32 {
        self.0
    }

    /// Returns the time as a duration.
    pub fn duration(self) -> SignedDuration {
        SignedDuration::from_mins(i64::from(self.0))
    }

    /// Returns the moment this long before an instant.
    pub fn before(self, instant: Timestamp) -> Timestamp {
        instant.checked_sub(self.duration()).unwrap_or(Timestamp::MIN)
    }

    /// Says it in words: `7 days`, `36 hours`, `90 minutes`.
    pub fn words(self) -> String {
        let (n, unit) = self.parts();
        let unit = match unit {
            'd' => "day",
            'h' => "hour",
            _ => "minute",
        };
        if n == 1 { format!("{n} {unit}") } else { format!("{n} {unit}s") }
    }

    /// Takes it apart into a number and the largest unit that needs no fraction.
    fn parts(self) -> (u32, char) {
        match self.0 {
            minutes if minutes.is_multiple_of(Self::DAY) => (minutes / Self::DAY, 'd'),
            minutes if minutes.is_multiple_of(60) => (minutes / 60, 'h'),
            minutes => (minutes, 'm'),
        }
    }
}

impl FromStr for Lead {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let each = match text.as_bytes().last() {
            Some(b'd') => Self::DAY,
            Some(b'h') => 60,
            Some(b'm') => 1,
            Some(_) | None => 0,
        };
        let digits = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
        let plain = (1..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let number = if plain { digits.parse::<u32>().unwrap_or_default() } else { 0 };
        Self::from_minutes(number.saturating_mul(each))
    }
}

impl TryFrom<String> for Lead {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Lead> for String {
    fn from(lead: Lead) -> Self {
        lead.to_string()
    }
}

impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, unit) = self.parts();
        write!(f, "{n}{unit}")
    }
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lead({self})")
    }
}

impl Audience {
    /// The name of the audience that every project has.
    pub const PUBLIC: &'static str = "public";

    /// Everybody: told on the public pages that a security release comes, and how bad it is, at most.
    pub fn public() -> Self {
        Self {
            name: Self::PUBLIC.parse().expect("a lower-case word is a name"),
            criteria:
                "Everybody: the public pages and the feed say that a security release is planned, without details."
                    .parse()
                    .expect("one plain sentence is a text"),
            level: Level::Severity,
            longest: Lead::days(14),
        }
    }

    /// Tells whether it is everybody: then it has no members.
    pub fn is_public(&self) -> bool {
        self.name.as_str() == Self::PUBLIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_before_the_instant_has_one_spelling() {
        for (text, minutes, shown) in
            [("7d", 10_080, "7d"), ("36h", 2_160, "36h"), ("48h", 2_880, "2d"), ("90m", 90, "90m"), ("120m", 120, "2h")]
        {
            let lead: Lead = text.parse().unwrap();
            assert_eq!((lead.minutes(), lead.to_string().as_str()), (minutes, shown), "{text}");
        }
        for bad in ["", "d", "0d", "91d", "7", "7 d", "-1d", "1.5d", "7D", "99999999m", "7w", "é"] {
            assert!(bad.parse::<Lead>().is_err(), "{bad:?}");
        }
        assert_eq!(
            ["1d", "36h", "1m"].map(|text| text.parse::<Lead>().unwrap().words()),
            ["1 day", "36 hours", "1 minute"]
        );
    }

    #[test]
    fn everybody_never_gets_what_is_encrypted() {
        let public = Audience::public();
        assert!(public.is_public() && !public.level.is_encrypted());
        let ordered = Level::ALL.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(ordered, "each level tells more than the one before");
    }
}
