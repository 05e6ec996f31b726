//! The retrospective of a case, drafted from the audit events: what happened when, and how long each step took.
//!
//! Guards: what stands in it was recorded when it happened, and holds no text of the case, no name and nothing of the other
//! cases of its release. Leaves to people what they make of it.

use jiff::{SignedDuration, Timestamp};

use super::audience::{AudienceName, Level};
use super::effect::{Effect, Target, after_push};
use super::event::{EventKind, Plain};
use super::hold::HoldReason;
use super::id::{CaseId, words};
use super::revision::RevisionKind;

words! {
    /// A step on the way of a case, in the order they mostly come.
    Milestone {
        /// The first report arrived, or the case was opened to follow up on another.
        Opened = "opened",
        /// A person answered.
        Acknowledged = "acknowledged",
        /// It was taken on.
        Accepted = "accepted",
        /// A fix was pushed for the first time.
        FirstFix = "first_fix",
        /// A fix was approved for the last time before the disclosure.
        FixApproved = "fix_approved",
        /// The text was approved for the last time before the disclosure.
        TextApproved = "text_approved",
        /// The release was armed for the last time before it ran.
        Armed = "armed",
        /// The fixes were public.
        Pushed = "pushed",
        /// The advisory was public.
        Published = "published",
        /// What is public was changed for the first time.
        Revised = "revised",
    }
}

/// One step that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub milestone: Milestone,
    /// When.
    pub at: Timestamp,
    /// How long after the case was opened.
    pub after: SignedDuration,
}

/// A time during which the release waited for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What it waited for.
    pub reason: HoldReason,
    /// Since when.
    pub from: Timestamp,
    /// Until when; none if it never went on.
    pub to: Option<Timestamp>,
}

/// How many of an audience were told before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The audience.
    pub audience: AudienceName,
    /// How much they were told.
    pub level: Level,
    /// How many copies went out.
    pub copies: usize,
    /// How many were acknowledged.
    pub acknowledged: usize,
}

/// What is known of a case afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retrospective {
    /// The case.
    pub case: CaseId,
    /// The steps that happened, in the order they did.
    pub steps: Vec<Step>,
    /// How long after the last push that it tells of the advisory was public.
    pub gap: Option<SignedDuration>,
    /// When the release waited, and for what.
    pub waits: Vec<Wait>,
    /// Who was told before; empty for a reader who may not know.
    pub told: Vec<Told>,
}

/// What a retrospective is made of.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The events of the case, oldest first.
    pub case: &'a [Plain],
    /// The events of its release, oldest first.
    pub release: &'a [Plain],
    /// The journal of its release.
    pub effects: &'a [Effect],
}

impl Retrospective {
    /// Drafts the retrospective of a case.
    pub fn of(case: &CaseId, from: Sources<'_>, told: Vec<Told>) -> Self {
        let site = from.effects.iter().find(|effect| effect.target == Target::Site(case.clone()));
        let published = site.and_then(|effect| effect.done_at);
        let gap = site.and_then(|effect| after_push(from.effects, effect));
        let pushed = published.zip(gap).map(|(at, gap)| at - gap);
        let before = |at: &Timestamp| published.is_none_or(|published| *at <= published);
        let is = |kind: EventKind| move |event: &&Plain| event.kind == kind.as_str();
        let moved = |end: &'static str| {
            move |event: &&Plain| event.kind == EventKind::CaseMoved.as_str() && event.object.ends_with(end)
        };
        let first = |events: &[Plain], wanted: &dyn Fn(&&Plain) -> bool| events.iter().find(wanted).and_then(instant);
        let last = |events: &[Plain], kind: EventKind| events.iter().filter(is(kind)).filter_map(instant).rfind(before);
        let fix = |event: &&Plain| event.kind == EventKind::PushSettled.as_str() && event.object.starts_with("fix ");
        // Details that follow as they were told to change nothing.
        let details = RevisionKind::Details.as_str();
        let revised =
            |event: &&Plain| event.kind == EventKind::AdvisoryRevised.as_str() && !event.object.ends_with(details);
        let found = [
            (Milestone::Opened, first(from.case, &|event| event.kind == EventKind::CaseMoved.as_str())),
            (Milestone::Acknowledged, first(from.case, &moved("acknowledged"))),
            (Milestone::Accepted, first(from.case, &moved("to accepted"))),
            (Milestone::FirstFix, first(from.case, &fix)),
            (Milestone::FixApproved, last(from.case, EventKind::FixApproved)),
            (Milestone::TextApproved, last(from.case, EventKind::AdvisoryApproved)),
            (Milestone::Armed, last(from.release, EventKind::ReleaseArmed)),
            (Milestone::Pushed, pushed),
            (Milestone::Published, published),
            (Milestone::Revised, first(from.case, &revised)),
        ];
        let opened = found[0].1;
        let step = |(milestone, at): (Milestone, Option<Timestamp>)| {
            let (at, opened) = at.zip(opened)?;
            Some(Step { milestone, at, after: at.duration_since(opened) })
        };
        let mut steps: Vec<Step> = found.into_iter().filter_map(step).collect();
        steps.sort_by_key(|step| step.at);
        Self { case: case.clone(), steps, gap, waits: waits(from.release), told }
    }
}

/// Pairs each hold of a release with what ended it.
fn waits(events: &[Plain]) -> Vec<Wait> {
    let mut waits: Vec<Wait> = Vec::new();
    for event in events {
        let Some(at) = instant(event) else { continue };
        let open = waits.last_mut().filter(|wait| wait.to.is_none());
        if event.kind == EventKind::ReleaseHeld.as_str() {
            let Ok(reason) = event.object.parse() else { continue };
            waits.push(Wait { reason, from: at, to: None });
        } else if let Some(wait) = open
            && [
                EventKind::ReleaseResumed,
                EventKind::ReleasePlanned,
                EventKind::ReleaseDisarmed,
                EventKind::ReleaseAbandoned,
            ]
            .iter()
            .any(|kind| event.kind == kind.as_str())
        {
            wait.to = Some(at);
        }
    }
    waits
}

fn instant(event: &Plain) -> Option<Timestamp> {
    Timestamp::from_millisecond(event.at).ok()
}

impl Milestone {
    /// Names it for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Opened => "Opened",
            Self::Acknowledged => "Acknowledged",
            Self::Accepted => "Accepted",
            Self::FirstFix => "First fix pushed",
            Self::FixApproved => "Fix approved",
            Self::TextApproved => "Advisory approved",
            Self::Armed => "Release armed",
            Self::Pushed => "Fixes public",
            Self::Published => "Advisory public",
            Self::Revised => "First change of what is public",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::effect::{EffectState, Phase, journal};
    use crate::domain::manifest::tests::sample;

    fn event(seq: i64, kind: EventKind, object: &str) -> Plain {
        Plain {
            seq,
            at: seq * 1_000,
            actor_kind: "person".to_owned(),
            actor: String::new(),
            kind: kind.to_string(),
            project: String::new(),
            case: "DEMO-1".to_owned(),
            release: String::new(),
            object: object.to_owned(),
        }
    }

    #[test]
    fn it_is_drafted_from_what_was_recorded() {
        let case: CaseId = "DEMO-1".parse().unwrap();
        let own = [
            event(1, EventKind::CaseMoved, "received"),
            event(2, EventKind::CaseMoved, "received to accepted"),
            event(3, EventKind::CaseMoved, "acknowledged"),
            event(4, EventKind::PushSettled, "fix 01 at 22"),
            event(5, EventKind::FixApproved, "fix 01 at 22"),
            event(6, EventKind::FixApproved, "fix 01 at 33"),
            event(7, EventKind::AdvisoryApproved, "aa"),
            event(50, EventKind::AdvisoryRevised, "DEMO-2027-0001 2 details"),
            event(90, EventKind::AdvisoryRevised, "DEMO-2027-0001 2 corrected"),
            event(91, EventKind::AdvisoryApproved, "bb"),
        ];
        let train = [
            event(8, EventKind::ReleaseArmed, "cc"),
            event(9, EventKind::ReleaseHeld, "upstream_down"),
            event(19, EventKind::ReleaseResumed, "held to running"),
            event(40, EventKind::ReleaseHeld, "channel"),
        ];
        let mut effects = journal(&sample(), &[]);
        for effect in &mut effects {
            effect.state = EffectState::Done;
            let second = if effect.phase == Phase::PushFixes { 20 } else { 22 };
            effect.done_at = Some(Timestamp::from_second(second).unwrap());
        }
        let from = Sources { case: &own, release: &train, effects: &effects };
        let drafted = Retrospective::of(&case, from, Vec::new());
        let steps: Vec<_> = drafted.steps.iter().map(|step| (step.milestone.as_str(), step.after.as_secs())).collect();
        assert_eq!(
            steps,
            [
                ("opened", 0),
                ("accepted", 1),
                ("acknowledged", 2),
                ("first_fix", 3),
                ("fix_approved", 5),
                ("text_approved", 6),
                ("armed", 7),
                ("pushed", 19),
                ("published", 21),
                ("revised", 89),
            ]
        );
        assert_eq!(drafted.gap, Some(SignedDuration::from_secs(2)));
        let waits: Vec<_> =
            drafted.waits.iter().map(|wait| (wait.reason.as_str(), wait.to.map(Timestamp::as_second))).collect();
        assert_eq!(waits, [("upstream_down", Some(19)), ("channel", None)]);
        let nothing = Retrospective::of(&case, Sources { case: &[], release: &[], effects: &[] }, Vec::new());
        assert!(nothing.steps.is_empty() && nothing.gap.is_none());
    }
}
