//! The canary: a word that only members may read is put wherever a person can write, and looked for wherever it must not be.
//!
//! Attack: a stolen disk, a log that is shipped elsewhere, a mailbox read by others, an outsider who asks every address.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use embargo::app::Checks;
use embargo::domain::access::Role;
use embargo::domain::actor::Scope;
use embargo::domain::id::CaseId;
use embargo::workflow::console::Console;
use embargo::workflow::{advisory, case, check};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tracing_subscriber::EnvFilter;

use crate::access::{ROUTES, fill, sent};
use crate::support::client::{Caller, Sent};
use crate::support::git::Git;
use crate::support::server::TestApp;
use crate::support::site::Site;

const CANARY: &str = "quietheron7f3a9c";

/// What the server logged so far, in every test of this process.
static LOG: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(Arc::default);

struct Pen;

impl io::Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes down the log from now on.
fn listen() {
    let filter = EnvFilter::new("warn,embargo=trace");
    // Tests that share a process share its log.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Pen).try_init();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_members_write_is_nowhere_else() {
    listen();
    let test = TestApp::on(with_workflow().await).await;
    test.settle().await;
    let (manager, caller) = test.at_the_door("manager", Role::ReleaseManager).await;
    test.person("outsider").await;
    let outsider = test.sign_in("outsider").await;
    let case = filled(&test, &caller).await;

    // A fix and a trial, with the word in names, messages and files; some pushes are refused.
    let git = test.git(&manager).await;
    let clone = test.site.path().join("clone");
    git.succeed(test.site.path(), &["clone", "-q", &test.remote(&case), "clone"]).await;
    git.commit(&clone, &format!("{CANARY}.c"), &format!("{CANARY}\n")).await;
    git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    git.succeed(&clone, &["push", "-q", "origin", &format!("HEAD:refs/heads/wip/{CANARY}")]).await;
    git.fail(&clone, &["push", "-q", "origin", &format!("HEAD:refs/heads/{CANARY}")]).await;
    git.fail(&clone, &["fetch", "-q", "origin", &format!("refs/heads/wip/{CANARY}-missing")]).await;
    // One that is refused for the name of a file is told so by that name.
    git.commit(&clone, &format!("{CANARY}\u{202e}c.txt"), "odd\n").await;
    let refused = git.fail(&clone, &["push", "-q", "origin", &format!("HEAD:refs/heads/wip/{CANARY}-odd")]).await;
    assert!(sings(refused.as_bytes()), "who pushed it reads why: {refused}");
    speak_to_the_hook_socket(&test).await;
    failed_reports(&test).await;
    test.settle().await;

    let mut draft = advisory::show(&test.app, &manager, &case).await.unwrap();
    draft.advisory.description = Some(format!("{CANARY} overflows.").parse().unwrap());
    let edit = serde_json::json!({ "advisory": draft.advisory, "version": draft.version }).to_string();
    let path = format!("/api/v1/cases/{case}/advisory");
    assert_eq!(test.ask(&caller, "PUT", &path, &Sent::Json(edit)).await.status, 200);
    // A body that is refused is quoted to nobody else.
    let odd = Sent::Json(format!(r#"{{"to":"{CANARY}","text":"{CANARY}"}}"#));
    assert_eq!(test.ask(&caller, "POST", &format!("/api/v1/cases/{case}/messages"), &odd).await.status, 422);
    let page = test.ask(&caller, "GET", &format!("/cases/{case}"), &Sent::Nothing).await;
    assert!(page.body.contains(CANARY), "members do read it");
    test.settle().await;

    let run = check::list(&test.app, &manager, &case).await.unwrap().remove(0);
    let job = run.jobs.first().map_or("01900000000070008000000000000000", |job| job.id.as_str());
    if let Checks::Ready(_) = test.app.checks {
        let log = format!("/api/v1/checks/{}/jobs/{job}/log", run.id);
        let log = test.ask(&caller, "GET", &log, &Sent::Nothing).await;
        assert!(sings(log.body.as_bytes()), "the check did print it: {log:?}");
    }
    outsiders_learn_nothing(&test, &outsider, (&case, &run.id, job)).await;
    test.settle().await;
    for mail in test.mails() {
        assert!(!sings(mail.subject().as_bytes()) && !sings(mail.text().as_bytes()), "{mail:?}");
    }
    assert!(!test.mails().is_empty(), "mails were sent");
    let data = test.site.config().data;
    let mut found = Vec::new();
    search(&data, sings, &mut found);
    let (inside, outside): (Vec<_>, Vec<_>) = found.into_iter().partition(|path| path.starts_with("repos/case/"));
    assert!(!inside.is_empty(), "the search finds what is in the case's own repository");
    assert!(outside.is_empty(), "the word is in {outside:?}");
    let log = LOG.lock().unwrap();
    assert!(String::from_utf8_lossy(&log).contains("answered"), "there is a log");
    let lines = log.split(|byte| *byte == b'\n').filter(|line| sings(line));
    let lines: Vec<_> = lines.map(String::from_utf8_lossy).collect();
    assert!(lines.is_empty(), "the log says it: {lines:#?}");
}

/// Puts the word into a report, an attachment, a reply, a message and a note.
async fn filled(test: &TestApp, manager: &Caller) -> CaseId {
    let report = serde_json::json!({
        "title": format!("{CANARY} overflows"),
        "versions": CANARY,
        "text": format!("Open {CANARY}."),
        "severity": "high",
        "credit": { "credit": "named", "name": CANARY },
        "contact": format!("{CANARY}@example.org"),
    });
    let nobody = Caller::anonymous();
    let reports = "/api/v1/projects/sample/reports";
    let receipt = test.ask(&nobody, "POST", reports, &Sent::Json(report.to_string())).await.json();
    let reporter = test.visit(receipt["visit"].as_str().unwrap()).await;
    let case: CaseId = receipt["case"].as_str().unwrap().parse().unwrap();
    let bytes = CANARY.repeat(10_000).into_bytes();
    let file = Sent::Upload("text/plain", format!("{CANARY}.txt"), bytes);
    assert_eq!(test.ask(&reporter, "POST", "/api/v1/report/attachments", &file).await.status, 201);
    let reply = Sent::Json(serde_json::json!({ "text": CANARY }).to_string());
    assert_eq!(test.ask(&reporter, "POST", "/api/v1/report/reply", &reply).await.status, 204);
    let path = format!("/api/v1/cases/{case}");
    for act in ["validate", "accept"] {
        assert_eq!(test.ask(manager, "POST", &format!("{path}/{act}"), &Sent::Nothing).await.status, 204);
    }
    for to in ["team", "reporter", "all"] {
        let message = Sent::Json(serde_json::json!({ "to": to, "text": CANARY }).to_string());
        assert_eq!(test.ask(manager, "POST", &format!("{path}/messages"), &message).await.status, 204);
    }
    test.settle().await;
    case
}

/// Makes a site whose project has a workflow that prints what it checks.
async fn with_workflow() -> Site {
    let mut site = Site::with_project().await;
    site.configure(|config| {
        config.ci.enabled = true;
        config.ci.minutes = 1;
    });
    let (git, work) = (Git::anonymous(), site.work());
    std::fs::create_dir_all(work.join(".github/workflows")).unwrap();
    let workflow = "on: pull_request\njobs:\n  sample:\n    runs-on: ubuntu-latest\n    steps:\n      \
                    - uses: actions/checkout@v4\n      - run: ls && cat *.c && exit 1\n";
    git.commit(&work, ".github/workflows/sample.yml", workflow).await;
    git.succeed(&work, &["push", "-q", "origin", "HEAD:refs/heads/main"]).await;
    site
}

/// Says the word to the hook socket in every way that is wrong.
async fn speak_to_the_hook_socket(test: &TestApp) {
    let update = serde_json::json!({ "name": format!("refs/heads/{CANARY}"), "old": "0", "new": CANARY });
    for call in [
        CANARY.to_owned(),
        format!(r#"{{"hook":"{CANARY}"}}"#),
        format!(r#"{{"{CANARY}":1}}"#),
        format!(r#"{{"hook":"pre-receive","ticket":"{CANARY}","quarantine":"/{CANARY}","updates":[]}}"#),
        serde_json::json!({ "hook": "pre-receive", "ticket": "x", "quarantine": null, "updates": [update] })
            .to_string(),
    ] {
        let mut stream = UnixStream::connect(test.app.config.hook_socket()).await.unwrap();
        stream.write_all(format!("{call}\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(!answer.contains(r#""accepted":true"#), "{call}: {answer}");
    }
}

/// Sends reports that are not taken, with the word wherever it is wrong.
async fn failed_reports(test: &TestApp) {
    let whole = |change: fn(&mut serde_json::Value)| {
        let mut report = serde_json::json!({
            "title": "Sample", "text": "A sample.", "severity": "unsaid", "credit": { "credit": "unnamed" },
        });
        change(&mut report);
        report.to_string()
    };
    let nobody = Caller::anonymous();
    for body in [
        whole(|report| report["title"] = format!("{CANARY}\u{202e}").into()),
        whole(|report| report["title"] = CANARY.repeat(1000).into()),
        whole(|report| report["severity"] = CANARY.into()),
        whole(|report| report["credit"] = serde_json::json!({ "credit": CANARY })),
        whole(|report| report["contact"] = format!("{CANARY} at example.org").into()),
        whole(|report| report[CANARY] = 1.into()),
        format!("{{{CANARY}"),
    ] {
        let answer = test.ask(&nobody, "POST", "/api/v1/projects/sample/reports", &Sent::Json(body)).await;
        assert_eq!(answer.status, 422, "{answer:?}");
    }
    for (path, status) in [
        (format!("/api/v1/projects/{CANARY}/reports"), 404),
        (format!("/report/sample?title={CANARY}"), 403),
        (format!("/{CANARY}-1/{CANARY}/info/refs"), 405),
    ] {
        let answer = test.ask(&nobody, "POST", &path, &Sent::Json(whole(|_| {}))).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    let wrong = Sent::Json(serde_json::json!({ "claim_code": CANARY }).to_string());
    assert_eq!(test.ask(&nobody, "POST", "/api/v1/report/claim", &wrong).await.status, 422);
    assert_eq!(test.ask(&Caller::bearer(CANARY), "GET", "/api/v1/me", &Sent::Nothing).await.status, 401);
}

/// Asks every address in every way, as nobody and as somebody without a seat.
async fn outsiders_learn_nothing(test: &TestApp, outsider: &Caller, names: (&CaseId, &str, &str)) {
    let (case, run, job) = names;
    let attachments = test.site.config().data.join("attachments");
    let attachment = std::fs::read_dir(attachments).unwrap().next().unwrap().unwrap().path();
    let attachment = attachment.file_stem().unwrap().to_str().unwrap().to_owned();
    let names = [
        ("{case}", case.to_string()),
        ("{repository}", "sample".to_owned()),
        ("{project}", "sample".to_owned()),
        ("{run}", run.to_owned()),
        ("{job}", job.to_owned()),
        ("{attachment}", attachment),
        ("{release}", "SAMPLE-R1".to_owned()),
        ("{handle}", "manager".to_owned()),
        ("{commit}", "0".repeat(40)),
        ("{digest}", "0".repeat(64)),
        ("{advisory}", "{}".to_owned()),
    ];
    let open = ["/", "/account", "/api/v1/cases", "/api/v1/projects", "/api/v1/releases", "/api/v1/advisories", "/r/"];
    let open = open.map(|path| ("GET", path.to_owned(), Sent::Nothing));
    let rows = ROUTES.iter().map(|(method, path, body)| (*method, fill(path, &names), sent(body, &names)));
    for (method, path, body) in rows.chain(open) {
        for by in [outsider, &Caller::anonymous()] {
            let answer = test.ask(by, method, &path, &body).await;
            assert!(!sings(format!("{answer:?}").as_bytes()), "{method} {path}: {answer:?}");
        }
    }
}

/// Attack: a stolen disk or a log opens doors, or tells where a reporter sat.
#[tokio::test(flavor = "multi_thread")]
async fn what_opens_a_door_is_kept_as_a_hash_and_logged_nowhere() {
    listen();
    let test = TestApp::start().await;
    let (manager, caller) = test.at_the_door("manager", Role::ReleaseManager).await;
    let (code, _) = Console::from(&*test.app).make_link(&"manager".parse().unwrap()).await.unwrap();
    // The reporter sits at an address of their own.
    let at_home = reqwest::Client::builder().no_proxy().local_address(Some("127.0.0.77".parse().unwrap()));
    let report = r#"{"title":"Sample","text":"A sample.","severity":"unsaid","credit":{"credit":"unnamed"}}"#;
    let report = at_home.build().unwrap().post(test.url("/api/v1/projects/sample/reports")).body(report);
    let answer = report.header("Content-Type", "application/json").send().await.unwrap();
    let receipt: serde_json::Value = answer.json().await.unwrap();
    let told = |name: &str| receipt[name].as_str().unwrap().to_owned();
    let case: CaseId = told("case").parse().unwrap();
    let token = test.token(&manager, &[Scope::GitRead, Scope::GitWrite, Scope::ApiRead], Some(&case)).await;
    case::act(&test.app, &manager, &case, case::Act::Accept).await.unwrap();
    test.settle().await;
    let git = token.git();
    git.succeed(test.site.path(), &["clone", "-q", &test.remote(&case), "clone"]).await;
    git.commit(&test.site.path().join("clone"), "sample.c", "mended\n").await;
    let push = ["push", "-q", "origin", "HEAD:refs/heads/fix/main"];
    git.succeed(&test.site.path().join("clone"), &push).await;
    let claim = Sent::Json(serde_json::json!({ "claim_code": told("claim_code") }).to_string());
    let visit = test.ask(&Caller::anonymous(), "POST", "/api/v1/report/claim", &claim).await.json();
    for (by, path) in [(&caller, "/api/v1/cases".to_owned()), (&token, format!("/api/v1/cases/{case}"))] {
        assert_eq!(test.ask(by, "GET", &path, &Sent::Nothing).await.status, 200);
    }
    test.settle().await;

    let feed = told("feed");
    let secrets = [
        ("the session", caller.secret().to_owned()),
        ("the token", token.secret().to_owned()),
        ("the sign-in code", code.expose().to_owned()),
        ("the claim code", told("claim_code")),
        ("the claim code as it is typed", told("claim_code").replace('-', "")),
        ("the visit", told("visit")),
        ("the second visit", visit["visit"].as_str().unwrap().to_owned()),
        ("the feed", feed.rsplit_once('/').unwrap().1.to_owned()),
        ("the reporter's address", "127.0.0.77".to_owned()),
    ];
    let log = LOG.lock().unwrap();
    assert!(String::from_utf8_lossy(&log).contains("answered"), "there is a log");
    for (what, secret) in secrets {
        assert!(secret.len() > 9, "{what}");
        let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        let mut found = Vec::new();
        search(&test.site.config().data, holds, &mut found);
        assert!(found.is_empty(), "{what} is in {found:?}");
        assert!(!holds(&log), "{what} is in the log");
    }
}

/// Collects files below the folder, by their path in it, that hold what is looked for in their name or content.
fn search(folder: &Path, sings: impl Fn(&[u8]) -> bool, found: &mut Vec<String>) {
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let short = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(path.clone());
            }
            if sings(short.as_bytes()) || (kind.is_file() && sings(&std::fs::read(&path).unwrap())) {
                found.push(short);
            }
        }
    }
}

/// Tells whether the bytes hold the word: as it is, in hexadecimal, or inside base 64 of anything.
fn sings(bytes: &[u8]) -> bool {
    static FORMS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let mut forms = vec![CANARY.to_owned(), HEXLOWER.encode(CANARY.as_bytes()), HEXUPPER.encode(CANARY.as_bytes())];
        for before in 0..3 {
            let mut padded = vec![0; before];
            padded.extend_from_slice(CANARY.as_bytes());
            let text = BASE64.encode(&padded);
            // Letters at the edges depend on the neighbours.
            forms.push(text.trim_end_matches('=')[4..16].to_owned());
        }
        forms
    });
    FORMS.iter().any(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes()))
}

#[test]
fn the_search_knows_the_word_in_every_form() {
    for before in ["", "a", "ab"] {
        let text = format!("{before}{CANARY}xyz");
        assert!(sings(BASE64.encode(text.as_bytes()).as_bytes()), "{before}");
        assert!(sings(HEXLOWER.encode(text.as_bytes()).as_bytes()) && sings(text.as_bytes()));
    }
    assert!(!sings(b"quiet heron"));
}
