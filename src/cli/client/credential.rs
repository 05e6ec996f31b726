//! `embargo credential`: the helper that git asks for a password (git-credential(1), gitcredentials(7)).
//!
//! Guards: a session goes only to git, only for the server it belongs to, and no other helper is told to keep it.

use std::io::{self, Read, Write};
use std::path::Path;

use clap::Subcommand;

use super::command::{ask_git, git};
use super::credentials::Credentials;
use super::server::Server;
use super::{Failure, Output, Result};

/// Bytes git may say.
const LONGEST: u64 = 64 * 1024;

/// What git says to a helper, and how git is told to ask.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CredentialCommand {
    /// Let git ask this program for passwords at the server, in your own git configuration
    Setup,
    /// Answer git with the session of the server it names
    #[command(hide = true)]
    Get,
    /// Take note of what worked: nothing is to be kept
    #[command(hide = true)]
    Store,
    /// Take note of what did not work: sign in again
    #[command(hide = true)]
    Erase,
}

/// Whose git configuration names the helper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Scope {
    /// This clone.
    Clone,
    /// The user.
    User,
}

/// Runs one of them.
pub(super) fn run(command: &CredentialCommand, url: Option<&str>, output: Output) -> Result<()> {
    match command {
        CredentialCommand::Setup => {
            let server = Server::signed_in(url)?;
            install(Path::new("."), server.base(), Scope::User)?;
            let sentence = format!("git asks `embargo` for passwords at {} from now on.", server.base());
            output.result(&server.base(), &sentence)
        }
        CredentialCommand::Get => {
            let mut asked = String::new();
            let failed = |error| Failure::because("git said something unexpected.", error);
            io::stdin().lock().take(LONGEST).read_to_string(&mut asked).map_err(failed)?;
            let answer = answer(&asked, &Credentials::load()?);
            let _ = io::stdout().lock().write_all(answer.as_bytes());
            Ok(())
        }
        CredentialCommand::Store => Ok(()),
        CredentialCommand::Erase => {
            output.remark("The server did not take your session: run `embargo login` and try again.");
            Ok(())
        }
    }
}

/// Names this program as git's helper for the server, and as the only one there.
pub(super) fn install(folder: &Path, server: &str, scope: Scope) -> Result<()> {
    let program =
        std::env::current_exe().map_err(|error| Failure::because("This program does not know where it is.", error))?;
    let program =
        program.to_str().ok_or_else(|| Failure::failed("This program lies at a place that git cannot be told."))?;
    let key = format!("credential.{server}.helper");
    let scope = match scope {
        Scope::Clone => "--local",
        Scope::User => "--global",
    };
    let helper = format!("!{} credential", quoted(program));
    let now = ask_git(folder, &["config", scope, "--get-all", &key]).map_err(no_git)?;
    // An empty value forgets the helpers named before, one of which might write the session down (gitcredentials(7)).
    if now.as_deref().map(str::trim) == Some(helper.as_str()) || now.as_deref() == Some(format!("\n{helper}").as_str())
    {
        return Ok(());
    }
    let first = git(folder, &["config", scope, "--replace-all", &key, ""]).map_err(no_git)?;
    let second = git(folder, &["config", scope, "--add", &key, &helper]).map_err(no_git)?;
    match (first, second) {
        (Some(_), Some(_)) => Ok(()),
        _ => Err(Failure::failed("git could not be told whom to ask for passwords.")),
    }
}

/// Says that there is no git.
pub(super) fn no_git(error: io::Error) -> Failure {
    Failure::because("`git` could not be started: install it.", error)
}

/// Answers with the session of exactly the server git names; with nothing if there is none.
fn answer(asked: &str, credentials: &Credentials) -> String {
    let value = |name: &str| asked.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let (Some(protocol), Some(host)) = (value("protocol"), value("host")) else { return String::new() };
    let Some(entry) = credentials.find(Some(&format!("{protocol}://{host}"))) else { return String::new() };
    if entry.session.contains(['\n', '\0']) || value("username").is_some_and(|name| name != entry.handle.as_str()) {
        return String::new();
    }
    format!(
        "username={}\npassword={}\npassword_expiry_utc={}\n",
        entry.handle,
        entry.session,
        entry.expires_at.as_second()
    )
}

/// Quotes a word for the shell that git hands it to.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        toml::from_str(
            "current = \"https://security.example.org\"\n\
             [[server]]\nurl = \"https://security.example.org\"\nhandle = \"sample\"\nsession = \"embs_sample\"\nexpires_at = \"2030-01-15T13:00:00Z\"\n\
             [[server]]\nurl = \"http://127.0.0.1:8484\"\nhandle = \"other\"\nsession = \"embs_other\"\nexpires_at = \"2030-01-15T13:00:00Z\"\n",
        )
        .unwrap()
    }

    #[test]
    fn git_gets_the_session_of_the_server_it_names_and_of_no_other() {
        let known = credentials();
        let said = |asked: &str| answer(asked, &known);
        let expected = "username=sample\npassword=embs_sample\npassword_expiry_utc=1894712400\n";
        assert_eq!(said("protocol=https\nhost=security.example.org\n\n"), expected);
        assert_eq!(
            said("capability[]=authtype\nprotocol=https\nhost=security.example.org\nusername=sample\n"),
            expected
        );
        assert!(said("protocol=http\nhost=127.0.0.1:8484\n").contains("embs_other"));
        for foreign in [
            "protocol=http\nhost=security.example.org\n",
            "protocol=https\nhost=security.example.org:444\n",
            "protocol=https\nhost=security.example.org.example.com\n",
            "protocol=https\nhost=security.example.org\nusername=else\n",
            "protocol=https\n",
            "host=security.example.org\n",
            "",
        ] {
            assert_eq!(said(foreign), "", "{foreign:?}");
        }
    }

    #[test]
    fn helper_is_the_only_one_for_the_server_however_often_it_is_set_up() {
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q"]).unwrap().unwrap();
        for _ in 0..2 {
            install(folder.path(), "https://security.example.org", Scope::Clone).unwrap();
        }
        let key = "credential.https://security.example.org.helper";
        let values = ask_git(folder.path(), &["config", "--local", "--get-all", key]).unwrap().unwrap();
        let values: Vec<&str> = values.split('\n').collect();
        assert_eq!(values.len(), 2);
        assert_eq!(values[0], "");
        assert!(values[1].starts_with("!'/") && values[1].ends_with("' credential"));
    }

    #[test]
    fn a_quote_in_the_path_stays_in_the_path() {
        assert_eq!(quoted("/a b/it's"), "'/a b/it'\\''s'");
    }
}
