//! Technical details that are held back when an advisory is published, so that users can update before everybody reads how it works.
//!
//! Guards: what was held back is published no earlier than its instant, and only on the very revision of the advisory that people
//! read and approved it with: a correction brings what follows it along, and after a withdrawal nothing follows. Leaves the bytes to
//! `export` and the publishing to `workflow::details`.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::amendment::AmendmentAct;
use super::audience::Lead;
use super::change::Change;
use super::event::EventKind;
use super::id::{ReleaseId, words};
use super::manifest::Document;
use super::plain::AdvisoryId;
use super::refusal::Refusal;
use super::release::{Release, ReleaseState, whole_second};
use super::revision::Revision;

/// How far ahead of now held details may be moved.
const FARTHEST: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How late an advisory may be published and still count as published at its release's instant.
const ON_TIME: SignedDuration = SignedDuration::from_hours(1);
/// How long something that could not be published is left before it is tried again, at most.
const PAUSE: SignedDuration = SignedDuration::from_mins(10);

words! {
    /// Where what was held back of an advisory stands.
    DetailsState {
        /// Frozen with its release, which is not public yet.
        Frozen = "frozen",
        /// Its advisory is public without it.
        Held = "held",
        /// Public.
        Published = "published",
    }
}

/// What a Manifest says of the details of one advisory. Field order is the order of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenDetails {
    /// How long after the advisory they follow.
    pub after: Lead,
    /// The files with them, under the paths of those they replace.
    pub documents: Vec<Document>,
}

/// What is, or was, held back of a public advisory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The release that published it.
    pub release: ReleaseId,
    /// The number of the revision it was approved with: it follows on this one or not at all.
    pub follows: u32,
    /// The instant its documents say they were changed at; whole seconds.
    pub dated_at: Timestamp,
    /// When it is published; none while somebody has said that it is not.
    pub due_at: Option<Timestamp>,
    /// The revision it became.
    pub revision: Option<u32>,
    /// How often it could not be published.
    pub attempts: u32,
    /// Why, in words free of case text.
    pub note: String,
}

/// Another time for what is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Publish it now.
    Now,
    /// Publish it at this instant.
    At(Timestamp),
    /// Do not publish it, until somebody says otherwise.
    Never,
}

/// What is to be done about what is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Publish it.
    Now,
    /// Look again then.
    At(Timestamp),
    /// Nothing: it is public, not to be published, or the advisory was changed without it.
    Never,
}

/// What a change of a public advisory does with its technical details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// They stand in it.
    Told,
    /// They stay held back: what follows is approved with the change.
    Back,
    /// The advisory does not hold: it says nothing of them, and they do not follow.
    Silent,
}

impl FrozenDetails {
    /// Returns when the details of a release follow whose advisory is published now: counted from the release's instant, as the advisory
    /// itself counts, or from now if it comes much later than that.
    pub fn due(&self, instant: Timestamp, now: Timestamp) -> Timestamp {
        let late = now.duration_since(instant) > ON_TIME;
        let due = if late { now } else { instant }.checked_add(self.after.duration());
        due.unwrap_or(Timestamp::MAX)
    }

    /// Tells whether these files take the place of those, each of each.
    pub fn replace(&self, documents: &[Document]) -> bool {
        let paths = |documents: &[Document]| {
            let mut paths: Vec<_> = documents.iter().map(|document| document.path.clone()).collect();
            paths.sort();
            paths
        };
        paths(&self.documents) == paths(documents)
    }
}

impl Held {
    /// Gives it another time, unless it is public.
    pub fn moved(self, to: Move, now: Timestamp) -> Result<Self, Refusal> {
        if self.revision.is_some() {
            return Err(Refusal::moment("The technical details of this advisory are public already."));
        }
        let due_at = match to {
            Move::Now => Some(now),
            Move::Never => None,
            Move::At(at) if at <= now => {
                return Err(Refusal::input(
                    "This instant lies in the past: choose one ahead of now, or publish them now.",
                ));
            }
            Move::At(at) if at.duration_since(now) > FARTHEST => {
                return Err(Refusal::input(
                    "This is more than 90 days from now: choose less, or hold them back until you say otherwise.",
                ));
            }
            Move::At(at) => Some(at),
        };
        Ok(Self { due_at, attempts: 0, note: String::new(), ..self })
    }

    /// Says what is to be done about it, given the newest revision of its advisory.
    pub fn due(&self, newest: u32, now: Timestamp) -> Due {
        match (self.revision, self.due_at) {
            (Some(_), _) | (None, None) => Due::Never,
            (None, Some(_)) if newest != self.follows => Due::Never,
            (None, Some(at)) if now < at => Due::At(at),
            (None, Some(_)) => Due::Now,
        }
    }

    /// Says what a change of the advisory does with its details; without anything asked for, what the draft would.
    pub fn manner(&self, act: Option<AmendmentAct>, newest: &Revision, now: Timestamp) -> Manner {
        let withdraws = match act {
            Some(AmendmentAct::Withdraw) => true,
            Some(AmendmentAct::Correct | AmendmentAct::Reinstate) => false,
            None => newest.kind.withdrawn(),
        };
        match (self.revision, withdraws, self.due_at) {
            // What was public once is not taken back.
            (Some(_), _, _) => Manner::Told,
            (None, true, _) => Manner::Silent,
            (None, false, Some(at)) if at <= now => Manner::Told,
            (None, false, _) => Manner::Back,
        }
    }

    /// Says when the details follow, for an advisory that is about to be changed, in whole seconds; none if nobody knows.
    pub fn promise(&self) -> Option<Timestamp> {
        self.due_at.map(whole_second)
    }

    /// Returns the date of documents that follow on a change of this instant: theirs, and in any case later.
    pub fn dated_after(&self, change: Timestamp) -> Timestamp {
        let due = self.promise().unwrap_or(self.dated_at);
        due.max(whole_second(change) + SignedDuration::from_secs(1))
    }

    /// Returns the instant its documents have to say instead of theirs, where they are published at another time than was approved:
    /// readers by machine pass over what is dated in the future, and over news that is dated long ago.
    pub fn another_date(&self, newest: &Revision, now: Timestamp) -> Option<Timestamp> {
        let on_time = now >= self.dated_at && now.duration_since(self.dated_at) <= ON_TIME;
        (!on_time).then(|| newest.instant_after(now))
    }

    /// Returns how long to wait after it could not be published for this many times.
    pub fn pause(attempts: u32) -> SignedDuration {
        SignedDuration::from_secs(1_i64.checked_shl(attempts.min(20)).unwrap_or(600)).min(PAUSE)
    }
}

impl Release {
    /// Says how long after the advisories their technical details follow, or that they are published with them.
    pub fn hold_details(self, after: Option<Lead>) -> Result<Change<Self>, Refusal> {
        match self.state {
            ReleaseState::Planned => {}
            ReleaseState::Frozen | ReleaseState::Armed => {
                return Err(Refusal::moment(
                    "What is frozen says when the technical details follow: reopen the release first. Once the advisory is public, \
                     `embargo advisory details` moves them.",
                ));
            }
            ReleaseState::Running | ReleaseState::Held | ReleaseState::Done | ReleaseState::Abandoned => {
                return Err(self.out_of_turn("given another time for its details", "planned"));
            }
        }
        let object = after.map_or_else(|| "details with the rest".to_owned(), |after| format!("details {after} later"));
        let event = self.event(EventKind::ReleasePlanned, object);
        Ok(Change::new(Self { details_after: after, ..self }, event))
    }
}

#[cfg(test)]
mod tests {
    use super::super::digest::Digest;
    use super::super::readiness::tests::release;
    use super::super::revision::RevisionKind;
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn held() -> Held {
        Held {
            advisory: "DEMO-2030-0001".parse().unwrap(),
            release: "DEMO-R1".parse().unwrap(),
            follows: 1,
            dated_at: at("2030-01-08T12:00:00Z"),
            due_at: Some(at("2030-01-08T12:00:00Z")),
            revision: None,
            attempts: 0,
            note: String::new(),
        }
    }

    fn newest(kind: RevisionKind) -> Revision {
        Revision { number: 1, kind, at: at("2030-01-01T12:00:00Z"), why: None }
    }

    #[test]
    fn details_follow_at_their_instant_and_on_the_revision_they_were_approved_with() {
        let (before, then) = (at("2030-01-08T11:59:59.999Z"), at("2030-01-08T12:00:00Z"));
        assert_eq!(held().due(1, before), Due::At(then));
        assert_eq!(held().due(1, then), Due::Now);
        assert_eq!(held().due(2, then), Due::Never, "the advisory was changed without them");
        assert_eq!(Held { due_at: None, ..held() }.due(1, then), Due::Never);
        assert_eq!(Held { revision: Some(2), ..held() }.due(1, then), Due::Never, "they are public");
    }

    #[test]
    fn details_are_moved_until_they_are_public() {
        let now = at("2030-01-02T12:00:00Z");
        let later = at("2030-01-20T12:00:00.5Z");
        let moved = held().moved(Move::At(later), now).unwrap();
        assert_eq!((moved.due_at, moved.promise()), (Some(later), Some(at("2030-01-20T12:00:00Z"))));
        assert_eq!(held().moved(Move::Now, now).unwrap().due(1, now), Due::Now);
        let never = held().moved(Move::Never, now).unwrap();
        assert_eq!((never.due_at, never.promise()), (None, None));
        assert_eq!(never.moved(Move::At(later), now).unwrap().due_at, Some(later), "never is no last word");
        assert!(held().moved(Move::At(now), now).is_err());
        assert!(held().moved(Move::At(now + SignedDuration::from_hours(91 * 24)), now).is_err());
        let public = Held { revision: Some(2), ..held() };
        assert!([Move::Now, Move::Never, Move::At(later)].into_iter().all(|to| public.clone().moved(to, now).is_err()));
    }

    #[test]
    fn a_change_before_their_instant_neither_tells_them_nor_forgets_them() {
        use AmendmentAct::{Correct, Reinstate, Withdraw};
        let (before, after) = (at("2030-01-02T12:00:00Z"), at("2030-01-09T12:00:00Z"));
        let (up, down) = (newest(RevisionKind::Published), newest(RevisionKind::Withdrawn));
        for (act, newest, now, manner) in [
            (Some(Correct), &up, before, Manner::Back),
            (Some(Reinstate), &down, before, Manner::Back),
            (Some(Withdraw), &up, before, Manner::Silent),
            (Some(Withdraw), &up, after, Manner::Silent),
            (None, &up, before, Manner::Back),
            (None, &down, before, Manner::Silent),
            (Some(Correct), &up, after, Manner::Told),
            (Some(Reinstate), &down, after, Manner::Told),
        ] {
            assert_eq!(held().manner(act, newest, now), manner, "{act:?} {:?} {now}", newest.kind);
        }
        let never = Held { due_at: None, ..held() };
        assert_eq!(never.manner(Some(Correct), &up, after), Manner::Back);
        let public = Held { revision: Some(2), ..held() };
        assert_eq!(public.manner(Some(Withdraw), &up, before), Manner::Told, "what was public is not taken back");
    }

    #[test]
    fn what_follows_a_change_is_dated_later_than_the_change() {
        assert_eq!(held().dated_after(at("2030-01-02T12:00:00Z")), at("2030-01-08T12:00:00Z"));
        assert_eq!(held().dated_after(at("2030-01-08T12:00:00Z")), at("2030-01-08T12:00:01Z"));
        assert_eq!(held().dated_after(at("2030-02-01T12:00:00.7Z")), at("2030-02-01T12:00:01Z"));
    }

    #[test]
    fn only_a_plan_says_when_details_follow() {
        let after = Some(Lead::days(7));
        let planned = release().hold_details(after).unwrap();
        assert_eq!(planned.next.details_after, after);
        for state in ReleaseState::ALL.iter().filter(|state| **state != ReleaseState::Planned) {
            assert!(Release { state: *state, ..release() }.hold_details(after).is_err(), "{state}");
        }
    }

    #[test]
    fn details_follow_from_the_instant_unless_the_advisory_came_much_later() {
        let details = FrozenDetails { after: Lead::days(7), documents: Vec::new() };
        let instant = at("2030-01-01T12:00:00Z");
        assert_eq!(details.due(instant, at("2030-01-01T12:00:09Z")), at("2030-01-08T12:00:00Z"));
        assert_eq!(details.due(instant, at("2030-01-03T12:00:00Z")), at("2030-01-10T12:00:00Z"));
    }

    #[test]
    fn details_take_the_place_of_every_file() {
        let document = |path: &str| Document {
            path: path.parse().unwrap(),
            media_type: "text/plain".to_owned(),
            sha256: Digest::of(path.as_bytes()),
        };
        let details = FrozenDetails { after: Lead::days(7), documents: vec![document("b"), document("a")] };
        assert!(details.replace(&[document("a"), document("b")]));
        assert!(!details.replace(&[document("a")]));
    }

    #[test]
    fn what_is_published_at_another_time_than_it_is_dated_bears_that_time() {
        let (held, newest) = (held(), newest(RevisionKind::Published));
        let dated = |now: &str| held.another_date(&newest, at(now)).map(|at| at.to_string());
        assert_eq!(dated("2030-01-08T12:00:00Z"), None);
        assert_eq!(dated("2030-01-08T13:00:00Z"), None, "a slow server changes no byte");
        assert_eq!(dated("2030-01-03T12:00:00Z").unwrap(), "2030-01-03T12:00:00Z");
        assert_eq!(dated("2030-02-01T12:00:00Z").unwrap(), "2030-02-01T12:00:00Z");
        assert_eq!(dated("2030-01-01T12:00:00Z").unwrap(), "2030-01-01T12:00:01Z", "never as old as what it changes");
    }
}
