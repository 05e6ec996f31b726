//! The draft of an advisory: what the public will read about one case, in parts that every format can carry.
//!
//! Guards: each part is valid by construction, a person's name is published only if they said so, and a draft that would
//! mislead its readers is told what it lacks. Leaves rendering to `export` and who may edit to `access`.

use serde::{Deserialize, Serialize};

use super::id::words;
use super::plain::{CveId, Link, PackageName, Version};
use super::repo::{CommitId, LineName, RepoName, TagName};
use super::severity::Severity;
use super::text::{Body, Label, Title};

words! {
    /// A registry of packages, in the spelling of the OSV schema.
    Ecosystem {
        /// crates.io (Rust).
        CratesIo = "crates.io",
        /// CRAN (R).
        Cran = "CRAN",
        /// ConanCenter (C and C++).
        ConanCenter = "ConanCenter",
        /// GitHub Actions.
        GitHubActions = "GitHub Actions",
        /// Go modules.
        Go = "Go",
        /// Hackage (Haskell).
        Hackage = "Hackage",
        /// Hex (Erlang and Elixir).
        Hex = "Hex",
        /// Julia.
        Julia = "Julia",
        /// Maven (Java).
        Maven = "Maven",
        /// npm (JavaScript).
        Npm = "npm",
        /// NuGet (.NET).
        NuGet = "NuGet",
        /// opam (OCaml).
        Opam = "opam",
        /// Packagist (PHP).
        Packagist = "Packagist",
        /// Pub (Dart).
        Pub = "Pub",
        /// PyPI (Python).
        PyPi = "PyPI",
        /// RubyGems.
        RubyGems = "RubyGems",
        /// Swift packages, named by URL.
        SwiftUrl = "SwiftURL",
        /// Extensions of Visual Studio Code.
        VsCode = "VSCode",
    }
}

words! {
    /// What a credited person did; the types of OSV and CVE.
    CreditKind {
        /// Found the vulnerability.
        Finder = "finder",
        /// Told the project.
        Reporter = "reporter",
        /// Analysed it.
        Analyst = "analyst",
        /// Coordinated the disclosure.
        Coordinator = "coordinator",
        /// Wrote the fix.
        RemediationDeveloper = "remediation_developer",
        /// Reviewed the fix.
        RemediationReviewer = "remediation_reviewer",
        /// Tested the fix.
        RemediationVerifier = "remediation_verifier",
        /// A tool used for the finding.
        Tool = "tool",
        /// Paid for the work.
        Sponsor = "sponsor",
        /// Helped in another way.
        Other = "other",
    }
}

words! {
    /// Whether a person wants to be named.
    CreditConsent {
        /// Asked, not answered: not published.
        Asked = "asked",
        /// Wants to be named.
        Agreed = "agreed",
        /// Wants to be counted, not named.
        Anonymous = "anonymous",
        /// Wants neither.
        Declined = "declined",
    }
}

words! {
    /// What a reference leads to; the types of OSV that a draft may name.
    ReferenceKind {
        /// An article.
        Article = "article",
        /// A discussion.
        Discussion = "discussion",
        /// The fix.
        Fix = "fix",
        /// A package.
        Package = "package",
        /// A report, such as a public issue.
        Report = "report",
        /// Any other page.
        Web = "web",
    }
}

/// A package as its registry names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The registry.
    pub ecosystem: Ecosystem,
    /// The name in that registry.
    pub name: PackageName,
}

/// What is affected on one line, and where it is fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffectedLine {
    /// The upstream repository the line belongs to.
    pub repository: RepoName,
    /// The line.
    pub line: LineName,
    /// The package released from it, if it is in a registry.
    #[serde(default)]
    pub package: Option<Package>,
    /// The first affected version; without it, every version from the beginning.
    #[serde(default)]
    pub introduced: Option<Version>,
    /// The last affected version, for a line that gets no fix; ignored where `fixed` is given.
    #[serde(default)]
    pub last_affected: Option<Version>,
    /// The first version that is not affected any more.
    #[serde(default)]
    pub fixed: Option<Version>,
    /// The tag of that version.
    #[serde(default)]
    pub tag: Option<TagName>,
    /// The commit that fixes the line; it survives a new merge.
    #[serde(default)]
    pub fix_commit: Option<CommitId>,
}

/// A person, group or tool to be thanked, and whether they agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credit {
    /// The name as they want it.
    pub name: Label,
    /// What they did.
    pub kind: CreditKind,
    /// Where readers find them.
    #[serde(default)]
    pub url: Option<Link>,
    /// What they said about being named.
    pub consent: CreditConsent,
}

/// A credit as the public reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledCredit {
    /// The name, or words that stand for it.
    pub name: String,
    /// What they did.
    pub kind: CreditKind,
    /// Where readers find them; never of a person who is not named.
    pub url: Option<Link>,
}

/// A page that helps the reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// What is found there.
    pub kind: ReferenceKind,
    /// Where it is.
    pub url: Link,
}

/// The draft of an advisory. Stored sealed, as JSON; incomplete until [`Advisory::completeness`] has nothing to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// One line that names software and flaw.
    pub title: Title,
    /// What happens, to whom, and what to do; Markdown.
    #[serde(default)]
    pub description: Option<Body>,
    /// What is affected and fixed, line by line.
    #[serde(default)]
    pub affected: Vec<AffectedLine>,
    /// What helps those who cannot update; Markdown.
    #[serde(default)]
    pub workaround: Option<Body>,
    /// How it works and how it is shown to be there; Markdown. A release may hold this part back at first ([`super::details`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub technical: Option<Body>,
    /// How bad it is; `None` while nobody has said.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// The CVE id, typed by a person.
    #[serde(default)]
    pub cve: Option<CveId>,
    /// Who is thanked.
    #[serde(default)]
    pub credits: Vec<Credit>,
    /// Where to read on.
    #[serde(default)]
    pub references: Vec<Reference>,
}

impl Advisory {
    /// Starts a draft that has a title and nothing else.
    pub fn draft(title: Title) -> Self {
        Self {
            title,
            description: None,
            affected: Vec::new(),
            workaround: None,
            technical: None,
            severity: None,
            cve: None,
            credits: Vec::new(),
            references: Vec::new(),
        }
    }

    /// Returns what the draft says of this line.
    pub fn told_of(&self, repository: &RepoName, line: &LineName) -> impl Iterator<Item = &AffectedLine> {
        self.affected.iter().filter(move |told| &told.repository == repository && &told.line == line)
    }

    /// Returns what is missing before the draft can be published, a sentence for each thing; empty when complete.
    ///
    /// What it tells of a line is held against marks and plan by [`super::told`]. A credit that waits for an answer is not missing: the name stays out, and nobody can hold up a disclosure by silence.
    pub fn completeness(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.description.is_none() {
            missing.push("Describe what happens, who is affected and what to do.".to_owned());
        }
        if self.severity.is_none() {
            missing.push("Give a severity, or say why there is none.".to_owned());
        }
        if self.affected.is_empty() {
            missing.push("Name at least one affected line.".to_owned());
        }
        for (at, affected) in self.affected.iter().enumerate() {
            let line = &affected.line;
            let earlier = &self.affected[..at];
            if earlier.iter().any(|other| other.same_place(affected)) {
                missing.push(format!("Name the line {line} once for each package."));
            }
            let open = |line: &AffectedLine| line.introduced.is_none() && line.package.is_some();
            if open(affected) && earlier.iter().any(|other| open(other) && other.package == affected.package) {
                missing.push(format!(
                    "Say in which version the line {line} became affected: another line of the same package starts at the beginning already."
                ));
            }
        }
        missing
    }

    /// Returns the credits as they are published: named who agreed, counted who is anonymous, nobody else.
    pub fn settle_credits(&self) -> Vec<SettledCredit> {
        self.credits.iter().filter_map(Credit::settle).collect()
    }

    /// Returns how many people have been asked for a credit and have not answered.
    pub fn waiting_credits(&self) -> usize {
        self.credits.iter().filter(|credit| credit.consent == CreditConsent::Asked).count()
    }
}

impl AffectedLine {
    fn same_place(&self, other: &Self) -> bool {
        (&self.repository, &self.line, &self.package) == (&other.repository, &other.line, &other.package)
    }
}

impl Credit {
    fn settle(&self) -> Option<SettledCredit> {
        match self.consent {
            CreditConsent::Agreed => {
                Some(SettledCredit { name: self.name.to_string(), kind: self.kind, url: self.url.clone() })
            }
            CreditConsent::Anonymous => {
                let name = match self.kind {
                    CreditKind::Finder | CreditKind::Reporter => "an anonymous reporter",
                    CreditKind::Analyst
                    | CreditKind::Coordinator
                    | CreditKind::RemediationDeveloper
                    | CreditKind::RemediationReviewer
                    | CreditKind::RemediationVerifier
                    | CreditKind::Tool
                    | CreditKind::Sponsor
                    | CreditKind::Other => "an anonymous contributor",
                };
                Some(SettledCredit { name: name.to_owned(), kind: self.kind, url: None })
            }
            CreditConsent::Asked | CreditConsent::Declined => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str) -> AffectedLine {
        AffectedLine {
            repository: "demo".parse().unwrap(),
            line: name.parse().unwrap(),
            package: Some(Package { ecosystem: Ecosystem::PyPi, name: "demo".parse().unwrap() }),
            introduced: None,
            last_affected: None,
            fixed: Some("1.2.3".parse().unwrap()),
            tag: None,
            fix_commit: None,
        }
    }

    fn credit(name: &str, kind: CreditKind, consent: CreditConsent) -> Credit {
        Credit { name: name.parse().unwrap(), kind, url: Some("https://example.org/".parse().unwrap()), consent }
    }

    #[test]
    fn an_empty_draft_is_told_what_it_lacks() {
        let mut draft = Advisory::draft("Sample flaw".parse().unwrap());
        assert_eq!(draft.completeness().len(), 3, "{:?}", draft.completeness());
        draft.description = Some("Text.".parse().unwrap());
        draft.severity = Some(Severity::None("not scored yet".parse().unwrap()));
        draft.affected = vec![line("main")];
        assert_eq!(draft.completeness(), Vec::<String>::new());
    }

    #[test]
    fn ranges_that_would_cover_each_other_are_pointed_out() {
        let mut draft = Advisory::draft("Sample flaw".parse().unwrap());
        draft.affected = vec![line("1.x"), line("main"), line("main")];
        let missing = draft.completeness().join(" ");
        assert!(missing.contains("main became affected"), "{missing}");
        assert!(missing.contains("main once"), "{missing}");
    }

    #[test]
    fn only_people_who_agreed_are_named() {
        let mut draft = Advisory::draft("Sample flaw".parse().unwrap());
        draft.credits = vec![
            credit("Sample Reporter", CreditKind::Reporter, CreditConsent::Agreed),
            credit("Hidden One", CreditKind::Finder, CreditConsent::Anonymous),
            credit("Silent One", CreditKind::Finder, CreditConsent::Asked),
            credit("Declining One", CreditKind::Other, CreditConsent::Declined),
        ];
        let settled = draft.settle_credits();
        let names: Vec<_> = settled.iter().map(|credit| (credit.name.as_str(), credit.url.is_some())).collect();
        assert_eq!(names, [("Sample Reporter", true), ("an anonymous reporter", false)]);
        assert_eq!(draft.waiting_credits(), 1);
    }

    #[test]
    fn a_draft_survives_json_and_unknown_fields_are_refused() {
        let mut draft = Advisory::draft("Sample flaw".parse().unwrap());
        draft.affected = vec![line("main")];
        draft.credits = vec![credit("Sample Reporter", CreditKind::RemediationDeveloper, CreditConsent::Agreed)];
        draft.references = vec![Reference { kind: ReferenceKind::Web, url: "https://example.org/a".parse().unwrap() }];
        draft.cve = Some("CVE-2026-0001".parse().unwrap());
        let json = serde_json::to_string(&draft).unwrap();
        assert_eq!(serde_json::from_str::<Advisory>(&json).unwrap(), draft);
        assert!(serde_json::from_str::<Advisory>(r#"{"title":"a","titel":"b"}"#).is_err());
        assert_eq!(
            serde_json::from_str::<Advisory>(r#"{"title":"a"}"#).unwrap(),
            Advisory::draft("a".parse().unwrap())
        );
    }
}
