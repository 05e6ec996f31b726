//! A forge's releases and advisories: what GitHub and Forgejo answer about them, in memory, on a good day and on bad ones.
//!
//! Its answers are held to the forges' own descriptions in [`crate::forge`].

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the forge is no part of the program, and ends when this is dropped")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The token it knows.
pub(crate) const TOKEN: &str = "canary-of-the-forge";

/// How it is today.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// It does what it is asked.
    Fine,
    /// It answers everything with this.
    Answers(u16),
    /// It takes nothing new, and says so with this.
    Refuses(u16),
    /// It asks whoever writes to come again, in GitHub's way.
    Limits,
    /// It does what it is asked, and its answer to whoever writes is lost.
    LosesAnswers,
    /// It does what it is asked, and then answers whoever writes with this.
    Forgets(u16),
    /// It begins to answer and does not end.
    Trails,
    /// It sends everybody to this address.
    SendsTo(String),
}

/// Listens on loopback until dropped.
pub(crate) struct Hub {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    mood: Mutex<Mood>,
    /// Releases by repository and tag.
    releases: Mutex<BTreeMap<String, Value>>,
    made: Mutex<Vec<String>>,
    /// Advisories, oldest first.
    advisories: Mutex<Vec<Value>>,
    /// Workflows that were started, oldest first.
    dispatched: Mutex<Vec<(String, Value)>>,
}

impl Hub {
    /// Opens a forge without releases.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (releases, made) = (Mutex::default(), Mutex::default());
        let (advisories, dispatched) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { mood: Mutex::new(Mood::Fine), releases, made, advisories, dispatched });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    /// Returns where the API is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on is like this.
    pub(crate) fn be(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Returns `<owner>/<name> <tag>` of each release in the order they were made, as often as they were.
    pub(crate) fn made(&self) -> Vec<String> {
        self.shared.made.lock().unwrap().clone()
    }

    /// Returns a release.
    pub(crate) fn release(&self, key: &str) -> Value {
        self.shared.releases.lock().unwrap()[key].clone()
    }

    /// Changes the text of a release, as a person would.
    pub(crate) fn rewrite(&self, key: &str, body: &str) {
        self.shared.releases.lock().unwrap().get_mut(key).unwrap()["body"] = body.into();
    }

    /// Returns all advisories, oldest first.
    pub(crate) fn advisories(&self) -> Vec<Value> {
        self.shared.advisories.lock().unwrap().clone()
    }

    /// Changes a part of the first advisory, as a person would.
    pub(crate) fn edit(&self, part: &str, value: &str) {
        self.shared.advisories.lock().unwrap()[0][part] = value.into();
    }

    /// Returns `<owner>/<name> <workflow>` of each workflow that was started, and with what, oldest first.
    pub(crate) fn dispatched(&self) -> Vec<(String, Value)> {
        self.shared.dispatched.lock().unwrap().clone()
    }

    /// Forgets all releases and advisories.
    pub(crate) fn clear(&self) {
        self.shared.advisories.lock().unwrap().clear();
        self.shared.releases.lock().unwrap().clear();
        self.shared.made.lock().unwrap().clear();
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mood = shared.mood.lock().unwrap().clone();
    let writes = parts.method != Method::GET;
    match &mood {
        Mood::Answers(status) => return said(*status, &json!({ "message": "a bad day" })),
        Mood::Refuses(status) if writes => return said(*status, &refusal()),
        Mood::Limits if writes => {
            let spent = Response::builder().status(403).header("X-RateLimit-Remaining", "0");
            return spent.body(Body::empty()).unwrap();
        }
        Mood::SendsTo(there) => {
            return Response::builder().status(307).header("Location", there).body(Body::empty()).unwrap();
        }
        Mood::Trails => {
            let begun = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"{")) });
            return Response::builder().body(Body::from_stream(begun.chain(stream::pending()))).unwrap();
        }
        Mood::Fine | Mood::Refuses(_) | Mood::Limits | Mood::LosesAnswers | Mood::Forgets(_) => {}
    }
    if !knows(&parts.headers) {
        return said(401, &json!({ "message": "Bad credentials", "documentation_url": "https://forge.example.org" }));
    }
    let path = parts.uri.path().strip_prefix("/api/v1").unwrap_or(parts.uri.path());
    let place: Vec<&str> = path.strip_prefix("/repos/").unwrap().splitn(3, '/').collect();
    let repository = format!("{}/{}", place[0], place[1]);
    let sent = to_bytes(body, usize::MAX).await.unwrap();
    let wish = serde_json::from_slice::<Value>(&sent).unwrap_or_default();
    let done = shared.done(&parts.method, (&repository, place[2]), &wish);
    match (mood, done) {
        (Mood::LosesAnswers, Some((200..300, _))) if writes => std::future::pending().await,
        (Mood::Forgets(status), Some((200..300, _))) if writes => said(status, &json!({ "message": "a bad day" })),
        (_, Some((status, body))) => said(status, &body),
        (_, None) => said(404, &json!({ "message": "Not Found", "documentation_url": "https://forge.example.org" })),
    }
}

impl Shared {
    /// Does what is asked; nothing there is `None`.
    fn done(&self, method: &Method, at: (&str, &str), wish: &Value) -> Option<(u16, Value)> {
        let (repository, path) = at;
        match (method, path) {
            (&Method::POST, "releases") => {
                let key = format!("{repository} {}", wish["tag_name"].as_str().unwrap());
                let mut releases = self.releases.lock().unwrap();
                if releases.contains_key(&key) {
                    // As GitHub has it; Forgejo says 409 and less.
                    return Some((422, refusal()));
                }
                let made = release(repository, wish);
                releases.insert(key.clone(), made.clone());
                self.made.lock().unwrap().push(key);
                Some((201, made))
            }
            (&Method::GET, "security-advisories") => {
                Some((200, self.advisories.lock().unwrap().iter().rev().cloned().collect()))
            }
            (&Method::POST, "security-advisories") => {
                let mut advisories = self.advisories.lock().unwrap();
                let made = advisory(repository, wish, advisories.len());
                advisories.push(made.clone());
                Some((201, made))
            }
            (&Method::POST, path) => {
                let workflow = path.strip_prefix("actions/workflows/")?.strip_suffix("/dispatches")?;
                self.dispatched.lock().unwrap().push((format!("{repository} {workflow}"), wish.clone()));
                Some((204, Value::Null))
            }
            (&Method::GET, path) => {
                let tag = path.strip_prefix("releases/tags/")?.replace("%2F", "/");
                Some((200, self.releases.lock().unwrap().get(&format!("{repository} {tag}"))?.clone()))
            }
            (&Method::PATCH, path) => {
                let id = path.strip_prefix("security-advisories/")?;
                let mut advisories = self.advisories.lock().unwrap();
                let found = advisories.iter_mut().find(|advisory| advisory["ghsa_id"] == id)?;
                for part in ["summary", "description", "state"] {
                    found[part] = wish[part].clone();
                }
                Some((200, found.clone()))
            }
            _ => None,
        }
    }
}

/// Tells whether a request has the token, as GitHub or as Forgejo takes it.
fn knows(headers: &HeaderMap) -> bool {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    sent == format!("Bearer {TOKEN}") || sent == format!("token {TOKEN}")
}

fn refusal() -> Value {
    json!({
        "message": "Validation Failed", "documentation_url": "https://forge.example.org",
        "errors": [{ "resource": "Release", "code": "already_exists", "field": "tag_name" }],
    })
}

/// Puts together what a forge says of a release it made.
fn release(repository: &str, wish: &Value) -> Value {
    let url = |path: &str| format!("https://forge.example.org/{repository}/{path}");
    let mut release = json!({
        "id": 1, "node_id": "sample", "author": person(), "assets": [], "url": url("release"),
        "tag_name": wish["tag_name"], "target_commitish": wish["target_commitish"], "name": wish["name"],
        "body": stored(&wish["body"]), "draft": wish["draft"], "prerelease": wish["prerelease"],
        "created_at": "2027-01-15T12:00:00Z", "published_at": "2027-01-15T12:00:00Z",
    });
    for part in ["assets", "html", "tarball", "upload", "zipball"] {
        release[format!("{part}_url")] = url(part).into();
    }
    release
}

/// Puts together what GitHub says of an advisory it made.
fn advisory(repository: &str, wish: &Value, number: usize) -> Value {
    let url = format!("https://forge.example.org/{repository}/security/advisories/{number}");
    let mut advisory = json!({
        "ghsa_id": format!("GHSA-2345-6789-cfg{}", ['2', '3', '4', '5'][number]), "url": url, "html_url": url,
        "summary": wish["summary"], "description": stored(&wish["description"]), "cve_id": wish["cve_id"],
        "severity": wish["severity"], "state": "draft", "author": person(), "identifiers": [], "vulnerabilities": [],
        "created_at": "2027-01-15T12:00:00Z", "updated_at": "2027-01-15T12:00:00Z",
    });
    for absent in [
        "publisher",
        "published_at",
        "closed_at",
        "withdrawn_at",
        "submission",
        "cvss",
        "cwes",
        "cwe_ids",
        "credits",
        "credits_detailed",
        "collaborating_users",
        "collaborating_teams",
        "private_fork",
    ] {
        advisory[absent] = Value::Null;
    }
    advisory
}

/// Writes a text as forges keep it: with the line breaks that forms send.
fn stored(text: &Value) -> String {
    text.as_str().unwrap_or_default().replace('\n', "\r\n")
}

/// Puts together what GitHub says of a person.
fn person() -> Value {
    let url = |path: &str| format!("https://forge.example.org/sample/{path}");
    let mut person = json!({
        "id": 1, "login": "sample", "node_id": "sample", "gravatar_id": "", "site_admin": false, "type": "User",
        "url": url("person"),
    });
    for part in [
        "avatar",
        "events",
        "followers",
        "following",
        "gists",
        "html",
        "organizations",
        "received_events",
        "repos",
        "starred",
        "subscriptions",
    ] {
        person[format!("{part}_url")] = url(part).into();
    }
    person
}

fn said(status: u16, body: &Value) -> Response {
    if status == 204 {
        return Response::builder().status(status).body(Body::empty()).unwrap();
    }
    let response = Response::builder().status(status).header("Content-Type", "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}
