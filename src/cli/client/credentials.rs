//! The client's own file, `~/.config/embargo/credentials.toml`: the sessions of the servers it signed in to.
//!
//! Guards: only its owner reads the file, and it is replaced as a whole.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Failure, Result};
use crate::domain::text::Handle;

/// The sessions of this user.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    /// The server signed in to last.
    #[serde(default)]
    current: String,
    #[serde(default, rename = "server")]
    servers: Vec<Entry>,
}

/// The session at one server.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The server.
    pub(super) url: String,
    /// Who is signed in.
    pub(super) handle: Handle,
    /// The session's secret.
    pub(super) session: String,
    /// When it ends at the latest.
    pub(super) expires_at: Timestamp,
}

impl Credentials {
    /// Reads the file; none is as good as an empty one.
    pub(super) fn load() -> Result<Self> {
        let path = folder()?.join("credentials.toml");
        let failed = |error| Failure::because(format!("{} could not be read.", path.display()), error);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error)),
        };
        let mode = fs::metadata(&path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            let sentence =
                format!("{0} can be read by other users: run `chmod 600 {0}` and sign in again.", path.display());
            return Err(Failure::Refused(sentence));
        }
        // The parser would quote the line, and with it the secret.
        toml::from_str(&text).map_err(|_| {
            Failure::failed(format!("{} is not what it should be: remove it and sign in again.", path.display()))
        })
    }

    /// Finds the session at this server, or at the one signed in to last.
    pub(super) fn find(&self, url: Option<&str>) -> Option<&Entry> {
        let wanted = url.unwrap_or(&self.current);
        self.servers.iter().find(|entry| entry.url == wanted)
    }

    /// Keeps a new session and forgets an older one at the same server.
    pub(super) fn keep(&mut self, entry: Entry) -> Result<()> {
        self.current.clone_from(&entry.url);
        self.servers.retain(|old| old.url != entry.url);
        self.servers.push(entry);
        let text = toml::to_string(self).map_err(|_| Failure::failed("The credentials could not be written."))?;
        write_private(&folder()?.join("credentials.toml"), &text)
    }
}

/// Replaces a file that only its owner may read, at once or not at all.
pub(super) fn write_private(path: &Path, text: &str) -> Result<()> {
    let failed = |error| Failure::because(format!("{} could not be written.", path.display()), error);
    let next = path.with_extension("next");
    match fs::remove_file(&next) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&next, path).map_err(failed)
}

/// Returns the client's own folder, and makes it if it is missing.
#[expect(clippy::disallowed_methods, reason = "the one place where the client asks where its files are")]
pub(super) fn folder() -> Result<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| Some(std::env::home_dir()?.join(".config")));
    let config = config.ok_or_else(|| Failure::failed("There is no home folder: set HOME or XDG_CONFIG_HOME."))?;
    let folder = config.join("embargo");
    let failed = |error| Failure::because(format!("{} could not be made.", folder.display()), error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    Ok(folder)
}

/// Returns the folder of the user's SSH keys.
pub(super) fn ssh_folder() -> Option<PathBuf> {
    Some(std::env::home_dir()?.join(".ssh"))
}
