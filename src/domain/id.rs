//! Names of things: every id is a type of its own, made only from valid text or by `app.mint()`.
//!
//! Guards: an id of one kind cannot stand where another is wanted, and no id holds a byte that would need escaping in a
//! path, a URL or a log line. Leaves uniqueness to `store`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::refusal::Malformed;

/// An id that is made from the clock and chance, by `app.mint()` alone.
pub trait Minted {
    /// Makes the id from an instant (milliseconds since 1970 UTC) and ten random bytes.
    fn mint(milliseconds: u64, random: [u8; 10]) -> Self;
}

/// Declares a distinct id over a time-ordered UUID (RFC 9562, version 7), written as 32 hexadecimal digits.
macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl Minted for $name {
            fn mint(milliseconds: u64, random: [u8; 10]) -> Self {
                Self(uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.simple())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.simple())
            }
        }
        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let plain = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if !plain {
                    return Err(Malformed::new("an id is 32 lower-case hexadecimal digits"));
                }
                Uuid::try_parse(text).map(Self).map_err(|_| Malformed::new("an id is 32 lower-case hexadecimal digits"))
            }
        }
        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> { text.parse() }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String { id.to_string() }
        }
    )+};
}

/// Declares a closed set of words that stand in the database, the API and the command line under one spelling.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the word this value is stored and shown as.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::domain::refusal::Malformed;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::domain::refusal::Malformed::new(concat!("expected one of:", $(" ", $word),+))),
                }
            }
        }
    };
}
pub(crate) use words;

id! {
    /// A person with an account.
    PersonId,
    /// A key a person added: SSH or age.
    KeyId,
    /// An access token.
    TokenId,
    /// An upstream repository of a project.
    UpstreamId,
    /// A line: a public branch that gets fixes. Survives a rename of the branch.
    LineId,
    /// A report of a case.
    ReportId,
    /// A seat in a case.
    MemberId,
    /// A message of a case's thread.
    MessageId,
    /// An encrypted attachment.
    AttachmentId,
    /// A proposal of a date.
    ProposalId,
    /// The branch `fix/<line>` of a case.
    FixId,
    /// A push that pre-receive accepted, settled or not.
    PushId,
    /// A run of the project's workflows on one commit.
    CheckRunId,
    /// One job of a check run.
    CheckJobId,
    /// A mail on its way.
    MailId,
    /// A copy for one member of an audience.
    RecipientId,
    /// A fault of ours, as the person who met it and the log name it.
    FaultId,
}

/// A project's short name in URLs and configuration: lower-case letters, digits and inner dashes, at most 40.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectId(String);

impl ProjectId {
    /// Returns the text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let inner = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if text.is_empty() || text.len() > 40 || !inner || text.starts_with('-') || text.ends_with('-') {
            return Err(Malformed::new(
                "a project id is 1 to 40 lower-case letters, digits and dashes, not starting or ending with a dash",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The capital prefix of a project's case ids: 2 to 12 capital letters and digits, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(String);

impl Prefix {
    /// Returns the text of the prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let letters = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if !(2..=12).contains(&text.len()) || !letters || !text.as_bytes()[0].is_ascii_uppercase() {
            return Err(Malformed::new("a prefix is 2 to 12 capital letters and digits, starting with a letter"));
        }
        Ok(Self(text.to_owned()))
    }
}

fn numbered(text: &str, marker: &str) -> Option<(Prefix, u32)> {
    let (prefix, rest) = text.split_once('-')?;
    let digits = rest.strip_prefix(marker)?;
    if digits.is_empty() || digits.len() > 9 || digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((prefix.parse().ok()?, digits.parse().ok()?))
}

/// A case: `<PREFIX>-<n>`, for example `OCTO-42`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseId {
    prefix: Prefix,
    number: u32,
}

impl CaseId {
    /// Names the `number`th case of the project with this prefix; numbers start at 1.
    pub fn new(prefix: Prefix, number: u32) -> Self {
        Self { prefix, number }
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.prefix.0, self.number)
    }
}

impl FromStr for CaseId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (prefix, number) = numbered(text, "").ok_or_else(|| Malformed::new("a case id looks like OCTO-42"))?;
        Ok(Self { prefix, number })
    }
}

/// A release train: `<PREFIX>-R<n>`, for example `OCTO-R3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReleaseId {
    prefix: Prefix,
    number: u32,
}

impl ReleaseId {
    /// Names the `number`th release of the project with this prefix; numbers start at 1.
    pub fn new(prefix: Prefix, number: u32) -> Self {
        Self { prefix, number }
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-R{}", self.prefix.0, self.number)
    }
}

impl FromStr for ReleaseId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (prefix, number) = numbered(text, "R").ok_or_else(|| Malformed::new("a release id looks like OCTO-R3"))?;
        Ok(Self { prefix, number })
    }
}

macro_rules! text_conversions {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> { text.parse() }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String { id.to_string() }
        }
    )+};
}
text_conversions!(ProjectId, Prefix, CaseId, ReleaseId);

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_release_ids_do_not_parse_as_each_other() {
        assert_eq!("OCTO-42".parse::<CaseId>().unwrap().to_string(), "OCTO-42");
        assert_eq!("OCTO-R3".parse::<ReleaseId>().unwrap().to_string(), "OCTO-R3");
        assert!("OCTO-R3".parse::<CaseId>().is_err());
        assert!("OCTO-42".parse::<ReleaseId>().is_err());
    }

    #[test]
    fn odd_spellings_of_a_case_id_are_refused() {
        for odd in
            ["", "OCTO", "OCTO-", "OCTO-0", "OCTO-042", "octo-1", "OCTO-1 ", "OCTO--1", "-1", "O-1", "OCTO-9999999999"]
        {
            assert!(odd.parse::<CaseId>().is_err(), "{odd:?}");
        }
    }

    #[test]
    fn an_id_survives_text() {
        let id = PersonId::mint(1_700_000_000_000, [7; 10]);
        assert_eq!(id.to_string().parse::<PersonId>().unwrap(), id);
        assert!("0190ABCD".parse::<PersonId>().is_err());
    }
}
