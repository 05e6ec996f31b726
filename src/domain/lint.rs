//! The leak lint: what in a push would tell more than its fix has to, once it is public or should it get out before.
//!
//! Guards: every finding names the line to mend, and says what to do instead; who reported is never repeated. Leaves reading
//! the commits to `git::reading`, and what a finding means for its push to [`super::push`].

use std::collections::BTreeMap;
use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::id::{Prefix, words};
use super::refusal::Malformed;
use super::repo::CommitId;
use super::text::shown;

/// Characters of a match that are shown.
const SHOWN: usize = 60;
/// Bytes of the compiled patterns of one project.
const COMPILED: usize = 4 * 1024 * 1024;

words! {
    /// What kind of thing tells too much.
    LintRule {
        /// An id of an advisory: CVE, GHSA and the like.
        Advisory = "advisory",
        /// An id of a case, a release or an advisory of this project.
        Case = "case",
        /// A reference to an issue or a pull request.
        Issue = "issue",
        /// A word of the project's list, in a message, a changelog or a file's name.
        Word = "word",
        /// An address of this server, or of a host of the project's list.
        Address = "address",
        /// The e-mail address of a reporter.
        Reporter = "reporter",
        /// A line of a changelog that says that something was a vulnerability.
        Changelog = "changelog",
        /// A trailer that the release adds by itself.
        Rider = "rider",
    }
}

words! {
    /// What a finding does.
    LintLevel {
        /// Nothing: it is not looked for.
        Off = "off",
        /// It is told.
        Warn = "warn",
        /// It refuses the push.
        Refuse = "refuse",
    }
}

impl LintRule {
    /// Returns what it does where the project says nothing: what names the matter outright refuses.
    pub fn level(self) -> LintLevel {
        match self {
            Self::Advisory | Self::Case | Self::Address | Self::Reporter => LintLevel::Refuse,
            Self::Issue | Self::Word | Self::Changelog | Self::Rider => LintLevel::Warn,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Advisory => "leave ids of advisories out: the release adds them where the project wants them",
            Self::Case => "leave ids of this server out of what becomes public",
            Self::Issue => "whoever follows it learns what is being fixed: leave it out",
            Self::Word => "say what the code does, not what was wrong with it",
            Self::Address => "nobody outside may learn of this server's pages: leave the address out",
            Self::Reporter => "leave it out: credit is given by the advisory, as the reporter wants it",
            Self::Changelog => "write this entry into the advisory: the release puts it into the changelog",
            Self::Rider => "the release adds this trailer by itself",
        }
    }
}

/// What a project looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintPolicy {
    /// What findings do, where it is not what [`LintRule::level`] says.
    pub levels: BTreeMap<LintRule, LintLevel>,
    /// The project's list of words; each also stands for words that begin with it.
    pub words: Vec<String>,
    /// What is no finding, whole, such as an old id that the tests name.
    pub allowed: Vec<String>,
    /// The prefix of the project's ids.
    pub prefix: Option<Prefix>,
    /// Hosts nobody outside may learn of, this server's among them.
    pub hosts: Vec<String>,
    /// The e-mail addresses of the case's reporters.
    pub reporters: Vec<String>,
    /// Keys of the trailers that the release adds.
    pub riders: Vec<String>,
}

impl LintPolicy {
    /// Returns what findings of this rule do.
    pub fn level(&self, rule: LintRule) -> LintLevel {
        self.levels.get(&rule).copied().unwrap_or_else(|| rule.level())
    }

    /// Returns what this finding does. Whoever reports says which address is theirs, and could name that of somebody who mends:
    /// unless the project wants it otherwise, who signed a commit is told and refuses nothing.
    pub fn of(&self, finding: &Finding) -> LintLevel {
        match (finding.rule, &finding.spot, self.levels.get(&finding.rule)) {
            (LintRule::Reporter, Spot::Signature, None) => LintLevel::Warn,
            (rule, _, _) => self.level(rule),
        }
    }
}

/// Where in a push something was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// This line of the message, from 1.
    Message(u32),
    /// The name or address of its author or committer.
    Signature,
    /// A path that is new.
    Path(String),
    /// This line of a file, from 1, as the commit leaves it.
    File(String, u32),
}

/// Something that tells too much. `Display` is the sentence for whoever pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub rule: LintRule,
    /// The commit that brings it.
    pub commit: CommitId,
    /// Where in it.
    pub spot: Spot,
    /// What was found; for [`LintRule::Reporter`] it is not shown.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.commit.short())?;
        // Where it stands would help to find out by trying whose it is.
        if self.rule == LintRule::Reporter {
            return write!(f, " holds the e-mail address of a reporter; {}.", self.rule.advice());
        }
        match &self.spot {
            Spot::Message(line) => write!(f, ", line {line} of its message")?,
            Spot::Signature => f.write_str(", its author or committer")?,
            Spot::Path(path) => write!(f, ", the path {}", shown(path))?,
            Spot::File(path, line) => write!(f, ", {} line {line}", shown(path))?,
        }
        write!(f, ": \"{}\"; {}.", shown(&self.what), self.rule.advice())
    }
}

/// A policy, ready to look.
pub struct Lint {
    everywhere: Vec<(LintRule, Regex)>,
    messages: Vec<(LintRule, Regex)>,
    telling: Vec<(LintRule, Regex)>,
    words: Option<Regex>,
    reporters: Option<Regex>,
    allowed: Vec<String>,
    refusing: Vec<LintRule>,
}

impl Lint {
    /// Gets a policy ready. An error means that its lists are too long to be looked for.
    pub fn new(policy: &LintPolicy) -> Result<Self, Malformed> {
        let list = |items: &[String]| items.iter().map(|item| regex::escape(item)).collect::<Vec<_>>().join("|");
        let on = |rule: LintRule| policy.level(rule) != LintLevel::Off;
        let mut lint = Self {
            everywhere: Vec::new(),
            messages: Vec::new(),
            telling: Vec::new(),
            words: None,
            reporters: None,
            allowed: policy.allowed.iter().map(|allowed| allowed.to_ascii_lowercase()).collect(),
            refusing: LintRule::ALL.iter().copied().filter(|rule| policy.level(*rule) == LintLevel::Refuse).collect(),
        };
        if on(LintRule::Advisory) {
            let ids = r"\b(?:CVE-[0-9]{4}-[0-9]{4,}|GHSA(?:-[23456789cfghjmpqrvwx]{4}){3}|(?:PYSEC|RUSTSEC|GO|OSV|DSA|USN|RHSA)-[0-9]{4}[-:][0-9]+)\b";
            lint.everywhere.push((LintRule::Advisory, pattern(ids)?));
        }
        if let Some(prefix) = policy.prefix.as_ref().filter(|_| on(LintRule::Case)) {
            let ids = format!(r"\b{}-(?:[0-9]{{4}}-[0-9]+|R?[0-9]+)\b", regex::escape(prefix.as_str()));
            lint.everywhere.push((LintRule::Case, pattern(&ids)?));
        }
        if on(LintRule::Address) && !policy.hosts.is_empty() {
            lint.everywhere.push((LintRule::Address, pattern(&format!(r"\b(?:{})\b", list(&policy.hosts)))?));
        }
        if on(LintRule::Reporter) && !policy.reporters.is_empty() {
            let whole = format!("(?:^|[^a-z0-9._%+-])(?:{})(?:$|[^a-z0-9-])", list(&policy.reporters));
            lint.reporters = Some(pattern(&whole)?);
        }
        if on(LintRule::Issue) {
            let links = r"(?:^|[\s(\[,:;])(?:[a-z0-9._-]+/[a-z0-9._-]+)?(?:#|GH-)[0-9]+\b|https?://[^\s]+/(?:issues|pull|pulls|merge_requests)/[0-9]+\b";
            lint.messages.push((LintRule::Issue, pattern(links)?));
        }
        if on(LintRule::Rider) && !policy.riders.is_empty() {
            lint.messages.push((LintRule::Rider, pattern(&format!("^(?:{}):", list(&policy.riders)))?));
        }
        if on(LintRule::Word) && !policy.words.is_empty() {
            lint.words = Some(pattern(&format!(r"\b(?:{})[a-z]*", list(&policy.words)))?);
        }
        if on(LintRule::Changelog) {
            let telling =
                r"\b(?:security|vulnerab[a-z]*|exploit[a-z]*|malicious[a-z]*|attack[a-z]*|denial of service)\b";
            lint.telling.push((LintRule::Changelog, pattern(telling)?));
        }
        Ok(lint)
    }

    /// Tells whether findings of this rule refuse a push.
    pub fn refuses(&self, rule: LintRule) -> bool {
        self.refusing.contains(&rule)
    }

    /// Looks at the message of a commit.
    pub fn message(&self, commit: &CommitId, message: &[u8]) -> Vec<Finding> {
        let mut found = Vec::new();
        for (number, line) in numbered(message) {
            let rules = self.everywhere.iter().chain(&self.messages).map(|(rule, pattern)| (*rule, pattern));
            let rules = rules.chain(self.everywhere_else());
            let rules = rules.chain(self.words.iter().map(|pattern| (LintRule::Word, pattern)));
            found.extend(self.look(rules, line).map(|(rule, what)| Finding {
                rule,
                commit: commit.clone(),
                spot: Spot::Message(number),
                what,
            }));
        }
        found
    }

    /// Looks at who wrote or committed a commit, as `name <address>`.
    pub fn signature(&self, commit: &CommitId, signature: &[u8]) -> Vec<Finding> {
        let found = self.look(self.everywhere_else(), signature);
        let finding = |(rule, what)| Finding { rule, commit: commit.clone(), spot: Spot::Signature, what };
        found.map(finding).collect()
    }

    /// Looks at a path that a commit makes.
    pub fn path(&self, commit: &CommitId, path: &str) -> Vec<Finding> {
        let rules = self.everywhere.iter().map(|(rule, pattern)| (*rule, pattern));
        let rules = rules.chain(self.words.iter().map(|pattern| (LintRule::Word, pattern)));
        // What joins the words of a name is no letter of them.
        let spaced = path.replace(['_', '.'], " ");
        let found = self.look(rules, spaced.as_bytes());
        let finding = |(rule, what)| Finding { rule, commit: commit.clone(), spot: Spot::Path(path.to_owned()), what };
        found.map(finding).collect()
    }

    /// Looks at a line that a commit adds to a file.
    pub fn line(&self, commit: &CommitId, (path, number): (&str, u32), line: &[u8]) -> Vec<Finding> {
        let rules = self.everywhere.iter().map(|(rule, pattern)| (*rule, pattern)).chain(self.everywhere_else());
        let log = is_changelog(path);
        let telling = self.telling.iter().map(|(rule, pattern)| (*rule, pattern));
        let telling = telling.chain(self.words.iter().map(|pattern| (LintRule::Word, pattern)));
        let rules = rules.chain(telling.filter(|_| log));
        let spot = Spot::File(path.to_owned(), number);
        let finding = |(rule, what)| Finding { rule, commit: commit.clone(), spot: spot.clone(), what };
        self.look(rules, line).map(finding).collect()
    }

    fn everywhere_else(&self) -> impl Iterator<Item = (LintRule, &Regex)> {
        self.reporters.iter().map(|pattern| (LintRule::Reporter, pattern))
    }

    /// Finds the first match of each rule in a line that the project does not allow.
    fn look<'a>(
        &'a self,
        rules: impl Iterator<Item = (LintRule, &'a Regex)>,
        line: &'a [u8],
    ) -> impl Iterator<Item = (LintRule, String)> {
        rules.filter_map(move |(rule, pattern)| {
            let texts = pattern.find_iter(line).map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned());
            let around = |c: char| !c.is_alphanumeric() && !matches!(c, '#' | '-' | '_');
            let mut texts = texts.map(|text| text.trim_matches(around).to_owned());
            let what = texts.find(|text| !self.allowed.contains(&text.to_ascii_lowercase()))?;
            Some((rule, what.chars().take(SHOWN).collect()))
        })
    }
}

/// Numbers the lines of a text from 1.
pub fn numbered(text: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    (1..).zip(text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)))
}

/// Tells whether people read about changes here: a file such as `CHANGES.md` or `NEWS`, or one in a folder of fragments.
pub fn is_changelog(path: &str) -> bool {
    const FILES: [&str; 6] = ["changelog", "changes", "news", "history", "releases", "release-notes"];
    const FOLDERS: [&str; 8] =
        ["changelog", "changelog.d", "changes", "newsfragments", "news", "releasenotes", "changesets", ".changeset"];
    let lower = path.to_ascii_lowercase().replace('_', "-");
    let mut parts: Vec<_> = lower.split('/').collect();
    let file = parts.pop().unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default();
    FILES.contains(&stem) || parts.iter().any(|part| FOLDERS.contains(part))
}

fn pattern(text: &str) -> Result<Regex, Malformed> {
    let mut builder = RegexBuilder::new(text);
    builder.case_insensitive(true).unicode(false).size_limit(COMPILED);
    builder.build().map_err(|_| Malformed::new("the words and hosts of `lint` are too many to be looked for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> LintPolicy {
        LintPolicy {
            words: vec!["exploit".to_owned(), "overflow".to_owned()],
            allowed: vec!["CVE-2019-0001".to_owned()],
            prefix: Some("DEMO".parse().unwrap()),
            hosts: vec!["security.example.org".to_owned()],
            reporters: vec!["reporter@example.net".to_owned()],
            riders: vec!["Reported-by".to_owned(), "Fixes".to_owned()],
            ..LintPolicy::default()
        }
    }

    fn commit() -> CommitId {
        "0123456789012345678901234567890123456789".parse().unwrap()
    }

    fn in_message(text: &str) -> Vec<(LintRule, String)> {
        let lint = Lint::new(&policy()).unwrap();
        lint.message(&commit(), text.as_bytes()).into_iter().map(|found| (found.rule, found.what)).collect()
    }

    #[test]
    fn messages_are_looked_through_for_everything_that_tells() {
        for (text, rule, what) in [
            ("Fix cve-2030-12345 at last", LintRule::Advisory, "cve-2030-12345"),
            ("See GHSA-2345-cfgh-jmpq", LintRule::Advisory, "GHSA-2345-cfgh-jmpq"),
            ("For DEMO-17.", LintRule::Case, "DEMO-17"),
            ("Ships in DEMO-R3", LintRule::Case, "DEMO-R3"),
            ("As DEMO-2030-0001 says", LintRule::Case, "DEMO-2030-0001"),
            ("Closes (octo/parcel#12)", LintRule::Issue, "octo/parcel#12"),
            (
                "see https://forge.example/octo/parcel/pull/7",
                LintRule::Issue,
                "https://forge.example/octo/parcel/pull/7",
            ),
            ("Stops overflows early", LintRule::Word, "overflows"),
            ("https://security.example.org/cases/x", LintRule::Address, "security.example.org"),
            ("thanks to Reporter@Example.net", LintRule::Reporter, "Reporter@Example.net"),
            ("Title\n\nReported-by: somebody", LintRule::Rider, "Reported-by"),
        ] {
            assert_eq!(in_message(text), [(rule, what.to_owned())], "{text}");
        }
    }

    #[test]
    fn plain_words_and_what_the_project_allows_are_no_findings() {
        for text in [
            "Close the file before it is read again",
            "Keep the vectors of CVE-2019-0001",
            "Use colour #fff and item a#1b",
            "We reported-by accident twice",
            "MYDEMO-17 is somebody else's, and DEMO-X is none",
        ] {
            assert_eq!(in_message(text), [], "{text}");
        }
    }

    #[test]
    fn words_count_in_changelogs_and_names_and_not_in_code() {
        let lint = Lint::new(&policy()).unwrap();
        let line = |path: &str, text: &str| {
            let found = lint.line(&commit(), (path, 7), text.as_bytes());
            found.into_iter().map(|found| found.rule).collect::<Vec<_>>()
        };
        assert_eq!(line("src/lib.rs", "// an attacker makes it overflow"), []);
        assert_eq!(line("CHANGES.md", "An attacker makes it overflow"), [LintRule::Changelog, LintRule::Word]);
        assert_eq!(line("docs/newsfragments/12.bugfix", "Security: mended"), [LintRule::Changelog]);
        assert_eq!(line("src/lib.rs", "// CVE-2030-12345"), [LintRule::Advisory]);
        let named = |path: &str| lint.path(&commit(), path).into_iter().map(|found| found.what).collect::<Vec<_>>();
        assert_eq!(named("tests/test_exploit_7.py"), ["exploit"]);
        assert_eq!(named("tests/reading.py"), Vec::<String>::new());
    }

    #[test]
    fn a_finding_names_its_line_and_never_the_reporter() {
        let lint = Lint::new(&policy()).unwrap();
        let found = lint.message(&commit(), b"Mend it\n\nFor CVE-2030-12345\n").remove(0);
        assert_eq!(
            found.to_string(),
            "012345678901, line 3 of its message: \"CVE-2030-12345\"; leave ids of advisories out: the release adds them where the \
             project wants them."
        );
        let found = lint.signature(&commit(), b"Somebody <reporter@example.net>").remove(0);
        assert!(!found.to_string().contains("example.net") && found.to_string().contains("of a reporter"), "{found}");
        assert_eq!(policy().of(&found), LintLevel::Warn, "a reporter could name anybody's");
        for other in ["another.reporter@example.net", "reporter@example.network", "xreporter@example.net"] {
            assert_eq!(lint.message(&commit(), other.as_bytes()), [], "{other}");
        }
    }

    #[test]
    fn what_is_off_is_not_looked_for() {
        let levels = LintRule::ALL.iter().map(|rule| (*rule, LintLevel::Off)).collect();
        let lint = Lint::new(&LintPolicy { levels, ..policy() }).unwrap();
        assert_eq!(lint.message(&commit(), b"CVE-2030-12345 DEMO-1 #7 exploit security.example.org\nFixes: x"), []);
    }
}
