//! Tests of hooks: what is called when, and what is undone.

use super::*;
use crate::domain::hold::HoldReason;
use crate::domain::readiness::tests::{at, release};

/// A webhook.
pub(in crate::domain) fn hook(name: &str, at: Option<&str>, undo: Option<&str>) -> Hook {
    let url = "https://hooks.example.org/nightlies".parse().unwrap();
    Hook {
        name: name.parse().unwrap(),
        at: at.map(|at| at.parse().unwrap()),
        does: Does::Webhook { url, secret_file: "/etc/embargo/hook".into() },
        undo: undo.map(|undo| undo.parse().unwrap()),
    }
}

/// A release armed for second 100,000.
fn armed() -> Release {
    Release { state: ReleaseState::Armed, due_at: at(100_000), ..release() }
}

fn hooks() -> Vec<Hook> {
    vec![hook("freeze", Some("-2h"), Some("unfreeze")), hook("unfreeze", Some("+15m"), None)]
}

/// A call of the first hook.
fn call(state: EffectState) -> HookCall {
    HookCall {
        id: 1,
        name: "freeze".parse().unwrap(),
        undoes: None,
        at: hooks()[0].at,
        undone_by: hooks()[0].undo.clone(),
        repeats: true,
        state,
        key: "key".to_owned(),
        attempts: 1,
        retry_at: None,
        note: String::new(),
        told: false,
        started_at: Some(at(92_800)),
        done_at: None,
        closed: false,
    }
}

/// What comes, as a word.
fn word(release: &Release, calls: &[HookCall], now: i64) -> &'static str {
    match next(release, &hooks(), calls, at(now)) {
        None => "nothing",
        Some(Step::Begin(hook)) => {
            if hook.name.as_str() == "freeze" {
                "begin"
            } else {
                "begin another"
            }
        }
        Some(Step::Again(_)) => "again",
        Some(Step::Doubt(_)) => "doubt",
        Some(Step::Undo(_)) => "undo",
        Some(Step::Close(_)) => "close",
        Some(Step::PassOver(_)) => "pass over",
    }
}

const AT: i64 = 100_000 - 7_200;

#[test]
fn a_hook_runs_at_its_time_once_its_release_is_armed_and_not_from_the_instant_on() {
    assert_eq!(word(&armed(), &[], AT - 1), "nothing");
    assert_eq!(word(&armed(), &[], AT), "begin");
    assert_eq!(word(&armed(), &[], 99_999), "begin", "armed late, it runs late");
    assert_eq!(word(&armed(), &[], 100_000), "nothing");
    for state in ReleaseState::ALL.iter().filter(|state| **state != ReleaseState::Armed) {
        assert_eq!(word(&Release { state: *state, ..armed() }, &[], AT), "nothing", "{state}");
    }
    assert_eq!(word(&armed(), &[call(EffectState::Done)], AT + 60), "nothing", "once");
}

#[test]
fn what_did_not_happen_is_tried_until_the_instant_and_then_passed_over() {
    let running = Release { state: ReleaseState::Running, ..armed() };
    let waits = HookCall { retry_at: Some(at(AT + 60)), ..call(EffectState::Pending) };
    assert_eq!(word(&armed(), std::slice::from_ref(&waits), AT + 59), "nothing");
    assert_eq!(word(&armed(), std::slice::from_ref(&waits), AT + 60), "again");
    assert_eq!(word(&running, &[waits], 100_000), "pass over");
    let begun = HookCall { retry_at: Some(at(AT + 120)), ..call(EffectState::Started) };
    let once = HookCall { repeats: false, ..begun.clone() };
    assert_eq!(word(&armed(), std::slice::from_ref(&begun), AT + 119), "nothing", "it is under way");
    assert_eq!(word(&armed(), &[begun], AT + 120), "again");
    assert_eq!(word(&armed(), &[once], AT + 120), "doubt", "a workflow is not started twice");
    assert_eq!(word(&running, &[call(EffectState::Unknown)], 100_000), "nothing");
}

#[test]
fn what_ran_is_undone_when_its_release_does_not_go_ahead_as_armed() {
    for (state, expected) in [
        (ReleaseState::Planned, "undo"),
        (ReleaseState::Frozen, "undo"),
        (ReleaseState::Abandoned, "undo"),
        (ReleaseState::Armed, "nothing"),
        (ReleaseState::Running, "nothing"),
        (ReleaseState::Held, "nothing"),
        (ReleaseState::Done, "nothing"),
    ] {
        let release = Release { state, ..armed() };
        assert_eq!(word(&release, &[call(EffectState::Done)], AT + 60), expected, "{state}");
        let maybe = HookCall { repeats: false, ..call(EffectState::Unknown) };
        assert_eq!(word(&release, &[maybe], AT + 60), expected, "it may have happened: {state}");
    }
    let later = Release { due_at: at(200_000), ..armed() };
    assert_eq!(word(&later, &[call(EffectState::Done)], AT + 60), "undo", "postponed past its time");
    let bit = Release { due_at: at(100_060), ..armed() };
    assert_eq!(word(&bit, &[call(EffectState::Done)], AT + 60), "nothing", "its time is still over");
    let frozen = Release { state: ReleaseState::Frozen, ..armed() };
    assert_eq!(word(&frozen, &[call(EffectState::Pending)], AT + 60), "close", "it never happened");
    let stays = HookCall { undone_by: None, ..call(EffectState::Done) };
    assert_eq!(word(&frozen, &[stays], AT + 60), "close");
}

#[test]
fn armed_again_a_hook_waits_until_the_last_one_is_undone() {
    let closed = HookCall { closed: true, ..call(EffectState::Done) };
    let undoing = HookCall {
        id: 2,
        name: "unfreeze".parse().unwrap(),
        undoes: Some("freeze".parse().unwrap()),
        retry_at: Some(at(AT + 90)),
        ..call(EffectState::Pending)
    };
    assert_eq!(word(&armed(), &[closed.clone(), undoing.clone()], AT + 60), "nothing");
    assert_eq!(word(&armed(), &[closed.clone(), undoing.clone()], AT + 90), "again");
    let undone = undoing.start(at(AT + 90)).end(Outcome::Done(String::new()), at(AT + 90));
    assert!(undone.closed);
    assert_eq!(word(&armed(), &[closed.clone(), undone], AT + 91), "begin");
    let once = HookCall { undoes: Some("freeze".parse().unwrap()), repeats: false, ..call(EffectState::Started) };
    for maybe in [once.clone().end(Outcome::Unknown("lost".to_owned()), at(AT)), once.doubt()] {
        assert!(maybe.closed, "it is not repeated, and people know");
        assert_eq!(word(&armed(), &[closed.clone(), maybe], AT + 91), "begin");
    }
}

#[test]
fn how_a_call_ended_says_whether_and_when_it_is_repeated() {
    let began = |repeats| HookCall { repeats, ..call(EffectState::Pending) }.start(at(AT));
    assert_eq!((began(true).state, began(true).attempts), (EffectState::Started, 2));
    let refused = || Outcome::Failed(HoldReason::Channel, "no".to_owned());
    let said = began(true).end(refused(), at(AT));
    assert_eq!((said.state, said.retry_at), (EffectState::Pending, Some(at(AT + 600))), "somebody may mend it");
    assert!(said.worries(&refused()) && !HookCall { told: true, ..said }.worries(&refused()));
    let again = Outcome::Again("later".to_owned());
    assert!(!began(true).end(again.clone(), at(AT)).worries(&again));
    let lost = || Outcome::Unknown("lost".to_owned());
    assert_eq!(began(true).end(lost(), at(AT)).retry_at, Some(at(AT + 4)));
    let once = began(false).end(lost(), at(AT));
    assert!(once.retry_at.is_none() && once.worries(&lost()), "a workflow that may run is not started again");
    let tired = HookCall { undoes: Some("freeze".parse().unwrap()), attempts: 40, ..began(true) };
    let left = tired.end(again.clone(), at(AT));
    assert!(left.closed && left.state == EffectState::GivenUp && left.worries(&again));
}

#[test]
fn a_time_is_signed_and_bounded() {
    for bad in ["2h", "-", "+0m", "-15d", "+3d", "-2w", "--2h", "", "+ 15m"] {
        assert!(bad.parse::<Offset>().is_err(), "{bad}");
    }
    for good in ["-2h", "+15m", "-14d", "+2d"] {
        assert_eq!(good.parse::<Offset>().unwrap().to_string(), good);
    }
    assert_eq!("-2h".parse::<Offset>().unwrap().of(at(100_000)), at(AT));
    assert_eq!("+15m".parse::<Offset>().unwrap().of(at(100_000)), at(100_900));
}
