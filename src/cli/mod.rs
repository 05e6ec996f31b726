//! The command line: one binary for the server, its operator, and everyone who works with it.
//!
//! Guards: parsing checks and never acts; the exit code says how it went: 0 done, 1 refused, 2 wrong usage, 3 failed. Leaves
//! the operator's commands to [`admin`] and those that speak to a server to [`client`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::output::Output;
use crate::wire::hook::HookName;

mod admin;
mod audit;
mod client;
mod demo;
mod hook;
mod output;
mod serve;

/// Fix vulnerabilities in secret and disclose them on the minute
#[derive(Debug, Parser)]
#[command(name = "embargo", version, propagate_version = true)]
struct Arguments {
    /// Read the server's configuration from this file
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/embargo/config.toml")]
    config: PathBuf,
    /// Speak to this server instead of the one signed in to last
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set up a new server: configuration, keys, the first person
    Init(admin::Init),
    /// Run the server
    Serve(serve::Serve),
    /// Tell the whole story on a sample project, or on a copy of a real one
    Demo(Box<demo::Demo>),
    /// Judge a push: run by git, not by people
    #[command(hide = true)]
    Hook {
        /// pre-receive or post-receive
        name: String,
    },
    /// Look after people and teams, on the server's own machine
    #[command(subcommand)]
    Admin(admin::Admin),
    #[command(flatten)]
    Client(client::Client),
}

/// How a command ends when it does not succeed; displays a sentence for the person.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// A rule said no: exit code 1.
    #[error("{0}")]
    Refused(String),
    /// Something did not work: exit code 3.
    #[error("{sentence}")]
    Failed {
        /// What, and what to do.
        sentence: String,
        /// Why.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    fn failed(sentence: impl Into<String>) -> Self {
        Self::Failed { sentence: sentence.into(), source: None }
    }

    fn because(sentence: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed { sentence: sentence.into(), source: Some(source.into()) }
    }

    fn code(&self) -> ExitCode {
        match self {
            Self::Refused(_) => ExitCode::from(1),
            Self::Failed { .. } => ExitCode::from(3),
        }
    }
}

impl From<crate::domain::refusal::Malformed> for Failure {
    fn from(malformed: crate::domain::refusal::Malformed) -> Self {
        Self::Refused(crate::domain::refusal::Refusal::from(malformed).to_string())
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A hook waits for one answer: it needs no threads.
    if let Command::Hook { name } = &arguments.command {
        let goes_on = match name.as_str() {
            "pre-receive" => hook::run(HookName::PreReceive),
            "post-receive" => hook::run(HookName::PostReceive),
            _ => false,
        };
        return if goes_on { ExitCode::SUCCESS } else { ExitCode::from(1) };
    }
    let output = Output::new(arguments.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.complain(&Failure::because("No threads could be started.", error));
            return ExitCode::from(3);
        }
    };
    match runtime.block_on(run(&arguments, output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.complain(&failure);
            failure.code()
        }
    }
}

async fn run(arguments: &Arguments, output: Output) -> Result<()> {
    match &arguments.command {
        Command::Init(init) => admin::init(&arguments.config, init, output).await,
        Command::Serve(serve) => serve::run(&arguments.config, serve).await,
        Command::Demo(demo) => demo::run(demo, output).await,
        Command::Hook { .. } => Err(Failure::failed("A hook is run by git.")),
        Command::Admin(admin) => admin::run(&arguments.config, admin, output).await,
        Command::Client(client::Client::Audit(client::AuditCommand::Verify)) => {
            audit::verify(&arguments.config, output).await
        }
        Command::Client(client) => client::run(client, arguments.server.as_deref(), output).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_hang_together() {
        Arguments::command().debug_assert();
    }
}
