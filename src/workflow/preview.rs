//! What a release would push, in words: each new commit with its message, and the message of each tag.
//!
//! Shown before anybody approves or arms, to those who may see every case of the release.

use super::Result;
use crate::app::App;
use crate::domain::project::TagStyle;
use crate::domain::readiness::TargetFacts;
use crate::domain::rehearsal::{Rehearsal, Target};
use crate::domain::release::Release;
use crate::domain::signing::Signed;
use crate::domain::text::shown;
use crate::git::Repo;
use crate::git::history::CommitSummary;
use crate::wire::release::{CommitView, TargetView};

/// New commits of one line that are shown.
const SHOWN: usize = 50;
/// Bytes of a patch that are shown.
const PATCH: usize = 64 * 1024;

/// Says how fixes are put onto a target's line, and what its tag says.
pub(super) fn words(view: &mut TargetView, target: &Target, known: &TargetFacts) {
    target.strategy.as_str().clone_into(&mut view.strategy);
    target.style.as_str().clone_into(&mut view.tag_style);
    view.signed_by = match &known.signed {
        Signed::By(who) => Some(who.clone()),
        Signed::NotAsked | Signed::Missing => None,
    };
    let Ok(recipe) = &known.recipe else { return };
    view.advances = recipe.advances.iter().map(|advance| advance.branch.to_string()).collect();
    view.tag_message = (recipe.style == TagStyle::Annotated).then(|| lines(&recipe.tag_message));
}

/// Lists the commits that would become public on a target's line, newest first.
pub(super) async fn commits(app: &App, release: &Release, target: &Target) -> Result<Vec<CommitView>> {
    let Rehearsal::Candidate(candidate) = &target.rehearsal else { return Ok(Vec::new()) };
    let repo = Repo::Release(release.id.clone(), target.upstream);
    match app.git.commits(&repo, &candidate.base, &candidate.commit, SHOWN).await {
        Ok(commits) => Ok(commits.into_iter().map(commit_view).collect()),
        // The next rehearsal builds it again.
        Err(crate::git::Error::NoRepository | crate::git::Error::Missing) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Shows what a version command changed on a target's line.
pub(super) async fn version_patch(app: &App, release: &Release, target: &Target) -> Result<Option<String>> {
    let Rehearsal::Candidate(candidate) = &target.rehearsal else { return Ok(None) };
    if !candidate.bumped {
        return Ok(None);
    }
    let repo = Repo::Release(release.id.clone(), target.upstream);
    let Some(before) = app.git.commit(&repo, &candidate.commit).await?.parents.into_iter().next() else {
        return Ok(None);
    };
    let patch = app.git.patch(&repo, &before, &candidate.commit).await?;
    let cut = &patch[..patch.len().min(PATCH)];
    Ok(Some(lines(&String::from_utf8_lossy(cut))))
}

fn commit_view(commit: CommitSummary) -> CommitView {
    CommitView {
        id: commit.id.to_string(),
        author: shown(&format!("{} <{}>", commit.author, commit.author_email)),
        message: lines(&commit.message),
    }
}

/// Shows a message line by line, with what could deceive a reader written out.
fn lines(message: &str) -> String {
    message.trim_end().lines().map(shown).collect::<Vec<_>>().join("\n")
}
