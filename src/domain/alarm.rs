//! Alarms: an armed release that was clear and is blocked is told at once to who can mend it, and once more when it is clear
//! again; so is what comes up by itself while a release is still being planned, such as a conflict with a line that moved.
//!
//! Guards: one word for each change, never one for each look; a release that comes and goes is told at most once an hour, so
//! that a mailbox stays readable. Leaves the reminders at fixed times to [`super::reminder`].

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::access::Role;
use super::blocker::{Blocker, BlockerKind};
use super::release::{Release, ReleaseState};

/// How long after one alarm the next may follow.
const PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// What was told of a release.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Alarm {
    /// Who was told that it is blocked, and not yet that it is clear; empty while nobody has to know.
    pub roles: BTreeSet<Role>,
    /// When anybody was told so last.
    pub at: Option<Timestamp>,
}

/// What is to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// To these: it is blocked.
    Blocked(BTreeSet<Role>),
    /// To these: it is clear again.
    Clear(BTreeSet<Role>),
    /// To nobody: it goes on by itself or is over, and whoever changed that looks after it.
    Over,
}

impl Alarm {
    /// Returns what is to be told of a release as it is now, and what was told afterwards; `None` where nothing changed that
    /// somebody has to know.
    pub fn look(&self, release: &Release, blockers: &[Blocker], now: Timestamp) -> Option<(Word, Self)> {
        let raised = !self.roles.is_empty();
        let quiet = Self { roles: BTreeSet::new(), at: self.at };
        let told: Vec<_> = match release.state {
            ReleaseState::Armed if release.due_at > now => blockers.iter().collect(),
            ReleaseState::Planned | ReleaseState::Frozen if release.due_at > now => {
                blockers.iter().filter(|blocker| blocker.kind.comes_unasked()).collect()
            }
            ReleaseState::Planned
            | ReleaseState::Frozen
            | ReleaseState::Armed
            | ReleaseState::Running
            | ReleaseState::Held
            | ReleaseState::Done
            | ReleaseState::Abandoned => return raised.then_some((Word::Over, quiet)),
        };
        match (raised, told.is_empty()) {
            (true, true) => Some((Word::Clear(self.roles.clone()), quiet)),
            (false, false) if self.rests(now) => None,
            (false, false) => {
                let roles: BTreeSet<_> = told.into_iter().flat_map(concerned).collect();
                Some((Word::Blocked(roles.clone()), Self { roles, at: Some(now) }))
            }
            (true, false) | (false, true) => None,
        }
    }

    /// Tells whether the last alarm is too fresh for another. One that seems to come from the future does not count.
    fn rests(&self, now: Timestamp) -> bool {
        self.at.is_some_and(|at| at <= now && now.duration_since(at) < PAUSE)
    }
}

/// Returns whom a blocker concerns: its owner and the managers, and where fixes do not merge, those who push them.
fn concerned(blocker: &Blocker) -> impl Iterator<Item = Role> {
    let pusher = (blocker.kind == BlockerKind::Conflict).then_some(Role::Fixer);
    [blocker.owner, Role::ReleaseManager].into_iter().chain(pusher)
}

#[cfg(test)]
mod tests {
    use super::super::readiness::tests::{at, release};
    use super::*;

    const HOUR: i64 = 3600;

    fn armed() -> Release {
        Release { state: ReleaseState::Armed, due_at: at(1000 * HOUR), ..release() }
    }

    fn blocked_by(owner: Role) -> [Blocker; 1] {
        let (kind, sentence) = (BlockerKind::Checks, "Red.".to_owned());
        [Blocker { kind, sentence, owner, link: "/cases/DEMO-1#fixes".to_owned() }]
    }

    #[test]
    fn who_can_mend_it_and_the_managers_are_told_once_for_each_change() {
        let (release, red) = (armed(), blocked_by(Role::Fixer));
        let told = BTreeSet::from([Role::Fixer, Role::ReleaseManager]);
        assert_eq!(Alarm::default().look(&release, &[], at(1)), None);
        let (word, alarm) = Alarm::default().look(&release, &red, at(1)).unwrap();
        assert_eq!(word, Word::Blocked(told.clone()));
        for minute in 1..600 {
            assert_eq!(alarm.look(&release, &red, at(1 + minute * 60)), None, "it is known");
        }
        let (word, quiet) = alarm.look(&release, &[], at(120)).unwrap();
        assert_eq!(word, Word::Clear(told));
        assert_eq!(quiet.look(&release, &[], at(180)), None);
    }

    #[test]
    fn what_comes_and_goes_is_told_at_most_hourly() {
        let (release, red) = (armed(), blocked_by(Role::ReleaseManager));
        let quiet = Alarm { roles: BTreeSet::new(), at: Some(at(HOUR)) };
        assert_eq!(quiet.look(&release, &red, at(2 * HOUR - 1)), None);
        assert!(quiet.look(&release, &red, at(2 * HOUR)).is_some(), "it still stands after the hour");
        assert!(quiet.look(&release, &red, at(HOUR - 1)).is_some(), "a clock that was set back silences nothing");
    }

    #[test]
    fn while_it_is_planned_only_what_comes_unasked_is_told_and_a_conflict_to_those_who_push_too() {
        let planned = Release { state: ReleaseState::Planned, ..armed() };
        let conflict = Blocker { kind: BlockerKind::Conflict, ..blocked_by(Role::ReleaseManager)[0].clone() };
        assert_eq!(Alarm::default().look(&planned, &blocked_by(Role::Fixer), at(1)), None);
        let both = [blocked_by(Role::Reviewer)[0].clone(), conflict];
        let (word, alarm) = Alarm::default().look(&planned, &both, at(1)).unwrap();
        assert_eq!(word, Word::Blocked(BTreeSet::from([Role::Fixer, Role::ReleaseManager])));
        let (word, _) = alarm.look(&planned, &both[..1], at(2)).unwrap();
        assert!(matches!(word, Word::Clear(_)));
    }

    #[test]
    fn only_what_is_ahead_raises_one() {
        let red = [Blocker { kind: BlockerKind::Conflict, ..blocked_by(Role::Fixer)[0].clone() }];
        let raised = Alarm { roles: BTreeSet::from([Role::Fixer]), at: Some(at(1)) };
        let ahead = [ReleaseState::Planned, ReleaseState::Frozen, ReleaseState::Armed];
        for state in ReleaseState::ALL.iter().copied().filter(|state| !ahead.contains(state)) {
            let other = Release { state, ..armed() };
            assert_eq!(Alarm::default().look(&other, &red, at(2)), None, "{state}");
            let (word, after) = raised.look(&other, &red, at(2)).unwrap();
            assert!(word == Word::Over && after.roles.is_empty(), "{state}");
        }
        for state in ahead {
            assert!(Alarm::default().look(&Release { state, ..armed() }, &red, at(2)).is_some(), "{state}");
        }
        assert_eq!(Alarm::default().look(&armed(), &red, at(1000 * HOUR)), None, "its run says what happens");
    }
}
