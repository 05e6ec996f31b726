//! `embargo advisory`: show, edit, preview, export and approve.
//!
//! Guards: a draft is edited in a file of the user alone, which is removed when the server has it; an approval names the
//! hash of what was shown. Leaves what a draft may say to the server.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::amendment::AmendCommand;
use super::command::edit_file;
use super::credentials::{folder, write_private};
use super::server::Server;
use super::{Failure, Output, Result, prompt};
use crate::domain::advisory::{Advisory, AffectedLine};
use crate::domain::digest::Digest;
use crate::domain::id::CaseId;
use crate::domain::plain::{CveId, Version};
use crate::domain::repo::LineName;
use crate::domain::severity::Severity;
use crate::domain::text::{Body, Title};
use crate::wire::advisory::{AdvisoryView, ApproveAdvisory, DocumentView, EditAdvisory, Format, Stage};

/// Commands about a case's advisory.
#[derive(Debug, Subcommand)]
pub(crate) enum AdvisoryCommand {
    /// Show the draft, what it lacks and who will be thanked
    Show {
        /// The case
        case: CaseId,
    },
    /// Change the draft: by options, from a file, or in your editor
    Edit(Box<Edit>),
    /// Print the advisory as it would be published now
    Preview {
        /// The case
        case: CaseId,
        /// `osv`, `markdown` or `html`
        #[arg(long, default_value = "markdown")]
        format: Format,
        /// With the technical details, as it will be published later
        #[arg(long)]
        later: bool,
    },
    /// Write the advisory as it would be published now into a file
    Export {
        /// The case
        case: CaseId,
        /// `osv`, `markdown` or `html`
        #[arg(long)]
        format: Format,
        /// With the technical details, as it will be published later
        #[arg(long)]
        later: bool,
        /// The file [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Approve the advisory as it will be published
    Approve {
        /// The case
        case: CaseId,
        /// The hash of what you read, as `embargo advisory show` prints it [default: shows it and asks]
        digest: Option<Digest>,
    },
    /// What happens to it once it is public
    #[command(flatten)]
    Amend(AmendCommand),
}

/// What says a part of the draft cannot stand beside what says the whole.
const WHOLE: [&str; 7] = ["title", "text_file", "affected", "severity", "cve", "workaround_file", "details_file"];

/// Arguments of `embargo advisory edit`.
#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// The case
    case: CaseId,
    /// Take the whole draft from this file: JSON, or TOML by its ending
    #[arg(value_name = "DRAFT", conflicts_with_all = WHOLE)]
    draft: Option<PathBuf>,
    /// The same, by name
    #[arg(long, value_name = "FILE", conflicts_with = "draft", conflicts_with_all = WHOLE)]
    file: Option<PathBuf>,
    /// One line that names software and flaw
    #[arg(long)]
    title: Option<Title>,
    /// What happens, to whom, and what to do: Markdown from a file, or `-`
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    /// Where a line is fixed, and since when it is affected, if that changes: LINE=FIXED or LINE=FIXED,INTRODUCED, with nothing
    /// after the comma for from the beginning; or REPOSITORY:LINE=…
    #[arg(long, value_name = "LINE=FIXED", value_parser = ranged)]
    affected: Vec<Ranged>,
    /// `low`, `medium`, `high`, `critical`, a CVSS vector, or `none:` and the reason
    #[arg(long, value_parser = severity)]
    severity: Option<Severity>,
    /// The CVE id
    #[arg(long)]
    cve: Option<CveId>,
    /// What helps those who cannot update: Markdown from a file, or `-`
    #[arg(long, value_name = "FILE")]
    workaround_file: Option<PathBuf>,
    /// How it works and how it is shown to be there, which a release may hold back at first: Markdown from a file, or `-`
    #[arg(long, value_name = "FILE")]
    details_file: Option<PathBuf>,
}

/// One line's range, as `--affected` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ranged {
    repository: Option<String>,
    line: LineName,
    fixed: Version,
    since: Since,
}

/// Since when a line is affected, as `--affected` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Since {
    /// Nothing is said: as in the draft.
    Kept,
    /// From its beginning.
    Beginning,
    /// From this version on.
    Version(Version),
}

impl Since {
    /// Returns the first affected version, if it is not the first of all; `before` is what the draft said.
    fn or(&self, before: Option<Version>) -> Option<Version> {
        match self {
            Self::Kept => before,
            Self::Beginning => None,
            Self::Version(version) => Some(version.clone()),
        }
    }
}

impl Edit {
    fn by_options(&self) -> bool {
        let texts = [&self.text_file, &self.workaround_file, &self.details_file].iter().any(|file| file.is_some());
        texts || self.title.is_some() || !self.affected.is_empty() || self.severity.is_some() || self.cve.is_some()
    }

    fn apply(&self, mut draft: Advisory) -> Result<Advisory> {
        if let Some(title) = &self.title {
            draft.title = title.clone();
        }
        if let Some(file) = &self.text_file {
            draft.description = Some(text(file)?);
        }
        if let Some(file) = &self.workaround_file {
            draft.workaround = Some(text(file)?);
        }
        if let Some(file) = &self.details_file {
            draft.technical = Some(text(file)?);
        }
        if let Some(severity) = &self.severity {
            draft.severity = Some(severity.clone());
        }
        if let Some(cve) = &self.cve {
            draft.cve = Some(cve.clone());
        }
        if !self.affected.is_empty() {
            draft.affected = affected(&draft.affected, &self.affected)?;
        }
        Ok(draft)
    }
}

/// Runs a command about an advisory.
pub(super) async fn run(command: &AdvisoryCommand, server: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(server)?;
    match command {
        AdvisoryCommand::Show { case } => {
            let view: AdvisoryView = server.get(&format!("/cases/{case}/advisory")).await?;
            output.result(&view, &shown(case, &view))
        }
        AdvisoryCommand::Edit(edit) => {
            let view = edited(&server, edit).await?;
            output.result(&view, &shown(&edit.case, &view))
        }
        AdvisoryCommand::Preview { case, format, later } => {
            let document = preview(&server, case, (*format, stage(*later))).await?;
            output.result(&document, &document.text)
        }
        AdvisoryCommand::Export { case, format, later, output: None } => {
            let document = preview(&server, case, (*format, stage(*later))).await?;
            output.result(&document, &document.text)
        }
        AdvisoryCommand::Export { case, format, later, output: Some(file) } => {
            let document = preview(&server, case, (*format, stage(*later))).await?;
            write_private(file, &document.text)?;
            output.result(&document, &format!("Wrote {}, to be named {} in public.", file.display(), document.path))
        }
        AdvisoryCommand::Amend(command) => super::amendment::run(command, &server, output).await,
        AdvisoryCommand::Approve { case, digest } => {
            let digest = match digest {
                Some(digest) => *digest,
                None => asked(&server, case, output).await?,
            };
            let approval = ApproveAdvisory { digest };
            let view: AdvisoryView = server.post(&format!("/cases/{case}/advisory/approve"), &approval).await?;
            output.result(&view, &format!("Approved the advisory of {case} at {}.", digest.short()))
        }
    }
}

/// Shows what an approval would be about and asks for it; refuses where nobody can answer, or there is nothing to approve.
async fn asked(server: &Server, case: &CaseId, output: Output) -> Result<Digest> {
    let view: AdvisoryView = server.get(&format!("/cases/{case}/advisory")).await?;
    let digest = to_approve(case, &view)?;
    let url = format!("{}/cases/{case}/advisory", server.base());
    output.remark(&shown(case, &view));
    output.remark(&format!("What will be published: `embargo advisory preview {case}`, or {url}"));
    if view.later.is_some() {
        output.remark(&format!("And what follows later: `embargo advisory preview {case} --later`"));
    }
    match prompt::confirm(&format!("Did you read it, and approve {digest}?")) {
        Some(true) => Ok(digest),
        Some(false) => Err(Failure::Refused("Nothing was approved.".to_owned())),
        None => Err(Failure::Refused(format!(
            "An approval names what was read: read it (`embargo advisory preview {case}`), then run \
             `embargo advisory approve {case} {digest}`."
        ))),
    }
}

/// Returns the hash that waits for an approval.
fn to_approve(case: &CaseId, view: &AdvisoryView) -> Result<Digest> {
    let refused = |sentence: String| Err(Failure::Refused(sentence));
    if let (Some(_), true) = (view.digest, view.approved) {
        return refused(format!("The advisory of {case} is approved already, as it stands."));
    }
    if let Some(barred) = &view.not_approvable {
        return refused(barred.clone());
    }
    match view.digest {
        Some(digest) => Ok(digest),
        None => refused(format!(
            "There is nothing to approve yet: a release that is planned with {case} says tags and commits, which the advisory names."
        )),
    }
}

async fn preview(server: &Server, case: &CaseId, (format, stage): (Format, Stage)) -> Result<DocumentView> {
    server.get(&format!("/cases/{case}/advisory/preview?format={format}&stage={stage}")).await
}

fn stage(later: bool) -> Stage {
    if later { Stage::Later } else { Stage::First }
}

async fn edited(server: &Server, edit: &Edit) -> Result<AdvisoryView> {
    let path = format!("/cases/{}/advisory", edit.case);
    let view: AdvisoryView = server.get(&path).await?;
    let (version, before) = (view.version, view.advisory);
    if let Some(file) = edit.draft.as_ref().or(edit.file.as_ref()) {
        let advisory = parsed(file, &read(file)?)?;
        return server.put(&path, &EditAdvisory { advisory, version }).await;
    }
    if edit.by_options() {
        let advisory = edit.apply(before)?;
        return server.put(&path, &EditAdvisory { advisory, version }).await;
    }
    let file = folder()?.join(format!("{}.json", edit.case));
    if file.exists() {
        return Err(Failure::Refused(format!(
            "{} is left from an earlier edit: send it with --file, or remove it.",
            file.display()
        )));
    }
    let json =
        serde_json::to_string_pretty(&before).map_err(|error| Failure::because("The draft is no JSON.", error))?;
    write_private(&file, &format!("{json}\n"))?;
    if !edit_file(&file).map_err(|error| Failure::because("The editor could not be started: set EDITOR.", error))? {
        let _ = fs::remove_file(&file);
        return Err(Failure::Refused("The editor gave up: nothing was changed.".to_owned()));
    }
    // What the server does not take stays on disk, so that no work is lost.
    let kept = |failure: Failure| match failure {
        Failure::Refused(sentence) => Failure::Refused(format!("{sentence} Your text is kept in {}.", file.display())),
        failed @ Failure::Failed { .. } => failed,
    };
    let advisory = parsed(&file, &read(&file)?).map_err(kept)?;
    let saved = server.put(&path, &EditAdvisory { advisory, version }).await.map_err(kept)?;
    let _ = fs::remove_file(&file);
    Ok(saved)
}

/// Replaces the ranges that are named and keeps the others; a line that is not in the draft yet is added to its repository.
fn affected(before: &[AffectedLine], given: &[Ranged]) -> Result<Vec<AffectedLine>> {
    let mut lines = before.to_vec();
    for range in given {
        let named = |line: &AffectedLine| {
            line.line == range.line && range.repository.as_ref().is_none_or(|name| line.repository.as_str() == name)
        };
        let mut matching = lines.iter_mut().filter(|line| named(line));
        match (matching.next(), matching.next()) {
            (Some(line), None) => {
                line.fixed = Some(range.fixed.clone());
                line.introduced = range.since.or(line.introduced.take());
                line.last_affected = None;
            }
            (Some(_), Some(_)) => {
                let sentence = format!(
                    "The draft names the line {} more than once: say REPOSITORY:LINE, or edit the file.",
                    range.line
                );
                return Err(Failure::Refused(sentence));
            }
            (None, _) => {
                let Some(name) = &range.repository else {
                    let sentence = format!("The draft names no line {}: say REPOSITORY:LINE to add it.", range.line);
                    return Err(Failure::Refused(sentence));
                };
                lines.push(AffectedLine {
                    repository: name.parse()?,
                    line: range.line.clone(),
                    package: before.iter().find_map(|line| line.package.clone()),
                    introduced: range.since.or(None),
                    last_affected: None,
                    fixed: Some(range.fixed.clone()),
                    tag: None,
                    fix_commit: None,
                });
            }
        }
    }
    Ok(lines)
}

fn ranged(text: &str) -> Result<Ranged, String> {
    let form = || "a range is `LINE=FIXED`, `LINE=FIXED,INTRODUCED`, or `LINE=FIXED,` for all before".to_owned();
    let told = |error: crate::domain::refusal::Malformed| error.to_string();
    let (place, range) = text.split_once('=').ok_or_else(form)?;
    let (repository, line) = place.split_once(':').map_or((None, place), |(name, line)| (Some(name.to_owned()), line));
    let (fixed, since) = match range.split_once(',') {
        None => (range, Since::Kept),
        Some((fixed, "")) => (fixed, Since::Beginning),
        Some((fixed, first)) => (fixed, Since::Version(first.parse().map_err(told)?)),
    };
    Ok(Ranged { repository, line: line.parse().map_err(told)?, fixed: fixed.parse().map_err(told)?, since })
}

fn severity(text: &str) -> Result<Severity, String> {
    let told = |error: crate::domain::refusal::Malformed| error.to_string();
    if let Some(reason) = text.strip_prefix("none:") {
        return reason.trim().parse().map(Severity::None).map_err(told);
    }
    if text.starts_with("CVSS:") {
        return text.parse().map(Severity::Cvss).map_err(told);
    }
    text.parse().map(Severity::Word).map_err(told)
}

fn parsed(file: &Path, text: &str) -> Result<Advisory> {
    let wrong = |error: String| Failure::Refused(format!("{} is no advisory: {error}", file.display()));
    if file.extension().is_some_and(|ending| ending == "toml") {
        return toml::from_str(text).map_err(|error| wrong(error.message().to_owned()));
    }
    serde_json::from_str(text).map_err(|error| wrong(error.to_string()))
}

fn text(file: &Path) -> Result<Body> {
    Ok(read(file)?.parse()?)
}

fn read(file: &Path) -> Result<String> {
    let unreadable = |error| Failure::because(format!("{} could not be read.", file.display()), error);
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map_err(unreadable)?;
        return Ok(text);
    }
    fs::read_to_string(file).map_err(unreadable)
}

fn shown(case: &CaseId, view: &AdvisoryView) -> String {
    let mut lines = vec![format!("{case}  {}", view.advisory.title)];
    let mut put = |name: &str, value: &str| lines.push(format!("{name:<10} {value}"));
    put("id", view.id.as_deref().unwrap_or("given when a release is planned"));
    if let Some(editor) = &view.edited_by {
        put("edited by", editor);
    }
    match (&view.digest, view.approved, &view.approved_by) {
        (Some(digest), true, Some(who)) => put("approved", &format!("{digest} by {who}")),
        (Some(digest), true, None) => put("approved", &digest.to_string()),
        (Some(digest), false, _) => put("to approve", &digest.to_string()),
        (None, _, _) if view.public.is_some() => put("to approve", "nothing: no change of what is public is asked for"),
        (None, _, _) => put("to approve", "nothing until a release says tags and commits"),
    }
    if let Some(barred) = &view.not_approvable {
        put("but", barred);
    }
    if let Some(at) = view.later.as_ref().filter(|_| view.public.is_none()).and_then(|later| later.at.as_deref()) {
        put("details", &format!("follow on {at}: `embargo advisory preview {case} --later`"));
    }
    for credit in &view.credits {
        put("thanks", &format!("{} ({})", credit.name, credit.kind));
    }
    if view.waiting_credits > 0 {
        put("waiting", &format!("{} asked for a credit and not answered", view.waiting_credits));
    }
    for lack in &view.missing {
        put("missing", lack);
    }
    lines.join("\n") + &view.public.as_ref().map(super::amendment::public).unwrap_or_default()
}

#[cfg(test)]
#[path = "advisory_tests.rs"]
mod tests;
