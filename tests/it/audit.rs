//! The chain of events: whatever is changed, opened, cloned or pushed leaves a line with who did it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;

use embargo::domain::access::Role;
use embargo::store::event::{Verified, verify};
use sqlx::{Connection as _, SqliteConnection};

use crate::support::client::Sent;
use crate::support::server::TestApp;

/// Reads the kinds of the events since a place in the chain, each with who caused it.
async fn since(test: &TestApp, seq: i64) -> (i64, BTreeSet<(String, String)>) {
    let file = test.site.config().data.join("embargo.db");
    let mut rows = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let told: Vec<(i64, String, String)> = sqlx::query_as("select seq, kind, actor_kind from event where seq > ?")
        .bind(seq)
        .fetch_all(&mut rows)
        .await
        .unwrap();
    rows.close().await.unwrap();
    let last = told.iter().map(|(seq, _, _)| *seq).max().unwrap_or(seq);
    (last, told.into_iter().map(|(_, kind, actor)| (kind, actor)).collect())
}

fn person(kind: &str) -> (String, String) {
    (kind.to_owned(), "person".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_read_or_changed_is_written_down_with_who_did_it() {
    let test = TestApp::start().await;
    let (manager, caller) = test.at_the_door("manager", Role::ReleaseManager).await;
    let case = test.accepted_case(&manager).await;
    let git = test.git(&manager).await;
    let (clone, path) = (test.site.path().join("clone"), format!("/api/v1/cases/{case}"));
    let (mut at, _) = since(&test, 0).await;
    let mut told = async |kinds: &[&str]| {
        let (last, events) = since(&test, at).await;
        at = last;
        for kind in kinds {
            assert!(events.contains(&person(kind)), "{kind} is not in {events:?}");
        }
    };

    git.succeed(test.site.path(), &["clone", "-q", &test.remote(&case), "clone"]).await;
    told(&["git.read"]).await;
    git.commit(&clone, "sample.c", "mended\n").await;
    git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    told(&["push.intended"]).await;
    git.fail(&clone, &["push", "-q", "origin", "HEAD:refs/heads/other"]).await;
    told(&["push.refused"]).await;
    test.settle().await;
    assert_eq!(test.ask(&caller, "GET", &path, &Sent::Nothing).await.status, 200);
    told(&["seal.opened"]).await;
    assert_eq!(test.ask(&caller, "GET", &format!("/cases/{case}"), &Sent::Nothing).await.status, 200);
    told(&["seal.opened"]).await;
    let note = Sent::Json(r#"{"to":"team","text":"A note."}"#.to_owned());
    assert_eq!(test.ask(&caller, "POST", &format!("{path}/messages"), &note).await.status, 204);
    told(&["message.written"]).await;
    let file = Sent::file("application/octet-stream", "A sample.");
    let stored = test.ask(&caller, "POST", &format!("{path}/attachments"), &file).await.json();
    told(&["attachment.stored"]).await;
    let fetch = format!("{path}/attachments/{}", stored["id"].as_str().unwrap());
    assert_eq!(test.ask(&caller, "GET", &fetch, &Sent::Nothing).await.status, 200);
    told(&["attachment.fetched"]).await;
    let date = Sent::Json(r#"{"act":"propose","at":"2026-03-01T12:00:00Z"}"#.to_owned());
    assert_eq!(test.ask(&caller, "POST", &format!("{path}/date"), &date).await.status, 204);
    told(&["date.moved"]).await;
    assert_eq!(test.ask(&caller, "POST", &format!("{path}/defer"), &Sent::Nothing).await.status, 204);
    told(&["case.moved"]).await;

    test.settle().await;
    let chain = verify(&mut test.app.read().await.unwrap()).await.unwrap();
    assert!(matches!(chain, Verified::Intact { .. }));
}

/// Attack, or bad luck: nothing can be written into the chain, and somebody reads in the meantime.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_down_is_not_read_either() {
    let test = TestApp::start().await;
    let (manager, caller) = test.at_the_door("manager", Role::ReleaseManager).await;
    let case = test.accepted_case(&manager).await;
    let git = test.git(&manager).await;
    let file = test.site.config().data.join("embargo.db");
    let sql = async |statement: &'static str| {
        let mut rows = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        sqlx::query(statement).execute(&mut rows).await.unwrap();
        rows.close().await.unwrap();
    };
    let api = format!("/api/v1/cases/{case}");
    let title = test.ask(&caller, "GET", &api, &Sent::Nothing).await.json()["title"].as_str().unwrap().to_owned();
    sql("create trigger silence before insert on event begin select raise(abort, 'no'); end").await;
    for path in [api.clone(), format!("/cases/{case}"), format!("{api}/history")] {
        let answer = test.ask(&caller, "GET", &path, &Sent::Nothing).await;
        assert!(answer.status >= 500, "{path}: {}", answer.status);
        assert!(!answer.body.contains(&title), "{path}");
    }
    git.fail(test.site.path(), &["clone", "-q", &test.remote(&case), "clone"]).await;
    sql("drop trigger silence").await;
    assert_eq!(test.ask(&caller, "GET", &api, &Sent::Nothing).await.status, 200);
}
