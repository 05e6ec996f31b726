//! Sample repositories for the tests of this port: a public one, worked on by the real git, and our side of it.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::command::GitCommand;
use super::identity::Identity;
use super::mirror::{Interrupt, MirrorError, MirrorOutcome, Upstream};
use super::remote::Access;
use super::{Git, Options, Repo};
use crate::domain::id::{CaseId, Minted, UpstreamId};
use crate::domain::repo::{CommitId, LineName};

/// A public repository with two lines and a tag, and an empty data folder.
pub(super) struct Sample {
    pub(super) git: Git,
    pub(super) folder: TempDir,
    pub(super) id: UpstreamId,
}

impl Sample {
    /// Makes `main` with two commits, `1.x` at the first, and the annotated tag `v1.0` there.
    pub(super) async fn new() -> Self {
        let sample = Self::empty(Options::default()).await;
        sample.write("lib.c", "one\ntwo\nthree\nfour\nfive\n").await;
        sample.write("README", "sample\n").await;
        sample.user(["tag", "-a", "-m", "v1.0", "v1.0"]).await;
        sample.user(["branch", "1.x"]).await;
        sample.write("NEWS", "more\n").await;
        sample
    }

    pub(super) async fn empty(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let git = Git::open(options, &data).await.unwrap();
        let sample = Self { git, folder, id: UpstreamId::mint(1_700_000_000_000, [7; 10]) };
        let work = sample.work();
        std::fs::create_dir(&work).unwrap();
        sample.user(["init", "-q", "-b", "main"]).await;
        sample
    }

    /// Where the public repository is worked on; its address too.
    pub(super) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    pub(super) fn upstream(&self) -> Upstream {
        Self::at(&self.work())
    }

    pub(super) fn at(path: &Path) -> Upstream {
        Upstream { url: path.to_str().unwrap().parse().unwrap(), access: Access::Open }
    }

    /// Builds git as a person runs it, in a folder.
    pub(super) fn client(&self, folder: &Path) -> GitCommand {
        let mut command = self.git.command("sample").in_folder(folder);
        for who in ["AUTHOR", "COMMITTER"] {
            command = command
                .env(&format!("GIT_{who}_NAME"), "Sample Developer")
                .env(&format!("GIT_{who}_EMAIL"), "developer@example.org")
                .env(&format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
        }
        command.transport("file").transport("http")
    }

    /// Runs git in the public repository and returns what it printed.
    pub(super) async fn user<const N: usize>(&self, args: [&str; N]) -> String {
        self.user_in(&self.work(), args).await
    }

    pub(super) async fn user_in<const N: usize>(&self, folder: &Path, args: [&str; N]) -> String {
        let output = self.client(folder).args(args).run(b"").await.unwrap();
        assert_eq!(output.code, Some(0), "{args:?}: {}", output.said.text());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits one file on the branch that is checked out, and returns the commit.
    pub(super) async fn write(&self, name: &str, text: &str) -> CommitId {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self.user(["add", "-A"]).await;
        self.user(["commit", "-q", "-m", &format!("change {name}")]).await;
        self.head("HEAD").await
    }

    pub(super) async fn head(&self, name: &str) -> CommitId {
        self.user(["rev-parse", name]).await.parse().unwrap()
    }

    pub(super) async fn update(&self) -> Result<MirrorOutcome, MirrorError> {
        self.git.update_mirror(self.id, &self.upstream(), |_| {}, Interrupt::default()).await
    }

    /// Mirrors, and makes the case's private remote.
    pub(super) async fn case(&self, id: &str) -> Repo {
        self.update().await.unwrap();
        let case: CaseId = id.parse().unwrap();
        self.git.create_case(&case, self.id, &Self::lines()).await.unwrap();
        Repo::Case(case, self.id)
    }

    pub(super) fn lines() -> Vec<LineName> {
        vec!["main".parse().unwrap(), "1.x".parse().unwrap()]
    }

    /// Lists the refs of one of our repositories as `<name> <id>` lines.
    pub(super) async fn refs(&self, repo: &Repo) -> Vec<String> {
        let path = self.git.path(repo);
        let command = self.git.command("sample").in_repository(&path);
        let output = command.args(["for-each-ref", "--format=%(refname) %(objectname)"]).succeed(b"").await.unwrap();
        String::from_utf8(output).unwrap().lines().map(str::to_owned).collect()
    }

    /// Lets git judge one of our repositories.
    pub(super) async fn fsck(&self, repo: &Repo) {
        let path = self.git.path(repo);
        let output = self
            .git
            .command("sample")
            .in_repository(&path)
            .args(["fsck", "--full", "--strict"])
            .run(b"")
            .await
            .unwrap();
        assert_eq!(output.code, Some(0), "{}", output.said.text());
    }

    pub(super) fn identity() -> Identity {
        Identity::new("Sample Manager", "manager@example.org").unwrap()
    }
}
