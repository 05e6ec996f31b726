//! The notes of a tag on its forge: what was fixed, who is affected, what helps those who cannot update, and thanks.
//!
//! Guards: nothing stands here that the advisories do not say, so that who approved those approved this. One-line texts are
//! escaped and long ones pass `prose`, as in `markdown`. Leaves sending to others.

use std::fmt::Write as _;

use super::{Affected, Published, credit_words, prose, severity_words};
use crate::domain::repo::{RepoName, TagName};
use crate::domain::text::Label;

/// The title and the text of a release on a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notes {
    /// One line.
    pub title: String,
    /// Markdown, ending with one line break.
    pub body: String,
}

/// Writes the notes of a tag over the advisories it fixes, in their order.
pub fn of_tag(project: &Label, place: (&RepoName, &TagName), fixed: &[&Published]) -> Notes {
    let (repository, tag) = place;
    let mut body = format!("Security release of {}.\n", prose::escaped(project.as_str()));
    for published in fixed {
        advisory(&mut body, published, (repository, tag));
    }
    Notes { title: format!("{project} {tag}"), body }
}

/// Writes the notes of a tag whose advisories wait for its package: that there is news, and where it will be read.
pub fn until_installable(project: &Label, tag: &TagName, fixed: &[&Published]) -> Notes {
    let mut body = format!("Security release of {}.\n", prose::escaped(project.as_str()));
    body.push_str("\nWhat it fixes is told once its packages can be installed:\n\n");
    for published in fixed {
        let _ = writeln!(body, "- [{}](<{}>)", published.id, published.page_url());
    }
    Notes { title: format!("{project} {tag}"), body }
}

fn advisory(out: &mut String, published: &Published, place: (&RepoName, &TagName)) {
    let advisory = &published.advisory;
    let mut put = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    put(&format!("\n## {}\n", prose::escaped(advisory.title.as_str())));
    let mut facts = format!("Advisory [{}](<{}>)", published.id, published.page_url());
    if let Some(cve) = &advisory.cve {
        let _ = write!(facts, ", {cve}");
    }
    if let Some(severity) = &advisory.severity {
        let _ = write!(facts, ". Severity: {}", prose::escaped(&severity_words(severity)));
    }
    put(&format!("{facts}."));
    if let Some(description) = &advisory.description {
        put(&format!("\n{}", prose::disarmed(description.as_str())));
    }
    let lines = published.affected();
    let here: Vec<_> = lines.iter().filter(|line| is_here(line, published, place)).collect();
    if !here.is_empty() {
        put("\n### Who is affected\n");
        for line in here {
            let package = line.draft.package.as_ref();
            let package = package.map(|it| format!("{} ({}), ", it.name, it.ecosystem)).unwrap_or_default();
            let words = format!("{package}{}; fixed in {}", line.range(), line.fixed());
            put(&format!("- {}", prose::escaped(&words)));
        }
    }
    if let Some(workaround) = &advisory.workaround {
        put(&format!("\n### Workaround\n\n{}", prose::disarmed(workaround.as_str())));
    }
    let credits = advisory.settle_credits();
    if !credits.is_empty() {
        put("\n### Thanks\n");
        for credit in credits {
            let url = credit.url.map(|url| format!(" (<{url}>)")).unwrap_or_default();
            put(&format!("- {}: {}{url}", credit_words(credit.kind), prose::escaped(&credit.name)));
        }
    }
}

/// Tells whether the tag is that of the line.
fn is_here(line: &Affected<'_>, published: &Published, place: (&RepoName, &TagName)) -> bool {
    let (repository, tag) = place;
    published.lines.iter().any(|known| {
        &known.repository == repository
            && known.tag.as_ref() == Some(tag)
            && (&known.repository, &known.line) == (&line.draft.repository, &line.draft.line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::sample;

    fn notes() -> Notes {
        let place = ("demo".parse().unwrap(), "v1.4.2".parse().unwrap());
        of_tag(&"Demo".parse().unwrap(), (&place.0, &place.1), &[&sample()])
    }

    #[test]
    fn the_notes_of_a_tag_tell_of_its_own_line() {
        insta::assert_snapshot!(notes().body, @r"
        Security release of Demo.

        ## Sample flaw in \<demo\> \& friends

        Advisory [DEMO-2026-0001](<https://security.example.org/advisories/DEMO-2026-0001>), CVE-2026-0001. Severity: critical, CVSS 4.0 score 9.3.

        The parser reads **too far**.

        See [the page](https://example.org/a?b=1&c=2).

        ### Who is affected

        - demo (PyPI), before 1.4.2; fixed in 1.4.2 (tag v1.4.2)

        ### Workaround

        Turn it off:

        ```
        demo --off
        ```

        ### Thanks

        - Reporter: Sample Reporter (<https://example.org/people>)
        - Finder: an anonymous reporter
        ");
        assert_eq!(notes().title, "Demo v1.4.2");
    }

    #[test]
    fn before_the_package_is_there_the_notes_tell_nothing_but_where() {
        let published = sample();
        let notes = until_installable(&"Demo".parse().unwrap(), &"v1.4.2".parse().unwrap(), &[&published]);
        insta::assert_snapshot!(notes.body, @r"
        Security release of Demo.

        What it fixes is told once its packages can be installed:

        - [DEMO-2026-0001](<https://security.example.org/advisories/DEMO-2026-0001>)
        ");
    }

    #[test]
    fn names_without_consent_stand_in_no_notes() {
        let body = notes().body;
        assert!(body.contains("Sample Reporter") && !body.contains("Secret") && !body.contains("Silent"), "{body}");
    }
}
