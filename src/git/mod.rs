//! Git: bare repositories, pack transport, mirror, inspection, merges, push.
//!
//! Guards: repositories lie at names this module makes from ids, a case borrows objects from the mirror and from nothing
//! else, and no hook but ours runs. The `git` binary does what only it can (serving, receiving, merging, pushing), gix the
//! rest. Leaves who may do any of it to `workflow`, and every judgement on a push to `domain::push`.
//!
//! Layout below the data folder: `repos/mirror/<upstream>.git`, `repos/case/<case>/<upstream>.git`,
//! `repos/release/<release>/<upstream>.git`, `hooks/`, and `scratch/`, which is emptied at start.

mod addition;
mod arrival;
mod body;
mod command;
mod error;
mod fetch;
mod reading;
mod refs;
mod replay;
mod trouble;

pub mod checkout;
pub mod combine;
pub mod copy;
pub mod held;
pub mod history;
pub mod identity;
pub mod inspect;
pub mod mirror;
pub mod publish;
pub mod release;
pub mod remote;
pub mod repository;
pub mod serve;
pub mod stage;
pub mod tag;
pub mod ticket;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod serve_tests;

pub use error::{Error, Result, Said};
pub use serve::Served;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;

use crate::domain::id::{CaseId, ReleaseId, UpstreamId};
use crate::domain::owner::Owner;
use command::{GitCommand, Program};

/// Settings of this port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The git binary; empty means `/usr/bin/git`, else `/usr/local/bin/git`.
    pub binary: PathBuf,
    /// Bytes a pushed pack may have.
    pub max_push_bytes: u64,
    /// Seconds one clone, fetch or push through the server may take.
    pub serve_seconds: u64,
    /// Seconds one fetch from, or push to, an upstream repository may take.
    pub upstream_seconds: u64,
    /// Files a checkout for a check may have.
    pub max_checkout_files: u64,
    /// Bytes a checkout for a check may have.
    pub max_checkout_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            binary: PathBuf::new(),
            max_push_bytes: 256 * 1024 * 1024,
            serve_seconds: 3600,
            upstream_seconds: 3600,
            max_checkout_files: 500_000,
            max_checkout_bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}

impl Options {
    /// Returns the binaries to try, in order.
    fn candidates(&self) -> Vec<PathBuf> {
        if self.binary.as_os_str().is_empty() {
            vec!["/usr/bin/git".into(), "/usr/local/bin/git".into()]
        } else {
            vec![self.binary.clone()]
        }
    }
}

/// A repository of the data folder, by what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Repo {
    /// The public objects of an upstream repository.
    Mirror(UpstreamId),
    /// The private remote of a case.
    Case(CaseId, UpstreamId),
    /// Where a release is merged, signed and pushed from.
    Release(ReleaseId, UpstreamId),
}

impl Repo {
    /// Names the repository of an owner for one upstream repository.
    pub fn of(owner: &Owner, upstream: UpstreamId) -> Self {
        match owner {
            Owner::Case(case) => Self::Case(case.clone(), upstream),
            Owner::Release(release) => Self::Release(release.clone(), upstream),
        }
    }
}

/// The git port. Cheap to clone.
#[derive(Clone)]
pub struct Git(Arc<Inner>);

struct Inner {
    options: Options,
    program: Program,
    data: PathBuf,
    scratch: AtomicU64,
    tasks: TaskTracker,
    turns: Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>,
}

impl Git {
    /// Finds git, makes the folders and installs the hooks. `data` is an absolute path, locked by the
    /// caller against a second server: what lies in `scratch/` is removed.
    pub async fn open(options: Options, data: &Path) -> Result<Self> {
        let program = Program::find(&options.candidates()).await?;
        let data = data.to_owned();
        let folder = data.clone();
        blocking("setting up the git folder", move || {
            for name in ["repos/mirror", "repos/case", "repos/release"] {
                let path = folder.join(name);
                fs::create_dir_all(&path).map_err(Error::at("making the folder of repositories", &path))?;
            }
            private(&folder.join("repos"))?;
            let scratch = folder.join("scratch");
            match fs::remove_dir_all(&scratch) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::at("emptying the scratch folder", &scratch)(error));
                }
                _ => {}
            }
            fs::create_dir(&scratch).map_err(Error::at("making the scratch folder", &scratch))?;
            private(&scratch)?;
            install_hooks(&folder.join("hooks"))
        })
        .await?;
        Ok(Self(Arc::new(Inner {
            options,
            program,
            data,
            scratch: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            turns: Mutex::default(),
        })))
    }

    /// Returns the settings.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Returns where a repository lies, whether it exists or not.
    pub fn path(&self, repo: &Repo) -> PathBuf {
        let repos = self.0.data.join("repos");
        match repo {
            Repo::Mirror(upstream) => repos.join(format!("mirror/{upstream}.git")),
            Repo::Case(case, upstream) => repos.join(format!("case/{case}/{upstream}.git")),
            Repo::Release(release, upstream) => repos.join(format!("release/{release}/{upstream}.git")),
        }
    }

    /// Tells whether a repository exists.
    pub fn exists(&self, repo: &Repo) -> bool {
        self.path(repo).join("HEAD").is_file()
    }

    /// Waits for every child that outlives its request: a push in its last hook.
    pub async fn finish(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    fn existing(&self, repo: &Repo) -> Result<PathBuf> {
        if self.exists(repo) { Ok(self.path(repo)) } else { Err(Error::NoRepository) }
    }

    fn command(&self, what: &'static str) -> GitCommand {
        self.0.program.command(what)
    }

    fn hooks(&self) -> PathBuf {
        self.0.data.join("hooks")
    }

    /// Makes an empty folder that is removed when the value is dropped.
    fn scratch(&self) -> Result<Scratch> {
        let number = self.0.scratch.fetch_add(1, Ordering::Relaxed);
        let path = self.0.data.join(format!("scratch/{number}"));
        fs::create_dir(&path).map_err(Error::io("making a scratch folder"))?;
        Ok(Scratch(path))
    }

    /// Waits until nobody else writes to this repository on behalf of the server.
    async fn turn(&self, path: &Path) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.turns.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(path.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    /// Reads from a repository with gix on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        repo: &Repo,
        what: &'static str,
        work: impl FnOnce(gix::Repository) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.existing(repo)?;
        blocking(what, move || work(open_repository(&path)?)).await
    }
}

/// A folder that goes away with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is removed at the next start.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Opens a repository with gix: no settings of the machine, no variables, only refs kept as files.
fn open_repository(path: &Path) -> Result<gix::Repository> {
    let options = gix::open::Options::isolated().open_path_as_is(true).strict_config(true);
    let repository: gix::Repository = options.open(path).map_err(Error::library("opening a repository"))?.into();
    if repository.config_snapshot().string("extensions.refStorage").is_some() {
        return Err(Error::Library { what: "opening a repository", source: "its refs are not kept as files".into() });
    }
    Ok(repository)
}

/// Runs work that blocks on a thread made for it.
async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::library(what))?
}

fn private(folder: &Path) -> Result<()> {
    let closed = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    closed.map_err(Error::at("closing a folder to others", folder))
}

/// Writes the hooks of this version into a folder nobody writes to afterwards.
fn install_hooks(folder: &Path) -> Result<()> {
    const HOOKS: [(&str, &str); 2] = [
        ("pre-receive", include_str!("../../hooks/pre-receive")),
        ("post-receive", include_str!("../../hooks/post-receive")),
    ];
    let failed = || Error::at("installing the hooks", folder);
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed());
    fs::create_dir_all(folder).map_err(failed())?;
    mode(folder, 0o755)?;
    for entry in fs::read_dir(folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if !HOOKS.iter().any(|(name, _)| path.ends_with(name)) {
            fs::remove_file(&path).map_err(Error::at("removing a foreign hook", &path))?;
        }
    }
    for (name, text) in HOOKS {
        let (path, fresh) = (folder.join(name), folder.join(format!("{name}.new")));
        fs::write(&fresh, text).map_err(failed())?;
        mode(&fresh, 0o555)?;
        fs::rename(&fresh, &path).map_err(failed())?;
    }
    mode(folder, 0o555)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn opening_twice_leaves_our_hooks_and_no_others() {
        let data = tempfile::tempdir().unwrap();
        Git::open(Options::default(), data.path()).await.unwrap();
        let hooks = data.path().join("hooks");
        fs::set_permissions(&hooks, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(hooks.join("update"), "#!/bin/sh\n").unwrap();
        Git::open(Options::default(), data.path()).await.unwrap();
        let mut names: Vec<_> = fs::read_dir(&hooks).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["post-receive", "pre-receive"]);
        assert_eq!(fs::metadata(&hooks).unwrap().permissions().mode() & 0o777, 0o555);
        assert_eq!(fs::metadata(hooks.join("pre-receive")).unwrap().permissions().mode() & 0o777, 0o555);
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(toml::from_str::<Options>("max_push_bytes = 1").is_ok());
        assert!(toml::from_str::<Options>("max_push_byte = 1").is_err());
    }
}
