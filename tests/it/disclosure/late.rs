//! Time that is not as it should be: a server that was down at the instant, a clock that somebody set.

use embargo::app::App;
use embargo::worker;
use embargo::workflow::{Error, release};
use jiff::SignedDuration;

use super::{CALL, INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::house::{Frozen, House};
use crate::support::mail::MailServer;

#[tokio::test]
async fn a_server_that_comes_back_too_late_asks_a_person_before_it_discloses() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let before = house.public().await;
    drop(app);
    let app = house.open("2027-01-15T13:00:00.001Z").await;
    settle(&app).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.hold.unwrap().reason.as_str()), ("held", "missed"));
    assert_eq!((house.public().await, view.public_at), (before, None));
    assert_eq!(mail.ids(CALL).len(), 2, "both who can act are called");
    release::resume(&app, &armed.team.alice, &armed.release).await.unwrap();
    worker::settle(&app).await.unwrap();
    house.is_public(&app, &armed).await;
}

/// Attack, or a broken time server: the wall clock is set past the instant, and no time has passed.
#[tokio::test]
async fn a_clock_that_is_set_past_the_instant_discloses_nothing() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let before = house.public().await;
    app.clock.jump(at(INSTANT) + SignedDuration::from_secs(1));
    assert!(blocked(&app, &armed).await.contains(&"clock".to_owned()));
    worker::settle(&app).await.unwrap();
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.hold.unwrap().reason.as_str()), ("held", "not_ready"));
    // Neither waiting nor a person's word makes a wrong clock right.
    go_to(&app, at(INSTANT) + SignedDuration::from_mins(20)).await;
    let resumed = release::resume(&app, &armed.team.alice, &armed.release).await;
    assert!(matches!(resumed, Err(Error::Blocked(_))), "{resumed:?}");
    assert_eq!(house.public().await, before);
    // A server that starts with the right clock takes a person's word.
    drop(app);
    let app = house.open(INSTANT).await;
    release::resume(&app, &armed.team.alice, &armed.release).await.unwrap();
    worker::settle(&app).await.unwrap();
    house.is_public(&app, &armed).await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_is_told_and_set_right_it_is_forgotten() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    app.clock.jump(at(PLANNED) - SignedDuration::from_mins(3));
    assert!(blocked(&app, &armed).await.contains(&"clock".to_owned()));
    app.clock.jump(at(PLANNED));
    assert_eq!(blocked(&app, &armed).await, [""; 0]);
    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &armed).await;
}

async fn blocked(app: &App, armed: &Frozen) -> Vec<String> {
    armed.view(app).await.blockers.into_iter().map(|blocker| blocker.kind).collect()
}
