//! A site on disk: data and key folders, and a public repository with two lines as the upstream of a sample project.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};

use embargo::config::{Config, Limits};
use embargo::crypto;
use embargo::domain::limit::PerHour;
use tempfile::TempDir;

use super::git::Git;

/// The folders of one server, removed when dropped.
pub(crate) struct Site {
    folder: TempDir,
    config: Config,
}

impl Site {
    /// Makes keys, and a configuration without projects. Mail and checks are off, and strangers may ask as often as they
    /// like: tests that want it otherwise say so.
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data: folder.path().join("data"), ..Config::default() };
        config.keys.folder = folder.path().join("keys");
        config.ci.enabled = false;
        config.limits = uncounted();
        crypto::keys::init(&config.keys).unwrap();
        Self { folder, config }
    }

    /// Makes a site with the project `sample` (cases `SAMPLE-<n>`): repository `sample`, lines `main` and `1.x`.
    pub(crate) async fn with_project() -> Self {
        let mut site = Self::make();
        let (git, work, bare) = (Git::anonymous(), site.work(), site.upstream());
        std::fs::create_dir(&work).unwrap();
        git.succeed(&work, &["init", "-q"]).await;
        git.commit(&work, "sample.c", "one\ntwo\nthree\nfour\nfive\n").await;
        git.succeed(&work, &["tag", "-a", "-m", "v1.0", "v1.0"]).await;
        git.succeed(&work, &["branch", "1.x"]).await;
        git.commit(&work, "NEWS", "more\n").await;
        git.succeed(site.path(), &["clone", "-q", "--bare", "work", "upstream.git"]).await;
        git.succeed(&work, &["remote", "add", "origin", bare.to_str().unwrap()]).await;
        let project = format!(
            "[[project]]\nid = 'sample'\nprefix = 'SAMPLE'\nname = 'Sample'\n[[project.repository]]\nname = 'sample'\n\
             url = '{}'\nlines = ['main', '1.x']\n",
            bare.display(),
        );
        site.config.projects = Config::parse(&project).unwrap().projects;
        site
    }

    /// Returns the folder that holds everything; tests may put clones into it.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the public repository, bare.
    pub(crate) fn upstream(&self) -> PathBuf {
        self.path().join("upstream.git")
    }

    /// Returns a work tree of the public repository, whose `origin` it is.
    pub(crate) fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    /// Returns the configuration.
    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }

    /// Changes the configuration before a server is started on it.
    pub(crate) fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
    }
}

/// The limits of a test that is about something else.
fn uncounted() -> Limits {
    let many = PerHour::new(std::num::NonZeroU32::MAX);
    Limits {
        reports_per_hour: many,
        project_reports_per_hour: many,
        claims_per_hour: many,
        sign_ins_per_hour: many,
        files_per_hour: many,
        project_files_per_hour: many,
        ..Limits::default()
    }
}

/// Makes the folder of a house: in memory, where there is plenty, for a server that is killed loses nothing by it.
pub(crate) fn folder() -> TempDir {
    const PLENTY: u64 = 2 << 30;
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |disk| disk.f_bavail * disk.f_frsize);
    let made = (room >= PLENTY).then(|| tempfile::tempdir_in(memory).ok()).flatten();
    made.unwrap_or_else(|| tempfile::tempdir().unwrap())
}
