//! The version command of a line: run in the sandbox on what a release would push, its changes become a commit on top.
//!
//! Guards: the command sees one commit, no network and no secret, like any check; what it changes covers no approval of a fix,
//! and is approved by itself at its commit. Leaves what a candidate needs to `domain::candidate`.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Error, Result};
use crate::app::{App, Checks};
use crate::ci::{self, JobFolder, Masks, Progress, Report};
use crate::domain::check::CheckState;
use crate::domain::recipe::Bump;
use crate::domain::repo::CommitId;
use crate::domain::text::shown;
use crate::git::Repo;
use crate::git::combine::Stamp;

/// Lines of what a failing command said that are told.
const TOLD: usize = 8;

/// What became of the command.
pub(super) enum Bumped {
    /// It changed files, which are a commit now.
    Changed(CommitId),
    /// It changed nothing.
    Nothing,
    /// It failed or could not run; why, in a sentence.
    Failed(String),
}

/// Runs the command on a commit.
pub(super) async fn bump(app: &App, repo: &Repo, onto: &CommitId, bump: &Bump, stamp: &Stamp) -> Result<Bumped> {
    let sandbox = match &app.checks {
        Checks::Ready(sandbox) => sandbox,
        Checks::Off(why) => return Ok(Bumped::Failed(format!("the version command cannot run here: {why}"))),
    };
    let Ok(_slot) = app.check_slots.acquire().await else {
        return Err(Error::Unavailable { sentence: "The server is stopping.".to_owned(), source: None });
    };
    let internal = |error: ci::Error| Error::Internal(Box::new(error));
    let name = format!("version-{}", app.mint::<crate::domain::id::CheckJobId>());
    let folder = JobFolder::create(&app.config.checks_folder(), &name).map_err(internal)?;
    let bumped = async {
        app.git.checkout(repo, onto, &folder.workspace()).await?;
        let recipe =
            ci::plan::Recipe::script(&bump.command, &[("LINE", bump.line.as_str()), ("TAG", bump.tag.as_str())]);
        let (to, from) = mpsc::channel(1024);
        let work = ci::execute(sandbox, &recipe, &folder, Report::new(to, Masks::default()), CancellationToken::new());
        let (outcome, said) = tokio::join!(work, last_lines(from));
        match outcome.map_err(internal)?.state {
            CheckState::Success => {}
            state => {
                let said = if said.is_empty() { String::new() } else { format!(" It said: {}", said.join(" / ")) };
                return Ok(Bumped::Failed(format!("the version command ended as {state}.{said}")));
            }
        }
        let commit = app.git.commit_folder(repo, onto, (&folder.workspace(), &bump.message), stamp).await?;
        Ok(commit.map_or(Bumped::Nothing, Bumped::Changed))
    };
    let bumped: Result<Bumped> = bumped.await;
    if let Err(error) = folder.remove() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the folder of a version command could not be removed"
        );
    }
    bumped
}

/// Keeps the last lines that a command says.
async fn last_lines(mut from: mpsc::Receiver<Progress>) -> Vec<String> {
    let mut kept: VecDeque<String> = VecDeque::new();
    while let Some(progress) = from.recv().await {
        if let Progress::Line(line) = progress {
            if kept.len() == TOLD {
                kept.pop_front();
            }
            kept.push_back(shown(&line.text).chars().take(200).collect());
        }
    }
    kept.into()
}
