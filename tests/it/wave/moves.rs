//! What follows for who was told: the instant moves, the date falls, nobody answers, a mail comes to nothing.

use embargo::workflow::{plan, release};
use jiff::SignedDuration;

use super::{
    CALL, DUE, FELL, MOVED, NEAR, REMINDER, Scene, TOLD, at, before_due, go_to, opened, opens_nothing, set, settle,
    waves,
};
use crate::support::house::{DOUBLE, House, PLANNED};
use crate::support::mail::MailServer;

#[tokio::test]
async fn who_was_told_a_date_is_told_the_new_one_and_nobody_knows_too_early() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "distros", "date", "5d").await.unwrap();
    set(&app, &frozen, "vendors", "date", "3d").await.unwrap();
    go_to(&app, before_due(5 * 24)).await;
    let one = scene.code("one");
    let postpone = async |days: i64| {
        let due = at(DUE) + SignedDuration::from_hours(days * 24);
        release::postpone(&app, &frozen.team.alice, &frozen.release, due).await
    };
    let refused = postpone(3).await.unwrap_err().to_string();
    assert!(refused.contains("reopen the release first"), "{refused}");
    postpone(2).await.unwrap();
    settle(&app).await;
    assert_eq!(scene.mail.ids(MOVED).len(), 2, "who was told, and nobody else");
    assert_eq!(opened(&app, &one).await.due_at, "2027-02-06T12:00:00Z");
    // The wave that has not gone out goes with the instant.
    go_to(&app, before_due(2 * 24)).await;
    assert_eq!(scene.mail.ids(TOLD).len(), 2);
    go_to(&app, before_due(24)).await;
    assert_eq!(scene.mail.ids(TOLD).len(), 3);
}

#[tokio::test]
async fn a_date_that_falls_ends_every_link_and_the_next_freezing_tells_anew() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "distros", "text", "7d").await.unwrap();
    go_to(&app, before_due(6 * 24)).await;
    let one = scene.code("one");
    scene.mail.clear();
    release::reopen(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    settle(&app).await;
    assert_eq!(scene.mail.ids(FELL).len(), 2);
    assert!(opens_nothing(&app, &one).await);
    assert_eq!(frozen.view(&app).await.waves[0].state, "waits", "it can go out again");
    assert!(waves(&app, &frozen).await.recipients.iter().all(|told| told.ended_at.is_some()));
    release::freeze(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    settle(&app).await;
    assert_eq!(scene.mail.ids(TOLD).len(), 2);
    let again = scene.code("one");
    assert!(opens_nothing(&app, &one).await && !opens_nothing(&app, &again).await);
    release::abandon(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    settle(&app).await;
    assert_eq!(scene.mail.ids(FELL).len(), 4);
    assert!(opens_nothing(&app, &again).await);
}

#[tokio::test]
async fn who_does_not_acknowledge_is_reminded_once_and_the_managers_hear_of_it() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "distros", "date", "5d").await.unwrap();
    frozen.arm(&app).await;
    go_to(&app, before_due(5 * 24)).await;
    embargo::workflow::wave::told::acknowledge(&app, &scene.code("one")).await.unwrap();
    go_to(&app, before_due(4 * 24) - SignedDuration::from_mins(1)).await;
    assert_eq!(scene.mail.ids(REMINDER).len(), 0);
    for _ in 0..3 {
        go_to(&app, before_due(4 * 24)).await;
    }
    let mails: Vec<_> = scene.mail.mails().into_iter().filter(|mail| mail.contains(REMINDER)).collect();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("X-RcptTo: two@example.org") && !mails[0].contains("/w/#"), "{}", mails[0]);
    assert_eq!(scene.mail.ids(NEAR).len(), 2, "both managers");
}

#[tokio::test]
async fn one_whom_no_mail_reaches_stops_no_other_and_calls_the_managers() {
    let mut scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "distros", "date", "5d").await.unwrap();
    frozen.arm(&app).await;
    scene.mail.go_down().await;
    go_to(&app, before_due(5 * 24)).await;
    assert_eq!(waves(&app, &frozen).await.recipients[0].state, "pending");
    for half in 0..60 {
        go_to(&app, before_due(5 * 24) + SignedDuration::from_mins(half * 30)).await;
    }
    scene.mail.come_back().await;
    go_to(&app, before_due(3 * 24)).await;
    let known = waves(&app, &frozen).await;
    assert!(known.recipients.iter().all(|told| told.state == "failed"), "{known:?}");
    assert_eq!(frozen.view(&app).await.waves[0].failed, 2);
    assert!(scene.mail.ids(CALL).len() >= 2, "those who manage it are called");
    go_to(&app, at(DUE)).await;
    scene.house.is_public(&app, &frozen).await;
}

#[tokio::test]
async fn a_case_that_leaves_takes_nobody_along() {
    let mail = MailServer::start().await;
    let house = House::new(&DOUBLE, Some(&mail)).await;
    house.configure(
        "[[project.audience]]\nname = \"early\"\ncriteria = \"Sample.\"\nlevel = \"date\"\n[[project.audience.member]]\n\
         name = \"Sample one\"\nemail = \"one@example.org\"\n",
    );
    let app = house.open(PLANNED).await;
    let frozen = house.freeze(&app, at(DUE)).await;
    set(&app, &frozen, "early", "date", "7d").await.unwrap();
    go_to(&app, before_due(6 * 24)).await;
    release::reopen(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    settle(&app).await;
    plan::drop_case(&app, &frozen.team.alice, &frozen.release, &frozen.cases[0]).await.unwrap();
    settle(&app).await;
    let known = waves(&app, &frozen).await;
    assert_eq!(known.recipients.iter().map(|told| told.name.as_str()).collect::<Vec<_>>(), ["Sample one"]);
    assert_eq!(mail.ids(FELL).len(), 1);
}
