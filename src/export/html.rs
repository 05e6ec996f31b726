//! The body of an advisory's public page, and a whole page for those who serve files.
//!
//! Guards: everything is escaped by the template, and texts in Markdown pass `prose`. Leaves this server's own page around
//! the body, its style and its headers to `http`.

use maud::{DOCTYPE, Markup, html};

use super::{Affected, Published, credit_words, followable, instant, prose, severity_words};
use crate::domain::advisory::Package;
use crate::domain::severity::Severity;

/// Renders the body of the public page: one `article`, works without style and script.
pub fn advisory(published: &Published) -> Markup {
    let advisory = &published.advisory;
    let credits = advisory.settle_credits();
    let packaged = advisory.affected.iter().any(|line| line.package.is_some());
    let packages = packaged.then_some(package as fn(&Package) -> String);
    html! {
        article.advisory id=(published.id) {
            h1 { (advisory.title) }
            @if let Some(withdrawn) = &published.withdrawn {
                div.notice.bad role="note" {
                    p { strong { "Withdrawn " (time(&instant(withdrawn.at))) ": this advisory does not hold." } }
                    p { (withdrawn.why) }
                }
            }
            dl.facts {
                dt { "Advisory" } dd { (published.id) }
                dt { "Project" } dd { (published.project) }
                @if let Some(cve) = &advisory.cve {
                    dt { "CVE" } dd { (cve) }
                }
                @if let Some(severity) = &advisory.severity {
                    dt { "Severity" }
                    dd {
                        (severity_words(severity))
                        @if let Severity::Cvss(vector) = severity { br; code { (vector) } }
                    }
                }
                dt { "Published" } dd { (time(&instant(published.published_at))) }
                @if published.modified_at != published.published_at {
                    dt { "Changed" } dd { (time(&instant(published.modified_at))) }
                }
            }
            @if let Some(description) = &advisory.description {
                section.description { (prose::to_html(description.as_str())) }
            }
            @if !advisory.affected.is_empty() {
                section.affected {
                    h2 { "Affected and fixed" }
                    table.stack {
                        thead { tr {
                            th scope="col" { "Line" }
                            @if packages.is_some() { th scope="col" { "Package" } }
                            th scope="col" { "Affected" } th scope="col" { "Fixed in" } th scope="col" { "Fix" }
                        } }
                        tbody { @for line in published.affected() { (row(&line, packages)) } }
                    }
                }
            }
            @if let Some(workaround) = &advisory.workaround {
                section.workaround { h2 { "Workaround" } (prose::to_html(workaround.as_str())) }
            }
            @if let Some(technical) = &advisory.technical {
                section.technical { h2 { "Technical details" } (prose::to_html(technical.as_str())) }
            }
            @if let Some(at) = published.details_at {
                section.technical { p { "Technical details follow on " (time(&instant(at))) ", so that everybody can update first." } }
            }
            @if !credits.is_empty() {
                section.credits {
                    h2 { "Credits" }
                    ul { @for credit in &credits {
                        li {
                            (credit_words(credit.kind)) ": "
                            @if let Some(url) = &credit.url { (link(url.as_str(), &credit.name)) } @else { (credit.name) }
                        }
                    } }
                }
            }
            @if !published.related.is_empty() {
                section.related {
                    h2 { "Related advisories" }
                    ul { @for id in &published.related { li { (link(&published.url_of(id), id.as_str())) } } }
                }
            }
            @if !advisory.references.is_empty() {
                section.references {
                    h2 { "References" }
                    ul { @for reference in &advisory.references { li { (link(reference.url.as_str(), reference.url.as_str())) } } }
                }
            }
        }
    }
}

/// Renders a page that needs nothing beside it: for a folder that somebody else serves.
pub fn page(published: &Published) -> Markup {
    let style = "body{max-width:46rem;margin:2rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif;color-scheme:light dark}\
                 table{border-collapse:collapse}th,td{padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top}\
                 pre{overflow-x:auto}dt{font-weight:bold}";
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (published.id) ": " (published.advisory.title) }
                link rel="canonical" href=(published.page_url());
                style { (style) }
            }
            body { main { (advisory(published)) } }
        }
    }
}

/// One line's row; `packages` renders the column of packages, where there is one.
fn row(line: &Affected<'_>, packages: Option<fn(&Package) -> String>) -> Markup {
    html! {
        tr {
            th scope="row" {
                @match line.repository_url {
                    Some(url) if followable(url.as_str()) => (link(url.as_str(), line.draft.repository.as_str())),
                    Some(_) | None => (line.draft.repository),
                }
                " " (line.draft.line)
            }
            @if let Some(words) = packages {
                td data-label="Package" { (line.draft.package.as_ref().map(words).unwrap_or_default()) }
            }
            td data-label="Affected" { (line.range()) }
            td data-label="Fixed in" { (line.fixed()) }
            td data-label="Fix" { @if let Some(commit) = line.fix_commit { code title=(commit) { (commit.short()) } } }
        }
    }
}

fn package(package: &Package) -> String {
    format!("{} ({})", package.name, package.ecosystem)
}

fn link(address: &str, text: &str) -> Markup {
    html! { a href=(address) rel="nofollow noopener" { (text) } }
}

fn time(at: &str) -> Markup {
    html! { time.exact datetime=(at) { (at) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plain::Link;
    use crate::export::tests::sample;

    #[test]
    fn a_page_of_its_own_is_whole_and_escaped() {
        let page = page(&sample()).into_string();
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{page}");
        assert!(page.contains("<title>DEMO-2026-0001: Sample flaw in &lt;demo&gt;"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn foreign_text_is_escaped() {
        let mut published = sample();
        published.advisory.title = "<script>alert(1)</script>".parse().unwrap();
        published.advisory.credits[0].name = "\"><img src=x onerror=alert(1)>".parse().unwrap();
        published.advisory.credits[0].url = Some("https://example.org/?a=1&b=2".parse::<Link>().unwrap());
        published.advisory.description = Some("<iframe src=x></iframe>".parse().unwrap());
        let html = advisory(&published).into_string();
        for tag in ["<script", "<img", "<iframe"] {
            assert!(!html.contains(tag), "{html}");
        }
        assert!(html.contains("href=\"https://example.org/?a=1&amp;b=2\" rel=\"nofollow noopener\""), "{html}");
    }

    #[test]
    fn the_page_says_what_is_fixed_where() {
        let html = advisory(&sample()).into_string();
        for part in [
            "Sample flaw in &lt;demo&gt; &amp; friends",
            "CVE-2026-0001",
            "critical, CVSS 4.0 score 9.3",
            "before 1.4.2",
            "from 2.0.0rc1, before 2.0.1",
            "1.4.2 (tag v1.4.2)",
            "aaaaaaaaaaaa",
            "demo (PyPI)",
            "2026-03-01T12:00:00Z",
            "demo --off",
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
        assert!(!html.contains("Changed"), "{html}");
    }

    #[test]
    fn a_repository_on_disk_is_not_linked() {
        let mut published = sample();
        for line in &mut published.lines {
            line.repository_url = "file:///srv/demo.git".parse().unwrap();
        }
        assert!(!advisory(&published).into_string().contains("file:"));
    }
}
