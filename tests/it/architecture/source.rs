//! Rust source as the rules see it: without comments, without the text of literals, without what only tests compile.
//!
//! Guards: a path in a comment or a string breaks no rule, and line numbers stay those of the file. Knows as much of the
//! language as that needs: it is no parser.

/// The bytes of a source file that rules look at; what was taken out is blank, so that places stay.
pub(super) struct Source {
    text: String,
}

impl Source {
    /// Takes comments, literals and test-only items out of the text.
    pub(super) fn new(text: &str) -> Self {
        let mut text = blank_literals(text);
        blank_tests(&mut text);
        Self { text: String::from_utf8(text).expect("only whole characters are made blank") }
    }

    /// Returns what is left.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the line of a place, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// Returns every place where the words stand, not as the end of a longer name.
    pub(super) fn places<'a>(&'a self, words: &'a str) -> impl Iterator<Item = usize> + 'a {
        let named = words.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        self.text
            .match_indices(words)
            .map(|(at, _)| at)
            .filter(move |at| !(named && self.text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_')))
    }

    /// Returns the word before a place.
    pub(super) fn word_before(&self, at: usize) -> &str {
        self.text[..at].trim_end().rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default()
    }

    /// Returns every path that begins at the crate's root, groups spelled out, with its line.
    ///
    /// `depth` is how many `super::` lead from this file to the root: 1 for `src/git/mod.rs`.
    pub(super) fn crate_paths(&self, depth: usize) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let up = "super::".repeat(depth);
        for root in ["crate::", up.as_str()] {
            for at in self.places(root) {
                // `a::crate::` is no path from the root, and `pub(in crate::a)` no import.
                if !self.text[..at].ends_with("::") && self.word_before(at) != "pub(in" {
                    let mut paths = Vec::new();
                    tree(self.text[at + root.len()..].trim_start(), "", &mut paths);
                    found.extend(paths.into_iter().map(|path| (self.line(at), path)));
                }
            }
        }
        found
    }
}

/// Collects the paths of a use tree (`a::{b, c::d}`) or of a plain path; returns what follows it.
fn tree<'a>(text: &'a str, prefix: &str, found: &mut Vec<String>) -> &'a str {
    let Some(inner) = text.strip_prefix('{') else {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
        if let Some(more) = rest.trim_start().strip_prefix("::") {
            return tree(more.trim_start(), &path, found);
        }
        found.push(path);
        return rest;
    };
    let mut rest = inner.trim_start();
    while !rest.is_empty() && !rest.starts_with('}') {
        rest = tree(rest, prefix, found).trim_start();
        if let Some(renamed) = rest.strip_prefix("as ") {
            rest = &renamed[renamed.find([',', '}']).unwrap_or(renamed.len())..];
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => break,
        }
    }
    rest.strip_prefix('}').unwrap_or(rest)
}

/// Makes comments and the insides of literals blank.
fn blank_literals(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let named = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let raw = rest.strip_prefix(b"b").unwrap_or(rest);
        let hashes = raw.iter().skip(1).take_while(|byte| **byte == b'#').count();
        let end = if rest.starts_with(b"//") {
            at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            at + find(rest, b"*/").map_or(rest.len(), |end| end + 2)
        } else if !named && raw.first() == Some(&b'r') && raw.get(1 + hashes) == Some(&b'"') {
            let open = at + (rest.len() - raw.len()) + hashes + 2;
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            find(&bytes[open..], &close).map_or(bytes.len(), |end| open + end + close.len())
        } else if rest.starts_with(b"\"") {
            at + quoted(rest, b'"')
        } else if rest.starts_with(b"'") && (rest.get(1) == Some(&b'\\') || is_character(rest)) {
            at + quoted(rest, b'\'')
        } else {
            at += 1;
            continue;
        };
        bytes[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end;
    }
    bytes
}

/// Tells a character literal from a lifetime: one character and a quote.
fn is_character(rest: &[u8]) -> bool {
    rest.iter().skip(2).take(4).position(|byte| *byte == b'\'').is_some_and(|gap| gap == 0 || !rest[1].is_ascii())
}

/// Returns the length of a literal that ends with the quote, escapes passed over.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Makes every item behind `#[cfg(test)]` blank: to its closing brace, or to a semicolon that comes first.
fn blank_tests(bytes: &mut [u8]) {
    const MARK: &[u8] = b"#[cfg(test)]";
    while let Some(start) = find(bytes, MARK) {
        let mut open = 0_usize;
        let mut end = start + MARK.len();
        while end < bytes.len() {
            let byte = bytes[end];
            end += 1;
            match byte {
                b'{' | b'(' | b'[' => open += 1,
                b')' | b']' => open = open.saturating_sub(1),
                b'}' => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        break;
                    }
                }
                b';' | b',' if open == 0 => break,
                _ => {}
            }
        }
        bytes[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
