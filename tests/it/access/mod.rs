//! Who gets what at which door: every route with a case, project, check or release in it, asked by everybody there is.
//!
//! Attack: a route that forgot to ask who is there, or that answers "forbidden" where it should answer "nothing here". The
//! table is compared with the routes in the sources, so that a new route without a row fails.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod routes;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use embargo::domain::access::{Consent, Role};
use embargo::domain::actor::{Actor, Scope};
use embargo::domain::id::{CaseId, ReleaseId};
use embargo::wire::release::{PlanRelease, PlanTarget};
use embargo::workflow::report::Upload;
use embargo::workflow::{advisory, case, check, plan, release, report};
use jiff::SignedDuration;
use reqwest::StatusCode;

use self::routes::Body::{self, File, Form, Git, Json, Nothing, Upload as Attach};
pub(crate) use self::routes::ROUTES;
use crate::support::client::{Answer, Caller, Sent};
use crate::support::server::TestApp;

/// A sample project in which everything a route can name is there, and everybody who can ask.
struct Scene {
    test: TestApp,
    manager: Actor,
    /// What the placeholders stand for.
    names: Vec<(&'static str, String)>,
    /// The same placeholders for things that do not exist.
    missing: Vec<(&'static str, String)>,
    people: Vec<(&'static str, Caller)>,
}

impl Scene {
    async fn set() -> Self {
        let test = TestApp::start().await;
        let manager = test.member("manager", Role::ReleaseManager).await;
        let stale = test.sign_in("manager").await;
        test.advance(SignedDuration::from_mins(6));
        let (_, first) = test.report().await;
        let (_, second) = test.report().await;
        let case: CaseId = first.case.parse().unwrap();
        let mut people = vec![("anonymous", Caller::anonymous())];
        test.person("outsider").await;
        people.push(("outsider", test.sign_in("outsider").await));
        for handle in ["invited", "guest", "spare"] {
            let id = test.person(handle).await;
            case::invite(&test.app, &manager, &case, &handle.parse().unwrap(), Role::Guest).await.unwrap();
            if handle == "guest" {
                let guest = crate::support::server::signed_in(id);
                case::join(&test.app, &guest, &case, Consent::Signatory).await.unwrap();
            }
            if handle != "spare" {
                people.push((handle, test.sign_in(handle).await));
            }
        }
        let roles = [
            ("auditor", Role::Auditor),
            ("triager", Role::Triager),
            ("fixer", Role::Fixer),
            ("reviewer", Role::Reviewer),
        ];
        let mut fixer = manager.clone();
        for (handle, role) in roles {
            let (actor, caller) = test.at_the_door(handle, role).await;
            case::invite(&test.app, &manager, &case, &handle.parse().unwrap(), role).await.unwrap();
            people.push((handle, caller));
            if role == Role::Fixer {
                fixer = actor;
            }
        }
        people.push(("manager", test.sign_in("manager").await));
        people.push(("stale", stale));
        let elsewhere: CaseId = second.case.parse().unwrap();
        let all = [Scope::ApiRead, Scope::ApiWrite, Scope::GitRead, Scope::GitWrite];
        people.push(("git:read", test.token(&manager, &[Scope::GitRead], None).await));
        people.push(("api:read", test.token(&manager, &[Scope::ApiRead], None).await));
        people.push(("elsewhere", test.token(&manager, &all, Some(&elsewhere)).await));
        people.push(("reporter", test.visit(&first.visit).await));
        people.push(("other", test.visit(&second.visit).await));

        for act in [case::Act::Validate, case::Act::Accept] {
            case::act(&test.app, &manager, &case, act).await.unwrap();
        }
        test.settle().await;
        let names = filled(&test, (&manager, &fixer), &case).await;
        let missing = [
            ("{case}", "SAMPLE-99"),
            ("{release}", "SAMPLE-R99"),
            ("{run}", "01900000000070008000000000000000"),
            ("{project}", "nothing"),
        ];
        let missing = names.iter().map(|(name, value)| {
            let other = missing.iter().find(|(missing, _)| missing == name);
            (*name, other.map_or_else(|| value.clone(), |(_, other)| (*other).to_owned()))
        });
        Self { missing: missing.collect(), test, manager, names, people }
    }

    /// Undoes what an earlier probe did, so that every one of them meets the same.
    async fn restore(&mut self) {
        let app = &self.test.app;
        let case: CaseId = self.name("{case}").parse().unwrap();
        let view = case::show(app, &self.manager, &case).await.unwrap();
        if view.summary.state == "deferred" {
            case::act(app, &self.manager, &case, case::Act::Accept).await.unwrap();
        }
        for handle in ["invited", "spare"] {
            let seat = view.members.iter().find(|member| member.handle.as_deref() == Some(handle));
            if seat.is_none_or(|seat| seat.consent != "invited") {
                case::invite(app, &self.manager, &case, &handle.parse().unwrap(), Role::Guest).await.unwrap();
            }
        }
        let release: ReleaseId = self.name("{release}").parse().unwrap();
        if release::show(app, &self.manager, &release).await.unwrap().summary.state == "abandoned" {
            let again = plan(&self.test, &self.manager, &case).await;
            self.names.iter_mut().find(|(name, _)| *name == "{release}").unwrap().1 = again;
        }
    }

    fn name(&self, wanted: &str) -> &str {
        &self.names.iter().find(|(name, _)| *name == wanted).unwrap().1
    }
}

/// Brings about everything that routes name: a push, a check, an attachment, a release.
async fn filled(test: &TestApp, by: (&Actor, &Actor), case: &CaseId) -> Vec<(&'static str, String)> {
    let (manager, fixer) = by;
    let (app, git) = (&test.app, test.git(fixer).await);
    let clone = test.site.path().join("clone");
    git.succeed(test.site.path(), &["clone", "-q", &test.remote(case), "clone"]).await;
    let commit = git.commit(&clone, "sample.c", "one\n").await;
    git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    test.settle().await;
    let runs = check::list(app, manager, case).await.unwrap();
    let plain = futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"A sample."))]);
    let name = "sample.txt".parse().unwrap();
    let stored = report::attach(app, manager, case, name, Upload::Plain(Box::pin(plain))).await.unwrap();
    let release = plan(test, manager, case).await;
    test.settle().await;
    let draft = advisory::show(app, manager, case).await.unwrap();
    vec![
        ("{case}", case.to_string()),
        ("{repository}", "sample".to_owned()),
        ("{project}", "sample".to_owned()),
        ("{handle}", "spare".to_owned()),
        ("{commit}", commit),
        ("{run}", runs[0].id.clone()),
        ("{job}", "01900000000070008000000000000000".to_owned()),
        ("{attachment}", stored.id),
        ("{release}", release),
        ("{digest}", "0".repeat(64)),
        ("{advisory}", serde_json::to_string(&draft.advisory).unwrap()),
    ]
}

async fn plan(test: &TestApp, manager: &Actor, case: &CaseId) -> String {
    let targets = vec![PlanTarget {
        repository: None,
        line: "main".parse().unwrap(),
        tag: "v2.0".parse().unwrap(),
        strategy: None,
        tags: None,
    }];
    let due_at = "2026-02-01T12:00:00Z".parse().unwrap();
    let (project, cases) = ("sample".parse().unwrap(), vec![case.clone()]);
    let wish = PlanRelease { project, cases, targets, due_at, details_after: None, tests_after: None };
    plan::plan(&test.app, manager, &wish).await.unwrap().to_string()
}

pub(crate) fn fill(text: &str, names: &[(&'static str, String)]) -> String {
    names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

pub(crate) fn sent(body: &Body, names: &[(&'static str, String)]) -> Sent {
    match body {
        Nothing => Sent::Nothing,
        Json(text) => Sent::Json(fill(text, names)),
        Form(text) => Sent::Form(fill(text, names)),
        File => Sent::File,
        Attach => Sent::file("application/octet-stream", "A sample."),
        Git(media) => Sent::Git(media),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_everybody_as_the_table_says() {
    let mut scene = Scene::set().await;
    let mut wide = format!("{:<52}", "");
    for (name, _) in &scene.people {
        write!(wide, " {name:<9}").unwrap();
    }
    let mut table = format!("{}\n", wide.trim_end());
    for (method, path, body) in ROUTES {
        let mut line = format!("{:<52}", format!("{method} {path}").replace("?service=git-", " "));
        for (_, by) in scene.people.clone() {
            if *method != "GET" {
                scene.restore().await;
            }
            let request = scene.test.request(&by, method, &fill(path, &scene.names), &sent(body, &scene.names));
            let answer = request.send().await.unwrap();
            let there = answer.headers().get("location").map(|location| location.to_str().unwrap());
            let word = match (answer.status(), there) {
                (StatusCode::SEE_OTHER, Some("/sign-in")) => "sign-in".to_owned(),
                (status, _) => status.as_u16().to_string(),
            };
            write!(line, " {word:<9}").unwrap();
        }
        table += line.trim_end();
        table.push('\n');
    }
    scene.test.settle().await;
    insta::assert_snapshot!(table);
}

/// Attack: counting case numbers up and watching for an answer that differs in a byte.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_outside_can_tell_hidden_from_missing() {
    let scene = Scene::set().await;
    let outside: Vec<_> =
        scene.people.iter().filter(|(name, _)| ["outsider", "elsewhere", "other"].contains(name)).collect();
    assert_eq!(outside.len(), 3);
    for (method, path, body) in ROUTES {
        // Whether a project takes reports here is public.
        if path.ends_with("/intake") || path.ends_with("/reports") || path.contains("/report/") {
            continue;
        }
        for (name, by) in &outside {
            let hidden = fill(path, &scene.names);
            let absent = fill(path, &scene.missing);
            let hidden_answer = scene.test.ask(by, method, &hidden, &sent(body, &scene.names)).await;
            let hidden_answer = as_if_asked_for(&scene.missing, &scene.names, hidden_answer);
            let absent_answer = scene.test.ask(by, method, &absent, &sent(body, &scene.missing)).await;
            assert_eq!(hidden_answer, absent_answer, "{name}: {method} {path}");
        }
    }
    scene.test.settle().await;
}

/// Writes the missing names into an answer for the hidden ones. An answer may say what was asked for, and nothing else.
fn as_if_asked_for(missing: &[(&str, String)], names: &[(&str, String)], answer: Answer) -> Answer {
    let pairs = || names.iter().zip(missing).map(|((_, name), (_, other))| (name, other)).filter(|(a, b)| a != b);
    let other = |text: &str| pairs().fold(text.to_owned(), |text, (name, other)| text.replace(name, other));
    let (length, body) = (answer.body.len().to_string(), other(&answer.body));
    let headers = answer.headers.into_iter().map(|(name, value)| {
        let value = if name == "content-length" && value == length { body.len().to_string() } else { other(&value) };
        (name, value)
    });
    Answer { status: answer.status, headers: headers.collect(), body }
}

/// Attack: asking git without a token, which must tell nothing at all.
#[tokio::test(flavor = "multi_thread")]
async fn git_without_a_token_gets_the_same_401_for_everything() {
    let test = TestApp::start().await;
    let manager = test.member("manager", Role::ReleaseManager).await;
    let case = test.accepted_case(&manager).await;
    let (_, hidden) = test.report().await;
    test.settle().await;
    let mut answers = Vec::new();
    let nobody = Caller::anonymous();
    let wrong = Caller::bearer("emb_wrong");
    for case in [case.to_string().as_str(), &hidden.case, "SAMPLE-99", "NOTHING-1", "sample-1", "x"] {
        for repository in ["sample", "sample.git", "nothing"] {
            for service in ["git-upload-pack", "git-receive-pack"] {
                let asked = format!("/{case}/{repository}/info/refs?service={service}");
                let media = match service {
                    "git-upload-pack" => "application/x-git-upload-pack-request",
                    _ => "application/x-git-receive-pack-request",
                };
                for by in [&nobody, &wrong] {
                    answers.push((asked.clone(), test.ask(by, "GET", &asked, &Sent::Nothing).await));
                    let begun = format!("/{case}/{repository}/{service}");
                    answers.push((begun.clone(), test.ask(by, "POST", &begun, &Sent::Git(media)).await));
                }
            }
        }
    }
    assert_eq!(answers[0].1.status, 401);
    for (path, answer) in &answers {
        assert_eq!(answer, &answers[0].1, "{path}");
    }
}

#[test]
fn every_route_of_the_sources_has_a_row() {
    let mut found = BTreeSet::new();
    collect(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http")), &mut found);
    assert!(found.len() > 40, "the routes were not found: {found:?}");
    let rows: BTreeSet<String> =
        ROUTES.iter().map(|(method, path, _)| format!("{method} {}", path.split('?').next().unwrap_or(path))).collect();
    let without: Vec<_> = found.difference(&rows).collect();
    assert!(without.is_empty(), "add a row to ROUTES, and look at what it answers to whom: {without:#?}");
    // Git's routes take a case or a release in their first place, and have rows for both.
    let of_git = |row: &&String| row.contains(" /{release}/{repository}/");
    let gone = rows.difference(&found).filter(|row| *row != "POST /api/v1/releases" && !of_git(row));
    let gone: Vec<_> = gone.collect();
    assert!(gone.is_empty(), "these rows ask for routes that are gone: {gone:#?}");
}

/// Collects `METHOD path` of every route that names something hidden.
fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let prefix = if path.components().any(|part| part.as_os_str() == "api") { "/api/v1" } else { "" };
        for route in text.split(".route(\"").skip(1) {
            let (address, rest) = route.split_once('"').unwrap();
            let names = ["{case}", "{project}", "{release}", "{run}"];
            if !names.iter().any(|name| address.contains(name)) {
                continue;
            }
            let methods = &rest[..ended(rest)];
            for (word, method) in
                [("get(", "GET"), ("post(", "POST"), ("put(", "PUT"), ("patch(", "PATCH"), ("delete(", "DELETE")]
            {
                if methods.contains(word) {
                    found.insert(format!("{method} {prefix}{address}"));
                }
            }
        }
    }
}

/// Finds where the parenthesis closes that was open before the text began.
fn ended(text: &str) -> usize {
    let mut depth = 1_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}
