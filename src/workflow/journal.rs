//! The journal of a run as people read it: each step with its time, and how long after the push it was done.

use std::collections::BTreeMap;

use super::readiness::Layout;
use super::release::grant_of;
use super::{Result, shown_at};
use crate::domain::access::{Action, Grants, Holder};
use crate::domain::channel::Subject;
use crate::domain::effect::{Effect, Target as On, after_push};
use crate::domain::id::{MemberId, UpstreamId};
use crate::domain::release::Release;
use crate::store::member::Seat;
use crate::store::{self, Tx};
use crate::wire::release::EffectView;

/// Shows every effect; `manages` says whether the asker may give one up.
pub(super) async fn views(
    tx: &mut Tx,
    of: (&Release, &Grants),
    layout: &Layout,
    manages: bool,
) -> Result<Vec<EffectView>> {
    let (release, grants) = of;
    let effects = store::effect::of_release(tx, grants, &release.id).await?;
    let mut seats = BTreeMap::new();
    for grant in grants.each().iter().filter(|grant| grant.also(Action::ReadTeam)) {
        for seat in store::member::of_case(tx, grant).await? {
            seats.insert(seat.id, named(&seat));
        }
    }
    let mut views = Vec::new();
    for effect in &effects {
        let mut view = view(layout, effect, &seats);
        view.after_push_ms = after_push(&effects, effect).and_then(|gap| i64::try_from(gap.as_millis()).ok());
        view.may_give_up = manages && super::channel::may_be_given_up(release, effect);
        if let On::Seat(case, _) = &effect.target {
            // The effect is done when its mail is in the outbox; what people want to know is whether it left.
            let id = super::disclose::mail_id(release.dated_at.as_second(), &effect.key);
            if let Some((state, note)) = super::mail::standing(tx, grant_of(grants, case)?, id).await? {
                (view.state, view.note) = (state.to_string(), note);
            }
        }
        views.push(view);
    }
    Ok(views)
}

/// Names who sits in a seat, for those who see the members of the case.
fn named(seat: &Seat) -> String {
    match (&seat.person, seat.holder) {
        (Some((handle, _)), _) => format!("@{handle}"),
        (None, Holder::Report(_)) => "the reporter".to_owned(),
        (None, Holder::Person(_)) => "a former member".to_owned(),
    }
}

fn view(layout: &Layout, effect: &Effect, seats: &BTreeMap<MemberId, String>) -> EffectView {
    let target = match &effect.target {
        On::Repository(id) => repository(layout, *id),
        On::Site(case) => format!("advisory of {case}"),
        On::Seat(case, seat) => {
            format!("{} of {case}", seats.get(seat).map_or("a member", String::as_str))
        }
        On::Case(case) => case.to_string(),
        On::Package(name, id, tag) => format!("{name}: {tag} of {}", repository(layout, *id)),
        On::Hook(name) => name.to_string(),
        On::Channel(name, Subject::Advisory(case)) => format!("{name}: advisory of {case}"),
        On::Channel(name, Subject::Tag(id, tag)) => format!("{name}: {tag} of {}", repository(layout, *id)),
    };
    EffectView {
        position: effect.position,
        phase: effect.phase.to_string(),
        target,
        state: effect.state.to_string(),
        attempts: effect.attempts,
        note: effect.note.clone(),
        started_at: effect.started_at.map(shown_at),
        done_at: effect.done_at.map(shown_at),
        after_push_ms: None,
        may_give_up: false,
    }
}

fn repository(layout: &Layout, id: UpstreamId) -> String {
    let upstream = layout.upstreams.iter().find(|upstream| upstream.id == id);
    upstream.map_or_else(|| "a repository".to_owned(), |upstream| upstream.name.to_string())
}
