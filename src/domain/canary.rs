//! What a copy of a text is known by if it leaks: a mark that stands in it, and blanks at the ends of its lines.
//!
//! Guards: the blanks follow from the mark and from each line alone, so that a part of a text is enough, and a text whose mark was
//! cut away still tells. Leaves the ids of commits, by which patches and bundles are known, to `git`.

use super::digest::Digest;

/// A text with fewer lines than this is no proof: chance could have made it.
const LEAST: usize = 16;

/// What a leaked file is held against: one recipient's marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known<'a> {
    /// What stands in their files.
    pub mark: &'a str,
    /// The ids of commits that they alone were given.
    pub commits: &'a [String],
}

/// Why a file is taken for somebody's copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Their mark stands in it.
    Mark,
    /// It names a commit that only they were given.
    Commit(String),
    /// The blanks at the ends of so many lines are those of their copy.
    Blanks(usize),
}

/// Returns a text as the copy of this mark: some lines end with a blank, and the mark stands below.
pub fn marked(text: &str, mark: &str) -> String {
    let mut copy = String::with_capacity(text.len() + 256);
    for line in text.lines() {
        let line = line.trim_end();
        copy.push_str(line);
        if !line.is_empty() && blank(line, mark) {
            copy.push(' ');
        }
        copy.push('\n');
    }
    copy.push_str("\nCopy ");
    copy.push_str(mark);
    copy.push('\n');
    copy
}

/// Tells whether a file is a part of the copy with these marks, and by what.
pub fn traced(file: &[u8], known: &Known<'_>) -> Option<Evidence> {
    let holds = |needle: &str| !needle.is_empty() && file.windows(needle.len()).any(|part| part == needle.as_bytes());
    if holds(known.mark) {
        return Some(Evidence::Mark);
    }
    if let Some(commit) = known.commits.iter().find(|commit| holds(commit)) {
        return Some(Evidence::Commit(commit.clone()));
    }
    let text = std::str::from_utf8(file).ok()?;
    let lines = || text.lines().filter(|line| line.trim_end().len() > 3);
    let fits = |line: &&str| line.trim_end_matches('\r').ends_with(' ') == blank(line.trim_end(), known.mark);
    let (all, fitting) = (lines().count(), lines().filter(fits).count());
    // A few lines more around it, of whoever passed it on, do not matter.
    (all >= LEAST && fitting * 20 >= all * 19).then_some(Evidence::Blanks(fitting))
}

/// Tells whether this line of the copy with this mark ends with a blank.
fn blank(line: &str, mark: &str) -> bool {
    Digest::of_parts(&[b"embargo-canary-1", mark.as_bytes(), line.as_bytes()]).as_bytes()[0] & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: [&str; 3] = ["0123456789abcdef", "fedcba9876543210", "00112233445566ff"];

    fn text() -> String {
        let lines: Vec<_> = (0..40).map(|n| format!("Line {n} of a sample advisory.")).collect();
        lines.join("\n\n")
    }

    fn suspects(file: &str) -> Vec<(usize, Evidence)> {
        let known = |mark| Known { mark, commits: &[] };
        let each = MARKS.iter().enumerate();
        each.filter_map(|(n, mark)| Some((n, traced(file.as_bytes(), &known(mark))?))).collect()
    }

    #[test]
    fn a_copy_says_whose_it_is_also_in_part_and_without_its_mark() {
        let copy = marked(&text(), MARKS[1]);
        assert_eq!(suspects(&copy), [(1, Evidence::Mark)]);
        let lines: Vec<_> = copy.lines().collect();
        let part = lines[10..60].join("\n");
        assert_eq!(suspects(&part), [(1, Evidence::Blanks(25))]);
        let forwarded = format!("Look what I found\n{part}");
        assert_eq!(suspects(&forwarded).len(), 1);
    }

    #[test]
    fn what_is_nobodys_copy_accuses_nobody() {
        assert_eq!(suspects(&text()), []);
        let short: String = marked(&text(), MARKS[0]).lines().take(20).collect::<Vec<_>>().join("\n");
        assert_eq!(suspects(&short), [], "ten lines are no proof");
    }

    #[test]
    fn a_commit_that_one_was_given_is_found_anywhere() {
        let commits = vec!["4f0c2b7d9e1a3b5c7d9e1f2a3b4c5d6e7f809102".to_owned()];
        let known = Known { mark: MARKS[0], commits: &commits };
        let mail = b"From 4f0c2b7d9e1a3b5c7d9e1f2a3b4c5d6e7f809102 Mon Sep 17 00:00:00 2001\n";
        assert_eq!(traced(mail, &known), Some(Evidence::Commit(commits[0].clone())));
        assert_eq!(traced(b"From 0000", &known), None);
    }
}
