//! The desk, through the API: a case from report to close, the date, who reads which message, and who is gone.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use embargo::domain::access::{Consent, Role};
use embargo::domain::actor::Scope;
use embargo::domain::id::CaseId;
use embargo::store::Store;
use embargo::store::event::{Verified, verify};
use embargo::workflow::case::{self, Act};
use embargo::workflow::check;
use futures_util::StreamExt as _;
use sqlx::{Connection as _, SqliteConnection};

use crate::support::client::{Answer, Caller, Sent};
use crate::support::git::Git;
use crate::support::server::{TestApp, signed_in};

/// A case with its path at the API.
struct Desk {
    test: TestApp,
    case: CaseId,
    path: String,
    manager: Caller,
    reporter: Caller,
}

impl Desk {
    async fn open() -> Self {
        let test = TestApp::start().await;
        let (_, manager) = test.at_the_door("manager", Role::ReleaseManager).await;
        let (_, receipt) = test.report().await;
        let reporter = test.visit(&receipt.visit).await;
        let path = format!("/api/v1/cases/{}", receipt.case);
        Self { case: receipt.case.parse().unwrap(), path, test, manager, reporter }
    }

    async fn post(&self, by: &Caller, act: &str, json: &str) -> Answer {
        let sent = if json.is_empty() { Sent::Nothing } else { Sent::Json(json.to_owned()) };
        self.test.ask(by, "POST", &format!("{}/{act}", self.path), &sent).await
    }

    /// Does something as the release manager; returns the status.
    async fn act(&self, act: &str, json: &str) -> u16 {
        self.post(&self.manager, act, json).await.status
    }

    async fn view(&self, by: &Caller) -> serde_json::Value {
        self.test.ask(by, "GET", &self.path, &Sent::Nothing).await.json()
    }

    /// Returns the reporter's page.
    async fn page(&self) -> serde_json::Value {
        self.test.ask(&self.reporter, "GET", "/api/v1/report", &Sent::Nothing).await.json()
    }

    async fn report(&self, part: &str, json: &str) -> u16 {
        let path = format!("/api/v1/report/{part}");
        self.test.ask(&self.reporter, "POST", &path, &Sent::Json(json.to_owned())).await.status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_goes_from_received_to_closed_and_takes_no_short_cut() {
    let desk = Desk::open().await;
    assert_eq!(desk.page().await["state"], "Received.");
    for (act, json, status) in [
        ("close", r#"{"verdict":"valid"}"#, 409),
        ("defer", "", 409),
        ("acknowledge", "", 204),
        ("acknowledge", "", 409),
        ("validate", "", 204),
        ("validate", "", 409),
        ("invalidate", "", 409),
        ("close", r#"{"verdict":"spam"}"#, 409),
        ("accept", "", 204),
        ("accept", "", 409),
        ("close", r#"{"verdict":"valid"}"#, 409),
        ("defer", "", 204),
        ("close", r#"{"verdict":"invalid"}"#, 409),
        ("close", r#"{"verdict":"nonsense"}"#, 422),
        ("close", r#"{"verdict":"duplicate"}"#, 204),
        ("accept", "", 409),
    ] {
        assert_eq!(desk.act(act, json).await, status, "{act} {json}");
    }
    let view = desk.view(&desk.manager).await;
    assert_eq!(view["state"], "closed");
    assert_eq!(view["verdict"], "duplicate");
    assert_eq!(desk.page().await["state"], "Closed.");
    let late = Sent::file("application/octet-stream", "late");
    assert_eq!(desk.test.ask(&desk.reporter, "POST", "/api/v1/report/attachments", &late).await.status, 409);
    desk.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_vulnerability_is_closed_as_that_and_can_be_looked_at_again() {
    let desk = Desk::open().await;
    assert_eq!(desk.act("invalidate", "").await, 204);
    let page = desk.page().await;
    assert_eq!(page["state"], "Not seen as a vulnerability.");
    assert_eq!(desk.report("reply", r#"{"text":"Look at the length again."}"#).await, 204);
    assert_eq!(desk.act("validate", "").await, 204);
    assert_eq!(desk.act("defer", "").await, 204);
    assert_eq!(desk.act("close", r#"{"verdict":"valid"}"#).await, 204);
    assert!(desk.view(&desk.manager).await["acknowledged_at"].is_string(), "deciding is an answer");
    desk.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_needs_both_sides() {
    let desk = Desk::open().await;
    let default = desk.page().await["date"].clone();
    assert_eq!(default, "2026-04-01T12:00:00Z", "the project's ninety days hold until somebody proposes");
    let propose = |at: &str| format!(r#"{{"act":"propose","at":"{at}"}}"#);
    let (accept, reject, terminate) = (r#"{"act":"accept"}"#, r#"{"act":"reject"}"#, r#"{"act":"terminate"}"#);

    // The reporter proposes, the team agrees; nobody agrees with themselves.
    assert_eq!(desk.report("date", &propose("2026-03-01T12:00:00Z")).await, 204);
    assert_eq!(desk.report("date", accept).await, 409);
    assert_eq!(desk.view(&desk.manager).await["date_proposed"][1], "reporter");
    assert_eq!(desk.page().await["date_proposed_by_you"], "2026-03-01T12:00:00Z");
    assert_eq!(desk.page().await["date"], default);
    assert_eq!(desk.act("date", accept).await, 204);
    assert_eq!(desk.page().await["date"], "2026-03-01T12:00:00Z");

    // The team proposes, the reporter says no, then yes.
    assert_eq!(desk.act("date", &propose("2026-05-01T12:00:00Z")).await, 204);
    assert_eq!(desk.act("date", accept).await, 409);
    assert_eq!(desk.report("date", reject).await, 204);
    assert_eq!(desk.page().await["date"], "2026-03-01T12:00:00Z", "an agreed date outlives a rejected proposal");
    assert_eq!(desk.act("date", &propose("2026-03-08T12:00:00Z")).await, 204);
    assert_eq!(desk.report("date", accept).await, 204);
    assert_eq!(desk.view(&desk.manager).await["date"], "2026-03-08T12:00:00Z");

    assert_eq!(desk.act("date", &propose("2025-12-31T12:00:00Z")).await, 422);
    assert_eq!(desk.act("date", r#"{"act":"propose"}"#).await, 422);
    assert_eq!(desk.report("date", terminate).await, 403);
    assert_eq!(desk.act("date", terminate).await, 204);
    assert_eq!(desk.act("date", &propose("2026-06-01T12:00:00Z")).await, 409);
    desk.test.settle().await;
}

/// Attack: a reporter or a guest reads on their page what the team tells itself.
#[tokio::test(flavor = "multi_thread")]
async fn each_message_reaches_those_it_is_for() {
    let desk = Desk::open().await;
    let guest = desk.test.person("guest").await;
    assert_eq!(desk.act("members", r#"{"handle":"guest","role":"guest"}"#).await, 204);
    case::join(&desk.test.app, &signed_in(guest), &desk.case, Consent::Signatory).await.unwrap();
    let guest = desk.test.sign_in("guest").await;
    let (_, another) = desk.test.report().await;
    let another = desk.test.visit(&another.visit).await;
    for (to, text) in [("team", "for the team"), ("reporter", "for the reporter"), ("all", "for all of us")] {
        assert_eq!(desk.act("messages", &format!(r#"{{"to":"{to}","text":"{text}"}}"#)).await, 204);
    }
    assert_eq!(desk.report("reply", r#"{"text":"from the reporter"}"#).await, 204);
    let texts = |view: serde_json::Value| -> Vec<String> {
        let thread = view["thread"].as_array().unwrap().clone();
        let mut texts: Vec<_> = thread.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect();
        texts.sort();
        texts
    };
    let everything = ["for all of us", "for the reporter", "for the team", "from the reporter"];
    assert_eq!(texts(desk.view(&desk.manager).await), everything);
    assert_eq!(texts(desk.page().await), ["for all of us", "for the reporter", "from the reporter"]);
    assert_eq!(texts(desk.view(&guest).await), ["for all of us"]);
    let elsewhere = desk.test.ask(&another, "GET", "/api/v1/report", &Sent::Nothing).await;
    assert!(texts(elsewhere.json()).is_empty());
    // A reporter has a page of their own: the desk, with its members' names, is not theirs.
    assert_eq!(desk.test.ask(&desk.reporter, "GET", &desk.path, &Sent::Nothing).await.status, 404);
    assert_ne!(desk.post(&desk.reporter, "messages", r#"{"to":"team","text":"let me in"}"#).await.status, 204);
    desk.test.settle().await;
}

/// Attack: a triager invites the release manager anew, as a guest or an equal, and has the case to themselves.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_down_a_seat_above_their_own_by_inviting() {
    let test = TestApp::start().await;
    let (_, manager) = test.at_the_door("manager", Role::ReleaseManager).await;
    let (triager, _) = test.at_the_door("triager", Role::Triager).await;
    let (_, receipt) = test.report().await;
    let case: CaseId = receipt.case.parse().unwrap();
    let handle = "manager".parse().unwrap();
    for role in [Role::Guest, Role::Triager] {
        assert!(case::invite(&test.app, &triager, &case, &handle, role).await.is_err(), "{role}");
    }
    assert!(case::remove(&test.app, &triager, &case, &handle).await.is_err());
    let path = format!("/api/v1/cases/{case}");
    assert_eq!(test.ask(&manager, "GET", &path, &Sent::Nothing).await.json()["role"], "release_manager");
    test.settle().await;
}

/// Attack: somebody who was put out keeps what they had open: session, token, clone, a stream of events.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_is_out_at_once_everywhere() {
    let desk = Desk::open().await;
    let (fixer, caller) = desk.test.at_the_door("fixer", Role::Fixer).await;
    assert_eq!(desk.act("members", r#"{"handle":"fixer","role":"fixer"}"#).await, 204);
    assert_eq!(desk.act("accept", "").await, 204);
    desk.test.settle().await;
    let every = [Scope::ApiRead, Scope::ApiWrite, Scope::GitRead, Scope::GitWrite];
    let token = desk.test.token(&fixer, &every, Some(&desk.case)).await;
    let git = token.git();
    let clone = desk.test.site.path().join("clone");
    git.succeed(desk.test.site.path(), &["clone", "-q", &desk.test.remote(&desk.case), "clone"]).await;
    git.commit(&clone, "sample.c", "fixed\n").await;
    git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    let run = check::list(&desk.test.app, &fixer, &desk.case).await.unwrap()[0].id.clone();
    let events = desk.test.request(&caller, "GET", &format!("/api/v1/checks/{run}/events"), &Sent::Nothing);
    let mut events = events.send().await.unwrap().bytes_stream();
    assert!(String::from_utf8_lossy(&events.next().await.unwrap().unwrap()).contains("waiting"));

    let path = format!("{}/members/fixer", desk.path);
    assert_eq!(desk.test.ask(&desk.manager, "DELETE", &path, &Sent::Nothing).await.status, 204);
    for by in [&caller, &token] {
        for path in [desk.path.clone(), format!("/api/v1/checks/{run}"), format!("{}/history", desk.path)] {
            assert_eq!(desk.test.ask(by, "GET", &path, &Sent::Nothing).await.status, 404, "{path}");
        }
    }
    assert_eq!(desk.test.ask(&caller, "GET", &format!("/cases/{}", desk.case), &Sent::Nothing).await.status, 404);
    git.fail(&clone, &["fetch", "origin"]).await;
    git.fail(&clone, &["push", "origin", "HEAD:refs/heads/wip/late"]).await;
    // The next news ends the stream instead of being told.
    desk.test.settle().await;
    while let Some(more) = events.next().await {
        let more = more.unwrap();
        assert!(!String::from_utf8_lossy(&more).contains("data:"), "{more:?}");
    }
}

/// Attack: an operator rewrites history in the database and takes the guards off first.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_event_breaks_the_chain() {
    let desk = Desk::open().await;
    assert_eq!(desk.act("accept", "").await, 204);
    desk.test.settle().await;
    let file = desk.test.site.config().data.join("embargo.db");
    let copy = desk.test.site.path().join("copy.db");
    let mut live = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    assert!(sqlx::query("update event set object = 'x' where seq = 3").execute(&mut live).await.is_err());
    assert!(sqlx::query("delete from event where seq = 3").execute(&mut live).await.is_err());
    sqlx::query("vacuum into ?").bind(copy.to_str().unwrap()).execute(&mut live).await.unwrap();
    live.close().await.unwrap();
    assert!(matches!(walked(&copy).await, Verified::Intact { events, .. } if events > 5));

    let mut forged = SqliteConnection::connect(&format!("sqlite:{}", copy.display())).await.unwrap();
    for guard in ["drop trigger event_is_append_only", "drop trigger event_is_never_deleted"] {
        sqlx::query(guard).execute(&mut forged).await.unwrap();
    }
    for (forgery, at) in [
        ("update event set actor = 'somebody else' where seq = 5", 5),
        ("update event set at = at + 1 where seq = 4", 4),
        ("delete from event where seq = 3", 3),
    ] {
        sqlx::query(forgery).execute(&mut forged).await.unwrap();
        assert_eq!(walked(&copy).await, Verified::Broken { seq: at }, "{forgery}");
    }
    forged.close().await.unwrap();
}

async fn walked(file: &std::path::Path) -> Verified {
    let store = Store::open(file).await.unwrap();
    let verified = verify(&mut store.read().await.unwrap()).await.unwrap();
    store.close().await;
    verified
}

/// Attack: hunting for a claim code, or using one visit for another's report.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_claim_codes_are_told_apart_by_nobody_and_late_visits_are_over() {
    let desk = Desk::open().await;
    let (_, receipt) = desk.test.report().await;
    let code = receipt.claim_code;
    let mut swapped: Vec<char> = code.chars().collect();
    swapped.reverse();
    let never = embargo::crypto::token::ClaimCode::mint();
    let nobody = Caller::anonymous();
    let claim = |code: &str| Sent::Json(serde_json::json!({ "claim_code": code }).to_string());
    let mut answers = Vec::new();
    let backwards: String = swapped.into_iter().collect();
    let cut = code[..code.len() - 1].to_owned();
    for wrong in [never.reveal().expose(), &backwards, &cut, "", "' or 1=1 --"] {
        answers.push(desk.test.ask(&nobody, "POST", "/api/v1/report/claim", &claim(wrong)).await);
    }
    assert_eq!(answers[0].status, 422);
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");
    let visit = desk.test.ask(&nobody, "POST", "/api/v1/report/claim", &claim(&code)).await;
    assert_eq!(visit.status, 201);
    let visit = Caller::bearer(visit.json()["visit"].as_str().unwrap());
    assert_eq!(desk.test.ask(&visit, "GET", "/api/v1/report", &Sent::Nothing).await.json()["case"], receipt.case);
    assert_eq!(desk.test.ask(&visit, "GET", "/api/v1/cases", &Sent::Nothing).await.status, 401);
    desk.test.advance(jiff::SignedDuration::from_hours(3));
    assert_eq!(desk.test.ask(&visit, "GET", "/api/v1/report", &Sent::Nothing).await.status, 401);
    desk.test.settle().await;
}

/// The case is still worked on while a reader without a seat asks git for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_declined_guest_reads_nothing() {
    let desk = Desk::open().await;
    let guest = desk.test.person("guest").await;
    assert_eq!(desk.act("members", r#"{"handle":"guest","role":"guest"}"#).await, 204);
    let caller = desk.test.sign_in("guest").await;
    assert_eq!(desk.test.ask(&caller, "GET", &desk.path, &Sent::Nothing).await.status, 404, "not before joining");
    case::act(&desk.test.app, &desk.test.member("second", Role::Triager).await, &desk.case, Act::Accept)
        .await
        .unwrap_err();
    assert_eq!(desk.post(&caller, "decline", "").await.status, 204);
    assert_eq!(desk.post(&caller, "join", "").await.status, 409);
    assert_eq!(desk.test.ask(&caller, "GET", &desk.path, &Sent::Nothing).await.status, 404, "nor after declining");
    assert!(case::show(&desk.test.app, &signed_in(guest), &desk.case).await.is_err());
    Git::anonymous().fail(desk.test.site.path(), &["ls-remote", &desk.test.remote(&desk.case)]).await;
    desk.test.settle().await;
}
