//! A receipt: what a reporter can show others later to prove what arrived here, and when.
//!
//! Guards: a receipt tells nothing of the report, not even to whoever guesses its text, because a salt that only the reporter
//! and the server have goes first into the hash. Leaves the signature over it to `crypto`.

use std::fmt;

use jiff::Timestamp;

use super::digest::Digest;
use super::id::CaseId;
use super::plain::Link;
use super::refusal::Malformed;
use super::report::ReportBody;

/// Random bytes that keep a short text from being guessed by its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Takes random bytes.
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Takes stored bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        bytes.try_into().map(Self).map_err(|_| Malformed::new("a salt has 32 bytes"))
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// A file that came with a report: its ciphertext, as it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedFile {
    /// When it was stored.
    pub at: Timestamp,
    /// SHA-256 of the ciphertext.
    pub sha256: Digest,
    /// Bytes of ciphertext.
    pub size: u64,
}

/// What is signed: when something with these hashes arrived, and in which case. `Display` is its exact text, one fact a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The server's address.
    pub server: Link,
    /// The case.
    pub case: CaseId,
    /// When the report arrived.
    pub received_at: Timestamp,
    /// SHA-256 of what [`opening`] returns.
    pub report: Digest,
    /// The files of the report, oldest first.
    pub files: Vec<ReceivedFile>,
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "embargo receipt 1\nserver {}\ncase {}", self.server, self.case)?;
        writeln!(f, "report {} sha256:{}", self.received_at, self.report)?;
        for file in &self.files {
            writeln!(f, "file {} sha256:{} {} bytes", file.at, file.sha256, file.size)?;
        }
        Ok(())
    }
}

/// Writes what a receipt's hash covers: the salt, then the report as it was sent. How its sender wants to be thanked and
/// reached is no part of it.
pub fn opening(salt: &Salt, body: &ReportBody) -> String {
    let hex = Digest::from_bytes(salt.0);
    let versions = body.versions.as_ref().map(|versions| format!("versions {versions}\n")).unwrap_or_default();
    format!("salt {hex}\ntitle {}\n{versions}severity {}\n\n{}\n", body.title, body.severity, body.text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::{ClaimedSeverity, CreditWish};

    fn body(text: &str) -> ReportBody {
        ReportBody {
            title: "A sample hole".parse().unwrap(),
            versions: Some("1.0".parse().unwrap()),
            text: text.parse().unwrap(),
            severity: ClaimedSeverity::High,
            credit: CreditWish::Anonymous,
            contact: Some("reporter@example.org".parse().unwrap()),
        }
    }

    #[test]
    fn the_opening_is_salt_and_report_without_how_its_sender_is_thanked_or_reached() {
        let salt = Salt::new([0xa5; 32]);
        let text = opening(&salt, &body("Read ../secret."));
        let expected =
            format!("salt {}\ntitle A sample hole\nversions 1.0\nseverity high\n\nRead ../secret.\n", "a5".repeat(32));
        assert_eq!(text, expected);
        let named = ReportBody { credit: CreditWish::Unnamed, contact: None, ..body("Read ../secret.") };
        assert_eq!(opening(&salt, &named), text);
    }

    #[test]
    fn another_salt_or_another_text_does_not_open_a_receipt() {
        let told = Digest::of(opening(&Salt::new([1; 32]), &body("x")).as_bytes());
        for (salt, text) in [([2; 32], "x"), ([1; 32], "y")] {
            assert_ne!(told, Digest::of(opening(&Salt::new(salt), &body(text)).as_bytes()));
        }
    }
}
