//! The plan of a release: made over cases, lines and tags, and what is taken out of it again. What follows is `release`.

use super::readiness::{Layout, open_release};
use super::{Error, Result, open, open_project};
use crate::app::App;
use crate::domain::access::Action;
use crate::domain::actor::{Actor, Chore};
use crate::domain::audience::Lead;
use crate::domain::id::{CaseId, ReleaseId};
use crate::domain::job::Job;
use crate::domain::plain::AdvisoryId;
use crate::domain::plan::Plan;
use crate::domain::refusal::Refusal;
use crate::domain::rehearsal::Target;
use crate::domain::release::Release;
use crate::domain::repo::RefName;
use crate::domain::team::ProjectAction;
use crate::git::Repo;
use crate::store::{self, Tx};
use crate::wire::release::{PlanRelease, SetStrategy};

const CHORE: Actor = Actor::System(Chore::Disclose);

/// Plans a release over cases and lines, gives each case's advisory its public id, and rehearses it.
pub async fn plan(app: &App, actor: &Actor, wish: &PlanRelease) -> Result<ReleaseId> {
    tags_are_free(app, actor, wish).await?;
    let mut tx = app.begin("release.plan").await?;
    open_project(&mut tx, actor, &wish.project, ProjectAction::StartRelease).await?;
    let layout = Layout::of(&mut tx, &wish.project).await?;
    let mut targets = Vec::new();
    for target in &wish.targets {
        let (line, upstream) = layout.named(target.repository.as_ref(), &target.line)?;
        let manner = super::project::settings(app, upstream).map(|settings| settings.manner(&line.name));
        let mut planned = Target::of(upstream.id, line.id, target.tag.clone());
        planned.strategy = target.strategy.or(manner.map(|manner| manner.0)).unwrap_or(planned.strategy);
        planned.style = target.tags.or(manner.map(|manner| manner.1)).unwrap_or(planned.style);
        targets.push(planned);
    }
    for case in &wish.cases {
        let grant = open(&mut tx, actor, case, Action::PlanRelease).await?;
        if store::case::get(&mut tx, &grant).await?.project != wish.project {
            return Err(Error::NotFound);
        }
        if let Some(other) = store::release::live_of(&mut tx, case, None).await? {
            return Err(Refusal::moment(format!("{case} is in {other} already: abandon that one first.")).into());
        }
        name_advisory(app, &mut tx, case, (&layout, wish)).await?;
    }
    let plan = Plan {
        id: store::project::next_release(&mut tx, &layout.project).await?,
        project: wish.project.clone(),
        cases: wish.cases.clone(),
        targets,
        due_at: wish.due_at,
        details_after: wish.details_after,
        tests_due: wish.tests_after,
    };
    let now = tx.now();
    let release = store::release::add(&mut tx, actor, Release::plan(plan, now)?).await?;
    store::job::queue(&mut tx, &Job::Rehearse { release: release.id.clone() }, now).await?;
    app.commit(tx).await?;
    Ok(release.id)
}

/// Refuses a tag that is public already: a plan's tag is not changed afterwards.
async fn tags_are_free(app: &App, actor: &Actor, wish: &PlanRelease) -> Result<()> {
    let mut rows = app.read().await?;
    open_project(&mut rows, actor, &wish.project, ProjectAction::StartRelease).await?;
    let layout = Layout::of(&mut rows, &wish.project).await?;
    drop(rows);
    for target in &wish.targets {
        let Ok((_, upstream)) = layout.named(target.repository.as_ref(), &target.line) else { continue };
        let mirror = Repo::Mirror(upstream.id);
        if app.git.exists(&mirror) && app.git.resolve(&mirror, &RefName::tag(&target.tag)).await?.is_some() {
            let sentence = format!("The tag {} exists in {} already: choose another.", target.tag, upstream.name);
            return Err(Refusal::input(sentence).into());
        }
    }
    Ok(())
}

/// Starts the case's draft if there is none, and gives it its public id.
async fn name_advisory(app: &App, tx: &mut Tx, case: &CaseId, plan: (&Layout, &PlanRelease)) -> Result<()> {
    let (layout, wish) = plan;
    let grant = open(tx, &CHORE, case, Action::Maintain).await?;
    super::advisory::begin(app, tx, &grant, &wish.targets).await?;
    let draft = store::advisory::get(tx, &grant).await?.ok_or(Error::Conflict)?;
    if draft.public_id.is_none() {
        let prefix = &layout.project.prefix;
        let number = store::project::next_advisory(tx, prefix).await?;
        let year = u16::try_from(wish.due_at.to_zoned(jiff::tz::TimeZone::UTC).year())
            .map_err(|_| Refusal::input("The instant lies outside the years an advisory can be named after."))?;
        store::advisory::name(tx, &grant, &AdvisoryId::new(prefix, year, number)?).await?;
    }
    Ok(())
}

/// Takes one case out of a planned release; the others are rehearsed without it.
pub async fn drop_case(app: &App, actor: &Actor, id: &ReleaseId, case: &CaseId) -> Result<()> {
    let mut tx = app.begin("release.drop_case").await?;
    let (release, grants) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    let change = release.clone().drop_case(case)?;
    super::wave::keep(app, &mut tx, (&release, &grants), case).await?;
    super::candidate::forget(&mut tx, (&release, &grants)).await?;
    store::release::save(&mut tx, actor, change).await?;
    let now = tx.now();
    store::job::queue(&mut tx, &Job::Rehearse { release: id.clone() }, now).await?;
    Ok(app.commit(tx).await?)
}

/// Chooses anew how fixes are put onto a line of a planned release; it is rehearsed again.
pub async fn set_strategy(app: &App, actor: &Actor, id: &ReleaseId, wish: &SetStrategy) -> Result<()> {
    let mut tx = app.begin("release.set_strategy").await?;
    let (release, _) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    let layout = Layout::of(&mut tx, &release.project).await?;
    let (line, _) = layout.named(wish.repository.as_ref(), &wish.line)?;
    let change = release.set_strategy(line.id, wish.strategy)?;
    store::release::save(&mut tx, actor, change).await?;
    let now = tx.now();
    store::job::queue(&mut tx, &Job::Rehearse { release: id.clone() }, now).await?;
    Ok(app.commit(tx).await?)
}

/// Says anew how long after the advisories of a planned release their technical details follow.
pub async fn hold_details(app: &App, actor: &Actor, id: &ReleaseId, after: Option<Lead>) -> Result<()> {
    let mut tx = app.begin("release.hold_details").await?;
    let (release, _) = open_release(&mut tx, actor, id, Action::PlanRelease).await?;
    store::release::save(&mut tx, actor, release.hold_details(after)?).await?;
    Ok(app.commit(tx).await?)
}
