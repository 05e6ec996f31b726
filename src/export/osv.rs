//! An advisory as a file of the Open Source Vulnerability format, schema 1.7.
//!
//! Guards: ranges a scanner can evaluate without knowing our lines, and an id no other database hands out. Leaves feeding
//! the file to OSV.dev to whoever fetches it.

use serde::Serialize;

use super::{Affected, Published, instant, prose};
use crate::domain::advisory::{Package, ReferenceKind};
use crate::domain::plain::{AdvisoryId, CveId, RepositoryUrl};
use crate::domain::repo::CommitId;
use crate::domain::severity::{CvssVersion, Severity, SeverityWord};
use crate::domain::text::Body;

/// Returns the id: under the project's registered prefix, or else under `x_`, which the schema keeps for private use.
pub fn id(published: &Published) -> String {
    id_of(published, &published.id)
}

fn id_of(published: &Published, id: &AdvisoryId) -> String {
    match &published.osv_prefix {
        Some(prefix) => format!("{prefix}-{}", id.tail()),
        None => format!("x_{id}"),
    }
}

/// Returns the path of the file below the public address.
pub fn path(published: &Published) -> String {
    format!("osv/{}.json", id(published))
}

/// Renders the file: indented JSON, ending with one line break.
pub fn advisory(published: &Published) -> Vec<u8> {
    let mut bytes =
        serde_json::to_vec_pretty(&record(published)).expect("plain structs with text keys always serialise");
    bytes.push(b'\n');
    bytes
}

#[derive(Serialize)]
struct Record<'a> {
    schema_version: &'static str,
    id: String,
    modified: String,
    published: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<String>,
    summary: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    details: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    severity: Vec<Score<'a>>,
    affected: Vec<Entry<'a>>,
    references: Vec<Reference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credits: Vec<Credit>,
    database_specific: OurFacts<'a>,
}

#[derive(Serialize)]
struct Score<'a> {
    r#type: &'static str,
    score: &'a str,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<&'a Package>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<Range<'a>>,
    database_specific: Lines<'a>,
}

#[derive(Serialize)]
struct Range<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    repo: Option<&'a str>,
    events: Vec<Event<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Event<'a> {
    Introduced(&'a str),
    Fixed(&'a str),
    LastAffected(&'a str),
}

#[derive(Serialize)]
struct Lines<'a> {
    lines: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    repository: &'a str,
    line: &'a str,
    affected: String,
    fixed: String,
}

#[derive(Serialize)]
struct Reference {
    r#type: &'static str,
    url: String,
}

#[derive(Serialize)]
struct Credit {
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contact: Vec<String>,
    r#type: String,
}

#[derive(Serialize)]
struct OurFacts<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity_note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn_note: Option<&'a str>,
}

fn record(published: &Published) -> Record<'_> {
    let advisory = &published.advisory;
    let part = |heading: &str, text: &Body| format!("{heading}{}", prose::disarmed(text.as_str()));
    let follow = |at| format!("Technical details follow on {}, so that everybody can update first.", instant(at));
    let parts = [
        advisory.description.as_ref().map(|text| part("", text)),
        advisory.workaround.as_ref().map(|text| part("## Workaround\n\n", text)),
        advisory.technical.as_ref().map(|text| part("## Technical details\n\n", text)),
        published.details_at.map(follow),
    ];
    let details = parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    let (severity, facts) = severity(advisory.severity.as_ref());
    let facts = OurFacts { withdrawn_note: published.withdrawn.as_ref().map(|it| it.why.as_str()), ..facts };
    let credits = advisory.settle_credits().into_iter().map(|credit| Credit {
        name: credit.name,
        contact: credit.url.map(|url| url.to_string()).into_iter().collect(),
        r#type: credit.kind.as_str().to_ascii_uppercase(),
    });
    Record {
        schema_version: "1.7.0",
        id: id(published),
        modified: instant(published.modified_at),
        published: instant(published.published_at),
        withdrawn: published.withdrawn.as_ref().map(|withdrawn| instant(withdrawn.at)),
        aliases: advisory.cve.iter().map(CveId::as_str).collect(),
        related: published.related.iter().map(|id| id_of(published, id)).collect(),
        summary: advisory.title.as_str(),
        details,
        severity,
        affected: entries(published.affected()),
        references: references(published),
        credits: credits.collect(),
        database_specific: facts,
    }
}

fn severity(severity: Option<&Severity>) -> (Vec<Score<'_>>, OurFacts<'_>) {
    let word = severity.and_then(Severity::word).map(|word| match word {
        SeverityWord::Low => "LOW",
        SeverityWord::Medium => "MODERATE", // the spelling scanners read from other databases
        SeverityWord::High => "HIGH",
        SeverityWord::Critical => "CRITICAL",
    });
    let (scores, note) = match severity {
        Some(Severity::Cvss(vector)) => {
            let kind = match vector.version() {
                CvssVersion::V3 => "CVSS_V3",
                CvssVersion::V4 => "CVSS_V4",
            };
            (vec![Score { r#type: kind, score: vector.as_str() }], None)
        }
        Some(Severity::None(reason)) => (Vec::new(), Some(reason.as_str())),
        Some(Severity::Word(_)) | None => (Vec::new(), None),
    };
    (scores, OurFacts { severity: word, severity_note: note, withdrawn_note: None })
}

/// Groups lines by package: one entry for each, since scanners look up packages.
fn entries(affected: Vec<Affected<'_>>) -> Vec<Entry<'_>> {
    let mut groups: Vec<(Option<&Package>, Vec<Affected<'_>>)> = Vec::new();
    for line in affected {
        let package = line.draft.package.as_ref();
        match groups.iter_mut().find(|(known, _)| *known == package) {
            Some((_, lines)) => lines.push(line),
            None => groups.push((package, vec![line])),
        }
    }
    groups.into_iter().map(|(package, lines)| entry(package, &lines)).collect()
}

fn entry<'a>(package: Option<&'a Package>, lines: &[Affected<'a>]) -> Entry<'a> {
    let mut ranges = git_ranges(lines);
    if package.is_some() {
        ranges.extend(lines.iter().map(version_range));
    }
    let said = lines.iter().map(|line| Line {
        repository: line.draft.repository.as_str(),
        line: line.draft.line.as_str(),
        affected: line.range(),
        fixed: line.fixed(),
    });
    Entry { package, ranges, database_specific: Lines { lines: said.collect() } }
}

/// Makes one range for each repository: a commit is affected if it holds the first affected commit of a line, and the fix of
/// none. Of a line whose first affected commit is not known, every commit is.
///
/// Ranges are a union, so a range of its own for each line would call the fixed commits of every other line affected.
fn git_ranges<'a>(lines: &[Affected<'a>]) -> Vec<Range<'a>> {
    let mut repositories: Vec<&'a RepositoryUrl> = Vec::new();
    for url in lines.iter().filter_map(|line| line.repository_url) {
        if !repositories.contains(&url) {
            repositories.push(url);
        }
    }
    let mut ranges = Vec::new();
    for url in repositories {
        let (mut first, mut fixes): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for line in lines.iter().filter(|line| line.repository_url == Some(url)) {
            let introduced = line.introduced.map_or("0", CommitId::as_str);
            if !first.contains(&introduced) {
                first.push(introduced);
            }
            if let Some(commit) = line.fix_commit
                && !fixes.contains(&commit.as_str())
            {
                fixes.push(commit.as_str());
            }
        }
        if !fixes.is_empty() {
            if first.contains(&"0") {
                first = vec!["0"];
            }
            let events = first.into_iter().map(Event::Introduced).chain(fixes.into_iter().map(Event::Fixed)).collect();
            ranges.push(Range { r#type: "GIT", repo: Some(url.as_str()), events });
        }
    }
    ranges
}

fn version_range<'a>(line: &Affected<'a>) -> Range<'a> {
    let draft = line.draft;
    let mut events = vec![Event::Introduced(draft.introduced.as_ref().map_or("0", |version| version.as_str()))];
    match (&draft.fixed, &draft.last_affected) {
        (Some(fixed), _) => events.push(Event::Fixed(fixed.as_str())),
        (None, Some(last)) => events.push(Event::LastAffected(last.as_str())),
        (None, None) => {}
    }
    Range { r#type: "ECOSYSTEM", repo: None, events }
}

fn references(published: &Published) -> Vec<Reference> {
    let mut references = vec![Reference { r#type: "ADVISORY", url: published.page_url() }];
    for line in &published.lines {
        let url = line.repository_url.as_str();
        if super::followable(url) && references.iter().all(|known| known.url != url) {
            references.push(Reference { r#type: "PACKAGE", url: url.to_owned() });
        }
    }
    references.extend(published.advisory.references.iter().map(|reference| {
        let kind = match reference.kind {
            ReferenceKind::Article => "ARTICLE",
            ReferenceKind::Discussion => "DISCUSSION",
            ReferenceKind::Fix => "FIX",
            ReferenceKind::Package => "PACKAGE",
            ReferenceKind::Report => "REPORT",
            ReferenceKind::Web => "WEB",
        };
        Reference { r#type: kind, url: reference.url.to_string() }
    }));
    references
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::sample;

    fn json(published: &Published) -> serde_json::Value {
        serde_json::from_slice(&advisory(published)).unwrap()
    }

    #[test]
    fn readers_of_the_format_lose_nothing() {
        let mut bare = sample();
        bare.advisory.severity = Some(Severity::Word(SeverityWord::Medium));
        bare.advisory.affected.iter_mut().for_each(|line| line.package = None);
        let mut withdrawn = sample();
        withdrawn.related = vec!["DEMO-2026-0002".parse().unwrap()];
        withdrawn.withdrawn =
            Some(crate::export::Withdrawal { at: withdrawn.modified_at, why: "Not a flaw.".parse().unwrap() });
        for published in [sample(), bare, withdrawn] {
            let mut ours = json(&published);
            let theirs: osv::schema::Vulnerability = serde_json::from_value(ours.clone()).unwrap();
            let mut back = serde_json::to_value(&theirs).unwrap();
            back.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            for credit in ours["credits"].as_array_mut().unwrap() {
                credit
                    .as_object_mut()
                    .unwrap()
                    .remove("type")
                    .expect("the other reader knows no type of a credit, we write one");
            }
            assert_eq!(back, ours);
        }
    }

    #[test]
    fn one_git_range_holds_the_fixes_of_every_line() {
        let ranges = &json(&sample())["affected"][0]["ranges"];
        assert_eq!(ranges.as_array().unwrap().len(), 3, "{ranges}");
        assert_eq!(
            ranges[0],
            serde_json::json!({"type": "GIT", "repo": "https://example.org/demo.git",
                "events": [{"introduced": "0"}, {"fixed": "a".repeat(40)}, {"fixed": "b".repeat(40)}]})
        );
        assert_eq!(ranges[2]["events"], serde_json::json!([{"introduced": "2.0.0rc1"}, {"fixed": "2.0.1"}]));
    }

    #[test]
    fn a_git_range_begins_where_every_line_says_it_does() {
        let events = |published: &Published| json(published)["affected"][0]["ranges"][0]["events"].clone();
        let mut published = sample();
        published.lines[1].introduced = Some("c".repeat(40).parse().unwrap());
        assert_eq!(events(&published)[0], serde_json::json!({"introduced": "0"}), "1.x is affected from the beginning");
        assert_eq!(events(&published).as_array().unwrap().len(), 3);
        published.advisory.affected.remove(0);
        assert_eq!(events(&published)[0], serde_json::json!({"introduced": "c".repeat(40)}));
    }

    #[test]
    fn an_id_is_private_until_a_prefix_is_registered() {
        let mut published = sample();
        assert_eq!(id(&published), "x_DEMO-2026-0001");
        assert_eq!(json(&published)["aliases"], serde_json::json!(["CVE-2026-0001"]));
        published.osv_prefix = Some("CURL".parse().unwrap());
        assert_eq!(path(&published), "osv/CURL-2026-0001.json");
    }

    #[test]
    fn a_line_without_a_fix_ends_where_it_was_last_affected() {
        let mut published = sample();
        published.lines.clear();
        published.advisory.affected[0].fixed = None;
        published.advisory.affected[0].last_affected = Some("1.4.1".parse().unwrap());
        published.advisory.severity = Some(Severity::None("needs physical access".parse().unwrap()));
        let file = json(&published);
        assert_eq!(
            file["affected"][0]["ranges"][0]["events"],
            serde_json::json!([{"introduced": "0"}, {"last_affected": "1.4.1"}])
        );
        assert_eq!(file["database_specific"], serde_json::json!({"severity_note": "needs physical access"}));
        assert_eq!(file.get("severity"), None);
    }

    #[test]
    fn times_end_in_z_and_types_are_in_capitals() {
        let file = json(&sample());
        assert_eq!(file["published"], "2026-03-01T12:00:00Z");
        assert_eq!(file["credits"][0]["type"], "REPORTER");
        assert_eq!(file["severity"][0]["type"], "CVSS_V4");
        assert_eq!(file["database_specific"]["severity"], "CRITICAL");
    }
}
