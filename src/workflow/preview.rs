//! What a release would push, in words: each new commit with its message, and the message of each tag.
//!
//! Shown before anybody approves or arms, to those who may see every case of the release.

use super::{Result, shown_at};
use crate::app::App;
use crate::domain::blocker::Blocker;
use crate::domain::id::UpstreamId;
use crate::domain::project::TagStyle;
use crate::domain::readiness::TargetFacts;
use crate::domain::rehearsal::{Candidate, Rehearsal, Target};
use crate::domain::release::Release;
use crate::domain::repo::{CommitId, RepoName};
use crate::domain::signing::Signed;
use crate::domain::text::shown;
use crate::domain::trial::Trial;
use crate::git::Repo;
use crate::git::history::CommitSummary;
use crate::wire::release::{BlockerView, CommitView, MoveView, TargetView, TrialView};

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

/// Shows how a push was tried.
pub(super) fn trial_view((repository, trial): &(RepoName, Trial)) -> TrialView {
    TrialView {
        repository: repository.to_string(),
        outcome: trial.outcome.to_string(),
        tried_at: shown_at(trial.tried_at),
    }
}

/// Shows what blocks a release.
pub(super) fn blocker_view(blocker: &Blocker) -> BlockerView {
    BlockerView {
        kind: blocker.kind.to_string(),
        sentence: blocker.sentence.clone(),
        owner: blocker.owner.to_string(),
        link: blocker.link.clone(),
    }
}

/// Lists the commits that would become public on a target's line, newest first.
pub(super) async fn commits(app: &App, release: &Release, target: &Target) -> Result<Vec<CommitView>> {
    let Rehearsal::Candidate(candidate) = &target.rehearsal else { return Ok(Vec::new()) };
    beyond(app, (release, target.upstream), &public(release, target.upstream), &candidate.commit).await
}

/// Lists the branches that would move with a target's line, each with the commits that become public on it alone.
pub(super) async fn moves(app: &App, release: &Release, target: &Target) -> Result<Vec<MoveView>> {
    let Rehearsal::Candidate(candidate) = &target.rehearsal else { return Ok(Vec::new()) };
    let mut known = public(release, target.upstream);
    let shipped = |target: &Target| match &target.rehearsal {
        Rehearsal::Candidate(candidate) => Some(candidate.commit.clone()),
        Rehearsal::None | Rehearsal::Trouble { .. } => None,
    };
    known.extend(release.targets.iter().filter(|other| other.upstream == target.upstream).filter_map(shipped));
    let mut views = Vec::new();
    for moved in &candidate.moves {
        let commits = beyond(app, (release, target.upstream), &known, &moved.new).await?;
        views.push(MoveView {
            branch: moved.branch.to_string(),
            by: moved.by.to_string(),
            from: moved.old.to_string(),
            to: moved.new.to_string(),
            commits,
        });
    }
    Ok(views)
}

/// Names the public commits that what ships in a repository was built on.
fn public(release: &Release, upstream: UpstreamId) -> Vec<CommitId> {
    let built = release.targets.iter().filter(|target| target.upstream == upstream);
    let candidates = built.filter_map(|target| match &target.rehearsal {
        Rehearsal::Candidate(candidate) => Some(candidate),
        Rehearsal::None | Rehearsal::Trouble { .. } => None,
    });
    let of = |candidate: &Candidate| {
        let moved = candidate.moves.iter().map(|moved| moved.old.clone());
        std::iter::once(candidate.base.clone()).chain(moved).collect::<Vec<_>>()
    };
    candidates.flat_map(of).collect()
}

async fn beyond(
    app: &App,
    (release, upstream): (&Release, UpstreamId),
    known: &[CommitId],
    head: &CommitId,
) -> Result<Vec<CommitView>> {
    let repo = Repo::Release(release.id.clone(), upstream);
    match app.git.commits_beyond(&repo, known, head, SHOWN).await {
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
