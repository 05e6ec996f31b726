//! What commands print: results to standard output, as text or one JSON document; everything else to standard error.

use std::io::Write;

use serde::Serialize;

use super::Failure;

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
            serde_json::to_string_pretty(value).map_err(|error| Failure::because("The result is no JSON.", error))?
        } else {
            text.trim_end().to_owned()
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
        let _ = writeln!(std::io::stderr().lock(), "{text}");
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
