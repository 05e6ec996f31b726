//! The log of a job: bytes become lines, secrets become stars, and both have a limit.
//!
//! Guards: a line leaves only after it is whole and masked, so a secret split between two reads is still found. Leaves
//! storing and numbering over attempts to the caller.

/// Longest line, in bytes; the rest of a longer one is dropped.
pub const LINE: usize = 64 * 1024;
/// Largest log of a job, in bytes.
pub const LOG: usize = 50 * 1024 * 1024;
/// Shortest text that is masked: shorter ones would hide the log rather than the secret.
const SHORTEST: usize = 4;
/// Most texts that are masked in a job.
const MASKS: usize = 1000;

const ADD_MASK: &str = "::add-mask::";
const STARS: &str = "***";

/// One line of a job's log, masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its place in the log, from 0.
    pub number: u64,
    /// The step it belongs to, from 0.
    pub step: u32,
    /// Its text, without the line end.
    pub text: String,
}

/// The texts that must not leave the executor, longest first.
#[derive(Clone, Default)]
pub struct Masks(Vec<String>);

/// Turns the output of a job's steps into lines.
#[derive(Default)]
pub(super) struct Lines {
    masks: Masks,
    partial: Vec<u8>,
    next: u64,
    written: usize,
    full: bool,
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masks({})", self.0.len())
    }
}

impl Masks {
    /// Masks a text from now on, and each line of it.
    pub fn add(&mut self, secret: &str) {
        let parts = secret.lines().chain([secret]).map(str::trim).filter(|part| part.len() >= SHORTEST);
        for part in parts {
            if self.0.len() < MASKS && part.len() <= LINE && !self.0.iter().any(|known| known == part) {
                self.0.push(part.to_owned());
            }
        }
        self.0.sort_by_key(|part| std::cmp::Reverse(part.len()));
    }

    /// Returns the text with stars in place of every secret.
    pub fn hide(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for secret in &self.0 {
            if shown.contains(secret.as_str()) {
                shown = shown.replace(secret.as_str(), STARS);
            }
        }
        shown
    }

    fn longest(&self) -> usize {
        self.0.first().map_or(0, String::len)
    }
}

impl Lines {
    pub(super) fn new(masks: Masks) -> Self {
        Self { masks, ..Self::default() }
    }

    /// Returns the number of the next line.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Takes bytes as they come and hands out the lines that are whole.
    pub(super) fn push(&mut self, step: u32, mut bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            lines.extend(self.end_of_line(step));
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
        lines
    }

    /// Hands out what is left when a step has ended.
    pub(super) fn flush(&mut self, step: u32) -> Option<Line> {
        if self.partial.is_empty() { None } else { self.end_of_line(step) }
    }

    /// Keeps a part of a line, past the limit by the longest secret, so that one across the limit is still found.
    fn keep(&mut self, bytes: &[u8]) {
        let room = (LINE + self.masks.longest()).saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_of_line(&mut self, step: u32) -> Option<Line> {
        let bytes = std::mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\r');
        if let Some(secret) = text.trim_start().strip_prefix(ADD_MASK) {
            self.masks.add(&unescape(secret));
            return self.line(step, format!("{ADD_MASK}{STARS}"));
        }
        let mut shown = self.masks.hide(text);
        if shown.len() > LINE {
            shown.truncate(shown.floor_char_boundary(LINE));
        }
        self.line(step, shown)
    }

    /// Numbers a line, unless the log is full.
    pub(super) fn line(&mut self, step: u32, text: String) -> Option<Line> {
        if self.full {
            return None;
        }
        self.written += text.len() + 1;
        self.full = self.written > LOG;
        let text = if self.full { "The log is longer than 50 MiB: the rest is truncated.".to_owned() } else { text };
        let number = self.next;
        self.next += 1;
        Some(Line { number, step, text })
    }
}

/// Undoes the escapes of workflow commands.
fn unescape(text: &str) -> String {
    text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn a_secret_split_between_reads_is_masked() {
        let mut masks = Masks::default();
        masks.add("hunter22");
        let mut lines = Lines::new(masks);
        assert!(lines.push(0, b"before hun").is_empty());
        assert_eq!(texts(&lines.push(0, b"ter22 after\nnext")), ["before *** after"]);
        assert_eq!(lines.flush(0).unwrap().text, "next");
    }

    #[test]
    fn a_secret_across_the_end_of_a_long_line_does_not_show_its_start() {
        let mut masks = Masks::default();
        masks.add("hunter22");
        let mut lines = Lines::new(masks);
        let long = format!("{}hunter22{}\nshort\n", "x".repeat(LINE - 3), "y".repeat(LINE));
        let out = lines.push(0, long.as_bytes());
        assert_eq!(out.len(), 2);
        assert_eq!(out[0].text.len(), LINE);
        assert!(out[0].text.ends_with("x***"), "{}", &out[0].text[LINE - 10..]);
        assert_eq!(out[1].text, "short");
    }

    #[test]
    fn a_mask_asked_for_by_a_step_holds_from_its_own_line_on() {
        let mut lines = Lines::default();
        let out = lines.push(0, b"::add-mask::tok%25en\r\n  ::add-mask::first%0Asecond\nsee tok%en, second\n");
        assert_eq!(texts(&out), ["::add-mask::***", "::add-mask::***", "see ***, ***"]);
    }

    #[test]
    fn the_longer_of_two_secrets_wins() {
        let mut masks = Masks::default();
        masks.add("abcd");
        masks.add("abcdefgh");
        masks.add("ab");
        assert_eq!(masks.hide("abcdefgh abcd ab"), "*** *** ab");
        assert_eq!(format!("{masks:?}"), "Masks(2)");
    }

    #[test]
    fn a_log_ends_at_its_limit_and_says_so() {
        let mut lines = Lines::default();
        let line = format!("{}\n", "x".repeat(LINE));
        let mut out = Vec::new();
        for _ in 0..=LOG / LINE {
            out.extend(lines.push(0, line.as_bytes()));
        }
        let before = out.len();
        assert!(out.last().unwrap().text.contains("truncated"));
        out.extend(lines.push(1, b"more\n"));
        assert_eq!(out.len(), before);
    }

    #[test]
    fn bytes_that_are_not_text_are_kept_readable() {
        let mut lines = Lines::default();
        assert_eq!(texts(&lines.push(0, b"\xff\xfe ok\r\n")), ["\u{fffd}\u{fffd} ok"]);
    }
}
