//! Tests of the journal and of what comes next in it.

use super::*;
use crate::domain::awaited::Follows;
use crate::domain::awaited::tests::package;
use crate::domain::id::Minted;
use crate::domain::manifest::tests::sample;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn sample_journal() -> Vec<Effect> {
    journal_of(Vec::new())
}

/// The journal of a release that waits for these.
fn journal_of(packages: Vec<FrozenPackage>) -> Vec<Effect> {
    let recipient = |n: u8, case: &str| Recipient { seat: MemberId::mint(1, [n; 10]), case: case.parse().unwrap() };
    let manifest = Manifest { packages, hooks: Vec::new(), ..sample() };
    journal(&manifest, &[recipient(1, "DEMO-1"), recipient(2, "DEMO-1"), recipient(3, "DEMO-2")])
}

/// Ends the effect that is next as told, and returns which it was.
fn turn(effects: &mut [Effect], outcome: Outcome, now: Timestamp) -> u32 {
    let position = match next(effects, now) {
        Next::Act(effect) | Next::Look(effect) => effect.position,
        other => panic!("nothing to do: {other:?}"),
    };
    let effect = &mut effects[position as usize];
    *effect = effect.clone().start(now).unwrap().end(outcome, now).unwrap();
    position
}

fn find(effects: &[Effect], phase: Phase, nth: usize) -> usize {
    effects.iter().position(|effect| effect.phase == phase).unwrap() + nth
}

#[test]
fn the_journal_reads_as_written() {
    let lines: Vec<_> = sample_journal()
        .iter()
        .map(|effect| {
            let target = effect.target.to_string();
            let kind = target.split('/').next().unwrap();
            format!("{} {} {kind} after {:?}", effect.position, effect.phase, effect.needs)
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    0 preflight repository after []
    1 preflight repository after []
    2 push_fixes repository after [0, 1]
    3 push_fixes repository after [0, 1, 2]
    4 verify_public repository after [2]
    5 verify_public repository after [3]
    6 publish_advisories site after [4, 5]
    7 publish_advisories site after [5]
    8 notify_public seat after [6]
    9 notify_public seat after [6]
    10 notify_public seat after [7]
    11 open_case case after [6]
    12 open_case case after [7]
    13 publish_channels channel after [4, 5]
    14 publish_channels channel after [5]
    15 publish_channels channel after [4, 5]
    ");
}

#[test]
fn a_hook_after_the_instant_is_called_once_every_push_was_read_back_and_not_before_its_time() {
    let mut effects = journal(&sample(), &[]);
    let hook = find(&effects, Phase::CallHooks, 0);
    assert_eq!(
        effects.iter().filter(|effect| effect.phase == Phase::CallHooks).count(),
        1,
        "the one before is no effect"
    );
    assert_eq!((effects[hook].target.to_string().as_str(), &effects[hook].needs), ("hook/unfreeze", &vec![4, 5]));
    assert_eq!("hook/unfreeze".parse::<Target>().unwrap(), effects[hook].target);
    effects[hook].retry_at = Some(at(900));
    while let Next::Act(_) = next(&effects, at(1)) {
        turn(&mut effects, Outcome::Done(String::new()), at(1));
    }
    assert_eq!(next(&effects, at(1)), Next::Wait(at(900)));
    assert_eq!(effects[hook].clone().revive().retry_at, Some(at(900)), "a resumed run does not call it early");
    turn(&mut effects, Outcome::Done(String::new()), at(900));
    assert_eq!(next(&effects, at(900)), Next::Done);
}

#[test]
fn a_run_without_trouble_goes_straight_through() {
    let mut effects = sample_journal();
    let order: Vec<_> = (0..effects.len()).map(|_| turn(&mut effects, Outcome::Done(String::new()), at(1))).collect();
    assert_eq!(order, (0..16).collect::<Vec<u32>>());
    assert_eq!(next(&effects, at(1)), Next::Done);
}

#[test]
fn what_was_begun_is_looked_at_before_it_is_done_again() {
    let mut effects = sample_journal();
    assert!(matches!(next(&effects, at(1)), Next::Act(_)));
    effects[0] = effects[0].clone().start(at(1)).unwrap();
    assert!(matches!(next(&effects, at(1)), Next::Look(effect) if effect.position == 0));
    effects[0] = effects[0].clone().end(Outcome::Again("no answer".to_owned()), at(1)).unwrap();
    assert_eq!(next(&effects[..1], at(1)), Next::Wait(at(2)));
    assert!(matches!(next(&effects, at(2)), Next::Look(effect) if effect.position == 0));
}

#[test]
fn no_advisory_before_every_push_it_tells_of_was_read_back() {
    let mut effects = sample_journal();
    loop {
        let now = at(1);
        match next(&effects, now) {
            Next::Act(effect) | Next::Look(effect) => {
                let second_push = effect.position == 3;
                let outcome = if second_push {
                    Outcome::Failed(HoldReason::LineMoved, "moved".into())
                } else {
                    Outcome::Done(String::new())
                };
                turn(&mut effects, outcome, now);
            }
            Next::Hold(effect) => {
                assert_eq!(effect.position, 3);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    let untouched = |effect: &&Effect| effect.state == EffectState::Pending;
    let left: Vec<_> = effects.iter().filter(untouched).map(|effect| effect.position).collect();
    assert_eq!(left, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert!(nothing_public(&effects).is_none());
}

#[test]
fn a_refused_preflight_holds_before_anything_is_public() {
    let mut effects = sample_journal();
    turn(&mut effects, Outcome::Failed(HoldReason::LineMoved, "moved".into()), at(1));
    turn(&mut effects, Outcome::Done(String::new()), at(1));
    assert!(matches!(next(&effects, at(1)), Next::Hold(effect) if effect.position == 0));
    assert!(nothing_public(&effects).is_some());
}

#[test]
fn a_push_in_doubt_counts_as_public() {
    let mut effects = sample_journal();
    let push = find(&effects, Phase::PushFixes, 0);
    effects[push] = effects[push].clone().start(at(1)).unwrap();
    assert!(nothing_public(&effects).is_none());
    let begun = effects[push].clone();
    effects[push] = begun.clone().end(Outcome::Unknown("connection lost".into()), at(1)).unwrap();
    assert!(nothing_public(&effects).is_none());
    let refused = |reason| Outcome::Failed(reason, "refused".into());
    effects[push] = begun.clone().end(refused(HoldReason::PartlyPublic), at(1)).unwrap();
    assert!(nothing_public(&effects).is_none());
    effects[push] = begun.end(refused(HoldReason::LineMoved), at(1)).unwrap();
    assert!(nothing_public(&effects).is_some());
}

#[test]
fn a_push_whose_end_stays_unknown_calls_a_person_and_counts_as_public() {
    let mut effects = sample_journal();
    let (first, second) = (find(&effects, Phase::PushFixes, 0), find(&effects, Phase::PushFixes, 1));
    for _ in 0..=first {
        turn(&mut effects, Outcome::Done(String::new()), at(1));
    }
    let mut now = at(1);
    loop {
        match next(&effects, now) {
            Next::Act(effect) | Next::Look(effect) if effect.position as usize == second => {
                turn(&mut effects, Outcome::Unknown("no answer".into()), now);
            }
            Next::Act(_) => drop(turn(&mut effects, Outcome::Done(String::new()), now)),
            Next::Wait(at) => now = at,
            Next::Hold(effect) => {
                assert_eq!((effect.position as usize, effect.reason), (second, Some(HoldReason::PartlyPublic)));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(effects[second].attempts, Phase::PushFixes.patience());
    assert!(nothing_public(&effects).is_none());
    assert!(now.duration_since(at(1)) < SignedDuration::from_mins(10), "half public is no state to stay in");
    effects[second] = effects[second].clone().revive();
    assert!(matches!(next(&effects, now), Next::Look(effect) if effect.position as usize == second));
}

#[test]
fn a_mail_that_fails_holds_nobody() {
    let mut effects = sample_journal();
    let mail = find(&effects, Phase::NotifyPublic, 0);
    for _ in 0..mail {
        turn(&mut effects, Outcome::Done(String::new()), at(1));
    }
    turn(&mut effects, Outcome::Again("server down".into()), at(1));
    for _ in mail + 1..effects.len() {
        turn(&mut effects, Outcome::Done(String::new()), at(1));
    }
    assert_eq!(next(&effects, at(1)), Next::Wait(at(2)));
    let mut now = at(2);
    while let Next::Look(_) = next(&effects, now) {
        turn(&mut effects, Outcome::Again("server down".into()), now);
        now = effects[mail].retry_at.unwrap_or(now);
    }
    assert_eq!((effects[mail].state, effects[mail].attempts), (EffectState::Failed, 40));
    assert_eq!(next(&effects, now), Next::Done);
}

#[test]
fn a_channel_that_fails_holds_no_other_effect_and_then_calls_a_person() {
    let mut effects = sample_journal();
    let first = find(&effects, Phase::PublishChannels, 0);
    for _ in 0..first {
        turn(&mut effects, Outcome::Done(String::new()), at(1));
    }
    let due: Vec<_> = outside_next(&effects, at(1)).iter().map(|effect| effect.position).collect();
    assert_eq!(due, [13, 14, 15], "they do not wait for each other");
    turn(&mut effects, Outcome::Failed(HoldReason::Channel, "gone".into()), at(1));
    turn(&mut effects, Outcome::Unknown("no answer".into()), at(1));
    assert_eq!(turn(&mut effects, Outcome::Done(String::new()), at(1)), 15);
    // What is tried again is waited for, for hours, before a person is needed.
    let mut now = at(1);
    while let Next::Wait(later) = next(&effects, now) {
        now = later;
        assert_eq!(outside_next(&effects, now).len(), 1);
        turn(&mut effects, Outcome::Again("server down".into()), now);
    }
    assert_eq!(
        (effects[14].state, effects[14].attempts, effects[14].reason),
        (EffectState::Failed, 40, Some(HoldReason::Channel))
    );
    assert!(now.duration_since(at(1)) > SignedDuration::from_hours(6));
    assert!(matches!(next(&effects, now), Next::Hold(effect) if effect.position == 13));
    // Given up or tried again, by a person's word alone.
    effects[13] = effects[13].clone().give_up().unwrap();
    assert!(matches!(next(&effects, now), Next::Hold(effect) if effect.position == 14));
    effects[14] = effects[14].clone().revive();
    assert_eq!(effects[13].clone().revive(), effects[13]);
    turn(&mut effects, Outcome::Done(String::new()), now);
    assert_eq!(next(&effects, now), Next::Done);
    assert!(effects[13].clone().start(now).is_err() && effects[13].clone().give_up().is_err());
    assert!(effects[14].clone().give_up().is_err(), "done is done");
    assert!(effects[0].clone().give_up().is_err());
}

#[test]
fn the_gap_is_from_the_last_push_that_was_waited_for() {
    let mut effects = sample_journal();
    for (effect, second) in effects.iter_mut().zip(1..) {
        *effect = effect.clone().start(at(second)).unwrap().end(Outcome::Done(String::new()), at(second)).unwrap();
    }
    let gap = |position: usize| after_push(&effects, &effects[position]).map(|gap| gap.as_secs());
    assert_eq!([gap(0), gap(2), gap(4)], [None, None, Some(2)]);
    // The first case waits for both pushes, the second push being the last; so does its channel.
    assert_eq!([gap(6), gap(13)], [Some(3), Some(10)]);
    assert_eq!(after_push(&sample_journal(), &sample_journal()[6]), None, "nothing was done yet");
}

/// The first case's fixes come in a package; the second's do not.
#[test]
fn an_advisory_waits_for_the_package_of_its_case_where_the_project_wants_it_to() {
    for (follows, needs) in [(Follows::Push, vec![4, 5]), (Follows::Package, vec![4, 5, 6])] {
        let mut effects = journal_of(vec![package(follows)]);
        assert_eq!((effects[6].phase, &effects[6].needs), (Phase::AwaitPackages, &vec![5]));
        let of = |phase: Phase| find(&effects, phase, 0);
        let (site, channel) = (of(Phase::PublishAdvisories), of(Phase::PublishChannels));
        assert_eq!((&effects[site].needs, &effects[channel].needs), (&needs, &needs), "{follows}");
        assert_eq!(effects[site + 1].needs, [5], "the other case has no package");
        let tag = effects.len() - 1;
        assert_eq!(effects[tag].needs, [4, 5], "what may build the package does not wait for it");
        for _ in 0..6 {
            turn(&mut effects, Outcome::Done(String::new()), at(1));
        }
        // This server's own part first, then strangers.
        let first = turn(&mut effects, Outcome::Done(String::new()), at(1)) as usize;
        assert_eq!(first, if follows == Follows::Push { site } else { site + 1 });
    }
}

#[test]
fn a_package_given_up_lets_its_advisory_go_and_one_that_failed_calls_a_person() {
    for outcome in [Outcome::PassedOver("late".into()), Outcome::Failed(HoldReason::Package, "late".into())] {
        let mut effects = journal_of(vec![package(Follows::Package)]);
        let mut position = 0;
        while position != 6 {
            position = match next(&effects, at(1)) {
                Next::Act(effect) if effect.position == 6 => 6,
                Next::Act(_) => turn(&mut effects, Outcome::Done(String::new()), at(1)),
                other => panic!("{other:?}"),
            };
        }
        let failed = matches!(outcome, Outcome::Failed(..));
        turn(&mut effects, outcome, at(1));
        while let Next::Act(_) = next(&effects, at(1)) {
            turn(&mut effects, Outcome::Done(String::new()), at(1));
        }
        if failed {
            assert!(matches!(next(&effects, at(1)), Next::Hold(effect) if effect.position == 6));
            assert_eq!(effects[6].clone().revive().started_at, None, "it is waited for as long again");
            effects[6] = effects[6].clone().give_up().unwrap();
            while let Next::Act(_) = next(&effects, at(1)) {
                turn(&mut effects, Outcome::Done(String::new()), at(1));
            }
        }
        assert_eq!(next(&effects, at(1)), Next::Done);
        assert!(effects.iter().all(|effect| effect.position == 6 || effect.state == EffectState::Done));
    }
}

#[test]
fn targets_survive_text() {
    for effect in journal_of(vec![package(Follows::Push)]) {
        assert_eq!(effect.target.to_string().parse::<Target>().unwrap(), effect.target);
    }
    assert!("mail/1".parse::<Target>().is_err());
}

#[test]
fn done_is_never_done_again() {
    let mut effects = sample_journal();
    turn(&mut effects, Outcome::Done(String::new()), at(1));
    assert!(effects[0].clone().start(at(2)).is_err());
    assert_eq!(effects[0].clone().revive(), effects[0]);
}

#[test]
fn keys_differ_between_effects_and_stay_between_tries() {
    let keys = |effects: &[Effect]| effects.iter().map(|effect| effect.key.clone()).collect::<Vec<_>>();
    let (first, second) = (keys(&sample_journal()), keys(&sample_journal()));
    assert_eq!(first, second);
    let distinct: std::collections::BTreeSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), first.len());
}
