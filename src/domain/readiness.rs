//! Readiness: everything that still blocks a release, each with the role that can mend it and the page to go to.
//!
//! A pure function over [`Facts`]. [`Ready`] is its proof: only a release found free of blockers is frozen or armed.

use jiff::Timestamp;

use super::access::Role;
use super::blocker::{Blocker, BlockerKind};
use super::candidate::{CandidateFacts, RunFacts};
use super::case::CaseState;
use super::change::Version;
use super::check::CheckState;
use super::digest::Digest;
use super::embargo::Embargo;
use super::id::{CaseId, LineId, PersonId, ReleaseId, words};
use super::landing::TestsFacts;
use super::manifest::ChecksWord;
use super::recipe::Recipe;
use super::refusal::Refusal;
use super::rehearsal::{Rehearsal, Target, inputs};
use super::release::{Policy, Release, ReleaseState};
use super::repo::{CommitId, LineName, RepoName};
use super::signing::Signed;
use super::surroundings::Surroundings;
use super::told::{Lack, LineFacts};
use super::wave::WaveFacts;

words! {
    /// How the checks of a fix stand at its head.
    Checks {
        /// All that is required succeeded.
        Green = "green",
        /// The project has nothing to run.
        Nothing = "nothing",
        /// Could not run; a person answered for this head.
        Waived = "waived",
        /// Could not run here.
        NotRun = "not_run",
        /// Queued or running.
        Running = "running",
        /// Ended otherwise.
        Failed = "failed",
        /// Nobody asked for them.
        Missing = "missing",
    }
}

/// Everything readiness looks at, gathered by `workflow`.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The instant of looking.
    pub now: Timestamp,
    /// The cases of the release.
    pub cases: Vec<CaseFacts>,
    /// Its targets, in their order.
    pub targets: Vec<TargetFacts>,
    /// What surrounds it.
    pub around: Surroundings,
    /// Who is told before the instant.
    pub waves: Vec<WaveFacts>,
}

/// What is known of one case.
#[derive(Clone, Debug)]
pub struct CaseFacts {
    /// Which.
    pub case: CaseId,
    /// Where it stands.
    pub state: CaseState,
    /// Whether it is public.
    pub published: bool,
    /// The agreement on the date.
    pub embargo: Embargo,
    /// Another live release it is in.
    pub elsewhere: Option<ReleaseId>,
    /// Its fixes on the release's lines: one per line it has to be fixed on.
    pub fixes: Vec<FixFacts>,
    /// Its tests that follow later: one per line that has any.
    pub tests: Vec<TestsFacts>,
    /// The project's lines, as they stand to the case.
    pub lines: Vec<LineFacts>,
    /// Its advisory.
    pub advisory: AdvisoryFacts,
}

/// What is known of one fix.
#[derive(Clone, Debug)]
pub struct FixFacts {
    /// The line.
    pub line: LineId,
    /// Its name.
    pub name: LineName,
    /// The head; none while nothing is pushed.
    pub head: Option<CommitId>,
    /// Who pushed the head.
    pub pusher: Option<PersonId>,
    /// Approvals of this head: who, and from when on they count.
    pub approvals: Vec<(PersonId, Timestamp)>,
    /// Its checks at this head.
    pub checks: Checks,
    /// The run they come from.
    pub run: Option<RunFacts>,
}

/// What is known of one advisory.
#[derive(Clone, Debug, Default)]
pub struct AdvisoryFacts {
    /// What it lacks, a sentence for each; a draft that does not exist lacks itself.
    pub missing: Vec<String>,
    /// How many people were asked for a credit and have not answered.
    pub waiting_credits: usize,
    /// The hash of its documents as they would be published now.
    pub digest: Option<Digest>,
    /// The hash that was approved.
    pub approved: Option<Digest>,
    /// Whether the release has frozen other documents than would be published now.
    pub left_behind: bool,
}

/// What is known of one target.
#[derive(Clone, Debug)]
pub struct TargetFacts {
    /// The repository's name.
    pub repository: RepoName,
    /// The line's name.
    pub line: LineName,
    /// The public tip; none if the line is not there.
    pub tip: Option<CommitId>,
    /// Whether the tag exists in public.
    pub tag_taken: bool,
    /// What the release would push there.
    pub candidate: CandidateFacts,
    /// How that is made of the fixes, or why it cannot be.
    pub recipe: Result<Recipe, Refusal>,
    /// Whether its tag is signed as the project asks.
    pub signed: Signed,
}

/// Proof that nothing blocked this release, at this version of it.
#[derive(Debug)]
pub struct Ready {
    release: ReleaseId,
    version: Version,
}

impl Ready {
    /// Checks that the proof is about this release as it is now.
    pub fn check(&self, release: &Release) -> Result<(), Refusal> {
        if self.release == release.id && self.version == release.version {
            Ok(())
        } else {
            Err(Refusal::moment("The release changed while it was being looked at: repeat."))
        }
    }
}

impl Checks {
    /// Says how checks stand: what could not run may be answered for, what ran and failed may not.
    pub fn of(state: Option<CheckState>, waived: bool) -> Self {
        match state {
            None if waived => Self::Waived,
            None => Self::Missing,
            Some(CheckState::Success) => Self::Green,
            Some(CheckState::Skipped) => Self::Nothing,
            Some(CheckState::Unsupported | CheckState::Lost) if waived => Self::Waived,
            Some(CheckState::Unsupported | CheckState::Lost | CheckState::NeedsApproval) => Self::NotRun,
            Some(CheckState::Waiting | CheckState::Blocked | CheckState::Running | CheckState::Cancelling) => {
                Self::Running
            }
            Some(CheckState::Failure | CheckState::Cancelled | CheckState::TimedOut) => Self::Failed,
        }
    }

    /// Returns the word a manifest keeps; none if these checks do not allow freezing.
    pub fn frozen(self) -> Option<ChecksWord> {
        match self {
            Self::Green => Some(ChecksWord::Success),
            Self::Nothing => Some(ChecksWord::Nothing),
            Self::Waived => Some(ChecksWord::Waived),
            Self::NotRun | Self::Running | Self::Failed | Self::Missing => None,
        }
    }
}

impl Release {
    /// Lists what blocks this release, or proves that nothing does.
    pub fn readiness(&self, facts: &Facts, policy: &Policy) -> Result<Ready, Vec<Blocker>> {
        let mut blockers = Vec::new();
        if self.cases.is_empty() {
            blockers.push(self.blocker(
                BlockerKind::NoCase,
                "A release needs at least one case.",
                Role::ReleaseManager,
            ));
        }
        self.instant(facts, &mut blockers);
        for case in &self.cases {
            match facts.cases.iter().find(|known| &known.case == case) {
                Some(known) => {
                    self.case(known, facts.now, policy, &mut blockers);
                    blockers.extend(self.tests_lack(known, facts.now, policy));
                }
                None => blockers.push(self.blocker(
                    BlockerKind::CaseState,
                    format!("Nothing is known of {case}: it may have been removed."),
                    Role::ReleaseManager,
                )),
            }
        }
        for (at, target) in self.targets.iter().enumerate() {
            match facts.targets.get(at) {
                Some(known) => self.target((at, target, known), facts, policy, &mut blockers),
                None => blockers.push(self.blocker(
                    BlockerKind::Line,
                    format!("Nothing is known of the line of tag {}.", target.tag),
                    Role::ReleaseManager,
                )),
            }
        }
        self.waves(facts, &mut blockers);
        blockers.extend(self.surroundings(&facts.around, facts.now));
        blockers.retain(|blocker| !self.haste.passes(blocker.kind));
        if blockers.is_empty() { Ok(Ready { release: self.id.clone(), version: self.version }) } else { Err(blockers) }
    }

    fn instant(&self, facts: &Facts, blockers: &mut Vec<Blocker>) {
        let ahead = match self.state {
            ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Armed => self.due_at > facts.now,
            ReleaseState::Running | ReleaseState::Held | ReleaseState::Done | ReleaseState::Abandoned => true,
        };
        if !ahead {
            let sentence = format!("The instant {} is over: postpone the release.", self.due_at);
            blockers.push(self.blocker(BlockerKind::Instant, sentence, Role::ReleaseManager));
        }
    }

    fn case(&self, known: &CaseFacts, now: Timestamp, policy: &Policy, blockers: &mut Vec<Blocker>) {
        let case = &known.case;
        let mut add = |kind, sentence: String, owner| blockers.push(Blocker::of_case(case, kind, sentence, owner));
        if known.published {
            add(BlockerKind::CaseState, format!("{case} is public already."), Role::ReleaseManager);
        } else if known.state != CaseState::Accepted {
            add(BlockerKind::CaseState, format!("{case} is {}: accept it first.", known.state), Role::Triager);
        }
        if let Some(other) = &known.elsewhere {
            add(
                BlockerKind::CaseElsewhere,
                format!("{case} is in {other} too: abandon one of them."),
                Role::ReleaseManager,
            );
        }
        if let Err(refusal) = known.embargo.allows(self.due_at) {
            add(BlockerKind::Date, format!("{case}: {refusal}"), Role::Triager);
        }
        if known.fixes.is_empty() {
            add(BlockerKind::FixMissing, format!("{case} has no fix on any line of this release."), Role::Fixer);
        }
        for fix in &known.fixes {
            let line = &fix.name;
            let Some(head) = &fix.head else {
                add(
                    BlockerKind::FixMissing,
                    format!("{case} has no fix on {line}: push fix/{line}, or mark how the line stands."),
                    Role::Fixer,
                );
                continue;
            };
            let missing = policy.approvals.saturating_sub(counting(fix, policy, now));
            if missing > 0 {
                let waits = fix.approvals.iter().map(|(_, counts_at)| *counts_at).filter(|at| *at > now).min();
                let sentence = match waits {
                    Some(at) => format!("{case} on {line} is approved at {}; that counts from {at} on.", head.short()),
                    None => format!("{case} on {line} needs {missing} more approval at {}.", head.short()),
                };
                add(BlockerKind::FixApproval, sentence, Role::Reviewer);
            }
            if let Some((trouble, owner)) = trouble_of(fix.checks) {
                let why = fix.run.as_ref().map(|run| run.note.as_str()).filter(|note| !note.is_empty());
                let why = why.map(|why| format!(" {why}")).unwrap_or_default();
                add(BlockerKind::Checks, format!("{case} on {line}: {trouble}{why}"), owner);
            }
        }
        for lack in known.lines.iter().flat_map(|line| line.lacks(case)) {
            match lack {
                Lack::Left(sentence) => add(BlockerKind::LineLeft, sentence, Role::ReleaseManager),
                Lack::Unknown(sentence) => add(BlockerKind::LineUnknown, sentence, Role::Fixer),
                Lack::Untold(lack) => add(BlockerKind::Advisory, format!("Advisory of {case}: {lack}"), Role::Fixer),
            }
        }
        let advisory = &known.advisory;
        for lack in &advisory.missing {
            add(BlockerKind::Advisory, format!("Advisory of {case}: {lack}"), Role::Fixer);
        }
        if advisory.digest.is_none() || advisory.digest != advisory.approved {
            let sentence = match advisory.approved {
                Some(_) => {
                    format!("The advisory of {case} changed since it was approved: approve it as it will be published.")
                }
                None => format!("The advisory of {case} is not approved."),
            };
            add(BlockerKind::AdvisoryApproval, sentence, Role::Reviewer);
        }
        // An approval of the new text does not change the bytes that were armed.
        if advisory.left_behind {
            let sentence =
                format!("The advisory of {case} is not what was frozen: reopen the release, then freeze it anew.");
            add(BlockerKind::AdvisoryFrozen, sentence, Role::ReleaseManager);
        }
        if advisory.waiting_credits > 0 {
            let sentence = format!(
                "{} people named in the advisory of {case} have not said whether they want to be: settle their credit.",
                advisory.waiting_credits
            );
            add(BlockerKind::Credits, sentence, Role::Fixer);
        }
    }

    fn target(&self, of: (usize, &Target, &TargetFacts), facts: &Facts, policy: &Policy, blockers: &mut Vec<Blocker>) {
        let (at, target, known) = of;
        let (line, tag) = (&known.line, &target.tag);
        let mut add = |kind, sentence: String| blockers.push(self.blocker(kind, sentence, Role::ReleaseManager));
        let fixes = self.fixes_on(target.line, facts);
        let gets = known.recipe.as_ref().is_ok_and(|recipe| !recipe.forwards.is_empty());
        if fixes.is_empty() && !gets {
            add(BlockerKind::FixMissing, format!("No case of this release has a fix on {line}: leave the line out."));
        }
        if known.tag_taken {
            add(BlockerKind::TagTaken, format!("The tag {tag} exists in {} already: plan another.", known.repository));
        }
        let Some(tip) = &known.tip else {
            add(BlockerKind::Line, format!("The public line {line} is not in {}: run the mirror.", known.repository));
            return;
        };
        match &target.rehearsal {
            // What is missing is said above already.
            Rehearsal::Trouble { .. } if fixes.is_empty() && !gets => {}
            Rehearsal::None => add(BlockerKind::Rehearsal, format!("The merge onto {line} was not rehearsed yet.")),
            Rehearsal::Trouble { sentence, .. } => add(BlockerKind::Conflict, format!("On {line}: {sentence}")),
            Rehearsal::Candidate(candidate) => {
                let tests = self.tests_in(target.upstream, facts);
                let from = (fixes.as_slice(), tests.as_slice());
                if candidate.inputs != inputs(tip, from, self.dated_at, tag, known.candidate.offered_head()) {
                    add(
                        BlockerKind::RehearsalStale,
                        format!("The line {line}, a fix or the instant moved since the rehearsal."),
                    );
                    return;
                }
                // What was frozen keeps its words, whatever the configuration says by now.
                if self.state == ReleaseState::Planned && !self.made_as_now(at, candidate, facts) {
                    let sentence = format!("The words or the branches of {line} changed since the rehearsal.");
                    add(BlockerKind::RehearsalStale, sentence);
                    return;
                }
                if known.signed == Signed::Missing {
                    let sentence = format!(
                        "The tag {tag} on {line} is signed by nobody the project allows: `embargo release sign {}` does it.",
                        self.id
                    );
                    add(BlockerKind::Unsigned, sentence);
                }
                for (kind, sentence) in self.candidate_lacks(candidate, (target, known), facts, policy) {
                    add(kind, sentence);
                }
            }
        }
    }

    /// Returns the heads to be merged onto a line, in the order of the cases.
    pub fn fixes_on(&self, line: LineId, facts: &Facts) -> Vec<CommitId> {
        let known = |case: &CaseId| facts.cases.iter().find(|known| &known.case == case);
        let fixes = self.cases.iter().filter_map(known).flat_map(|known| &known.fixes);
        fixes.filter(|fix| fix.line == line).filter_map(|fix| fix.head.clone()).collect()
    }

    pub(super) fn blocker(&self, kind: BlockerKind, sentence: impl Into<String>, owner: Role) -> Blocker {
        Blocker { kind, sentence: sentence.into(), owner, link: format!("/releases/{}", self.id) }
    }
}

fn counting(fix: &FixFacts, policy: &Policy, now: Timestamp) -> usize {
    counted(&fix.approvals, fix.pusher.as_slice(), policy, now)
}

/// Counts the people whose approval counts by now: those who pushed do not, unless the policy says so.
pub(super) fn counted(
    approvals: &[(PersonId, Timestamp)],
    pushers: &[PersonId],
    policy: &Policy,
    now: Timestamp,
) -> usize {
    let counts = |(person, counts_at): &&(PersonId, Timestamp)| {
        *counts_at <= now && (policy.own_approval || !pushers.contains(person))
    };
    let mut people: Vec<_> = approvals.iter().filter(counts).map(|(person, _)| *person).collect();
    people.sort();
    people.dedup();
    people.len()
}

/// Says what is wrong with checks, and who mends it: a reviewer can answer for what could not run, a push mends everything else.
pub(super) fn trouble_of(checks: Checks) -> Option<(&'static str, Role)> {
    match checks {
        Checks::Green | Checks::Nothing | Checks::Waived => None,
        Checks::NotRun => Some(("the checks could not run here: see why, or answer for this commit.", Role::Reviewer)),
        Checks::Running => Some(("the checks have not ended.", Role::Fixer)),
        Checks::Failed => Some(("the checks are not green.", Role::Fixer)),
        Checks::Missing => Some(("the checks were not asked for.", Role::Fixer)),
    }
}

#[cfg(test)]
#[path = "readiness_tests.rs"]
pub(in crate::domain) mod tests;
