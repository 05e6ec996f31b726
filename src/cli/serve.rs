//! `embargo serve`: the doors of the server, until it is told to stop.

use std::path::Path;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Failure, Result};
use crate::app::{App, Outside};
use crate::config::Config;
use crate::http;

/// Runs the server until SIGTERM or SIGINT.
pub(super) async fn run(config: &Path) -> Result<()> {
    let config = Config::load(config).map_err(|error| Failure::because("The server was not started.", error))?;
    let listen = config.listen;
    let app = App::open(config, Outside::real())
        .await
        .map_err(|error| Failure::because("The server was not started.", error))?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| Failure::because(format!("The address {listen} cannot be listened on."), error))?;
    let stop = CancellationToken::new();
    let told = async {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else { return };
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    };
    tracing::info!(address = %listen, "serving");
    let serving = http::serve(app.clone(), listener, stop.clone());
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = told => {
            stop.cancel();
            serving.await
        }
    };
    app.store.close().await;
    served.map_err(|error| Failure::because("The server stopped on a fault.", error))
}
