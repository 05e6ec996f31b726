//! A report from outside: taken only when somebody could read what comes with it, and followed without an address.

use embargo::domain::access::Role;

use crate::support::client::{Caller, Sent};
use crate::support::server::TestApp;

const REPORTS: &str = "/api/v1/projects/sample/reports";

fn report() -> Sent {
    Sent::Json(
        r#"{"title":"Sample overflow","text":"It overflows.","severity":"high","credit":{"credit":"unnamed"}}"#.into(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_whose_team_has_no_key_takes_no_report_and_says_so() {
    let test = TestApp::start().await;
    let nobody = Caller::anonymous();
    let sentence = "This project cannot take reports yet";
    let refused = test.ask(&nobody, "POST", REPORTS, &report()).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.body.contains(sentence), "{refused:?}");
    let intake = test.ask(&nobody, "GET", "/api/v1/projects/sample/intake", &Sent::Nothing).await.json();
    assert!(intake["refused"].as_str().unwrap().starts_with(sentence), "{intake}");
    let form = test.ask(&nobody, "GET", "/report/sample", &Sent::Nothing).await;
    assert!(form.body.contains(sentence) && !form.body.contains("<textarea"), "{}", form.body);
    assert!(test.mails().is_empty());
    // With a member who has a key, it does.
    let (_, manager) = test.at_the_door("manager", Role::ReleaseManager).await;
    assert_eq!(test.ask(&nobody, "POST", REPORTS, &report()).await.status, 201);
    let cases = test.ask(&manager, "GET", "/api/v1/cases", &Sent::Nothing).await.json();
    assert_eq!(cases.as_array().unwrap().len(), 1, "{cases}");
    test.settle().await;
}

/// Attack: reading a reporter's news, or what it is about, in the feed of somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_reporter_who_left_no_address_hears_by_a_secret_feed_that_there_is_news() {
    let test = TestApp::start().await;
    let (_, manager) = test.at_the_door("manager", Role::ReleaseManager).await;
    let nobody = Caller::anonymous();
    let receipt = test.ask(&nobody, "POST", REPORTS, &report()).await.json();
    test.settle().await;
    let feed = receipt["feed"].as_str().unwrap().strip_prefix(&test.url("")).unwrap().to_owned();
    let read = async || test.ask(&nobody, "GET", &feed, &Sent::Nothing).await;
    let before = read().await;
    assert_eq!((before.status, before.body.matches("<entry>").count()), (200, 1), "{before:?}");
    test.advance(jiff::SignedDuration::from_hours(1));
    let path = format!("/api/v1/cases/{}", receipt["case"].as_str().unwrap());
    let message = Sent::Json(r#"{"to":"reporter","text":"Which version?"}"#.to_owned());
    assert_eq!(test.ask(&manager, "POST", &format!("{path}/messages"), &message).await.status, 204);
    test.advance(jiff::SignedDuration::from_hours(1));
    let note = Sent::Json(r#"{"to":"team","text":"A note of our own."}"#.to_owned());
    assert_eq!(test.ask(&manager, "POST", &format!("{path}/messages"), &note).await.status, 204);
    test.settle().await;
    let after = read().await;
    assert_eq!(after.body.matches("<entry>").count(), 2, "what the team tells itself is no news: {after:?}");
    for word in ["overflow", "Which", "SAMPLE-1", "note", "manager"] {
        assert!(!after.body.contains(word), "{word} is in {after:?}");
    }
    let (other, _) = feed.rsplit_once('/').unwrap();
    let made_up = format!("{other}/{}", embargo::crypto::token::mint(embargo::crypto::token::Kind::Feed).expose());
    let wrong = test.ask(&nobody, "GET", &made_up, &Sent::Nothing).await;
    assert_eq!(wrong.status, 404);
    assert_eq!(wrong, test.ask(&nobody, "GET", "/r/feed/x", &Sent::Nothing).await);
    assert!(test.mails().iter().all(|mail| mail.to.as_str() == "manager@example.org"), "{:?}", test.mails());
}
