//! The real program as its operator runs it: started, heard, told to stop, killed.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Prepares the program with this configuration and an environment of its own.
pub(crate) fn embargo(config: &Path) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the program under test, as its operator starts it")]
    let mut command = Command::new(env!("CARGO_BIN_EXE_embargo"));
    command.arg("--config").arg(config);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs the program to its end.
pub(crate) async fn run(config: &Path, args: &[&str]) -> Output {
    embargo(config).args(args).output().await.unwrap()
}

/// Starts a server that kills itself at a point, if one is named; it may not serve yet.
pub(crate) fn start(config: &Path, crash_at: Option<&str>) -> Child {
    let mut command = embargo(config);
    command.arg("serve").stdout(Stdio::null());
    if let Some(point) = crash_at {
        command.args(["--crash-at", point]);
    }
    command.spawn().unwrap()
}

/// Starts a server and returns once it serves.
pub(crate) async fn serve(config: &Path, crash_at: Option<&str>) -> Child {
    let mut child = start(config, crash_at);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut heard = Vec::new();
    loop {
        let line = said.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended: {heard:#?}"));
        if line.contains("serving") {
            break;
        }
        heard.push(line);
    }
    // Read to the end, so that it never waits for its log to be taken.
    #[expect(clippy::disallowed_methods, reason = "ends with the child")]
    tokio::spawn(async move { while said.next_line().await.is_ok_and(|line| line.is_some()) {} });
    child
}

/// Asks a server to stop, and waits until it did.
pub(crate) async fn stop(child: Child) -> ExitStatus {
    end(child, Signal::TERM).await
}

/// Kills a server as a power cut would.
pub(crate) async fn kill(child: Child) -> ExitStatus {
    end(child, Signal::KILL).await
}

async fn end(mut child: Child, signal: Signal) -> ExitStatus {
    let id = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
    child.wait().await.unwrap()
}
