//! `embargo fix backport`: the fix of one line, put onto others in the clone one stands in.
//!
//! Guards: git itself picks, on branches that are new; what fits is pushed like any fix, to be checked and approved; what
//! conflicts is left as every git user knows it, a cherry-pick in progress, and nothing half-done is ever pushed. Leaves
//! setting the clone up to [`super::fix`].

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::fix::{Start, remote_of};
use super::server::Server;
use super::{Failure, Output, Result};
use crate::domain::fix::FixKind;
use crate::domain::id::{CaseId, ProjectId};
use crate::domain::recipe::Strategy;
use crate::domain::repo::{LineName, RepoName};
use crate::domain::text::shown;
use crate::wire::case::CaseView;
use crate::wire::project::{ProjectView, RepositoryView};

/// Arguments of `embargo fix backport`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Backport {
    /// The case
    case: CaseId,
    /// The line whose fix is taken, as it is pushed
    #[arg(long, value_name = "LINE")]
    from: LineName,
    /// A line it is put onto; several with commas, or given more than once
    #[arg(long, value_name = "LINE", required = true, value_delimiter = ',')]
    to: Vec<LineName>,
    /// The repository, where the case has several
    #[arg(long)]
    repository: Option<RepoName>,
}

/// How it went on one line.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Ported {
    line: LineName,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    /// It fits, and is pushed.
    Pushed { head: String },
    /// This commit does not fit there.
    Conflict { commit: String, subject: String, paths: Vec<String> },
    /// The line holds all of it.
    Nothing,
}

/// Whether picked commits say where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// They do: the commit they name becomes public with the release.
    Named,
    /// They do not: the commit never becomes public.
    Silent,
}

/// Runs the command.
pub(super) async fn run(server: &Server, asked: &Backport, output: Output) -> Result<()> {
    let case = &asked.case;
    let view: CaseView = server.get(&format!("/cases/{case}")).await?;
    let remote = remote_of(&view, asked.repository.as_ref(), server.base())?;
    let project: ProjectId = view.summary.project.parse()?;
    let project: ProjectView = server.get(&format!("/projects/{project}")).await?;
    let repository = project.repositories.iter().find(|repository| repository.name == remote.name);
    let origin = asked.fits(&view, repository.ok_or_else(|| Failure::failed("The repository is gone."))?)?;
    let start = Start { folder: Path::new("."), case, url: &remote.url, line: asked.from.clone() };
    start.connect(server.base(), output)?;
    let ported = port(&start, &asked.to, origin, output)?;
    let lines: Vec<_> = ported.iter().map(|ported| ported.told(case)).collect();
    output.result(&ported, &lines.join("\n"))?;
    match advice(asked, &ported) {
        Some(sentence) => Err(Failure::Refused(sentence)),
        None => Ok(()),
    }
}

impl Backport {
    /// Checks that there is a fix to take and none to overwrite; says whether its commits may be named.
    fn fits(&self, view: &CaseView, repository: &RepositoryView) -> Result<Origin> {
        let line = |name: &LineName| repository.lines.iter().find(|line| line.name == name.as_str());
        let pushed = |name: &LineName| {
            let here = |fix: &&crate::wire::case::FixView| {
                fix.kind == FixKind::Fix
                    && fix.line == name.as_str()
                    && fix.repository == repository.name
                    && fix.head.is_some()
            };
            view.fixes.iter().any(|fix| here(&fix))
        };
        for name in self.to.iter().chain([&self.from]) {
            if line(name).is_none() {
                let names: Vec<String> = repository.lines.iter().map(|line| shown(&line.name)).collect();
                return Err(Failure::Refused(format!("There is no line {name}; there are {}.", names.join(", "))));
            }
        }
        if self.to.contains(&self.from) {
            return Err(Failure::Refused(format!("{} is where the fix comes from: name another line.", self.from)));
        }
        if !pushed(&self.from) {
            return Err(Failure::Refused(format!("Nothing is pushed to fix/{} of {} yet.", self.from, self.case)));
        }
        if let Some(there) = self.to.iter().find(|name| pushed(name)) {
            return Err(Failure::Refused(format!(
                "fix/{there} of {} is pushed already: change that one, or delete it first.",
                self.case
            )));
        }
        let strategy = line(&self.from).and_then(|line| line.strategy.parse::<Strategy>().ok());
        Ok(if strategy.is_some_and(Strategy::keeps_commits) { Origin::Named } else { Origin::Silent })
    }
}

/// Puts the fix of the started line onto others. Where it conflicts, the first such line is left in progress.
fn port(start: &Start<'_>, lines: &[LineName], origin: Origin, output: Output) -> Result<Vec<Ported>> {
    if start.ask(&["status", "--porcelain", "--untracked-files=no"])?.is_none_or(|said| !said.is_empty()) {
        return Err(Failure::Refused("Commit or stash what you changed in this clone first.".to_owned()));
    }
    if start.exists("CHERRY_PICK_HEAD")? {
        return Err(Failure::Refused("A cherry-pick is in progress here: finish it first.".to_owned()));
    }
    for line in lines {
        let there = Start { line: line.clone(), ..*start };
        if start.exists(&format!("refs/heads/{}", there.branch()))? {
            let branch = there.branch();
            return Err(Failure::Refused(format!(
                "This clone has a branch {branch}, which was not pushed: go on there, or remove it with `git branch -D {branch}`."
            )));
        }
    }
    let commits = commits(start, output)?;
    let back = start.ask(&["branch", "--show-current"])?.filter(|name| !name.is_empty());
    let back = match back {
        Some(name) => name,
        None => start.ask(&["rev-parse", "HEAD"])?.unwrap_or_default(),
    };
    let mut ported = Vec::new();
    for line in lines {
        let there = Start { line: line.clone(), ..*start };
        there.switch(output)?;
        let outcome = pick(&there, &commits, origin)?;
        match &outcome {
            Outcome::Pushed { .. } => {
                let to = format!("{}:refs/heads/fix/{line}", there.branch());
                start.run(&["push", "--quiet", "--", &start.remote(), &to])?;
                leave(&there, &back)?;
            }
            Outcome::Conflict { .. } => {
                start.run(&["cherry-pick", "--abort"])?;
                leave(&there, &back)?;
                start.run(&["branch", "--quiet", "-D", &there.branch()])?;
            }
            Outcome::Nothing => {
                leave(&there, &back)?;
                start.run(&["branch", "--quiet", "-D", &there.branch()])?;
            }
        }
        ported.push(Ported { line: line.clone(), outcome });
    }
    // What fits is pushed by now; the first line where it does not is begun again and left for a person.
    if let Some(left) = ported.iter().find(|ported| matches!(ported.outcome, Outcome::Conflict { .. })) {
        let there = Start { line: left.line.clone(), ..*start };
        there.switch(output)?;
        pick(&there, &commits, origin)?;
    }
    Ok(ported)
}

fn leave(start: &Start<'_>, back: &str) -> Result<()> {
    let detached = back.len() == 40 && !start.exists(&format!("refs/heads/{back}"))?;
    if detached { start.run(&["switch", "--quiet", "--detach", back]) } else { start.run(&["switch", "--quiet", back]) }
}

/// Lists the commits of the fix, oldest first; merges are left out, as `git rebase` leaves them out.
fn commits(start: &Start<'_>, output: Output) -> Result<Vec<String>> {
    let (remote, line) = (start.remote(), &start.line);
    let range = format!("refs/remotes/{remote}/{line}..refs/remotes/{remote}/fix/{line}");
    let list = |more: &str| start.ask(&["rev-list", "--reverse", "--topo-order", more, &range]);
    let listed = list("--no-merges")?.ok_or_else(|| Failure::failed("The fix could not be read from the remote."))?;
    if list("--merges")?.is_some_and(|merges| !merges.is_empty()) {
        output.remark("The fix holds merges: their own changes are not taken along.");
    }
    let commits: Vec<String> = listed.lines().map(str::to_owned).collect();
    if commits.is_empty() {
        return Err(Failure::Refused(format!("The public line {line} holds the whole fix already.")));
    }
    Ok(commits)
}

/// Picks commits onto the branch that is checked out; a conflict is left in progress.
fn pick(start: &Start<'_>, commits: &[String], origin: Origin) -> Result<Outcome> {
    let before = start.ask(&["rev-parse", "HEAD"])?;
    let mut arguments = vec!["cherry-pick"];
    if origin == Origin::Named {
        arguments.push("-x");
    }
    arguments.extend(commits.iter().map(String::as_str));
    let mut done = start.ask(&arguments)?.is_some();
    while !done {
        if !start.exists("CHERRY_PICK_HEAD")? {
            return Err(Failure::failed("`git cherry-pick` did not begin: see whether it works here by hand."));
        }
        let paths = start.ask(&["diff", "--name-only", "--diff-filter=U"])?.unwrap_or_default();
        if !paths.is_empty() {
            let commit = start.ask(&["rev-parse", "CHERRY_PICK_HEAD"])?.unwrap_or_default();
            let subject = start.ask(&["log", "-1", "--format=%s", "CHERRY_PICK_HEAD"])?.unwrap_or_default();
            return Ok(Outcome::Conflict { commit, subject, paths: paths.lines().map(str::to_owned).collect() });
        }
        if start.ask(&["diff", "--cached", "--quiet"])?.is_none() {
            start.run(&["cherry-pick", "--abort"])?;
            return Err(Failure::failed("git would not commit what it picked: see what `git commit` says here."));
        }
        // The line has it already.
        done = start.ask(&["cherry-pick", "--skip"])?.is_some();
    }
    let head = start.ask(&["rev-parse", "HEAD"])?;
    Ok(if head == before { Outcome::Nothing } else { Outcome::Pushed { head: head.unwrap_or_default() } })
}

impl Ported {
    fn told(&self, case: &CaseId) -> String {
        let line = &self.line;
        match &self.outcome {
            Outcome::Pushed { head } => {
                format!("{line}: pushed to fix/{line} of {case} at {}", head.get(..12).unwrap_or(head))
            }
            Outcome::Nothing => format!("{line}: holds the fix already; nothing was pushed"),
            Outcome::Conflict { commit, subject, paths } => {
                let paths: Vec<String> = paths.iter().map(|path| shown(path)).collect();
                let commit = commit.get(..12).unwrap_or(commit);
                format!("{line}: {commit} ({}) conflicts in {}", shown(subject), paths.join(", "))
            }
        }
    }
}

/// Says how to go on where something conflicts.
fn advice(asked: &Backport, ported: &[Ported]) -> Option<String> {
    let mut left = ported.iter().filter(|ported| matches!(ported.outcome, Outcome::Conflict { .. }));
    let first = &left.next()?.line;
    let more: Vec<String> = left.map(|ported| ported.line.to_string()).collect();
    let (case, from) = (&asked.case, &asked.from);
    let then = if more.is_empty() {
        String::new()
    } else {
        format!(" Then `embargo fix backport {case} --from {from} --to {}`.", more.join(","))
    };
    Some(format!(
        "You stand on {case}/fix/{first}, in a cherry-pick: resolve it, `git add` the files, `git cherry-pick --continue`, `git push`. \
         `git cherry-pick --abort` gives up.{then}"
    ))
}

#[cfg(test)]
#[path = "backport_tests.rs"]
mod tests;
