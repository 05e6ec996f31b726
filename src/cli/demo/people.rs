//! The four sample people: a reporter without an account, a maintainer, a reviewer and a release manager.
//!
//! Guards: each has a home and keys of their own, and acts by what their own sign-in and token allow.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::command::{self, Call};
use super::upstream::make_folder;
use crate::cli::{Failure, Result};

/// Who plays whom.
pub(super) const MAINTAINER: Part = Part { handle: "maintainer", name: "Sample Maintainer", role: "fixer" };
/// Reviews, and may release: the second of the two who arm.
pub(super) const REVIEWER: Part = Part { handle: "reviewer", name: "Sample Reviewer", role: "release_manager" };
/// Plans the release; also the first person of the server.
pub(super) const MANAGER: Part = Part { handle: "manager", name: "Sample Release Manager", role: "release_manager" };
/// Ships the project, and is told before the instant; has no account.
pub(super) const DISTRIBUTION: Part = Part { handle: "distribution", name: "Sample Distribution", role: "" };

/// The reporter's name, as they want to be thanked.
pub(super) const REPORTER_NAME: &str = "Sample Reporter";
/// Where news for the reporter goes.
pub(super) const REPORTER_MAIL: &str = "reporter@example.org";

/// A part in the story.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// The handle.
    pub(super) handle: &'static str,
    /// The name.
    pub(super) name: &'static str,
    /// The role in the team.
    pub(super) role: &'static str,
}

/// A person with an account.
pub(super) struct Person {
    /// Their part.
    pub(super) part: Part,
    /// Their home folder.
    pub(super) home: PathBuf,
}

/// A reporter without an account.
pub(super) struct Reporter {
    /// Their home folder.
    pub(super) home: PathBuf,
    server: String,
}

impl Part {
    /// Makes the home and the SSH key; returns the home.
    pub(super) async fn move_in(self, homes: &Path) -> Result<PathBuf> {
        let home = homes.join(self.handle);
        make_folder(&home.join(".ssh"))?;
        let keygen = command::program("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", self.handle, "-f"]);
        keygen.arg(key_of(&home)).succeed().await?;
        Ok(home)
    }

    /// Returns the arguments that describe this person to the operator's commands.
    pub(super) fn arguments(self, home: &Path) -> Vec<String> {
        let public = format!("{}.pub", key_of(home).display());
        let mail = self.mail();
        let words = [
            "--handle",
            self.handle,
            "--name",
            self.name,
            "--email",
            &mail,
            "--ssh-key",
            &public,
            "--age-key",
            &public,
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Returns where notices for this person go.
    pub(super) fn mail(self) -> String {
        format!("{}@example.org", self.handle)
    }
}

impl Person {
    /// Signs in with the SSH key.
    pub(super) async fn arrive(part: Part, home: PathBuf, server: &str) -> Result<Self> {
        let person = Self { part, home };
        person.sign_in(server).await?;
        Ok(person)
    }

    /// Signs in; arming asks for it to be done anew.
    pub(super) async fn sign_in(&self, server: &str) -> Result<()> {
        let login = command::ourselves()?.home(&self.home).args(["--json", "login", server, "--no-browser", "--key"]);
        login.arg(key_of(&self.home)).succeed().await.map(drop)
    }

    /// Runs a command of the client as this person and reads what it prints.
    pub(super) async fn embargo<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T> {
        client(&self.home, words).await
    }

    /// Prepares this binary as this person, standing in a folder.
    pub(super) fn embargo_in(&self, folder: &Path) -> Result<Call> {
        Ok(command::ourselves()?.home(&self.home).folder(folder))
    }

    /// Prepares git as this person. Passwords come from the client, which git asks by itself.
    pub(super) fn git(&self, folder: &Path) -> Call {
        let mail = self.part.mail();
        command::git(folder)
            .home(&self.home)
            .env("GIT_AUTHOR_NAME", self.part.name)
            .env("GIT_AUTHOR_EMAIL", &mail)
            .env("GIT_COMMITTER_NAME", self.part.name)
            .env("GIT_COMMITTER_EMAIL", &mail)
    }
}

impl Reporter {
    /// Makes the home.
    pub(super) fn move_in(homes: &Path, server: &str) -> Result<Self> {
        let home = homes.join("reporter");
        make_folder(&home)?;
        Ok(Self { home, server: server.to_owned() })
    }

    /// Writes a file at home.
    pub(super) fn keep(&self, name: &str, text: &str) -> Result<String> {
        let path = self.home.join(name);
        fs::write(&path, text).map_err(|error| Failure::because("The reporter's file could not be written.", error))?;
        Ok(path.display().to_string())
    }

    /// Runs a command of the client as the reporter and reads what it prints.
    pub(super) async fn embargo<T: DeserializeOwned>(&self, words: &[&str]) -> Result<T> {
        let words: Vec<&str> = ["--server", &self.server].into_iter().chain(words.iter().copied()).collect();
        client(&self.home, &words).await
    }
}

async fn client<T: DeserializeOwned>(home: &Path, words: &[&str]) -> Result<T> {
    let printed = command::ourselves()?.home(home).arg("--json").args(words).succeed().await?;
    serde_json::from_str(&printed).map_err(|error| Failure::because("A command printed something unexpected.", error))
}

/// Returns where the SSH key of a home is; its public half lies beside it.
pub(super) fn key_of(home: &Path) -> PathBuf {
    home.join(".ssh/id_ed25519")
}
