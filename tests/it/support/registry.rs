//! A package registry of three kinds: a Python index, an npm registry, a sparse index of cargo; in memory, over one list of
//! versions of one package called `sample`.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the registry is no part of the program, and ends when this is dropped")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Listens on loopback until dropped.
pub(crate) struct Registry {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Versions, and whether each is withdrawn.
    versions: Mutex<BTreeMap<String, bool>>,
    /// The status it answers everything with, if it is not well.
    ill: Mutex<Option<u16>>,
    asked: Mutex<usize>,
}

impl Registry {
    /// Opens a registry that holds one old version.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let router = Router::new()
            .route("/simple/sample/", get(python))
            .route("/npm/sample", get(npm))
            .route("/cargo/config.json", get(cargo_config))
            .route("/cargo/sa/mp/sample", get(cargo))
            .route("/files/{version}/sample.zip", get(file))
            .fallback(async |_: Uri| StatusCode::NOT_FOUND)
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let registry = Self { url, shared, serving };
        registry.publish("0.1.0");
        registry
    }

    /// Returns the address of one of its parts.
    pub(crate) fn url(&self, part: &str) -> String {
        format!("{}/{part}", self.url)
    }

    /// Puts a version up.
    pub(crate) fn publish(&self, version: &str) {
        self.shared.versions.lock().unwrap().insert(version.to_owned(), false);
    }

    /// Withdraws a version.
    pub(crate) fn yank(&self, version: &str) {
        self.shared.versions.lock().unwrap().insert(version.to_owned(), true);
    }

    /// From now on answers everything with this, or as it should.
    pub(crate) fn fall_ill(&self, status: Option<u16>) {
        *self.shared.ill.lock().unwrap() = status;
    }

    /// Returns how often it was asked.
    pub(crate) fn asked(&self) -> usize {
        *self.shared.asked.lock().unwrap()
    }

    /// Forgets everything but the old version.
    pub(crate) fn clear(&self) {
        self.shared.versions.lock().unwrap().retain(|version, _| version == "0.1.0");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn versions(&self) -> Result<BTreeMap<String, bool>, StatusCode> {
        *self.asked.lock().unwrap() += 1;
        match *self.ill.lock().unwrap() {
            Some(status) => Err(StatusCode::from_u16(status).unwrap()),
            None => Ok(self.versions.lock().unwrap().clone()),
        }
    }
}

async fn python(State(shared): State<Arc<Shared>>) -> Result<Response, StatusCode> {
    let files: Vec<Value> = shared
        .versions()?
        .iter()
        .map(|(version, yanked)| {
            let filename = format!("sample-{version}-py3-none-any.whl");
            json!({ "filename": filename, "url": filename, "hashes": {}, "yanked": yanked })
        })
        .collect();
    let body = json!({ "meta": { "api-version": "1.0" }, "name": "sample", "files": files });
    Ok(([(CONTENT_TYPE, "application/vnd.pypi.simple.v1+json")], body.to_string()).into_response())
}

async fn npm(State(shared): State<Arc<Shared>>) -> Result<Response, StatusCode> {
    let versions: Map<String, Value> = shared
        .versions()?
        .keys()
        .map(|version| {
            let dist = json!({ "tarball": "http://127.0.0.1:9/sample.tgz", "shasum": "0".repeat(40) });
            (version.clone(), json!({ "name": "sample", "version": version, "dist": dist }))
        })
        .collect();
    let body = json!({ "name": "sample", "dist-tags": { "latest": "0.1.0" }, "versions": versions });
    Ok(([(CONTENT_TYPE, "application/json")], body.to_string()).into_response())
}

async fn cargo_config() -> String {
    json!({ "dl": "http://127.0.0.1:9/dl" }).to_string()
}

async fn cargo(State(shared): State<Arc<Shared>>) -> Result<String, StatusCode> {
    let line = |(version, yanked): (String, bool)| {
        let line = json!({
            "name": "sample", "vers": version, "deps": [], "cksum": "0".repeat(64), "features": {}, "yanked": yanked
        });
        format!("{line}\n")
    };
    Ok(shared.versions()?.into_iter().map(line).collect())
}

async fn file(State(shared): State<Arc<Shared>>, Path(version): Path<String>) -> Result<&'static str, StatusCode> {
    let versions = shared.versions()?;
    versions.contains_key(&version).then_some("the file").ok_or(StatusCode::NOT_FOUND)
}
