//! Mails before the instant: to those who can act, once for each reminder, and none when nothing is left to do; and at once
//! when what was armed gets into trouble.

use embargo::app::App;
use embargo::domain::job::Job;
use embargo::store;
use embargo::workflow::plan;
use jiff::SignedDuration;

use super::{INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::git::Git;
use crate::support::house::House;
use crate::support::mail::MailServer;

const NEAR: &str = "Something needs you soon";
const BLOCKED: &str = "Something needs you again";
const CLEAR: &str = "Something is in order again";

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
    for subject in [NEAR, BLOCKED, CLEAR] {
        assert_eq!(mail.ids(subject).len(), 0, "{subject}");
    }
}

#[tokio::test]
async fn an_armed_release_that_gets_into_trouble_is_told_when_it_does_and_when_it_is_clear_again() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    house.arm(&app).await;
    let tip = house.public().await["core refs/heads/main"].clone();
    let told = || [BLOCKED, CLEAR, NEAR].map(|subject| mail.ids(subject).len());
    let before = |minutes| at(INSTANT) - SignedDuration::from_mins(minutes);
    go_to(&app, before(230)).await;
    assert_eq!(told(), [0, 0, 0]);
    house.move_line("core").await;
    mirror(&app).await;
    assert_eq!(told(), [2, 0, 0], "both managers hear at once");
    for minutes in [229, 200] {
        go_to(&app, before(minutes)).await;
    }
    assert_eq!(told(), [2, 0, 0], "it is known");
    // The push was a mistake, and is taken back; then it comes again.
    let (git, bare) = (Git::anonymous(), house.upstream("core"));
    let moved = git.succeed(&bare, &["rev-parse", "main"]).await;
    git.succeed(&bare, &["update-ref", "refs/heads/main", &tip]).await;
    mirror(&app).await;
    assert_eq!(told(), [2, 2, 0]);
    git.succeed(&bare, &["update-ref", "refs/heads/main", moved.trim()]).await;
    mirror(&app).await;
    go_to(&app, before(171)).await;
    assert_eq!(told(), [2, 2, 0], "not more than once an hour");
    go_to(&app, before(169)).await;
    assert_eq!(told(), [4, 2, 0]);
    go_to(&app, before(60)).await;
    go_to(&app, before(59)).await;
    assert_eq!(told(), [4, 2, 2], "the reminder finds it still blocked");
}

#[tokio::test]
async fn a_conflict_is_told_when_it_arises_while_the_release_is_still_being_planned() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    let due = at(PLANNED) + SignedDuration::from_hours(30 * 24);
    plan::plan(&app, &team.alice, &house.plan(std::slice::from_ref(&case), due)).await.unwrap();
    settle(&app).await;
    let told = || [BLOCKED, CLEAR].map(|subject| mail.ids(subject).len());
    assert_eq!(told(), [0, 0], "a fix that is still to come is no news");
    for target in [0, 1] {
        house.fix(&app, &team, (&case, target), ("code.txt", "mended\n")).await;
    }
    go_to(&app, at(PLANNED) + SignedDuration::from_hours(1)).await;
    assert_eq!(told(), [0, 0]);
    house.move_line_by("core", ("code.txt", "written anew\n")).await;
    mirror(&app).await;
    settle(&app).await;
    assert_eq!(told(), [2, 0], "both are managers");
}

/// Looks at the public repositories anew.
async fn mirror(app: &App) {
    let mut tx = app.begin("test.mirror").await.unwrap();
    for upstream in store::project::upstreams(&mut tx, &"demo".parse().unwrap()).await.unwrap() {
        store::job::queue(&mut tx, &Job::Mirror { upstream: upstream.id }, app.clock.now()).await.unwrap();
    }
    app.commit(tx).await.unwrap();
    settle(app).await;
}
