//! Who a commit or tag says made it, and when.
//!
//! Guards: neither name nor address can break out of its header line. Leaves whose names to use to the caller.

use serde::{Deserialize, Serialize};

use crate::domain::refusal::Malformed;

/// A name and an address for the header of a commit or tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Identity {
    name: String,
    email: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    name: String,
    email: String,
}

impl TryFrom<Parts> for Identity {
    type Error = Malformed;
    fn try_from(parts: Parts) -> Result<Self, Malformed> {
        Self::new(&parts.name, &parts.email)
    }
}

impl Identity {
    /// Takes a name and an address, which may not hold `<`, `>` or control characters.
    pub fn new(name: &str, email: &str) -> Result<Self, Malformed> {
        let (name, email) = (name.trim(), email.trim());
        let plain = |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_control() || c == '<' || c == '>');
        if !plain(name) || !plain(email) || email.contains(' ') || name.len() > 200 || email.len() > 254 {
            return Err(Malformed::new("a git identity is a name and an address without <, > and line breaks"));
        }
        Ok(Self { name: name.to_owned(), email: email.to_owned() })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the address.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Signs at an instant, in UTC.
    pub(super) fn at(&self, instant: jiff::Timestamp) -> gix::actor::Signature {
        gix::actor::Signature {
            name: self.name.as_str().into(),
            email: self.email.as_str().into(),
            time: gix::date::Time::new(instant.as_second(), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_cannot_break_its_line() {
        assert!(Identity::new("Sample Manager", "manager@example.org").is_ok());
        for (name, email) in
            [("a\nb", "x@example.org"), ("a", "x>y"), ("", "x@example.org"), ("a", ""), ("a <b", "x"), ("a", "x y")]
        {
            assert!(Identity::new(name, email).is_err());
        }
    }
}
