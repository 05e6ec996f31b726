//! The children of the benchmarks: the release-built program, `git`, `age`, `curl`, `apache2` and a small mail server.
//!
//! Guards: the environment holds only what stands here, every child dies with the benchmark that started it, and both sides
//! of a comparison are started in the same way.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// Whatever ends a benchmark; displays a sentence.
pub(crate) type Fault = Box<dyn std::error::Error + Send + Sync>;
/// What a step of a benchmark returns.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// The program under measurement, built with the profile of a release.
pub(crate) const EMBARGO: &str = env!("CARGO_BIN_EXE_embargo");

/// How long a server may take to stop when it is asked to.
const FAREWELL: Duration = Duration::from_secs(15);

/// A child before it starts.
pub(crate) struct Call {
    name: String,
    inner: Command,
    settings: Vec<(String, String)>,
    input: Vec<u8>,
}

/// A child that runs until it is told to stop, with the children of its own. Dropped, it is ended at once with all of them.
pub(crate) struct Service {
    child: Child,
    /// Its process id.
    pub(crate) id: u32,
    group: Option<Pid>,
}

/// Prepares a program of the machine.
#[expect(clippy::disallowed_methods, reason = "the one place where benchmarks build children")]
pub(crate) fn program(name: &str) -> Call {
    let mut inner = Command::new(name);
    inner.env_clear().kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    inner
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8");
    Call { name: name.to_owned(), inner, settings: Vec::new(), input: Vec::new() }
}

/// Prepares the program under measurement for somebody who lives in this home.
pub(crate) fn embargo(home: &Path) -> Call {
    let mut call = program(EMBARGO).env("HOME", home);
    "embargo".clone_into(&mut call.name);
    call
}

/// Prepares git in this folder, without the settings of the machine and its user.
pub(crate) fn git(folder: &Path) -> Call {
    let mut call = program("git");
    call.inner.current_dir(folder);
    for who in ["AUTHOR", "COMMITTER"] {
        call = call.env(&format!("GIT_{who}_NAME"), "Sample Developer");
        call = call.env(&format!("GIT_{who}_EMAIL"), "developer@example.org");
    }
    call.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .config("init.defaultBranch", "main")
        .config("advice.detachedHead", "false")
        .config("safe.directory", "*")
        .config("gc.auto", "0")
}

impl Call {
    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Sets one of git's settings by the environment.
    pub(crate) fn config(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Gives the child this to read.
    pub(crate) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// Runs to the end, which must be a good one; returns what was printed.
    pub(crate) async fn succeed(mut self) -> Result<String> {
        self.settle();
        if !self.input.is_empty() {
            self.inner.stdin(Stdio::piped());
        }
        let mut child = self.inner.spawn().map_err(|error| format!("`{}` could not be started: {error}", self.name))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A child that ends without reading its input is judged by its exit code.
            let _ = stdin.write_all(&self.input).await;
        }
        let ended = child.wait_with_output().await?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            let lines: Vec<&str> = said.lines().collect();
            let last = lines[lines.len().saturating_sub(8)..].join("\n  ");
            return Err(format!("`{}` failed ({}):\n  {last}", self.name, ended.status).into());
        }
        Ok(String::from_utf8_lossy(&ended.stdout).trim_end().to_owned())
    }

    /// Runs to the end, which must be a good one; returns how long that took, start and end of the process included.
    pub(crate) async fn timed(self) -> Result<Duration> {
        let began = Instant::now();
        self.succeed().await?;
        Ok(began.elapsed())
    }

    /// Runs to the end and reads the JSON that was printed.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T> {
        Ok(serde_json::from_str(&self.succeed().await?)?)
    }

    /// Starts a child that stays; what it says goes to this file.
    pub(crate) fn stay(mut self, log: &Path) -> Result<Service> {
        self.settle();
        let out = File::create(log)?;
        self.inner.stderr(out.try_clone()?).stdout(out).process_group(0);
        let child = self.inner.spawn().map_err(|error| format!("`{}` could not be started: {error}", self.name))?;
        let id = child.id().ok_or("a child ended as it began")?;
        Ok(Service { child, id, group: i32::try_from(id).ok().and_then(Pid::from_raw) })
    }

    fn settle(&mut self) {
        self.inner.env("GIT_CONFIG_COUNT", self.settings.len().to_string());
        for (n, (key, value)) in self.settings.iter().enumerate() {
            self.inner.env(format!("GIT_CONFIG_KEY_{n}"), key).env(format!("GIT_CONFIG_VALUE_{n}"), value);
        }
    }
}

impl Service {
    /// Tells whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(leader) = self.group {
            let _ = kill_process(leader, Signal::TERM);
        }
        let ended = tokio::time::timeout(FAREWELL, self.child.wait()).await;
        ended.map_err(|_| "A server did not stop when it was asked to.")??;
        // It has ended those it began; its number may be somebody else's from now on.
        self.group = None;
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Apache's own children outlive a leader that is killed alone.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Returns the folder of git's own programs.
pub(crate) async fn git_programs() -> Result<PathBuf> {
    Ok(program("git").arg("--exec-path").succeed().await?.into())
}
