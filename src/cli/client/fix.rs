//! `embargo fix`: from the clone one stands in to an approved fix.
//!
//! Guards: `git push` of a fix goes to the private remote of its own case and nowhere else by default; an approval names the
//! whole commit that was looked at; no address that the server names leads git anywhere but to that server.

use std::path::Path;

use clap::{Args, Subcommand};

use super::backport::Backport;
use super::command::{ask_git, git};
use super::credential::{Scope, install, no_git};
use super::mark::{Mark, words};
use super::server::Server;
use super::{Failure, Output, Result, case, prompt};
use crate::domain::fix::FixKind;
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::repo::{CommitId, LineName, RepoName};
use crate::domain::text::shown;
use crate::wire::case::{ApproveRequest, CaseView, FixView, RemoteView};
use crate::wire::project::ProjectView;

/// Commands about fixes.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum FixCommand {
    /// Add the private remote and a branch for the fix to the clone you stand in
    Start {
        /// The case
        case: CaseId,
        /// The line to fix [default: the only one]
        #[arg(long)]
        line: Option<LineName>,
        /// The repository, where the case has several
        #[arg(long)]
        repository: Option<RepoName>,
    },
    /// Show what is pushed, approved and checked
    Status {
        /// The case
        case: CaseId,
    },
    /// Put the fix of one line onto others by cherry-pick, and push what fits
    Backport(Backport),
    /// Say how a line stands to the flaw: affected, not affected, or left as it is
    Mark(Mark),
    /// Approve the fix of a line, or its tests that follow later, at the commit you looked at
    Approve(Approve),
}

/// Arguments of `embargo fix approve`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Approve {
    /// The case
    case: CaseId,
    /// The line
    #[arg(long)]
    line: LineName,
    /// The repository, where several have a line of this name
    #[arg(long)]
    repository: Option<RepoName>,
    /// The commit you looked at, in full [default: asks about what is pushed now]
    #[arg(long, value_name = "ID")]
    commit: Option<CommitId>,
    /// Approve the tests that become public later, not the fix
    #[arg(long)]
    tests: bool,
    /// Approve what is pushed now, unasked
    #[arg(long, conflicts_with = "commit")]
    yes: bool,
}

/// Where a fix begins. Its branch is called after case and line, so that the fixes of several cases live in one clone.
pub(super) struct Start<'a> {
    /// The clone.
    pub(super) folder: &'a Path,
    /// The case.
    pub(super) case: &'a CaseId,
    /// Its private remote.
    pub(super) url: &'a str,
    /// The line.
    pub(super) line: LineName,
}

/// The file beside the clone's configuration that says how the branches of cases are pushed.
const PUSHING: &str = "embargo-push.config";

/// Runs one of them.
pub(super) async fn run(command: &FixCommand, url: Option<&str>, output: Output) -> Result<()> {
    let server = Server::signed_in(url)?;
    match command {
        FixCommand::Start { case, line, repository } => {
            let view: CaseView = server.get(&format!("/cases/{case}")).await?;
            let remote = remote_of(&view, repository.as_ref(), server.base())?;
            let line = match line {
                Some(line) => line.clone(),
                None => only_line(&server, &view, remote).await?,
            };
            let start = Start { folder: Path::new("."), case, url: &remote.url, line };
            start.begin(server.base(), output)?;
            let sentence = format!(
                "Commit on {}, then `git push`: it goes to fix/{} of {case}'s private remote.",
                start.branch(),
                start.line
            );
            output.result(remote, &sentence)
        }
        FixCommand::Status { case } => {
            let view: CaseView = server.get(&format!("/cases/{case}")).await?;
            let text = if view.fixes.is_empty() { "Nothing is pushed yet.".to_owned() } else { described(&view.fixes) };
            output.result(&view.fixes, text.trim_start())
        }
        FixCommand::Backport(backport) => super::backport::run(&server, backport, output).await,
        FixCommand::Mark(mark) => super::mark::run(&server, mark, output).await,
        FixCommand::Approve(approve) => self::approve(&server, approve, output).await,
    }
}

/// Lays out fixes.
pub(super) fn described(fixes: &[FixView]) -> String {
    fixes.iter().fold(String::new(), |mut text, fix| {
        text.push_str(&format!("\n{}/{} of {}\n", fix.kind, shown(&fix.line), shown(&fix.repository)));
        match &fix.head {
            None => {
                let said = fix.standing.map_or_else(String::new, |standing| format!("{}; ", words(standing)));
                text.push_str(&format!("  {said}nothing pushed yet\n"));
            }
            Some(head) => {
                let (subject, by) =
                    (fix.subject.as_deref().unwrap_or(""), fix.pushed_by.as_deref().unwrap_or("nobody known"));
                text.push_str(&format!("  {} {}\n  pushed by {}\n", shown(head), shown(subject), shown(by)));
                let by = fix.approved_by.join(", ");
                let approved = if fix.approved { "approved" } else { "not approved" };
                let by = if by.is_empty() { String::new() } else { format!(" (by {})", shown(&by)) };
                let run = fix.run.as_deref().map_or_else(String::new, |run| format!(" (run {})", shown(run)));
                text.push_str(&format!("  {approved}{by}\n  checks: {}{run}\n", shown(&fix.checks)));
                if !fix.checks_note.is_empty() {
                    text.push_str(&format!("  {}\n", shown(&fix.checks_note)));
                }
            }
        }
        text
    })
}

async fn approve(server: &Server, asked: &Approve, output: Output) -> Result<()> {
    let case = &asked.case;
    let view: CaseView = server.get(&format!("/cases/{case}")).await?;
    let repository = asked.repository.as_ref();
    let kind = if asked.tests { FixKind::Tests } else { FixKind::Fix };
    let matches = |fix: &&FixView| {
        fix.kind == kind
            && fix.line == asked.line.as_str()
            && repository.is_none_or(|name| fix.repository == name.as_str())
    };
    let mut found = view.fixes.iter().filter(matches);
    let (fix, more) = (found.next(), found.next());
    if more.is_some() {
        return Err(Failure::Refused(format!(
            "Several repositories have a line {}: name one with --repository.",
            asked.line
        )));
    }
    let known = |fix: &FixView| fix.line == asked.line.as_str();
    if fix.is_none() && !view.fixes.is_empty() && !(asked.tests && view.fixes.iter().any(known)) {
        return Err(Failure::Refused(no_line(asked, &view.fixes)));
    }
    let head = fix.and_then(|fix| fix.head.as_deref());
    let (Some(fix), Some(head)) = (fix, head) else {
        return Err(Failure::Refused(format!("Nothing is pushed to {kind}/{} of {case} yet.", asked.line)));
    };
    let head: CommitId = head.parse()?;
    output.remark(described(std::slice::from_ref(fix)).trim());
    match &asked.commit {
        Some(commit) if *commit != head => {
            return Err(Failure::Refused(format!(
                "{kind}/{} is at {head} by now: look at that commit first.",
                asked.line
            )));
        }
        Some(_) => {}
        None if asked.yes => {}
        None => match prompt::confirm(&format!("Approve {head} for {kind}/{}?", asked.line)) {
            Some(true) => {}
            Some(false) => return Err(Failure::Refused("Nothing was approved.".to_owned())),
            None => {
                let sentence = "Name the commit you looked at with --commit, or approve what is pushed now with --yes.";
                return Err(Failure::Refused(sentence.to_owned()));
            }
        },
    }
    let request =
        ApproveRequest { line: asked.line.clone(), repository: asked.repository.clone(), kind, commit: head.clone() };
    server.act(&format!("/cases/{case}/approve"), &request).await?;
    case::done(server, case, output, &format!("Approved {head} as {kind}/{} in {case}.", asked.line)).await
}

/// Says that there is no such line, and which there are.
fn no_line(asked: &Approve, fixes: &[FixView]) -> String {
    let name = |fix: &FixView| match asked.repository {
        Some(_) => format!("{} of {}", shown(&fix.line), shown(&fix.repository)),
        None => shown(&fix.line),
    };
    let names: Vec<String> = fixes.iter().filter(|fix| fix.kind == FixKind::Fix).map(name).collect();
    let repository = asked.repository.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
    format!("{} has no line {}{repository}; its lines are {}.", asked.case, asked.line, names.join(", "))
}

/// Finds the private remote of a repository; only one below the server's own address is let through to git.
pub(super) fn remote_of<'a>(view: &'a CaseView, repository: Option<&RepoName>, server: &str) -> Result<&'a RemoteView> {
    let case = shown(&view.summary.id);
    let mut found = view.remotes.iter().filter(|remote| repository.is_none_or(|name| remote.name == name.as_str()));
    let Some(remote) = found.next() else {
        let why = match (view.remote_pending, repository) {
            (true, _) => format!("The private remote of {case} is being made: try again in a moment."),
            (false, Some(name)) => format!("{case} has no repository {name}."),
            (false, None) => format!("{case} has no private remote: it is made when the case is accepted."),
        };
        return Err(Failure::Refused(why));
    };
    if found.next().is_some() {
        let names: Vec<String> = view.remotes.iter().map(|remote| shown(&remote.name)).collect();
        return Err(Failure::Refused(format!("Name the repository with --repository: {}.", names.join(", "))));
    }
    // git runs programs for some addresses; one below the server's own cannot be such.
    let below = remote.url.strip_prefix(server).is_some_and(|rest| rest.starts_with('/'));
    if !below || remote.url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Failure::failed("The server named a remote that is not its own."));
    }
    Ok(remote)
}

async fn only_line(server: &Server, view: &CaseView, remote: &RemoteView) -> Result<LineName> {
    let project: ProjectId = view.summary.project.parse()?;
    let project: ProjectView = server.get(&format!("/projects/{project}")).await?;
    let repository = project.repositories.iter().find(|repository| repository.name == remote.name);
    let lines: Vec<&str> = repository.iter().flat_map(|known| &known.lines).map(|line| line.name.as_str()).collect();
    match lines.as_slice() {
        [line] => Ok(line.parse()?),
        [] => Err(Failure::Refused("Name the line with --line.".to_owned())),
        several => Err(Failure::Refused(format!("Name the line with --line: {}.", shown(&several.join(", "))))),
    }
}

impl Start<'_> {
    /// Sets the clone up and switches to the branch; doing it twice changes nothing more.
    fn begin(&self, server: &str, output: Output) -> Result<()> {
        self.connect(server, output)?;
        self.switch(output)
    }

    /// Adds the private remote, fetches it, and lets pushes go to where they belong.
    pub(super) fn connect(&self, server: &str, output: Output) -> Result<()> {
        let inside = ask_git(self.folder, &["rev-parse", "--is-inside-work-tree"]).map_err(no_git)?;
        if inside.as_deref() != Some("true") {
            return Err(Failure::Refused("Stand in a clone of the public repository: this folder is none.".to_owned()));
        }
        install(self.folder, server, Scope::Clone)?;
        output.remark(&format!("git asks `embargo` for passwords at {server}, in this clone."));
        let (remote, url) = (&*self.remote(), self.url);
        match self.ask(&["remote", "get-url", "--", remote])? {
            None => {
                self.run(&["remote", "add", "--", remote, url])?;
                output.remark(&format!("Added the remote {remote}."));
            }
            Some(there) if there == url => {}
            Some(_) => {
                let sentence =
                    format!("The remote {remote} leads elsewhere: remove it with `git remote remove {remote}` first.");
                return Err(Failure::Refused(sentence));
            }
        }
        self.run(&["fetch", "--quiet", "--", remote])?;
        output.remark(&format!("Fetched {remote}."));
        self.push_to_its_own()
    }

    /// Returns the name of the remote in the clone.
    pub(super) fn remote(&self) -> String {
        format!("embargo-{}", self.case)
    }

    /// Returns the branch of the fix in the clone.
    pub(super) fn branch(&self) -> String {
        format!("{}/fix/{}", self.case, self.line)
    }

    /// Lets a plain `git push` send the branches of this case to the branches they follow, whose names are shorter.
    ///
    /// The setting holds on these branches alone: elsewhere in the clone, pushing stays as its owner has it.
    fn push_to_its_own(&self) -> Result<()> {
        let common = self.ask(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        let common = common.ok_or_else(|| Failure::failed("git does not say where this clone's configuration is."))?;
        let file = Path::new(&common).join(PUSHING);
        let failed = |error| Failure::because(format!("{} could not be written.", file.display()), error);
        std::fs::write(&file, "# Written by `embargo fix start`.\n[push]\n\tdefault = upstream\n").map_err(failed)?;
        self.run(&["config", "--local", &format!("includeIf.onbranch:{}/.path", self.case), PUSHING])
    }

    /// Switches to the branch, which is made from what is pushed, or else from the public line.
    pub(super) fn switch(&self, output: Output) -> Result<()> {
        let (remote, line, branch) = (self.remote(), &self.line, self.branch());
        let key = |name: &str| format!("branch.{branch}.{name}");
        if self.exists(&format!("refs/heads/{branch}"))? {
            if self.ask(&["config", "--local", "--get", &key("remote")])?.as_deref() != Some(&*remote) {
                let here = self.ask(&["branch", "--show-current"])?.filter(|name| !name.is_empty());
                let here = here.map_or_else(String::new, |name| format!(" You still stand on {}.", shown(&name)));
                return Err(Failure::Refused(format!(
                    "This clone has a branch {branch} that does not follow {remote}: rename it with `git branch -m` first.{here}"
                )));
            }
            self.run(&["switch", "--quiet", &branch])?;
            output.remark(&format!("Switched to {branch}, which was there already."));
            return Ok(());
        }
        let pushed = format!("refs/remotes/{remote}/fix/{line}");
        let public = format!("refs/remotes/{remote}/{line}");
        let (from, said) = if self.exists(&pushed)? {
            (pushed, "what is pushed already")
        } else if self.exists(&public)? {
            (public, "the public line")
        } else {
            return Err(Failure::Refused(format!("The private remote has no line {line}.")));
        };
        self.run(&["switch", "--quiet", "--no-track", "-c", &branch, &from])?;
        let merge = format!("refs/heads/fix/{line}");
        for (name, value) in [("remote", remote.as_str()), ("pushRemote", &remote), ("merge", &merge)] {
            self.run(&["config", "--local", &key(name), value])?;
        }
        output.remark(&format!("Made the branch {branch} from {said}; `git push` sends it to {remote}."));
        Ok(())
    }

    /// Tells whether a ref exists.
    pub(super) fn exists(&self, name: &str) -> Result<bool> {
        Ok(self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", name])?.is_some())
    }

    /// Asks git something that may have no answer.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<Option<String>> {
        ask_git(self.folder, arguments).map_err(no_git)
    }

    /// Runs git, which must succeed.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<()> {
        let ran = git(self.folder, arguments).map_err(no_git)?;
        ran.map(drop).ok_or_else(|| Failure::failed(format!("`git {}` did not succeed.", arguments[0])))
    }
}

#[cfg(test)]
#[path = "fix_tests.rs"]
mod tests;
