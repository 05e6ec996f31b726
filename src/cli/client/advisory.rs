//! Commands about the advisory of a case.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;

use super::server::Server;
use super::{Failure, Output, Result};
use crate::domain::advisory::Advisory;
use crate::domain::digest::Digest;
use crate::domain::id::CaseId;
use crate::wire::advisory::{AdvisoryView, ApproveAdvisory, EditAdvisory};

/// Commands about advisories.
#[derive(Debug, Subcommand)]
pub(crate) enum AdvisoryCommand {
    /// Show the draft as JSON, to be changed and given back with `edit`
    Show {
        /// Which case
        case: CaseId,
    },
    /// Give the draft a new text
    Edit {
        /// Which case
        case: CaseId,
        /// A file of JSON as `show` prints it
        file: PathBuf,
    },
    /// Show a file as it would be published now
    Preview {
        /// Which case
        case: CaseId,
        /// The ending of the file's name: html, md or json
        #[arg(long, default_value = "md")]
        format: String,
    },
    /// Approve what would be published now, by its hash
    Approve {
        /// Which case
        case: CaseId,
        /// The hash that `preview` printed
        digest: Digest,
    },
}

/// Runs a command about advisories.
pub(super) async fn run(command: &AdvisoryCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    match command {
        AdvisoryCommand::Show { case } => {
            let view: AdvisoryView = server.get(&path(case)).await?;
            for lack in &view.missing {
                output.remark(lack);
            }
            let text = serde_json::to_string_pretty(&view.advisory)
                .map_err(|error| Failure::because("The draft is no JSON.", error))?;
            output.result(&view, &text)
        }
        AdvisoryCommand::Edit { case, file } => {
            let unreadable = |error| Failure::because(format!("The file {} could not be read.", file.display()), error);
            let text = fs::read_to_string(file).map_err(unreadable)?;
            let advisory: Advisory = serde_json::from_str(&text)
                .map_err(|error| Failure::because("The file is not a draft as `embargo advisory show` prints it.", error))?;
            let before: AdvisoryView = server.get(&path(case)).await?;
            let wish = EditAdvisory { advisory, version: before.version };
            let view: AdvisoryView = server.put(&path(case), &wish).await?;
            output.result(&view, &summed(&view))
        }
        AdvisoryCommand::Preview { case, format } => {
            let view: AdvisoryView = server.get(&path(case)).await?;
            let ending = format!(".{format}");
            let Some(document) = view.documents.iter().find(|document| document.path.ends_with(&ending)) else {
                return Err(Failure::Refused(
                    "There is no such file yet: plan the release of this case first, and ask for html, md or json.".to_owned(),
                ));
            };
            if let Some(digest) = &view.digest {
                output.remark(&format!("digest: {digest}"));
            }
            output.result(&view, &document.text)
        }
        AdvisoryCommand::Approve { case, digest } => {
            let view: AdvisoryView = server.post(&format!("{}/approve", path(case)), &ApproveAdvisory { digest: *digest }).await?;
            output.result(&view, &format!("Approved the advisory of {case} at {}.", digest.short()))
        }
    }
}

fn path(case: &CaseId) -> String {
    format!("/cases/{case}/advisory")
}

fn summed(view: &AdvisoryView) -> String {
    if view.missing.is_empty() { "The draft is complete.".to_owned() } else { view.missing.join("\n") }
}
