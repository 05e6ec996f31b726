//! An advisory as the documents the public reads: HTML, Markdown, OSV, Atom.
//!
//! Guards: the same input gives the same bytes, so that the hash people approve is the hash of what is published. Leaves
//! what may be published to `domain::advisory` and serving to `http`.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::advisory::{Advisory, AffectedLine, CreditKind};
use crate::domain::id::Prefix;
use crate::domain::plain::{AdvisoryId, Link, RepositoryUrl};
use crate::domain::repo::{CommitId, LineName, RepoName, TagName};
use crate::domain::severity::{CvssVersion, Severity};
use crate::domain::text::{Label, Sentence};

pub mod feed;
pub mod html;
pub mod markdown;
pub mod notes;
pub mod osv;
pub mod prose;
pub mod record;
pub mod retrospective;

/// What is known of one line when its fix becomes public; stands over what the draft says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedLine {
    /// The upstream repository.
    pub repository: RepoName,
    /// The line in it.
    pub line: LineName,
    /// Where anybody can clone the repository.
    pub repository_url: RepositoryUrl,
    /// The commit that fixes the line.
    pub fix_commit: Option<CommitId>,
    /// The tag made for the fix.
    pub tag: Option<TagName>,
    /// The first commit of the line that is affected, if it is known: every commit before it is not.
    pub introduced: Option<CommitId>,
}

/// Everything the documents of one advisory are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The advisory's id.
    pub id: AdvisoryId,
    /// The project's name as people write it.
    pub project: Label,
    /// The address of this server's public pages.
    pub base_url: Link,
    /// The prefix the project has registered with OSV, if it has one.
    pub osv_prefix: Option<Prefix>,
    /// When it becomes public: the release's instant.
    pub published_at: Timestamp,
    /// When it was last changed; the same as `published_at` at first.
    pub modified_at: Timestamp,
    /// When the technical details follow that are held back; none if the advisory is whole, or nobody knows.
    pub details_at: Option<Timestamp>,
    /// That it does not hold any more, if it does not.
    pub withdrawn: Option<Withdrawal>,
    /// The public advisories it belongs to: those it follows up on, and those that follow up on it.
    pub related: Vec<AdvisoryId>,
    /// The lines of the release.
    pub lines: Vec<PublishedLine>,
    /// The draft.
    pub advisory: Advisory,
}

/// When and why an advisory was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// When.
    pub at: Timestamp,
    /// Why, for the public.
    pub why: Sentence,
}

/// How the name of a signature ends.
const SIGNATURE: &str = ".sig";

/// One file of an advisory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The path below the public address, without a leading slash.
    pub path: String,
    /// The media type to serve it under.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The files of one advisory, in a fixed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents(Vec<Document>);

/// Tells whether a path is that of a signature.
pub fn signs(path: &str) -> bool {
    path.strip_suffix(SIGNATURE).is_some()
}

impl Published {
    /// Takes the technical details out, saying when they follow if that is known. The part is gone from what is rendered from, so that
    /// no format can let it slip.
    #[must_use]
    pub fn without_details(self, follows: Option<Timestamp>) -> Self {
        let details_at = follows.filter(|_| self.advisory.technical.is_some());
        Self { details_at, advisory: Advisory { technical: None, ..self.advisory }, ..self }
    }

    /// Renders every file of the advisory; the same input gives the same bytes.
    ///
    /// Renders an incomplete draft too, for previews: ask [`Advisory::completeness`] before anything is approved.
    pub fn render(&self) -> Documents {
        let html = html::advisory(self).into_string().into_bytes();
        Documents(vec![
            Document::of(format!("advisories/{}.html", self.id), html),
            Document::of(format!("advisories/{}.md", self.id), markdown::advisory(self).into_bytes()),
            Document::of(osv::path(self), osv::advisory(self)),
        ])
    }

    /// Returns the address of the advisory's public page.
    pub fn page_url(&self) -> String {
        self.url_of(&self.id)
    }

    /// Returns the address of an advisory's public page on this server.
    fn url_of(&self, id: &AdvisoryId) -> String {
        self.base_url.join(&format!("advisories/{id}"))
    }

    /// Returns the affected lines with what the release knows of them.
    fn affected(&self) -> Vec<Affected<'_>> {
        let settle = |draft: &'_ AffectedLine| {
            self.lines.iter().find(|line| line.repository == draft.repository && line.line == draft.line)
        };
        self.advisory
            .affected
            .iter()
            .map(|draft| {
                let known = settle(draft);
                Affected {
                    draft,
                    repository_url: known.map(|line| &line.repository_url),
                    fix_commit: known.and_then(|line| line.fix_commit.as_ref()).or(draft.fix_commit.as_ref()),
                    tag: known.and_then(|line| line.tag.as_ref()).or(draft.tag.as_ref()),
                    introduced: known.and_then(|line| line.introduced.as_ref()),
                }
            })
            .collect()
    }
}

impl Document {
    /// Makes a file, of the media type that its ending says.
    pub fn of(path: String, bytes: Vec<u8>) -> Self {
        let media_type = match path.rsplit_once('.').map(|(_, ending)| ending) {
            Some("html") => "text/html; charset=utf-8",
            Some("md") => "text/markdown; charset=utf-8",
            Some("json") => "application/json",
            Some(_) | None => "text/plain; charset=utf-8",
        };
        Self { path, media_type, bytes }
    }

    /// Tells whether it is a page for browsers.
    pub fn is_page(&self) -> bool {
        self.media_type.starts_with("text/html")
    }

    /// Tells whether it only serves to check the others: their hashes, or a signature over these.
    pub fn is_check(&self) -> bool {
        self.is_signature() || self.path.strip_suffix(".sha256").is_some()
    }

    /// Tells whether it is a signature: another key, or another day, would make other bytes of it that say the same.
    pub fn is_signature(&self) -> bool {
        signs(&self.path)
    }

    /// Returns the SHA-256 of the bytes.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

impl Documents {
    /// Takes files that were rendered and kept.
    pub fn kept(files: Vec<Document>) -> Self {
        Self(files)
    }

    /// Returns the files.
    pub fn as_slice(&self) -> &[Document] {
        &self.0
    }

    /// Adds a list of the files' hashes, as `sha256sum` checks them, and a signature over that list. The page is not in it: it is
    /// served inside another.
    pub fn signed<E>(mut self, id: &AdvisoryId, sign: impl FnOnce(&[u8]) -> Result<String, E>) -> Result<Self, E> {
        let mut sums = String::new();
        for document in self.0.iter().filter(|document| !document.is_page()) {
            let _ = writeln!(sums, "{}  {}", HEXLOWER.encode(&document.sha256()), document.path);
        }
        let signature = sign(sums.as_bytes())?;
        let path = format!("advisories/{id}.sha256");
        for (path, text) in [(format!("{path}{SIGNATURE}"), signature), (path, sums)] {
            self.0.push(Document::of(path, text.into_bytes()));
        }
        Ok(self)
    }

    /// Hands the files over.
    pub fn into_vec(self) -> Vec<Document> {
        self.0
    }

    /// Returns the SHA-256 over all files but signatures: what an approval is bound to.
    ///
    /// Each of path, media type and bytes is preceded by its length as eight big-endian bytes, so no two sets share an input.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for document in self.0.iter().filter(|document| !document.is_signature()) {
            for part in [document.path.as_bytes(), document.media_type.as_bytes(), &document.bytes] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }
}

/// An affected line with what the release knows of it.
struct Affected<'a> {
    draft: &'a AffectedLine,
    repository_url: Option<&'a RepositoryUrl>,
    fix_commit: Option<&'a CommitId>,
    tag: Option<&'a TagName>,
    introduced: Option<&'a CommitId>,
}

impl Affected<'_> {
    /// Says which versions are affected, in words.
    fn range(&self) -> String {
        let mut words = String::new();
        if let Some(introduced) = &self.draft.introduced {
            let _ = write!(words, "from {introduced}");
        }
        let (joint, alone) = if words.is_empty() { ("", "all versions") } else { (", ", "") };
        match (&self.draft.fixed, &self.draft.last_affected) {
            (Some(fixed), _) => _ = write!(words, "{joint}before {fixed}"),
            (None, Some(last)) => _ = write!(words, "{joint}up to and including {last}"),
            (None, None) => words.push_str(alone),
        }
        words
    }

    /// Says where the line is fixed, in words.
    fn fixed(&self) -> String {
        match (&self.draft.fixed, self.tag) {
            (Some(fixed), Some(tag)) if fixed.as_str() != tag.as_str() => format!("{fixed} (tag {tag})"),
            (Some(fixed), _) => fixed.to_string(),
            (None, Some(tag)) => format!("tag {tag}"),
            (None, None) if self.fix_commit.is_some() => "the next version".to_owned(),
            (None, None) => "not fixed".to_owned(),
        }
    }
}

/// Says how bad it is, in words.
fn severity_words(severity: &Severity) -> String {
    match severity {
        Severity::None(reason) => format!("none given: {reason}"),
        Severity::Word(word) => word.to_string(),
        Severity::Cvss(vector) => {
            let word = vector.word().map_or("none", |word| word.as_str());
            let version = match vector.version() {
                CvssVersion::V3 => "3.1",
                CvssVersion::V4 => "4.0",
            };
            format!("{word}, CVSS {version} score {:.1}", vector.score())
        }
    }
}

/// Names what a credited person did.
fn credit_words(kind: CreditKind) -> &'static str {
    match kind {
        CreditKind::Finder => "Finder",
        CreditKind::Reporter => "Reporter",
        CreditKind::Analyst => "Analyst",
        CreditKind::Coordinator => "Coordinator",
        CreditKind::RemediationDeveloper => "Wrote the fix",
        CreditKind::RemediationReviewer => "Reviewed the fix",
        CreditKind::RemediationVerifier => "Verified the fix",
        CreditKind::Tool => "Tool",
        CreditKind::Sponsor => "Sponsor",
        CreditKind::Other => "Thanks to",
    }
}

/// Writes an instant as RFC 3339 in UTC, whole seconds.
fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Tells whether a reader may follow the address.
fn followable(address: &str) -> bool {
    let starts = |scheme: &str| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    starts("https://") || starts("http://") || starts("mailto:")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::advisory::{Credit, CreditConsent, Ecosystem, Package, Reference, ReferenceKind};

    /// An advisory with every part filled in.
    pub(crate) fn sample() -> Published {
        let mut advisory = Advisory::draft("Sample flaw in <demo> & friends".parse().unwrap());
        advisory.description =
            Some("The parser reads **too far**.\n\nSee [the page](https://example.org/a?b=1&c=2).".parse().unwrap());
        advisory.workaround = Some("Turn it off:\n\n```\ndemo --off\n```".parse().unwrap());
        advisory.severity =
            Some(Severity::Cvss("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N".parse().unwrap()));
        advisory.cve = Some("CVE-2026-0001".parse().unwrap());
        let line = |name: &str, introduced: Option<&str>, fixed: &str| AffectedLine {
            repository: "demo".parse().unwrap(),
            line: name.parse().unwrap(),
            package: Some(Package { ecosystem: Ecosystem::PyPi, name: "demo".parse().unwrap() }),
            introduced: introduced.map(|text| text.parse().unwrap()),
            last_affected: None,
            fixed: Some(fixed.parse().unwrap()),
            tag: None,
            fix_commit: None,
        };
        advisory.affected = vec![line("1.x", None, "1.4.2"), line("main", Some("2.0.0rc1"), "2.0.1")];
        let credit = |name: &str, kind, consent| Credit {
            name: name.parse().unwrap(),
            kind,
            url: Some("https://example.org/people".parse().unwrap()),
            consent,
        };
        advisory.credits = vec![
            credit("Sample Reporter", CreditKind::Reporter, CreditConsent::Agreed),
            credit("Secret Finder", CreditKind::Finder, CreditConsent::Anonymous),
            credit("Silent Helper", CreditKind::RemediationDeveloper, CreditConsent::Asked),
        ];
        advisory.references =
            vec![Reference { kind: ReferenceKind::Article, url: "https://example.org/story".parse().unwrap() }];
        let known = |name: &str, digit: &str, tag: &str| PublishedLine {
            repository: "demo".parse().unwrap(),
            line: name.parse().unwrap(),
            repository_url: "https://example.org/demo.git".parse().unwrap(),
            fix_commit: Some(digit.repeat(40).parse().unwrap()),
            tag: Some(tag.parse().unwrap()),
            introduced: None,
        };
        Published {
            id: "DEMO-2026-0001".parse().unwrap(),
            project: "Demo".parse().unwrap(),
            base_url: "https://security.example.org".parse().unwrap(),
            osv_prefix: None,
            published_at: "2026-03-01T12:00:00.25Z".parse().unwrap(),
            modified_at: "2026-03-01T12:00:00.25Z".parse().unwrap(),
            details_at: None,
            withdrawn: None,
            related: Vec::new(),
            lines: vec![known("1.x", "a", "v1.4.2"), known("main", "b", "2.0.1")],
            advisory,
        }
    }

    #[test]
    fn the_same_advisory_gives_the_same_bytes() {
        let (first, second) = (sample().render(), sample().render());
        assert_eq!(first, second);
        assert_eq!(first.digest(), second.digest());
        let paths: Vec<_> = first.as_slice().iter().map(|document| document.path.as_str()).collect();
        assert_eq!(
            paths,
            ["advisories/DEMO-2026-0001.html", "advisories/DEMO-2026-0001.md", "osv/x_DEMO-2026-0001.json"]
        );
    }

    #[test]
    fn any_changed_byte_changes_the_digest() {
        let whole = sample().render();
        let mut changed = sample();
        changed.advisory.title = "Sample flaw in <demo> & friend".parse().unwrap();
        assert_ne!(whole.digest(), changed.render().digest());
        let mut moved = whole.clone();
        let byte = moved.0[0].bytes.pop().unwrap();
        moved.0[1].path.insert(0, char::from(byte));
        assert_ne!(whole.digest(), moved.digest());
    }

    #[test]
    fn names_without_consent_stand_in_no_document() {
        for document in sample().render().as_slice() {
            let text = String::from_utf8(document.bytes.clone()).unwrap();
            assert!(text.contains("Sample Reporter") && text.contains("an anonymous reporter"), "{}", document.path);
            assert!(!text.contains("Secret") && !text.contains("Silent"), "{}", document.path);
        }
    }

    #[test]
    fn what_was_withdrawn_says_so_in_every_document_and_what_is_related_is_named() {
        let mut published = sample();
        let why = "Not a flaw, see <b> [x](javascript:y).".parse().unwrap();
        published.withdrawn = Some(Withdrawal { at: "2026-03-02T12:00:00Z".parse().unwrap(), why });
        published.related = vec!["DEMO-2026-0002".parse().unwrap()];
        for document in published.render().as_slice() {
            let text = String::from_utf8(document.bytes.clone()).unwrap();
            assert!(text.contains("2026-03-02T12:00:00Z") && text.contains("DEMO-2026-0002"), "{text}");
            assert!(text.to_lowercase().contains("withdrawn"), "{text}");
            let json = document.media_type == "application/json";
            assert!(json || (!text.contains("<b>") && !text.contains("see \\<b\\> [x](javascript")), "{text}");
        }
        assert_ne!(published.render().digest(), sample().render().digest());
    }

    #[test]
    fn what_is_held_back_stands_in_no_document_until_it_does_in_each() {
        let mut whole = sample();
        whole.advisory.technical = Some("Send a name of 300 bytes.".parse().unwrap());
        let at = "2026-03-08T12:00:00.5Z".parse().unwrap();
        let without = whole.clone().without_details(Some(at));
        let texts = |published: &Published| {
            let documents = published.render().into_vec().into_iter();
            documents.map(|document| String::from_utf8(document.bytes).unwrap()).collect::<Vec<_>>()
        };
        for (first, then) in texts(&without).iter().zip(texts(&whole)) {
            assert!(first.contains("2026-03-08T12:00:00Z") && !first.contains("300 bytes"), "{first}");
            assert!(
                then.contains("300 bytes") && then.contains("Technical details") && !then.contains("follow on"),
                "{then}"
            );
        }
        let unknown = whole.without_details(None);
        assert!(texts(&unknown).iter().all(|text| !text.contains("300 bytes") && !text.contains("echnical")));
        assert_eq!(sample().without_details(Some(at)), sample(), "nothing is promised where nothing is held back");
        let paths = |published: &Published| {
            let documents = published.render().into_vec().into_iter();
            documents.map(|document| (document.path, document.media_type)).collect::<Vec<_>>()
        };
        assert_eq!(paths(&without), paths(&sample()));
    }

    #[test]
    fn ranges_read_as_sentences() {
        let mut published = sample();
        published.advisory.affected[0].fixed = None;
        published.advisory.affected[0].last_affected = Some("1.4.1".parse().unwrap());
        let affected = published.affected();
        assert_eq!(affected[0].range(), "up to and including 1.4.1");
        assert_eq!(affected[0].fixed(), "tag v1.4.2");
        assert_eq!(affected[1].range(), "from 2.0.0rc1, before 2.0.1");
        assert_eq!(affected[1].fixed(), "2.0.1");
    }
}
