//! Mails before the instant: to those who can act, once for each reminder, and none when nothing is left to do.

use embargo::workflow::plan;
use jiff::SignedDuration;

use super::{INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::house::House;
use crate::support::mail::MailServer;

const NEAR: &str = "Something needs you soon";

#[tokio::test]
async fn who_can_act_is_reminded_once_at_each_time() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    let due = at(PLANNED) + SignedDuration::from_hours(10 * 24);
    plan::plan(&app, &team.alice, &house.plan(std::slice::from_ref(&case), due)).await.unwrap();
    go_to(&app, at(PLANNED) + SignedDuration::from_hours(2 * 24)).await;
    assert_eq!(mail.ids(NEAR).len(), 0);
    for (before, mails) in [(7 * 24, 2), (6 * 24, 2), (24, 4), (2, 4), (1, 6)] {
        go_to(&app, due - SignedDuration::from_hours(before)).await;
        settle(&app).await;
        let ids = mail.ids(NEAR);
        assert_eq!(ids.len(), mails, "{before} hours before: {ids:?}");
    }
    let mut ids = mail.ids(NEAR);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "each is a mail of its own");
}

#[tokio::test]
async fn an_armed_release_that_nothing_blocks_reminds_nobody() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    house.arm(&app).await;
    go_to(&app, at(INSTANT) - SignedDuration::from_mins(59)).await;
    assert_eq!(mail.ids(NEAR).len(), 0);
    // A push that comes now would hold it, and is told while there is time.
    house.move_line("core").await;
    let project = "demo".parse().unwrap();
    let mut tx = app.begin("test.mirror").await.unwrap();
    for upstream in embargo::store::project::upstreams(&mut tx, &project).await.unwrap() {
        let job = embargo::domain::job::Job::Mirror { upstream: upstream.id };
        embargo::store::job::queue(&mut tx, &job, app.clock.now()).await.unwrap();
    }
    app.commit(tx).await.unwrap();
    settle(&app).await;
    settle(&app).await;
    assert_eq!(mail.ids(NEAR).len(), 2);
}
