//! A server killed at every point of a run and started again: nothing is lost and nothing done twice.
//!
//! The server that is killed is this test binary, started again as a child that runs the jobs that are due; or the real
//! program, over its real instant.

#![expect(clippy::disallowed_methods, reason = "the test starts itself as a child, and reads what it was told then")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use embargo::app::{App, Clock, CrashPoint};
use embargo::workflow::release;
use jiff::SignedDuration;

use super::{DOUBLE, House, INSTANT, PLANNED, PUBLIC, SINGLE, at, house, settle};
use crate::support::house::Frozen;
use crate::support::mail::MailServer;
use crate::support::program;

/// Which crash point the child is to die at, and where its house is.
const CHILD: (&str, &str) = ("EMBARGO_TEST_CRASH_AT", "EMBARGO_TEST_HOUSE");
/// When it is there; at the instant, if not said.
const NOW: &str = "EMBARGO_TEST_NOW";

/// Half of the points each, so that two cores share the work.
#[tokio::test]
async fn killed_before_an_effect_and_started_again_nothing_is_lost_and_nothing_done_twice() {
    killed(&["started", "starting"], &["disclose:beginning", "disclose:begun", "mail:before"]).await;
}

#[tokio::test]
async fn killed_after_an_effect_and_started_again_nothing_is_lost_and_nothing_done_twice() {
    killed(&["acted", "ending", "ended"], &["disclose:finishing", "mail:after"]).await;
}

/// Runs a release of two cases over two repositories, killed once at each of these points of each effect and at the others.
async fn killed(of_effects: &[&str], others: &[&str]) {
    let mail = MailServer::start().await;
    let house = House::new(&DOUBLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    drop(app);
    house.save();
    mail.clear();
    // A run that nobody kills says how many effects there are.
    let app = house.open(INSTANT).await;
    settle(&app).await;
    ended_well(&house, &app, &armed).await;
    let effects = armed.view(&app).await.effects;
    drop(app);
    let expected = mail.ids(PUBLIC);
    assert_eq!(expected.len(), 6, "a reporter and two members for each case: {expected:?}");
    let mut points: Vec<String> = others.iter().map(|point| (*point).to_owned()).collect();
    for effect in &effects {
        // Inside a write that never lands: for the pushes, of which the first crosses the point of no return in it.
        let within = |point: &&&str| !point.ends_with("ing") || effect.phase == "push_fixes";
        points.extend(of_effects.iter().filter(within).map(|point| format!("disclose:{}:{point}", effect.position)));
    }
    assert!(points.len() > effects.len(), "{points:?}");
    for point in points {
        house.restore();
        mail.clear();
        assert_eq!(child(&house, &point).await, Some(9), "nothing passed {point}");
        let app = house.open(INSTANT).await;
        settle(&app).await;
        ended_well(&house, &app, &armed).await;
        drop(app);
        let mut mails = mail.ids(PUBLIC);
        if point == "mail:after" {
            // What was handed over but not written down is handed over again, under the same Message-ID.
            assert_eq!(mails.len(), expected.len() + 1, "{point}");
            mails.dedup();
        }
        assert_eq!(mails, expected, "{point}");
    }
}

async fn ended_well(house: &House, app: &App, armed: &Frozen) {
    house.is_public(app, armed).await;
    assert_eq!(armed.view(app).await.summary.state, "done");
}

/// Runs what is due in a process of its own that dies at the point; returns the signal it died of.
pub(super) async fn child(house: &House, point: &str) -> Option<i32> {
    child_at(house, INSTANT, point).await
}

/// The same, at another time.
pub(super) async fn child_at(house: &House, now: &str, point: &str) -> Option<i32> {
    let mut command = program::itself("disclosure::kill::a_child_runs_what_is_due");
    command.env(CHILD.0, point).env(CHILD.1, house.root()).env(NOW, now);
    program::died_of(command).await
}

/// The body of the child: does nothing unless it was started as one.
#[tokio::test]
async fn a_child_runs_what_is_due() {
    let Some(root) = std::env::var_os(CHILD.1) else { return };
    let now = std::env::var(NOW).map_or_else(|_| at(INSTANT), |now| at(&now));
    let app = house::open(Path::new(&root), now, CrashPoint::at(std::env::var(CHILD.0).ok())).await;
    settle(&app).await;
}

/// Bad luck: the power goes before the instant and comes back after it, and goes once more in the middle of the run.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_killed_over_its_instant_and_in_its_run_discloses_once() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let real = || Clock::System.now();
    let app = house::open(house.root(), real() - SignedDuration::from_hours(1), CrashPoint::default()).await;
    let armed = house.freeze(&app, real() - SignedDuration::from_mins(30)).await;
    mail.clear();
    app.clock.set(real());
    let due = real() + SignedDuration::from_secs(4);
    release::postpone(&app, &armed.team.alice, &armed.release, due).await.unwrap();
    armed.arm(&app).await;
    drop(app);
    let before = house.public().await;

    let early = program::serve(&house.config(), None).await;
    assert_eq!(program::kill(early).await.signal(), Some(9));
    assert!(real() < due, "it was killed before the instant");
    while real() <= due {
        assert_eq!(house.public().await, before, "nobody is there to publish");
    }
    let mut doomed = program::start(&house.config(), Some("disclose:1:acted"));
    assert_eq!(doomed.wait().await.unwrap().signal(), Some(9), "it begins by itself, and dies in the push");
    assert_ne!(house.public().await, before);
    let server = program::serve(&house.config(), None).await;
    mail.arrived(PUBLIC, 3).await;
    assert!(program::stop(server).await.success());

    let app = house::open(house.root(), real(), CrashPoint::default()).await;
    ended_well(&house, &app, &armed).await;
    assert_eq!(mail.ids(PUBLIC).len(), 3);
}

/// Bad luck: the machine is suspended over the instant, as a virtual one is while it is moved, and wakes up after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_suspended_over_its_instant_discloses_once_when_it_wakes() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let real = || Clock::System.now();
    let app = house::open(house.root(), real() - SignedDuration::from_hours(1), CrashPoint::default()).await;
    let armed = house.freeze(&app, real() - SignedDuration::from_mins(30)).await;
    mail.clear();
    app.clock.set(real());
    let due = real() + SignedDuration::from_secs(4);
    release::postpone(&app, &armed.team.alice, &armed.release, due).await.unwrap();
    armed.arm(&app).await;
    drop(app);
    let before = house.public().await;
    let server = program::serve(&house.config(), None).await;
    program::suspend(&server);
    assert!(real() < due, "it was suspended before the instant");
    while real() <= due + SignedDuration::from_secs(1) {
        assert_eq!(house.public().await, before, "nobody is awake to publish");
    }
    let woken = real();
    program::wake(&server);
    mail.arrived(PUBLIC, 3).await;
    assert!(program::stop(server).await.success());
    let app = house::open(house.root(), real(), CrashPoint::default()).await;
    ended_well(&house, &app, &armed).await;
    let begun: jiff::Timestamp = armed.view(&app).await.begun_at.unwrap().parse().unwrap();
    assert!(begun >= woken, "{begun} is before it woke at {woken}");
    assert_eq!(mail.ids(PUBLIC).len(), 3);
}
