//! Tests of landings: what comes when, what may follow a release, and what stands against it.

use super::*;
use crate::domain::id::Minted;
use crate::domain::project::TeamKind;
use crate::domain::readiness::Checks;
use crate::domain::readiness::tests::{at, facts, oid, person, release};

/// A release that became public at second 1,000, and whose tests follow after an hour.
fn done() -> Release {
    let tests_due = Some("1h".parse().unwrap());
    Release { state: ReleaseState::Done, public_at: Some(at(1_000)), tests_due, ..release() }
}

fn landing() -> Landing {
    let target = &done().targets[0];
    Landing::plan(&done(), (target.upstream, target.line)).next
}

fn landed() -> Landed {
    Landed { base: oid("1"), commit: oid("7") }
}

#[test]
fn tests_follow_the_moment_at_which_the_release_became_public() {
    let planned = landing();
    assert_eq!((planned.state, planned.due_at), (LandingState::Waiting, Some(at(4_600))));
    assert_eq!(next(&done(), &planned, at(4_599)), Step::Rest);
    assert_eq!(next(&done(), &planned, at(4_600)), Step::Build);
    for due in [None, Some(TestsDue::Never)] {
        let release = Release { tests_due: due, ..done() };
        let planned = Landing::plan(&release, (planned.upstream, planned.line)).next;
        assert_eq!((planned.state, next(&release, &planned, at(9_999_999))), (LandingState::Never, Step::Rest));
    }
}

#[test]
fn nothing_lands_of_a_release_that_is_not_done() {
    let mut begun = landing().build(landed()).next.pass().next;
    for state in ReleaseState::ALL.iter().filter(|state| **state != ReleaseState::Done) {
        let release = Release { state: *state, ..done() };
        assert_eq!(next(&release, &begun, at(9_999)), Step::Rest, "{state}");
        begun.state = LandingState::Waiting;
        assert_eq!(next(&release, &begun, at(9_999)), Step::Rest, "{state}");
    }
}

#[test]
fn what_is_put_onto_the_line_is_checked_once_then_pushed_then_found() {
    let built = landing().build(landed()).next;
    assert_eq!(next(&done(), &built, at(4_600)), Step::Check);
    let passed = built.pass().next;
    assert_eq!(next(&done(), &passed, at(4_600)), Step::Push);
    let followed = passed.clone().follow(at(4_600)).next;
    assert_eq!(next(&done(), &followed, at(4_600)), Step::Build, "at once, onto where the line is by now");
    let again = followed.build(Landed { base: oid("2"), ..landed() }).next;
    assert_eq!(next(&done(), &again, at(4_600)), Step::Push, "the checks have spoken");
    let found = passed.find("Found.", at(4_700)).next;
    assert_eq!((found.done_at, next(&done(), &found, at(9_999))), (Some(at(4_700)), Step::Rest));
}

#[test]
fn a_line_that_never_stands_still_or_never_answers_calls_a_person_in_the_end() {
    let passed = landing().build(landed()).next.pass().next;
    for once in [Landing::follow as fn(Landing, Timestamp) -> Change<Landing>, |it, now| it.again("Silent.", now)] {
        let (mut tried, mut now) = (passed.clone(), at(4_600));
        let mut tries = 0;
        while tried.state != LandingState::Stuck {
            tried = once(tried, now).next;
            now = tried.retry_at.unwrap_or(now).max(now);
            tries += 1;
        }
        assert_eq!(tries, PATIENCE);
        assert!(now > at(4_600) + SignedDuration::from_hours(10), "not within minutes: {now}");
    }
    let waits = passed.again("Silent.", at(4_600)).next;
    assert_eq!(next(&done(), &waits, at(4_600)), Step::Rest);
    assert_eq!(next(&done(), &waits, at(4_602)), Step::Push);
}

#[test]
fn a_person_brings_it_forward_puts_it_off_tries_it_again_or_leaves_it() {
    let now = at(2_000);
    let set = |it: Landing, wish: &str| it.schedule(wish.parse().unwrap(), &done(), now).map(|change| change.next);
    let forward = set(landing(), "now").unwrap();
    assert_eq!(next(&done(), &forward, now), Step::Build);
    assert_eq!(set(landing(), "2d").unwrap().due_at, Some(at(1_000 + 2 * 86_400)));
    assert_eq!(set(landing(), "1970-01-02T00:00:00Z").unwrap().due_at, Some(at(86_400)));
    assert!(set(landing(), "1970-01-01T00:00:01Z").unwrap_err().to_string().contains("in the past"));
    let never = set(landing(), "never").unwrap();
    assert_eq!((never.state, never.due_at), (LandingState::Never, None));
    assert_eq!(set(never, "now").unwrap().state, LandingState::Waiting, "and thinks better of it");
    let stuck = landing().build(landed()).next.pass().next.stick("It does not fit.").next;
    assert_eq!(next(&done(), &stuck, now), Step::Rest);
    let again = set(stuck, "now").unwrap();
    assert_eq!((again.landed.clone(), again.checked, again.note.as_str()), (None, false, ""), "all of it, anew");
    let pushing = landing().build(landed()).next.pass().next;
    assert!(set(pushing.clone(), "never").is_err(), "nobody knows whether it is public by now");
    assert!(set(pushing.find("Found.", now).next, "never").is_err());
}

#[test]
fn before_it_is_public_a_release_is_told_a_time_after_it() {
    let set =
        |release: Release, wish: &str| release.set_tests(wish.parse().unwrap()).map(|change| change.next.tests_due);
    assert_eq!(set(release(), "14d").unwrap(), Some("14d".parse().unwrap()));
    assert_eq!(set(Release { state: ReleaseState::Armed, ..release() }, "never").unwrap(), Some(TestsDue::Never));
    for early in ["now", "2030-01-01T00:00:00Z"] {
        assert!(set(release(), early).unwrap_err().to_string().contains("Nothing of this release is public yet"));
    }
    assert!(set(done(), "14d").is_err());
    for bad in ["", "14", "0d", "91d", "soon", "Never", "-1d"] {
        assert!(bad.parse::<TestsDue>().is_err() && bad.parse::<TestsWish>().is_err(), "{bad:?}");
    }
}

/// Facts of a case that holds back approved, green tests on its fix.
fn held(release: &Release, change: impl FnOnce(&mut TestsFacts)) -> Facts {
    let mut facts = facts(release);
    let branch = FixFacts { head: Some(oid("5")), ..facts.cases[0].fixes[0].clone() };
    let mut tests = TestsFacts { upstream: release.targets[0].upstream, branch, stands: true };
    change(&mut tests);
    facts.cases[0].tests = vec![tests];
    facts
}

fn policy() -> Policy {
    Policy::of(TeamKind::Several)
}

#[test]
fn what_is_held_back_needs_what_a_fix_needs_and_a_word_on_when() {
    type Amiss = (&'static str, fn(&mut TestsFacts));
    let each: [Amiss; 4] = [
        ("needs 1 more approval", |tests| tests.branch.approvals.clear()),
        ("needs 1 more approval", |tests| tests.branch.approvals = vec![(person(1), at(1))]),
        ("the checks are not green", |tests| tests.branch.checks = Checks::Failed),
        ("does not hold fix/main at 444444444444", |tests| tests.stands = false),
    ];
    let release = Release { tests_due: Some("14d".parse().unwrap()), ..release() };
    let said = |release: &Release, facts: &Facts| {
        let lacks = release.tests_lack(&facts.cases[0], facts.now, &policy());
        lacks.iter().map(|blocker| blocker.sentence.clone()).collect::<Vec<_>>()
    };
    assert_eq!(said(&release, &held(&release, |_| {})), [""; 0]);
    assert_eq!(release.landings(&held(&release, |_| {}), &policy()).len(), 1);
    for (part, change) in each {
        let facts = held(&release, change);
        let found = said(&release, &facts);
        assert!(found.len() == 1 && found[0].contains(part), "{part}: {found:?}");
        assert!(release.landings(&facts, &policy()).is_empty(), "{part}: and stays private in haste");
    }
    let unsaid = Release { tests_due: None, ..release };
    let found = said(&unsaid, &held(&unsaid, |_| {}));
    assert!(found.len() == 1 && found[0].contains("embargo release tests DEMO-R1 --after 14d"), "{found:?}");
    assert!(!BlockerKind::Tests.stops_the_run(), "what stays private holds nothing");
    let foreign = UpstreamId::mint(1, [9; 10]);
    assert_eq!(unsaid.tests_in(unsaid.targets[0].upstream, &held(&unsaid, |_| {})), [oid("5")]);
    assert!(unsaid.tests_in(foreign, &held(&unsaid, |_| {})).is_empty());
}

#[test]
fn tests_that_moved_make_a_rehearsal_stale() {
    let release = Release { tests_due: Some(TestsDue::Never), ..release() };
    let blockers = release.readiness(&held(&release, |_| {}), &policy()).unwrap_err();
    assert!(blockers.iter().any(|blocker| blocker.kind == BlockerKind::RehearsalStale), "{blockers:?}");
}
