//! One public repository as a release meets it: looked at, tried, pushed to, read back.
//!
//! Guards: every answer of the outside becomes one of the outcomes the journal knows, and doubt is never called failure.

use super::{Error, Result};
use crate::app::App;
use crate::domain::effect::Outcome;
use crate::domain::hold::HoldReason;
use crate::domain::id::{ReleaseId, UpstreamId};
use crate::domain::manifest::{Manifest, RefMove};
use crate::domain::project::{Line, Upstream as Row};
use crate::domain::readiness::TargetFacts;
use crate::domain::rehearsal::{Candidate, Target};
use crate::domain::repo::{CommitId, RefName};
use crate::domain::trial::TrialOutcome;
use crate::git::Repo;
use crate::git::mirror::Upstream;
use crate::git::publish::{Leased, PushOutcome, Standing, compare};
use crate::store;

/// A public repository and what the manifest wants of it.
pub(super) struct Public<'a> {
    app: &'a App,
    repo: Repo,
    remote: Upstream,
    plan: Vec<Leased>,
}

/// How the public refs stand against the manifest.
pub(super) enum Stand {
    /// Where the release puts them.
    There,
    /// Where they were when it was frozen.
    Untouched,
    /// Some here, some there.
    Mixed,
    /// A line is somewhere else.
    Moved(RefName),
    /// A tag of the release names something else.
    Tagged,
    /// Nobody answers.
    Silent,
}

impl<'a> Public<'a> {
    /// Puts address, credential and plan together.
    pub(super) async fn of(app: &'a App, manifest: &Manifest, id: UpstreamId) -> Result<Self> {
        let wanted = manifest.repository(id).ok_or(Error::NotFound)?;
        let mut rows = app.read().await?;
        let upstream = store::project::upstream(&mut rows, id).await?.ok_or(Error::NotFound)?;
        drop(rows);
        let settings = super::project::settings(app, &upstream).ok_or(Error::NotFound)?;
        let remote = super::project::remote(&upstream.url, settings)?;
        let repo = Repo::Release(manifest.release.clone(), id);
        Ok(Self { app, repo, remote, plan: wanted.refs.iter().map(leased).collect() })
    }

    /// Puts a copy of the repository in its place.
    pub(super) fn staged(app: &'a App, manifest: &Manifest, id: UpstreamId, remote: Upstream) -> Result<Self> {
        let wanted = manifest.repository(id).ok_or(Error::NotFound)?;
        let repo = Repo::Release(manifest.release.clone(), id);
        Ok(Self { app, repo, remote, plan: wanted.refs.iter().map(leased).collect() })
    }

    /// Puts a plan together that is only to be tried.
    pub(super) fn trial(app: &'a App, release: &ReleaseId, upstream: &Row, plan: Vec<Leased>) -> Result<Self> {
        let settings = super::project::settings(app, upstream).ok_or(Error::NotFound)?;
        let remote = super::project::remote(&upstream.url, settings)?;
        Ok(Self { app, repo: Repo::Release(release.clone(), upstream.id), remote, plan })
    }

    /// Tries the push without sending anything, where the public refs are those of the plan.
    pub(super) async fn try_push(&self) -> TrialOutcome {
        match self.stand().await {
            Stand::Untouched => {}
            Stand::There | Stand::Mixed | Stand::Moved(_) | Stand::Tagged | Stand::Silent => {
                return TrialOutcome::Silent;
            }
        }
        match self.app.git.dry_run(&self.repo, &self.remote, &self.plan).await {
            Ok(PushOutcome::Done | PushOutcome::AlreadyDone) => TrialOutcome::Fine,
            Ok(PushOutcome::Refused { .. }) => TrialOutcome::Refused,
            Ok(PushOutcome::Stale { .. } | PushOutcome::Unknown { .. }) | Err(_) => TrialOutcome::Silent,
        }
    }

    /// Reads the public refs and compares.
    pub(super) async fn stand(&self) -> Stand {
        let names: Vec<RefName> = self.plan.iter().map(|leased| leased.name.clone()).collect();
        let refs = match self.app.git.read_refs(&self.remote, &names).await {
            Ok(refs) => refs,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "public refs could not be read");
                return Stand::Silent;
            }
        };
        match compare(&self.plan, &refs) {
            Standing::AllNew => Stand::There,
            Standing::AllOld => Stand::Untouched,
            Standing::Mixed => Stand::Mixed,
            Standing::Foreign => {
                let tag = |leased: &&Leased| leased.old.is_zero();
                let mut tags = self.plan.iter().filter(tag).peekable();
                let at_new = |leased: &Leased| refs.get(&leased.name) == Some(&leased.new);
                let left_behind =
                    |leased: &Leased| !leased.old.is_zero() && refs.get(&leased.name) == Some(&leased.old);
                // The tags are ours and no line is where it was: the push went through, and somebody pushed after it.
                if tags.peek().is_some() && tags.all(at_new) && !self.plan.iter().any(left_behind) {
                    return Stand::There;
                }
                let absent = |leased: &Leased| leased.old.is_zero() && !refs.contains_key(&leased.name);
                let foreign = |leased: &&Leased| !(at_new(leased) || left_behind(leased) || absent(leased));
                match self.plan.iter().find(foreign) {
                    Some(leased) if leased.old.is_zero() => Stand::Tagged,
                    Some(leased) => Stand::Moved(leased.name.clone()),
                    None => Stand::Mixed,
                }
            }
        }
    }

    /// Looks whether the push would go through; sends nothing.
    pub(super) async fn preflight(&self) -> Outcome {
        match self.stand().await {
            Stand::There => return Outcome::Done("in public already".to_owned()),
            Stand::Untouched => {}
            Stand::Silent => {
                return Outcome::Again("The public repository does not answer; nothing was sent.".to_owned());
            }
            Stand::Mixed => return partly("Part of the release is in public already."),
            Stand::Moved(name) => return moved(&name),
            Stand::Tagged => return tagged(),
        }
        for leased in self.plan.iter().filter(|leased| !leased.old.is_zero()) {
            match self.app.git.is_ancestor(&self.repo, &leased.old, &leased.new).await {
                Ok(true) => {}
                Ok(false) => {
                    let note = format!("The release would rewrite the line {}.", leased.name.short());
                    return Outcome::Failed(HoldReason::NotReady, note);
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "a candidate could not be read");
                    return Outcome::Again("The candidates could not be read.".to_owned());
                }
            }
        }
        match self.app.git.dry_run(&self.repo, &self.remote, &self.plan).await {
            Ok(PushOutcome::Done | PushOutcome::AlreadyDone) => Outcome::Done(format!("{} refs", self.plan.len())),
            Ok(PushOutcome::Stale { refs }) => self.stale(&refs),
            Ok(PushOutcome::Refused { .. }) => refused(),
            Ok(PushOutcome::Unknown { .. }) => {
                Outcome::Again("The public repository did not answer to the end; nothing was sent.".to_owned())
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the trial push failed");
                Outcome::Again("The trial push could not be made; nothing was sent.".to_owned())
            }
        }
    }

    /// Moves every ref, or none.
    pub(super) async fn push(&self) -> Outcome {
        let outcome = match self.app.git.push_atomic(&self.repo, &self.remote, &self.plan).await {
            Ok(PushOutcome::Done) => return Outcome::Done(format!("{} refs", self.plan.len())),
            Ok(PushOutcome::AlreadyDone) => return Outcome::Done("in public already".to_owned()),
            Ok(PushOutcome::Unknown { .. }) => {
                return Outcome::Unknown("The connection was lost during the push.".to_owned());
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the push ended in an error");
                return Outcome::Unknown("The push ended in an error of ours.".to_owned());
            }
            Ok(PushOutcome::Stale { refs }) => self.stale(&refs),
            Ok(PushOutcome::Refused { sent: false, .. }) => refused(),
            Ok(PushOutcome::Refused { sent: true, .. }) => {
                partly("The public repository refused the push after it had the objects: they may be public.")
            }
        };
        // An earlier try of our own may have come through meanwhile: what stands in public decides.
        match self.stand().await {
            Stand::There => Outcome::Done("found in public".to_owned()),
            Stand::Untouched | Stand::Moved(_) | Stand::Tagged => outcome,
            Stand::Mixed => partly("Some refs of the release are in public and some are not."),
            Stand::Silent => Outcome::Unknown("The public repository stopped answering.".to_owned()),
        }
    }

    /// Reads back what was pushed.
    pub(super) async fn verify(&self) -> Outcome {
        match self.stand().await {
            Stand::There => Outcome::Done(format!("{} refs read back", self.plan.len())),
            Stand::Silent => Outcome::Again("The public repository does not answer.".to_owned()),
            Stand::Untouched => Outcome::Again("The public repository does not show the push yet.".to_owned()),
            Stand::Mixed | Stand::Moved(_) | Stand::Tagged => {
                partly("The public refs are not where the release put them.")
            }
        }
    }

    fn stale(&self, refs: &[RefName]) -> Outcome {
        let line = self.plan.iter().find(|leased| !leased.old.is_zero() && refs.contains(&leased.name));
        line.map_or_else(tagged, |leased| moved(&leased.name))
    }
}

/// Lists the branches that one target moves, and its tag.
pub(super) fn moved_by(
    target: &Target,
    known: &TargetFacts,
    line: &Line,
    candidate: &Candidate,
) -> (Vec<RefMove>, RefMove) {
    let mut branches =
        vec![RefMove { name: line.branch(), old: candidate.base.clone(), new: candidate.commit.clone() }];
    let advances = known.recipe.as_ref().map(|recipe| recipe.advances.as_slice()).unwrap_or_default();
    let advanced = advances.iter().map(|advance| RefMove {
        name: RefName::branch(&advance.branch),
        old: advance.tip.clone().unwrap_or_else(CommitId::zero),
        new: candidate.commit.clone(),
    });
    branches.extend(advanced.filter(|moved| moved.old != moved.new));
    branches.extend(candidate.moves.iter().map(|moved| RefMove {
        name: RefName::branch(&moved.branch),
        old: moved.old.clone(),
        new: moved.new.clone(),
    }));
    let tag = RefMove { name: RefName::tag(&target.tag), old: CommitId::zero(), new: candidate.tag_object.clone() };
    (branches, tag)
}

/// Says what a push has to find of a ref, and what it makes of it.
pub(super) fn leased(moved: &RefMove) -> Leased {
    Leased { name: moved.name.clone(), old: moved.old.clone(), new: moved.new.clone() }
}

fn moved(name: &RefName) -> Outcome {
    Outcome::Failed(HoldReason::LineMoved, super::begin::line_moved(name.short()))
}

fn tagged() -> Outcome {
    Outcome::Failed(HoldReason::TagTaken, "A tag of the release exists in public already.".to_owned())
}

fn refused() -> Outcome {
    Outcome::Failed(HoldReason::PushRefused, "The public repository refuses this push; nothing was sent.".to_owned())
}

fn partly(note: &str) -> Outcome {
    Outcome::Failed(HoldReason::PartlyPublic, note.to_owned())
}
