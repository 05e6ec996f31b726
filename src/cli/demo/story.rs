//! The story from the report to the approved fix, through the command line and `git` alone.
//!
//! Guards: every step says what it expects, and the story ends with a sentence where that does not come.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::IgnoredAny;

use super::people::{Person, REPORTER_MAIL, REPORTER_NAME};
use super::sample;
use super::stage::{PROJECT, Stage};
use super::tale::Tale;
use super::upstream::{Fix, Line, write};
use super::wait::until;
use super::{check, outside};
use crate::cli::{Failure, Result};
use crate::wire::case::{AttachmentView, CaseView};
use crate::wire::project::ProjectView;
use crate::wire::report::ReceiptView;

/// How long the server may take for what it does by itself.
const CHORE: Duration = Duration::from_mins(1);
/// How long the first fetch of a repository may take.
const FIRST_FETCH: Duration = Duration::from_hours(1);

/// A case with approved fixes.
pub(super) struct Mended {
    /// The case.
    pub(super) case: String,
    /// The approved commit of each line.
    pub(super) fixes: BTreeMap<String, String>,
    /// Why checks were not run here, if so.
    pub(super) unchecked: Option<String>,
}

/// Tells the first half.
pub(super) async fn tell(stage: &Stage<'_>, tale: &mut Tale) -> Result<Mended> {
    mirrored(stage, tale).await?;
    let case = report(stage, tale).await?;
    accept(stage, &case, tale).await?;
    let clone = begin(stage, &case, tale).await?;
    let mut mended = Mended { case, fixes: BTreeMap::new(), unchecked: None };
    if stage.upstream.is_sample() {
        show_the_hole(stage, &clone, &mut mended, tale).await?;
    }
    push_the_fix(stage, &clone, &mut mended, tale).await?;
    approve(stage, &mended, tale).await?;
    attachment(stage, &clone, &mended, tale).await?;
    Ok(mended)
}

/// Waits until the server has fetched the public repository.
async fn mirrored(stage: &Stage<'_>, tale: &mut Tale) -> Result<()> {
    let manager = &stage.cast.manager;
    let found = until(FIRST_FETCH, "The mirror of the public repository was not made.", async || {
        let view: ProjectView = manager.embargo(&["project", "show", PROJECT]).await?;
        let repository =
            view.repositories.into_iter().next().ok_or_else(|| Failure::failed("The project has no repository."))?;
        match repository.state.as_str() {
            "ok" => Ok(Some(repository.note)),
            "unknown" => Ok(None),
            _ => Err(Failure::Refused(format!("The mirror could not be made: {}", repository.note))),
        }
    });
    let note = found.await?;
    tale.step("mirror", format!("fetched the public repository: {note}"));
    Ok(())
}

/// Reports, with a proof of concept that is encrypted before it leaves the reporter's machine.
async fn report(stage: &Stage<'_>, tale: &mut Tale) -> Result<String> {
    let reporter = &stage.cast.reporter;
    let sample = stage.upstream.is_sample();
    let (title, text) = if sample {
        (
            "Encoded dots lead off the shelf",
            "GET /%2e%2e/secret.txt reads a file beside the folder. The attached program shows it.",
        )
    } else {
        (
            "Sample report about a fixed vulnerability",
            "A sample report, so that the fix of a real vulnerability has a case.",
        )
    };
    let proof = if sample { sample::PROOF.1 } else { "The proof of concept would be here.\n" };
    let text = reporter.keep("report.md", text)?;
    let proof = reporter.keep(if sample { sample::PROOF.0 } else { "proof.txt" }, proof)?;
    let claim = reporter.home.join("claim").display().to_string();
    let words = [
        "report",
        "submit",
        "--project",
        PROJECT,
        "--title",
        title,
        "--text-file",
        &text,
        "--severity",
        "high",
        "--credit",
        REPORTER_NAME,
        "--contact",
        REPORTER_MAIL,
        "--attach",
        &proof,
        "--claim-file",
        &claim,
    ];
    let receipt: ReceiptView = reporter.embargo(&words).await?;
    tale.id("case", &receipt.case);
    tale.url("reporter", &receipt.page);
    tale.step(
        "report",
        format!("{}: {title}; a proof of concept is attached, encrypted by the reporter", receipt.case),
    );
    Ok(receipt.case)
}

/// Accepts the case and waits for its private remote.
async fn accept(stage: &Stage<'_>, case: &str, tale: &mut Tale) -> Result<()> {
    let maintainer = &stage.cast.maintainer;
    for act in ["acknowledge", "validate", "accept"] {
        maintainer.embargo::<IgnoredAny>(&["case", act, case]).await?;
    }
    let remote = until(CHORE, "The private remote was not made.", async || {
        let view = show(maintainer, case).await?;
        Ok(if view.remote_pending { None } else { view.remotes.into_iter().next() })
    });
    let remote = remote.await?;
    tale.url("private_remote", &remote.url);
    tale.url("case", format!("{}/cases/{case}", stage.server));
    tale.step("accept", format!("acknowledged, validated and accepted; the private remote is {}", remote.url));
    Ok(())
}

/// Clones the public repository and begins a fix in the clone.
async fn begin(stage: &Stage<'_>, case: &str, tale: &mut Tale) -> Result<PathBuf> {
    let maintainer = &stage.cast.maintainer;
    let work = stage.folder.at("work");
    let clone = work.join("maintainer");
    maintainer.git(&work).args(["clone", "--quiet", "--", &stage.public]).arg(&clone).succeed().await?;
    for line in &stage.upstream.lines {
        start(maintainer, case, line, &clone).await?;
    }
    let whole = work.join("private");
    let view = show(maintainer, case).await?;
    let remote = view.remotes.first().ok_or_else(|| Failure::failed("The private remote is gone."))?;
    maintainer
        .git(&work)
        .config("credential.helper", &helper()?)
        .args(["clone", "--quiet", "--", &remote.url])
        .arg(&whole)
        .succeed()
        .await?;
    tale.step(
        "clone",
        format!(
            "the maintainer cloned the private remote with plain git and began fixes with `embargo fix start {case}`"
        ),
    );
    Ok(clone)
}

async fn start(maintainer: &Person, case: &str, line: &Line, clone: &Path) -> Result<()> {
    let start = maintainer.embargo_in(clone)?.args(["--json", "fix", "start", case, "--line", &line.name]);
    start.succeed().await.map(drop)
}

/// Names this binary as git's credential helper.
fn helper() -> Result<String> {
    let binary =
        std::env::current_exe().map_err(|error| Failure::because("This program cannot find itself.", error))?;
    Ok(format!("!'{}' credential", binary.display()))
}

/// Pushes the test alone: checks must be red.
async fn show_the_hole(stage: &Stage<'_>, clone: &Path, mended: &mut Mended, tale: &mut Tale) -> Result<()> {
    let mut told = Vec::new();
    let mut pushed = Vec::new();
    for line in &stage.upstream.lines {
        let Fix::Written { test, .. } = &line.fix else { continue };
        let branch = branch(&mended.case, line);
        let head = commit_and_push(stage, clone, &branch, (*test, "Test that no path leads off the shelf")).await?;
        pushed.push((line, head));
    }
    for (line, head) in pushed {
        told.push(check::expect(stage, mended, (line, &head), check::Wanted::Red, tale).await?);
    }
    tale.step("red", format!("pushed the test that shows the bug: {}", told.join("; ")));
    Ok(())
}

/// Pushes the fix: checks must be green.
async fn push_the_fix(stage: &Stage<'_>, clone: &Path, mended: &mut Mended, tale: &mut Tale) -> Result<()> {
    for line in &stage.upstream.lines {
        let branch = branch(&mended.case, line);
        let head = match &line.fix {
            Fix::Written { mended: file, .. } => {
                commit_and_push(stage, clone, &branch, (*file, "Decode a path before looking where it leads")).await?
            }
            Fix::Taken { commit, source } => push_taken(stage, clone, &branch, (commit, source)).await?,
        };
        tale.id(format!("fix/{}", line.name), &head);
        mended.fixes.insert(line.name.clone(), head);
    }
    let wanted = if stage.upstream.is_sample() { check::Wanted::Green } else { check::Wanted::Anything };
    let mut told = Vec::new();
    for line in &stage.upstream.lines {
        let head = mended.fixes[&line.name].clone();
        told.push(check::expect(stage, mended, (line, &head), wanted, tale).await?);
    }
    tale.step("fix", format!("pushed the fix: {}", told.join("; ")));
    Ok(())
}

/// Names the branch that `embargo fix start` makes.
fn branch(case: &str, line: &Line) -> String {
    format!("{case}/fix/{}", line.name)
}

async fn commit_and_push(
    stage: &Stage<'_>,
    clone: &Path,
    branch: &str,
    (file, message): (sample::File, &str),
) -> Result<String> {
    let maintainer = &stage.cast.maintainer;
    maintainer.git(clone).args(["switch", "--quiet", branch]).succeed().await?;
    write(clone, &[file])?;
    maintainer.git(clone).args(["add", "--all"]).succeed().await?;
    maintainer.git(clone).args(["commit", "--quiet", "--message", message]).succeed().await?;
    maintainer.git(clone).args(["push", "--quiet"]).succeed().await?;
    maintainer.git(clone).args(["rev-parse", "HEAD"]).succeed().await
}

async fn push_taken(stage: &Stage<'_>, clone: &Path, branch: &str, (commit, source): (&str, &Path)) -> Result<String> {
    let maintainer = &stage.cast.maintainer;
    maintainer.git(clone).args(["switch", "--quiet", branch]).succeed().await?;
    let fetch = maintainer.git(clone).config("safe.directory", "*").args(["fetch", "--quiet", "--no-tags"]).arg(source);
    fetch.arg("refs/heads/embargo-demo/*:refs/embargo-demo/*").succeed().await?;
    maintainer.git(clone).args(["reset", "--quiet", "--hard", commit]).succeed().await?;
    maintainer.git(clone).args(["push", "--quiet"]).succeed().await?;
    Ok(commit.to_owned())
}

/// The reviewer approves each fix at its commit.
async fn approve(stage: &Stage<'_>, mended: &Mended, tale: &mut Tale) -> Result<()> {
    for (line, head) in &mended.fixes {
        let words = ["fix", "approve", &mended.case, "--line", line, "--commit", head];
        stage.cast.reviewer.embargo::<IgnoredAny>(&words).await?;
    }
    let at: Vec<_> = mended.fixes.iter().map(|(line, head)| format!("{line} at {}", short(head))).collect();
    tale.step("approve", format!("the reviewer approved {}", at.join(" and ")));
    Ok(())
}

/// Fetches the proof of concept and tries it before and after the fix.
async fn attachment(stage: &Stage<'_>, clone: &Path, mended: &Mended, tale: &mut Tale) -> Result<()> {
    let maintainer = &stage.cast.maintainer;
    let view = show(maintainer, &mended.case).await?;
    let sent = view.attachments.first().ok_or_else(|| Failure::Refused("The attachment did not arrive.".to_owned()))?;
    let AttachmentView { id, passed_through_server, .. } = sent;
    if *passed_through_server {
        return Err(Failure::Refused("The attachment was not encrypted by the reporter.".to_owned()));
    }
    let proof = stage.folder.at("work").join(sample::PROOF.0);
    let place = proof.display().to_string();
    let get = maintainer.embargo_in(&stage.folder.at("work"))?;
    get.args(["--json", "attachment", "get", &mended.case, id, "--output", &place]).succeed().await?;
    tale.id("attachment", id);
    if !stage.upstream.is_sample() {
        tale.step("attachment", "fetched and decrypted by the maintainer");
        return Ok(());
    }
    let read =
        fs::read_to_string(&proof).map_err(|error| Failure::because("The attachment could not be read.", error))?;
    if read != sample::PROOF.1 {
        return Err(Failure::Refused("The attachment is not what the reporter sent.".to_owned()));
    }
    let mut told = Vec::new();
    for line in &stage.upstream.lines {
        maintainer.git(clone).args(["checkout", "--quiet", &format!("origin/{}", line.name)]).succeed().await?;
        told.push(outside::succeeds(&proof, clone).await?);
        maintainer.git(clone).args(["checkout", "--quiet", &branch(&mended.case, line)]).succeed().await?;
        told.push(format!("with the fix {}", outside::refused(&proof, clone).await?));
    }
    tale.step("attachment", format!("decrypted by the maintainer and tried: {}", told.join("; ")));
    Ok(())
}

/// Shows a case.
pub(super) async fn show(person: &Person, case: &str) -> Result<CaseView> {
    person.embargo(&["case", "show", case]).await
}

/// Returns the first digits of an id.
pub(super) fn short(id: &str) -> &str {
    id.get(..9).unwrap_or(id)
}
