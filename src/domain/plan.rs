//! The plan of a release: which cases, on which lines, at which instant, and what may be taken out of it again.
//!
//! Guards: a release has a case and a line, a case and a tag stand in it once, and a case that is dropped leaves nothing of
//! itself in what the others publish. Leaves what follows a plan to [`super::release`].

use jiff::Timestamp;

use super::audience::Lead;
use super::change::{Change, Version};
use super::event::{Event, EventKind};
use super::haste::Haste;
use super::id::{CaseId, LineId, ProjectId, ReleaseId};
use super::landing::TestsDue;
use super::recipe::Strategy;
use super::refusal::Refusal;
use super::rehearsal::{Rehearsal, Target};
use super::release::{Release, ReleaseState, ahead, whole_second};

/// What a release is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its id.
    pub id: ReleaseId,
    /// The project.
    pub project: ProjectId,
    /// The cases, in the order their fixes are merged.
    pub cases: Vec<CaseId>,
    /// What is released where.
    pub targets: Vec<Target>,
    /// The instant.
    pub due_at: Timestamp,
    /// How long after it technical details follow; none for those that are published with the rest.
    pub details_after: Option<Lead>,
    /// When the tests that it holds back follow.
    pub tests_due: Option<TestsDue>,
}

impl Release {
    /// Plans a release over cases and lines.
    pub fn plan(plan: Plan, now: Timestamp) -> Result<Change<Self>, Refusal> {
        if plan.cases.is_empty() {
            return Err(Refusal::input("A release needs at least one case."));
        }
        if plan.targets.is_empty() {
            return Err(Refusal::input("A release needs at least one line with a tag."));
        }
        if doubled(&plan.cases) {
            return Err(Refusal::input("Name each case of a release once."));
        }
        let tags: Vec<_> = plan.targets.iter().map(|target| (&target.upstream, &target.tag)).collect();
        if doubled(&tags) {
            return Err(Refusal::input("A tag can be made once per repository: choose another for the second line."));
        }
        let differs =
            |one: &Target| plan.targets.iter().any(|two| one.line == two.line && one.strategy != two.strategy);
        if plan.targets.iter().any(differs) {
            return Err(Refusal::input("Fixes are put onto a line in one way: name one strategy for it."));
        }
        ahead(plan.due_at, now)?;
        let event = Event::of_release(EventKind::ReleasePlanned, &plan.id, format!("for {}", plan.due_at));
        let next = Self {
            id: plan.id,
            project: plan.project,
            state: ReleaseState::Planned,
            due_at: plan.due_at,
            dated_at: whole_second(plan.due_at),
            cases: plan.cases,
            targets: plan.targets,
            frozen: None,
            tests_due: plan.tests_due,
            armings: Vec::new(),
            haste: Haste::default(),
            details_after: plan.details_after,
            hold: None,
            begun_at: None,
            public_at: None,
            done_at: None,
            created_at: now,
            version: Version(0),
        };
        Ok(Change::new(next, event))
    }

    /// Takes one case out of the plan. Every line is rehearsed anew: the tags name the cases they fix.
    pub fn drop_case(self, case: &CaseId) -> Result<Change<Self>, Refusal> {
        match self.state {
            ReleaseState::Planned => {}
            ReleaseState::Frozen
            | ReleaseState::Armed
            | ReleaseState::Running
            | ReleaseState::Held
            | ReleaseState::Done
            | ReleaseState::Abandoned => return Err(self.out_of_turn("changed", "planned")),
        }
        if !self.cases.contains(case) {
            return Err(Refusal::input(format!("{case} is not in this release.")));
        }
        if self.cases.len() == 1 {
            return Err(Refusal::moment(format!("{case} is all there is in this release: abandon it instead.")));
        }
        let event =
            Event { case: Some(case.clone()), ..self.event(EventKind::ReleasePlanned, format!("without {case}")) };
        let cases = self.cases.into_iter().filter(|other| other != case).collect();
        let targets = self.targets.into_iter().map(|target| Target { rehearsal: Rehearsal::None, ..target }).collect();
        Ok(Change::new(Self { cases, targets, ..self }, event))
    }

    /// Chooses anew how fixes are put onto a line; it is rehearsed again.
    pub fn set_strategy(self, line: LineId, strategy: Strategy) -> Result<Change<Self>, Refusal> {
        match self.state {
            ReleaseState::Planned => {}
            ReleaseState::Frozen
            | ReleaseState::Armed
            | ReleaseState::Running
            | ReleaseState::Held
            | ReleaseState::Done
            | ReleaseState::Abandoned => return Err(self.out_of_turn("changed", "planned")),
        }
        if !self.targets.iter().any(|target| target.line == line) {
            return Err(Refusal::input("This release does not ship that line."));
        }
        let event = self.event(EventKind::ReleasePlanned, format!("{line} by {strategy}"));
        let set = |target: Target| {
            if target.line == line { Target { strategy, rehearsal: Rehearsal::None, ..target } } else { target }
        };
        let targets = self.targets.into_iter().map(set).collect();
        Ok(Change::new(Self { targets, ..self }, event))
    }
}

fn doubled<T: Ord>(items: &[T]) -> bool {
    let mut sorted: Vec<_> = items.iter().collect();
    sorted.sort();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::super::readiness::tests::{at, oid, release};
    use super::super::rehearsal::{Candidate, Maker};
    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::id::Minted;

    fn train() -> Release {
        let mut train = release();
        train.cases = ["DEMO-1", "DEMO-2", "DEMO-3"].map(|case| case.parse().unwrap()).to_vec();
        train
    }

    #[test]
    fn a_dropped_case_leaves_the_others_and_no_candidate_that_names_it() {
        let train = train();
        assert!(matches!(train.targets[0].rehearsal, Rehearsal::Candidate(_)));
        let change = train.drop_case(&"DEMO-2".parse().unwrap()).unwrap();
        assert_eq!(change.next.cases, ["DEMO-1", "DEMO-3"].map(|case| case.parse().unwrap()));
        assert!(change.next.targets.iter().all(|target| target.rehearsal == Rehearsal::None));
        assert_eq!(change.event.case, Some("DEMO-2".parse().unwrap()), "its own history tells of it");
    }

    #[test]
    fn neither_the_last_case_nor_a_foreign_one_is_dropped() {
        let only = release().cases[0].clone();
        assert!(release().drop_case(&only).unwrap_err().to_string().contains("abandon"));
        assert!(train().drop_case(&"DEMO-9".parse().unwrap()).is_err());
    }

    #[test]
    fn another_strategy_is_rehearsed_anew_on_its_line_alone() {
        let mut train = train();
        let other = Target { line: LineId::mint(1, [9; 10]), ..train.targets[0].clone() };
        train.targets.push(other);
        let line = train.targets[0].line;
        let next = train.clone().set_strategy(line, Strategy::Squash).unwrap().next;
        assert_eq!((next.targets[0].strategy, &next.targets[0].rehearsal), (Strategy::Squash, &Rehearsal::None));
        assert_eq!(next.targets[1], train.targets[1]);
        assert!(train.set_strategy(LineId::mint(1, [8; 10]), Strategy::Squash).is_err());
    }

    #[test]
    fn what_is_frozen_is_reopened_first() {
        let candidate = Candidate {
            base: oid("1"),
            commit: oid("2"),
            tag_object: oid("3"),
            maker: Maker::Server,
            bumped: false,
            same_as: None,
            inputs: Digest::of(b"inputs"),
            recipe: Digest::of(b"recipe"),
            moves: Vec::new(),
            at: at(10),
        };
        for state in ReleaseState::ALL.iter().filter(|state| **state != ReleaseState::Planned) {
            let mut train = Release { state: *state, ..train() };
            train.targets[0].rehearsal = Rehearsal::Candidate(candidate.clone());
            let line = train.targets[0].line;
            assert!(train.clone().set_strategy(line, Strategy::Rebase).is_err(), "{state}");
            assert!(train.drop_case(&"DEMO-2".parse().unwrap()).is_err(), "{state}");
        }
    }
}
