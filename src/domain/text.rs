//! Short and long texts from outside, bounded and free of characters that could deceive a reader.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::refusal::Malformed;

/// Tells whether a character can change how the text around it is shown: controls, bidi overrides, invisible joiners.
pub fn deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Shows foreign text on one line with every deceptive character written as `\u{..}`.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if deceptive(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

macro_rules! bounded {
    ($($(#[$doc:meta])* $name:ident: $check:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let check: fn(&str) -> Result<String, Malformed> = $check;
                check(text).map(Self)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> { text.parse() }
        }
        impl From<$name> for String {
            fn from(text: $name) -> String { text.0 }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }
    )+};
}

bounded! {
    /// One line of 1 to 200 characters: a case's or an advisory's title.
    Title: |text| one_line(text, 200, "a title is one line of 1 to 200 characters without control characters");
    /// One line of 1 to 500 characters: why something public was changed.
    Sentence: |text| one_line(text, 500, "a sentence is one line of 1 to 500 characters without control characters");
    /// One line of 1 to 100 characters: a display name, a credit, a file name.
    Label: |text| one_line(text, 100, "a name is one line of 1 to 100 characters without control characters");
    /// Text of several lines, 1 byte to 64 KiB: a report, a message, an advisory's description.
    Body: |text| lines(text, 64 * 1024);
    /// A person's handle: lower-case letters, digits and inner dashes, at most 32.
    Handle: handle;
    /// A mail address in the plain form `local@domain`, at most 254 bytes (RFC 5321, section 4.5.3.1).
    EmailAddress: email;
}

fn one_line(text: &str, limit: usize, rule: &'static str) -> Result<String, Malformed> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > limit || text.chars().any(deceptive) {
        return Err(Malformed::new(rule));
    }
    Ok(text.to_owned())
}

fn lines(text: &str, limit: usize) -> Result<String, Malformed> {
    let text = text.replace("\r\n", "\n");
    let text = text.trim_end();
    let deceives = |c: char| deceptive(c) && c != '\n' && c != '\t' && c != '\u{200d}' && c != '\u{200c}';
    if text.trim().is_empty() {
        return Err(Malformed::new("the text is empty"));
    }
    if text.len() > limit {
        return Err(Malformed::new("the text is longer than 64 KiB: attach the long part as a file"));
    }
    if text.chars().any(deceives) {
        return Err(Malformed::new("the text holds control or direction-changing characters: attach it as a file"));
    }
    Ok(text.to_owned())
}

fn handle(text: &str) -> Result<String, Malformed> {
    let inner = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if text.is_empty() || text.len() > 32 || !inner || text.starts_with('-') || text.ends_with('-') {
        return Err(Malformed::new("a handle is 1 to 32 lower-case letters, digits and inner dashes"));
    }
    Ok(text.to_owned())
}

fn email(text: &str) -> Result<String, Malformed> {
    const RULE: &str = "a mail address looks like name@example.org";
    let (local, domain) = text.rsplit_once('@').ok_or(Malformed::new(RULE))?;
    let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-.".contains(&b);
    let local_ok = !local.is_empty() && local.len() <= 64 && local.bytes().all(atom) && !local.starts_with('.');
    let domain_ok = !domain.is_empty()
        && domain.split('.').all(|part| {
            !part.is_empty() && !part.starts_with('-') && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
    if !local_ok || !domain_ok || text.len() > 254 {
        return Err(Malformed::new(RULE));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_cannot_hide_text() {
        assert!("Overflow in \u{202e}txt.exe".parse::<Title>().is_err());
        assert!("line\nbreak".parse::<Title>().is_err());
        assert_eq!("  kept  ".parse::<Title>().unwrap().as_str(), "kept");
    }

    #[test]
    fn an_address_cannot_carry_headers() {
        assert!("sample@example.org".parse::<EmailAddress>().is_ok());
        for bad in
            ["x", "@example.org", "a@", "a b@example.org", "a@example.org\r\nBcc: b@example.org", "<a@example.org>"]
        {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn foreign_text_is_shown_escaped() {
        assert_eq!(shown("a\u{1b}[31m"), "a\\u{1b}[31m");
    }
}
