//! The configuration: the sum of every part's `Options`, read once at the start.
//!
//! Guards: an unknown key is an error that names the nearest known one, secrets stand in files of their own, and what the
//! server would only notice later is checked here. `config.example.toml` equals the defaults.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::haste::{HastePolicy, Skip};
use crate::domain::id::{Prefix, ProjectId};
use crate::domain::limit::PerHour;
use crate::domain::origin::{ForwardedHeader, TrustedProxy};
use crate::domain::project::{TagStyle, TeamKind};
use crate::domain::refusal::Malformed;
use crate::domain::repo::{LineName, RepoName};
use crate::git::remote::{CredentialFiles, RemoteUrl};
use crate::{ci, crypto, git, notify};

/// Everything the operator decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder: database, repositories, attachments.
    pub data: PathBuf,
    /// Where people and git reach the server.
    pub base_url: BaseUrl,
    /// Where the server listens, behind a proxy that speaks TLS or on loopback.
    pub listen: SocketAddr,
    /// Proxies in front of the server, whose word on the client's address is taken; empty: who connects is the client.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// The header in which they say it.
    pub forwarded_header: ForwardedHeader,
    /// Bounds on what strangers may send.
    pub limits: Limits,
    /// The server's own keys.
    pub keys: crypto::Options,
    /// Git.
    pub git: git::Options,
    /// Checks.
    pub ci: ci::Options,
    /// Mail.
    pub mail: notify::Options,
    /// The projects looked after here.
    #[serde(rename = "project")]
    pub projects: Vec<ProjectConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "/var/lib/embargo".into(),
            base_url: BaseUrl("http://127.0.0.1:8484".to_owned()),
            listen: SocketAddr::from(([127, 0, 0, 1], 8484)),
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::XForwardedFor,
            limits: Limits::default(),
            keys: crypto::Options::default(),
            git: git::Options::default(),
            ci: ci::Options::default(),
            mail: notify::Options::default(),
            projects: Vec::new(),
        }
    }
}

/// Bounds on what strangers may send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one attachment.
    pub attachment_bytes: u64,
    /// Bytes of all attachments of a case.
    pub case_bytes: u64,
    /// Reports from one address.
    pub reports_per_hour: PerHour,
    /// Reports to one project, whoever sends them: each mails its team.
    pub project_reports_per_hour: PerHour,
    /// Claim codes entered from one address.
    pub claims_per_hour: PerHour,
    /// Steps of sign-ins from one address, of which a sign-in takes up to three.
    pub sign_ins_per_hour: PerHour,
    /// Files from one reporter.
    pub files_per_hour: PerHour,
    /// Files from all reporters of one project.
    pub project_files_per_hour: PerHour,
}

impl Default for Limits {
    fn default() -> Self {
        const fn per_hour(count: u32) -> PerHour {
            PerHour::new(NonZeroU32::new(count).expect("no default is zero"))
        }
        Self {
            attachment_bytes: 1024 * 1024 * 1024,
            case_bytes: 4 * 1024 * 1024 * 1024,
            reports_per_hour: const { per_hour(10) },
            project_reports_per_hour: const { per_hour(60) },
            claims_per_hour: const { per_hour(30) },
            sign_ins_per_hour: const { per_hour(120) },
            files_per_hour: const { per_hour(100) },
            project_files_per_hour: const { per_hour(1000) },
        }
    }
}

/// One project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectConfig {
    /// Its short name in URLs.
    pub id: ProjectId,
    /// The prefix of its case ids.
    pub prefix: Prefix,
    /// The name people know.
    pub name: String,
    /// `several` people, or `solo`.
    #[serde(default = "several")]
    pub team: TeamKind,
    /// Approvals a fix needs.
    #[serde(default = "one")]
    pub approvals: usize,
    /// People who must arm a release; one for a solo project.
    #[serde(default = "two")]
    pub armings: usize,
    /// How late a release may still begin by itself, in minutes, when the server was down at its instant.
    #[serde(default = "an_hour")]
    pub late_minutes: u32,
    /// What it takes to disclose now, before the instant.
    #[serde(default)]
    pub disclose_now: DiscloseNow,
    /// Days from the report to the date that is proposed by itself.
    #[serde(default = "ninety")]
    pub embargo_days: u16,
    /// Package registry of the project as OSV names it (`PyPI`, `npm`, `crates.io`), if it has packages.
    #[serde(default)]
    pub ecosystem: Option<String>,
    /// Its package's name there.
    #[serde(default)]
    pub package: Option<String>,
    /// The prefix it has registered with OSV.dev for the ids of its own files.
    #[serde(default)]
    pub osv_prefix: Option<Prefix>,
    /// Name and address that stand on merges and tags.
    #[serde(default)]
    pub signer: SignerConfig,
    /// Its public repositories.
    #[serde(rename = "repository", default)]
    pub repositories: Vec<RepositoryConfig>,
}

/// What a project has decided beforehand about disclosing now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscloseNow {
    /// People who must say so within an hour; as many as arm, if not said.
    pub people: Option<usize>,
    /// What may be passed over.
    pub may_skip: Vec<Skip>,
}

impl Default for DiscloseNow {
    fn default() -> Self {
        Self { people: None, may_skip: HastePolicy::of(1).may_skip }
    }
}

/// Who stands on merges and tags made by the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignerConfig {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Default for SignerConfig {
    fn default() -> Self {
        Self { name: "Security Release".to_owned(), email: "security@localhost".to_owned() }
    }
}

/// One public repository of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryConfig {
    /// Its name in private remotes: `/<CASE>/<name>`.
    pub name: RepoName,
    /// Where it is: http(s), ssh or file.
    pub url: String,
    /// The branches that get fixes, in the order they are released.
    pub lines: Vec<LineName>,
    /// When it is fetched: a cron expression with seconds, in UTC.
    #[serde(default = "every_ten_minutes")]
    pub mirror: String,
    /// How releases are tagged.
    #[serde(default = "annotated")]
    pub tags: TagStyle,
    /// The user name for https.
    #[serde(default)]
    pub username: Option<String>,
    /// The file that holds the token for https.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The private key for ssh.
    #[serde(default)]
    pub identity_file: Option<PathBuf>,
    /// The host keys for ssh.
    #[serde(default)]
    pub known_hosts_file: Option<PathBuf>,
}

fn several() -> TeamKind {
    TeamKind::Several
}
fn one() -> usize {
    1
}
fn two() -> usize {
    2
}
fn ninety() -> u16 {
    90
}
fn every_ten_minutes() -> String {
    "0 */10 * * * *".to_owned()
}
fn an_hour() -> u32 {
    60
}

fn annotated() -> TagStyle {
    TagStyle::Annotated
}

impl RepositoryConfig {
    /// Returns where the credential for the public repository lies.
    pub fn credential(&self) -> CredentialFiles<'_> {
        CredentialFiles {
            username: self.username.as_deref(),
            password: self.password_file.as_deref(),
            identity: self.identity_file.as_deref(),
            known_hosts: self.known_hosts_file.as_deref(),
        }
    }
}

impl ProjectConfig {
    /// Returns how many people must arm a release: one where one person is all there is.
    pub fn armings_needed(&self) -> usize {
        match self.team {
            TeamKind::Solo => 1,
            TeamKind::Several => self.armings.max(1),
        }
    }

    /// Returns how many people must say that a release is to be disclosed now.
    pub fn haste_needed(&self) -> usize {
        match self.team {
            TeamKind::Solo => 1,
            TeamKind::Several => self.disclose_now.people.unwrap_or_else(|| self.armings_needed()).max(1),
        }
    }
}

/// The address of the server without a slash at its end: `https://host`, or `http` on loopback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether browsers reach the server over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Returns host and port.
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
}

impl FromStr for BaseUrl {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let rule = Malformed::new(
            "base_url looks like https://security.example.org, without a path; plain http is for 127.0.0.1, [::1] and localhost",
        );
        let text = text.trim_end_matches('/');
        let Some((scheme, authority)) = text.split_once("://") else { return Err(rule) };
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, port)| if port.bytes().all(|b| b.is_ascii_digit()) { host } else { authority });
        let local = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
        let plain = authority.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
        if authority.is_empty() || !plain || !(scheme == "https" || (scheme == "http" && local)) {
            return Err(rule);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<BaseUrl> for String {
    fn from(url: BaseUrl) -> String {
        url.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("The configuration {path} cannot be read: make it with `embargo init`, or name another with --config.")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file does not say what a configuration says.
    #[error("The configuration {path} is not right: {what}")]
    Wrong {
        /// The file.
        path: String,
        /// What is wrong, with the place and, for an unknown key, the nearest known one.
        what: String,
    },
}

impl Config {
    /// Reads and checks the file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable { path: shown.clone(), source })?;
        Self::parse(&text).map_err(|what| Error::Wrong { path: shown, what })
    }

    /// Parses and checks the text; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| explained(text, &error))?;
        config.check()?;
        Ok(config)
    }

    /// Returns the project's part.
    pub fn project(&self, id: &ProjectId) -> Option<&ProjectConfig> {
        self.projects.iter().find(|project| &project.id == id)
    }

    /// Returns the folder that checks work in: beside the data folder, which no check may pass through.
    pub fn checks_folder(&self) -> PathBuf {
        let mut name = self.data.file_name().unwrap_or_default().to_owned();
        name.push("-checks");
        self.data.with_file_name(name)
    }

    /// Returns the socket the hooks speak to: inside the data folder, reachable by its owner only.
    pub fn hook_socket(&self) -> PathBuf {
        self.data.join("run").join("hook.sock")
    }

    fn check(&self) -> Result<(), String> {
        let mut ids = BTreeSet::new();
        let mut prefixes = BTreeSet::new();
        for project in &self.projects {
            if !ids.insert(&project.id) {
                return Err(format!("two projects have the id {}.", project.id));
            }
            if !prefixes.insert(&project.prefix) {
                return Err(format!("two projects have the prefix {}.", project.prefix));
            }
            if project.repositories.is_empty() {
                return Err(format!("project {} names no [[project.repository]].", project.id));
            }
            let mut names = BTreeSet::new();
            for repository in &project.repositories {
                if !names.insert(&repository.name) {
                    return Err(format!("project {} names the repository {} twice.", project.id, repository.name));
                }
                if let Err(wrong) = repository.url.parse::<RemoteUrl>() {
                    return Err(format!("repository {} of project {}: {wrong}.", repository.name, project.id));
                }
                if repository.lines.is_empty() {
                    return Err(format!("repository {} of project {} names no lines.", repository.name, project.id));
                }
                if repository.lines.iter().collect::<BTreeSet<_>>().len() != repository.lines.len() {
                    return Err(format!(
                        "repository {} of project {} names a line twice.",
                        repository.name, project.id
                    ));
                }
            }
        }
        if self.keys.folder.starts_with(&self.data) {
            return Err("keys.folder lies inside data: a copy of the data folder must not hold the keys that open it."
                .to_owned());
        }
        Ok(())
    }
}

/// Adds place and nearest known key to the parser's own words.
fn explained(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let message = error.message();
    let mut words = message.split('`').skip(1).step_by(2);
    let nearest = if message.starts_with("unknown field") {
        words.next().and_then(|unknown| {
            words.min_by_key(|known| distance(unknown, known)).map(|known| format!(" Did you mean `{known}`?"))
        })
    } else {
        None
    };
    let message = if nearest.is_some() { message.split(", expected").next().unwrap_or(message) } else { message };
    format!("line {line}: {message}.{}", nearest.unwrap_or_default())
}

/// Levenshtein distance, for words as short as keys.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let cost = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest_known_one() {
        let wrong = Config::parse("data = \"/x\"\nbase_ulr = \"https://example.org\"\n").unwrap_err();
        assert_eq!(wrong, "line 2: unknown field `base_ulr`. Did you mean `base_url`?");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        assert!("http://127.0.0.1:1".parse::<BaseUrl>().is_ok());
        assert!("http://security.example.org".parse::<BaseUrl>().is_err());
        assert!("https://security.example.org/x".parse::<BaseUrl>().is_err());
    }

    #[test]
    fn keys_do_not_lie_in_the_data_folder() {
        assert!(Config::parse("data = \"/x\"\n[keys]\nfolder = \"/x/keys\"\n").is_err());
    }
}
