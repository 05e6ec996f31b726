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
use embargo::domain::channel::ForgeKind;
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
    rules: Mutex<Rules>,
}

/// What it lets the token do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Whether it may not push at all.
    pub(crate) reads_only: bool,
    /// The kinds of rules on every branch.
    pub(crate) on_branches: Vec<&'static str>,
    /// The kinds of rules on tags, and the pattern of their names.
    pub(crate) on_tags: (Vec<&'static str>, &'static str),
    /// Whether the token is past all rules.
    pub(crate) bypass: &'static str,
}

impl Hub {
    /// Opens a forge without releases.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (releases, made, rules) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (advisories, dispatched) = (Mutex::default(), Mutex::default());
        let mood = Mutex::new(Mood::Fine);
        let shared = Arc::new(Shared { mood, releases, made, advisories, dispatched, rules });
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

    /// From now on has these rules.
    pub(crate) fn rule(&self, rules: Rules) {
        *self.shared.rules.lock().unwrap() = rules;
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
    let rest = place.get(2).copied().unwrap_or_default();
    let kind = if path == parts.uri.path() { ForgeKind::GitHub } else { ForgeKind::Forgejo };
    let done = if parts.method == Method::GET { shared.rules.lock().unwrap().told(kind, rest) } else { None };
    let done = done.or_else(|| shared.done(&parts.method, (&repository, rest), &wish));
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

impl Rules {
    /// Tells of a repository and its rules, as both forges do; nothing of anything else.
    fn told(&self, forge: ForgeKind, path: &str) -> Option<(u16, Value)> {
        let rule = |kind: &&str| match *kind {
            "pull_request" => json!({ "type": kind, "parameters": {
                "dismiss_stale_reviews_on_push": false, "require_code_owner_review": false,
                "require_last_push_approval": false, "required_approving_review_count": 1,
                "required_review_thread_resolution": false,
            } }),
            "required_status_checks" => json!({ "type": kind, "parameters": {
                "required_status_checks": [{ "context": "ci" }], "strict_required_status_checks_policy": false,
            } }),
            kind => json!({ "type": kind }),
        };
        let of = |number: u64, mut rule: Value| {
            rule["ruleset_source_type"] = "Repository".into();
            rule["ruleset_source"] = "sample/demo".into();
            rule["ruleset_id"] = number.into();
            rule
        };
        let (kinds, pattern) = &self.on_tags;
        let ruleset = |number: u64, target: &str, include: &str, kinds: &[&str]| {
            let rules: Vec<Value> = kinds.iter().map(rule).collect();
            json!({
                "id": number, "name": format!("sample {target}"), "target": target, "source_type": "Repository",
                "source": "sample/demo", "enforcement": "active", "current_user_can_bypass": self.bypass,
                "conditions": { "ref_name": { "include": [include], "exclude": [] } }, "rules": rules,
            })
        };
        let permissions = json!({ "admin": false, "push": !self.reads_only, "pull": true });
        match path {
            "" if forge == ForgeKind::Forgejo => {
                Some((200, json!({ "full_name": "sample/demo", "permissions": permissions })))
            }
            "" => {
                // GitHub says so much of a repository that its own example has to do.
                let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/forge/node_modules/.described/github.json");
                let described: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
                let examples = &described["components"]["examples"];
                let mut said = examples["full-repository-default-response"]["value"].clone();
                // The one part its example leaves out, also where it names other repositories.
                said["language"] = Value::Null;
                for other in ["parent", "source", "template_repository"] {
                    said.as_object_mut().unwrap().remove(other);
                }
                said["permissions"] = permissions;
                Some((200, said))
            }
            "rulesets" => Some((200, json!([ruleset(8, "tag", pattern, &[])]))),
            "rulesets/7" => Some((200, ruleset(7, "branch", "~ALL", &self.on_branches))),
            "rulesets/8" => Some((200, ruleset(8, "tag", pattern, kinds))),
            path if path.starts_with("rules/branches/") => {
                let rules: Vec<Value> = self.on_branches.iter().map(|kind| of(7, rule(kind))).collect();
                Some((200, rules.into()))
            }
            path => {
                let name = path.strip_prefix("branches/")?;
                Some((200, json!({ "name": name, "user_can_push": self.on_branches.is_empty() })))
            }
        }
    }
}
