//! The public record of a case as HTML and Markdown: what was recorded, reported and written, as far as it was opened.
//!
//! Guards: every text is shown letter by letter; nothing in it is taken for a tag, a link or a heading.

use maud::{Markup, html};

use super::{instant, prose};
use crate::domain::plain::AdvisoryId;
use crate::domain::record::{Part, RecordLine, Voice};
use crate::domain::text::Label;

/// Renders the body of the page.
pub fn page(id: &AdvisoryId, project: &Label, lines: &[RecordLine]) -> Markup {
    html! {
        article.advisory {
            h1 { "Record of " (id) }
            p { (project) " opened these lines after the disclosure. What it did not open is left out." }
            @for (part, lines) in parts(lines) {
                section {
                    h2 { (name(part)) }
                    @for line in lines {
                        @let at = instant(line.at);
                        div.entry {
                            p { time.exact datetime=(at) { (at) } " " strong { (author(line.voice)) } @if part == Part::Timeline { ": " (line.text) } }
                            @if part != Part::Timeline { div.text dir="auto" { (line.text) } }
                        }
                    }
                }
            }
        }
    }
}

/// Writes it as Markdown.
pub fn markdown(id: &AdvisoryId, project: &Label, lines: &[RecordLine]) -> String {
    let project = prose::escaped(project.as_str());
    let mut out = format!(
        "# Record of {id}\n\n{project} opened these lines after the disclosure. What it did not open is left out.\n"
    );
    for (part, lines) in parts(lines) {
        out.push_str(&format!("\n## {}\n", name(part)));
        for line in lines {
            let (at, author) = (instant(line.at), author(line.voice));
            if part == Part::Timeline {
                out.push_str(&format!("\n- {at} {author}: {}\n", prose::escaped(&line.text)));
                continue;
            }
            out.push_str(&format!("\n{at} {author}:\n\n"));
            for text in line.text.lines() {
                // Tabs and spaces at the beginning would make code of it.
                out.push_str(&format!("> {}\\\n", prose::escaped(text.trim_start())));
            }
        }
    }
    out
}

/// Groups lines by the part they belong to, in their order.
fn parts(lines: &[RecordLine]) -> Vec<(Part, Vec<&RecordLine>)> {
    let of = |part: &Part| (*part, lines.iter().filter(|line| line.part == *part).collect::<Vec<_>>());
    Part::ALL.iter().map(of).filter(|(_, lines)| !lines.is_empty()).collect()
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Timeline => "Timeline",
        Part::Reports => "Reports",
        Part::Thread => "Thread",
    }
}

fn author(voice: Voice) -> &'static str {
    match voice {
        Voice::Events => "Recorded",
        Voice::Team => "The team",
        Voice::Reporter(_) => "The reporter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{Minted, ReportId};
    use jiff::Timestamp;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    const ATTACK: &str = "<script>alert(1)</script>\n# Heading\n[x](javascript:alert(1)) ![i](https://example.org/p.png)\n\n```\n\tcode\n> quote\n- item\n## Timeline";

    fn lines() -> Vec<RecordLine> {
        let line = |key: &str, part, voice, text: &str| RecordLine {
            key: key.to_owned(),
            part,
            voice,
            at: Timestamp::UNIX_EPOCH,
            text: text.to_owned(),
        };
        vec![
            line("timeline/opened", Part::Timeline, Voice::Events, "Opened"),
            line("report/1", Part::Reports, Voice::Reporter(ReportId::mint(1, [1; 10])), ATTACK),
            line("message/1", Part::Thread, Voice::Team, ATTACK),
        ]
    }

    #[test]
    fn what_was_written_is_shown_letter_by_letter() {
        let (id, project) = ("DEMO-2027-0001".parse().unwrap(), "Demo".parse().unwrap());
        let html = page(&id, &project, &lines()).into_string();
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;") && !html.contains("<a "), "{html}");
        let text = markdown(&id, &project, &lines());
        let headings: Vec<_> = Parser::new_ext(&text, Options::all())
            .filter(|event| matches!(event, Event::Start(Tag::Heading { .. })))
            .collect();
        assert_eq!(headings.len(), 4, "{text}");
        for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
            match event {
                Event::Html(_)
                | Event::InlineHtml(_)
                | Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_)) => {
                    panic!("{event:?} in {text}")
                }
                _ => {}
            }
        }
    }
}
