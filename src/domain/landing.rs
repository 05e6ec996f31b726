//! Landings: tests that stayed private when their fix became public, and go onto the public line later.
//!
//! Guards: only what was frozen and armed with the fix lands, never before the release is done, and once; what does not fit the
//! line as it is by then waits for a person and is never forced. Pure: [`next`] says what comes, `workflow::landing` does it.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::access::Role;
use super::audience::Lead;
use super::blocker::{Blocker, BlockerKind};
use super::change::{Change, Version};
use super::event::{Event, EventKind};
use super::id::{CaseId, LineId, ReleaseId, UpstreamId, words};
use super::manifest::FrozenFix;
use super::readiness::{CaseFacts, Facts, FixFacts, counted, trouble_of};
use super::refusal::{Malformed, Refusal};
use super::release::{Policy, Release, ReleaseState};
use super::repo::CommitId;

/// How often in a row a landing is tried before a person is called.
const PATIENCE: u32 = 100;
/// How often it follows a line that keeps moving without a pause.
const AT_ONCE: u32 = 5;
/// The longest pause between two tries.
const PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// When the tests of a release become public, as its plan has it: `14d`, or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TestsDue {
    /// This long after the release became public.
    After(Lead),
    /// Not by this server, unless somebody says otherwise.
    Never,
}

/// When a person wants tests to become public: `14d` after the release was, an instant in RFC 3339, `now`, or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TestsWish {
    /// As a plan would have it.
    Due(TestsDue),
    /// At this instant.
    At(Timestamp),
    /// Now; what needed a person is tried again.
    Now,
}

words! {
    /// Where a landing stands.
    LandingState {
        /// Due at its time, or tried again.
        Waiting = "waiting",
        /// Put onto the line here; the checks have to speak for it.
        Checking = "checking",
        /// Being pushed.
        Pushing = "pushing",
        /// Did not go through: needs a person.
        Stuck = "stuck",
        /// In public.
        Done = "done",
        /// Left to a person, or never said when.
        Never = "never",
    }
}

/// What a landing made of the line and the tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// The public tip it was put onto.
    pub base: CommitId,
    /// What is pushed.
    pub commit: CommitId,
}

/// The tests of a release on their way onto one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The release.
    pub release: ReleaseId,
    /// The line.
    pub line: LineId,
    /// Its repository.
    pub upstream: UpstreamId,
    /// Where it stands.
    pub state: LandingState,
    /// When it is due; none while nobody said.
    pub due_at: Option<Timestamp>,
    /// What was made of it last.
    pub landed: Option<Landed>,
    /// Whether the checks have spoken for it: they do once, like those of a merge button.
    pub checked: bool,
    /// Tries in a row.
    pub attempts: u32,
    /// Not to be tried again before this instant.
    pub retry_at: Option<Timestamp>,
    /// What happened, in words free of case text.
    pub note: String,
    /// When it was found in public.
    pub done_at: Option<Timestamp>,
    /// Changes so far.
    pub version: Version,
}

/// What is known of the tests of a case for one line.
#[derive(Clone, Debug)]
pub struct TestsFacts {
    /// The repository.
    pub upstream: UpstreamId,
    /// Their branch, as that of a fix.
    pub branch: FixFacts,
    /// Whether they hold the fix of their line as it ships: what was checked on them is then what both make together.
    pub stands: bool,
}

/// What is to be done about a landing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, or nothing yet.
    Rest,
    /// Put the tests onto the line as it is now.
    Build,
    /// Ask how the checks went.
    Check,
    /// Look where the line is; push if it is where it was.
    Push,
}

/// Says what is to be done about a landing now.
pub fn next(release: &Release, landing: &Landing, now: Timestamp) -> Step {
    let waits = landing.retry_at.is_some_and(|at| now < at);
    match landing.state {
        _ if release.state != ReleaseState::Done || waits => Step::Rest,
        LandingState::Waiting if landing.due_at.is_some_and(|at| at <= now) => Step::Build,
        LandingState::Checking => Step::Check,
        LandingState::Pushing => Step::Push,
        LandingState::Waiting | LandingState::Stuck | LandingState::Done | LandingState::Never => Step::Rest,
    }
}

impl Landing {
    /// Plans the landing of what a release holds back for a line, from the moment it became public.
    pub fn plan(release: &Release, (upstream, line): (UpstreamId, LineId)) -> Change<Self> {
        let due_at = release.tests_due.zip(release.public_at).and_then(|(due, public)| due.of(public));
        let state = if due_at.is_some() { LandingState::Waiting } else { LandingState::Never };
        let planned = Self {
            release: release.id.clone(),
            line,
            upstream,
            state,
            due_at,
            landed: None,
            checked: false,
            attempts: 0,
            retry_at: None,
            note: String::new(),
            done_at: None,
            version: Version(0),
        };
        planned.turn(state)
    }

    /// Takes what was made of the line: it is checked, unless the checks have spoken already.
    pub fn build(self, landed: Landed) -> Change<Self> {
        let state = if self.checked { LandingState::Pushing } else { LandingState::Checking };
        Self { landed: Some(landed), retry_at: None, note: String::new(), ..self }.turn(state)
    }

    /// The checks speak for it: it may be pushed.
    pub fn pass(self) -> Change<Self> {
        Self { checked: true, ..self }.turn(LandingState::Pushing)
    }

    /// It is in public.
    pub fn find(self, note: &str, now: Timestamp) -> Change<Self> {
        Self { done_at: Some(now), retry_at: None, note: note.to_owned(), ..self }.turn(LandingState::Done)
    }

    /// The line moved since it was built on: it is built anew, at once unless that has happened often.
    pub fn follow(self, now: Timestamp) -> Change<Self> {
        let retry_at = if self.attempts < AT_ONCE { None } else { self.paused(now) };
        self.later(LandingState::Waiting, "The line moved meanwhile.", retry_at)
    }

    /// It could not be tried to its end: it is tried again after a pause.
    pub fn again(self, note: &str, now: Timestamp) -> Change<Self> {
        let (state, retry_at) = (self.state, self.paused(now));
        self.later(state, note, retry_at)
    }

    /// It waits for something else, which takes no try.
    pub fn wait(self, note: &str) -> Change<Self> {
        let state = self.state;
        Self { note: note.to_owned(), ..self }.turn(state)
    }

    /// It needs a person.
    pub fn stick(self, note: &str) -> Change<Self> {
        Self { retry_at: None, note: note.to_owned(), ..self }.turn(LandingState::Stuck)
    }

    /// Brings it forward, puts it off, tries it again, or leaves it to a person.
    pub fn schedule(self, wish: TestsWish, release: &Release, now: Timestamp) -> Result<Change<Self>, Refusal> {
        match self.state {
            LandingState::Waiting | LandingState::Checking | LandingState::Stuck | LandingState::Never => {}
            LandingState::Pushing => {
                return Err(Refusal::moment("The tests are being pushed at this moment: look again in a minute."));
            }
            LandingState::Done => return Err(Refusal::moment("The tests are public already.")),
        }
        let public = release.public_at.ok_or_else(not_yet)?;
        let due_at = match wish {
            TestsWish::Due(due) => due.of(public),
            TestsWish::At(at) if at < now => {
                return Err(Refusal::input("That instant lies in the past: choose one ahead of now, or say now."));
            }
            TestsWish::At(at) => Some(at),
            TestsWish::Now => Some(now),
        };
        let state = if due_at.is_some() { LandingState::Waiting } else { LandingState::Never };
        let fresh =
            Self { due_at, landed: None, checked: false, attempts: 0, retry_at: None, note: String::new(), ..self };
        Ok(fresh.turn(state))
    }

    fn later(self, state: LandingState, note: &str, retry_at: Option<Timestamp>) -> Change<Self> {
        let attempts = self.attempts + 1;
        if attempts >= PATIENCE {
            return Self { attempts, ..self }.stick(note);
        }
        Self { attempts, retry_at, note: note.to_owned(), ..self }.turn(state)
    }

    fn paused(&self, now: Timestamp) -> Option<Timestamp> {
        let pause = SignedDuration::from_secs(1_i64.checked_shl(self.attempts.min(20) + 1).unwrap_or(600)).min(PAUSE);
        now.checked_add(pause).ok()
    }

    fn turn(self, state: LandingState) -> Change<Self> {
        let at = match (state, &self.landed) {
            (LandingState::Pushing | LandingState::Done, Some(landed)) => format!(" {}", landed.commit),
            (_, _) => {
                self.due_at.filter(|_| state == LandingState::Waiting).map_or_else(String::new, |at| format!(" {at}"))
            }
        };
        let event = Event::of_release(EventKind::TestsMoved, &self.release, format!("{} {state}{at}", self.line));
        Change::new(Self { state, ..self }, event)
    }
}

fn not_yet() -> Refusal {
    Refusal::moment(
        "Nothing of this release is public yet: say how long after it the tests follow, such as 14d, or never.",
    )
}

impl Release {
    /// Says when the tests it holds back become public, while it is not public itself.
    pub fn set_tests(self, wish: TestsWish) -> Result<Change<Self>, Refusal> {
        match self.state {
            ReleaseState::Planned
            | ReleaseState::Frozen
            | ReleaseState::Armed
            | ReleaseState::Running
            | ReleaseState::Held => {}
            ReleaseState::Done | ReleaseState::Abandoned => {
                return Err(self.out_of_turn("told when its tests follow", "not over"));
            }
        }
        let TestsWish::Due(due) = wish else { return Err(not_yet()) };
        let event = self.event(EventKind::ReleasePlanned, format!("tests {due}"));
        Ok(Change::new(Self { tests_due: Some(due), ..self }, event))
    }

    /// Returns the heads of the tests that are held back in a repository, in the order of the cases.
    pub fn tests_in(&self, upstream: UpstreamId, facts: &Facts) -> Vec<CommitId> {
        let here = |known: &&TestsFacts| known.upstream == upstream;
        let tests = self.held(facts).map(|(_, tests)| tests);
        tests.filter(here).filter_map(|tests| tests.branch.head.clone()).collect()
    }

    /// Lists the tests that are held back, in the order of the cases.
    pub fn held<'a>(&'a self, facts: &'a Facts) -> impl Iterator<Item = (&'a CaseId, &'a TestsFacts)> {
        let known = |case: &CaseId| facts.cases.iter().find(|known| &known.case == case);
        let cases = self.cases.iter().filter_map(known);
        cases.flat_map(|known| known.tests.iter().map(move |tests| (&known.case, tests)))
    }

    /// Writes down the tests that may follow the release. Those that nobody approved, or whose checks do not speak for them, as where
    /// it is disclosed in haste, stay private.
    pub fn landings(&self, facts: &Facts, policy: &Policy) -> Vec<FrozenFix> {
        let frozen = |(case, tests): (&CaseId, &TestsFacts)| {
            let branch = &tests.branch;
            let checks = branch.checks.frozen().filter(|_| tests.stands && missing(branch, policy, facts.now) == 0)?;
            Some(FrozenFix { case: case.clone(), line: branch.line, commit: branch.head.clone()?, checks })
        };
        self.held(facts).filter_map(frozen).collect()
    }

    /// Lists what stands against the tests of a case that are held back.
    pub(super) fn tests_lack(&self, known: &CaseFacts, now: Timestamp, policy: &Policy) -> Vec<Blocker> {
        let (case, mut blockers) = (&known.case, Vec::new());
        let mut add = |sentence, owner| blockers.push(Blocker::of_case(case, BlockerKind::Tests, sentence, owner));
        for TestsFacts { branch, stands, .. } in &known.tests {
            let (line, Some(head)) = (&branch.name, &branch.head) else { continue };
            let fix = known.fixes.iter().find(|fix| fix.line == branch.line).and_then(|fix| fix.head.as_ref());
            if self.tests_due.is_none() {
                let sentence = format!(
                    "{case} holds back tests/{line}, and nobody said when it becomes public: embargo release tests {} --after 14d, or --never.",
                    self.id
                );
                add(sentence, Role::ReleaseManager);
            }
            match fix {
                None => add(
                    format!(
                        "{case} holds back tests/{line}, and has no fix on {line} in this release: push it, or remove the branch."
                    ),
                    Role::Fixer,
                ),
                Some(fix) if !stands => add(
                    format!(
                        "{case}: tests/{line} does not hold fix/{line} at {}: merge fix/{line} into tests/{line}, and push.",
                        fix.short()
                    ),
                    Role::Fixer,
                ),
                Some(_) => {}
            }
            let missing = missing(branch, policy, now);
            if missing > 0 {
                let sentence = format!("{case}: tests/{line} needs {missing} more approval at {}.", head.short());
                add(sentence, Role::Reviewer);
            }
            if let Some((trouble, owner)) = trouble_of(branch.checks) {
                add(format!("{case}: tests/{line}: {trouble}"), owner);
            }
        }
        blockers
    }
}

fn missing(branch: &FixFacts, policy: &Policy, now: Timestamp) -> usize {
    policy.approvals.saturating_sub(counted(&branch.approvals, branch.pusher.as_slice(), policy, now))
}

impl TestsDue {
    /// Returns the moment it names, from the one at which the release became public.
    pub fn of(self, public: Timestamp) -> Option<Timestamp> {
        match self {
            Self::After(lead) => public.checked_add(lead.duration()).ok(),
            Self::Never => None,
        }
    }
}

impl FromStr for TestsDue {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const RULE: Malformed = Malformed::new(
            "tests follow a release after a number and d, h or m, such as 14d or 36h, at most 90d; or never",
        );
        if text == "never" { Ok(Self::Never) } else { text.parse().map(Self::After).map_err(|_| RULE) }
    }
}

impl fmt::Display for TestsDue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(lead) => lead.fmt(f),
            Self::Never => f.write_str("never"),
        }
    }
}

impl FromStr for TestsWish {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const RULE: Malformed = Malformed::new(
            "tests become public now, never, after a time such as 14d, or at an instant such as 2030-01-15T13:00:00Z",
        );
        if text == "now" {
            return Ok(Self::Now);
        }
        let due = text.parse().map(Self::Due);
        due.or_else(|_| text.parse().map(Self::At)).map_err(|_| RULE)
    }
}

impl fmt::Display for TestsWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Due(due) => due.fmt(f),
            Self::At(at) => at.fmt(f),
            Self::Now => f.write_str("now"),
        }
    }
}

impl TryFrom<String> for TestsDue {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<TestsDue> for String {
    fn from(due: TestsDue) -> String {
        due.to_string()
    }
}

impl TryFrom<String> for TestsWish {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<TestsWish> for String {
    fn from(wish: TestsWish) -> String {
        wish.to_string()
    }
}

#[cfg(test)]
#[path = "landing_tests.rs"]
mod tests;
