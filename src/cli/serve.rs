//! `embargo serve`: the doors and the worker, until the process is told to stop.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

use super::{Failure, Result};
use crate::app::{App, CrashPoint, Outside};
use crate::config::Config;
use crate::{http, worker};

/// How the server is run.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Write the log as JSON, one object a line
    #[arg(long)]
    log_json: bool,
    /// Log this much: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
    /// Kill the process without warning when it passes this point, to see what a crash leaves behind
    #[arg(long, hide = true, value_name = "POINT")]
    crash_at: Option<String>,
}

/// Runs the server until SIGTERM or SIGINT.
pub(super) async fn run(path: &Path, serve: &Serve) -> Result<()> {
    watch(serve);
    // From here on a signal asks for a stop in order, however early it comes.
    let told = told()?;
    let config = Config::load(path).map_err(|error| Failure::failed(error.to_string()))?;
    let listen = config.listen;
    let outside = Outside { crash: CrashPoint::at(serve.crash_at.clone()), ..Outside::real() };
    let app = App::open(config, outside).await.map_err(|error| Failure::failed(error.to_string()))?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Failure::because(format!("The address {listen} cannot be listened on."), error))?;
    worker::start(&app).await.map_err(|error| Failure::because("The server was not started.", error))?;
    let mut alarms = worker::clock::start(&app).await.map_err(|error| Failure::failed(error.to_string()))?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(worker::run(Arc::clone(&app), stop.clone()));
    let hooks = tasks.spawn(http::hook::serve(Arc::clone(&app), stop.clone()));
    tracing::info!(address = %listen, "serving");
    let mut serving = std::pin::pin!(http::serve(Arc::clone(&app), listener, stop.clone()));
    let mut hooks = std::pin::pin!(hooks);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        // Without the hook socket every push would be refused: better to stop and be started again.
        ended = hooks.as_mut() => ended.unwrap_or_else(|error| Err(std::io::Error::other(error))),
        () = told => {
            stop.cancel();
            serving.await
        }
    };
    stop.cancel();
    if let Err(error) = alarms.shutdown().await {
        tracing::debug!(%error, "the alarm clock had stopped already");
    }
    tasks.close();
    tasks.wait().await;
    app.git.finish().await;
    app.store.close().await;
    served.map_err(|error| Failure::because("The server stopped on a fault.", error))
}

/// Listens for SIGTERM and SIGINT from now on; the future ends with the first of them.
fn told() -> Result<impl Future<Output = ()>> {
    let deaf = |error| Failure::because("Signals cannot be listened for.", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
}

/// Sends the log to standard error. Other crates are heard from when something is wrong.
fn watch(serve: &Serve) {
    let filter = EnvFilter::try_new(format!("warn,embargo={}", serve.log))
        .unwrap_or_else(|_| EnvFilter::new("warn,embargo=info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Set twice only where a test runs the server in its own process.
    let _ = if serve.log_json { log.json().try_init() } else { log.with_ansi(false).try_init() };
}
