//! Disclosing now: the same run with T = now, when waiting would do more harm than what is passed over.
//!
//! Guards: what may be passed over was decided beforehand, by the project's configuration; as many people as it asks for said
//! so within the hour; and until then nothing about the release has changed: armed for its instant, it still runs at it.
//! Leaves to [`super::readiness`] what would be passed over.

use jiff::{SignedDuration, Timestamp};

use super::blocker::{Blocker, BlockerKind};
use super::change::Change;
use super::event::EventKind;
use super::id::{PersonId, words};
use super::manifest::Manifest;
use super::readiness::{Facts, Ready};
use super::refusal::Refusal;
use super::release::{Arming, Frozen, Policy, Release, ReleaseState, whole_second};
use super::sealed::Sealed;

/// Returns the date that documents bear: the planned one, or, disclosed before it, the instant at which enough people said so.
/// A document that speaks of the future is not taken by those who read it by machine.
pub fn told_at(dated_at: Timestamp, since: Option<Timestamp>) -> Timestamp {
    since.map_or(dated_at, |since| whole_second(since).min(dated_at))
}

/// How long one person's word waits for another's.
const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

words! {
    /// What a project may decide beforehand to pass over when it discloses now.
    Skip {
        /// The agreed date lies ahead.
        Date = "date",
        /// A fix is not approved at its head.
        FixApproval = "fix_approval",
        /// Checks are not green.
        Checks = "checks",
        /// The advisory's text is not approved as it will be published.
        AdvisoryApproval = "advisory_approval",
        /// A line that is affected, or of which nobody said how it stands, does not ship.
        LineLeft = "line_left",
        /// Somebody was asked how to be credited and has not answered.
        Credits = "credits",
        /// There is no mail server: reporters and members hear of it elsewhere.
        Mail = "mail",
    }
}

/// What a project has decided beforehand about disclosing now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HastePolicy {
    /// How many people must say so.
    pub people: usize,
    /// What may be passed over.
    pub may_skip: Vec<Skip>,
}

/// That a release is to be disclosed now.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Haste {
    /// Who said so, and when; the last hour counts.
    pub asked: Vec<(PersonId, Timestamp)>,
    /// When enough people had: the release then was armed for that instant.
    pub since: Option<Timestamp>,
    /// What is passed over, from `since` on.
    pub skipped: Vec<Skip>,
}

/// What disclosing now would mean at this moment.
#[derive(Debug)]
pub struct Account {
    /// Passed over, as the project has decided beforehand.
    pub skipped: Vec<Blocker>,
    /// Proof that nothing else blocks, or what must be mended first.
    pub outcome: Result<Ready, Vec<Blocker>>,
}

impl Skip {
    /// Returns what a blocker is passed over as; none for what no haste excuses.
    pub fn of(kind: BlockerKind) -> Option<Self> {
        match kind {
            BlockerKind::Date => Some(Self::Date),
            BlockerKind::FixApproval => Some(Self::FixApproval),
            BlockerKind::Checks | BlockerKind::CandidateChecks => Some(Self::Checks),
            BlockerKind::AdvisoryApproval => Some(Self::AdvisoryApproval),
            BlockerKind::LineLeft | BlockerKind::LineUnknown => Some(Self::LineLeft),
            BlockerKind::Credits => Some(Self::Credits),
            BlockerKind::Mail => Some(Self::Mail),
            BlockerKind::NoCase
            | BlockerKind::CaseState
            | BlockerKind::CaseElsewhere
            | BlockerKind::FixMissing
            | BlockerKind::Advisory
            | BlockerKind::AdvisoryFrozen
            | BlockerKind::Tests
            | BlockerKind::Rehearsal
            | BlockerKind::Conflict
            | BlockerKind::RehearsalStale
            | BlockerKind::Line
            | BlockerKind::TagTaken
            | BlockerKind::Instant
            | BlockerKind::Clock
            | BlockerKind::Wave
            | BlockerKind::SigningKey
            | BlockerKind::Access
            | BlockerKind::Dress
            | BlockerKind::Certificate
            | BlockerKind::Rules
            | BlockerKind::Disk
            | BlockerKind::Unsigned
            // Whoever pushed it may have pushed anything.
            | BlockerKind::CandidateApproval => None,
        }
    }
}

impl Skip {
    /// Says what was passed over, in a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Date => "The agreed date lay ahead.",
            Self::FixApproval => "A fix was not approved at its head.",
            Self::Checks => "Checks were not green.",
            Self::AdvisoryApproval => "The advisory was not approved as it was published.",
            Self::LineLeft => "A line that is affected, or of which nobody had said how it stands, did not ship.",
            Self::Credits => "Somebody had not answered how to be credited.",
            Self::Mail => "No mail server: nobody was told by mail.",
        }
    }
}

impl HastePolicy {
    /// As many people as arm, and nothing that touches what is published is passed over.
    pub fn of(arms: usize) -> Self {
        Self { people: arms, may_skip: vec![Skip::Credits, Skip::Mail] }
    }
}

impl Haste {
    /// Lists whose word counts at this instant.
    pub fn recent(&self, now: Timestamp) -> impl Iterator<Item = &(PersonId, Timestamp)> {
        let counts = move |(_, at): &&(PersonId, Timestamp)| self.in_force() || now.duration_since(*at) <= PATIENCE;
        self.asked.iter().filter(counts)
    }

    /// Tells whether enough people said so: from then on it is disclosed without another word.
    pub fn in_force(&self) -> bool {
        self.since.is_some()
    }

    /// Names what is passed over, joined by spaces; `nothing` if nothing is.
    pub fn passed_over(&self) -> String {
        let words: Vec<_> = self.skipped.iter().map(|skip| skip.as_str()).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(" ") }
    }

    /// Tells whether this is passed over.
    pub fn passes(&self, kind: BlockerKind) -> bool {
        // A release that is disclosed now is due, and waits for nobody who was to be told before; that its instant is over is no news.
        // What its tests lack keeps them private, and nothing else.
        self.in_force()
            && (matches!(kind, BlockerKind::Instant | BlockerKind::Wave | BlockerKind::Tests)
                || Skip::of(kind).is_some_and(|skip| self.skipped.contains(&skip)))
    }
}

impl Release {
    /// Says what disclosing now would pass over, and what forbids it all the same.
    pub fn haste_account(&self, facts: &Facts, policy: &Policy) -> Account {
        // Judged for the instant it would have, and for no haste that is in force already.
        let due_now = Self { due_at: facts.now, haste: Haste::default(), ..self.clone() };
        let all = due_now.readiness(facts, policy).err().unwrap_or_default();
        let may = |blocker: &Blocker| Skip::of(blocker.kind).is_some_and(|skip| policy.haste.may_skip.contains(&skip));
        let skipped: Vec<_> = all.into_iter().filter(may).collect();
        let haste = Haste { since: Some(facts.now), skipped: words_of(&skipped), ..Haste::default() };
        Account { outcome: Self { haste, ..due_now }.readiness(facts, policy), skipped }
    }

    /// Checks that the release is where disclosing now means something.
    pub fn may_hasten(&self) -> Result<(), Refusal> {
        match self.state {
            ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Armed => Ok(()),
            ReleaseState::Held => {
                Err(Refusal::moment("This release is held: resume it to go on now, or reopen its plan."))
            }
            ReleaseState::Running | ReleaseState::Done | ReleaseState::Abandoned => {
                Err(self.out_of_turn("disclosed now", "planned, frozen or armed"))
            }
        }
    }

    /// Writes down that a person wants a frozen release disclosed now. Once enough people do, it is armed by their word alone,
    /// and due. Until then it stays what it was, and due when it was.
    pub fn disclose_now(
        self,
        account: Account,
        person: PersonId,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Change<Self>, Refusal> {
        self.may_hasten()?;
        let Ok(ready) = account.outcome else {
            return Err(Refusal::moment("Something blocks this release that no haste passes over."));
        };
        ready.check(&self)?;
        let Some(frozen) = &self.frozen else { return Err(self.out_of_turn("disclosed now", "frozen or armed")) };
        let mut asked: Vec<_> = self.haste.recent(now).copied().filter(|(other, _)| *other != person).collect();
        asked.push((person, now));
        let needed = policy.haste.people.max(1);
        if asked.len() < needed {
            let event = self.event(EventKind::ReleaseHastened, format!("{} of {needed}", asked.len()));
            return Ok(Change::new(Self { haste: Haste { asked, ..Haste::default() }, ..self }, event));
        }
        let arming = |(person, armed_at): &(PersonId, Timestamp)| Arming {
            person: *person,
            digest: frozen.lasting,
            due_at: now,
            armed_at: *armed_at,
        };
        let armings = asked.iter().map(arming).collect();
        let haste = Haste { asked, since: Some(now), skipped: words_of(&account.skipped) };
        let event = self.event(EventKind::ReleaseHastened, format!("now, passing over: {}", haste.passed_over()));
        Ok(Change::new(Self { state: ReleaseState::Armed, due_at: now, armings, haste, ..self }, event))
    }

    /// Returns the date that this release's documents bear.
    pub fn told_at(&self) -> Timestamp {
        told_at(self.dated_at, self.haste.since)
    }

    /// Takes documents that bear the instant of the disclosure in place of those that bear the planned one. They are all that may
    /// differ: whoever said that it is to be disclosed now said it of these refs, checks, channels and hooks.
    pub fn redate(self, from: &Manifest, to: &Manifest, sealed: Sealed<Manifest>) -> Result<Change<Self>, Refusal> {
        let bound = self.frozen.as_ref().is_some_and(|frozen| frozen.lasting == from.lasting_digest());
        if !bound || !self.haste.in_force() || !from.differs_in_documents_alone(to) {
            return Err(Refusal::moment(format!(
                "What this release publishes was configured otherwise since it was frozen: `embargo release reopen {}`, then \
                 disclose it now.",
                self.id
            )));
        }
        to.check()?;
        let lasting = to.lasting_digest();
        let event = self.event(EventKind::ReleaseFrozen, format!("{lasting}, dated {}", self.told_at()));
        let armings = self.armings.into_iter().map(|arming| Arming { digest: lasting, ..arming }).collect();
        Ok(Change::new(Self { frozen: Some(Frozen { lasting, sealed }), armings, ..self }, event))
    }
}

fn words_of(blockers: &[Blocker]) -> Vec<Skip> {
    let mut skips: Vec<_> = blockers.iter().filter_map(|blocker| Skip::of(blocker.kind)).collect();
    skips.sort_unstable();
    skips.dedup();
    skips
}
