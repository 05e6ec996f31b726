//! The canary: a word that only members may read is put wherever a person can write, and looked for wherever it must not be.
//!
//! Attack: a stolen disk, a log that is shipped elsewhere, a mailbox read by others, an outsider who asks every address.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use embargo::domain::access::Role;
use embargo::domain::id::CaseId;
use embargo::workflow::{advisory, check};
use tracing_subscriber::EnvFilter;

use crate::access::{ROUTES, fill};
use crate::support::client::{Caller, Sent};
use crate::support::server::TestApp;

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

#[tokio::test(flavor = "multi_thread")]
async fn what_members_write_is_nowhere_else() {
    let filter = EnvFilter::new("warn,embargo=trace");
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Pen).init();
    let test = TestApp::start().await;
    let (manager, caller) = test.at_the_door("manager", Role::ReleaseManager).await;
    test.person("outsider").await;
    let outsider = test.sign_in("outsider").await;
    let case = filled(&test, &caller).await;

    // A fix and a trial, with the word in names, messages and files; one push is refused.
    let git = test.git(&manager).await;
    let clone = test.site.path().join("clone");
    git.succeed(test.site.path(), &["clone", "-q", &test.remote(&case), "clone"]).await;
    git.commit(&clone, &format!("{CANARY}.c"), &format!("{CANARY}\n")).await;
    git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    git.succeed(&clone, &["push", "-q", "origin", &format!("HEAD:refs/heads/wip/{CANARY}")]).await;
    git.fail(&clone, &["push", "-q", "origin", &format!("HEAD:refs/heads/{CANARY}")]).await;
    git.fail(&clone, &["fetch", "-q", "origin", &format!("refs/heads/wip/{CANARY}-missing")]).await;
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

    let run = check::list(&test.app, &manager, &case).await.unwrap()[0].id.clone();
    outsiders_learn_nothing(&test, &outsider, (&case, &run)).await;
    for mail in test.mails() {
        assert!(!sings(mail.subject().as_bytes()) && !sings(mail.text().as_bytes()), "{mail:?}");
    }
    assert!(!test.mails().is_empty(), "mails were sent");
    let data = test.site.config().data;
    let mut found = Vec::new();
    search(&data, &mut found);
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

/// Asks every address that is read, as nobody and as somebody without a seat.
async fn outsiders_learn_nothing(test: &TestApp, outsider: &Caller, names: (&CaseId, &str)) {
    let (case, run) = names;
    let attachments = test.site.config().data.join("attachments");
    let attachment = std::fs::read_dir(attachments).unwrap().next().unwrap().unwrap().path();
    let attachment = attachment.file_stem().unwrap().to_str().unwrap().to_owned();
    let names = [
        ("{case}", case.to_string()),
        ("{repository}", "sample".to_owned()),
        ("{project}", "sample".to_owned()),
        ("{run}", run.to_owned()),
        ("{job}", "01900000000070008000000000000000".to_owned()),
        ("{attachment}", attachment),
        ("{release}", "SAMPLE-R1".to_owned()),
    ];
    let open = ["/", "/account", "/api/v1/cases", "/api/v1/projects", "/api/v1/releases", "/api/v1/advisories", "/r/"];
    let paths = ROUTES.iter().filter(|(method, _, _)| *method == "GET").map(|(_, path, _)| fill(path, &names));
    for path in paths.chain(open.map(str::to_owned)) {
        for by in [outsider, &Caller::anonymous()] {
            let answer = test.ask(by, "GET", &path, &Sent::Nothing).await;
            assert!(!sings(format!("{answer:?}").as_bytes()), "{path}: {answer:?}");
        }
    }
}

/// Collects files below the folder, by their path in it, that hold the word in their name or content.
fn search(folder: &Path, found: &mut Vec<String>) {
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
