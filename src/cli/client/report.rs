//! `embargo report`: the reporter's side. No account is needed; the claim code is the way back.
//!
//! Guards: attachments are encrypted before they leave; the claim code is shown before anything else can fail, stands in no
//! argument, and is sent to no other server than the one that gave it.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::attachment::{recipients, said, send, sendable};
use super::case::thread;
use super::claim::{ClaimFile, read_claim};
use super::credentials::Credentials;
use super::server::Server;
use super::{Failure, Output, Result, prompt};
use crate::domain::id::ProjectId;
use crate::domain::record::RecordAnswer;
use crate::domain::refusal::Malformed;
use crate::domain::report::{ClaimedSeverity, CreditWish, ReportBody};
use crate::domain::sealed::Secret;
use crate::domain::text::{EmailAddress, Label, Title, shown};
use crate::wire::case::{DateRequest, DateWord};
use crate::wire::record::{AnswerRecord, RecordQuestion};
use crate::wire::report::{
    ClaimRequest, IntakeView, ReceiptView, ReporterView, SignedReceiptView, StoredView, TextRequest, VisitView,
};

/// Commands of reporters.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ReportCommand {
    /// Report a vulnerability to a project
    Submit(Box<Submit>),
    /// Show where your report stands and what the team wrote
    Status(Claim),
    /// Write to the team
    Reply {
        #[command(flatten)]
        claim: Claim,
        /// The file of the text, or - for standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        text_file: PathBuf,
    },
    /// Say how you want to be thanked
    Credit {
        #[command(flatten)]
        claim: Claim,
        #[command(flatten)]
        wish: Wish,
    },
    /// Propose when the embargo ends, or answer the team's proposal
    Date {
        #[command(flatten)]
        claim: Claim,
        #[command(subcommand)]
        act: DateAct,
    },
    /// Keep proof of what you sent and when: the signed receipt, and what its hash covers
    Receipt {
        #[command(flatten)]
        claim: Claim,
        /// The folder the three files are written to
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Say whether your own words may stand in the public record of the case, where the project opens one
    Record {
        #[command(flatten)]
        claim: Claim,
        #[command(subcommand)]
        act: RecordAct,
    },
    /// Encrypt files here and attach them to your report
    Attach {
        #[command(flatten)]
        claim: Claim,
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// What a reporter can do about the date.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DateAct {
    /// Propose when the embargo ends
    Propose {
        /// The instant, such as `2030-01-15T13:00:00Z` or `2030-01-15T14:00[Europe/Berlin]`
        #[arg(value_parser = super::date::instant)]
        at: Timestamp,
    },
    /// Agree to the proposed date
    Accept,
    /// Say no to the proposed date
    Reject,
}

/// What a reporter can say about their own words. It can be changed until the record is public.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RecordAct {
    /// They may be shown
    Agree,
    /// They may not, or not any more
    Decline,
}

/// Where the claim code is.
#[derive(Debug, Args)]
pub(in crate::cli) struct Claim {
    /// The file of the claim code, or - for standard input [default: asks]
    #[arg(long, value_name = "FILE", global = true)]
    claim_file: Option<PathBuf>,
}

/// How to be thanked.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(in crate::cli) struct Wish {
    /// Thank me under this name
    #[arg(long, value_name = "NAME")]
    credit: Option<Label>,
    /// Thank an anonymous reporter; the default of a new report
    #[arg(long)]
    anonymous: bool,
    /// Do not mention a reporter
    #[arg(long)]
    no_credit: bool,
}

impl Wish {
    fn credit(&self) -> CreditWish {
        match &self.credit {
            Some(name) => CreditWish::Named { name: name.clone() },
            None if self.no_credit => CreditWish::Unnamed,
            None => CreditWish::Anonymous,
        }
    }
}

/// A server and a project on it, as `https://security.example.org/project`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Desk {
    server: String,
    project: ProjectId,
}

impl std::str::FromStr for Desk {
    type Err = Malformed;

    /// Takes the address of the project's report page too.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let rule = Malformed::new("where to report looks like https://security.example.org/project");
        let (server, project) = text.trim_end_matches('/').rsplit_once('/').ok_or(rule.clone())?;
        let server = server.strip_suffix("/report").unwrap_or(server);
        if !server.contains("://") {
            return Err(rule);
        }
        Ok(Self { server: server.to_owned(), project: project.parse()? })
    }
}

/// Arguments of `embargo report submit`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Submit {
    /// Where to report: the server and the project, as `https://security.example.org/project`
    #[arg(value_name = "URL", required_unless_present = "project", conflicts_with = "project")]
    desk: Option<Desk>,
    /// The project, together with --server
    #[arg(long)]
    project: Option<ProjectId>,
    /// What it is about, in a line
    #[arg(long)]
    title: Title,
    /// The file of the report, or - for standard input
    #[arg(long, value_name = "FILE")]
    text_file: PathBuf,
    /// Which versions are affected
    #[arg(long)]
    versions: Option<Label>,
    /// How bad you think it is: `unsaid`, `low`, `medium`, `high` or `critical`
    #[arg(long, default_value = "unsaid")]
    severity: ClaimedSeverity,
    #[command(flatten)]
    wish: Wish,
    /// Where "there is news" goes, and nothing else
    #[arg(long, value_name = "ADDRESS")]
    contact: Option<EmailAddress>,
    /// A file to encrypt here and attach; may be repeated
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// Keep the claim code in this new file, for your eyes only
    #[arg(long, value_name = "FILE")]
    claim_file: Option<PathBuf>,
}

/// Runs one of them.
pub(super) async fn run(command: &ReportCommand, url: Option<&str>, output: Output) -> Result<()> {
    match command {
        ReportCommand::Submit(submit) => self::submit(submit, url, output).await,
        ReportCommand::Status(claim) => {
            let view: ReporterView = visit(claim, url).await?.get("/report").await?;
            output.result(&view, &described(&view))
        }
        ReportCommand::Reply { claim, text_file } => {
            let both = claim.claim_file.as_deref() == Some(Path::new("-")) && text_file == Path::new("-");
            if both {
                return Err(Failure::Refused(
                    "Only one of claim code and text can come from standard input.".to_owned(),
                ));
            }
            let server = visit(claim, url).await?;
            let text = prompt::text(text_file)?;
            server.act("/report/reply", &TextRequest { text }).await?;
            done(&server, output, "Wrote to the team.").await
        }
        ReportCommand::Credit { wish: Wish { credit: None, anonymous: false, no_credit: false }, .. } => {
            Err(Failure::Refused("Say how: --credit NAME, --anonymous or --no-credit.".to_owned()))
        }
        ReportCommand::Credit { claim, wish } => {
            let server = visit(claim, url).await?;
            let credit = wish.credit();
            server.act("/report/credit", &credit).await?;
            let sentence = match credit {
                CreditWish::Named { name } => format!("You will be thanked as {}.", shown(name.as_str())),
                CreditWish::Anonymous => "An anonymous reporter will be thanked.".to_owned(),
                CreditWish::Unnamed => "No reporter will be mentioned.".to_owned(),
            };
            done(&server, output, &sentence).await
        }
        ReportCommand::Date { claim, act } => {
            let server = visit(claim, url).await?;
            let (act, at, sentence) = match act {
                DateAct::Propose { at } => (DateWord::Propose, Some(*at), format!("Proposed {at} to the team.")),
                DateAct::Accept => (DateWord::Accept, None, "Agreed to the team's date.".to_owned()),
                DateAct::Reject => (DateWord::Reject, None, "Said no to the team's date.".to_owned()),
            };
            server.act("/report/date", &DateRequest { act, at }).await?;
            done(&server, output, &sentence).await
        }
        ReportCommand::Receipt { claim, out } => {
            let server = visit(claim, url).await?;
            let signed: SignedReceiptView = server.get("/report/receipt").await?;
            keep(&signed, out)?;
            let said =
                "Wrote receipt.txt, receipt.txt.sig and report.txt. Show report.txt to nobody before the disclosure.";
            output.result(&signed, said)
        }
        ReportCommand::Record { claim, act } => {
            let server = visit(claim, url).await?;
            let (answer, sentence) = match act {
                RecordAct::Agree => {
                    (RecordAnswer::Agreed, "Your own words may stand in the public record of this case.")
                }
                RecordAct::Decline => {
                    (RecordAnswer::Declined, "Your own words stay out of the public record of this case.")
                }
            };
            server.act("/report/record", &AnswerRecord { answer }).await?;
            done(&server, output, sentence).await
        }
        ReportCommand::Attach { claim, files } => {
            for file in files {
                sendable(file, u64::MAX)?;
            }
            let server = visit(claim, url).await?;
            let view: ReporterView = server.get("/report").await?;
            let stored = attach(&server, &view.recipients, files, output).await?;
            output.result(&stored, &format!("Attached {} to your report.", files_of(files.len())))
        }
    }
}

async fn submit(submit: &Submit, url: Option<&str>, output: Output) -> Result<()> {
    let (server, project) = match (&submit.desk, &submit.project, url) {
        (Some(desk), _, None) => (Server::at(&desk.server)?, &desk.project),
        (None, Some(project), Some(url)) => (Server::at(url)?, project),
        (Some(_), _, Some(_)) => {
            return Err(Failure::Refused("Name the server once: in the URL or with --server.".to_owned()));
        }
        (None, _, _) => return Err(Failure::Refused("Name the server of the project with --server.".to_owned())),
    };
    let intake: IntakeView = server.get(&format!("/projects/{project}/intake")).await?;
    if let Some(why) = &intake.refused {
        return Err(Failure::Refused(why.clone()));
    }
    for file in &submit.attach {
        sendable(file, intake.attachment_bytes)?;
    }
    let keys = if submit.attach.is_empty() { None } else { Some(recipients(&intake.recipients)?) };
    let body = ReportBody {
        title: submit.title.clone(),
        versions: submit.versions.clone(),
        text: prompt::text(&submit.text_file)?,
        severity: submit.severity,
        credit: submit.wish.credit(),
        contact: submit.contact.clone(),
    };
    output.remark(&format!("Reporting to {} at {}.", shown(&intake.name), server.base()));
    let claim_file = submit.claim_file.as_deref().map(ClaimFile::begin).transpose()?;
    let receipt: ReceiptView = server.post(&format!("/projects/{project}/reports"), &body).await?;
    // The code is given once: it is kept and shown before anything else can go wrong.
    let kept = claim_file.map(|file| file.keep(server.base(), &receipt.claim_code)).transpose();
    output.result(&receipt, &thanked(&receipt))?;
    kept?;
    if keys.is_some() {
        let server = server.with(Secret::new(receipt.visit.clone()));
        attach(&server, &intake.recipients, &submit.attach, output).await?;
    }
    Ok(())
}

async fn attach(server: &Server, list: &str, files: &[PathBuf], output: Output) -> Result<Vec<StoredView>> {
    let keys = recipients(list)?;
    let mut all = Vec::new();
    for file in files {
        let stored = send(server, "/report/attachments", &keys, file).await?;
        output.remark(&said(&stored, file, &keys));
        all.push(stored);
    }
    Ok(all)
}

/// Shows the claim code to the server and goes on as the reporter.
async fn visit(claim: &Claim, url: Option<&str>) -> Result<Server> {
    let (named, code) = if let Some(file) = &claim.claim_file {
        read_claim(&prompt::read(file)?)?
    } else {
        let asked = prompt::secret("Claim code").ok_or_else(|| {
            let sentence = "Give the claim code with --claim-file FILE, or --claim-file - for standard input.";
            Failure::Refused(sentence.to_owned())
        })?;
        (None, asked.expose().parse()?)
    };
    let server = match (named, url) {
        (Some(named), Some(url)) => {
            let (named, wanted) = (Server::at(&named)?, Server::at(url)?);
            if named.base() != wanted.base() {
                return Err(Failure::Refused(format!("The claim code is for {}: leave --server out.", named.base())));
            }
            named
        }
        (Some(url), None) => Server::at(&url)?,
        (None, Some(url)) => Server::at(url)?,
        (None, None) => {
            let credentials = Credentials::load()?;
            let known = credentials.find(None);
            let known =
                known.ok_or_else(|| Failure::Refused("Name the server of the report with --server.".to_owned()))?;
            Server::at(&known.url)?
        }
    };
    let request = ClaimRequest { claim_code: code.reveal().expose().to_owned() };
    let visit: VisitView = server.post("/report/claim", &request).await?;
    Ok(server.with(Secret::new(visit.visit)))
}

/// Writes a receipt, its signature and what its hash covers into a folder; nothing that is there is written over.
fn keep(signed: &SignedReceiptView, folder: &Path) -> Result<()> {
    let files =
        [("receipt.txt", &signed.receipt), ("receipt.txt.sig", &signed.signature), ("report.txt", &signed.opening)];
    for (name, text) in files {
        let path = folder.join(name);
        let failed =
            |error| Failure::because(format!("{} could not be written: it must be new.", path.display()), error);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// Tells what was done; a program gets the report as it is now.
async fn done(server: &Server, output: Output, sentence: &str) -> Result<()> {
    if output.is_json() {
        let view: ReporterView = server.get("/report").await?;
        return output.result(&view, sentence);
    }
    output.result(&(), sentence)
}

fn thanked(receipt: &ReceiptView) -> String {
    format!(
        "Reported: this is {}.\n\n    {}\n\n\
         This claim code is shown this once and is your only way back: keep it on paper or in a password manager.\n\
         Enter it at {} or run `embargo report status`.\n\
         A feed that says only that there is news: {}",
        shown(&receipt.case),
        shown(&receipt.claim_code),
        shown(&receipt.page),
        shown(&receipt.feed)
    )
}

fn files_of(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn described(view: &ReporterView) -> String {
    let (case, project, title) = (shown(&view.case), shown(&view.project), shown(&view.title));
    let mut text = format!("{case} at {project}: {title}\n{}\n{}\n", shown(&view.state), shown(&view.next));
    text.push_str(&format!("Agreed end of the embargo: {}\n", shown(view.date.as_deref().unwrap_or("none yet"))));
    if let Some(at) = &view.date_proposed_by_team {
        text.push_str(&format!("The team proposes {}: `embargo report date accept` or `reject`.\n", shown(at)));
    }
    if let Some(at) = &view.date_proposed_by_you {
        text.push_str(&format!("You proposed {}, not answered yet.\n", shown(at)));
    }
    text.push_str(&format!("Credit: {}\n", shown(&view.credit)));
    if let Some(advisory) = &view.advisory {
        text.push_str(&format!("Advisory: {}\n", shown(advisory)));
    }
    if let Some(question) = &view.record {
        text.push_str(&asked(question));
    }
    for attachment in &view.attachments {
        text.push_str(&format!("Attached: {}  {}\n", shown(&attachment.id), shown(&attachment.name)));
    }
    text + &thread(&view.thread)
}

/// Says what the project asks about the reporter's own words, and what they answered.
fn asked(question: &RecordQuestion) -> String {
    let parts: Vec<_> = question.parts.iter().map(|part| part.as_str()).collect();
    let said = match question.answer {
        Some(RecordAnswer::Agreed) => "you agreed",
        Some(RecordAnswer::Declined) => "you declined",
        None => "not answered",
    };
    format!(
        "The project may open parts of this case ({}), your own words only if you agree; {said}: `embargo report record agree` or \
         `decline`.\n",
        parts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_report_names_server_and_project() {
        for text in ["https://security.example.org/octo", "https://security.example.org/report/octo/"] {
            let desk: Desk = text.parse().unwrap();
            assert_eq!((desk.server.as_str(), desk.project.as_str()), ("https://security.example.org", "octo"));
        }
        for odd in ["octo", "https://security.example.org", "security.example.org/octo", "https://x/Octo"] {
            assert!(odd.parse::<Desk>().is_err(), "{odd}");
        }
    }
}
