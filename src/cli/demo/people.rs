//! The four sample people: a reporter without an account, a maintainer, a reviewer and a release manager.
//!
//! Guards: each has a home and keys of their own, and acts by what their own sign-in and token allow.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::api::Api;
use super::command::{self, Call};
use super::upstream::make_folder;
use crate::cli::{Failure, Result};
use crate::domain::sealed::Secret;

/// Who plays whom.
pub(super) const MAINTAINER: Part = Part { handle: "maintainer", name: "Sample Maintainer", role: "fixer" };
/// Reviews, and may release: the second of the two who arm.
pub(super) const REVIEWER: Part = Part { handle: "reviewer", name: "Sample Reviewer", role: "release_manager" };
/// Plans the release; also the first person of the server.
pub(super) const MANAGER: Part = Part { handle: "manager", name: "Sample Release Manager", role: "release_manager" };

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
    /// The API, signed in.
    pub(super) api: Api,
    token: Secret,
}

/// A reporter without an account.
pub(super) struct Reporter {
    /// Their home folder.
    pub(super) home: PathBuf,
}

#[derive(Deserialize)]
struct Credentials {
    server: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    session: String,
}

#[derive(Deserialize)]
struct MadeToken {
    secret: String,
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
        let words = ["--handle", self.handle, "--name", self.name, "--email", &mail, "--ssh-key", &public, "--age-key", &public];
        words.map(str::to_owned).to_vec()
    }

    /// Returns where notices for this person go.
    pub(super) fn mail(self) -> String {
        format!("{}@example.org", self.handle)
    }
}

impl Person {
    /// Signs in with the SSH key and makes a token for git.
    pub(super) async fn arrive(part: Part, home: PathBuf, api: &Api, server: &str) -> Result<Self> {
        let api = sign_in(&home, api, server).await?;
        let make = ["--json", "token", "make", "demo", "--scope", "git:read", "--scope", "git:write", "--days", "1"];
        let made = command::ourselves()?.home(&home).args(make).succeed().await?;
        let made: MadeToken = serde_json::from_str(&made).map_err(|error| Failure::because("No token was made.", error))?;
        Ok(Self { part, home, api, token: Secret::new(made.secret) })
    }

    /// Signs in anew, as arming asks for.
    pub(super) async fn sign_in_again(&mut self, server: &str) -> Result<()> {
        self.api = sign_in(&self.home, &self.api, server).await?;
        Ok(())
    }

    /// Prepares git as this person, with their token for this server and no other.
    pub(super) fn git(&self, folder: &Path, server: &str) -> Call {
        let mail = self.part.mail();
        command::git(folder)
            .home(&self.home)
            .config(&format!("http.{server}/.extraHeader"), &format!("Authorization: Bearer {}", self.token.expose()))
            .env("GIT_AUTHOR_NAME", self.part.name)
            .env("GIT_AUTHOR_EMAIL", &mail)
            .env("GIT_COMMITTER_NAME", self.part.name)
            .env("GIT_COMMITTER_EMAIL", &mail)
    }

    /// Decrypts an age file with the SSH key.
    pub(super) async fn decrypt(&self, cipher: &Path, plain: &Path) -> Result<()> {
        let age = command::program("age").home(&self.home).arg("--decrypt").arg("--identity").arg(key_of(&self.home));
        age.arg("--output").arg(plain).arg(cipher).succeed().await.map(drop)
    }
}

impl Reporter {
    /// Makes the home and an age key.
    pub(super) async fn move_in(homes: &Path) -> Result<Self> {
        let home = homes.join("reporter");
        make_folder(&home)?;
        command::program("age-keygen").arg("-o").arg(home.join("key.txt")).succeed().await?;
        Ok(Self { home })
    }

    /// Encrypts a file for the project's team, and for the reporter, with the `age` program.
    pub(super) async fn encrypt(&self, plain: &str, recipients: &str) -> Result<Vec<u8>> {
        let place = |name: &str| self.home.join(name);
        let own = command::program("age-keygen").arg("-y").arg(place("key.txt")).succeed().await?;
        let failed = |error| Failure::because("The attachment could not be encrypted.", error);
        fs::write(place("recipients.txt"), format!("{recipients}{own}\n")).map_err(failed)?;
        fs::write(place("plain"), plain).map_err(failed)?;
        let age = command::program("age").arg("-R").arg(place("recipients.txt")).arg("-o").arg(place("cipher.age"));
        age.arg(place("plain")).succeed().await?;
        fs::read(place("cipher.age")).map_err(failed)
    }
}

/// Runs `embargo login` and takes the session from the file it is kept in.
async fn sign_in(home: &Path, api: &Api, server: &str) -> Result<Api> {
    let login = command::ourselves()?.home(home).args(["--json", "login", server, "--no-browser", "--key"]);
    login.arg(key_of(home)).succeed().await?;
    let unknown = "The client keeps its session elsewhere than expected.";
    let text = fs::read_to_string(home.join(".config/embargo/credentials.toml"));
    let text = text.map_err(|error| Failure::because(unknown, error))?;
    let kept: Credentials = toml::from_str(&text).map_err(|_| Failure::failed(unknown))?;
    let entry = kept.server.into_iter().next().ok_or_else(|| Failure::failed(unknown))?;
    Ok(api.with(Secret::new(entry.session)))
}

fn key_of(home: &Path) -> PathBuf {
    home.join(".ssh/id_ed25519")
}
