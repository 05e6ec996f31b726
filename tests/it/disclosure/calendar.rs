//! Instants that calendars make strange: an hour that comes twice, one that never comes, a leap day; over the real program, in
//! the zones where they happen, with a clock that says it is then.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use embargo::app::{Clock, CrashPoint};
use jiff::{SignedDuration, Timestamp};

use super::{House, SINGLE, at, house};
use crate::support::program;

/// How long before its instant a release is armed and its server started.
const BEFORE: SignedDuration = SignedDuration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn a_release_due_in_an_hour_that_comes_twice_is_published_once_and_then() {
    // At 03:00 clocks in Berlin went back to 02:00.
    published_at("2026-10-25T01:00:00Z", "Europe/Berlin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_due_where_an_hour_is_left_out_is_published_then() {
    // At 02:00 clocks in New York went on to 03:00.
    published_at("2027-03-14T07:00:00Z", "America/New_York").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_due_at_the_end_of_a_leap_day_is_published_then() {
    published_at("2028-02-29T23:59:59Z", "Pacific/Kiritimati").await;
}

async fn published_at(due: &str, zone: &str) {
    let due = at(due);
    let house = House::new(&SINGLE, None).await;
    let app = house::open(house.root(), due - SignedDuration::from_hours(3), CrashPoint::default()).await;
    let armed = house.freeze(&app, due).await;
    armed.arm(&app).await;
    drop(app);
    let before = house.public().await;
    let ahead = (due - BEFORE).duration_since(Clock::System.now()).as_secs();
    let server = program::serve_in(&house.config(), zone, ahead).await;
    let there = || Clock::System.now() + SignedDuration::from_secs(ahead);
    while there() < due - SignedDuration::from_millis(1500) {
        assert_eq!(house.public().await, before, "{zone}: nothing is public before");
    }
    let until = due + SignedDuration::from_secs(60);
    while house.public().await == before && there() < until {}
    assert!(program::stop(server).await.success());
    let app = house::open(house.root(), until, CrashPoint::default()).await;
    super::settle(&app).await;
    house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    let begun: Timestamp = view.begun_at.unwrap().parse().unwrap();
    let late = begun.duration_since(due);
    assert!(!late.is_negative() && late < SignedDuration::from_secs(30), "{zone}: begun {late:?} after {due}");
}
