//! The one builder of git children.
//!
//! Guards: the binary is pinned, the environment is empty but for what stands here, no transport works that was not asked
//! for, secrets travel by environment and never by argument, every child has a process group and an end. Leaves the
//! meaning of arguments to the callers, which put `--` before anything from outside.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::error::{Error, Result, Said};

/// Bytes of a child's error stream that are kept.
const KEPT_STDERR: usize = 8 * 1024;
/// Bytes of output that are read into memory at most.
const KEPT_STDOUT: usize = 64 * 1024 * 1024;

/// Settings every child gets; a later one of the same name wins.
const FIXED: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.version", "2"),
    ("http.followRedirects", "false"),
    ("safe.bareRepository", "explicit"),
    ("submodule.recurse", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
];

/// A git binary that was found and is recent enough.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    version: (u32, u32),
}

impl Program {
    /// Takes the first of these that exists, and asks its version.
    pub(super) async fn find(candidates: &[PathBuf]) -> Result<Self> {
        let path = candidates.iter().find(|path| path.is_absolute() && path.is_file()).ok_or(Error::NoGit)?.clone();
        let unchecked = Self { path, version: (0, 0) };
        let output = unchecked.command("asking git for its version").arg("--version").succeed(b"").await?;
        let said = String::from_utf8_lossy(&output).trim().to_owned();
        let found = said.strip_prefix("git version ").unwrap_or(&said).to_owned();
        let mut parts = found.split('.').map_while(|part| part.parse::<u32>().ok());
        match (parts.next(), parts.next()) {
            (Some(major), Some(minor)) if (major, minor) >= (2, 39) => {
                Ok(Self { version: (major, minor), ..unchecked })
            }
            _ => Err(Error::OldGit { path: unchecked.path, found }),
        }
    }

    /// Tells whether this git is at least 2.45, which knows more than one way to store refs.
    pub(super) fn has_ref_formats(&self) -> bool {
        self.version >= (2, 45)
    }

    /// Starts a child that does what the words say.
    pub(super) fn command(&self, what: &'static str) -> GitCommand {
        #[expect(clippy::disallowed_methods, reason = "this is the one builder of git children")]
        let mut inner = Command::new(&self.path);
        inner.env_clear().process_group(0).kill_on_drop(true).current_dir("/");
        for (name, value) in [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("HOME", "/nonexistent"),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_ADVICE", "0"),
        ] {
            inner.env(name, value);
        }
        let config = FIXED.iter().map(|(key, value)| ((*key).to_owned(), OsString::from(value))).collect();
        GitCommand { what, inner, config, timeout: Duration::from_mins(10) }
    }
}

/// A git child before it starts.
pub(super) struct GitCommand {
    what: &'static str,
    inner: Command,
    config: Vec<(String, OsString)>,
    timeout: Duration,
}

/// What a finished child left.
pub(super) struct Output {
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) said: Said,
}

impl GitCommand {
    /// Works in this repository, named outright so that none is searched for.
    pub(super) fn in_repository(mut self, git_dir: &Path) -> Self {
        self.inner.env("GIT_DIR", git_dir).current_dir(git_dir);
        self
    }

    /// Works in this folder.
    pub(super) fn in_folder(mut self, folder: &Path) -> Self {
        self.inner.current_dir(folder);
        self
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    pub(super) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.inner.args(args);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Sets a configuration value by environment, so that it is in no argument list.
    pub(super) fn config(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.config.push((key.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Allows one transport: `file`, `http`, `https` or `ssh`.
    pub(super) fn transport(self, name: &str) -> Self {
        self.config(&format!("protocol.{name}.allow"), "always")
    }

    pub(super) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Starts the child with all three streams piped.
    pub(super) fn spawn(mut self) -> Result<Running> {
        self.inner.env("GIT_CONFIG_COUNT", self.config.len().to_string());
        for (n, (key, value)) in self.config.iter().enumerate() {
            self.inner.env(format!("GIT_CONFIG_KEY_{n}"), key).env(format!("GIT_CONFIG_VALUE_{n}"), value);
        }
        self.inner.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.inner.spawn().map_err(Error::io(self.what))?;
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
        let stdin = child.stdin.take().expect("stdin was piped two lines above");
        let stdout = child.stdout.take().expect("stdout was piped above");
        let stderr = child.stderr.take().expect("stderr was piped above");
        Ok(Running {
            what: self.what,
            timeout: self.timeout,
            child,
            group,
            stdin: Some(stdin),
            stdout,
            stderr: Some(stderr),
        })
    }

    /// Runs the child to its end with this input, whatever its exit code.
    pub(super) async fn run(self, input: &[u8]) -> Result<Output> {
        let mut running = self.spawn()?;
        let (what, timeout) = (running.what, running.timeout);
        let mut stdin = running.stdin.take().expect("spawn leaves stdin in place");
        let stderr = running.stderr.take().expect("spawn leaves stderr in place");
        let work = async {
            let write = async {
                // A child that ends without reading its input is judged by its exit code.
                let _ = stdin.write_all(input).await;
                drop(stdin);
            };
            let (stdout, said, ()) = tokio::join!(read_capped(&mut running.stdout), kept_stderr(stderr), write);
            let status = running.child.wait().await.map_err(Error::io(what))?;
            Ok((stdout.map_err(Error::io(what))?, said, status))
        };
        let (stdout, said, status) =
            tokio::time::timeout(timeout, work).await.map_err(|_| Error::TimedOut { what }).and_then(|done| done)?;
        running.group.spare();
        Ok(Output { code: status.code(), stdout, said })
    }

    /// Runs the child, and takes any exit code but 0 as failure.
    pub(super) async fn succeed(self, input: &[u8]) -> Result<Vec<u8>> {
        let what = self.what;
        let output = self.run(input).await?;
        match output.code {
            Some(0) => Ok(output.stdout),
            code => Err(Error::Failed { what, code, said: output.said }),
        }
    }
}

/// A started git child. Dropping it ends the whole process group.
pub(super) struct Running {
    what: &'static str,
    timeout: Duration,
    child: Child,
    group: Group,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: Option<ChildStderr>,
}

impl Running {
    /// Waits for the end and returns the exit code.
    pub(super) async fn wait(&mut self) -> Result<Option<i32>> {
        let what = self.what;
        let status = tokio::time::timeout(self.timeout, self.child.wait()).await;
        let status = status.map_err(|_| Error::TimedOut { what })?.map_err(Error::io(what))?;
        self.group.spare();
        Ok(status.code())
    }
}

/// A process group that is ended when dropped, unless its leader was waited for.
struct Group(Option<Pid>);

impl Group {
    fn spare(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // The group may have ended by itself.
            let _ = rustix::process::kill_process_group(pid, Signal::TERM);
        }
    }
}

/// Reads an error stream to its end and keeps the first part.
pub(super) async fn kept_stderr(mut stderr: impl AsyncRead + Unpin) -> Said {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stderr.read(&mut buffer).await {
        let room = KEPT_STDERR.saturating_sub(kept.len()).min(n);
        kept.extend_from_slice(&buffer[..room]);
    }
    Said(String::from_utf8_lossy(&kept).into_owned())
}

async fn read_capped(stdout: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    stdout.take(KEPT_STDOUT as u64 + 1).read_to_end(&mut kept).await?;
    if kept.len() > KEPT_STDOUT {
        return Err(std::io::Error::other("the child wrote more than expected"));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_sees_nothing_of_the_servers_environment() {
        let program = Program::find(&super::super::Options::default().candidates()).await.unwrap();
        let listed =
            program.command("listing settings").args(["config", "--list", "--show-scope"]).succeed(b"").await.unwrap();
        let listed = String::from_utf8(listed).unwrap();
        assert!(listed.lines().all(|line| line.starts_with("command\t")), "{listed}");
        assert!(listed.contains("protocol.allow=never"));
    }

    #[tokio::test]
    async fn a_transport_works_only_when_asked_for() {
        let program = Program::find(&super::super::Options::default().candidates()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        program.command("init").args(["init", "-q", "--bare", "--"]).arg(folder.path()).succeed(b"").await.unwrap();
        let list = |allowed: Option<&str>| {
            let command = program.command("ls-remote").args(["ls-remote", "--"]).arg(folder.path());
            match allowed {
                Some(name) => command.transport(name),
                None => command,
            }
        };
        assert_eq!(list(None).run(b"").await.unwrap().code, Some(128));
        assert_eq!(list(Some("https")).run(b"").await.unwrap().code, Some(128));
        assert_eq!(list(Some("file")).run(b"").await.unwrap().code, Some(0));
    }

    #[tokio::test]
    async fn a_child_that_hangs_is_ended() {
        let program = Program::find(&super::super::Options::default().candidates()).await.unwrap();
        // `hash-object --stdin` waits for input that `spawn` never closes.
        let mut running = program
            .command("waiting")
            .args(["hash-object", "--stdin"])
            .timeout(Duration::from_millis(50))
            .spawn()
            .unwrap();
        assert!(matches!(running.wait().await, Err(Error::TimedOut { .. })));
    }

    #[tokio::test]
    async fn a_missing_binary_is_said_plainly() {
        let none = Program::find(&[PathBuf::from("/nonexistent/git"), PathBuf::from("git")]).await.unwrap_err();
        assert!(none.to_string().starts_with("no git was found"));
    }
}
