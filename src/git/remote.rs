//! Addresses of public repositories, and how to get in.
//!
//! Guards: an address is http, https, ssh or an absolute path, carries no password and nothing a program could take for an
//! option. Leaves the reading of credential files to the caller.

use std::fmt;
use std::path::PathBuf;
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

impl Access {
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
