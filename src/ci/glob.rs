//! The patterns of `branches:` and `paths:` filters.
//!
//! Source: GitHub's "Workflow syntax", filter pattern cheat sheet. `*` stops at a slash, `**` does not, `?` and `+` repeat
//! the character before them, `[..]` is one of a set, `\` takes the next character as it is, a leading `!` takes back.

/// Tells whether the patterns, read in order, end up taking the name in.
pub(super) fn any(patterns: &[String], name: &str) -> bool {
    patterns.iter().fold(false, |taken, pattern| match pattern.strip_prefix('!') {
        Some(not) => taken && !matches(not, name),
        None => taken || matches(pattern, name),
    })
}

#[derive(Clone, Debug, PartialEq)]
enum Atom {
    Character(char),
    Set(Vec<(char, char)>),
    Segment,
    Path,
    /// The entrance of `**/`: takes no character, and leads past the two atoms after it as well as into them.
    Folders,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Times {
    Once,
    AtMostOnce,
    Often,
    AtLeastOnce,
}

/// Matches in time proportional to pattern times name, whatever the pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let atoms = compile(pattern);
    let mut places = vec![false; atoms.len() + 1];
    places[0] = true;
    skip_optional(&atoms, &mut places);
    for c in name.chars() {
        let mut next = vec![false; atoms.len() + 1];
        for (at, (atom, times)) in atoms.iter().enumerate() {
            if places[at] && takes(atom, c) {
                next[at + 1] = true;
                // A repeated atom stays where it is; for `+` a further round is as good as the first.
                next[at] |= matches!(times, Times::Often | Times::AtLeastOnce);
            }
        }
        skip_optional(&atoms, &mut next);
        places = next;
    }
    places[atoms.len()]
}

fn skip_optional(atoms: &[(Atom, Times)], places: &mut [bool]) {
    for (at, (atom, times)) in atoms.iter().enumerate() {
        if places[at] && *atom == Atom::Folders {
            places[at + 1] = true;
            places[at + 3] = true;
        } else if places[at] && matches!(times, Times::AtMostOnce | Times::Often) {
            places[at + 1] = true;
        }
    }
}

fn takes(atom: &Atom, c: char) -> bool {
    match atom {
        Atom::Character(own) => *own == c,
        Atom::Set(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)),
        Atom::Segment => c != '/',
        Atom::Path => true,
        Atom::Folders => false,
    }
}

fn compile(pattern: &str) -> Vec<(Atom, Times)> {
    let mut atoms: Vec<(Atom, Times)> = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.next_if_eq(&'*').is_some() => {
                if rest.peek() == Some(&'/') && folder_starts(&atoms) {
                    rest.next();
                    atoms.extend([
                        (Atom::Folders, Times::Once),
                        (Atom::Path, Times::Often),
                        (Atom::Character('/'), Times::Once),
                    ]);
                } else {
                    atoms.push((Atom::Path, Times::Often));
                }
            }
            '*' => atoms.push((Atom::Segment, Times::Often)),
            '?' | '+' if atoms.last().is_some_and(|(_, times)| *times == Times::Once) => {
                let last = atoms.len() - 1;
                atoms[last].1 = if c == '?' { Times::AtMostOnce } else { Times::AtLeastOnce };
            }
            '\\' => atoms.push((Atom::Character(rest.next().unwrap_or('\\')), Times::Once)),
            '[' => atoms.push((set(&mut rest), Times::Once)),
            _ => atoms.push((Atom::Character(c), Times::Once)),
        }
    }
    atoms
}

/// Tells whether a path segment begins after what was read.
fn folder_starts(atoms: &[(Atom, Times)]) -> bool {
    atoms.last().is_none_or(|(atom, _)| *atom == Atom::Character('/'))
}

fn set(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Atom {
    let mut ranges = Vec::new();
    while let Some(c) = rest.next().filter(|c| *c != ']') {
        if rest.next_if_eq(&'-').is_some() {
            match rest.next() {
                Some(']') | None => {
                    ranges.extend([(c, c), ('-', '-')]);
                    break;
                }
                Some(to) => ranges.push((c, to)),
            }
        } else {
            ranges.push((c, c));
        }
    }
    Atom::Set(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_cheat_sheet_says() {
        let table = [
            ("*", "main", true),
            ("*", "releases/1", false),
            ("**", "releases/1", true),
            ("feature/*", "feature/a", true),
            ("feature/*", "feature/a/b", false),
            ("feature/**", "feature/a/b", true),
            ("v2*", "v2.0", true),
            ("v[12].[0-9]+.[0-9]+", "v1.10.1", true),
            ("v[12].[0-9]+.[0-9]+", "v3.10.1", false),
            ("*.jsx?", "page.js", true),
            ("*.jsx?", "page.jsx", true),
            ("**.js", "src/js/app.js", true),
            ("**/README.md", "README.md", true),
            ("**/README.md", "js/README.md", true),
            ("**/README.md", "js/NOREADME.md", false),
            ("docs/**/*.md", "docs/hello.md", true),
            ("docs/**/*.md", "docs/a/b/hello.md", true),
            ("docs", "docs/a", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("", "", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_later_pattern_takes_back() {
        let patterns = ["releases/**".to_owned(), "!releases/**-alpha".to_owned()];
        assert!(any(&patterns, "releases/10"));
        assert!(!any(&patterns, "releases/10-alpha"));
        assert!(!any(&["!docs/**".to_owned()], "src/a"));
    }

    #[test]
    fn a_spiteful_pattern_takes_no_more_than_pattern_times_name() {
        assert!(!matches(&"**a".repeat(200), &"a".repeat(150)));
    }
}
