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

impl ChannelOptions {
    /// Returns the channel; the error is a clause that says which key is missing or of no use.
    pub fn channel(&self) -> Result<Channel, String> {
        let way = match (self.kind, self.clone()) {
            (
                ChannelKind::Folder,
                Self {
                    folder: Some(folder),
                    url: None,
                    secret_file: None,
                    forge: None,
                    api: None,
                    place: None,
                    repository: None,
                    token_file: None,
                    ..
                },
            ) if folder.is_absolute() => Way::Folder { folder },
            (ChannelKind::Folder, _) => return Err("a folder has an absolute `folder`, and no other key".to_owned()),
            (
                ChannelKind::Webhook,
                Self {
                    url: Some(url),
                    secret_file: Some(secret_file),
                    folder: None,
                    forge: None,
                    api: None,
                    place: None,
                    repository: None,
                    token_file: None,
                    ..
                },
            ) => Way::Webhook { url, secret_file },
            (ChannelKind::Webhook, _) => {
                return Err("a webhook has `url` and `secret_file`, and no other key".to_owned());
            }
            (
                ChannelKind::ForgeRelease,
                Self {
                    forge: Some(forge),
                    api: Some(api),
                    place: Some(place),
                    repository: Some(repository),
                    token_file: Some(token_file),
                    folder: None,
                    url: None,
                    secret_file: None,
                    ..
                },
            ) if api.is_base() => Way::ForgeRelease { forge, api, place, repository, token_file },
            (ChannelKind::ForgeRelease, _) => {
                return Err("a forge's releases have `forge`, `api` without a query, `place`, `repository` and \
                            `token_file`, and no other key"
                    .to_owned());
            }
            (
                ChannelKind::GitHubAdvisory,
                Self {
                    api: Some(api),
                    place: Some(place),
                    token_file: Some(token_file),
                    folder: None,
                    url: None,
                    secret_file: None,
                    forge: None,
                    repository: None,
                    ..
                },
            ) if api.is_base() => Way::GitHubAdvisory { api, place, token_file },
            (ChannelKind::GitHubAdvisory, _) => {
                return Err(
                    "GitHub's advisories have `api` without a query, `place` and `token_file`, and no other key"
                        .to_owned(),
                );
            }
        };
        Ok(Channel { name: self.name.clone(), way })
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
