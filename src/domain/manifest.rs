//! The Manifest: everything a release will make public, frozen so that people can arm exactly that.
//!
//! Guards: one sequence of bytes per content, so that a digest means what was read. The instant is no part of the lasting
//! bytes: moving it leaves [`Manifest::lasting_digest`] as it was and changes only [`Manifest::digest`].

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audience::Lead;
use super::awaited::{AwaitedName, FrozenPackage};
use super::candidate::FrozenCandidate;
use super::channel::{Channel, ChannelName, FrozenChannel, Post, Subject};
use super::details::FrozenDetails;
use super::digest::Digest;
use super::hook::{Hook, HookName};
use super::id::{CaseId, LineId, ProjectId, ReleaseId, UpstreamId};
use super::plain::AdvisoryId;
use super::refusal::{Malformed, Refusal};
use super::repo::{CommitId, RefName, RepoName, TagName};
use super::text::Title;
use super::wave::Wave;

/// What a release makes public. Field order is the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of these bytes: 1.
    pub form: u32,
    /// The release.
    pub release: ReleaseId,
    /// The project.
    pub project: ProjectId,
    /// Committer and tagger time of everything made for it, in seconds since 1970 UTC; kept when the instant moves.
    pub dated_at: i64,
    /// The cases, in the order their fixes are merged.
    pub cases: Vec<CaseId>,
    /// The fixes, by commit.
    pub fixes: Vec<FrozenFix>,
    /// Tests that stay private and follow later, by commit: none can be slipped in afterwards. When they do is no part of it.
    pub tests: Vec<FrozenFix>,
    /// What is pushed to each line, and what spoke for it.
    pub candidates: Vec<FrozenCandidate>,
    /// What is pushed where, in the order of pushing.
    pub repositories: Vec<Repository>,
    /// What is published, byte for byte: one advisory per case, in their order.
    pub advisories: Vec<FrozenAdvisory>,
    /// The packages that are waited for, and by whom.
    pub packages: Vec<FrozenPackage>,
    /// Where else it is published, and what: a change of the configuration does not reach a frozen release.
    pub channels: Vec<FrozenChannel>,
    /// Who is told before the instant, and how much: none can be slipped in afterwards. Who belongs to an audience is looked up then.
    pub waves: Vec<Wave>,
    /// What is done around the instant, and where: a change of the configuration does not reach a frozen release.
    pub hooks: Vec<Hook>,
}

/// The advisory of one case as it will be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenAdvisory {
    /// The case it tells of.
    pub case: CaseId,
    /// Its public id.
    pub id: AdvisoryId,
    /// Its title in public lists.
    pub title: Title,
    /// Its files.
    pub documents: Vec<Document>,
    /// The files that take their place when what is held back follows; none where nothing is.
    pub details: Option<FrozenDetails>,
}

/// One fix, or the tests of one, as it was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenFix {
    /// The case.
    pub case: CaseId,
    /// The line.
    pub line: LineId,
    /// The approved head.
    pub commit: CommitId,
    /// How its checks ended: `success`, or `waived` when they could not run and a person answered for it.
    pub checks: ChecksWord,
}

super::id::words! {
    /// How the checks of a frozen fix ended.
    ChecksWord {
        /// All that is required ran and succeeded.
        Success = "success",
        /// The project has nothing to run for it.
        Nothing = "nothing",
        /// They could not run; a person answered for it.
        Waived = "waived",
        /// They were not waited for: it was frozen to be disclosed now.
        PassedOver = "passed_over",
    }
}

/// What is pushed to one public repository, all or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Which.
    pub upstream: UpstreamId,
    /// Its name in remote URLs.
    pub name: RepoName,
    /// The cases whose fixes are in it: their advisories wait for it.
    pub cases: Vec<CaseId>,
    /// Every ref with its value before and after; zero before for a ref that must not exist.
    pub refs: Vec<RefMove>,
}

/// One ref of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefMove {
    /// The public ref.
    pub name: RefName,
    /// What it must be before.
    pub old: CommitId,
    /// What it is after: a commit, or the object of an annotated tag.
    pub new: CommitId,
}

/// One published file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Its path below the public address.
    pub path: DocumentPath,
    /// The media type it is served under.
    pub media_type: String,
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
}

/// The path of a published file: letters, digits and `._-` in parts between single slashes, none starting with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentPath(String);

impl Manifest {
    /// Checks that the parts fit each other: something to push, and nothing twice.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.cases.is_empty() || self.repositories.iter().all(|repository| repository.refs.is_empty()) {
            return Err(Refusal::moment("A release needs at least one case and one ref to push."));
        }
        let told = self.advisories.iter().map(|advisory| &advisory.case).eq(&self.cases);
        if !told || self.advisories.iter().any(|advisory| advisory.documents.is_empty()) {
            return Err(Refusal::moment("Every case of a release needs an advisory to publish."));
        }
        let documents = self.advisories.iter().flat_map(|advisory| &advisory.documents);
        let mut paths: Vec<_> = documents.map(|document| &document.path).collect();
        paths.sort();
        if paths.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Refusal::moment("Two advisories of this release would be published under one name."));
        }
        let fits =
            |advisory: &FrozenAdvisory| advisory.details.as_ref().is_none_or(|it| it.replace(&advisory.documents));
        if !self.advisories.iter().all(fits) {
            return Err(Refusal::moment("What is held back of an advisory would not take the place of all its files."));
        }
        let mut awaited: Vec<_> = self.packages.iter().map(|it| (&it.name, it.upstream, &it.tag)).collect();
        awaited.sort();
        if awaited.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Refusal::moment("This release would wait for one package twice."));
        }
        for FrozenChannel { channel, posts } in &self.channels {
            let mut subjects: Vec<_> = posts.iter().map(|post| &post.subject).collect();
            subjects.sort();
            let known = |case| self.cases.contains(case);
            let told = posts.iter().all(|post| !post.cases.is_empty() && post.cases.iter().all(known));
            if !told || subjects.windows(2).any(|pair| pair[0] == pair[1]) {
                let name = &channel.name;
                return Err(Refusal::moment(format!("The channel {name} would not publish each thing once.")));
            }
        }
        for repository in &self.repositories {
            let mut names: Vec<_> = repository.refs.iter().map(|moved| &moved.name).collect();
            names.sort();
            if names.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(Refusal::moment("This release would move one ref twice."));
            }
        }
        Ok(())
    }

    /// Returns the bytes everything else is computed from: compact JSON, fields in the order of declaration.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain structs with text keys always serialise")
    }

    /// Reads back what [`Manifest::bytes`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(bytes).map_err(|_| Malformed::new("these bytes are no manifest"))
    }

    /// Returns the digest that arming signs: it does not change when only the instant moves.
    pub fn lasting_digest(&self) -> Digest {
        Digest::of_parts(&[b"embargo-manifest-1", &self.bytes()])
    }

    /// Returns the digest with the instant.
    pub fn digest(&self, due_at: Timestamp) -> Digest {
        with_instant(&self.lasting_digest(), due_at)
    }

    /// Tells whether another manifest is this one but for the bytes of what is published: the same files, at the same places.
    pub fn differs_in_documents_alone(&self, other: &Self) -> bool {
        let blank = |manifest: &Self| {
            let mut blank = manifest.clone();
            let told = blank.advisories.iter_mut().flat_map(|advisory| {
                let later = advisory.details.iter_mut().flat_map(|details| &mut details.documents);
                advisory.documents.iter_mut().chain(later)
            });
            let posts = blank.channels.iter_mut().flat_map(|frozen| &mut frozen.posts);
            for document in told.chain(posts.flat_map(|post| &mut post.documents)) {
                document.sha256 = Digest::of(b"");
            }
            blank
        };
        blank(self) == blank(other)
    }

    /// Returns the advisory of one case.
    pub fn advisory_of(&self, case: &CaseId) -> Option<&FrozenAdvisory> {
        self.advisories.iter().find(|advisory| &advisory.case == case)
    }

    /// Tells whether what it holds back follows as long after as this says.
    pub fn holds_back_for(&self, after: Option<Lead>) -> bool {
        self.advisories
            .iter()
            .filter_map(|advisory| advisory.details.as_ref())
            .all(|details| Some(details.after) == after)
    }

    /// Returns a channel with what one of its effects publishes.
    pub fn post(&self, name: &ChannelName, subject: &Subject) -> Option<(&Channel, &Post)> {
        let frozen = self.channels.iter().find(|frozen| &frozen.channel.name == name)?;
        let post = frozen.posts.iter().find(|post| &post.subject == subject)?;
        Some((&frozen.channel, post))
    }

    /// Returns a package that is waited for.
    pub fn package(&self, name: &AwaitedName, upstream: UpstreamId, tag: &TagName) -> Option<&FrozenPackage> {
        self.packages.iter().find(|it| &it.name == name && it.upstream == upstream && &it.tag == tag)
    }

    /// Returns a hook.
    pub fn hook(&self, name: &HookName) -> Option<&Hook> {
        self.hooks.iter().find(|hook| &hook.name == name)
    }

    /// Returns what is pushed to one repository.
    pub fn repository(&self, upstream: UpstreamId) -> Option<&Repository> {
        self.repositories.iter().find(|repository| repository.upstream == upstream)
    }
}

/// Joins the lasting digest and the instant into the digest of the whole.
pub fn with_instant(lasting: &Digest, due_at: Timestamp) -> Digest {
    Digest::of_parts(&[b"embargo-instant-1", lasting.as_bytes(), &due_at.as_millisecond().to_be_bytes()])
}

impl DocumentPath {
    /// Returns the text of the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DocumentPath {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let part = |part: &str| {
            let inner = part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            !part.is_empty() && !part.starts_with('.') && inner
        };
        if text.len() > 200 || !text.split('/').all(part) {
            return Err(Malformed::new("a document's path is parts of letters, digits and ._- between single slashes"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for DocumentPath {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<DocumentPath> for String {
    fn from(path: DocumentPath) -> String {
        path.0
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(in crate::domain) mod tests {
    use super::*;
    use crate::domain::audience::Level;
    use crate::domain::awaited::Follows;
    use crate::domain::awaited::tests::package;
    use crate::domain::channel::Way;
    use crate::domain::hook::tests::hook;
    use crate::domain::id::Minted;
    use crate::domain::rehearsal::Maker;

    /// A manifest of two repositories: the first case is in both, the second in the second only.
    pub(in crate::domain) fn sample() -> Manifest {
        let oid = |digit: &str| digit.repeat(40).parse::<CommitId>().unwrap();
        let cases: Vec<CaseId> = vec!["DEMO-1".parse().unwrap(), "DEMO-2".parse().unwrap()];
        let repository = |n: u8, name: &str, cases: &[CaseId]| Repository {
            upstream: UpstreamId::mint(1, [n; 10]),
            name: name.parse().unwrap(),
            cases: cases.to_vec(),
            refs: vec![
                RefMove { name: "refs/heads/main".parse().unwrap(), old: oid("1"), new: oid("2") },
                RefMove { name: "refs/tags/v1.0.1".parse().unwrap(), old: CommitId::zero(), new: oid("3") },
            ],
        };
        let advisory = |case: &CaseId, number: u32| FrozenAdvisory {
            case: case.clone(),
            id: AdvisoryId::new(&"DEMO".parse().unwrap(), 2027, number).unwrap(),
            title: "Sample flaw".parse().unwrap(),
            documents: vec![Document {
                path: format!("osv/{number}.json").parse().unwrap(),
                media_type: "application/json".to_owned(),
                sha256: Digest::of(&[1]),
            }],
            details: None,
        };
        let later = |advisory: FrozenAdvisory| {
            let documents = advisory.documents.iter().map(|it| Document { sha256: Digest::of(&[2]), ..it.clone() });
            let details = FrozenDetails { after: Lead::days(7), documents: documents.collect() };
            FrozenAdvisory { details: Some(details), ..advisory }
        };
        let channel = |name: &str, posts: &mut dyn Iterator<Item = (Subject, Vec<CaseId>)>| FrozenChannel {
            channel: Channel { name: name.parse().unwrap(), way: Way::Folder { folder: "/srv/advisories".into() } },
            posts: posts.map(|(subject, cases)| Post { subject, cases, documents: Vec::new() }).collect(),
        };
        let plugins = UpstreamId::mint(1, [2; 10]);
        Manifest {
            form: 1,
            release: "DEMO-R1".parse().unwrap(),
            project: "demo".parse().unwrap(),
            dated_at: 1_800_000_000,
            fixes: vec![FrozenFix {
                case: cases[0].clone(),
                line: LineId::mint(1, [9; 10]),
                commit: oid("4"),
                checks: ChecksWord::Success,
            }],
            tests: vec![FrozenFix {
                case: cases[0].clone(),
                line: LineId::mint(1, [9; 10]),
                commit: oid("5"),
                checks: ChecksWord::Waived,
            }],
            candidates: vec![FrozenCandidate {
                line: LineId::mint(1, [9; 10]),
                tag: "v1.0.1".parse().unwrap(),
                commit: oid("2"),
                maker: Maker::Server,
                checks: ChecksWord::Success,
                run: None,
            }],
            repositories: vec![repository(1, "core", &cases[..1]), repository(2, "plugins", &cases)],
            advisories: vec![advisory(&cases[0], 1), later(advisory(&cases[1], 2))],
            packages: vec![package(Follows::Push)],
            channels: vec![
                channel("files", &mut cases.iter().map(|case| (Subject::Advisory(case.clone()), vec![case.clone()]))),
                channel("forge", &mut [(Subject::Tag(plugins, "v1.0.1".parse().unwrap()), cases.clone())].into_iter()),
            ],
            waves: vec![Wave {
                audience: "distros".parse().unwrap(),
                level: Level::Patches,
                before: "7d".parse().unwrap(),
            }],
            hooks: vec![hook("freeze", Some("-2h"), Some("unfreeze")), hook("unfreeze", Some("+15m"), None)],
            cases,
        }
    }

    #[test]
    fn the_bytes_of_a_manifest_are_fixed() {
        let manifest = sample();
        assert_eq!(Manifest::parse(&manifest.bytes()).unwrap(), manifest);
        assert_eq!(manifest.lasting_digest().short(), "6a02fd382306");
    }

    #[test]
    fn only_the_whole_digest_knows_the_instant() {
        let manifest = sample();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_ne!(manifest.digest(at(1)), manifest.digest(at(2)));
        assert_eq!(manifest.digest(at(1)), with_instant(&manifest.lasting_digest(), at(1)));
    }

    #[test]
    fn a_changed_byte_of_a_document_changes_the_digest() {
        let mut other = sample();
        other.advisories[0].documents[0].sha256 = Digest::of(b"changed");
        assert_ne!(other.lasting_digest(), sample().lasting_digest());
    }

    #[test]
    fn documents_may_differ_and_nothing_else() {
        let mut other = sample();
        other.advisories[0].documents[0].sha256 = Digest::of(b"another date");
        assert!(sample().differs_in_documents_alone(&other));
        other.hooks.pop();
        assert!(!sample().differs_in_documents_alone(&other));
        let mut fewer = sample();
        fewer.advisories[0].documents.clear();
        assert!(!sample().differs_in_documents_alone(&fewer), "a file is missing");
    }

    #[test]
    fn a_manifest_that_would_publish_nothing_or_one_thing_twice_is_refused() {
        assert!(sample().check().is_ok());
        let mut empty = sample();
        empty.repositories.clear();
        assert!(empty.check().is_err());
        let mut silent = sample();
        silent.advisories.pop();
        assert!(silent.check().is_err());
        let mut twice = sample();
        twice.advisories[1].documents = twice.advisories[0].documents.clone();
        assert!(twice.check().is_err());
        let mut partly = sample();
        partly.advisories[1].details.as_mut().unwrap().documents.clear();
        assert!(partly.check().is_err());
        let mut again = sample();
        again.channels[0].posts[1] = again.channels[0].posts[0].clone();
        assert!(again.check().is_err());
        let mut foreign = sample();
        foreign.channels[1].posts[0].cases = vec!["DEMO-9".parse().unwrap()];
        assert!(foreign.check().is_err());
    }

    #[test]
    fn a_document_cannot_leave_its_folder() {
        for bad in ["", "/osv/a.json", "osv//a", "../a", "osv/../a", "osv/.a", "osv/a b", "osv/a/"] {
            assert!(bad.parse::<DocumentPath>().is_err(), "{bad:?}");
        }
        assert!("osv/x_DEMO-2027-1.json".parse::<DocumentPath>().is_ok());
    }
}
