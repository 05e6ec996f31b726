//! Markdown written by people, made safe to show and to pass on.
//!
//! Guards: no raw HTML, no script and no image loaded from elsewhere gets out of a text, and a text cannot swallow what
//! stands after it. Leaves length and invisible characters to `domain::text`.

use std::fmt::Write as _;

use maud::{Escaper, Markup, PreEscaped};
use pulldown_cmark::{Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::followable;

/// Renders Markdown as HTML: raw HTML is shown as text, images become links, headings start at the third level.
///
/// Links lead to `http`, `https` and `mailto` only and carry `rel="nofollow noopener"`; others stay text.
pub fn to_html(text: &str) -> Markup {
    let mut open = Vec::new();
    let events = Parser::new_ext(text, options()).filter_map(|event| plain(event, &mut open));
    let mut out = String::with_capacity(text.len() * 2);
    pulldown_cmark::html::push_html(&mut out, events);
    PreEscaped(out)
}

/// Returns Markdown that a foreign renderer shows as [`to_html`] does: HTML, images and odd links escaped, fences closed.
pub fn disarmed(text: &str) -> String {
    const ROUNDS: usize = 8;
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let next = disarmed_once(&text);
        if next == text {
            return closed(text);
        }
        text = next;
    }
    escaped(&text)
}

/// Escapes a foreign one-line text so that Markdown shows it letter by letter.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_punctuation()
            && !matches!(c, ',' | ';' | '\'' | '"' | '/' | '-' | '.' | '(' | ')' | '?' | '%' | '=' | '+')
        {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH
}

fn plain<'a>(event: Event<'a>, open: &mut Vec<bool>) -> Option<Event<'a>> {
    match event {
        Event::Html(html) | Event::InlineHtml(html) => Some(Event::Text(html)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Heading { level, .. }) => {
            Some(Event::Start(Tag::Heading { level: lower(level), id: None, classes: Vec::new(), attrs: Vec::new() }))
        }
        Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(lower(level)))),
        Event::Start(Tag::Link { link_type, dest_url, .. }) => {
            let address = address(link_type, &dest_url);
            open.push(followable(&address));
            anchor(&address)
        }
        Event::Start(Tag::Image { link_type, dest_url, .. }) => {
            let address = address(link_type, &dest_url);
            let inside = open.contains(&true);
            open.push(followable(&address) && !inside);
            if inside { None } else { anchor(&address) }
        }
        Event::End(TagEnd::Link | TagEnd::Image) => {
            open.pop().unwrap_or(false).then(|| Event::InlineHtml("</a>".into()))
        }
        other => Some(other),
    }
}

fn address(link_type: LinkType, dest: &str) -> String {
    match link_type {
        LinkType::Email => format!("mailto:{dest}"),
        _ => dest.to_owned(),
    }
}

fn anchor<'a>(address: &str) -> Option<Event<'a>> {
    if !followable(address) {
        return None;
    }
    let mut tag = String::from("<a href=\"");
    let _ = Escaper::new(&mut tag).write_str(address);
    tag.push_str("\" rel=\"nofollow noopener\">");
    Some(Event::InlineHtml(tag.into()))
}

fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

/// Puts a backslash before everything that would be HTML, an image, or a link to elsewhere than the web.
fn disarmed_once(text: &str) -> String {
    let mut marks = Vec::new();
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        match event {
            Event::Html(_) | Event::InlineHtml(_) => {
                marks.extend(text[range.clone()].match_indices('<').map(|(at, _)| range.start + at));
            }
            Event::Start(Tag::Image { .. }) => marks.push(range.start),
            Event::Start(Tag::Link { link_type, dest_url, .. }) if !followable(&address(link_type, &dest_url)) => {
                marks.push(range.start);
            }
            _ => {}
        }
    }
    marks.sort_unstable();
    marks.dedup();
    let mut out = String::with_capacity(text.len() + marks.len());
    let mut from = 0;
    for mark in marks {
        out.push_str(&text[from..mark]);
        out.push('\\');
        from = mark;
    }
    out.push_str(&text[from..]);
    out
}

/// Closes a fence left open, so that what follows the text is not taken for code.
fn closed(text: String) -> String {
    const LONGEST: usize = 64;
    if ends(&text) {
        return text;
    }
    for fence in (3..=LONGEST).flat_map(|length| ["`".repeat(length), "~".repeat(length)]) {
        let candidate = format!("{text}\n{fence}");
        if ends(&candidate) {
            return candidate;
        }
    }
    escaped(&text)
}

/// Tells whether a paragraph put after the text is a paragraph of its own.
fn ends(text: &str) -> bool {
    const MARK: &str = "x";
    let followed = format!("{text}\n\n{MARK}");
    let events: Vec<_> = Parser::new_ext(&followed, options()).collect();
    matches!(
        events.as_slice(),
        [.., Event::Start(Tag::Paragraph), Event::Text(last), Event::End(TagEnd::Paragraph)] if &**last == MARK
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACKS: &[&str] = &[
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "<javascript:alert(1)>",
        "![x](https://example.org/pixel.png)",
        "[![x](https://example.org/pixel.png)](https://example.org)",
        "[x]\n\n[x]: javascript:alert(1)",
        "<div>\n[x](javascript:alert(1))\n</div>",
        "<!-- -->\n<svg onload=alert(1)>",
        "[x](https://example.org/\"onmouseover=\"alert(1))",
        "[x](<https://example.org/\" onmouseover=\"alert(1)>)",
        "```\"onload=alert(1)\n<script>\n```",
        "# <b onclick=x>",
        "&lt;script&gt;",
        "\\<script>\\\\<script>",
        "| a |\n|---|\n| <script> |",
    ];

    /// Lists the tags in HTML, for looking at what got through.
    fn tags(html: &str) -> Vec<&str> {
        html.split('<').skip(1).filter_map(|rest| rest.split('>').next()).collect()
    }

    #[test]
    fn nothing_a_person_writes_becomes_a_tag_of_their_own() {
        for attack in ATTACKS {
            let html = to_html(attack).into_string();
            for tag in tags(&html) {
                let known = [
                    "p", "/p", "h3", "/h3", "pre", "/pre", "/code", "/a", "table", "/table", "thead", "/thead",
                    "tbody", "/tbody", "tr", "/tr", "td", "/td", "th", "/th", "br /",
                ];
                let anchor =
                    tag.starts_with("a href=\"https://example.org") && tag.ends_with("\" rel=\"nofollow noopener\"");
                let quotes = tag.matches('"').count();
                let code = tag.starts_with("code") && quotes % 2 == 0 && !tag.contains(" on");
                assert!(known.contains(&tag) || (anchor && quotes == 4) || code, "{attack:?} gave {tag:?} in {html}");
            }
        }
    }

    #[test]
    fn markdown_passed_on_holds_no_html_image_or_script_link() {
        for attack in ATTACKS {
            let markdown = disarmed(attack);
            for event in Parser::new_ext(&markdown, options()) {
                match event {
                    Event::Html(_) | Event::InlineHtml(_) | Event::Start(Tag::Image { .. }) => {
                        panic!("{attack:?} gave {markdown:?}")
                    }
                    Event::Start(Tag::Link { dest_url, .. }) => {
                        assert!(followable(&dest_url), "{attack:?} gave {markdown:?}");
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn an_open_fence_does_not_swallow_the_rest() {
        for text in ["```\ncode", "~~~~~\ncode\n```", "- a\n  ```\n  x", "> ```\n> x", "text"] {
            assert!(ends(&disarmed(text)), "{text:?} gave {:?}", disarmed(text));
        }
    }

    #[test]
    fn ordinary_markdown_is_kept() {
        let text = "A *list*:\n\n- `one`\n- <https://example.org>\n- <sample@example.org>\n\n1 < 2 & 3 > 2";
        assert_eq!(disarmed(text), text);
        let html = to_html(text).into_string();
        assert!(html.contains("<em>list</em>") && html.contains("href=\"mailto:sample@example.org\""), "{html}");
        assert!(html.contains("1 &lt; 2 &amp; 3 &gt; 2"), "{html}");
    }

    #[test]
    fn a_name_is_shown_letter_by_letter() {
        let name = "[x](javascript:alert) <b> *`_|#";
        let mut shown = String::new();
        for event in Parser::new_ext(&format!("Name: {}", escaped(name)), options()) {
            match event {
                Event::Text(text) => shown.push_str(&text),
                Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(shown, format!("Name: {name}"));
    }
}
