//! Advisories of a repository on GitHub: one is looked for, made as a draft, and published.
//!
//! Guards: an advisory is known by the id and address of ours in its text, so that a lost answer makes none twice; a draft
//! that somebody prepared and marked so gets the approved text; a public one with another text is left as it is and told.

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::repository::{ForgeRepository, encoded, plain, refusal, unreached};
use super::{Answer, Forge, failed};
use crate::domain::advisory::{AffectedLine, Ecosystem};
use crate::domain::effect::Outcome;
use crate::domain::plain::{AdvisoryId, CveId};
use crate::domain::severity::Severity;
use crate::domain::text::Title;

/// An advisory as it is sent to GitHub: frozen as these bytes of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvisoryDraft {
    /// The title.
    pub summary: String,
    /// The whole advisory, in Markdown.
    pub description: String,
    /// The CVE id, if there is one.
    pub cve_id: Option<String>,
    /// What is affected, line by line.
    pub vulnerabilities: Vec<Vulnerability>,
    /// The severity as a word, where there is no vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The CVSS vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvss_vector_string: Option<String>,
}

/// One affected line, as GitHub has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vulnerability {
    /// The package, or the repository where there is none.
    pub package: AffectedPackage,
    /// Such as `>= 2.0.0, < 2.0.1`.
    pub vulnerable_version_range: String,
    /// The first version that is not affected.
    pub patched_versions: Option<String>,
}

/// A package, as GitHub has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffectedPackage {
    /// GitHub's word for its registry.
    pub ecosystem: String,
    /// Its name there.
    pub name: String,
}

impl AdvisoryDraft {
    /// Puts an advisory together; `text` is what the public reads as Markdown.
    pub fn new(
        title: &Title,
        text: String,
        facts: (Option<&CveId>, Option<&Severity>),
        lines: &[AffectedLine],
    ) -> Self {
        let (cve, severity) = facts;
        let vector = match severity {
            Some(Severity::Cvss(vector)) => Some(vector.to_string()),
            Some(Severity::None(_) | Severity::Word(_)) | None => None,
        };
        let word = severity.filter(|_| vector.is_none()).and_then(Severity::word);
        Self {
            summary: title.to_string(),
            description: text,
            cve_id: cve.map(ToString::to_string),
            vulnerabilities: lines.iter().map(Vulnerability::of).collect(),
            severity: word.map(|word| word.as_str().to_owned()),
            cvss_vector_string: vector,
        }
    }
}

impl Vulnerability {
    fn of(line: &AffectedLine) -> Self {
        let package = line.package.as_ref().map_or_else(
            || AffectedPackage { ecosystem: "other".to_owned(), name: line.repository.to_string() },
            |package| AffectedPackage {
                ecosystem: ecosystem(package.ecosystem).to_owned(),
                name: package.name.to_string(),
            },
        );
        let from = line.introduced.as_ref().map_or_else(|| ">= 0".to_owned(), |version| format!(">= {version}"));
        let range = match (&line.fixed, &line.last_affected) {
            (Some(fixed), _) => format!("{from}, < {fixed}"),
            (None, Some(last)) => format!("{from}, <= {last}"),
            (None, None) => from,
        };
        let patched_versions = line.fixed.as_ref().map(ToString::to_string);
        Self { package, vulnerable_version_range: range, patched_versions }
    }
}

/// Returns GitHub's word for a registry; `other` for those it has none for.
fn ecosystem(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::CratesIo => "rust",
        Ecosystem::GitHubActions => "actions",
        Ecosystem::Go => "go",
        Ecosystem::Hex => "erlang",
        Ecosystem::Maven => "maven",
        Ecosystem::Npm => "npm",
        Ecosystem::NuGet => "nuget",
        Ecosystem::Packagist => "composer",
        Ecosystem::Pub => "pub",
        Ecosystem::PyPi => "pip",
        Ecosystem::RubyGems => "rubygems",
        Ecosystem::SwiftUrl => "swift",
        Ecosystem::Cran
        | Ecosystem::ConanCenter
        | Ecosystem::Hackage
        | Ecosystem::Julia
        | Ecosystem::Opam
        | Ecosystem::VsCode => "other",
    }
}

/// What GitHub says of an advisory.
#[derive(Deserialize)]
struct Found {
    ghsa_id: String,
    state: String,
    summary: Option<String>,
    description: Option<String>,
}

impl Found {
    /// Tells whether it says what is wanted.
    fn says(&self, wanted: &AdvisoryDraft) -> bool {
        plain(self.summary.as_deref()) == plain(Some(&wanted.summary))
            && plain(self.description.as_deref()) == plain(Some(&wanted.description))
    }
}

/// How the advisory stands.
enum Standing {
    /// There is none.
    Absent,
    /// There is a draft, by this id.
    Draft(String),
    /// It is public and says what ours says.
    Public,
    /// It is public with another text, or was closed.
    Foreign,
    /// GitHub did not say.
    Unsaid(Outcome),
}

impl Forge {
    /// Publishes an advisory, unless it is public.
    pub async fn advisory(&self, repository: &ForgeRepository<'_>, id: &AdvisoryId, body: Vec<u8>) -> Outcome {
        let Ok(wanted) = serde_json::from_slice::<AdvisoryDraft>(&body) else { return unreadable() };
        let found = match self.advisory_stands(repository, id, &wanted).await {
            Standing::Public => return Outcome::Done("found on the forge".to_owned()),
            Standing::Foreign => return foreign(),
            Standing::Unsaid(outcome) => return outcome,
            Standing::Draft(ghsa) => ghsa,
            Standing::Absent => match self.draft(repository, body.clone()).await {
                Ok(ghsa) => ghsa,
                Err(outcome) => return outcome,
            },
        };
        self.open_draft(repository, &found, &body).await
    }

    /// Puts a revised text up in place of an earlier one of ours, which are given as their Markdown; one that somebody else
    /// wrote is left as it is and told.
    pub async fn revise_advisory(
        &self,
        repository: &ForgeRepository<'_>,
        id: &AdvisoryId,
        body: Vec<u8>,
        earlier: &[String],
    ) -> Outcome {
        let Ok(wanted) = serde_json::from_slice::<AdvisoryDraft>(&body) else { return unreadable() };
        // One of ours may be old by now: as many as the forge lists at once.
        let found = match self.find_advisory(repository, id, 100).await {
            Ok(Some(found)) => found,
            Ok(None) => return failed("The forge does not list this advisory: make it by hand there."),
            Err(outcome) => return outcome,
        };
        let text = plain(found.description.as_deref());
        let ours = earlier.iter().any(|earlier| plain(Some(earlier)) == text);
        match found.state.as_str() {
            "published" if found.says(&wanted) => Outcome::Done("found on the forge".to_owned()),
            "published" if ours || text == plain(Some(&wanted.description)) => {
                self.open_draft(repository, &found.ghsa_id, &body).await
            }
            _ => foreign(),
        }
    }

    async fn advisory_stands(
        &self,
        repository: &ForgeRepository<'_>,
        id: &AdvisoryId,
        wanted: &AdvisoryDraft,
    ) -> Standing {
        // One of ours was made no longer ago than this run.
        let found = match self.find_advisory(repository, id, 30).await {
            Ok(Some(found)) => found,
            Ok(None) => return Standing::Absent,
            Err(outcome) => return Standing::Unsaid(outcome),
        };
        match found.state.as_str() {
            "published" if found.says(wanted) => Standing::Public,
            "draft" | "triage" => Standing::Draft(found.ghsa_id),
            _ => Standing::Foreign,
        }
    }

    /// Looks for an advisory of ours among the newest ones, in any state.
    async fn find_advisory(
        &self,
        repository: &ForgeRepository<'_>,
        id: &AdvisoryId,
        among: u8,
    ) -> Result<Option<Found>, Outcome> {
        let path = format!("/security-advisories?sort=created&direction=desc&per_page={among}");
        let body = match self.answer(self.ask(repository, Method::GET, &path)).await {
            Answer::Said(StatusCode::OK, body) => body,
            Answer::Said(status, _) => return Err(refusal(status)),
            Answer::Unreached => return Err(unreached()),
            Answer::Lost => {
                return Err(Outcome::Again("The forge did not answer to the end; nothing was made.".to_owned()));
            }
        };
        let Ok(listed) = serde_json::from_slice::<Vec<Found>>(&body) else {
            return Err(Outcome::Again("The forge answered something that is no list of advisories.".to_owned()));
        };
        let mark = format!("[{id}](<");
        let marked = |found: &Found| found.description.as_deref().is_some_and(|text| text.contains(&mark));
        Ok(listed.into_iter().find(marked))
    }

    /// Makes a draft and returns its id.
    async fn draft(&self, repository: &ForgeRepository<'_>, body: Vec<u8>) -> Result<String, Outcome> {
        let request = self.ask(repository, Method::POST, "/security-advisories");
        match self.answer(request.header("Content-Type", "application/json").body(body)).await {
            Answer::Said(status, answer) if status.is_success() => match serde_json::from_slice::<Found>(&answer) {
                Ok(made) => Ok(made.ghsa_id),
                Err(_) => Err(Outcome::Unknown("The forge made something it did not name.".to_owned())),
            },
            Answer::Said(status, _) if status.is_server_error() => Err(in_doubt(status)),
            Answer::Said(status, _) => Err(refusal(status)),
            Answer::Unreached => Err(unreached()),
            Answer::Lost => Err(Outcome::Unknown("The forge did not answer: it may have made it.".to_owned())),
        }
    }

    /// Publishes a draft with the approved text.
    async fn open_draft(&self, repository: &ForgeRepository<'_>, ghsa: &str, body: &[u8]) -> Outcome {
        let Ok(mut change) = serde_json::from_slice::<Value>(body) else { return unreadable() };
        change["state"] = "published".into();
        let path = format!("/security-advisories/{}", encoded(ghsa));
        let request = self.ask(repository, Method::PATCH, &path).header("Content-Type", "application/json");
        match self.status(request.body(change.to_string())).await {
            Answer::Said(status, _) if status.is_success() => Outcome::Done("published on the forge".to_owned()),
            Answer::Said(status, _) if status.is_server_error() => in_doubt(status),
            Answer::Said(status, _) => refusal(status),
            Answer::Unreached => unreached(),
            Answer::Lost => Outcome::Unknown("The forge did not answer: it may have published it.".to_owned()),
        }
    }
}

fn in_doubt(status: StatusCode) -> Outcome {
    Outcome::Unknown(format!("The forge answered {}: it may have done it.", status.as_u16()))
}

fn unreadable() -> Outcome {
    failed("What was frozen for this channel cannot be read.")
}

fn foreign() -> Outcome {
    failed("The forge has this advisory with another text, or closed: see to it there and resume, or give this up.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::advisory::Package;

    fn line(package: Option<Ecosystem>, versions: [Option<&str>; 3]) -> AffectedLine {
        let [introduced, last_affected, fixed] = versions.map(|text| text.map(|text| text.parse().unwrap()));
        AffectedLine {
            repository: "demo".parse().unwrap(),
            line: "main".parse().unwrap(),
            package: package.map(|ecosystem| Package { ecosystem, name: "sample".parse().unwrap() }),
            introduced,
            last_affected,
            fixed,
            tag: None,
            fix_commit: None,
        }
    }

    #[test]
    fn ranges_and_registries_are_in_githubs_words() {
        let of = |package, versions| {
            let made = Vulnerability::of(&line(package, versions));
            format!("{} {}: {}", made.package.ecosystem, made.package.name, made.vulnerable_version_range)
        };
        assert_eq!(of(Some(Ecosystem::PyPi), [Some("2.0"), None, Some("2.1")]), "pip sample: >= 2.0, < 2.1");
        assert_eq!(of(Some(Ecosystem::Julia), [None, Some("1.9"), None]), "other sample: >= 0, <= 1.9");
        assert_eq!(of(None, [None, None, None]), "other demo: >= 0");
    }

    #[test]
    fn a_vector_or_a_word_stands_for_the_severity() {
        let title: Title = "Sample flaw".parse().unwrap();
        let of = |severity: &Severity| AdvisoryDraft::new(&title, String::new(), (None, Some(severity)), &[]);
        let vector: Severity = Severity::Cvss("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".parse().unwrap());
        let (one, two) = (of(&vector), of(&Severity::None("Not rated".parse().unwrap())));
        assert!(one.severity.is_none() && one.cvss_vector_string.is_some());
        assert!(two.severity.is_none() && two.cvss_vector_string.is_none());
    }
}
