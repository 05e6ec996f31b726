//! An advisory as Markdown: for release notes, lists and people who read files.
//!
//! Guards: one-line texts are escaped, long ones pass `prose`, so that neither can pose as another part. Leaves where it
//! is sent to others.

use std::fmt::Write as _;

use super::{Published, credit_words, instant, prose, severity_words};
use crate::domain::severity::Severity;

/// Writes the advisory as Markdown, ending with one line break.
pub fn advisory(published: &Published) -> String {
    let advisory = &published.advisory;
    let mut out = String::with_capacity(4096);
    let mut put = |line: &str| {
        out.push_str(line);
        out.push('\n');
    };

    put(&format!("# {}\n", prose::escaped(advisory.title.as_str())));
    if let Some(withdrawn) = &published.withdrawn {
        let why = prose::escaped(withdrawn.why.as_str());
        put(&format!("**Withdrawn {}: this advisory does not hold.** {why}\n", instant(withdrawn.at)));
    }
    put(&format!("- Advisory: [{}](<{}>)", published.id, published.page_url()));
    put(&format!("- Project: {}", prose::escaped(published.project.as_str())));
    if let Some(cve) = &advisory.cve {
        put(&format!("- CVE: {cve}"));
    }
    if let Some(severity) = &advisory.severity {
        put(&format!("- Severity: {}", severity_line(severity)));
    }
    put(&format!("- Published: {}", instant(published.published_at)));
    if published.modified_at != published.published_at {
        put(&format!("- Changed: {}", instant(published.modified_at)));
    }
    if let Some(description) = &advisory.description {
        put(&format!("\n{}", prose::disarmed(description.as_str())));
    }
    if !advisory.affected.is_empty() {
        put(
            "\n## Affected and fixed\n\n| Line | Package | Affected | Fixed in | Fix |\n| --- | --- | --- | --- | --- |",
        );
        for line in published.affected() {
            let package =
                line.draft.package.as_ref().map(|it| format!("{} ({})", it.name, it.ecosystem)).unwrap_or_default();
            let place = format!("{} {}", line.draft.repository, line.draft.line);
            let cells = [&place, &package, &line.range(), &line.fixed()].map(|text| prose::escaped(text));
            let commit = line.fix_commit.map(|commit| format!("`{commit}`")).unwrap_or_default();
            put(&format!("| {} | {commit} |", cells.join(" | ")));
        }
    }
    if let Some(workaround) = &advisory.workaround {
        put(&format!("\n## Workaround\n\n{}", prose::disarmed(workaround.as_str())));
    }
    if let Some(technical) = &advisory.technical {
        put(&format!("\n## Technical details\n\n{}", prose::disarmed(technical.as_str())));
    }
    if let Some(at) = published.details_at {
        put(&format!("\nTechnical details follow on {}, so that everybody can update first.", instant(at)));
    }
    let credits = advisory.settle_credits();
    if !credits.is_empty() {
        put("\n## Credits\n");
        for credit in credits {
            let url = credit.url.map(|url| format!(" (<{url}>)")).unwrap_or_default();
            put(&format!("- {}: {}{url}", credit_words(credit.kind), prose::escaped(&credit.name)));
        }
    }
    if !published.related.is_empty() {
        put("\n## Related advisories\n");
        for id in &published.related {
            // Not as a link with the id before it: by that, an advisory is known again elsewhere.
            put(&format!("- {id}: <{}>", published.url_of(id)));
        }
    }
    if !advisory.references.is_empty() {
        put("\n## References\n");
        for reference in &advisory.references {
            put(&format!("- <{}>", reference.url));
        }
    }
    out
}

fn severity_line(severity: &Severity) -> String {
    let mut line = prose::escaped(&severity_words(severity));
    if let Severity::Cvss(vector) = severity {
        let _ = write!(line, ", `{vector}`");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::sample;
    use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};

    #[test]
    fn a_title_cannot_add_parts_of_its_own() {
        let mut published = sample();
        published.advisory.title = "a <b> [x](javascript:y) | `c` # d".parse().unwrap();
        published.advisory.credits[0].name = "](javascript:x) **bold** <script>".parse().unwrap();
        let markdown = advisory(&published);
        for event in Parser::new_ext(&markdown, Options::ENABLE_TABLES) {
            match event {
                Event::Html(_) | Event::InlineHtml(_) => panic!("{markdown}"),
                Event::Start(Tag::Link { dest_url, .. }) => assert!(dest_url.starts_with("https://"), "{markdown}"),
                _ => {}
            }
        }
    }

    #[test]
    fn an_open_fence_in_the_text_leaves_the_headings_standing() {
        let mut published = sample();
        published.advisory.description = Some("Look:\n\n````\ncode".parse().unwrap());
        let markdown = advisory(&published);
        let headings = Parser::new_ext(&markdown, Options::ENABLE_TABLES)
            .filter(|event| matches!(event, Event::Start(Tag::Heading { level: HeadingLevel::H2, .. })))
            .count();
        assert_eq!(headings, 4, "{markdown}");
    }

    #[test]
    fn the_notes_name_page_versions_and_commits() {
        let markdown = advisory(&sample());
        for part in [
            "# Sample flaw in \\<demo\\> \\& friends\n",
            "(<https://security.example.org/advisories/DEMO-2026-0001>)",
            "| demo 1.x | demo (PyPI) | before 1.4.2 | 1.4.2 (tag v1.4.2) | `aaaaaaaa",
            "- Reporter: Sample Reporter (<https://example.org/people>)",
            "`CVSS:4.0/AV:N/",
        ] {
            assert!(markdown.contains(part), "{part} is not in {markdown}");
        }
    }
}
