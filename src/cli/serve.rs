//! `embargo serve`: the doors and the worker, until the process is told to stop.

use std::path::{Path, PathBuf};
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

/// Takes as many descriptors as the system lets this process have: what starts it often gives it fewer.
fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let more = rustix::process::Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, more) {
        tracing::warn!(%error, "the limit of open files stays as low as it is");
    }
}

/// Runs the server until SIGTERM or SIGINT.
pub(super) async fn run(path: &Path, serve: &Serve) -> Result<()> {
    watch(serve);
    allow_descriptors();
    // From here on a signal asks for a stop in order, however early it comes.
    let told = told()?;
    let config = Config::load(path).map_err(unstarted)?;
    let listen = config.listen;
    let outside = Outside { crash: CrashPoint::at(serve.crash_at.clone()), ..Outside::real() };
    let app = App::open(config, outside).await.map_err(unstarted)?;
    if app.config.base_url.is_https() && app.config.trusted_proxies.is_empty() {
        tracing::warn!("`trusted_proxies` is empty: behind a proxy the limits count all strangers as one");
    }
    for project in app.config.projects.iter().filter(|project| project.is_unsigned()) {
        tracing::warn!(
            project = %project.id,
            address = project.signer.email,
            "`signer` is not set: this name stands on public merges and tags, and stays there for ever"
        );
    }
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Failure::because(format!("The address {listen} cannot be listened on."), error))?;
    worker::start(&app).await.map_err(unstarted)?;
    let mut alarms = worker::clock::start(&app).await.map_err(unstarted)?;
    let run = Run::begin(&app.config)?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let worker = tasks.spawn(worker::run(Arc::clone(&app), stop.clone()));
    let hooks = tasks.spawn(http::hook::serve(Arc::clone(&app), stop.clone()));
    tracing::info!(address = %listen, "serving");
    let mut serving = std::pin::pin!(http::serve(Arc::clone(&app), listener, stop.clone()));
    // Without the hook socket every push would be refused, without the worker nothing disclosed: better to stop and be
    // started again.
    let served = tokio::select! {
        served = serving.as_mut() => served,
        ended = hooks => ended.unwrap_or_else(|error| Err(std::io::Error::other(error))),
        ended = worker => Err(ended.map_or_else(std::io::Error::other, |()| std::io::Error::other("the worker ended"))),
        signal = told => {
            tracing::info!(signal, "stopping");
            stop.cancel();
            serving.await
        }
    };
    if let Err(error) = &served {
        tracing::error!(error = error as &dyn std::error::Error, "stopping on a fault");
    }
    stop.cancel();
    if let Err(error) = alarms.shutdown().await {
        tracing::debug!(%error, "the alarm clock had stopped already");
    }
    tasks.close();
    tasks.wait().await;
    app.git.finish().await;
    app.store.close().await;
    run.end();
    tracing::info!("stopped");
    served.map_err(|error| Failure::because("The server stopped on a fault.", error))
}

/// Says why there is no server, down to what the operating system said.
fn unstarted(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::because("The server was not started.", error)
}

/// A run that has not ended, as a file in the data folder: a server that is killed can log nothing, so the next one does.
struct Run(PathBuf);

impl Run {
    /// Begins a run, and says so if the last one did not end in order.
    fn begin(config: &Config) -> Result<Self> {
        let file = config.data.join("run").join("serving");
        if file.exists() {
            tracing::warn!(
                "the last run ended without a stop: the process was killed, ran out of memory, or lost power"
            );
        }
        let failed = |error| Failure::because(format!("{} cannot be written.", file.display()), error);
        std::fs::write(&file, "").map_err(failed)?;
        Ok(Self(file))
    }

    /// Ends the run in order.
    fn end(self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(%error, "the mark of this run could not be removed");
        }
    }
}

/// Listens for SIGTERM and SIGINT from now on; the future ends with the first of them and tells which.
fn told() -> Result<impl Future<Output = &'static str>> {
    let deaf = |error| Failure::because("Signals cannot be listened for.", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(deaf)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(deaf)?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => "SIGTERM", _ = interrupt.recv() => "SIGINT" }
    })
}

/// Sends the log to standard error, panics included. Other crates are heard from when something is wrong.
fn watch(serve: &Serve) {
    let filter = EnvFilter::try_new(format!("warn,embargo={}", serve.log))
        .unwrap_or_else(|_| EnvFilter::new("warn,embargo=info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // Set twice only where a test runs the server in its own process.
    let _ = if serve.log_json { log.json().try_init() } else { log.with_ansi(false).try_init() };
    // Whoever catches a panic says what became of the task; what the panic was is said here, once.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, panic = panic.payload_as_str().unwrap_or("it says nothing"), "a task panicked");
    }));
}
