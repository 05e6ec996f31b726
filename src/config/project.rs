//! The projects of the configuration, their public repositories, and who stands on what is published.
//!
//! Guards: what no team and no repository could live with is refused at the start, in a sentence.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::audience::{self, AudienceOptions};
use super::awaited::{self, AwaitConfig};
use super::hook::{self, HookConfig};
use super::line::{self, LineConfig};
use super::lint::LintConfig;
use crate::domain::audience::{Audience, AudienceName};
use crate::domain::awaited::Awaited;
use crate::domain::channel::{Channel, ChannelUrl, ForgeKind, ForgePlace};
use crate::domain::haste::{HastePolicy, Skip};
use crate::domain::hook::Hook;
use crate::domain::id::{Prefix, ProjectId};
use crate::domain::project::{TagStyle, TeamKind};
use crate::domain::recipe::Strategy;
use crate::domain::record::Part;
use crate::domain::repo::{LineName, RepoName};
use crate::domain::signing::{Commits, Signing};
use crate::domain::template::{OfFix, OfForward, OfRider, OfTag, Template};
use crate::forge::options::{self, ChannelOptions};
use crate::git::remote::{CredentialFiles, RemoteUrl};
use crate::git::tag::Allowed;

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
    /// People who must arm a release; without it two, and one for a solo project.
    #[serde(default)]
    pub armings: Option<usize>,
    /// How late a release may still begin by itself, in minutes, when the server was down at its instant.
    #[serde(default = "an_hour")]
    pub late_minutes: u32,
    /// What it takes to disclose now, before the instant.
    #[serde(default)]
    pub disclose_now: DiscloseNow,
    /// Days from the report to the date that is proposed by itself.
    #[serde(default = "ninety")]
    pub embargo_days: u16,
    /// What of a case may be opened once it is public: `timeline`, `reports`, `thread`.
    #[serde(default)]
    pub opens: Vec<Part>,
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
    /// Where the key is that signs tags: `server` or `offline`.
    #[serde(default = "server")]
    pub signing: Signing,
    /// Whether the commits that the server makes for a release are signed with its key.
    #[serde(default = "unsigned")]
    pub commits: Commits,
    /// The file with the SSH keys that may sign tags offline.
    #[serde(default)]
    pub allowed_signers_file: Option<PathBuf>,
    /// The file with the OpenPGP keys that may sign tags offline.
    #[serde(default)]
    pub openpgp_keys_file: Option<PathBuf>,
    /// What is written into merges, commits and tags.
    #[serde(default)]
    pub messages: Messages,
    /// What must not stand in what becomes public.
    #[serde(default)]
    pub lint: LintConfig,
    /// Its public repositories.
    #[serde(rename = "repository", default)]
    pub repositories: Vec<RepositoryConfig>,
    /// Where else its advisories are published.
    #[serde(rename = "channel", default)]
    pub channels: Vec<ChannelOptions>,
    /// The packages that its releases wait for.
    #[serde(rename = "await", default)]
    pub awaits: Vec<AwaitConfig>,
    /// What is done around the instant of its releases.
    #[serde(rename = "hook", default)]
    pub hooks: Vec<HookConfig>,
    /// Who may know of its releases before their instant.
    #[serde(rename = "audience", default)]
    pub audiences: Vec<AudienceOptions>,
}

/// What a project has decided beforehand about disclosing now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscloseNow {
    /// People who must say so within an hour; without it as many as arm.
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

/// What a release writes into git.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Messages {
    /// The message of a merge.
    pub merge: Template<OfFix>,
    /// The message of a fix that becomes one commit.
    pub squash: Template<OfFix>,
    /// The message of tests that follow later, where they are merged or become one commit.
    pub tests: Template<OfFix>,
    /// The message of a tag.
    pub tag: Template<OfTag>,
    /// Trailers that are added when the release is built.
    pub riders: Vec<Template<OfRider>>,
    /// The message of the commit that adds release notes.
    pub changelog: Template<OfTag>,
    /// The message of the commit with what a version command changed.
    pub version: Template<OfTag>,
    /// The message of a merge of what one line ships into another line or branch.
    pub forward: Template<OfForward>,
}

impl Default for Messages {
    fn default() -> Self {
        let fix = |text| Template::parse(text).expect("a test reads this text");
        Self {
            merge: fix("Merge the fix of {case} into {line}"),
            squash: fix("Fix {case}: {title}"),
            tests: fix("Tests of the fix of {case} for {line}"),
            tag: Template::parse("{project} {tag}\n\nSecurity release. Fixes {cases}.")
                .expect("a test reads this text"),
            riders: Vec::new(),
            version: Template::parse("Version {tag}").expect("a test reads this text"),
            forward: Template::parse("Merge {from} into {line}").expect("a test reads this text"),
            changelog: Template::parse("Release notes of {tag}").expect("a test reads this text"),
        }
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
    /// How fixes are put onto its lines.
    #[serde(default = "merge")]
    pub strategy: Strategy,
    /// What is different on single lines.
    #[serde(rename = "line", default)]
    pub exceptions: Vec<LineConfig>,
    /// The user name for https.
    #[serde(default)]
    pub username: Option<String>,
    /// The file that holds the token for https.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Where its forge is asked beforehand which rules it applies to a push.
    #[serde(default)]
    pub forge: Option<ForgeConfig>,
    /// The private key for ssh.
    #[serde(default)]
    pub identity_file: Option<PathBuf>,
    /// The host keys for ssh.
    #[serde(default)]
    pub known_hosts_file: Option<PathBuf>,
}

/// Where a forge tells of a public repository, to the token of its `password_file`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgeConfig {
    /// Whose API it speaks.
    pub kind: ForgeKind,
    /// Where the API is.
    pub api: ChannelUrl,
    /// The repository there.
    pub place: ForgePlace,
}

fn several() -> TeamKind {
    TeamKind::Several
}
fn one() -> usize {
    1
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
fn server() -> Signing {
    Signing::Server
}
fn unsigned() -> Commits {
    Commits::Unsigned
}
fn merge() -> Strategy {
    Strategy::Merge
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

    /// Says what is wrong, as the end of a sentence that begins with the repository.
    fn check(&self) -> Result<(), String> {
        if let Err(wrong) = self.url.parse::<RemoteUrl>() {
            return Err(format!("cannot be reached: {wrong}."));
        }
        if self.lines.is_empty() {
            return Err("names no lines.".to_owned());
        }
        if self.lines.iter().collect::<BTreeSet<_>>().len() != self.lines.len() {
            return Err("names a line twice.".to_owned());
        }
        if let Some(forge) = &self.forge {
            if self.password_file.is_none() {
                return Err("has a `forge` to ask for its rules, and no `password_file` to ask with.".to_owned());
            }
            if !forge.api.is_base() {
                return Err("has a `forge` whose `api` is no plain address: leave its query out.".to_owned());
            }
        }
        line::check(&self.lines, &self.exceptions)?;
        if self.mirror.split_whitespace().count() == 5 {
            return Err(format!(
                "has a `mirror` of five fields: a cron expression begins with the seconds here, as in \"0 {}\".",
                self.mirror
            ));
        }
        Ok(())
    }
}

impl ProjectConfig {
    /// Returns how many people must arm a release: one where one person is all there is.
    pub fn armings_needed(&self) -> usize {
        match self.team {
            TeamKind::Solo => 1,
            TeamKind::Several => self.armings.unwrap_or(2),
        }
    }

    /// Returns where else its advisories are published; the error is a clause that says what is wrong.
    pub fn channels(&self) -> Result<Vec<Channel>, String> {
        options::channels(&self.channels, &self.repository_names())
    }

    /// Returns the packages that releases wait for, each with the repository it is built from; the error is a clause that
    /// says what is wrong.
    pub fn awaited(&self) -> Result<Vec<(RepoName, Awaited)>, String> {
        awaited::all(&self.awaits, &self.repository_names())
    }

    /// Returns what is done around the instant; the error is a clause that says what is wrong.
    pub fn hooks(&self) -> Result<Vec<Hook>, String> {
        hook::all(&self.hooks)
    }

    fn repository_names(&self) -> Vec<&RepoName> {
        self.repositories.iter().map(|repository| &repository.name).collect()
    }

    /// Finds an audience, of which everybody is one; none that the configuration does not name.
    pub fn audience(&self, name: &AudienceName) -> Option<Audience> {
        let public = Audience::public();
        if &public.name == name { Some(public) } else { self.members_of(name).map(AudienceOptions::audience) }
    }

    /// Finds an audience with its members.
    pub fn members_of(&self, name: &AudienceName) -> Option<&AudienceOptions> {
        self.audiences.iter().find(|audience| &audience.name == name)
    }

    /// Returns how many people must say that a release is to be disclosed now.
    pub fn haste_needed(&self) -> usize {
        match self.team {
            TeamKind::Solo => 1,
            TeamKind::Several => self.disclose_now.people.unwrap_or_else(|| self.armings_needed()),
        }
    }

    /// Tells whether nobody was named to stand on merges and tags.
    pub fn is_unsigned(&self) -> bool {
        self.signer == SignerConfig::default()
    }

    /// Returns who may sign tags offline; none where the server signs.
    pub fn allowed_signers(&self) -> Option<Allowed> {
        match self.signing {
            Signing::Server => None,
            Signing::Offline => {
                Some(Allowed { ssh: self.allowed_signers_file.clone(), openpgp: self.openpgp_keys_file.clone() })
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let id = &self.id;
        let named = self.allowed_signers_file.is_some() || self.openpgp_keys_file.is_some();
        if self.signing == Signing::Offline && !named {
            return Err(format!(
                "project {id} has `signing = \"offline\"` and names nobody who may sign: give `allowed_signers_file` or \
                 `openpgp_keys_file`."
            ));
        }
        match (self.team, self.armings) {
            (_, Some(0)) => {
                return Err(format!("project {id} asks for no arming: `armings` is how many people must, at least 1."));
            }
            (TeamKind::Solo, Some(several)) if several > 1 => {
                return Err(format!(
                    "project {id} has `team = \"solo\"`, where one person arms alone, and `armings = {several}`: \
                     leave one of the two out."
                ));
            }
            (TeamKind::Solo | TeamKind::Several, _) => {}
        }
        if self.disclose_now.people == Some(0) {
            return Err(format!("project {id} would be disclosed by nobody's word: `people` is at least 1."));
        }
        if self.repositories.is_empty() {
            return Err(format!("project {id} names no [[project.repository]]."));
        }
        let mut names = BTreeSet::new();
        for repository in &self.repositories {
            if !names.insert(&repository.name) {
                return Err(format!("project {id} names the repository {} twice.", repository.name));
            }
            repository.check().map_err(|wrong| format!("repository {} of project {id} {wrong}", repository.name))?;
        }
        self.channels().map_err(|wrong| format!("project {id}: {wrong}."))?;
        self.awaited().map_err(|wrong| format!("project {id}: {wrong}."))?;
        self.hooks().map_err(|wrong| format!("project {id}: {wrong}."))?;
        self.lint.mistake().map_or(Ok(()), |wrong| Err(format!("project {id}: {wrong}.")))?;
        audience::check(&self.audiences).map_err(|wrong| format!("project {id}: {wrong}."))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn project(more: &str, repository: &str) -> String {
        format!(
            "[[project]]\nid = 'sample'\nprefix = 'SAMPLE'\nname = 'Sample'\n{more}\n[[project.repository]]\n\
             name = 'sample'\nurl = 'https://git.example.org/sample.git'\nlines = ['main']\n{repository}\n"
        )
    }

    #[test]
    fn armings_that_no_team_can_give_are_refused() {
        let armings = |more: &str| Config::parse(&project(more, "")).map(|config| config.projects[0].armings_needed());
        assert_eq!(armings(""), Ok(2));
        assert_eq!(armings("armings = 1"), Ok(1));
        assert_eq!(armings("team = 'solo'"), Ok(1));
        assert_eq!(armings("team = 'solo'\narmings = 1"), Ok(1));
        assert!(armings("armings = 0").unwrap_err().contains("at least 1"));
        assert!(armings("team = 'solo'\narmings = 2").unwrap_err().contains("leave one of the two out"));
    }

    #[test]
    fn a_release_is_not_disclosed_by_nobodys_word() {
        let now = |more: &str| Config::parse(&project(more, "")).map(|config| config.projects[0].haste_needed());
        assert_eq!(now(""), Ok(2));
        assert_eq!(now("disclose_now = { people = 1 }"), Ok(1));
        assert!(now("disclose_now = { people = 0 }").unwrap_err().contains("nobody's word"));
    }

    #[test]
    fn tags_are_signed_by_the_server_or_by_those_who_are_named() {
        let signers = |more: &str| Config::parse(&project(more, "")).map(|config| config.projects[0].allowed_signers());
        assert_eq!(signers(""), Ok(None));
        let offline = signers("signing = 'offline'\nallowed_signers_file = '/x'").unwrap().unwrap();
        assert_eq!((offline.ssh, offline.openpgp), (Some("/x".into()), None));
        assert!(signers("signing = 'offline'").unwrap_err().contains("names nobody who may sign"));
        assert_eq!(signers("openpgp_keys_file = '/x'"), Ok(None), "where the server signs, nobody else does");
    }

    #[test]
    fn a_cron_expression_without_seconds_is_told_so() {
        let said = Config::parse(&project("", "mirror = '*/10 * * * *'")).unwrap_err();
        assert!(said.contains("begins with the seconds here, as in \"0 */10 * * * *\""), "{said}");
    }

    #[test]
    fn a_template_that_knows_a_name_too_many_is_refused_with_its_line() {
        let said =
            Config::parse(&project("messages = { riders = [\n'Fixes: {cve}',\n'Foxes: {fox}'] }", "")).unwrap_err();
        assert!(said.starts_with("line "), "{said}");
        assert!(said.contains("a rider knows no {fox}: use {project}"), "{said}");
    }

    #[test]
    fn whoever_signs_is_missed_where_nobody_is_named() {
        let unsigned = |more: &str| Config::parse(&project(more, "")).unwrap().projects[0].is_unsigned();
        assert!(unsigned(""));
        assert!(!unsigned("signer = { name = 'Sample', email = 'security@example.org' }"));
    }
}
