//! A case that follows up on a public one: accepted at once, with the same team, and linked both ways.
//!
//! Guards: who has a seat in one of the two alone learns nothing of the other, not even that there is one. The reporters of the
//! first are no members of the second; somebody invites them.

use super::{Error, Result, open};
use crate::app::App;
use crate::domain::access::{Action, Consent, Grant, Holder, Role};
use crate::domain::actor::Actor;
use crate::domain::case::{Case, CaseState};
use crate::domain::change::{Change, Version};
use crate::domain::embargo::Embargo;
use crate::domain::event::{Event, EventKind};
use crate::domain::follow_up::End;
use crate::domain::id::{CaseId, PersonId};
use crate::domain::job::Job;
use crate::domain::refusal::Refusal;
use crate::store::member::{NewSeat, Seat, TeamMember};
use crate::store::{self, Tx};
use crate::wire::follow_up::{FollowUpRequest, FollowUpView, LinkView};

/// Opens a case that follows up on a public one.
pub async fn follow_up(app: &App, actor: &Actor, first: &CaseId, wish: &FollowUpRequest) -> Result<FollowUpView> {
    let mut tx = app.begin("case.follow_up").await?;
    let grant = open(&mut tx, actor, first, Action::Accept).await?;
    let Some(person) = actor.person() else { return Err(Error::NotFound) };
    let known = store::case::get(&mut tx, &grant).await?;
    if known.published_at.is_none() {
        return Err(Refusal::moment(
            "This case is not public yet: push what is missing to its fix, or edit its draft.",
        )
        .into());
    }
    let team = store::member::team(&mut tx, &known.project).await?;
    if !team.iter().any(|teammate| teammate.person == person) {
        return Err(Refusal::person("Only somebody of the project's team opens a case: ask one of them.").into());
    }
    let seats = store::member::of_case(&mut tx, &grant).await?;
    let project = store::project::find(&mut tx, &known.project).await?.ok_or(Error::NotFound)?;
    let id = store::project::next_case(&mut tx, &project).await?;
    let (sealing, wrapped) = app.new_case_key(&id);
    let now = tx.now();
    let case = Case {
        id: id.clone(),
        project: known.project.clone(),
        title: sealing.seal(("case", "title"), &id.to_string(), &wish.title)?,
        state: CaseState::Received,
        verdict: None,
        // No date: nobody outside the team waits, and what is known to be open is closed soon.
        embargo: Embargo::none(),
        opened_at: now,
        acknowledged_at: None,
        accepted_at: None,
        published_at: None,
        closed_at: None,
        version: Version(0),
    };
    let opened =
        Event { project: Some(known.project.clone()), ..Event::of_case(EventKind::CaseMoved, &id, "received") };
    store::case::open(&mut tx, actor, &Change::new(case, opened), &wrapped).await?;
    for (holder, role) in colleagues(&seats, &team) {
        let consent = Consent::Signatory;
        let seat = NewSeat { id: app.mint(), case: id.clone(), holder: Holder::Person(holder), role, consent };
        store::member::seat(&mut tx, actor, &seat).await?;
    }
    let own = open(&mut tx, actor, &id, Action::Accept).await?;
    let received = store::case::get(&mut tx, &own).await?;
    let accepted = store::case::save(&mut tx, &own, received.accept(now)?).await?;
    store::case::save(&mut tx, &own, accepted.acknowledge(now)?).await?;
    store::link::add(&mut tx, &grant, (&known.project, person), (&id, wish.because)).await?;
    store::job::queue(&mut tx, &Job::Remote { case: id.clone() }, now).await?;
    super::mail::notify_team(app, &mut tx, &sealing, &id).await?;
    app.commit(tx).await?;
    Ok(FollowUpView { case: id.to_string() })
}

/// Lists the cases that a case is linked with and that the actor may read, too.
pub(super) async fn links(tx: &mut Tx, actor: &Actor, grant: &Grant) -> Result<Vec<LinkView>> {
    let mut views = Vec::new();
    for link in store::link::of_case(tx, grant).await? {
        match open(tx, actor, &link.other, Action::ReadCase).await {
            Ok(_) => {
                views.push(LinkView { case: link.other.to_string(), end: link.end, because: link.because });
            }
            Err(Error::NotFound | Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(views)
}

/// Mails the team of the case that this one follows up on, now that both are public: their advisory may name this one.
pub(super) async fn offer(app: &App, tx: &mut Tx, grant: &Grant) -> Result<()> {
    for link in store::link::of_case(tx, grant).await? {
        if link.end == End::Earlier {
            let first = open(tx, grant.actor(), &link.other, Action::Maintain).await?;
            let sealing = app.sealing(tx, &first).await?;
            super::mail::notify_team(app, tx, &sealing, &link.other).await?;
        }
    }
    Ok(())
}

/// Lists who of the project's team sits in a case, with the part they play there; whoever left the team or said no is left out.
fn colleagues(seats: &[Seat], team: &[TeamMember]) -> Vec<(PersonId, Role)> {
    let colleague = |seat: &Seat| {
        let Holder::Person(person) = seat.holder else { return None };
        let agrees = !matches!(seat.consent, Consent::Declined | Consent::Invited);
        let of_team = team.iter().any(|teammate| teammate.person == person);
        (agrees && of_team && seat.role >= Role::Auditor).then_some((person, seat.role))
    };
    seats.iter().filter_map(colleague).collect()
}
