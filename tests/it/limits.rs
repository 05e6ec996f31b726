//! Strangers who ask too often: told how long to wait, at every door, and nobody else is.
//!
//! Attack: floods of reports, guesses at claim codes and at sign-ins, from one address and from many.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;

use embargo::config::{Config, Limits};
use embargo::domain::access::Role;
use jiff::SignedDuration;
use reqwest::multipart::{Form, Part};

use crate::support::client::{Answer, Caller, Sent};
use crate::support::server::TestApp;
use crate::support::site::Site;

const REPORTS: &str = "/api/v1/projects/sample/reports";
const CLAIM: &str = "/api/v1/report/claim";
const BODY: &str = r#"{"title":"Sample","text":"A sample.","severity":"unsaid","credit":{"credit":"anonymous"}}"#;

/// A server with the limits that are the default, and a team that reports can be encrypted to.
async fn counted(change: impl FnOnce(&mut Config)) -> TestApp {
    let mut site = Site::with_project().await;
    site.configure(|config| {
        config.limits = Limits::default();
        change(config);
    });
    let test = TestApp::on(site).await;
    test.member("manager", Role::ReleaseManager).await;
    test.settle().await;
    test
}

/// Asks as a proxy says somebody at this address does.
async fn ask_from(test: &TestApp, address: &str, path: &str, body: &str) -> Answer {
    let request = test.request(&Caller::anonymous(), "POST", path, &Sent::Json(body.to_owned()));
    Answer::of(request.header("X-Forwarded-For", address).send().await.unwrap()).await
}

/// Checks that an answer of the API says that it was too often and how long to wait; returns the seconds.
fn waits(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{answer:?}");
    let header = |name: &str| answer.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    assert_eq!(header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:embargo:problem:too-often");
    assert!(problem["detail"].as_str().unwrap().contains("try again in"), "{problem}");
    header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_reports_at_once_from_one_address_ten_are_taken() {
    let test = counted(|_| {}).await;
    // Whom a client says it speaks for is not believed: no proxy is trusted here.
    let addresses: Vec<_> = (0..60).map(|number| format!("192.0.2.{number}")).collect();
    let asks = addresses.iter().map(|address| ask_from(&test, address, REPORTS, BODY));
    let answers = futures_util::future::join_all(asks).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 201).map(waits).collect();
    assert_eq!(refused, [360; 50]);
    test.advance(SignedDuration::from_secs(359));
    assert_eq!(waits(&ask_from(&test, "", REPORTS, BODY).await), 1);
    test.advance(SignedDuration::from_secs(1));
    assert_eq!(ask_from(&test, "", REPORTS, BODY).await.status, 201);
    test.settle().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_address_counts_and_the_project_bounds_them_all() {
    let test = counted(|config| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    let one = "203.0.113.77";
    for _ in 0..10 {
        assert_eq!(ask_from(&test, one, REPORTS, BODY).await.status, 201);
    }
    waits(&ask_from(&test, one, REPORTS, BODY).await);
    // What stands before the hop that the proxy saw is the client's own invention.
    waits(&ask_from(&test, &format!("198.51.100.1, {one}"), REPORTS, BODY).await);
    let mut taken = 9;
    for number in 0..60 {
        // Whoever has sent none lately is heard, whatever others send; from the second on the project's bound counts.
        let address = format!("2001:db8:0:{number:x}::1");
        assert_eq!(ask_from(&test, &address, REPORTS, BODY).await.status, 201);
        let answer = ask_from(&test, &address, REPORTS, BODY).await;
        if answer.status == 201 {
            taken += 1;
        } else {
            assert_eq!(waits(&answer), 60);
        }
    }
    assert_eq!(taken, 60);
    test.settle().await;
    let mut found = Vec::new();
    holds(&test.site.config().data, one, &mut found);
    assert!(found.is_empty(), "an address was stored: {found:?}");
}

#[tokio::test]
async fn a_form_that_comes_too_often_comes_back_filled_in() {
    let test = counted(|config| {
        config.limits.reports_per_hour = toml::Value::Integer(1).try_into().unwrap();
    })
    .await;
    let send = || {
        let text = "\nFirst <line>\nsecond";
        let form = Form::new().text("title", "A \"quoted\" title").text("text", text).text("versions", "1.0");
        let form = form.text("severity", "high").text("credit", "named").text("credit_name", "Sample Reporter");
        let form = form.text("contact", "reporter@example.org");
        // More than the connection holds: the answer must not be lost with it.
        let form = form.part("file", Part::bytes(vec![7; 4 << 20]).file_name("proof.bin"));
        let request = test.request(&Caller::anonymous(), "POST", "/report/sample", &Sent::Nothing);
        request.header("Origin", test.url("")).multipart(form).send()
    };
    assert_eq!(send().await.unwrap().status(), 201);
    let answer = Answer::of(send().await.unwrap()).await;
    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains(&("retry-after".to_owned(), "3600".to_owned())), "{:?}", answer.headers);
    for part in [
        "try again in 60 minutes.",
        "A &quot;quoted&quot; title",
        ">\n\nFirst &lt;line&gt;\nsecond</textarea>",
        "value=\"1.0\"",
        "value=\"high\" selected",
        "value=\"named\" checked",
        "value=\"Sample Reporter\"",
        "value=\"reporter@example.org\"",
    ] {
        assert!(answer.body.contains(part), "{part}\n{}", answer.body);
    }
    test.settle().await;
}

#[tokio::test]
async fn guesses_at_claim_codes_come_to_an_end() {
    let test = counted(|_| {}).await;
    let (_, receipt) = test.report().await;
    let code = |code: &str| serde_json::json!({ "claim_code": code }).to_string();
    for _ in 0..29 {
        assert_eq!(ask_from(&test, "", CLAIM, &code("AAAAA")).await.status, 422);
    }
    assert_eq!(ask_from(&test, "", CLAIM, &code(&receipt.claim_code)).await.status, 201);
    // The right code is told no more than a wrong one.
    for guess in ["AAAAA", &receipt.claim_code] {
        assert_eq!(waits(&ask_from(&test, "", CLAIM, &code(guess)).await), 120);
        let form = Sent::Form(format!("code={guess}"));
        let page = test.ask(&Caller::anonymous(), "POST", "/r/", &form).await;
        assert_eq!(page.status, 429);
        assert!(page.body.contains("try again in 2 minutes."), "{}", page.body);
        assert!(!page.body.contains(guess) && page.headers.contains(&("retry-after".to_owned(), "120".to_owned())));
    }
    test.settle().await;
}

#[tokio::test]
async fn sign_ins_by_key_and_by_code_share_a_count() {
    let test = counted(|_| {}).await;
    for _ in 0..119 {
        assert_eq!(ask_from(&test, "", "/api/v1/sign-in/challenge", "").await.status, 201);
    }
    let code = Sent::Form("code=embl_x".to_owned());
    assert_ne!(test.ask(&Caller::anonymous(), "POST", "/sign-in", &code).await.status, 429);
    assert_eq!(waits(&ask_from(&test, "", "/api/v1/sign-in/challenge", "").await), 30);
    let page = test.ask(&Caller::anonymous(), "POST", "/sign-in", &code).await;
    assert!(page.status == 429 && page.body.contains("try again in 30 seconds."), "{page:?}");
}

#[tokio::test]
async fn a_reporter_who_sends_file_after_file_waits_and_a_member_does_not() {
    let test = counted(|config| config.limits.files_per_hour = toml::Value::Integer(2).try_into().unwrap()).await;
    let (_, receipt) = test.report().await;
    let (reporter, member) = (test.visit(&receipt.visit).await, test.sign_in("manager").await);
    let upload = "/api/v1/report/attachments";
    for _ in 0..2 {
        assert_eq!(test.ask(&reporter, "POST", upload, &Sent::file("text/plain", "A sample.")).await.status, 201);
    }
    waits(&test.ask(&reporter, "POST", upload, &Sent::file("text/plain", "A sample.")).await);
    let page = test.ask(&reporter, "POST", "/r/attachments", &Sent::File).await;
    assert!(page.status == 429 && page.body.contains("try again in 30 minutes."), "{page:?}");
    let desk = format!("/api/v1/cases/{}/attachments", receipt.case);
    for _ in 0..3 {
        assert_eq!(test.ask(&member, "POST", &desk, &Sent::file("text/plain", "A sample.")).await.status, 201);
    }
    test.settle().await;
}

/// Looks for a text in every file of a folder.
fn holds(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            holds(&path, text, found);
        } else if path.is_file()
            && std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
}
