//! Candidates: what a release would push to a line, merged by the server or pushed by a person, and what speaks for it.
//!
//! Guards: what becomes public was checked as it becomes public. A candidate goes by the checks of a fix only where it is
//! that fix, tree for tree and planned on the same public commit; and one that a person pushed, which carries code that no
//! fix's approval covers, needs an approval of its own, bound to its commit. Leaves merging to `workflow::rehearsal`.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::blocker::BlockerKind;
use super::change::Change;
use super::check::CheckState;
use super::event::{Event, EventKind};
use super::fix::{Approval, SOLO_DELAY};
use super::forward::MovedBy;
use super::id::{CaseId, CheckRunId, LineId, PersonId, ReleaseId, words};
use super::manifest::ChecksWord;
use super::project::TeamKind;
use super::readiness::{Checks, Facts, FixFacts, TargetFacts, counted};
use super::refusal::Refusal;
use super::rehearsal::{Candidate, Maker, Rehearsal, Target};
use super::release::{Policy, Release, ReleaseState};
use super::repo::{CommitId, LineName, RefName, TagName};

/// What is known of one target's candidate beyond the rehearsal.
#[derive(Clone, Debug, Default)]
pub struct CandidateFacts {
    /// The newest run on the candidate itself, and where it stands.
    pub run: Option<(CheckRunId, CheckState)>,
    /// How the checks stand of the line's own commit, where that is another tree than what is tagged.
    pub own: Option<Checks>,
    /// How the checks stand of what moves on lines that are not in the plan.
    pub beside: Vec<(LineName, Checks)>,
    /// What a person pushed for the line.
    pub offered: Option<Offered>,
    /// Approvals of what a version command changed, at the candidate's commit: who, and from when on they count.
    pub built: Vec<(PersonId, Timestamp)>,
}

/// How a line's own commit relates to what its tag names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineTree {
    /// The same tree: what is checked at the tag is checked on the line.
    AsTagged,
    /// Another tree, because the tag stands on a branch that holds more: checked by itself.
    Apart,
}

/// What is known of a pushed candidate.
#[derive(Clone, Debug)]
pub struct Offered {
    /// What was pushed.
    pub pushed: Pushed,
    /// Everybody who ever pushed a candidate of this line.
    pub pushers: Vec<PersonId>,
    /// Approvals of this head: who, and from when on they count.
    pub approvals: Vec<(PersonId, Timestamp)>,
}

/// A run as readiness sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// Which.
    pub id: CheckRunId,
    /// The public commit whose workflow files it was planned from.
    pub base: CommitId,
    /// A sentence about it as a whole, free of case text; empty where its jobs say it all.
    pub note: String,
}

words! {
    /// What speaks for a candidate.
    ChecksBy {
        /// A run on the candidate itself.
        Candidate = "candidate",
        /// The run of the line's one fix, whose very tree the candidate is.
        Fix = "fix",
        /// The people who answered for every fix on the line.
        Word = "word",
    }
}

/// How the checks of a candidate stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandidateChecks {
    /// How they stand.
    pub checks: Checks,
    /// Whose they are.
    pub by: ChecksBy,
    /// The run they come from.
    pub run: Option<CheckRunId>,
}

/// What is pushed to one line, as it was frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenCandidate {
    /// The line.
    pub line: LineId,
    /// The tag on it.
    pub tag: TagName,
    /// The commit that is tagged.
    pub commit: CommitId,
    /// Who made it.
    pub maker: Maker,
    /// How its checks ended.
    pub checks: ChecksWord,
    /// The run that was green; none where people answered for it.
    pub run: Option<CheckRunId>,
}

/// A candidate that a person pushed to a line of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The release.
    pub release: ReleaseId,
    /// The line.
    pub line: LineId,
    /// What was pushed last.
    pub head: CommitId,
    /// Who pushed it.
    pub pushed_by: PersonId,
    /// When.
    pub pushed_at: Timestamp,
}

/// A line that takes a candidate, and what has to be in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The line.
    pub line: LineName,
    /// What has to be in it.
    pub holds: Vec<Held>,
}

/// A commit that a candidate has to contain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What it is.
    pub part: Part,
    /// Which; none if the line is in no mirror, or not built, and then nothing contains it.
    pub commit: Option<CommitId>,
}

/// What a candidate has to contain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The public line itself.
    Line,
    /// The fix of a case.
    Fix(CaseId),
    /// What the release ships on another line.
    Shipped(LineName),
}

impl CandidateFacts {
    /// Returns what a person pushed last.
    pub fn offered_head(&self) -> Option<&CommitId> {
        self.offered.as_ref().map(|offered| &offered.pushed.head)
    }
}

impl CandidateChecks {
    /// Says what speaks for a candidate, from the fixes that are merged in it and the newest run on itself.
    ///
    /// A run of its own counts before all else, but for one that was stopped where it is not needed.
    pub fn of(candidate: &Candidate, fixes: &[&FixFacts], own: Option<(CheckRunId, CheckState)>) -> Self {
        let waived = !fixes.is_empty() && fixes.iter().all(|fix| fix.checks == Checks::Waived);
        let carried = fixes.iter().find(|fix| carries(candidate, fix));
        match (own.filter(|(_, state)| carried.is_none() || *state != CheckState::Cancelled), carried) {
            (None, Some(fix)) => {
                Self { checks: fix.checks, by: ChecksBy::Fix, run: fix.run.as_ref().map(|run| run.id) }
            }
            (own, _) => {
                let checks = Checks::of(own.map(|(_, state)| state), waived);
                let by = if checks == Checks::Waived { ChecksBy::Word } else { ChecksBy::Candidate };
                Self { checks, by, run: own.map(|(run, _)| run) }
            }
        }
    }

    /// Writes down what spoke for a candidate when it was frozen. Readiness allows nothing but what a manifest has words for,
    /// unless it is frozen to be disclosed now.
    pub fn frozen(self, target: &Target, candidate: &Candidate) -> FrozenCandidate {
        FrozenCandidate {
            line: target.line,
            tag: target.tag.clone(),
            commit: candidate.tagged().clone(),
            maker: candidate.maker,
            checks: self.checks.frozen().unwrap_or(ChecksWord::PassedOver),
            run: self.run,
        }
    }
}

/// Tells whether the checks of this fix are those of the candidate: the same tree, from the same workflow files.
fn carries(candidate: &Candidate, fix: &FixFacts) -> bool {
    candidate.same_as.is_some()
        && candidate.same_as == fix.head
        && fix.run.as_ref().is_some_and(|run| run.base == candidate.base)
}

impl Release {
    /// Says how the checks of a target's candidate stand.
    pub fn candidate_checks(
        &self,
        candidate: &Candidate,
        target: (&Target, &TargetFacts),
        facts: &Facts,
    ) -> CandidateChecks {
        let (target, known) = target;
        let fixes: Vec<_> = self.merged_on(target.line, facts).map(|(_, fix)| fix).collect();
        CandidateChecks::of(candidate, &fixes, known.candidate.run)
    }

    /// Tells whether this commit is to be checked for a line: it is tagged, or the line's own, or moves with another line.
    pub fn checks_at(&self, line: LineId, head: &CommitId) -> bool {
        let here = |target: &Target| match &target.rehearsal {
            Rehearsal::Candidate(candidate) => {
                let own = target.line == line && (candidate.tagged() == head || candidate.commit == *head);
                own || candidate.moves.iter().any(|moved| moved.by == MovedBy::Forward && moved.new == *head)
            }
            Rehearsal::None | Rehearsal::Trouble { .. } => false,
        };
        self.live() && self.targets.iter().any(here)
    }

    /// Lists the fixes that are merged onto a line, each with its case, in the order of the cases.
    pub fn merged_on<'a>(&'a self, line: LineId, facts: &'a Facts) -> impl Iterator<Item = (&'a CaseId, &'a FixFacts)> {
        let known = self.cases.iter().filter_map(|case| facts.cases.iter().find(|known| &known.case == case));
        let fixes = known.flat_map(|known| known.fixes.iter().map(move |fix| (&known.case, fix)));
        fixes.filter(move |(_, fix)| fix.line == line && fix.head.is_some())
    }

    /// Says what a candidate of the present rehearsal still lacks.
    pub(super) fn candidate_lacks(
        &self,
        candidate: &Candidate,
        target: (&Target, &TargetFacts),
        facts: &Facts,
        policy: &Policy,
    ) -> Vec<(BlockerKind, String)> {
        let (line, short) = (&target.1.line, candidate.commit.short());
        let mut lacks = Vec::new();
        let checks = self.candidate_checks(candidate, target, facts);
        // What a fix lacks is said of the fix.
        if let (Some(trouble), ChecksBy::Candidate) = (trouble_of(checks.checks), checks.by) {
            lacks.push((BlockerKind::CandidateChecks, format!("The candidate of {line} at {short}: {trouble}")));
        }
        // What cannot run here was answered for where it is tagged.
        let own = target.1.candidate.own.filter(|checks| *checks != Checks::NotRun);
        if let Some(trouble) = own.and_then(trouble_of) {
            let sentence = format!("The line {line} itself at {short}, whose tag stands on another branch: {trouble}");
            lacks.push((BlockerKind::CandidateChecks, sentence));
        }
        let beside = target.1.candidate.beside.iter().filter(|(_, checks)| *checks != Checks::NotRun);
        for (branch, trouble) in beside.filter_map(|(branch, checks)| Some((branch, trouble_of(*checks)?))) {
            let sentence = format!("What {line} ships, merged into {branch}: {trouble}");
            lacks.push((BlockerKind::CandidateChecks, sentence));
        }
        if candidate.maker == Maker::Person {
            let missing = policy.approvals.max(1).saturating_sub(match &target.1.candidate.offered {
                Some(offered) if offered.pushed.head == candidate.commit => {
                    counted(&offered.approvals, &offered.pushers, policy, facts.now)
                }
                Some(_) | None => 0,
            });
            if missing > 0 {
                let sentence = format!(
                    "candidate/{line} at {short} was pushed, and no approval of a fix covers it: another release manager \
                     looks at it and approves it ({missing} missing)."
                );
                lacks.push((BlockerKind::CandidateApproval, sentence));
            }
        }
        if candidate.bumped {
            let missing =
                policy.approvals.max(1).saturating_sub(counted(&target.1.candidate.built, &[], policy, facts.now));
            if missing > 0 {
                let sentence = format!(
                    "The version command changed {line} at {short}, and no approval of a fix covers that: a release manager \
                     looks at it and approves it ({missing} missing)."
                );
                lacks.push((BlockerKind::CandidateApproval, sentence));
            }
        }
        lacks
    }

    /// Approves what a version command changed on a line, at the candidate's commit.
    pub fn approve_built(
        &self,
        line: LineId,
        head: &CommitId,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Change<Approval>, Refusal> {
        self.takes_candidates()?;
        let of_line = self.targets.iter().filter(|target| target.line == line);
        let mut built = of_line.filter_map(|target| match &target.rehearsal {
            Rehearsal::Candidate(candidate) if candidate.bumped => Some(&candidate.commit),
            Rehearsal::Candidate(_) | Rehearsal::None | Rehearsal::Trouble { .. } => None,
        });
        match built.next() {
            Some(commit) if commit == head => {
                let object = format!("version of {line} at {head}");
                let event = Event::of_release(EventKind::CandidateApproved, &self.id, object);
                Ok(Change::new(Approval { head: head.clone(), person, approved_at: now, counts_at: now }, event))
            }
            Some(commit) => Err(Refusal::moment(format!(
                "The candidate is at {} now, not at {}: look at it again.",
                commit.short(),
                head.short()
            ))),
            None => Err(Refusal::moment("Nobody pushed a candidate of this line, and no command changed it.")),
        }
    }

    /// Checks that candidates may be pushed, approved and checked again now.
    pub fn takes_candidates(&self) -> Result<(), Refusal> {
        match self.state {
            ReleaseState::Planned => Ok(()),
            ReleaseState::Frozen | ReleaseState::Armed | ReleaseState::Running | ReleaseState::Held => {
                Err(Refusal::moment(format!(
                    "This release is {}: reopen it (`embargo release reopen {}`) before its candidates change.",
                    self.state, self.id
                )))
            }
            ReleaseState::Done | ReleaseState::Abandoned => {
                Err(Refusal::moment(format!("This release is {}: its candidates change no more.", self.state)))
            }
        }
    }
}

impl Wanted {
    /// Returns the branch a candidate of the line is pushed to.
    pub fn branch(&self) -> RefName {
        RefName::candidate(&self.line)
    }

    /// Returns what has to be in it, if that is known.
    pub fn commits(&self) -> Option<Vec<CommitId>> {
        self.holds.iter().map(|held| held.commit.clone()).collect()
    }

    /// Says what is missing of a candidate that does not contain these commits.
    pub(super) fn missing(&self, lacks: &[CommitId]) -> Vec<Refusal> {
        let line = &self.line;
        let missing = self.holds.iter().filter(|held| held.commit.as_ref().is_none_or(|commit| lacks.contains(commit)));
        let sentence = |held: &Held| match (&held.part, &held.commit) {
            (Part::Shipped(from), None) => {
                format!("What ships on {from} is not built yet: see why on the release, then push candidate/{line}.")
            }
            (Part::Shipped(from), Some(commit)) => format!(
                "candidate/{line} does not hold what ships on {from} at {}: fetch, merge origin/ships/{from}, and push again.",
                commit.short()
            ),
            (Part::Line | Part::Fix(_), None) => {
                format!("The public line {line} is in no mirror: run the mirror, then push candidate/{line}.")
            }
            (Part::Line, Some(tip)) => format!(
                "candidate/{line} does not hold the public {line} at {}: fetch, merge origin/{line}, and push again.",
                tip.short()
            ),
            (Part::Fix(case), Some(head)) => format!(
                "candidate/{line} does not hold the fix of {case} at {}: fetch, merge origin/fix/{case}/{line}, and push \
                 again.",
                head.short()
            ),
        };
        missing.map(|held| Refusal::moment(sentence(held))).collect()
    }
}

impl Pushed {
    /// Tells from when on this person's approval counts, or who else has to give it. `by` is who approves, and everybody who
    /// ever pushed a candidate of the line.
    pub fn may_approve(
        &self,
        by: (PersonId, &[PersonId]),
        team: TeamKind,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let (person, pushers) = by;
        match (self.pushed_by == person || pushers.contains(&person), team) {
            (false, TeamKind::Several | TeamKind::Solo) => Ok(now),
            (true, TeamKind::Solo) => Ok(now + SOLO_DELAY),
            (true, TeamKind::Several) => {
                Err(Refusal::person("You pushed to this candidate: another release manager approves it."))
            }
        }
    }

    /// Approves the candidate at this commit, which must be what was pushed last.
    pub fn approve(
        &self,
        head: &CommitId,
        by: (PersonId, &[PersonId]),
        team: TeamKind,
        now: Timestamp,
    ) -> Result<Change<Approval>, Refusal> {
        if &self.head != head {
            return Err(Refusal::moment(format!(
                "The pushed candidate is at {} now, not at {}: look at it again.",
                self.head.short(),
                head.short()
            )));
        }
        let counts_at = self.may_approve(by, team, now)?;
        let event = Event::of_release(
            EventKind::CandidateApproved,
            &self.release,
            format!("candidate of {} at {head}", self.line),
        );
        Ok(Change::new(Approval { head: head.clone(), person: by.0, approved_at: now, counts_at }, event))
    }
}

/// Says how long it would take to build a release and check it, from what was measured before: merging, and the checks of each
/// line, of which so many run at a time. None if something of it was never measured.
pub fn ready_in(
    build: Option<SignedDuration>,
    checks: &[Option<SignedDuration>],
    at_once: usize,
) -> Option<SignedDuration> {
    let checks: Vec<SignedDuration> = checks.iter().copied().collect::<Option<_>>()?;
    let longest = checks.iter().copied().max()?;
    let all: SignedDuration = checks.iter().fold(SignedDuration::ZERO, |sum, took| sum.saturating_add(*took));
    let shared = all / i32::try_from(at_once.max(1)).unwrap_or(i32::MAX);
    Some(build?.saturating_add(longest.max(shared)))
}

fn trouble_of(checks: Checks) -> Option<&'static str> {
    match checks {
        Checks::Green | Checks::Nothing | Checks::Waived => None,
        Checks::NotRun => Some("the checks could not run: see why, then run them again."),
        Checks::Running => Some("the checks have not ended."),
        Checks::Failed => Some("the checks are not green."),
        Checks::Missing => Some("the checks were not asked for: rehearse the release."),
    }
}

#[cfg(test)]
#[path = "candidate_tests.rs"]
mod tests;
