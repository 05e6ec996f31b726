//! Addresses of public repositories, and how to get in.
//!
//! Guards: an address is http, https, ssh or an absolute path, carries no password and nothing a program could take for an
//! option; a credential is read from a file that only its owner can read. Leaves which files they are to the caller.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::command::GitCommand;
use crate::domain::refusal::Malformed;
use crate::domain::sealed::Secret;

/// The address of an upstream repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemoteUrl(String);

impl RemoteUrl {
    /// Returns the text of the address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the transport: `http`, `https`, `ssh` or `file`.
    pub(super) fn transport(&self) -> &'static str {
        ["https", "http", "ssh", "file"]
            .into_iter()
            .find(|scheme| self.0.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")))
            .unwrap_or("file")
    }

    /// Returns the folder it names on this machine, if it names one.
    pub(super) fn folder(&self) -> Option<&Path> {
        (self.transport() == "file").then(|| Path::new(self.0.strip_prefix("file://").unwrap_or(&self.0)))
    }

    /// Tells whether the address is reached by HTTP, with or without TLS.
    pub(super) fn is_http(&self) -> bool {
        matches!(self.transport(), "http" | "https")
    }
}

impl FromStr for RemoteUrl {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const RULE: &str = "a repository's address is https://…, http://…, ssh://…, file:///… or an absolute path";
        if text.len() > 2000 || text.bytes().any(|b| b.is_ascii_control() || b == b' ' || b == b'\\') {
            return Err(Malformed::new(RULE));
        }
        let local = |path: &str| path.starts_with('/') && !path.starts_with("//");
        if local(text) || text.strip_prefix("file://").is_some_and(local) {
            return Ok(Self(text.to_owned()));
        }
        let rest = ["https://", "http://", "ssh://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let authority = rest.ok_or(Malformed::new(RULE))?.split('/').next().unwrap_or_default();
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') || (!user.is_empty() && !text.starts_with("ssh://")) {
            return Err(Malformed::new(
                "a repository's address holds no name or password: name a credential file instead",
            ));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        if host.is_empty() || host.starts_with('-') || user.starts_with('-') || !host.bytes().all(plain) {
            return Err(Malformed::new(RULE));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for RemoteUrl {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<RemoteUrl> for String {
    fn from(url: RemoteUrl) -> Self {
        url.0
    }
}

/// How the server proves itself to an upstream repository.
#[derive(Clone, Default)]
pub enum Access {
    /// Not at all: a public repository.
    #[default]
    Open,
    /// A name and a password or token, over HTTP.
    Password {
        /// The name; many hosts take any.
        username: String,
        /// The password or token.
        password: Secret,
    },
    /// A key, over SSH, against pinned host keys.
    Key {
        /// The private key.
        identity: PathBuf,
        /// The file of known host keys.
        known_hosts: PathBuf,
    },
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Password { .. } => "Password(..)",
            Self::Key { .. } => "Key(..)",
        })
    }
}

/// Where the credential for one public repository lies.
#[derive(Clone, Copy, Debug, Default)]
pub struct CredentialFiles<'a> {
    /// The user name for https; many hosts take any.
    pub username: Option<&'a str>,
    /// The file that holds the password or token for https.
    pub password: Option<&'a Path>,
    /// The private key for ssh.
    pub identity: Option<&'a Path>,
    /// The host keys for ssh.
    pub known_hosts: Option<&'a Path>,
}

/// Why a credential cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// A file is missing or closed to the server.
    #[error("the credential file {} cannot be read: it must exist and belong to the user that runs the server", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is open to others.
    #[error("the credential file {} can be read by others: give it mode 0600", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// A key without the host it is for.
    #[error("identity_file needs known_hosts_file beside it: without it nobody knows whom the key is shown to")]
    NoKnownHosts,
}

impl Access {
    /// Reads a credential, or finds that there is none. Reading it anew each time lets an operator exchange it.
    pub fn read(files: CredentialFiles<'_>) -> Result<Self, CredentialError> {
        match (files.password, files.identity) {
            (Some(path), _) => {
                private(path)?;
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|source| CredentialError::Unreadable { path: path.to_owned(), source })?;
                let username = files.username.unwrap_or("x-access-token").to_owned();
                Ok(Self::Password { username, password: Secret::new(text.trim_end().to_owned()) })
            }
            (None, Some(identity)) => {
                let known_hosts = files.known_hosts.ok_or(CredentialError::NoKnownHosts)?;
                private(identity)?;
                readable(known_hosts)?;
                Ok(Self::Key { identity: identity.to_owned(), known_hosts: known_hosts.to_owned() })
            }
            (None, None) => Ok(Self::Open),
        }
    }

    /// Returns the command that runs `ssh` with this key and nothing else of the machine's settings.
    pub(super) fn ssh_command(&self) -> String {
        const BASE: &str = "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=yes \
                            -o ForwardAgent=no -o PermitLocalCommand=no";
        match self {
            Self::Open | Self::Password { .. } => format!("{BASE} -o IdentityAgent=none"),
            Self::Key { identity, known_hosts } => format!(
                "{BASE} -o IdentitiesOnly=yes -o IdentityAgent=none -i {} -o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null",
                quoted(&identity.to_string_lossy()),
                quoted(&known_hosts.to_string_lossy()),
            ),
        }
    }

    /// Lets a git child reach this address: its transport, and the credential by environment.
    pub(super) fn equip(&self, command: GitCommand, url: &RemoteUrl) -> GitCommand {
        let command = command.transport(url.transport());
        match self {
            Self::Password { username, password } if url.is_http() => {
                let pair = format!("{username}:{}", password.expose());
                let header = format!("Authorization: Basic {}", data_encoding::BASE64.encode(pair.as_bytes()));
                command.config(&format!("http.{}.extraHeader", url.as_str()), header)
            }
            Self::Open | Self::Password { .. } | Self::Key { .. } => command.env("GIT_SSH_COMMAND", self.ssh_command()),
        }
    }
}

fn readable(path: &Path) -> Result<std::fs::Metadata, CredentialError> {
    let found = std::fs::File::open(path).and_then(|file| file.metadata());
    found.map_err(|source| CredentialError::Unreadable { path: path.to_owned(), source })
}

fn private(path: &Path) -> Result<(), CredentialError> {
    if readable(path)?.permissions().mode() & 0o077 != 0 {
        return Err(CredentialError::Exposed { path: path.to_owned() });
    }
    Ok(())
}

/// Quotes a word for `sh`.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_could_run_or_leak_something_are_refused() {
        for bad in [
            "",
            "ext::sh -c x",
            "-u",
            "--upload-pack=x",
            "fd::3",
            "http://",
            "https://-o/x",
            "ssh://-oProxyCommand=x/y",
            "https://user:word@example.org/x",
            "https://token@example.org/x",
            "relative/path",
            "//host/share",
            "file://host/x",
            "https://example.org/a b",
            "https://example.org/\u{1b}",
            "git://example.org/x",
            "ssh://a:b@example.org/x",
        ] {
            assert!(bad.parse::<RemoteUrl>().is_err(), "{bad:?}");
        }
        for (good, transport) in [
            ("https://example.org/a/b.git", "https"),
            ("http://127.0.0.1:8080/x", "http"),
            ("ssh://git@example.org:22/x", "ssh"),
            ("/srv/git/x.git", "file"),
            ("file:///srv/x", "file"),
        ] {
            assert_eq!(good.parse::<RemoteUrl>().unwrap().transport(), transport);
        }
    }

    #[test]
    fn a_credential_does_not_print() {
        let access = Access::Password { username: "sample".to_owned(), password: Secret::new("canary".to_owned()) };
        assert_eq!(format!("{access:?}"), "Password(..)");
        assert_eq!(quoted("a'b"), r"'a'\''b'");
    }
}
