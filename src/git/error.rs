//! What can go wrong in git, in one sentence each.
//!
//! Guards: no message names a ref, a path of a repository or an address; those of the start name the folder that is wrong. What git itself said is kept apart in [`Said`]
//! and has to be asked for. Leaves the upstream's own troubles to [`MirrorError`](super::mirror::MirrorError).

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::refusal::Refusal;

/// The result of this port.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of git, of its library, or of the files below.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No git binary stands where one was looked for.
    #[error("no git was found: install git 2.39 or later, or name it as `binary` in [git]")]
    NoGit,
    /// The git binary is too old.
    #[error("{} is git {found}: 2.39 or later is needed", path.display())]
    OldGit {
        /// The binary.
        path: PathBuf,
        /// What it calls itself.
        found: String,
    },
    /// A file or folder could not be read or written.
    #[error("{what} failed on disk")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A folder could not be made ready at the start.
    #[error("{what} failed at {}: it must belong to the user that runs the server", path.display())]
    Folder {
        /// What was being done.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A git child ended with an error.
    #[error("{what} failed")]
    Failed {
        /// What was being done.
        what: &'static str,
        /// The exit code, none if a signal ended it.
        code: Option<i32>,
        /// What git wrote to its error stream.
        said: Said,
    },
    /// A git child took too long and was ended.
    #[error("{what} did not finish in time")]
    TimedOut {
        /// What was being done.
        what: &'static str,
    },
    /// The git library failed.
    #[error("{what} failed")]
    Library {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The repository is not there.
    #[error("the repository does not exist")]
    NoRepository,
    /// The ref or object is not there.
    #[error("the commit or branch does not exist in this repository")]
    Missing,
    /// Input breaks a rule or a limit.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Error {
    /// Wraps a failure of the file system.
    pub(super) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// Wraps a failure of the file system at the start, which names the place.
    pub(super) fn at(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Folder { what, path, source }
    }

    /// Wraps a failure of the git library.
    pub(super) fn library<E: Into<Box<dyn StdError + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Library { what, source: source.into() }
    }
}

/// What git wrote to its error stream, at most 8 KiB. May name refs and paths: for the operator's eyes, not for logs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Said(pub(super) String);

impl Said {
    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Said({} bytes)", self.0.len())
    }
}
