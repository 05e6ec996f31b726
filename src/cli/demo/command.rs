//! The demo's children: this very binary, `git`, `ssh-keygen`, `python3` and a small mail server.
//!
//! Guards: no secret stands in an argument, the environment holds only what stands here, every child has an end, and what
//! was started dies with the demo. A missing program is answered with the name of its package.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::cli::{Failure, Result};

/// How long a child may take whose end is waited for.
const PATIENCE: Duration = Duration::from_mins(30);
/// How long a server may take to stop when it is asked to.
const FAREWELL: Duration = Duration::from_secs(15);
/// Programs and the Debian packages they are in.
const PACKAGES: &[(&str, &str)] =
    &[("git", "git"), ("ssh-keygen", "openssh-client"), ("aiosmtpd", "python3-aiosmtpd"), ("python3", "python3")];

/// A child before it starts.
pub(super) struct Call {
    name: String,
    inner: Command,
    settings: Vec<(String, String)>,
}

/// What a finished child left.
pub(super) struct Ended {
    /// Its exit code; none if a signal ended it.
    pub(super) code: Option<i32>,
    /// What it printed.
    pub(super) out: String,
    /// What it complained about.
    pub(super) err: String,
}

/// A child that runs until it is told to stop.
pub(super) struct Service(Child);

/// A child that is spoken with while it runs.
pub(super) struct Talk {
    /// Its input.
    pub(super) input: ChildStdin,
    /// Its output.
    pub(super) output: ChildStdout,
    /// The child.
    pub(super) child: Child,
}

/// Prepares a program of the machine.
pub(super) fn program(name: &str) -> Call {
    call(name, name)
}

/// Prepares another run of this binary.
pub(super) fn ourselves() -> Result<Call> {
    let binary =
        std::env::current_exe().map_err(|error| Failure::because("This program cannot find itself.", error))?;
    Ok(call("embargo", binary))
}

/// Prepares git in this folder, without the settings of the machine and its user.
pub(super) fn git(folder: &Path) -> Call {
    program("git")
        .folder(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .config("advice.detachedHead", "false")
        .config("init.defaultBranch", "main")
        .config("gc.auto", "0")
}

#[expect(clippy::disallowed_methods, reason = "the one place where the demo builds children")]
fn call(name: &str, binary: impl AsRef<OsStr>) -> Call {
    let mut inner = Command::new(binary);
    inner.env_clear().process_group(0).kill_on_drop(true).stdin(Stdio::null());
    inner
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8");
    Call { name: name.to_owned(), inner, settings: Vec::new() }
}

impl Call {
    /// Adds an argument.
    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Sets one of git's settings by the environment, where no list of processes shows it.
    pub(super) fn config(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Works in this folder.
    pub(super) fn folder(mut self, folder: &Path) -> Self {
        self.inner.current_dir(folder);
        self
    }

    /// Lives in this home folder.
    pub(super) fn home(self, home: &Path) -> Self {
        self.env("HOME", home)
    }

    /// Runs to the end, whatever the exit code.
    pub(super) async fn run(mut self) -> Result<Ended> {
        self.settle();
        self.inner.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.inner.spawn().map_err(|error| missing(&self.name, error))?;
        let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let ended = ended.map_err(|_| Failure::failed(format!("`{}` took too long.", self.name)))?;
        let ended =
            ended.map_err(|error| Failure::because(format!("`{}` could not be waited for.", self.name), error))?;
        Ok(Ended {
            code: ended.status.code(),
            out: String::from_utf8_lossy(&ended.stdout).trim_end().to_owned(),
            err: String::from_utf8_lossy(&ended.stderr).trim_end().to_owned(),
        })
    }

    /// Runs to the end and takes any exit code but 0 as failure; returns what was printed.
    pub(super) async fn succeed(self) -> Result<String> {
        let name = self.name.clone();
        let ended = self.run().await?;
        if ended.code == Some(0) {
            return Ok(ended.out);
        }
        // This binary's own sentences stand for themselves, as does their kind.
        if let Some((_, sentence)) = ended.err.split_once("embargo: ") {
            let refused = ended.code == Some(1);
            return Err(if refused { Failure::Refused(sentence.to_owned()) } else { Failure::failed(sentence) });
        }
        let lines: Vec<&str> = ended.err.lines().collect();
        let last = lines[lines.len().saturating_sub(6)..].join("\n  ");
        Err(Failure::failed(format!("`{name}` failed:\n  {last}")))
    }

    /// Starts a child that stays; what it says goes to this file.
    pub(super) fn stay(mut self, log: &Path) -> Result<Service> {
        let opened = File::create(log).and_then(|out| Ok((out.try_clone()?, out)));
        let (out, err) = opened.map_err(|error| Failure::because("A log could not be written.", error))?;
        self.inner.stdout(out).stderr(err);
        Ok(Service(self.inner.spawn().map_err(|error| missing(&self.name, error))?))
    }

    /// Starts a child to speak with.
    pub(super) fn talk(mut self) -> io::Result<Talk> {
        self.settle();
        self.inner.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Whoever hangs up closes the pipes, and that ends the child.
        self.inner.kill_on_drop(false);
        let mut child = self.inner.spawn()?;
        let input = child.stdin.take().expect("its input was piped above");
        let output = child.stdout.take().expect("its output was piped above");
        Ok(Talk { input, output, child })
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
    pub(super) fn ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Asks it to stop, and ends it if it does not.
    pub(super) async fn stop(mut self) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, Signal::TERM);
        }
        if tokio::time::timeout(FAREWELL, self.0.wait()).await.is_err() {
            let _ = self.0.kill().await;
        }
    }
}

impl Talk {
    /// Writes a piece of input; a child that reads no more is judged by its answer.
    pub(super) async fn say(input: &mut ChildStdin, piece: &[u8]) -> bool {
        input.write_all(piece).await.is_ok()
    }
}

fn missing(name: &str, error: io::Error) -> Failure {
    let package = PACKAGES.iter().find(|(program, _)| *program == name);
    match (error.kind(), package) {
        (io::ErrorKind::NotFound, Some((_, package))) => {
            Failure::Refused(format!("`{name}` is not installed: it is in the package `{package}`."))
        }
        _ => Failure::because(format!("`{name}` could not be started."), error),
    }
}
