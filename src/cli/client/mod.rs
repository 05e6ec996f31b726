//! The commands that speak to a server over its API, as anyone's program could.

use clap::Subcommand;

use super::output::Output;
use super::{Failure, Result};

mod account;
mod advisory;
mod amendment;
mod arm;
mod attachment;
mod backport;
mod case;
mod check;
mod claim;
mod command;
mod credential;
mod credentials;
mod date;
mod details;
mod fix;
mod follow;
mod landing;
mod mark;
mod project;
mod prompt;
mod record;
mod release;
mod report;
mod screen;
mod server;
mod sign;
mod told;
mod wave;

pub(super) use case::AuditCommand;

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
    /// Plan, arm and watch releases
    #[command(subcommand)]
    Release(release::ReleaseCommand),
    /// Write and approve advisories
    #[command(subcommand)]
    Advisory(advisory::AdvisoryCommand),
    /// Report a vulnerability and come back to your report, without an account
    #[command(subcommand)]
    Report(report::ReportCommand),
    /// Open the personal link by which you were told of a release, and answer
    #[command(subcommand)]
    Told(told::ToldCommand),
    /// Work on cases
    #[command(subcommand)]
    Case(case::CaseCommand),
    /// Agree on when the embargo ends
    #[command(subcommand)]
    Date(date::DateCommand),
    /// Send and fetch files of a case, encrypted on this machine
    #[command(subcommand)]
    Attachment(attachment::AttachmentCommand),
    /// Begin, look at and approve fixes
    #[command(subcommand)]
    Fix(fix::FixCommand),
    /// Look at the checks of fixes
    #[command(subcommand)]
    Check(check::CheckCommand),
    /// Look at projects
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Look at what happened
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Tell git who you are, for plain `git clone`, `fetch` and `push`
    #[command(subcommand)]
    Credential(credential::CredentialCommand),
}

/// Runs a command against the named server, or the one signed in to last.
pub(super) async fn run(client: &Client, server: Option<&str>, output: Output) -> Result<()> {
    match client {
        Client::Login(login) => account::login(login, output).await,
        Client::Whoami => account::whoami(server, output).await,
        Client::Key(command) => account::key(command, server, output).await,
        Client::Token(command) => account::token(command, server, output).await,
        Client::Release(command) => release::run(command, server, output).await,
        Client::Advisory(command) => advisory::run(command, server, output).await,
        Client::Report(command) => report::run(command, server, output).await,
        Client::Told(command) => told::run(command, output).await,
        Client::Case(command) => case::run(command, server, output).await,
        Client::Date(command) => date::run(command, server, output).await,
        Client::Attachment(command) => attachment::run(command, server, output).await,
        Client::Fix(command) => fix::run(command, server, output).await,
        Client::Check(command) => check::run(command, server, output).await,
        Client::Project(command) => project::run(command, server, output).await,
        Client::Audit(command) => case::audit(command, server, output).await,
        Client::Credential(command) => credential::run(command, server, output),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        client: Client,
    }

    fn parses(line: &str) -> bool {
        Line::try_parse_from(["embargo"].into_iter().chain(line.split_whitespace())).is_ok()
    }

    #[test]
    fn the_commands_hang_together() {
        Line::command().debug_assert();
    }

    #[test]
    fn lines_that_people_type_are_understood() {
        const RUN: &str = "0190abcd0190abcd0190abcd0190abcd";
        for line in [
            "report submit https://security.example.org/octo --title Sample --text-file -",
            "report submit --project octo --title Sample --text-file r.md --severity high --credit Sample --attach a --attach b",
            "report submit https://security.example.org/octo --title Sample --text-file - --contact reporter@example.org --no-credit --claim-file c",
            "report status --claim-file c",
            "report reply --text-file -",
            "report credit --anonymous",
            "report date --claim-file c propose 2030-01-15T13:00:00Z",
            "report date accept",
            "report attach --claim-file c a b",
            "release wave set OCTO-R1 distros --level patches --before 7d",
            "release wave drop OCTO-R1 distros --level date",
            "release wave list OCTO-R1",
            "release trace OCTO-R1 a.mbox b.txt",
            "told show --link-file l",
            "told acknowledge --link-file -",
            "told answer --link-file l not_affected --advisory OCTO-2030-0001",
            "told fetch --link-file l -o release.tar.age",
            "case list",
            "case show OCTO-1",
            "case accept OCTO-1",
            "case close OCTO-1 out_of_scope",
            "case comment OCTO-1 --to reporter",
            "case invite OCTO-1 sample release_manager",
            "case history OCTO-1",
            "case retrospective OCTO-1",
            "case record OCTO-1",
            "case record OCTO-1 --line timeline/opened --line timeline/published",
            "case follow-up OCTO-1 --because incomplete --title Rest",
            "advisory correct OCTO-1 --why Sample",
            "audit show OCTO-1",
            "date propose OCTO-1 2030-01-15T13:00:00Z",
            "date terminate OCTO-1",
            "attachment put OCTO-1 poc.bin",
            "fix start OCTO-1",
            "fix start OCTO-1 --line 1.11.x --repository octo",
            "fix approve OCTO-1 --line main --commit 0123456789012345678901234567890123456789",
            "fix approve OCTO-1 --line main --yes",
            "check watch OCTO-1",
            "check rerun OCTO-1 --line main",
            "project mirror octo",
            "credential get",
            "credential setup",
        ] {
            assert!(parses(line), "{line}");
        }
        for line in ["check watch", "check cancel", "check log", "attachment get OCTO-1"] {
            assert!(!parses(line), "{line}");
            let rest = if line == "check log" { " build" } else { "" };
            assert!(parses(&format!("{line} {RUN}{rest}")), "{line}");
        }
    }

    #[test]
    fn lines_that_mean_nothing_or_two_things_are_refused() {
        for line in [
            "report submit --title Sample --text-file -",
            "report submit https://security.example.org/octo --project octo --title Sample --text-file -",
            "report submit https://security.example.org/octo --title Sample",
            "report submit https://security.example.org/octo --title Sample --text-file - --credit Sample --anonymous",
            "report submit https://security.example.org/octo --title Sample --text-file - --severity dreadful",
            "report attach --claim-file c",
            "release wave set OCTO-R1 distros --level patches",
            "release wave set OCTO-R1 distros --level all --before 7d",
            "release trace OCTO-R1",
            "told show https://security.example.org/w/#embw_x",
            "report status ABCDE-ABCDE-ABCDE-ABCDE-ABCDE-ABCDE",
            "case show octo-1",
            "case comment OCTO-1",
            "case close OCTO-1",
            "case follow-up OCTO-1 --because boredom --title Rest",
            "advisory withdraw OCTO-1",
            "date propose OCTO-1 2030-01-15T13:00",
            "fix approve OCTO-1 --line main --commit 0123456",
            "fix approve OCTO-1 --line main --yes --commit 0123456789012345678901234567890123456789",
            "fix start OCTO-1 --line fix/main",
            "attachment get OCTO-1 0190abcd0190abcd0190abcd0190abcd --raw --identity k",
        ] {
            assert!(!parses(line), "{line}");
        }
    }
}
