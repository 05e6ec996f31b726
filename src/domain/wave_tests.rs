//! Tests of the rules of waves, as tables.

use jiff::SignedDuration;

use super::super::digest::Digest;
use super::super::embargo::Side;
use super::super::project::TeamKind;
use super::super::readiness::tests::{at, facts, release};
use super::super::release::Policy;
use super::super::sealed::Sealed;
use super::*;

const DAY: i64 = 86_400;
/// The instant of the sample release here, in seconds.
const DUE: i64 = 100 * DAY;

fn sample(state: ReleaseState) -> Release {
    let frozen = Frozen { lasting: Digest::of(b"frozen"), sealed: Sealed::from_envelope(vec![1]) };
    let frozen = (state != ReleaseState::Planned).then_some(frozen);
    Release { state, frozen, due_at: at(DUE), ..release() }
}

fn audience(level: Level, longest: &str) -> Audience {
    let (name, criteria) = ("distros".parse().unwrap(), "Sample.".parse().unwrap());
    Audience { name, criteria, level, longest: longest.parse().unwrap() }
}

fn wave(level: Level, before: &str) -> Wave {
    Wave { audience: "distros".parse().unwrap(), level, before: before.parse().unwrap() }
}

fn planned(level: Level, before: &str, sent: Option<i64>) -> Planned {
    Planned { wave: wave(level, before), sent_at: sent.map(at) }
}

fn embargo(end: i64) -> Vec<(CaseId, Embargo)> {
    let case: CaseId = "DEMO-1".parse().unwrap();
    let (proposed, _) = Embargo::none().propose(&case, at(end), Side::Team, at(1)).unwrap();
    vec![(case.clone(), proposed.settle(&case).unwrap().0)]
}

#[test]
fn a_wave_is_set_only_where_its_audience_and_the_release_allow_it() {
    use Level::{Date, Patches, Severity, Text};
    use ReleaseState::{Armed, Done, Frozen, Planned};
    type Told = (Level, &'static str);
    let table: &[(&str, ReleaseState, Told, Told, i64, &str)] = &[
        // What is asked, the state, what the audience may get, the wave, days before the instant by now, what is said.
        ("in time", Planned, (Patches, "7d"), (Patches, "7d"), 30, ""),
        (
            "a minute too early",
            Planned,
            (Patches, "7d"),
            (Date, "10081m"),
            30,
            "7 days before the instant at the earliest",
        ),
        ("too much", Planned, (Severity, "7d"), (Text, "3d"), 30, "may get severity at most"),
        ("due, and nothing frozen", Planned, (Patches, "7d"), (Patches, "7d"), 2, "the fixes are not frozen"),
        ("due, and not approved", Planned, (Patches, "7d"), (Text, "7d"), 2, "not approved"),
        ("due, and only a date", Planned, (Patches, "7d"), (Severity, "7d"), 2, ""),
        ("due and frozen", Frozen, (Patches, "7d"), (Patches, "7d"), 2, ""),
        ("armed", Armed, (Patches, "7d"), (Date, "1d"), 30, "disarm it first"),
        ("over", Done, (Patches, "7d"), (Date, "1d"), 30, "only a release that is planned or frozen"),
    ];
    for (what, state, (most, longest), (level, before), days, said) in table {
        let audience = audience(*most, longest);
        let setting = Setting { audience: &audience, embargoes: &[], approved: false, now: at(DUE - days * DAY) };
        let set = set(&sample(*state), &[], wave(*level, before), setting);
        match set {
            Ok(waves) => assert!(said.is_empty() && waves.len() == 1, "{what}"),
            Err(refusal) => {
                assert!(!said.is_empty() && refusal.to_string().contains(said), "{what}: {refusal}");
            }
        }
    }
}

#[test]
fn an_audience_is_never_told_less_later() {
    let audience = audience(Level::Patches, "14d");
    let setting = Setting { audience: &audience, embargoes: &[], approved: true, now: at(DUE - 30 * DAY) };
    let known = [planned(Level::Severity, "7d", None)];
    for (level, before, fits) in [
        (Level::Date, "10d", true),
        (Level::Date, "3d", false),
        (Level::Date, "7d", false),
        (Level::Patches, "3d", true),
        (Level::Patches, "7d", false),
        (Level::Patches, "10d", false),
        // The same level at another time moves the wave.
        (Level::Severity, "2d", true),
    ] {
        let set = set(&sample(ReleaseState::Planned), &known, wave(level, before), setting);
        assert_eq!(set.is_ok(), fits, "{level} {before}: {set:?}");
        if let Ok(waves) = set {
            let moved = level == Level::Severity;
            assert_eq!(waves.len(), if moved { 1 } else { 2 });
        }
    }
    // Another audience is another matter.
    let other = Wave { audience: "vendors".parse().unwrap(), ..wave(Level::Date, "1d") };
    assert!(set(&sample(ReleaseState::Planned), &known, other, setting).is_ok());
}

#[test]
fn what_was_told_is_neither_changed_nor_dropped() {
    let audience = audience(Level::Patches, "14d");
    let setting = Setting { audience: &audience, embargoes: &[], approved: true, now: at(DUE - 5 * DAY) };
    let known = [planned(Level::Date, "7d", Some(DUE - 7 * DAY)), planned(Level::Patches, "3d", None)];
    let release = sample(ReleaseState::Frozen);
    assert!(set(&release, &known, wave(Level::Date, "6d"), setting).is_err());
    let name = "distros".parse().unwrap();
    assert!(drop_wave(&release, &known, (&name, Level::Date)).is_err());
    let (gone, left) = drop_wave(&release, &known, (&name, Level::Patches)).unwrap();
    assert_eq!((gone.level, left.len()), (Level::Patches, 1));
    assert!(drop_wave(&release, &known, (&name, Level::Text)).is_err());
}

#[test]
fn a_date_that_is_not_agreed_is_told_to_nobody() {
    let audience = audience(Level::Date, "7d");
    for (end, fits) in [(DUE, true), (DUE + 1, false)] {
        let embargoes = embargo(end);
        let setting = Setting { audience: &audience, embargoes: &embargoes, approved: true, now: at(DUE - 3 * DAY) };
        assert_eq!(set(&sample(ReleaseState::Frozen), &[], wave(Level::Date, "7d"), setting).is_ok(), fits);
        let known = WaveFacts { planned: planned(Level::Date, "7d", None), audience: Some(audience.clone()) };
        let standing = known.standing(&sample(ReleaseState::Frozen), &embargoes, at(DUE - 3 * DAY));
        assert_eq!(standing == Standing::Due, fits, "{standing:?}");
    }
}

#[test]
fn where_a_wave_stands_follows_the_instant_and_the_audience_of_that_moment() {
    use ReleaseState::{Abandoned, Armed, Frozen, Held, Planned, Running};
    let patches = Some(audience(Level::Patches, "7d"));
    let table: &[(&str, ReleaseState, Option<Audience>, i64, Standing)] = &[
        ("early", Frozen, patches.clone(), 5 * DAY + 1, Standing::Ahead(at(DUE - 5 * DAY))),
        ("due", Frozen, patches.clone(), 5 * DAY, Standing::Due),
        ("due and armed", Armed, patches.clone(), DAY, Standing::Due),
        ("due and planned", Planned, patches.clone(), DAY, Standing::Unfrozen),
        ("at the instant", Armed, patches.clone(), 0, Standing::PassedOver),
        ("in the run", Running, patches.clone(), DAY, Standing::PassedOver),
        ("held", Held, patches.clone(), DAY, Standing::PassedOver),
        ("given up", Abandoned, patches.clone(), DAY, Standing::PassedOver),
        // The audience may know later than it did when the wave was armed: it is told later.
        ("shorter", Armed, Some(audience(Level::Patches, "2d")), 3 * DAY, Standing::Ahead(at(DUE - 2 * DAY))),
        ("shorter, due", Armed, Some(audience(Level::Patches, "2d")), 2 * DAY, Standing::Due),
    ];
    for (what, state, audience, left, expected) in table {
        let known = WaveFacts { planned: planned(Level::Patches, "5d", None), audience: audience.clone() };
        assert_eq!(&known.standing(&sample(*state), &[], at(DUE - left)), expected, "{what}");
    }
    for audience in [None, Some(audience(Level::Text, "7d"))] {
        let known = WaveFacts { planned: planned(Level::Patches, "5d", None), audience };
        assert!(matches!(known.standing(&sample(Armed), &[], at(DUE - DAY)), Standing::Wrong(_)));
    }
}

#[test]
fn a_move_that_makes_what_was_told_too_early_is_refused() {
    let told =
        |sent| WaveFacts { planned: planned(Level::Date, "5d", sent), audience: Some(audience(Level::Patches, "7d")) };
    let sent = Some(DUE - 5 * DAY);
    assert!(may_move(&[told(sent)], at(DUE + 2 * DAY)).is_ok());
    let refusal = may_move(&[told(sent)], at(DUE + 2 * DAY + 1)).unwrap_err().to_string();
    assert!(refusal.contains("reopen the release first"), "{refusal}");
    assert!(may_move(&[told(None)], at(DUE + 50 * DAY)).is_ok(), "who was not told knows nothing");
}

#[test]
fn a_reminder_comes_after_a_day_or_at_half_the_time() {
    let hour = SignedDuration::from_hours(1);
    assert_eq!(remind_at(at(0), at(7 * DAY)), at(DAY));
    assert_eq!(remind_at(at(0), at(0) + hour), at(1_800));
}

#[test]
fn a_due_wave_blocks_arming_and_neither_the_freezing_nor_the_run() {
    let policy = Policy::of(TeamKind::Several);
    let wrong = |release: &Release| {
        let waves = vec![WaveFacts {
            planned: planned(Level::Date, "1m", None),
            audience: Some(audience(Level::Patches, "7d")),
        }];
        let facts = Facts { waves, now: at(990), ..facts(release) };
        release.readiness(&facts, &policy).err().unwrap_or_default()
    };
    let planned = Release { due_at: at(1_000), ..release() };
    assert_eq!(wrong(&planned), []);
    let frozen = Release { state: ReleaseState::Frozen, ..planned };
    let blockers = wrong(&frozen);
    assert_eq!(blockers.iter().map(|blocker| blocker.kind).collect::<Vec<_>>(), [BlockerKind::Wave]);
    assert_eq!(blockers[0].owner, Role::ReleaseManager);
    assert!(!BlockerKind::Wave.stops_the_run());
    assert_eq!(wrong(&Release { state: ReleaseState::Armed, ..frozen }), []);
}

#[test]
fn changing_the_waves_takes_the_armings_and_the_old_digest_away() {
    let before = sample(ReleaseState::Frozen);
    let frozen = Frozen { lasting: Digest::of(b"other"), sealed: Sealed::from_envelope(vec![2]) };
    let change = before.clone().announce("set distros date 1d".to_owned(), Some(frozen)).unwrap();
    assert_ne!(change.next.digest(), before.digest());
    assert!(change.next.armings.is_empty());
    assert!(before.announce(String::new(), None).is_err());
    let armed = sample(ReleaseState::Armed);
    assert!(armed.clone().announce(String::new(), armed.frozen).is_err());
}
