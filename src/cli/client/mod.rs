//! The commands that speak to a server over its API, as anyone's program could.

use clap::Subcommand;

use super::output::Output;
use super::{Failure, Result};

mod account;
mod advisory;
mod command;
mod credentials;
mod server;

/// Commands that speak to a server.
#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// Sign in with your SSH key, here and in the browser
    Login(account::Login),
    /// Show who is signed in
    Whoami,
    /// Look after your own public keys
    #[command(subcommand)]
    Key(account::KeyCommand),
    /// Look after your access tokens
    #[command(subcommand)]
    Token(account::TokenCommand),
    /// Write, preview and approve the advisory of a case
    #[command(subcommand)]
    Advisory(advisory::AdvisoryCommand),
}

/// Runs a command against the named server, or the one signed in to last.
pub(super) async fn run(client: &Client, server: Option<&str>, output: Output) -> Result<()> {
    match client {
        Client::Login(login) => account::login(login, output).await,
        Client::Whoami => account::whoami(server, output).await,
        Client::Key(command) => account::key(command, server, output).await,
        Client::Token(command) => account::token(command, server, output).await,
        Client::Advisory(command) => advisory::run(command, server, output).await,
    }
}
