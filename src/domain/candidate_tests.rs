//! Tests of what speaks for a candidate: checks of its own, those of the one fix that it is, people's word, and an approval.

use super::*;
use crate::domain::blocker::Blocker;
use crate::domain::id::Minted;
use crate::domain::readiness::tests::{at, facts, oid, person, release};
use crate::domain::rehearsal::{Rehearsal, inputs};

fn run(n: u8) -> CheckRunId {
    CheckRunId::mint(1, [n; 10])
}

/// The sample release with another candidate on its line.
fn with(change: impl FnOnce(&mut Candidate)) -> Release {
    let mut release = release();
    let Rehearsal::Candidate(candidate) = &mut release.targets[0].rehearsal else { panic!("not rehearsed") };
    change(candidate);
    release
}

/// What blocks it, once the facts are changed, as kinds.
fn blocked(release: &Release, change: impl FnOnce(&mut Facts)) -> Vec<String> {
    let mut facts = facts(release);
    change(&mut facts);
    let blockers = release.readiness(&facts, &Policy::of(TeamKind::Several)).err().unwrap_or_default();
    blockers.into_iter().map(|Blocker { kind, sentence, .. }| format!("{kind}: {sentence}")).collect()
}

fn kinds(release: &Release, change: impl FnOnce(&mut Facts)) -> Vec<String> {
    blocked(release, change).into_iter().map(|said| said.split(':').next().unwrap().to_owned()).collect()
}

fn standing(release: &Release, change: impl FnOnce(&mut Facts)) -> CandidateChecks {
    let mut facts = facts(release);
    change(&mut facts);
    let Rehearsal::Candidate(candidate) = &release.targets[0].rehearsal else { panic!("not rehearsed") };
    release.candidate_checks(candidate, (&release.targets[0], &facts.targets[0]), &facts)
}

#[test]
fn a_candidate_that_is_its_one_fix_tree_for_tree_goes_by_the_checks_of_that_fix() {
    let same = with(|_| ());
    let by = |change: fn(&mut Facts)| standing(&same, change).by;
    assert_eq!(standing(&same, |_| ()).run, Some(run(1)));
    assert_eq!(by(|_| ()), ChecksBy::Fix);
    // Planned from workflow files of another public commit, what was green there says nothing here.
    assert_eq!(by(|facts| facts.cases[0].fixes[0].run.as_mut().unwrap().base = oid("9")), ChecksBy::Candidate);
    assert_eq!(by(|facts| facts.cases[0].fixes[0].run = None), ChecksBy::Candidate);
    let other = with(|candidate| candidate.same_as = Some(oid("5")));
    assert_eq!(standing(&other, |_| ()).by, ChecksBy::Candidate);
    let merged = with(|candidate| candidate.same_as = None);
    assert_eq!(kinds(&merged, |_| ()), ["candidate_checks"]);
}

#[test]
fn what_the_fix_lacks_is_said_once() {
    assert_eq!(kinds(&with(|_| ()), |facts| facts.cases[0].fixes[0].checks = Checks::Running), ["checks"]);
}

#[test]
fn a_run_of_its_own_counts_before_all_else() {
    let own = |state| move |facts: &mut Facts| facts.targets[0].candidate.run = Some((run(2), state));
    let (merged, same) = (with(|candidate| candidate.same_as = None), with(|_| ()));
    for (state, blocks) in [
        (CheckState::Success, false),
        (CheckState::Skipped, false),
        (CheckState::Running, true),
        (CheckState::Failure, true),
        (CheckState::Unsupported, true),
        (CheckState::Lost, true),
    ] {
        for release in [&merged, &same] {
            assert_eq!(kinds(release, own(state)) == ["candidate_checks"], blocks, "{state}");
        }
    }
    // One that was stopped where it is not needed takes nothing away.
    assert_eq!(standing(&same, own(CheckState::Cancelled)).by, ChecksBy::Fix);
    assert_eq!(kinds(&merged, own(CheckState::Cancelled)), ["candidate_checks"]);
}

#[test]
fn peoples_word_covers_a_candidate_that_could_not_run_if_every_fix_on_it_has_it() {
    let merged = with(|candidate| candidate.same_as = None);
    let waived = |state: Option<CheckState>| {
        move |facts: &mut Facts| {
            facts.cases[0].fixes[0].checks = Checks::Waived;
            facts.targets[0].candidate.run = state.map(|state| (run(2), state));
        }
    };
    for state in [None, Some(CheckState::Unsupported), Some(CheckState::Lost)] {
        assert_eq!(kinds(&merged, waived(state)), Vec::<String>::new(), "{state:?}");
        assert_eq!(standing(&merged, waived(state)).by, ChecksBy::Word);
    }
    // Nobody's word stands in for what ran.
    assert_eq!(kinds(&merged, waived(Some(CheckState::Failure))), ["candidate_checks"]);
    assert_eq!(kinds(&merged, waived(Some(CheckState::Running))), ["candidate_checks"]);
    // One of two fixes that was green was not answered for.
    let mixed = |facts: &mut Facts| {
        waived(Some(CheckState::Unsupported))(facts);
        let mut other = facts.cases[0].fixes[0].clone();
        other.checks = Checks::Green;
        facts.cases[0].fixes.push(other);
    };
    assert_eq!(standing(&merged, mixed).checks, Checks::NotRun);
}

/// A release whose candidate person 1 pushed.
fn pushed() -> (Release, impl Fn(&mut Facts)) {
    let release = with(|candidate| {
        candidate.maker = Maker::Person;
        let tag = "v1.0.1".parse().unwrap();
        candidate.inputs = inputs(&oid("1"), (&[oid("4")], &[]), at(1_000), &tag, Some(&oid("2")));
    });
    let line = release.targets[0].line;
    let offered = move |facts: &mut Facts| {
        let pushed = Pushed {
            release: "DEMO-R1".parse().unwrap(),
            line,
            head: oid("2"),
            pushed_by: person(1),
            pushed_at: at(12),
        };
        let approvals = vec![(person(2), at(15))];
        facts.targets[0].candidate.offered = Some(Offered { pushed, pushers: vec![person(1)], approvals });
    };
    (release, offered)
}

#[test]
fn a_pushed_candidate_needs_the_approval_of_somebody_who_did_not_push_it() {
    let (release, offered) = pushed();
    let with = |change: fn(&mut Offered)| {
        kinds(&release, |facts| {
            offered(facts);
            change(facts.targets[0].candidate.offered.as_mut().unwrap());
        })
    };
    assert_eq!(with(|_| ()), Vec::<String>::new());
    assert_eq!(with(|offered| offered.approvals.clear()), ["candidate_approval"]);
    assert_eq!(with(|offered| offered.approvals[0].0 = person(1)), ["candidate_approval"]);
    assert_eq!(with(|offered| offered.pushers.push(person(2))), ["candidate_approval"]);
    assert_eq!(with(|offered| offered.approvals[0].1 = at(500)), ["candidate_approval"]);
    // Pushed anew or taken back: what was rehearsed is another thing than what is there.
    assert_eq!(with(|offered| offered.pushed.head = oid("7")), ["rehearsal_stale"]);
    assert_eq!(kinds(&release, |_| ()), ["rehearsal_stale"]);
}

#[test]
fn an_approval_is_bound_to_the_commit_and_nobodys_own() {
    let pushed = Pushed {
        release: "DEMO-R1".parse().unwrap(),
        line: LineId::mint(1, [1; 10]),
        head: oid("2"),
        pushed_by: person(1),
        pushed_at: at(12),
    };
    let (author, other) = (person(1), person(2));
    let by = |who, pushers: &[PersonId], team| pushed.approve(&oid("2"), (who, pushers), team, at(20));
    let approval = by(other, &[author], TeamKind::Several).unwrap().next;
    assert_eq!((approval.head, approval.counts_at), (oid("2"), at(20)));
    assert!(by(author, &[author], TeamKind::Several).is_err());
    assert!(by(other, &[author, other], TeamKind::Several).is_err(), "who pushed before has a hand in it too");
    assert_eq!(by(author, &[author], TeamKind::Solo).unwrap().next.counts_at, at(20) + SOLO_DELAY);
    let stale = pushed.approve(&oid("3"), (other, &[author]), TeamKind::Several, at(20));
    assert!(stale.unwrap_err().to_string().contains("look at it again"));
}

#[test]
fn only_a_planned_release_takes_candidates() {
    for state in ReleaseState::ALL {
        let said = Release { state: *state, ..release() }.takes_candidates();
        assert_eq!(said.is_ok(), *state == ReleaseState::Planned, "{state}");
        if let ReleaseState::Frozen | ReleaseState::Armed | ReleaseState::Held = state {
            assert!(said.unwrap_err().to_string().contains("embargo release reopen DEMO-R1"), "{state}");
        }
    }
}

#[test]
fn what_is_frozen_says_what_spoke_for_it() {
    let release = release();
    let Rehearsal::Candidate(candidate) = &release.targets[0].rehearsal else { panic!("not rehearsed") };
    let frozen = standing(&release, |_| ()).frozen(&release.targets[0], candidate);
    assert_eq!((frozen.checks, frozen.run, frozen.commit), (ChecksWord::Success, Some(run(1)), oid("2")));
    let red = standing(&release, |facts| facts.targets[0].candidate.run = Some((run(2), CheckState::Failure)));
    // Readiness lets no red candidate through, unless it is to be disclosed now: then it says that nobody waited.
    assert_eq!(red.frozen(&release.targets[0], candidate).checks, ChecksWord::PassedOver);
}

#[test]
fn how_soon_it_could_ship_is_told_from_what_was_measured_or_not_at_all() {
    let seconds = SignedDuration::from_secs;
    let of = |build: Option<i64>, checks: &[Option<i64>], at_once| {
        let checks: Vec<_> = checks.iter().map(|took| took.map(seconds)).collect();
        ready_in(build.map(seconds), &checks, at_once).map(|took| took.as_secs())
    };
    assert_eq!(of(Some(2), &[Some(60)], 1), Some(62));
    assert_eq!(of(Some(2), &[Some(60), Some(40)], 1), Some(102));
    assert_eq!(of(Some(2), &[Some(60), Some(40)], 2), Some(62), "the longest is waited for");
    assert_eq!(of(Some(2), &[Some(60), Some(60), Some(60)], 2), Some(92));
    assert_eq!(of(None, &[Some(60)], 1), None);
    assert_eq!(of(Some(2), &[Some(60), None], 1), None);
    assert_eq!(of(Some(2), &[], 1), None);
}

#[test]
fn what_a_version_command_changed_is_approved_at_its_commit_alone() {
    let bumped = with(|candidate| candidate.bumped = true);
    assert_eq!(kinds(&bumped, |_| ()), ["candidate_approval"]);
    assert!(kinds(&bumped, |facts| facts.targets[0].candidate.built = vec![(person(2), at(15))]).is_empty());

    let line = bumped.targets[0].line;
    let approval = bumped.approve_built(line, &oid("2"), person(2), at(15)).unwrap().next;
    assert_eq!((approval.head, approval.counts_at), (oid("2"), at(15)));
    assert!(bumped.approve_built(line, &oid("9"), person(2), at(15)).is_err(), "another commit");
    assert!(release().approve_built(line, &oid("2"), person(2), at(15)).is_err(), "nothing was changed");
    let frozen = Release { state: ReleaseState::Frozen, ..bumped };
    assert!(frozen.approve_built(line, &oid("2"), person(2), at(15)).is_err(), "what is frozen is approved no more");
}
