//! Rehearsals: building what a release would push, with its own dates and signature, without moving any ref.
//!
//! Guards: ids depend on public tips, fixes, dates and key alone, so the ids people arm are the ids that become public, and
//! what the release repository borrows is kept by who lends it. Leaves what a result means to `domain::readiness`.

use super::readiness::{Gathered, Layout, gather, open_release};
use super::{Error, Result};
use crate::app::App;
use crate::crypto::sshsig;
use crate::domain::access::Action;
use crate::domain::actor::{Actor, Chore};
use crate::domain::id::{ProjectId, ReleaseId};
use crate::domain::job::Job;
use crate::domain::project::TagStyle;
use crate::domain::readiness::Facts;
use crate::domain::refusal::Refusal;
use crate::domain::rehearsal::{Candidate, Rehearsal, Target, inputs};
use crate::domain::release::{Release, ReleaseState};
use crate::git::Repo;
use crate::git::combine::{Merged, Stamp, Topic};
use crate::git::identity::Identity;
use crate::git::tag::{TagDraft, TagText};
use crate::store::job::Settled;
use crate::store::{self, Tx};

const CHORE: Actor = Actor::System(Chore::Disclose);

/// Asks for a rehearsal now.
pub async fn rehearse_now(app: &App, actor: &Actor, id: &ReleaseId) -> Result<()> {
    let mut tx = app.begin("release.rehearse_now").await?;
    let (release, _) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    if release.state != ReleaseState::Planned {
        return Err(Refusal::moment("Only a planned release is rehearsed: reopen it first.").into());
    }
    let now = tx.now();
    store::job::queue(&mut tx, &Job::Rehearse { release: id.clone() }, now).await?;
    Ok(app.commit(tx).await?)
}

/// Queues a rehearsal of every release of the project that is still being planned.
pub(super) async fn rehearse_open(tx: &mut Tx, project: &ProjectId) -> Result<()> {
    let now = tx.now();
    for release in store::release::planned(tx, project).await? {
        store::job::queue(tx, &Job::Rehearse { release }, now).await?;
    }
    Ok(())
}

/// Builds what a planned release would push. Ids depend on tips, fixes, dates and key only, so a second run finds the same.
pub async fn rehearse(app: &App, id: &ReleaseId) -> Result<Settled> {
    let (tx, gathered) = gather(app, &CHORE, id, Action::Maintain, "release.rehearse").await?;
    app.commit(tx).await?;
    let Gathered { release, facts, layout, .. } = gathered;
    if release.state != ReleaseState::Planned {
        return Ok(Settled::Done);
    }
    let mut results = Vec::new();
    let mut styles = Vec::new();
    let mut rows = app.read().await?;
    for target in &release.targets {
        styles.push(store::project::tag_style(&mut rows, target.line).await?);
    }
    drop(rows);
    for (at, target) in release.targets.iter().enumerate() {
        results.push(rehearse_target(app, (&release, &facts, &layout), at, styles[at]).await.or_else(|error| {
            match error {
                Error::Refused(refusal) => {
                    Ok(Rehearsal::Trouble { sentence: refusal.to_string(), at: app.clock.now() })
                }
                other => Err(other),
            }
        })?);
        tracing::debug!(release = %release.id, line = %target.line, "rehearsed a line");
    }
    let unchanged = release.targets.iter().zip(&results).all(|(target, result)| same(&target.rehearsal, result));
    if unchanged {
        return Ok(Settled::Done);
    }
    let mut tx = app.begin("release.rehearsed").await?;
    let change = release.rehearsed(results)?;
    store::release::save(&mut tx, &CHORE, change).await?;
    app.commit(tx).await?;
    Ok(Settled::Done)
}

/// Tells whether two rehearsals say the same, whenever they were.
fn same(one: &Rehearsal, two: &Rehearsal) -> bool {
    match (one, two) {
        (Rehearsal::None, Rehearsal::None) => true,
        (Rehearsal::Trouble { sentence: a, .. }, Rehearsal::Trouble { sentence: b, .. }) => a == b,
        (Rehearsal::Candidate(a), Rehearsal::Candidate(b)) => {
            (&a.base, &a.commit, &a.tag_object, a.inputs) == (&b.base, &b.commit, &b.tag_object, b.inputs)
        }
        (Rehearsal::None | Rehearsal::Trouble { .. } | Rehearsal::Candidate(_), _) => false,
    }
}

async fn rehearse_target(
    app: &App,
    plan: (&Release, &Facts, &Layout),
    at: usize,
    style: TagStyle,
) -> Result<Rehearsal> {
    let (release, facts, layout) = plan;
    let target = &release.targets[at];
    let (line, upstream) = layout.place(target)?;
    let now = app.clock.now();
    let trouble = |sentence: String| Ok(Rehearsal::Trouble { sentence, at: now });
    let Some(tip) = facts.targets[at].tip.clone() else {
        return trouble(format!("the public line is not in the mirror of {}.", upstream.name));
    };
    let heads = release.fixes_on(target.line, facts);
    if heads.is_empty() {
        return trouble("nothing is pushed to fix this line yet.".to_owned());
    }
    let built_from = inputs(&tip, &heads, release.dated_at, &target.tag);
    if let Rehearsal::Candidate(candidate) = &target.rehearsal
        && candidate.inputs == built_from
    {
        return Ok(target.rehearsal.clone());
    }
    let repo = Repo::Release(release.id.clone(), upstream.id);
    let mut lenders = Vec::new();
    let mut topics = Vec::new();
    for known in &facts.cases {
        let case_repo = Repo::Case(known.case.clone(), upstream.id);
        if app.git.exists(&case_repo) {
            lenders.push(known.case.clone());
        }
        for fix in known.fixes.iter().filter(|fix| fix.line == target.line) {
            let Some(head) = &fix.head else { continue };
            // What the release borrows must outlive a repack of the case.
            app.git.keep(&case_repo, std::slice::from_ref(head)).await?;
            topics.push(Topic {
                head: head.clone(),
                message: format!("Merge the fix of {} into {}", known.case, line.name),
            });
        }
    }
    app.git.create_release(&release.id, upstream.id, &lenders).await?;
    let signer = signer(app, &layout.project.id)?;
    let stamp = Stamp { author: signer.clone(), committer: signer.clone(), dated_at: release.dated_at };
    let commit = match app.git.combine(&repo, &tip, &topics, &stamp).await? {
        Merged::Clean { commit, .. } if commit == tip => {
            return trouble("the public line holds the fix already: what it fixes is public.".to_owned());
        }
        Merged::Clean { commit, .. } => commit,
        Merged::Conflict { head, paths } => {
            let which = facts.cases.iter().find(|known| known.fixes.iter().any(|fix| fix.head.as_ref() == Some(&head)));
            let which = which.map_or_else(|| "a fix".to_owned(), |known| format!("the fix of {}", known.case));
            return trouble(format!(
                "{which} does not merge with the line or another fix, in {} files: merge the line into fix/{} and push.",
                paths.len(),
                line.name
            ));
        }
    };
    let tag_object = match style {
        TagStyle::Lightweight => commit.clone(),
        TagStyle::Annotated => {
            let text = TagText {
                name: target.tag.clone(),
                target: commit.clone(),
                tagger: signer,
                dated_at: release.dated_at,
                message: tag_message(layout, release, target),
            };
            let Some(key) = app.keys.tag_signer() else {
                return trouble("there is no key to sign the tag with.".to_owned());
            };
            let draft = TagDraft::new(&text)?;
            let signature = key.sign(sshsig::GIT, &draft.payload()?)?;
            app.git.write_tag(&repo, draft.sign(&signature)?).await?
        }
    };
    app.git.keep(&repo, &[commit.clone(), tag_object.clone()]).await?;
    Ok(Rehearsal::Candidate(Candidate { base: tip, commit, tag_object, inputs: built_from, at: now }))
}

fn tag_message(layout: &Layout, release: &Release, target: &Target) -> String {
    let cases = release.cases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("{} {}\n\nSecurity release. Fixes {cases}.", layout.project.name, target.tag)
}

fn signer(app: &App, project: &ProjectId) -> Result<Identity> {
    let settings = app.config.project(project).map(|settings| settings.signer.clone()).unwrap_or_default();
    Ok(Identity::new(&settings.name, &settings.email)?)
}
