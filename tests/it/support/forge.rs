//! A public forge: git's own `http-backend` behind HTTP, open to everybody, which can begin to send everybody elsewhere.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the forge is no part of the program")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use data_encoding::BASE64;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

/// Listens on loopback until dropped.
pub(crate) struct Forge {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    folder: PathBuf,
    elsewhere: Mutex<Option<String>>,
    token: Mutex<Option<String>>,
}

impl Forge {
    /// Serves the bare repositories in a folder, to read and to write.
    pub(crate) async fn open(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared =
            Arc::new(Shared { folder: folder.to_owned(), elsewhere: Mutex::default(), token: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    /// Returns the address of a repository.
    pub(crate) fn url(&self, repository: &str) -> String {
        format!("{}/{repository}.git", self.url)
    }

    /// From now on lets only those write who show this token.
    pub(crate) fn ask_writers_for(&self, token: &str) {
        *self.shared.token.lock().unwrap() = Some(token.to_owned());
    }

    /// From now on sends everybody to the same path there, or serves again.
    pub(crate) fn send_to(&self, elsewhere: Option<&str>) {
        *self.shared.elsewhere.lock().unwrap() = elsewhere.map(str::to_owned);
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let elsewhere = shared.elsewhere.lock().unwrap().clone();
    if let Some(elsewhere) = elsewhere {
        let there = format!("{elsewhere}{}", request.uri());
        return Response::builder().status(307).header("Location", there).body(Body::empty()).unwrap();
    }
    let token = shared.token.lock().unwrap().clone();
    let writes = request.uri().to_string().contains("git-receive-pack");
    if let Some(token) = token.filter(|_| writes) {
        let shown = text(request.headers(), "authorization");
        let shown = shown.strip_prefix("Basic ").and_then(|coded| BASE64.decode(coded.as_bytes()).ok());
        if !shown.is_some_and(|shown| shown.ends_with(format!(":{token}").as_bytes())) {
            let asks = ("WWW-Authenticate", "Basic realm=\"forge\"");
            return Response::builder().status(401).header(asks.0, asks.1).body(Body::empty()).unwrap();
        }
    }
    run(&shared.folder, request).await
}

/// Runs one request through git's CGI program (RFC 3875, git-http-backend(1)).
async fn run(folder: &Path, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut child = Command::new("git")
        .args(["-c", "http.receivepack=true", "-c", "safe.directory=*", "http-backend"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text(&parts.headers, "content-type"))
        .env("HTTP_CONTENT_ENCODING", text(&parts.headers, "content-encoding"))
        .env("GIT_PROTOCOL", text(&parts.headers, "git-protocol"))
        .env("GIT_COMMITTER_NAME", "forge")
        .env("GIT_COMMITTER_EMAIL", "forge@example.org")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sent = to_bytes(body, usize::MAX).await.unwrap();
    let mut input = child.stdin.take().unwrap();
    // A child that has seen enough closes its end.
    let _ = input.write_all(&sent).await;
    drop(input);
    let output = child.wait_with_output().await.unwrap().stdout;
    let head = output.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..head]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = if name == "Status" { response.status(&value[..3]) } else { response.header(name, value) };
    }
    response.body(Body::from(output[head + 4..].to_vec())).unwrap()
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
