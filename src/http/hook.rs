//! The hook socket: a Unix socket inside the data folder, for the hooks of running pushes. Never on the public router.
//!
//! Guards: only processes of the server's own user are heard, one bounded line is read, and the ticket in it decides
//! everything. A hook that is cut off has been refused.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::wire::hook::HookCall;
use crate::workflow;

/// Bytes of one call: fifty refs of 255 bytes and their ids, with room to spare.
const LONGEST: u64 = 1024 * 1024;
/// How long a hook may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Listens until cancelled; calls in progress are finished.
pub async fn serve(app: Arc<App>, stop: CancellationToken) -> std::io::Result<()> {
    let path = app.config.hook_socket();
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let tracker = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match stream {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: the hook waits, and is heard when one is free again.
                tracing::warn!(%error, "a hook could not be heard yet");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let app = app.clone();
        tracker.spawn(async move {
            if let Err(error) = answer(&app, stream).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a hook went away unanswered");
            }
        });
    }
    tracker.close();
    tracker.wait().await;
    Ok(())
}

async fn answer(app: &App, stream: UnixStream) -> std::io::Result<()> {
    if stream.peer_cred()?.uid() != rustix::process::getuid().as_raw() {
        return Err(std::io::Error::other("a process of another user spoke to the hook socket"));
    }
    let (from, mut to) = stream.into_split();
    let mut line = String::new();
    let mut bounded = BufReader::new(from.take(LONGEST));
    tokio::time::timeout(PATIENCE, bounded.read_line(&mut line)).await??;
    // The parser quotes what it does not know, and that may be the name of a ref: its place is enough.
    let call: HookCall = serde_json::from_str(&line)
        .map_err(|error| std::io::Error::other(format!("the call cannot be read from byte {} on", error.column())))?;
    let answer = workflow::push::hook(app, call).await;
    let mut text = serde_json::to_vec(&answer).map_err(std::io::Error::other)?;
    text.push(b'\n');
    to.write_all(&text).await?;
    to.shutdown().await
}
