//! The public forge of the demo: `git http-backend` behind a small listener on loopback, open to everyone, pushes too.
//!
//! It knows nothing of this server: stock git decides what a push may do, as on anybody's machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::ChildStdout;
use tokio::task::JoinSet;
use tokio_util::io::ReaderStream;
use tokio_util::task::TaskTracker;

use super::command::{self, Talk};
use crate::cli::{Failure, Result};

/// Bytes of an answer's header.
const LONGEST_HEAD: usize = 16 * 1024;

/// A running forge; it stops when it is dropped.
pub(super) struct Forge {
    address: SocketAddr,
    _task: JoinSet<()>,
}

#[derive(Clone)]
struct Root {
    folder: PathBuf,
    children: TaskTracker,
}

impl Forge {
    /// Serves the bare repositories of a folder.
    pub(super) async fn open(folder: &Path) -> Result<Self> {
        let failed = |error| Failure::because("The public forge could not be started.", error);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let root = Root { folder: folder.to_owned(), children: TaskTracker::new() };
        let router = Router::new().fallback(answer).with_state(root);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, _task: task })
    }

    /// Returns where a repository is.
    pub(super) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}.git", self.address)
    }
}

async fn answer(State(root): State<Root>, request: Request) -> Response {
    match converse(&root, request).await {
        Ok(response) => response,
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "git could not answer.\n").into_response(),
    }
}

/// Runs one request through git's CGI program (RFC 3875, git-http-backend(1)).
async fn converse(root: &Root, request: Request) -> std::io::Result<Response> {
    let (parts, body) = request.into_parts();
    let header = |name: &str| text(&parts.headers, name);
    let call = command::git(&root.folder)
        .arg("http-backend")
        .config("safe.directory", "*")
        .env("GIT_PROJECT_ROOT", &root.folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", header("content-length"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"));
    let Talk { mut input, output, mut child } = call.talk()?;
    let mut pieces = body.into_data_stream();
    root.children.spawn(async move {
        while let Some(Ok(piece)) = pieces.next().await {
            if !Talk::say(&mut input, &piece).await {
                break;
            }
        }
        drop(input);
        let _ = child.wait().await;
    });
    let mut output = BufReader::new(output);
    let mut response = Response::builder();
    for (name, value) in head(&mut output).await? {
        response = match name.as_str() {
            "status" => response.status(value.get(..3).unwrap_or("500")),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from_stream(ReaderStream::new(output))).map_err(std::io::Error::other)
}

async fn head(output: &mut BufReader<ChildStdout>) -> std::io::Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    let mut read = 0;
    loop {
        let mut line = String::new();
        read += output.read_line(&mut line).await?;
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| std::io::Error::other("no header"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        if read > LONGEST_HEAD {
            return Err(std::io::Error::other("too long a head"));
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
