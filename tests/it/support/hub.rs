//! A forge's releases: what GitHub and Forgejo answer about them, in memory, on a good day and on bad ones.
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
    /// It makes the release, and its answer is lost.
    LosesAnswers,
    /// It makes the release, and then fails with this.
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
}

impl Hub {
    /// Opens a forge without releases.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (releases, made) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { mood: Mutex::new(Mood::Fine), releases, made });
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

    /// Forgets all releases.
    pub(crate) fn clear(&self) {
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
    match &mood {
        Mood::Answers(status) => return said(*status, &json!({ "message": "a bad day" })),
        Mood::Refuses(status) if parts.method == Method::POST => return said(*status, &refusal()),
        Mood::SendsTo(there) => {
            return Response::builder().status(307).header("Location", there).body(Body::empty()).unwrap();
        }
        Mood::Trails => {
            let begun = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"{")) });
            return Response::builder().body(Body::from_stream(begun.chain(stream::pending()))).unwrap();
        }
        Mood::Fine | Mood::Refuses(_) | Mood::LosesAnswers | Mood::Forgets(_) => {}
    }
    if !knows(&parts.headers) {
        return said(401, &json!({ "message": "Bad credentials", "documentation_url": "https://forge.example.org" }));
    }
    let path = parts.uri.path().strip_prefix("/api/v1").unwrap_or(parts.uri.path());
    let place = path.strip_prefix("/repos/").unwrap();
    let missing = json!({ "message": "Not Found", "documentation_url": "https://forge.example.org", "status": "404" });
    match place.split_once("/releases") {
        Some((repository, "")) if parts.method == Method::POST => {
            let wish: Value = serde_json::from_slice(&to_bytes(body, usize::MAX).await.unwrap()).unwrap();
            let key = format!("{repository} {}", wish["tag_name"].as_str().unwrap());
            if shared.releases.lock().unwrap().contains_key(&key) {
                // As GitHub has it; Forgejo says 409 and less.
                return said(422, &refusal());
            }
            let made = release(repository, &wish);
            shared.releases.lock().unwrap().insert(key.clone(), made.clone());
            shared.made.lock().unwrap().push(key);
            match mood {
                Mood::LosesAnswers => std::future::pending().await,
                Mood::Forgets(status) => said(status, &json!({ "message": "a bad day" })),
                _ => said(201, &made),
            }
        }
        Some((repository, tag)) if parts.method == Method::GET => {
            let tag = tag.strip_prefix("/tags/").unwrap().replace("%2F", "/");
            let found = shared.releases.lock().unwrap().get(&format!("{repository} {tag}")).cloned();
            found.map_or_else(|| said(404, &missing), |found| said(200, &found))
        }
        Some(_) | None => said(404, &missing),
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
    let mut author = json!({
        "id": 1, "login": "sample", "node_id": "sample", "gravatar_id": "", "site_admin": false, "type": "User",
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
        author[format!("{part}_url")] = url(part).into();
    }
    author["url"] = url("author").into();
    let mut release = json!({
        "id": 1, "node_id": "sample", "author": author, "assets": [], "url": url("release"),
        "tag_name": wish["tag_name"], "target_commitish": wish["target_commitish"], "name": wish["name"],
        // Forges write line breaks as forms send them.
        "body": wish["body"].as_str().unwrap_or_default().replace('\n', "\r\n"),
        "draft": wish["draft"], "prerelease": wish["prerelease"],
        "created_at": "2027-01-15T12:00:00Z", "published_at": "2027-01-15T12:00:00Z",
    });
    for part in ["assets", "html", "tarball", "upload", "zipball"] {
        release[format!("{part}_url")] = url(part).into();
    }
    release
}

fn said(status: u16, body: &Value) -> Response {
    let response = Response::builder().status(status).header("Content-Type", "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}
