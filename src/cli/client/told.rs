//! `embargo told`: for who was told of a release before its instant. No account is needed; the personal link is all.
//!
//! Guards: the link stands in a file or comes on standard input, never in an argument; its code is sent to the server that the link
//! names, and in the body of a request.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::server::Server;
use super::{Failure, Output, Result, prompt};
use crate::domain::plain::AdvisoryId;
use crate::domain::recipient::{Affect, Remark};
use crate::domain::text::shown;
use crate::wire::wave::{AnswerWave, ShowLink, ToldView};

/// Commands of who was told.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ToldCommand {
    /// Show what you may know
    Show(LinkFile),
    /// Say that it arrived
    Acknowledge(LinkFile),
    /// Say whether you are affected: affected, not_affected or unknown
    Answer {
        #[command(flatten)]
        link: LinkFile,
        /// Whether you are
        answer: Affect,
        /// The advisory, where the page names one
        #[arg(long)]
        advisory: Option<AdvisoryId>,
        /// A short remark
        #[arg(long)]
        remark: Option<Remark>,
    },
    /// Fetch your copy of advisory and fixes, encrypted to your key: `age -d -i KEY FILE | tar -x` opens it
    Fetch {
        #[command(flatten)]
        link: LinkFile,
        /// Where it goes; must be new
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// Where the personal link is.
#[derive(Debug, Args)]
pub(in crate::cli) struct LinkFile {
    /// The file that holds the link of the mail, or - for standard input
    #[arg(long, value_name = "FILE")]
    link_file: PathBuf,
}

/// Runs a command of who was told.
pub(super) async fn run(command: &ToldCommand, output: Output) -> Result<()> {
    let view: ToldView = match command {
        ToldCommand::Show(link) => {
            let (server, code) = link.open()?;
            server.post_about("/told", &ShowLink { code }, MISSING).await?
        }
        ToldCommand::Acknowledge(link) => {
            let (server, code) = link.open()?;
            server.post_about("/told/acknowledge", &ShowLink { code }, MISSING).await?
        }
        ToldCommand::Answer { link, answer, advisory, remark } => {
            let (server, code) = link.open()?;
            let said = AnswerWave { code, advisory: advisory.clone(), answer: *answer, remark: remark.clone() };
            server.post_about("/told/answer", &said, MISSING).await?
        }
        ToldCommand::Fetch { link, output: file } => {
            let (server, code) = link.open()?;
            let bytes = fetch(&server, &ShowLink { code }, file).await?;
            let said = format!("{} bytes in {}: age -d -i KEY {} | tar -x", bytes, file.display(), file.display());
            return output.result(&bytes, &said);
        }
    };
    output.result(&view, &told(&view))
}

const MISSING: &str = "nothing that this link opens";

impl LinkFile {
    /// Reads the link: the server it names, and its code.
    fn open(&self) -> Result<(Server, String)> {
        let text = prompt::read(&self.link_file)?;
        let (address, code) = split(&text)
            .ok_or_else(|| Failure::Refused("The link of the mail looks like https://…/w/#embw_….".to_owned()))?;
        Ok((Server::at(address)?, code.to_owned()))
    }
}

/// Takes the server and the code out of a link.
fn split(text: &str) -> Option<(&str, &str)> {
    let link = text.split_whitespace().find(|word| word.contains("/w/#"))?;
    link.split_once("/w/#").filter(|(address, code)| !address.is_empty() && !code.is_empty())
}

async fn fetch(server: &Server, link: &ShowLink, to: &Path) -> Result<u64> {
    let failed = |error| Failure::because(format!("{} could not be written: it must be new.", to.display()), error);
    let mut answer = server.fetch_with("/told/copy", link).await?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(failed)?;
    let mut bytes = 0;
    let cut = |error: reqwest::Error| {
        let _ = std::fs::remove_file(to);
        Failure::because("The copy could not be fetched whole: nothing was kept of it.", error.without_url())
    };
    while let Some(piece) = answer.chunk().await.map_err(cut)? {
        file.write_all(&piece).map_err(failed)?;
        bytes += piece.len() as u64;
    }
    file.sync_all().map_err(failed)?;
    Ok(bytes)
}

fn told(view: &ToldView) -> String {
    let mut lines = vec![format!("A security release of {} is planned for {}", shown(&view.project), view.due_at)];
    lines.extend(view.lines.iter().map(|line| format!("{} {}: {}", line.repository, line.line, line.tag)));
    lines.extend(view.severity.as_ref().map(|word| format!("the highest severity: {word}")));
    lines.extend(view.key.as_ref().map(|key| format!("your copy is encrypted to {key}: embargo told fetch")));
    lines.push(match &view.acknowledged_at {
        Some(at) => format!("acknowledged {at}"),
        None => "not acknowledged yet: embargo told acknowledge".to_owned(),
    });
    for question in &view.questions {
        let about = question.advisory.as_deref().unwrap_or("this release");
        lines.push(format!("{about}: {}", question.answer.as_deref().unwrap_or("no answer yet")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_in_its_mail() {
        let mail = "Hello,\n\n  https://security.example.org/w/#embw_abc\n\nBye\n";
        assert_eq!(split(mail), Some(("https://security.example.org", "embw_abc")));
        assert_eq!(split("https://security.example.org/w/"), None);
        assert_eq!(split("/w/#"), None);
    }
}
