//! The retrospective of a case: gathered from its events and from its release's, read as the server for whoever sees the case.
//!
//! Guards: of a train, a reader of one case gets what concerns that case, and counts.

use super::readiness::open_release;
use super::{Result, open, shown_at};
use crate::app::App;
use crate::domain::access::{Action, Grant, Grants};
use crate::domain::actor::{Actor, Chore};
use crate::domain::event::{Event, EventKind, Plain};
use crate::domain::id::{CaseId, ReleaseId};
use crate::domain::retrospective::{Retrospective, Sources, Told};
use crate::export;
use crate::store::recipient::Recipient;
use crate::store::{self, Tx};
use crate::wire::retrospective::{RetrospectiveView, StepView, ToldView, WaitView};

const CHORE: Actor = Actor::System(Chore::Disclose);

/// Drafts the retrospective of a case from what was recorded of it.
pub async fn show(app: &App, actor: &Actor, case: &CaseId) -> Result<RetrospectiveView> {
    let mut tx = app.begin("case.retrospective").await?;
    let grant = open(&mut tx, actor, case, Action::ReadHistory).await?;
    let drafted = gather(&mut tx, &grant).await?;
    tx.note(actor, &Event::of_case(EventKind::SealOpened, case, "history")).await?;
    app.commit(tx).await?;
    Ok(RetrospectiveView {
        case: case.to_string(),
        steps: drafted.steps.iter().map(step).collect(),
        gap_ms: drafted.gap.and_then(|gap| i64::try_from(gap.as_millis()).ok()),
        waits: drafted
            .waits
            .iter()
            .map(|wait| WaitView {
                reason: wait.reason.to_string(),
                from: shown_at(wait.from),
                to: wait.to.map(shown_at),
            })
            .collect(),
        told: drafted
            .told
            .iter()
            .map(|told| ToldView {
                audience: told.audience.to_string(),
                level: told.level.to_string(),
                copies: told.copies,
                acknowledged: told.acknowledged,
            })
            .collect(),
        markdown: export::retrospective::draft(&drafted),
    })
}

/// Gathers what was recorded of the case a grant is for.
pub(super) async fn gather(tx: &mut Tx, grant: &Grant) -> Result<Retrospective> {
    let own = plain(store::event::of_case(tx, grant, i64::MAX).await?);
    // Of the case's releases the one that published it, or else the newest.
    let published = store::publication::placed(tx, grant).await?.map(|(_, release)| release);
    let newest = store::release::of_case(tx, grant).await?.into_iter().next().map(|release| release.id);
    let Some(release) = published.or(newest) else {
        let from = Sources { case: &own, release: &[], effects: &[] };
        return Ok(Retrospective::of(grant.case(), from, Vec::new()));
    };
    let (_, grants) = open_release(tx, &CHORE, &release, Action::Maintain).await?;
    let train = plain(store::event::of_release(tx, &grants, &release).await?);
    let effects = store::effect::of_release(tx, &grants, &release).await?;
    let told = if grant.also(Action::ReadTeam) { told(tx, &grants, &release).await? } else { Vec::new() };
    let from = Sources { case: &own, release: &train, effects: &effects };
    Ok(Retrospective::of(grant.case(), from, told))
}

/// Counts who was told before, by audience and level.
async fn told(tx: &mut Tx, grants: &Grants, release: &ReleaseId) -> Result<Vec<Told>> {
    let mut counts: Vec<Told> = Vec::new();
    for Recipient { audience, level, acknowledged_at, .. } in store::recipient::of_release(tx, grants, release).await? {
        let acknowledged = usize::from(acknowledged_at.is_some());
        match counts.iter_mut().find(|told| (&told.audience, told.level) == (&audience, level)) {
            Some(told) => {
                told.copies += 1;
                told.acknowledged += acknowledged;
            }
            None => counts.push(Told { audience, level, copies: 1, acknowledged }),
        }
    }
    Ok(counts)
}

/// Puts events into the order in which they happened.
fn plain(events: Vec<store::event::Recorded>) -> Vec<Plain> {
    let mut plain: Vec<Plain> = events.into_iter().map(|event| event.plain).collect();
    plain.sort_by_key(|event| event.seq);
    plain
}

fn step(step: &crate::domain::retrospective::Step) -> StepView {
    StepView {
        milestone: step.milestone.to_string(),
        name: step.milestone.words().to_owned(),
        at: shown_at(step.at),
        after_seconds: step.after.as_secs(),
    }
}
