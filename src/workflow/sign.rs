//! Tags signed offline: the exact bytes are handed out, and a signature of them is taken back.
//!
//! Guards: git judges the whole tag with the project's own list before it takes the rehearsed one's place, and again whenever
//! the release is looked at. Leaves to `domain::signing` which tag a signature belongs to.

use super::readiness::{Layout, open_release};
use super::{Error, Result};
use crate::app::App;
use crate::domain::access::Action;
use crate::domain::actor::Actor;
use crate::domain::digest::Digest;
use crate::domain::id::ReleaseId;
use crate::domain::project::TagStyle;
use crate::domain::refusal::Refusal;
use crate::domain::rehearsal::{Rehearsal, Target};
use crate::domain::release::Release;
use crate::domain::repo::CommitId;
use crate::domain::signing::{Signed, changed};
use crate::git::Repo;
use crate::store;
use crate::wire::sign::{SignTag, TagToSign};

/// Hands out the tags of a release that people sign, as they would be pushed, with who has; none where the server signs.
pub async fn tags(app: &App, actor: &Actor, id: &ReleaseId) -> Result<Vec<TagToSign>> {
    let mut rows = app.read().await?;
    let (release, _) = open_release(&mut rows, actor, id, Action::PlanRelease).await?;
    let layout = Layout::of(&mut rows, &release.project).await?;
    drop(rows);
    let mut tags = Vec::new();
    for target in &release.targets {
        let Some(tag_object) = annotated(target) else { continue };
        let (line, upstream) = layout.place(target)?;
        let payload = app.git.tag_draft(&repo(&release, target), tag_object).await?.payload()?;
        let signed_by = match signed(app, &release, target).await? {
            Signed::By(who) => Some(who),
            Signed::Missing => None,
            Signed::NotAsked => continue,
        };
        tags.push(TagToSign {
            repository: upstream.name.to_string(),
            line: line.name.to_string(),
            tag: target.tag.to_string(),
            sha256: Digest::of(&payload).to_string(),
            payload: String::from_utf8(payload).map_err(|error| Error::Internal(Box::new(error)))?,
            signed_by,
        });
    }
    Ok(tags)
}

/// Takes a signature of a tag, if it is of these very bytes and by somebody the project allows.
pub async fn sign(app: &App, actor: &Actor, id: &ReleaseId, wish: &SignTag) -> Result<()> {
    let mut rows = app.read().await?;
    let (release, _) = open_release(&mut rows, actor, id, Action::PlanRelease).await?;
    let layout = Layout::of(&mut rows, &release.project).await?;
    drop(rows);
    let Some(allowed) = app.config.project(&release.project).and_then(crate::config::ProjectConfig::allowed_signers)
    else {
        return Err(Refusal::moment("The server signs the tags of this project: nobody else has to.").into());
    };
    let (line, _) = layout.named(wish.repository.as_ref(), &wish.line)?;
    let mut targets = release.targets.iter();
    let target = targets.find(|target| target.line == line.id && target.tag == wish.tag);
    let target = target.ok_or_else(|| Refusal::input(format!("This release makes no tag {} there.", wish.tag)))?;
    let old = annotated(target).ok_or_else(changed)?;
    let repo = repo(&release, target);
    let draft = app.git.tag_draft(&repo, old).await?;
    if Digest::of(&draft.payload()?) != wish.sha256 {
        return Err(changed().into());
    }
    let new = app.git.write_tag(&repo, draft.sign(wish.signature.as_str())?).await?;
    let Some(by) = app.git.verify_tag(&repo, &new, &allowed).await? else {
        return Err(Refusal::input(
            "This is no valid signature of that tag by anybody the project allows: sign the bytes as they were fetched, with a key \
             that the operator has named.",
        )
        .into());
    };
    app.git.keep(&repo, std::slice::from_ref(&new)).await?;
    let mut tx = app.begin("release.sign").await?;
    let (found, _) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    let change = found.sign((line.id, &wish.tag), (old, new), &by)?;
    store::release::save(&mut tx, actor, change).await?;
    Ok(app.commit(tx).await?)
}

/// Says whether the tag of a target is signed as the project asks, by those who may sign now.
pub(super) async fn signed(app: &App, release: &Release, target: &Target) -> Result<Signed> {
    let settings = app.config.project(&release.project);
    let allowed = settings.and_then(crate::config::ProjectConfig::allowed_signers);
    let (Some(allowed), Some(tag_object)) = (allowed, annotated(target)) else { return Ok(Signed::NotAsked) };
    match app.git.verify_tag(&repo(release, target), tag_object, &allowed).await {
        Ok(Some(who)) => Ok(Signed::By(who)),
        Ok(None) => Ok(Signed::Missing),
        // Who may sign is not known: nobody is taken to have.
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a tag could not be verified");
            Ok(Signed::Missing)
        }
    }
}

/// Returns the tag object of a target that has one of its own.
fn annotated(target: &Target) -> Option<&CommitId> {
    match (&target.rehearsal, target.style) {
        (Rehearsal::Candidate(candidate), TagStyle::Annotated) => Some(&candidate.tag_object),
        (Rehearsal::Candidate(_), TagStyle::Lightweight) | (Rehearsal::None | Rehearsal::Trouble { .. }, _) => None,
    }
}

fn repo(release: &Release, target: &Target) -> Repo {
    Repo::Release(release.id.clone(), target.upstream)
}
