//! Smart HTTP: clones, fetches and pushes through `git upload-pack` and `git receive-pack`.
//!
//! Guards: requests that ask for a pack are read whole before the child starts, everything else streams both ways; a push
//! runs with our hooks or not at all, and runs to its end even if the client goes; every child carries the caller's guard
//! until it is gone. Leaves who may ask to `workflow`, and headers other than the content type to `http`.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, oneshot};

use super::body::{Body, BodyError};
use super::command::{GitCommand, Running, kept_stderr};
use super::error::{Result, Said};
use super::{Git, Repo};
use crate::domain::sealed::Secret;

pub use super::body::Encoding;

/// Bytes of a request for a pack; git's own `http.maxRequestBuffer`.
const MAX_REQUEST: u64 = 10 * 1024 * 1024;
/// Bytes a push may have beyond its pack: its list of refs.
const PUSH_SLACK: u64 = 1024 * 1024;
/// Bytes read from a child at once.
const CHUNK: usize = 64 * 1024;

/// One of the two services of git over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Clone and fetch.
    UploadPack,
    /// Push.
    ReceivePack,
}

impl Service {
    /// Reads the `service` parameter of `info/refs`. None means the dumb protocol, which is not spoken here.
    pub fn from_parameter(value: &str) -> Option<Self> {
        match value {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    fn subcommand(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }

    fn content_types(self) -> ContentTypes {
        match self {
            Self::UploadPack => ContentTypes {
                advertisement: "application/x-git-upload-pack-advertisement",
                request: "application/x-git-upload-pack-request",
                result: "application/x-git-upload-pack-result",
            },
            Self::ReceivePack => ContentTypes {
                advertisement: "application/x-git-receive-pack-advertisement",
                request: "application/x-git-receive-pack-request",
                result: "application/x-git-receive-pack-result",
            },
        }
    }
}

struct ContentTypes {
    advertisement: &'static str,
    request: &'static str,
    result: &'static str,
}

/// The protocol version a client asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// The first one, which needs no header.
    #[default]
    V0,
    /// The first one, announced.
    V1,
    /// The second one: refs on demand.
    V2,
}

impl Protocol {
    /// Reads a `Git-Protocol` header; anything unclear is the oldest version. The header itself goes no further.
    pub fn from_header(value: Option<&str>) -> Self {
        let versions = value.unwrap_or_default().split(':').filter_map(|part| part.strip_prefix("version="));
        let known = versions.filter_map(|version| match version {
            "1" => Some(Self::V1),
            "2" => Some(Self::V2),
            _ => None,
        });
        known.max().unwrap_or_default()
    }

    fn announce(self, command: GitCommand) -> GitCommand {
        match self {
            Self::V0 => command,
            Self::V1 => command.env("GIT_PROTOCOL", "version=1"),
            Self::V2 => command.env("GIT_PROTOCOL", "version=2"),
        }
    }
}

/// A POST of a git client.
pub struct Request<S> {
    /// From its `Git-Protocol` header.
    pub protocol: Protocol,
    /// Its `Content-Type` header, or nothing.
    pub content_type: String,
    /// From its `Content-Encoding` header.
    pub encoding: Encoding,
    /// Its body.
    pub body: S,
}

/// What the hooks of a push are given, to find their way back to the server.
pub struct Hooks {
    /// The `embargo` binary that is running.
    pub binary: PathBuf,
    /// The Unix socket of the server.
    pub socket: PathBuf,
    /// The ticket of this push.
    pub ticket: Secret,
}

/// The body of an answer.
pub type ServedBody = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// An answer to a git client.
pub struct Served {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The body, streamed.
    pub body: ServedBody,
}

impl Served {
    fn whole(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self { status, content_type, body: Box::pin(stream::once(async move { Ok(body) })) }
    }

    fn refused(status: u16, sentence: &'static str) -> Self {
        Self::whole(status, "text/plain; charset=utf-8", sentence)
    }
}

impl Git {
    /// Answers `GET …/info/refs?service=…`: the refs, or in version 2 the abilities, of a repository.
    pub async fn advertise(&self, repo: &Repo, service: Service, protocol: Protocol) -> Result<Served> {
        let protocol = match service {
            Service::UploadPack => protocol,
            // A push speaks the first version whatever the client asks for.
            Service::ReceivePack => Protocol::V0,
        };
        let command = protocol.announce(self.service(repo, service)?);
        let refs = command.arg("--http-backend-info-refs").arg("--").arg(self.path(repo)).succeed(b"").await?;
        let types = service.content_types();
        if protocol == Protocol::V2 {
            return Ok(Served::whole(200, types.advertisement, refs));
        }
        let line = format!("# service=git-{}\n", service.subcommand());
        let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
        body.extend_from_slice(&refs);
        Ok(Served::whole(200, types.advertisement, body))
    }

    /// Answers `POST …/git-upload-pack`. Dropping the answer ends the child; the guard lives as long as the child.
    pub async fn serve_fetch<S>(&self, repo: &Repo, request: Request<S>, guard: impl Send + 'static) -> Result<Served>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let service = Service::UploadPack;
        if request.content_type != service.content_types().request {
            return Ok(Served::refused(415, "This address takes requests of git clients only.\n"));
        }
        let whole = match Body::new(request.body, request.encoding, MAX_REQUEST).whole().await {
            Ok(whole) => whole,
            Err(error) => return Ok(faulty(&error)),
        };
        if &whole[..] == b"0000" {
            return Ok(Served::whole(200, service.content_types().result, Bytes::new()));
        }
        let command = request.protocol.announce(self.service(repo, service)?).arg("--").arg(self.path(repo));
        let rest = Body::new(stream::empty(), Encoding::Plain, 0);
        self.exchange(service, command, Input { head: whole, rest }, guard).await
    }

    /// Answers `POST …/git-receive-pack`. The child runs to its end even if the answer is dropped, and the guard with it.
    pub async fn serve_push<S>(
        &self,
        repo: &Repo,
        request: Request<S>,
        hooks: Hooks,
        guard: impl Send + 'static,
    ) -> Result<Served>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let service = Service::ReceivePack;
        if request.content_type != service.content_types().request {
            return Ok(Served::refused(415, "This address takes requests of git clients only.\n"));
        }
        let limit = self.options().max_push_bytes.saturating_add(PUSH_SLACK);
        let mut rest = Body::new(request.body, request.encoding, limit);
        let mut head = BytesMut::new();
        let mut ended = false;
        while head.len() <= 4 && !ended {
            match rest.next().await {
                Ok(Some(chunk)) => head.extend_from_slice(&chunk),
                Ok(None) => ended = true,
                Err(error) => return Ok(faulty(&error)),
            }
        }
        // Before a large push git asks with four bytes whether it may send: this is no push yet.
        if ended && &head[..] == b"0000" {
            return Ok(Served::whole(200, service.content_types().result, Bytes::new()));
        }
        let command = self
            .service(repo, service)?
            .env("EMBARGO_BINARY", hooks.binary)
            .env("EMBARGO_SOCKET", hooks.socket)
            .env("EMBARGO_TICKET", hooks.ticket.expose())
            .arg("--")
            .arg(self.path(repo));
        self.exchange(service, command, Input { head: head.freeze(), rest }, guard).await
    }

    /// Builds the child of a service, up to the `--` before the repository.
    fn service(&self, repo: &Repo, service: Service) -> Result<GitCommand> {
        self.existing(repo)?;
        let what = match service {
            Service::UploadPack => "serving a clone",
            Service::ReceivePack => "receiving a push",
        };
        let command = self
            .command(what)
            .timeout(Duration::from_secs(self.options().serve_seconds))
            .config("transfer.hideRefs", "refs/keep")
            .config("uploadpack.allowFilter", "false")
            .args([service.subcommand(), "--stateless-rpc"]);
        Ok(match service {
            Service::UploadPack => command,
            Service::ReceivePack => command
                .config("core.hooksPath", self.hooks())
                .config("core.alternateRefsCommand", "true")
                .config("core.bigFileThreshold", "16m")
                .config("receive.fsckObjects", "true")
                .config("receive.unpackLimit", "1")
                .config("receive.maxInputSize", self.options().max_push_bytes.to_string())
                .config("receive.autogc", "false")
                .config("receive.shallowUpdate", "false"),
        })
    }

    async fn exchange(
        &self,
        service: Service,
        command: GitCommand,
        input: Input,
        guard: impl Send + 'static,
    ) -> Result<Served> {
        let running = command.spawn()?;
        let (first, begun) = oneshot::channel();
        let (sender, receiver) = mpsc::channel(4);
        let whole = Duration::from_secs(self.options().serve_seconds);
        let answer = Answer { first: Some(first), sender, gone: false, service };
        self.0.tasks.spawn(async move {
            if tokio::time::timeout(whole, conduct(running, input, answer)).await.is_err() {
                tracing::warn!(service = service.subcommand(), "git child ended: it took too long");
            }
            drop(guard);
        });
        let content_type = service.content_types().result;
        Ok(match begun.await {
            Ok(First::Bytes) => {
                let body = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async {
                    receiver.recv().await.map(|chunk| (Ok(chunk), receiver))
                });
                Served { status: 200, content_type, body: Box::pin(body) }
            }
            Ok(First::Nothing) => Served::whole(200, content_type, Bytes::new()),
            Ok(First::Faulty(error)) => faulty(&error),
            Ok(First::Failed) | Err(_) => Served::refused(500, "git could not answer; the server's log says why.\n"),
        })
    }
}

/// What goes to a child: what was read already, then the rest.
struct Input {
    head: Bytes,
    rest: Body,
}

/// Where the child's output goes.
struct Answer {
    first: Option<oneshot::Sender<First>>,
    sender: mpsc::Sender<Bytes>,
    gone: bool,
    service: Service,
}

/// How an answer begins.
enum First {
    Bytes,
    Nothing,
    Faulty(BodyError),
    Failed,
}

impl Answer {
    fn begin(&mut self, first: First) {
        if let Some(sender) = self.first.take() {
            // The client may be gone already.
            let _ = sender.send(first);
        }
    }

    /// Passes bytes on. False if nobody listens and the child need not go on.
    async fn pass(&mut self, chunk: Bytes) -> bool {
        self.begin(First::Bytes);
        if !self.gone && self.sender.send(chunk).await.is_err() {
            self.gone = true;
        }
        !self.gone || self.service == Service::ReceivePack
    }
}

/// The client of a clone has gone.
struct NobodyWaits;

/// Runs one child: input in, output out, both at once.
async fn conduct(mut running: Running, input: Input, mut answer: Answer) {
    let service = answer.service.subcommand();
    let stdin = running.stdin.take();
    let stderr = running.stderr.take();
    let said = async {
        Ok(match stderr {
            Some(stderr) => kept_stderr(stderr).await,
            None => Said::default(),
        })
    };
    let pump = async {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        loop {
            buffer.reserve(CHUNK);
            match running.stdout.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return Ok(()),
                Ok(_) => {
                    if !answer.pass(buffer.split().freeze()).await {
                        return Err(NobodyWaits);
                    }
                }
            }
        }
    };
    let Ok((fed, (), said)) = tokio::try_join!(async { Ok(feed(stdin, input).await) }, pump, said) else {
        // Dropping the child ends it.
        return;
    };
    match (running.wait().await, fed) {
        (Ok(Some(0)), _) => answer.begin(First::Nothing),
        (code, fed) => {
            let code = code.ok().flatten();
            tracing::warn!(service, code, stderr_bytes = said.text().len(), "git child failed");
            answer.begin(fed.err().map_or(First::Failed, First::Faulty));
        }
    }
}

/// Writes the whole input to the child. What a child does not want to read is read and dropped, so that the client sees
/// the child's answer and not a broken connection.
async fn feed(stdin: Option<ChildStdin>, mut input: Input) -> Result<(), BodyError> {
    let mut stdin = stdin;
    let mut chunk = Some(input.head);
    while let Some(bytes) = chunk {
        if let Some(open) = &mut stdin
            && open.write_all(&bytes).await.is_err()
        {
            stdin = None;
        }
        chunk = input.rest.next().await?;
    }
    Ok(())
}

fn faulty(error: &BodyError) -> Served {
    match error {
        BodyError::TooLarge => Served::refused(413, "This request is larger than the server takes.\n"),
        BodyError::Damaged => Served::refused(400, "The body of this request is damaged.\n"),
        BodyError::Broken(source) => {
            tracing::debug!(kind = %source.kind(), "git request cut off");
            Served::refused(400, "The body of this request was cut off.\n")
        }
    }
}
