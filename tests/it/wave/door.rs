//! The door of who was told: a code in a form, and one answer to every code that opens nothing.

use std::sync::Arc;

use embargo::app::App;
use embargo::http;
use embargo::workflow::release;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Scene, before_due, go_to, set, settle};

/// Opens the doors of a house; they close when the token is dropped.
async fn doors(app: &Arc<App>) -> tokio_util::sync::DropGuard {
    let listener = TcpListener::bind(app.config.listen).await.unwrap();
    let stop = CancellationToken::new();
    TaskTracker::new().spawn(http::serve(Arc::clone(app), listener, stop.clone()));
    stop.drop_guard()
}

/// Posts a form as the page does.
async fn post(app: &App, path: &str, fields: &[(&str, &str)]) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let answer = client
        .post(app.url(path))
        .header("origin", app.config.base_url.as_str())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.join("&"))
        .send()
        .await
        .unwrap();
    let headers = answer.headers().iter().filter(|(name, _)| *name != "date");
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (answer.status().as_u16(), headers, answer.bytes().await.unwrap().to_vec())
}

/// Attack: holding a link that is over beside one that never was, for any byte that differs.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_over_cannot_be_told_from_one_that_never_was() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    let _doors = doors(&app).await;
    set(&app, &frozen, "distros", "patches", "7d").await.unwrap();
    go_to(&app, before_due(6 * 24)).await;
    let over = scene.code("one");
    let (status, headers, page) = post(&app, "/w/", &[("code", over.expose())]).await;
    assert_eq!(status, 200);
    assert!(headers.contains(&("cache-control".to_owned(), "no-store".to_owned())), "{headers:?}");
    assert!(!headers.iter().any(|(name, _)| name == "set-cookie" || name == "location"));
    let page = String::from_utf8(page).unwrap();
    for secret in ["DEMO-1", "Crafted", "vendors", "Sample two", "Sample three"] {
        assert!(!page.contains(secret), "{secret}");
    }
    let (status, headers, copy) = post(&app, "/w/copy", &[("code", over.expose())]).await;
    assert!(status == 200 && copy.starts_with(b"age-encryption.org/v1\n"), "{status} {headers:?}");
    let fields =
        [("code", over.expose()), ("answer", "affected"), ("advisory", "DEMO-2027-0001"), ("remark", "We+ship+1.x")];
    let (_, _, answered) = post(&app, "/w/answer", &fields).await;
    assert!(String::from_utf8(answered).unwrap().contains("We ship 1.x"));

    release::reopen(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    settle(&app).await;
    let never = embargo::crypto::token::mint(embargo::crypto::token::Kind::Wave);
    for path in ["/w/", "/w/acknowledge", "/w/copy", "/w/answer"] {
        let ask = |code: String| {
            let app = &app;
            async move { post(app, path, &[("code", &code), ("answer", "unknown"), ("advisory", "DEMO-2027-0001")]).await }
        };
        let was = ask(over.expose().to_owned()).await;
        assert_eq!(was.0, 404, "{path}");
        for other in [never.expose(), "embw_x", "", "%20"] {
            assert_eq!(ask(other.to_owned()).await, was, "{path}: {other:?}");
        }
    }
}

/// Attack: a form of another site, and a code in an address.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_opens_nothing_but_by_this_sites_own_form() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    let _doors = doors(&app).await;
    set(&app, &frozen, "distros", "date", "7d").await.unwrap();
    go_to(&app, before_due(6 * 24)).await;
    let code = scene.code("one");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let foreign = client.post(app.url("/w/acknowledge")).header("origin", "https://elsewhere.example.org");
    let foreign =
        foreign.header("content-type", "application/x-www-form-urlencoded").body(format!("code={}", code.expose()));
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    let plain = client.get(app.url(&format!("/w/?code={}", code.expose()))).send().await.unwrap().text().await.unwrap();
    assert!(!plain.contains(code.expose()) && !plain.contains("Demo"), "{plain}");
    let api =
        client.post(app.url("/api/v1/told")).json(&serde_json::json!({ "code": code.expose() })).send().await.unwrap();
    let view: serde_json::Value = api.json().await.unwrap();
    assert_eq!((view["project"].as_str(), view["acknowledged_at"].as_str()), (Some("Demo"), None));
}
