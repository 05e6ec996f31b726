//! What an operator writes down for one channel, and what is wrong with it in a sentence.
//!
//! Guards: each kind has exactly the keys it needs. Files and folders are looked at in [`check`], at start.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::{self, FolderError};
use super::secret::{self, SecretError};
use super::webhook::SigningKey;
use crate::domain::channel::{Channel, ChannelKind, ChannelName, ChannelUrl, ForgeKind, ForgePlace, Way};
use crate::domain::hook::{Does, Hook};
use crate::domain::repo::RepoName;

/// One `[[project.channel]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelOptions {
    /// Its name, as the journal shows it.
    pub name: ChannelName,
    /// What it is.
    pub kind: ChannelKind,
    /// A folder: where the files go.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// A webhook: where it listens.
    #[serde(default)]
    pub url: Option<ChannelUrl>,
    /// A webhook: the file of the secret that signs.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// A forge's releases: whose API it speaks.
    #[serde(default)]
    pub forge: Option<ForgeKind>,
    /// A forge's releases, GitHub's advisories: where the API is.
    #[serde(default)]
    pub api: Option<ChannelUrl>,
    /// A forge's releases, GitHub's advisories: `<owner>/<name>` there.
    #[serde(default)]
    pub place: Option<ForgePlace>,
    /// A forge's releases: the `[[project.repository]]` it is.
    #[serde(default)]
    pub repository: Option<RepoName>,
    /// A forge's releases, GitHub's advisories: the file of the token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

/// Why a channel cannot be used, found at start.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The keys by which an operator says where something listens and what opens it, for channels and hooks alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Where a program listens.
    pub url: Option<ChannelUrl>,
    /// The file of the secret that signs what it is told.
    pub secret_file: Option<PathBuf>,
    /// Whose API a forge speaks.
    pub forge: Option<ForgeKind>,
    /// Where the API is.
    pub api: Option<ChannelUrl>,
    /// `<owner>/<name>` there.
    pub place: Option<ForgePlace>,
    /// The file of the token.
    pub token_file: Option<PathBuf>,
}

/// A place on a forge and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgeReach {
    /// Whose API it speaks, where that is said.
    pub forge: Option<ForgeKind>,
    /// Where the API is; without a query.
    pub api: ChannelUrl,
    /// `<owner>/<name>` there.
    pub place: ForgePlace,
    /// The file of the token.
    pub token_file: PathBuf,
}

impl Reach {
    /// Tells whether none of the keys is there.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns address and secret of a webhook, if these keys and no others are there.
    pub fn webhook(self) -> Option<(ChannelUrl, PathBuf)> {
        match self {
            Self { url: Some(url), secret_file: Some(file), forge: None, api: None, place: None, token_file: None } => {
                Some((url, file))
            }
            _ => None,
        }
    }

    /// Returns a place on a forge, if its keys and no others are there.
    pub fn forge(self) -> Option<ForgeReach> {
        match self {
            Self {
                url: None,
                secret_file: None,
                forge,
                api: Some(api),
                place: Some(place),
                token_file: Some(token_file),
            } if api.is_base() => Some(ForgeReach { forge, api, place, token_file }),
            _ => None,
        }
    }
}

impl ChannelOptions {
    /// Returns the channel; the error is a clause that says which key is missing or of no use.
    pub fn channel(&self) -> Result<Channel, String> {
        let Self { name, kind, folder, url, secret_file, forge, api, place, repository, token_file } = self.clone();
        let reach = Reach { url, secret_file, forge, api, place, token_file };
        let way = match (kind, folder, repository) {
            (ChannelKind::Folder, Some(folder), None) if folder.is_absolute() && reach.is_empty() => {
                Some(Way::Folder { folder })
            }
            (ChannelKind::Webhook, None, None) => {
                reach.webhook().map(|(url, secret_file)| Way::Webhook { url, secret_file })
            }
            (ChannelKind::ForgeRelease, None, Some(repository)) => match reach.forge() {
                Some(ForgeReach { forge: Some(forge), api, place, token_file }) => {
                    Some(Way::ForgeRelease { forge, api, place, repository, token_file })
                }
                Some(_) | None => None,
            },
            (ChannelKind::GitHubAdvisory, None, None) => match reach.forge() {
                Some(ForgeReach { forge: None, api, place, token_file }) => {
                    Some(Way::GitHubAdvisory { api, place, token_file })
                }
                Some(_) | None => None,
            },
            (
                ChannelKind::Folder | ChannelKind::Webhook | ChannelKind::ForgeRelease | ChannelKind::GitHubAdvisory,
                _,
                _,
            ) => None,
        };
        let wanted = match kind {
            ChannelKind::Folder => "a folder has an absolute `folder`, and no other key",
            ChannelKind::Webhook => "a webhook has `url` and `secret_file`, and no other key",
            ChannelKind::ForgeRelease => {
                "a forge's releases have `forge`, `api` without a query, `place`, `repository` and `token_file`, and no other \
                 key"
            }
            ChannelKind::GitHubAdvisory => {
                "GitHub's advisories have `api` without a query, `place` and `token_file`, and no other key"
            }
        };
        way.map(|way| Channel { name, way }).ok_or_else(|| wanted.to_owned())
    }
}

/// Parses the channels of one project over its repositories; the error is a clause that names the channel.
pub fn channels(options: &[ChannelOptions], repositories: &[&RepoName]) -> Result<Vec<Channel>, String> {
    let mut names = BTreeSet::new();
    let mut channels = Vec::new();
    for option in options {
        let name = &option.name;
        if !names.insert(name) {
            return Err(format!("two channels have the name {name}"));
        }
        let channel = option.channel().map_err(|wrong| format!("channel {name}: {wrong}"))?;
        if let Way::ForgeRelease { repository, .. } = &channel.way
            && !repositories.contains(&repository)
        {
            return Err(format!("channel {name}: the project names no repository {repository}"));
        }
        channels.push(channel);
    }
    Ok(channels)
}

/// Looks at start whether a channel can work: its folder is there and serves nothing private, its secret can be read.
pub fn check(channel: &Channel, private: &[&Path]) -> Result<(), ChannelError> {
    match &channel.way {
        Way::Folder { folder } => folder::check(folder, private)?,
        Way::Webhook { secret_file, .. } => {
            SigningKey::read(secret_file)?;
        }
        Way::ForgeRelease { token_file, .. } | Way::GitHubAdvisory { token_file, .. } => {
            secret::token(token_file)?;
        }
    }
    Ok(())
}

/// Looks at start whether a hook can work: its secret can be read.
pub fn check_hook(hook: &Hook) -> Result<(), ChannelError> {
    match &hook.does {
        Does::Webhook { secret_file, .. } => {
            SigningKey::read(secret_file)?;
        }
        Does::Workflow { token_file, .. } => {
            secret::token(token_file)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Channel>, String> {
        #[derive(Deserialize)]
        struct Whole {
            channel: Vec<ChannelOptions>,
        }
        let whole: Whole = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        channels(&whole.channel, &[&"demo".parse().unwrap()])
    }

    #[test]
    fn each_kind_has_its_own_keys() {
        let folder = "[[channel]]\nname = 'files'\nkind = 'folder'\nfolder = '/srv/advisories'\n";
        let forge = "[[channel]]\nname = 'forge'\nkind = 'forge_release'\nforge = 'github'\nrepository = 'demo'\n\
                     api = 'https://api.github.com'\nplace = 'sample/demo'\ntoken_file = '/etc/token'\n";
        assert_eq!(parsed(&format!("{folder}{forge}")).unwrap().len(), 2);
        for (wrong, said) in [
            (format!("{folder}{folder}"), "two channels have the name files"),
            (folder.replace("/srv", "srv"), "channel files: a folder has an absolute `folder`"),
            (format!("{folder}url = 'https://example.org'\n"), "no other key"),
            (folder.replace("'folder'", "'webhook'"), "a webhook has `url` and `secret_file`"),
            (forge.replace("'demo'", "'other'"), "names no repository other"),
            (forge.replace("github.com'", "github.com/?a'"), "`api` without a query"),
            (forge.replace("https", "http"), "plain http is for"),
            (folder.replace("folder = ", "foldr = "), "unknown field `foldr`"),
            (folder.replace("'folder'", "'github_advisory'"), "GitHub's advisories have `api`"),
        ] {
            let error = parsed(&wrong).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
