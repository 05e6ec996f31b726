//! Technical details that follow a release: over a crash, a move of the instant, and trouble with what was kept.

use embargo::app::App;
use embargo::domain::revision::RevisionKind;
use embargo::workflow::{advisory, haste, history, publication, release};
use jiff::SignedDuration;
use sqlx::{Connection as _, SqliteConnection};

use super::kill::child_at;
use super::{CALL, House, INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::details::{FOLLOWS, SECRET, hold_back};
use crate::support::mail::MailServer;

const ID: &str = "DEMO-2027-0001";
const MARKDOWN: &str = "advisories/DEMO-2027-0001.md";
/// The subject of the mail that says that there is news.
const NEWS: &str = "There is news for you";

async fn kinds(app: &App) -> Vec<RevisionKind> {
    let shown = history::show(app, &ID.parse().unwrap()).await.unwrap();
    shown.revisions.iter().map(|revision| revision.kind).collect()
}

async fn text(app: &App) -> String {
    let file = publication::file(app, &MARKDOWN.parse().unwrap()).await.unwrap();
    String::from_utf8(file.body).unwrap()
}

#[tokio::test]
async fn killed_around_the_details_and_started_again_they_are_published_once() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    hold_back(&app, &armed).await;
    go_to(&app, at(INSTANT)).await;
    assert_eq!(armed.view(&app).await.summary.state, "done");
    drop(app);
    house.save();
    for point in ["details:publishing", "details:published"] {
        house.restore();
        mail.clear();
        assert_eq!(child_at(&house, FOLLOWS, point).await, Some(9), "nothing passed {point}");
        let app = house.open(FOLLOWS).await;
        settle(&app).await;
        assert_eq!(kinds(&app).await, [RevisionKind::Published, RevisionKind::Details], "{point}");
        assert!(text(&app).await.contains(SECRET), "{point}");
        go_to(&app, at(FOLLOWS) + SignedDuration::from_hours(1)).await;
        assert_eq!(kinds(&app).await.len(), 2, "{point}");
        house.is_public(&app, &armed).await;
        assert_eq!(mail.ids(NEWS).len(), 3, "a reporter and two members, once: {point}");
        drop(app);
    }
}

#[tokio::test]
async fn details_of_a_postponed_release_follow_as_long_after_it() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    hold_back(&app, &armed).await;
    let later = at(INSTANT) + SignedDuration::from_hours(48);
    release::postpone(&app, &armed.team.alice, &armed.release, later).await.unwrap();
    go_to(&app, later).await;
    house.is_public(&app, &armed).await;
    go_to(&app, at(FOLLOWS) + SignedDuration::from_hours(47)).await;
    assert_eq!(kinds(&app).await, [RevisionKind::Published]);
    let due = at(FOLLOWS) + SignedDuration::from_hours(48);
    let follows = armed.view(&app).await.details.unwrap().advisories[0].follows_at.clone();
    assert_eq!(follows, Some(due.to_string()));
    go_to(&app, due).await;
    assert_eq!(kinds(&app).await, [RevisionKind::Published, RevisionKind::Details]);
    assert!(text(&app).await.contains(&format!("- Changed: {due}")), "what is published then is not dated before");
}

#[tokio::test]
async fn details_of_a_release_that_is_disclosed_now_follow_as_long_after_it() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    hold_back(&app, &armed).await;
    let decided = at(INSTANT) - SignedDuration::from_hours(1);
    app.clock.set(decided);
    for person in [&armed.team.alice, &armed.team.bob] {
        haste::disclose_now(&app, person, &armed.release).await.unwrap();
    }
    settle(&app).await;
    house.is_public(&app, &armed).await;
    let due = at(FOLLOWS) - SignedDuration::from_hours(1);
    assert!(text(&app).await.contains(&format!("follow on {due}")) && !text(&app).await.contains(SECRET));
    go_to(&app, due).await;
    assert!(text(&app).await.contains(SECRET) && text(&app).await.contains(&format!("- Changed: {due}")));
    assert_eq!(kinds(&app).await, [RevisionKind::Published, RevisionKind::Details]);
}

/// Bad luck: a disk that lost a bit of what was kept.
#[tokio::test]
async fn details_that_cannot_be_published_call_a_person_and_follow_once_they_can() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    hold_back(&app, &armed).await;
    go_to(&app, at(INSTANT)).await;
    let file = house.root().join("data/embargo.db");
    let damage = async |statement: &'static str| {
        let mut live = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        sqlx::query(statement).execute(&mut live).await.unwrap();
        live.close().await.unwrap();
    };
    damage("create table kept as select * from details_document").await;
    damage("update details_document set sha256 = zeroblob(32)").await;
    mail.clear();
    go_to(&app, at(FOLLOWS)).await;
    go_to(&app, at(FOLLOWS) + SignedDuration::from_mins(5)).await;
    assert_eq!(kinds(&app).await, [RevisionKind::Published]);
    let view = advisory::show(&app, &armed.team.alice, &armed.cases[0]).await.unwrap();
    let stands = view.public.unwrap().details.unwrap();
    assert!(stands.attempts > 1 && stands.note.contains("see its log"), "{stands:?}");
    assert_eq!(mail.ids(CALL).len(), 2, "both managers are called, once");
    damage("update details_document set sha256 = (select sha256 from kept where kept.path = details_document.path)")
        .await;
    damage("drop table kept").await;
    go_to(&app, at(FOLLOWS) + SignedDuration::from_mins(30)).await;
    assert_eq!(kinds(&app).await, [RevisionKind::Published, RevisionKind::Details]);
    assert!(text(&app).await.contains(SECRET));
}
