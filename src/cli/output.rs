//! What commands print: results to standard output, as text or one JSON document; everything else to standard error.
//!
//! Guards: nothing that a stranger wrote can steer the terminal. Line breaks and tabs pass, for texts of several lines;
//! whatever must stay on its line is put through [`shown`](crate::domain::text::shown) by its command.

use std::io::Write;

use serde::Serialize;

use super::Failure;
use crate::domain::text::deceptive;

/// Where results and remarks go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    /// Prints JSON or text.
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Tells whether a program reads the result.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Prints the result of a command: the value as JSON, or the text.
    pub(super) fn result(self, value: &impl Serialize, text: &str) -> Result<(), Failure> {
        let text = if self.json {
            let text = serde_json::to_string_pretty(value);
            plain_json(&text.map_err(|error| Failure::because("The result is no JSON.", error))?)
        } else {
            plain(text.trim_end())
        };
        // A reader that has seen enough closes the pipe; that is no failure.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
        Ok(())
    }

    /// Tells the person what happens, beside the result.
    #[expect(
        clippy::unused_self,
        reason = "a remark belongs to the command's output, though it looks the same for all"
    )]
    pub(super) fn remark(self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", plain(text));
    }

    /// Says why a command did not succeed, with the causes that are known.
    pub(super) fn complain(self, failure: &Failure) {
        self.remark(&format!("embargo: {failure}"));
        let mut cause = std::error::Error::source(failure);
        while let Some(error) = cause {
            self.remark(&format!("  because {error}"));
            cause = error.source();
        }
    }
}

/// Writes every character that could deceive as `\u{..}`, but for line breaks and tabs.
fn plain(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if deceptive(c) && c != '\n' && c != '\t' {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
        out
    })
}

/// Does the same to a JSON document, which stays the same document: only its strings hold such characters.
fn plain_json(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if deceptive(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(plain("a\tb\n\u{1b}[2Jc\r\u{9b}1m\u{202e}"), "a\tb\n\\u{1b}[2Jc\\u{d}\\u{9b}1m\\u{202e}");
    }

    #[test]
    fn escaped_json_says_the_same() {
        let value = serde_json::json!({ "a": "x\u{1b}\u{9b}\u{202e}\u{e0041}\n" });
        let text = plain_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| deceptive(c) && c != '\n'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
