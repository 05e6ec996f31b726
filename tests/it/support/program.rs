//! The real program as its operator runs it: started, heard, told to stop, killed.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Prepares the program with this configuration and an environment of its own.
pub(crate) fn embargo(config: &Path) -> Command {
    let mut command = other(env!("CARGO_BIN_EXE_embargo"));
    command.arg("--config").arg(config);
    command
}

/// Prepares a program of the machine with an environment of its own.
pub(crate) fn other(name: &str) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the program under test, as its operator starts it")]
    let mut command = Command::new(name);
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/nonexistent");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Prepares this test binary to run one of its tests in a process of its own, which may be killed.
pub(crate) fn itself(test: &str) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the test starts itself as a child")]
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Waits for a child that is to be killed at a point; returns the signal it died of.
pub(crate) async fn died_of(mut command: Command) -> Option<i32> {
    let status = command.status().await.unwrap();
    assert!(status.success() || status.signal().is_some(), "the child failed by itself: {status}");
    status.signal()
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
    serving(start(config, crash_at)).await
}

/// Starts a server in a zone of the world, with a clock that is ahead by so many seconds, and returns once it serves.
pub(crate) async fn serve_in(config: &Path, zone: &str, ahead: i64) -> Child {
    // Of Debian's package `faketime`, whose program would stand between us and the server.
    let places = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path().join("faketime"));
    let library = places.map(|place| place.join("libfaketimeMT.so.1")).find(|library| library.exists());
    let mut command = embargo(config);
    command.arg("serve").env("TZ", zone).stdout(Stdio::null());
    command.env("LD_PRELOAD", library.expect("faketime is installed: run `.ci/setup test`"));
    command.env("FAKETIME", format!("{ahead:+}s"));
    serving(command.spawn().unwrap()).await
}

/// Waits until a server that was started serves.
async fn serving(mut child: Child) -> Child {
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

/// Stops a server in the middle of whatever it does, as a machine that is suspended.
pub(crate) fn suspend(child: &Child) {
    signal(child, Signal::STOP);
}

/// Lets a suspended server go on.
pub(crate) fn wake(child: &Child) {
    signal(child, Signal::CONT);
}

fn signal(child: &Child, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

async fn end(mut child: Child, with: Signal) -> ExitStatus {
    signal(&child, with);
    child.wait().await.unwrap()
}

/// Somebody's own machine: a home folder in which the program keeps what it knows of them.
pub(crate) struct Machine {
    home: PathBuf,
}

impl Machine {
    /// Sets up a machine on which nobody has signed in yet.
    pub(crate) fn new(home: PathBuf) -> Self {
        std::fs::create_dir_all(&home).unwrap();
        Self { home }
    }

    /// Returns a file of the home folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        let mut command = embargo(Path::new("/nonexistent"));
        command.env("HOME", &self.home).current_dir(&self.home).args(args).output().await.unwrap()
    }

    /// Runs a command that must succeed; returns what it printed as JSON.
    pub(crate) async fn json(&self, args: &[&str]) -> serde_json::Value {
        let ended = self.run(&[&["--json"], args].concat()).await;
        assert!(ended.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ended.stderr));
        serde_json::from_slice(&ended.stdout).unwrap()
    }

    /// Runs a command that must be refused; returns the sentence.
    pub(crate) async fn refused(&self, args: &[&str]) -> String {
        let ended = self.run(args).await;
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args:?}: {said}");
        said
    }
}
