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

use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::id::ProjectId;
use crate::domain::limit::PerHour;
use crate::domain::origin::{ForwardedHeader, TrustedProxy};
use crate::domain::refusal::Malformed;
use crate::{ci, crypto, forge, git, notify};

mod audience;
mod awaited;
mod hook;
mod line;
mod lint;
mod mistake;
mod project;

pub use audience::{AudienceMember, AudienceOptions};
pub use awaited::{AwaitConfig, RegistryKind};
pub use hook::{HookConfig, HookKind};
pub use line::LineConfig;
pub use lint::LintConfig;
pub use project::{DiscloseNow, Messages, ProjectConfig, RepositoryConfig, SignerConfig};

/// Everything the operator decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data folder: database, repositories, attachments.
    pub data: PathBuf,
    /// Where people and git reach the server.
    pub base_url: BaseUrl,
    /// Where the server listens, behind a proxy that speaks TLS or on loopback.
    #[serde(deserialize_with = "listen")]
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
    /// What all channels have in common.
    pub channels: forge::Options,
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
            channels: forge::Options::default(),
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
    /// Copies of text and patches made for one member of an audience.
    pub copies_per_hour: PerHour,
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
            copies_per_hour: const { per_hour(12) },
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
    #[error(
        "The configuration {path} cannot be read: make it with `embargo init`, name another with --config, or run this as the server's user."
    )]
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

/// Reads where a server listens.
pub fn listen_address(text: &str) -> Result<SocketAddr, Malformed> {
    text.parse().map_err(|_| Malformed::new("`listen` is an address and a port, such as 127.0.0.1:8484 or [::1]:8484"))
}

fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    listen_address(&String::deserialize(from)?).map_err(serde::de::Error::custom)
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
        let config: Self = toml::from_str(text).map_err(|error| mistake::explained(text, &error))?;
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
            project.check()?;
        }
        if self.keys.folder.starts_with(&self.data) {
            return Err("keys.folder lies inside data: a copy of the data folder must not hold the keys that open it."
                .to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Config::parse(text).unwrap_err()
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

    #[test]
    fn an_address_without_a_port_is_told_what_is_missing() {
        let said = wrong("listen = '0.0.0.0'\n");
        assert!(said.contains("an address and a port, such as 127.0.0.1:8484"), "{said}");
        assert!(Config::parse("listen = '0.0.0.0:8484'\n").is_ok());
    }
}
