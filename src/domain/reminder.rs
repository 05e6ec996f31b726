//! Reminders of a release: at seven days, one day and one hour before its instant, those who can act are told once that
//! something is left to do. A release that nothing blocks, and that is armed, reminds nobody.

use jiff::{SignedDuration, Timestamp};

use super::access::Role;
use super::blocker::Blocker;
use super::release::{Release, ReleaseState};

/// How long before the instant, longest first.
const BEFORE: [SignedDuration; 3] =
    [SignedDuration::from_hours(7 * 24), SignedDuration::from_hours(24), SignedDuration::from_hours(1)];

/// Returns how far ahead of its instant a release is looked at.
pub const fn horizon() -> SignedDuration {
    BEFORE[0]
}

/// Returns the reminder that is due now: the last whose time has come. None before the first, and none for a release that was
/// planned after it: whoever plans knows what is left.
pub fn due(release: &Release, now: Timestamp) -> Option<Timestamp> {
    let waits = match release.state {
        ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Armed => release.due_at > now,
        ReleaseState::Running | ReleaseState::Held | ReleaseState::Done | ReleaseState::Abandoned => false,
    };
    let come = BEFORE.iter().rev().filter_map(|before| release.due_at.checked_sub(*before).ok());
    come.into_iter().find(|at| *at <= now).filter(|at| waits && *at > release.created_at)
}

/// Tells whether somebody of this role is reminded: who can mend something, and who manages the release while it is not armed.
pub fn concerns(role: Role, release: &Release, blockers: &[Blocker]) -> bool {
    let armed = release.state == ReleaseState::Armed;
    match role {
        Role::ReleaseManager => !armed || !blockers.is_empty(),
        Role::Triager | Role::Fixer | Role::Reviewer => blockers.iter().any(|blocker| blocker.owner == role),
        Role::Reporter | Role::Guest | Role::Auditor => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::readiness::tests::{at, release};
    use super::*;
    use crate::domain::blocker::BlockerKind;

    const DAY: i64 = 86_400;

    fn due_in(days: i64) -> Release {
        Release { due_at: at(days * DAY), created_at: at(0), ..release() }
    }

    #[test]
    fn each_reminder_comes_at_its_time_and_only_after_the_plan() {
        let release = due_in(30);
        let moment = |at: i64| due(&release, super::super::readiness::tests::at(at)).map(Timestamp::as_second);
        assert_eq!(moment(23 * DAY - 1), None);
        assert_eq!(moment(23 * DAY), Some(23 * DAY));
        assert_eq!(moment(29 * DAY - 1), Some(23 * DAY));
        assert_eq!(moment(29 * DAY), Some(29 * DAY));
        assert_eq!(moment(30 * DAY - 3600), Some(30 * DAY - 3600));
        assert_eq!(moment(30 * DAY), None, "its instant has come");
        let late = Release { created_at: at(25 * DAY), ..release.clone() };
        assert_eq!(due(&late, at(26 * DAY)), None, "planned four days ago");
        assert_eq!(due(&late, at(29 * DAY)), Some(at(29 * DAY)));
        assert_eq!(due(&Release { state: ReleaseState::Held, ..release.clone() }, at(29 * DAY)), None);
    }

    #[test]
    fn who_can_do_nothing_is_not_disturbed() {
        let blocker = Blocker {
            kind: BlockerKind::Checks,
            sentence: "Red.".to_owned(),
            owner: Role::Fixer,
            link: "/cases/DEMO-1#fixes".to_owned(),
        };
        let planned = due_in(30);
        let armed = Release { state: ReleaseState::Armed, ..planned.clone() };
        let blocked = std::slice::from_ref(&blocker);
        assert!(concerns(Role::Fixer, &planned, blocked) && !concerns(Role::Reviewer, &planned, blocked));
        assert!(concerns(Role::ReleaseManager, &planned, &[]), "it waits to be frozen and armed");
        assert!(!concerns(Role::ReleaseManager, &armed, &[]) && concerns(Role::ReleaseManager, &armed, blocked));
        assert!(!concerns(Role::Guest, &planned, blocked) && !concerns(Role::Reporter, &planned, blocked));
    }
}
