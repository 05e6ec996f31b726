//! `embargo login`, `whoami`, `key` and `token`.
//!
//! Guards: what is signed names the server that is spoken to, so that no server can pass a sign-in on to another; session
//! and code stand in files of the user alone, never in an argument.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use maud::html;

use super::command::{open_in_browser, ssh_sign};
use super::credentials::{Credentials, Entry, folder, ssh_folder, write_private};
use super::server::Server;
use super::{Failure, Output, Result, credential};
use crate::crypto;
use crate::crypto::sshsig::{self, Signer};
use crate::domain::account::KeyKind;
use crate::domain::actor::Scope;
use crate::domain::id::{CaseId, KeyId, ProjectId, TokenId};
use crate::domain::refusal::Malformed;
use crate::domain::sealed::Secret;
use crate::domain::text::{Handle, Label};
use crate::wire::account::{AccessToken, Challenge, HandOver, Key, MadeToken, Me, NewKey, NewToken, SignIn, SignedIn};

/// Arguments of `embargo login`.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The server
    url: String,
    /// The SSH key to sign with, private or public half [default: `~/.ssh/id_ed25519`, then others]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Who to sign in as, where the key belongs to several accounts
    #[arg(long = "as", value_name = "HANDLE")]
    handle: Option<Handle>,
    /// Do not open the browser
    #[arg(long)]
    no_browser: bool,
    /// Do not tell git to ask this program for passwords at the server
    #[arg(long)]
    no_git: bool,
}

/// Commands about one's own public keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List your keys
    List,
    /// Add a key from a file
    Add {
        /// What it is for: `ssh` to sign in, `age` to read attachments
        kind: KeyKind,
        /// The file of the public key
        file: PathBuf,
    },
    /// Remove a key
    Remove {
        /// Which one, as `embargo key list` names it
        key: KeyId,
    },
}

/// Commands about one's own access tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List your tokens
    List,
    /// Make a token and print it, this once
    Make {
        /// What you call it
        name: Label,
        /// What it may do: `git:read`, `git:write`, `api:read`, `api:write`
        #[arg(long = "scope", required = true)]
        scopes: Vec<Scope>,
        /// How many days it lives, 90 at most
        #[arg(long, default_value_t = 30)]
        days: u16,
        /// The one project it is for
        #[arg(long)]
        project: Option<ProjectId>,
        /// The one case it is for
        #[arg(long)]
        case: Option<CaseId>,
    },
    /// Revoke a token
    Revoke {
        /// Which one, as `embargo token list` names it
        token: TokenId,
    },
}

/// Signs in here, and hands over to the browser.
pub(super) async fn login(login: &Login, output: Output) -> Result<()> {
    let server = Server::at(&login.url)?;
    let path = key_file(login.key.as_deref())?;
    let challenge: Challenge = server.ask("/sign-in/challenge").await?;
    if challenge.server != server.base() {
        return Err(Failure::Refused(format!(
            "The server at {} calls itself {}: sign in there, if that is the one you mean.",
            server.base(),
            crate::domain::text::shown(&challenge.server)
        )));
    }
    let (key, signature) = sign(&path, &challenge)?;
    let answer = SignIn { nonce: challenge.nonce, key, signature, handle: login.handle.clone() };
    let signed_in: SignedIn = server.post("/sign-in", &answer).await?;
    let me = signed_in.person;
    let entry = Entry {
        url: server.base().to_owned(),
        handle: me.handle.clone(),
        session: signed_in.session.clone(),
        expires_at: signed_in.expires_at,
    };
    Credentials::load()?.keep(entry)?;
    if !login.no_git {
        match credential::install(Path::new("."), server.base(), credential::Scope::User) {
            Ok(()) => output.remark(&format!("git asks `embargo` for passwords at {}.", server.base())),
            // Signing in succeeded; a machine without git is no reason to say otherwise.
            Err(failure) => output.complain(&failure),
        }
    }
    let server = server.with(Secret::new(signed_in.session));
    output.result(&me, &format!("Signed in to {} as @{} until {}.", server.base(), me.handle, signed_in.expires_at))?;
    if login.no_browser || output.is_json() { Ok(()) } else { hand_over(&server, output).await }
}

/// Shows who is signed in.
pub(super) async fn whoami(url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    let me: Me = server.get("/me").await?;
    output.result(&me, &format!("@{} ({}) at {}", me.handle, me.name, server.base()))
}

/// Looks after one's own keys.
pub(super) async fn key(command: &KeyCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    match command {
        KeyCommand::List => {
            let keys: Vec<Key> = server.get("/me/keys").await?;
            let lines: Vec<_> =
                keys.iter().map(|key| format!("{}  {}  {}", key.id, key.kind, key.fingerprint)).collect();
            output.result(&keys, &lines.join("\n"))
        }
        KeyCommand::Add { kind, file } => {
            let unreadable = |error| Failure::because(format!("The key {} could not be read.", file.display()), error);
            let public = fs::read_to_string(file).map_err(unreadable)?;
            check(*kind, &public).map_err(|wrong| Failure::Refused(format!("{}: {wrong}.", file.display())))?;
            let key: Key = server.post("/me/keys", &NewKey { kind: *kind, public }).await?;
            output.result(&key, &format!("Added the {} key {}.", key.kind, key.fingerprint))
        }
        KeyCommand::Remove { key } => {
            server.delete(&format!("/me/keys/{key}")).await?;
            output.result(&key, &format!("Removed the key {key}."))
        }
    }
}

/// Looks after one's own tokens.
pub(super) async fn token(command: &TokenCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    match command {
        TokenCommand::List => {
            let tokens: Vec<AccessToken> = server.get("/me/tokens").await?;
            let line = |token: &AccessToken| {
                let scopes: Vec<_> = token.scopes.iter().map(|scope| scope.as_str()).collect();
                format!("{}  {}  {}  until {}", token.id, token.name, scopes.join(" "), token.expires_at)
            };
            let lines: Vec<_> = tokens.iter().map(line).collect();
            output.result(&tokens, &lines.join("\n"))
        }
        TokenCommand::Make { name, scopes, days, project, case } => {
            let wish = NewToken {
                name: name.clone(),
                scopes: scopes.clone(),
                project: project.clone(),
                case: case.clone(),
                days: *days,
            };
            let made: MadeToken = server.post("/me/tokens", &wish).await?;
            output.remark("Copy the token now: it is shown this once.");
            output.result(&made, &made.secret)
        }
        TokenCommand::Revoke { token } => {
            server.delete(&format!("/me/tokens/{token}")).await?;
            output.result(&token, &format!("Revoked the token {token}."))
        }
    }
}

/// Refuses here what must not even be sent: a private key given for a public one.
fn check(kind: KeyKind, public: &str) -> Result<(), Malformed> {
    match kind {
        KeyKind::Ssh => drop(public.parse::<crypto::sshkey::SshKey>()?),
        KeyKind::Age => drop(public.parse::<crypto::recipient::AgeRecipient>()?),
    }
    Ok(())
}

async fn hand_over(server: &Server, output: Output) -> Result<()> {
    let link: HandOver = server.ask("/session/hand-over").await?;
    if link.page != format!("{}/sign-in", server.base()) {
        return Err(Failure::failed("The server named a sign-in page that is not its own."));
    }
    // The browser learns the code from a file of the user's own: an argument could be read by everyone on this machine.
    let file = folder()?.join("sign-in.html");
    let target = format!("0; url={}#{}", link.page, link.code);
    let page = html! { meta charset="utf-8"; meta http-equiv="refresh" content=(target); title { "Sign in" } };
    write_private(&file, &page.into_string())?;
    if open_in_browser(&file) {
        output.remark("The browser is open on the sign-in page: press \"Sign in\" there within two minutes.");
    } else {
        output.remark(&format!(
            "For a browser, open {} within two minutes and enter this code:\n\n    {}",
            link.page, link.code
        ));
    }
    Ok(())
}

/// Signs the challenge; returns the public key as one line and the armored signature.
fn sign(path: &Path, challenge: &Challenge) -> Result<(String, String)> {
    let challenge = sshsig::Challenge::new(&challenge.server, &challenge.nonce, challenge.made_at)?;
    let failed = |error| Failure::because(format!("The key {} could not sign.", path.display()), error);
    if path.extension().is_none_or(|extension| extension != "pub") {
        let unreadable = |error| Failure::because(format!("The key {} could not be read.", path.display()), error);
        let text = Secret::new(fs::read_to_string(path).map_err(unreadable)?);
        match Signer::parse(text.expose()) {
            Ok(signer) => {
                let signature = challenge.sign(&signer).map_err(failed)?;
                return Ok((signer.key().as_str().to_owned(), signature));
            }
            // A passphrase is asked for by ssh-keygen, and a key on hardware is touched through it.
            Err(crypto::Error::PassphraseMissing | crypto::Error::Key(_)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let public = if path.extension().is_some_and(|extension| extension == "pub") {
        path.to_owned()
    } else {
        let mut name = path.as_os_str().to_owned();
        name.push(".pub");
        name.into()
    };
    let unreadable = |error| Failure::because(format!("The public key {} could not be read.", public.display()), error);
    let key: crypto::sshkey::SshKey = fs::read_to_string(&public).map_err(unreadable)?.parse()?;
    let signature = ssh_sign(path, sshsig::LOGIN, challenge.message().as_bytes())
        .map_err(|error| Failure::because("`ssh-keygen` could not be started: install OpenSSH.", error))?;
    let signature = signature.ok_or_else(|| {
        Failure::failed("`ssh-keygen` did not sign: is the key loaded in the agent, or the passphrase right?")
    })?;
    Ok((key.as_str().to_owned(), signature))
}

fn key_file(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let names = ["id_ed25519", "id_ed25519_sk", "id_rsa", "id_ed25519.pub", "id_rsa.pub"];
    let candidates = ssh_folder().into_iter().flat_map(|folder| names.map(|name| folder.join(name)));
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| Failure::Refused("No SSH key was found in ~/.ssh: name one with --key.".to_owned()))
}
