//! A mail server that is down during a whole release: what is public does not wait for it, and its mail is not lost.

use embargo::wire::release::EffectView;
use embargo::workflow::project;
use jiff::SignedDuration;

use super::{CALL, House, INSTANT, PLANNED, PUBLIC, SINGLE, at, go_to};
use crate::support::house::Frozen;
use crate::support::mail::MailServer;

/// Reads what the release's page says about its mails.
async fn told(app: &embargo::app::App, armed: &Frozen) -> Vec<EffectView> {
    let effects = armed.view(app).await.effects;
    effects.into_iter().filter(|effect| effect.phase == "notify_public").collect()
}

#[tokio::test]
async fn a_mail_server_that_is_down_holds_no_release_and_gets_its_mail_when_it_is_back() {
    let mut mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    mail.clear();
    mail.go_down().await;

    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.done_at), ("done", Some(INSTANT.to_owned())));
    // Whoever plans the next release reads of it on the project's page.
    let page = async || project::show(&app, &armed.team.alice, &"demo".parse().unwrap()).await.unwrap().mail_trouble;
    assert!(page().await.unwrap().starts_with("Mail does not get out since 2027-01-15 12:00 UTC"));
    for effect in told(&app, &armed).await {
        assert_eq!(effect.state, "pending", "{effect:?}");
        assert_eq!(effect.note, "The mail server did not take it yet, after 1 try: it is tried again by itself.");
    }
    assert!(!app.mail_way.close(app.clock.now()), "an outage is noticed once");
    for minute in 1..=5 {
        go_to(&app, at(INSTANT) + SignedDuration::from_mins(minute)).await;
    }
    assert!(told(&app, &armed).await.iter().all(|effect| effect.note.contains("tries")), "they are tried again");

    mail.come_back().await;
    assert!(mail.ids(PUBLIC).is_empty());
    go_to(&app, at(INSTANT) + SignedDuration::from_hours(1)).await;
    assert_eq!(page().await, None, "and once it is over, it is over");
    let ids = mail.ids(PUBLIC);
    assert_eq!(ids.len(), 3, "reporter and two members: {ids:?}");
    assert!(mail.ids(CALL).is_empty(), "nobody had to be called");
    // Whoever sees the members of the case reads who was told.
    let mut named: Vec<_> = told(&app, &armed).await.into_iter().map(|effect| effect.target).collect();
    named.sort();
    assert_eq!(named, ["@alice of DEMO-1", "@bob of DEMO-1", "the reporter of DEMO-1"]);
    for effect in told(&app, &armed).await {
        assert_eq!(effect.state, "done");
        assert!(effect.note.starts_with("Taken by the mail server"), "{effect:?}");
    }
    go_to(&app, at(INSTANT) + SignedDuration::from_hours(3)).await;
    assert_eq!(mail.ids(PUBLIC), ids, "and nothing twice");
}

#[tokio::test]
async fn mail_that_is_given_up_is_told_on_the_page() {
    let mut mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    mail.go_down().await;
    for half in 0..60 {
        go_to(&app, at(INSTANT) + SignedDuration::from_mins(half * 30)).await;
    }
    for effect in told(&app, &armed).await {
        assert_eq!(effect.state, "failed");
        assert!(effect.note.contains("Given up") && effect.note.contains("some other way"), "{effect:?}");
    }
    assert_eq!(armed.view(&app).await.summary.state, "done");
}
