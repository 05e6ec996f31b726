//! `embargo fix`: from the clone one stands in to an approved fix.
//!
//! Guards: `git push` of a fix goes to the private remote and nowhere else by default; an approval names the whole commit
//! that was looked at; no address that the server names leads git anywhere but to that server.

use std::path::Path;

use clap::{Args, Subcommand};

use super::command::{ask_git, git};
use super::credential::{Scope, install, no_git};
use super::mark::{Mark, words};
use super::server::Server;
use super::{Failure, Output, Result, case, prompt};
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
    /// Say how a line stands to the flaw: affected, not affected, or left as it is
    Mark(Mark),
    /// Approve the fix of a line at the commit you looked at
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
    /// Approve what is pushed now, unasked
    #[arg(long, conflicts_with = "commit")]
    yes: bool,
}

/// Where a fix begins.
struct Start<'a> {
    folder: &'a Path,
    remote: String,
    url: &'a str,
    line: LineName,
}

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
            let start = Start { folder: Path::new("."), remote: format!("embargo-{case}"), url: &remote.url, line };
            start.begin(server.base(), output)?;
            let sentence = format!("Commit on fix/{}, then `git push`: it goes to the private remote.", start.line);
            output.result(remote, &sentence)
        }
        FixCommand::Status { case } => {
            let view: CaseView = server.get(&format!("/cases/{case}")).await?;
            let text = if view.fixes.is_empty() { "Nothing is pushed yet.".to_owned() } else { described(&view.fixes) };
            output.result(&view.fixes, text.trim_start())
        }
        FixCommand::Mark(mark) => super::mark::run(&server, mark, output).await,
        FixCommand::Approve(approve) => self::approve(&server, approve, output).await,
    }
}

/// Lays out fixes.
pub(super) fn described(fixes: &[FixView]) -> String {
    fixes.iter().fold(String::new(), |mut text, fix| {
        text.push_str(&format!("\nfix/{} of {}\n", shown(&fix.line), shown(&fix.repository)));
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
            }
        }
        text
    })
}

async fn approve(server: &Server, asked: &Approve, output: Output) -> Result<()> {
    let case = &asked.case;
    let view: CaseView = server.get(&format!("/cases/{case}")).await?;
    let repository = asked.repository.as_ref();
    let matches = |fix: &&FixView| {
        fix.line == asked.line.as_str() && repository.is_none_or(|name| fix.repository == name.as_str())
    };
    let mut found = view.fixes.iter().filter(matches);
    let (fix, more) = (found.next(), found.next());
    if more.is_some() {
        return Err(Failure::Refused(format!(
            "Several repositories have a line {}: name one with --repository.",
            asked.line
        )));
    }
    let head = fix.and_then(|fix| fix.head.as_deref());
    let (Some(fix), Some(head)) = (fix, head) else {
        return Err(Failure::Refused(format!("Nothing is pushed to fix/{} of {case} yet.", asked.line)));
    };
    let head: CommitId = head.parse()?;
    output.remark(described(std::slice::from_ref(fix)).trim());
    match &asked.commit {
        Some(commit) if *commit != head => {
            return Err(Failure::Refused(format!(
                "fix/{} is at {head} by now: look at that commit first.",
                asked.line
            )));
        }
        Some(_) => {}
        None if asked.yes => {}
        None => match prompt::confirm(&format!("Approve {head} for {}?", asked.line)) {
            Some(true) => {}
            Some(false) => return Err(Failure::Refused("Nothing was approved.".to_owned())),
            None => {
                let sentence = "Name the commit you looked at with --commit, or approve what is pushed now with --yes.";
                return Err(Failure::Refused(sentence.to_owned()));
            }
        },
    }
    let request =
        ApproveRequest { line: asked.line.clone(), repository: asked.repository.clone(), commit: head.clone() };
    server.act(&format!("/cases/{case}/approve"), &request).await?;
    case::done(server, case, output, &format!("Approved {head} as the fix of {} in {case}.", asked.line)).await
}

fn remote_of<'a>(view: &'a CaseView, repository: Option<&RepoName>, server: &str) -> Result<&'a RemoteView> {
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
    /// Sets the clone up; doing it twice changes nothing more.
    fn begin(&self, server: &str, output: Output) -> Result<()> {
        let inside = ask_git(self.folder, &["rev-parse", "--is-inside-work-tree"]).map_err(no_git)?;
        if inside.as_deref() != Some("true") {
            return Err(Failure::Refused("Stand in a clone of the public repository: this folder is none.".to_owned()));
        }
        install(self.folder, server, Scope::Clone)?;
        output.remark(&format!("git asks `embargo` for passwords at {server}, in this clone."));
        let (remote, url) = (self.remote.as_str(), self.url);
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
        self.branch(output)
    }

    fn branch(&self, output: Output) -> Result<()> {
        let (remote, line) = (&self.remote, &self.line);
        let branch = format!("fix/{line}");
        let key = |name: &str| format!("branch.{branch}.{name}");
        if self.exists(&format!("refs/heads/{branch}"))? {
            if self.ask(&["config", "--local", "--get", &key("remote")])?.as_deref() != Some(remote) {
                let sentence =
                    format!("This clone has a branch {branch} for something else: use another clone for this case.");
                return Err(Failure::Refused(sentence));
            }
            self.run(&["switch", "--quiet", &branch])?;
            output.remark(&format!("Switched to {branch}, which was there already."));
            return Ok(());
        }
        let pushed = format!("refs/remotes/{remote}/{branch}");
        let public = format!("refs/remotes/{remote}/{line}");
        let (from, said) = if self.exists(&pushed)? {
            (pushed, "what is pushed already")
        } else if self.exists(&public)? {
            (public, "the public line")
        } else {
            return Err(Failure::Refused(format!("The private remote has no line {line}.")));
        };
        self.run(&["switch", "--quiet", "--no-track", "-c", &branch, &from])?;
        let merge = format!("refs/heads/{branch}");
        for (name, value) in [("remote", remote.as_str()), ("pushRemote", remote), ("merge", &merge)] {
            self.run(&["config", "--local", &key(name), value])?;
        }
        output.remark(&format!("Made the branch {branch} from {said}; `git push` sends it to {remote}."));
        Ok(())
    }

    fn exists(&self, name: &str) -> Result<bool> {
        Ok(self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", name])?.is_some())
    }

    fn ask(&self, arguments: &[&str]) -> Result<Option<String>> {
        ask_git(self.folder, arguments).map_err(no_git)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let ran = git(self.folder, arguments).map_err(no_git)?;
        ran.map(drop).ok_or_else(|| Failure::failed(format!("`git {}` did not succeed.", arguments[0])))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::wire::case::CaseSummary;

    const SERVER: &str = "https://security.example.org";

    fn view(remotes: &[(&str, &str)]) -> CaseView {
        let remotes =
            remotes.iter().map(|(name, url)| RemoteView { name: (*name).into(), url: (*url).into() }).collect();
        CaseView {
            summary: CaseSummary {
                id: "OCTO-1".into(),
                project: "octo".into(),
                title: "Sample".into(),
                state: "accepted".into(),
                role: "fixer".into(),
                date: None,
                opened_at: String::new(),
                published_at: None,
                needs: Vec::new(),
            },
            verdict: None,
            date_state: String::new(),
            date_proposed: None,
            acknowledged_at: None,
            reports: Vec::new(),
            thread: Vec::new(),
            members: Vec::new(),
            attachments: Vec::new(),
            fixes: Vec::new(),
            releases: Vec::new(),
            remotes,
            remote_pending: false,
            allowed: Vec::new(),
            history: Vec::new(),
        }
    }

    #[test]
    fn no_address_but_one_of_the_server_reaches_git() {
        let good = format!("{SERVER}/OCTO-1/octo");
        assert_eq!(remote_of(&view(&[("octo", &good)]), None, SERVER).unwrap().url, good);
        for bad in ["ext::sh -c true", "--upload-pack=x", "https://security.example.org.example.com/x", "file:///x"] {
            assert!(remote_of(&view(&[("octo", bad)]), None, SERVER).is_err(), "{bad}");
        }
        let two = view(&[("octo", &good), ("docs", &good)]);
        assert!(matches!(remote_of(&two, None, SERVER), Err(Failure::Refused(_))));
        assert!(remote_of(&two, Some(&"docs".parse().unwrap()), SERVER).is_ok());
    }

    #[test]
    fn a_started_fix_is_pushed_to_the_private_remote_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let in_folder = |name: &str, arguments: &[&str]| git(&at(name), arguments).unwrap().unwrap();
        for name in ["public", "private", "clone"] {
            fs::create_dir(at(name)).unwrap();
        }
        let identity = ["-c", "user.name=Sample", "-c", "user.email=sample@example.org", "-c", "commit.gpgsign=false"];
        let commit = |name: &str| {
            in_folder(name, &[&identity[..], &["commit", "-q", "--allow-empty", "-m", "Sample"]].concat());
        };
        in_folder("public", &["init", "-q", "-b", "main"]);
        commit("public");
        in_folder("private", &["clone", "-q", "--bare", "../public", "."]);
        in_folder("clone", &["clone", "-q", "../public", "."]);
        let private = at("private").to_str().unwrap().to_owned();
        let clone = at("clone");
        let start =
            Start { folder: &clone, remote: "embargo-OCTO-1".into(), url: &private, line: "main".parse().unwrap() };
        start.begin(SERVER, Output::new(false)).unwrap();
        commit("clone");
        in_folder("clone", &["push", "-q"]);
        let head = in_folder("clone", &["rev-parse", "HEAD"]);
        assert_eq!(in_folder("private", &["rev-parse", "refs/heads/fix/main"]), head);
        assert_eq!(in_folder("public", &["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
        start.begin(SERVER, Output::new(false)).unwrap();
        assert_eq!(in_folder("clone", &["rev-parse", "HEAD"]), head, "starting again loses nothing");
        let other = Start { remote: "embargo-OCTO-2".into(), ..start };
        assert!(matches!(other.begin(SERVER, Output::new(false)), Err(Failure::Refused(_))));
        let third = at("third");
        fs::create_dir(&third).unwrap();
        let lost =
            Start { folder: &third, remote: "embargo-OCTO-1".into(), url: &private, line: "main".parse().unwrap() };
        assert!(matches!(lost.begin(SERVER, Output::new(false)), Err(Failure::Refused(_))));
    }
}
