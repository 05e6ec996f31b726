//! A release: a train of cases, planned, rehearsed, frozen into a Manifest, armed by people, disclosed at its instant.
//!
//! Guards: only what was frozen is armed, only what is armed begins, and never before its instant. Before the point of no
//! return anyone who may arm may disarm; after it there is no edge back, only forward or held. What still blocks a release
//! is [`super::readiness`]; what happens at the instant is [`super::effect`].

use jiff::{SignedDuration, Timestamp};

use super::audience::Lead;
use super::change::{Change, Version};
use super::digest::Digest;
use super::effect::NothingPublic;
use super::event::{Event, EventKind};
use super::haste::{Haste, HastePolicy};
use super::hold::{Hold, HoldReason};
use super::id::{CaseId, PersonId, ProjectId, ReleaseId, words};
use super::landing::TestsDue;
use super::manifest::{Manifest, RefMove, with_instant};
use super::project::TeamKind;
use super::readiness::Ready;
use super::refusal::Refusal;
use super::rehearsal::{Rehearsal, Target};
use super::sealed::Sealed;

words! {
    /// Where a release stands. From `running`, once [`Release::public_at`] is set, there is no edge back: only forward or held.
    ReleaseState {
        /// Being put together and rehearsed.
        Planned = "planned",
        /// Fixed to the byte; waits for people to arm it.
        Frozen = "frozen",
        /// Publishes at its instant without a human.
        Armed = "armed",
        /// Being disclosed.
        Running = "running",
        /// Stopped for one reason; a person is needed.
        Held = "held",
        /// Public.
        Done = "done",
        /// Given up.
        Abandoned = "abandoned",
    }
}

/// What a project asks of its releases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many people must arm.
    pub arms: usize,
    /// How many people must approve a fix at its head.
    pub approvals: usize,
    /// Whether a person's approval of their own push counts, once its delay is over.
    pub own_approval: bool,
    /// How much later the instant may become without asking those who armed again.
    pub postpone_keeps: SignedDuration,
    /// How late a run may still begin by itself, when the server was down at the instant.
    pub late: SignedDuration,
    /// What it takes to disclose now.
    pub haste: HastePolicy,
}

/// The frozen manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Frozen {
    /// Its digest without the instant: what people arm.
    pub lasting: Digest,
    /// The manifest, sealed.
    pub sealed: Sealed<Manifest>,
}

/// One person's word that this release shall publish by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arming {
    /// Who.
    pub person: PersonId,
    /// The manifest's lasting digest.
    pub digest: Digest,
    /// The instant they armed it for.
    pub due_at: Timestamp,
    /// When they did.
    pub armed_at: Timestamp,
}

/// A release.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// The project.
    pub project: ProjectId,
    /// Where it stands.
    pub state: ReleaseState,
    /// The instant T.
    pub due_at: Timestamp,
    /// Committer and tagger time, in whole seconds; kept when the instant of a frozen release moves.
    pub dated_at: Timestamp,
    /// The cases, in the order their fixes are merged.
    pub cases: Vec<CaseId>,
    /// What is released where.
    pub targets: Vec<Target>,
    /// The manifest, once frozen.
    pub frozen: Option<Frozen>,
    /// When the tests that it holds back follow; none while nobody said.
    pub tests_due: Option<TestsDue>,
    /// Who armed it.
    pub armings: Vec<Arming>,
    /// Who wants it disclosed now, and what is passed over for it.
    pub haste: Haste,
    /// How long after an advisory is public its technical details follow; none for those that are published with it.
    pub details_after: Option<Lead>,
    /// Why it is held; present when it is.
    pub hold: Option<Hold>,
    /// When the run began.
    pub begun_at: Option<Timestamp>,
    /// The point of no return.
    pub public_at: Option<Timestamp>,
    /// When it was done.
    pub done_at: Option<Timestamp>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// Changes so far.
    pub version: Version,
}

impl Policy {
    /// The default: two arm and one other person approves; a volunteer alone does both.
    pub fn of(team: TeamKind) -> Self {
        let (postpone_keeps, late) = (SignedDuration::from_hours(72), SignedDuration::from_hours(1));
        let (arms, own_approval) = match team {
            TeamKind::Several => (2, false),
            TeamKind::Solo => (1, true),
        };
        Self { arms, approvals: 1, own_approval, postpone_keeps, late, haste: HastePolicy::of(arms) }
    }
}

impl Release {
    /// Records how a rehearsal went, target by target in their order.
    pub fn rehearsed(self, results: Vec<Rehearsal>) -> Result<Change<Self>, Refusal> {
        self.only(ReleaseState::Planned, "rehearsed anew")?;
        if results.len() != self.targets.len() {
            return Err(Refusal::moment("The plan changed during the rehearsal: rehearse again."));
        }
        let clean = results.iter().filter(|result| matches!(result, Rehearsal::Candidate(_))).count();
        let event = self.event(EventKind::ReleaseRehearsed, format!("{clean} of {} clean", results.len()));
        let pair = |(target, rehearsal)| Target { rehearsal, ..target };
        let targets = self.targets.into_iter().zip(results).map(pair).collect();
        Ok(Change::new(Self { targets, ..self }, event))
    }

    /// Freezes what was rehearsed: from now on the manifest says, byte for byte, what will be public.
    pub fn freeze(self, ready: Ready, manifest: &Manifest, sealed: Sealed<Manifest>) -> Result<Change<Self>, Refusal> {
        self.only(ReleaseState::Planned, "frozen")?;
        ready.check(&self)?;
        manifest.check()?;
        self.fits(manifest)?;
        let lasting = manifest.lasting_digest();
        let event = self.event(EventKind::ReleaseFrozen, lasting.to_string());
        let frozen = Some(Frozen { lasting, sealed });
        Ok(Change::new(Self { state: ReleaseState::Frozen, frozen, armings: Vec::new(), ..self }, event))
    }

    /// Opens the plan again: what was frozen and armed falls.
    pub fn reopen(self) -> Result<Change<Self>, Refusal> {
        match self.state {
            ReleaseState::Frozen | ReleaseState::Armed => {}
            ReleaseState::Running | ReleaseState::Held if self.public_at.is_none() => {}
            ReleaseState::Running | ReleaseState::Held => return Err(Self::no_way_back()),
            ReleaseState::Planned | ReleaseState::Done | ReleaseState::Abandoned => {
                return Err(self.out_of_turn("reopened", "frozen, armed, or not yet public"));
            }
        }
        let event = self.event(EventKind::ReleasePlanned, "reopened".to_owned());
        let next = Self {
            state: ReleaseState::Planned,
            frozen: None,
            armings: Vec::new(),
            haste: Haste::default(),
            hold: None,
            begun_at: None,
            ..self
        };
        Ok(Change::new(next, event))
    }

    /// Opens the plan again because a reporter wants to be thanked otherwise than was frozen: a name that is withdrawn before
    /// anything is public is not published. `None` where nothing is frozen.
    pub fn recall(self) -> Result<Option<Change<Self>>, Refusal> {
        match self.state {
            ReleaseState::Planned | ReleaseState::Done | ReleaseState::Abandoned => Ok(None),
            ReleaseState::Frozen | ReleaseState::Armed | ReleaseState::Running | ReleaseState::Held => {
                if self.public_at.is_some() {
                    return Err(Refusal::moment(
                        "The advisory is being published: ask the team to correct the credit afterwards.",
                    ));
                }
                let event = self.event(EventKind::ReleasePlanned, format!("was {}, a credit changed", self.state));
                Ok(Some(Change { event, ..self.reopen()? }))
            }
        }
    }

    /// Arms the release; once as many people did as the policy asks, it publishes at its time without a human.
    pub fn arm(self, ready: Ready, person: PersonId, policy: &Policy, now: Timestamp) -> Result<Change<Self>, Refusal> {
        self.only(ReleaseState::Frozen, "armed")?;
        ready.check(&self)?;
        ahead(self.due_at, now)?;
        let Some(frozen) = &self.frozen else { return Err(self.out_of_turn("armed", "frozen")) };
        if self.armings.iter().any(|arming| arming.person == person) {
            return Err(Refusal::moment("You have armed this release already: another person has to."));
        }
        let arming = Arming { person, digest: frozen.lasting, due_at: self.due_at, armed_at: now };
        let event = self.event(EventKind::ReleaseArmed, with_instant(&frozen.lasting, self.due_at).to_string());
        let mut next = self;
        next.armings.push(arming);
        if next.armings.len() >= policy.arms.max(1) {
            next.state = ReleaseState::Armed;
        }
        Ok(Change::new(next, event))
    }

    /// Takes everybody's arming back, at any time before the point of no return.
    pub fn disarm(self) -> Result<Change<Self>, Refusal> {
        match self.state {
            ReleaseState::Armed => {}
            ReleaseState::Frozen if !self.armings.is_empty() || self.haste != Haste::default() => {}
            ReleaseState::Running | ReleaseState::Held if self.public_at.is_none() => {}
            ReleaseState::Running | ReleaseState::Held => return Err(Self::no_way_back()),
            ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Done | ReleaseState::Abandoned => {
                return Err(Refusal::moment("Nobody has armed this release."));
            }
        }
        let event = self.event(EventKind::ReleaseDisarmed, format!("was {}", self.state));
        let (armings, haste) = (Vec::new(), Haste::default());
        let next = Self { state: ReleaseState::Frozen, armings, haste, hold: None, begun_at: None, ..self };
        Ok(Change::new(next, event))
    }

    /// Moves the instant. Moved later, what is frozen stays frozen, with its dates, and who armed it stays bound within what
    /// the policy allows from the instant they armed it for. Moved to before those dates, it is planned again.
    pub fn postpone(self, due_at: Timestamp, policy: &Policy, now: Timestamp) -> Result<Change<Self>, Refusal> {
        ahead(due_at, now)?;
        let event = self.event(EventKind::ReleasePostponed, format!("{} to {due_at}", self.due_at));
        let haste = Haste::default();
        match self.state {
            ReleaseState::Planned => {
                Ok(Change::new(Self { due_at, dated_at: whole_second(due_at), haste, ..self }, event))
            }
            // What was frozen bears its date: made public before it, it would speak of the future.
            ReleaseState::Frozen | ReleaseState::Armed if due_at < self.dated_at => {
                let (state, dated_at, armings) = (ReleaseState::Planned, whole_second(due_at), Vec::new());
                Ok(Change::new(Self { state, due_at, dated_at, armings, haste, frozen: None, ..self }, event))
            }
            ReleaseState::Frozen | ReleaseState::Armed => {
                let bound = |arming: &Arming| {
                    let later = due_at.duration_since(arming.due_at);
                    !later.is_negative() && later <= policy.postpone_keeps
                };
                let kept = self.armings.iter().all(bound);
                // Who wanted it now did not arm it for later.
                let kept = kept && !self.haste.in_force();
                let (state, armings) =
                    if kept { (self.state, self.armings) } else { (ReleaseState::Frozen, Vec::new()) };
                Ok(Change::new(Self { state, due_at, armings, haste, ..self }, event))
            }
            ReleaseState::Running | ReleaseState::Held if self.public_at.is_some() => Err(Self::no_way_back()),
            ReleaseState::Running | ReleaseState::Held => {
                Err(Refusal::moment("The run has begun: disarm the release first, then move its instant."))
            }
            ReleaseState::Done | ReleaseState::Abandoned => {
                Err(self.out_of_turn("postponed", "planned, frozen or armed"))
            }
        }
    }

    /// Begins the run; never before the instant, and only of what is armed.
    pub fn begin(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        self.only(ReleaseState::Armed, "begun")?;
        if now < self.due_at {
            return Err(Refusal::moment(format!("This release is due at {}: it does not begin before.", self.due_at)));
        }
        let event = self.event(EventKind::ReleaseBegun, format!("due {}", self.due_at));
        Ok(Change::new(Self { state: ReleaseState::Running, begun_at: Some(now), ..self }, event))
    }

    /// Says why the run does not begin by itself: it is later than the policy allows.
    pub fn missed(&self, policy: &Policy, now: Timestamp) -> Option<Hold> {
        let late = now.duration_since(self.due_at);
        let note = || format!("The server was not there at the instant, and {} minutes are too late.", late.as_mins());
        (late > policy.late).then(|| Hold { reason: HoldReason::Missed, note: note() })
    }

    /// Crosses the point of no return; saved before the first push begins.
    pub fn cross(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        if self.state != ReleaseState::Running || self.public_at.is_some() {
            return Err(self.out_of_turn("made public", "running and not yet public"));
        }
        let event = self.event(EventKind::ReleasePublic, "point of no return".to_owned());
        Ok(Change::new(Self { public_at: Some(now), ..self }, event))
    }

    /// Holds the run for one reason.
    pub fn hold(self, hold: Hold) -> Result<Change<Self>, Refusal> {
        self.only(ReleaseState::Running, "held")?;
        let event = self.event(EventKind::ReleaseHeld, hold.reason.to_string());
        Ok(Change::new(Self { state: ReleaseState::Held, hold: Some(hold), ..self }, event))
    }

    /// Holds the run and takes the point of no return back, on proof that nothing became public after all.
    pub fn retreat(self, _proof: NothingPublic, hold: Hold) -> Result<Change<Self>, Refusal> {
        Self { public_at: None, ..self }.hold(hold)
    }

    /// Goes on with a held run, by a person's word.
    pub fn resume(self) -> Result<Change<Self>, Refusal> {
        self.only(ReleaseState::Held, "resumed")?;
        let event = self.event(EventKind::ReleaseResumed, "held to running".to_owned());
        Ok(Change::new(Self { state: ReleaseState::Running, hold: None, ..self }, event))
    }

    /// Ends the run: every effect is settled.
    pub fn finish(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        if self.state != ReleaseState::Running || self.public_at.is_none() {
            return Err(self.out_of_turn("finished", "running and public"));
        }
        let event = self.event(EventKind::ReleaseDone, "running to done".to_owned());
        Ok(Change::new(Self { state: ReleaseState::Done, done_at: Some(now), ..self }, event))
    }

    /// Gives the release up; its cases can join another.
    pub fn abandon(self) -> Result<Change<Self>, Refusal> {
        match self.state {
            ReleaseState::Planned | ReleaseState::Frozen => {}
            ReleaseState::Held if self.public_at.is_none() => {}
            ReleaseState::Held => return Err(Self::no_way_back()),
            ReleaseState::Armed | ReleaseState::Running => {
                return Err(Refusal::moment("This release is armed: disarm it first."));
            }
            ReleaseState::Done | ReleaseState::Abandoned => {
                return Err(self.out_of_turn("abandoned", "planned, frozen or held before anything was public"));
            }
        }
        let event = self.event(EventKind::ReleaseAbandoned, format!("was {}", self.state));
        Ok(Change::new(Self { state: ReleaseState::Abandoned, armings: Vec::new(), hold: None, ..self }, event))
    }

    /// Tells whether it still holds its cases: neither done nor abandoned.
    pub fn live(&self) -> bool {
        match self.state {
            ReleaseState::Planned
            | ReleaseState::Frozen
            | ReleaseState::Armed
            | ReleaseState::Running
            | ReleaseState::Held => true,
            ReleaseState::Done | ReleaseState::Abandoned => false,
        }
    }

    /// Says what of it waits for somebody, in sentences; nothing for what goes on by itself.
    pub fn needs(&self, blockers: usize, policy: &Policy, now: Timestamp) -> Vec<String> {
        let things =
            if blockers == 1 { "One thing blocks it".to_owned() } else { format!("{blockers} things block it") };
        let over = self.due_at <= now;
        let sentence = match self.state {
            ReleaseState::Planned if over => "Its instant is over: move it.".to_owned(),
            ReleaseState::Planned if blockers > 0 => format!("{things}."),
            ReleaseState::Planned => "Ready to be frozen.".to_owned(),
            ReleaseState::Frozen if over => "Its instant is over, and too few had armed it: move it.".to_owned(),
            ReleaseState::Frozen if blockers > 0 => format!("{things}: it cannot be armed."),
            ReleaseState::Frozen => format!("Armed by {} of {}.", self.armings.len(), policy.arms.max(1)),
            ReleaseState::Armed if blockers > 0 => format!("{things}: at its instant it will be held."),
            ReleaseState::Held if self.public_at.is_some() => {
                "Held, and part of it may be public: a person is needed now.".to_owned()
            }
            ReleaseState::Held => "Held: a person is needed.".to_owned(),
            ReleaseState::Armed | ReleaseState::Running | ReleaseState::Done | ReleaseState::Abandoned => {
                return Vec::new();
            }
        };
        vec![sentence]
    }

    /// Returns the digest of the manifest with the instant, once frozen.
    pub fn digest(&self) -> Option<Digest> {
        self.frozen.as_ref().map(|frozen| with_instant(&frozen.lasting, self.due_at))
    }

    /// Checks that a manifest says what this release rehearsed, ref by ref.
    fn fits(&self, manifest: &Manifest) -> Result<(), Refusal> {
        let same = manifest.release == self.id
            && manifest.project == self.project
            && manifest.cases == self.cases
            && manifest.dated_at == self.dated_at.as_second()
            && manifest.holds_back_for(self.details_after);
        let target_fits = |target: &Target| {
            let Rehearsal::Candidate(candidate) = &target.rehearsal else { return false };
            let tag = super::repo::RefName::tag(&target.tag);
            manifest.repositories.iter().filter(|repository| repository.upstream == target.upstream).any(|repository| {
                let beside = candidate.moves.iter().all(|beside| {
                    let name = super::repo::RefName::branch(&beside.branch);
                    let there = RefMove { name, old: beside.old.clone(), new: beside.new.clone() };
                    repository.refs.contains(&there)
                });
                beside
                    && repository.refs.iter().any(|moved| moved.old == candidate.base && moved.new == candidate.commit)
                    && repository
                        .refs
                        .iter()
                        .any(|moved| moved.name == tag && moved.old.is_zero() && moved.new == candidate.tag_object)
            })
        };
        if same && self.targets.iter().all(target_fits) {
            Ok(())
        } else {
            Err(Refusal::moment("The plan changed while it was being frozen: rehearse and freeze again."))
        }
    }

    pub(super) fn event(&self, kind: EventKind, object: String) -> Event {
        Event { project: Some(self.project.clone()), ..Event::of_release(kind, &self.id, object) }
    }

    /// Checks that the release is in the one state in which this can be done to it.
    fn only(&self, state: ReleaseState, act: &str) -> Result<(), Refusal> {
        if self.state == state { Ok(()) } else { Err(self.out_of_turn(act, state.as_str())) }
    }

    fn no_way_back() -> Refusal {
        Refusal::moment("Part of this release may be public already: there is only forward. Resume it.")
    }

    pub(super) fn out_of_turn(&self, act: &str, from: &str) -> Refusal {
        Refusal::moment(format!("This release is {}; only a release that is {from} can be {act}.", self.state))
    }
}

pub(super) fn ahead(due_at: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    if due_at > now { Ok(()) } else { Err(Refusal::input("The instant lies in the past: choose one ahead of now.")) }
}

pub(super) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).expect("a whole second of a valid instant is valid")
}

#[cfg(test)]
#[path = "release_tests.rs"]
mod tests;
