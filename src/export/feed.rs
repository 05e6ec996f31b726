//! Atom feeds: the public one of advisories, and a reporter's own that says only that there is news.
//!
//! Guards: feeds are well-formed whatever a title holds, and the reporter's feed has no field for anything that happened.
//! Leaves who may fetch which feed to `http`.

use atom_syndication::{Content, Entry, Feed, FixedDateTime, Link as FeedLink, Person, Text};
use jiff::Timestamp;

use super::instant;
use crate::domain::id::{ReleaseId, ReportId};
use crate::domain::plain::{AdvisoryId, Link};
use crate::domain::revision::RevisionKind;
use crate::domain::severity::SeverityWord;
use crate::domain::text::{Label, Title};

/// One public advisory in the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEntry {
    /// The advisory.
    pub id: AdvisoryId,
    /// Its title.
    pub title: Title,
    /// The project's name.
    pub project: Label,
    /// When it became public.
    pub published_at: Timestamp,
    /// When it was last changed.
    pub modified_at: Timestamp,
    /// What its newest revision did: one that is withdrawn says so in its title.
    pub kind: RevisionKind,
    /// The page's body as it is public now: HTML.
    pub html: String,
}

/// A security release that everybody was told of before its instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedEntry {
    /// The release, which names the entry.
    pub release: ReleaseId,
    /// The project's name.
    pub project: Label,
    /// The instant: another one makes another entry.
    pub due_at: Timestamp,
    /// The highest severity, if that was told.
    pub severity: Option<SeverityWord>,
    /// When it was told.
    pub told_at: Timestamp,
}

/// Renders the public feed: what is planned, then what is public, newest first; an empty feed says it was last changed at `since`.
pub fn advisories(base_url: &Link, since: Timestamp, entries: &[FeedEntry], planned: &[PlannedEntry]) -> Vec<u8> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by(|a, b| b.published_at.cmp(&a.published_at).then_with(|| b.id.cmp(&a.id)));
    let changed = entries.iter().map(|entry| entry.modified_at).chain(planned.iter().map(|entry| entry.told_at));
    let updated = changed.max().unwrap_or(since);
    let planned = planned.iter().map(|entry| announced(base_url, entry));
    let feed = Feed {
        title: "Security advisories".into(),
        id: base_url.join("advisories.atom"),
        updated: fixed(updated),
        links: vec![link("self", base_url.join("advisories.atom")), link("alternate", base_url.join("advisories"))],
        entries: planned
            .chain(entries.into_iter().map(|entry| {
                let page = base_url.join(&format!("advisories/{}", entry.id));
                let withdrawn = if entry.kind.withdrawn() { "Withdrawn: " } else { "" };
                Entry {
                    title: plain(&format!("{withdrawn}{}", entry.title)),
                    id: page.clone(),
                    updated: fixed(entry.modified_at),
                    published: Some(fixed(entry.published_at)),
                    authors: vec![author(entry.project.as_str())],
                    links: vec![link("alternate", page)],
                    content: Some(Content {
                        content_type: Some("html".to_owned()),
                        value: Some(well_formed(&entry.html)),
                        ..Content::default()
                    }),
                    ..Entry::default()
                }
            }))
            .collect(),
        ..Feed::default()
    };
    bytes(&feed)
}

/// Says that a security release comes, and nothing of what is in it.
fn announced(base_url: &Link, entry: &PlannedEntry) -> Entry {
    let page = base_url.join("advisories#planned");
    let at = entry.due_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let severity = entry.severity.map(|word| format!(" The highest severity: {word}.")).unwrap_or_default();
    Entry {
        title: plain(&format!("A security release of {} is planned for {at}", entry.project)),
        id: format!("{page}-{}-{}", entry.release, entry.due_at.as_second()),
        updated: fixed(entry.told_at),
        authors: vec![author(entry.project.as_str())],
        links: vec![link("alternate", page)],
        summary: Some(plain(&format!("It will be public then, and nothing is said before.{severity}"))),
        ..Entry::default()
    }
}

/// Renders a reporter's own feed: an entry for each time something happened, none saying what.
///
/// It names neither its own address, which is a secret, nor project, case or title.
pub fn news(base_url: &Link, report: ReportId, opened_at: Timestamp, happened: &[Timestamp]) -> Vec<u8> {
    let page = base_url.join("r/");
    let mut happened: Vec<_> = happened.iter().copied().enumerate().collect();
    happened.reverse();
    let feed = Feed {
        title: "News on your report".into(),
        id: format!("{page}#{report}"),
        updated: fixed(happened.iter().map(|(_, at)| *at).max().unwrap_or(opened_at)),
        authors: vec![author("Security team")],
        links: vec![link("alternate", page.clone())],
        entries: happened
            .into_iter()
            .map(|(number, at)| Entry {
                title: "There is news on your report".into(),
                id: format!("{page}#{report}-{}", number + 1),
                updated: fixed(at),
                links: vec![link("alternate", page.clone())],
                summary: Some("Open the page and enter your claim code to read it.".into()),
                ..Entry::default()
            })
            .collect(),
        ..Feed::default()
    };
    bytes(&feed)
}

fn bytes(feed: &Feed) -> Vec<u8> {
    let mut bytes = feed.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

fn fixed(at: Timestamp) -> FixedDateTime {
    instant(at).parse().expect("RFC 3339 with whole seconds is what the feed's clock reads")
}

fn link(rel: &str, href: String) -> FeedLink {
    FeedLink { href, rel: rel.to_owned(), ..FeedLink::default() }
}

fn author(name: &str) -> Person {
    Person { name: well_formed(name), ..Person::default() }
}

fn plain(text: &str) -> Text {
    Text::plain(well_formed(text))
}

/// Replaces the characters XML 1.0 has no way to write (section 2.2) by U+FFFD.
fn well_formed(text: &str) -> String {
    let allowed =
        |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;
    use crate::export::tests::sample;

    fn entry(id: &str, title: &str, day: u8) -> FeedEntry {
        let published = sample();
        let at: Timestamp = format!("2026-03-0{day}T12:00:00Z").parse().unwrap();
        FeedEntry {
            id: id.parse().unwrap(),
            title: title.parse().unwrap(),
            project: published.project.clone(),
            published_at: at,
            modified_at: at,
            kind: RevisionKind::Published,
            html: crate::export::html::advisory(&published).into_string(),
        }
    }

    fn base() -> Link {
        "https://security.example.org/".parse().unwrap()
    }

    #[test]
    fn the_public_feed_reads_back_newest_first() {
        let entries =
            [entry("DEMO-2026-0001", "First <flaw> & \"more\"", 1), entry("DEMO-2026-0002", "Second ]]> \u{ffff}", 2)];
        let bytes = advisories(&base(), Timestamp::UNIX_EPOCH, &entries, &[]);
        let feed = Feed::read_from(bytes.as_slice()).unwrap();
        let titles: Vec<_> = feed.entries().iter().map(|entry| entry.title().as_str()).collect();
        assert_eq!(titles, ["Second ]]> \u{fffd}", "First <flaw> & \"more\""]);
        assert_eq!(feed.updated().to_rfc3339(), "2026-03-02T12:00:00+00:00");
        assert_eq!(feed.entries()[1].id(), "https://security.example.org/advisories/DEMO-2026-0001");
        assert_eq!(feed.entries()[1].content().unwrap().value().unwrap(), entries[0].html);
        assert_eq!(bytes, advisories(&base(), Timestamp::UNIX_EPOCH, &entries, &[]));
    }

    #[test]
    fn what_was_withdrawn_says_so_before_its_title() {
        let withdrawn = FeedEntry { kind: RevisionKind::Withdrawn, ..entry("DEMO-2026-0001", "Sample flaw", 1) };
        let feed = advisories(&base(), Timestamp::UNIX_EPOCH, &[withdrawn], &[]);
        let feed = Feed::read_from(feed.as_slice()).unwrap();
        assert_eq!(feed.entries()[0].title().as_str(), "Withdrawn: Sample flaw");
    }

    #[test]
    fn an_empty_feed_is_a_feed() {
        let bytes = advisories(&base(), Timestamp::UNIX_EPOCH, &[], &[]);
        assert!(Feed::read_from(bytes.as_slice()).unwrap().entries().is_empty());
    }

    #[test]
    fn what_is_planned_is_told_without_details_and_anew_when_it_moves() {
        let planned = |due: &str| PlannedEntry {
            release: "DEMO-R1".parse().unwrap(),
            project: "Demo".parse().unwrap(),
            due_at: due.parse().unwrap(),
            severity: Some(SeverityWord::High),
            told_at: "2026-03-01T12:00:00Z".parse().unwrap(),
        };
        let read = |due: &str| {
            Feed::read_from(advisories(&base(), Timestamp::UNIX_EPOCH, &[], &[planned(due)]).as_slice()).unwrap()
        };
        let (one, two) = (read("2026-03-08T12:00:00Z"), read("2026-03-09T12:00:00Z"));
        let entry = &one.entries()[0];
        assert_eq!(entry.title().as_str(), "A security release of Demo is planned for 2026-03-08 12:00:00 UTC");
        assert!(entry.summary().unwrap().as_str().ends_with("The highest severity: high."));
        assert_ne!(entry.id(), two.entries()[0].id());
        assert_eq!(one.updated().to_rfc3339(), "2026-03-01T12:00:00+00:00");
    }

    #[test]
    fn a_reporters_feed_says_only_that_there_is_news() {
        let report = ReportId::mint(1_700_000_000_000, [3; 10]);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let happened = [at("2026-03-01T12:00:00Z"), at("2026-03-05T12:00:00Z")];
        let feed = Feed::read_from(news(&base(), report, at("2026-02-01T00:00:00Z"), &happened).as_slice()).unwrap();
        assert_eq!(feed.entries().len(), 2);
        for entry in feed.entries() {
            assert_eq!(entry.title().as_str(), "There is news on your report");
            assert_eq!(entry.links()[0].href(), "https://security.example.org/r/");
            assert!(entry.content().is_none());
        }
        assert_eq!(feed.entries()[0].id(), format!("https://security.example.org/r/#{report}-2"));
        assert_eq!(feed.updated().to_rfc3339(), "2026-03-05T12:00:00+00:00");
    }
}
