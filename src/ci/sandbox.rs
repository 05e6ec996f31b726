//! The boundary around a check: bubblewrap with nothing of the host but `/usr`, a few files of `/etc` and named toolchains.
//!
//! Guards: a [`Sandbox`] exists only after `self_test` has seen it hold, and no check runs without one. No network, no
//! capability, no server variable, no inherited file; everything dies with the server. Leaves what to run to `run`.
//!
//! Source: bubblewrap's manual, bwrap(1), for every option used.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, thread};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, waitid};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::folder::StepFolder;
use super::{Error, JobFolder, Options, seccomp, self_test};

pub use super::self_test::WhyNot;

/// Where the workspace is, seen from inside.
pub(super) const WORKSPACE: &str = "/w";
/// Where a step finds its script and the files for later steps, seen from inside.
pub(super) const STEP: &str = "/github";
/// The home of the user inside.
pub(super) const HOME: &str = "/home/ci";

const BASH: &str = "/bin/bash";
const SETPRIV: &str = "/usr/bin/setpriv";
const PRLIMIT: &str = "/usr/bin/prlimit";

/// Closes what the server's own parent may have left open, offers itself to the kernel if memory ends, and becomes bwrap.
///
/// Files are handed over by redirection, so that no open file of the server ever loses its close-on-exec flag.
const LAUNCHER: &str = r#"
for fd in /proc/self/fd/*; do
  fd=${fd##*/}
  if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi
done
echo 1000 >/proc/self/oom_score_adj || :
arguments=$1 first=$2 second=$3
shift 3
exec "$@" 7<"$arguments" 8<"$first" 9<"$second"
"#;

/// A boundary that was seen to hold on this machine. Made only by [`Sandbox::prove`].
#[derive(Debug)]
pub struct Sandbox {
    options: Options,
    base: PathBuf,
    uid: Option<u32>,
    spawner: Spawner,
}

/// One command inside.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) folder: &'a JobFolder,
    pub(super) step: &'a StepFolder,
    pub(super) env: &'a [(String, String)],
    pub(super) directory: &'a str,
    /// Seen by every user of the host: never anything from outside.
    pub(super) command: &'a [&'static str],
}

/// A command that runs inside. Dropping it kills it with everything it started.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    exit: tokio::task::JoinHandle<()>,
    output: pipe::Receiver,
}

/// What a running command did.
pub(super) enum Event {
    /// It wrote so many bytes; 0 means that nothing holds its output open any more.
    Output(usize),
    /// It ended.
    Exit(ExitStatus),
}

impl Sandbox {
    /// Proves the boundary in `folder`, under which all folders of jobs must lie, and returns it; or says why not.
    ///
    /// If the server is root, every folder above must let other users pass through (mode 0711).
    pub async fn prove(options: Options, folder: &Path) -> Result<Self, WhyNot> {
        if !options.enabled {
            return Err(WhyNot::Off);
        }
        for (tool, package) in [
            (options.bwrap.as_path(), "bubblewrap"),
            (Path::new(BASH), "bash"),
            (Path::new(PRLIMIT), "util-linux"),
            (Path::new(SETPRIV), "util-linux"),
        ] {
            if !tool.is_file() {
                return Err(WhyNot::Missing(package));
            }
        }
        let own_folder = |path: &Path| path.is_absolute() && path.components().count() > 2 && path.is_dir();
        let plain =
            |path: &Path| path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !options.toolchains.iter().all(|path| own_folder(path) && plain(path)) {
            return Err(WhyNot::Toolchain);
        }
        let uid = rustix::process::geteuid().is_root().then_some(options.uid);
        if uid == Some(0) {
            return Err(WhyNot::Root);
        }
        self_test::namespaces(|switch| fs::read_to_string(switch))?;
        let base = folder.join("base");
        lay_base(&base).map_err(WhyNot::Folder)?;
        let sandbox = Self { options, base, uid, spawner: Spawner::start().map_err(WhyNot::Folder)? };
        self_test::holds(&sandbox, folder).await?;
        Ok(sandbox)
    }

    /// Returns what the operator said.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the user checks run under, if it is not the server's own.
    pub(super) fn uid(&self) -> Option<u32> {
        self.uid
    }

    /// Returns the search path inside: the toolchains', then the host's.
    pub(super) fn path(&self) -> String {
        let bins = self.options.toolchains.iter().map(|path| path.join("bin")).filter(|bin| bin.is_dir());
        let bins = bins.map(|bin| bin.to_string_lossy().into_owned() + ":").collect::<String>();
        bins + "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    }

    /// Starts a command inside.
    pub(super) async fn start(&self, call: Call<'_>) -> Result<Running, Error> {
        let mut command = self.command(call)?;
        let (reader, writer) = io::pipe().map_err(Error::Start)?;
        let both = writer.try_clone().map_err(Error::Start)?;
        command.stdin(Stdio::null()).stdout(both).stderr(writer);
        let child = self.spawner.spawn(command).await.map_err(Error::Start)?;
        Running::new(child, reader.into()).map_err(Error::Start)
    }

    /// Builds the command and writes its arguments, which nobody but the server may read.
    #[expect(clippy::disallowed_methods, reason = "this file is the one place where the children of checks are built")]
    pub(super) fn command(&self, call: Call<'_>) -> Result<Command, Error> {
        call.step.write_arguments(&self.arguments(call)?)?;
        let mut command = Command::new(BASH);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/").process_group(0);
        command.args(["--noprofile", "--norc", "-c", LAUNCHER, "check"]).arg(&call.step.arguments);
        command.args([self.base.join("refused"), self.base.join("absent")]);
        if let Some(uid) = self.uid {
            command.arg(SETPRIV).args([format!("--reuid={uid}"), format!("--regid={uid}")]);
            command.args(["--clear-groups", "--no-new-privs", "--inh-caps=-all"]);
        }
        let bytes = |mib: u64| mib.saturating_mul(1024 * 1024);
        command.arg(PRLIMIT).args([
            format!("--data={}", bytes(self.options.memory_mib)),
            format!("--fsize={}", bytes(self.options.file_mib)),
            format!("--nproc={}", self.options.processes),
            format!("--nofile={}", self.options.open_files),
            format!("--cpu={}", self.options.cpu_minutes.saturating_mul(60)),
            "--core=0".to_owned(),
        ]);
        command.arg(&self.options.bwrap).args(["--args", "7", "--"]).args(call.command);
        Ok(command)
    }

    fn arguments(&self, call: Call<'_>) -> Result<Vec<u8>, Error> {
        let mut arguments = Arguments::default();
        arguments.words("--unshare-all --unshare-user --disable-userns --uid 1000 --gid 1000 --hostname check");
        arguments.words("--die-with-parent --new-session --cap-drop ALL --clearenv");
        for (name, value) in call.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Error::Environment);
            }
            arguments.push(["--setenv", name, value]);
        }
        arguments.words("--ro-bind /usr /usr");
        for name in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
            match fs::read_link(name) {
                Ok(target) => arguments.push([OsStr::new("--symlink"), target.as_os_str(), OsStr::new(name)]),
                Err(_) => arguments.push(["--ro-bind-try", name, name]),
            }
        }
        for name in ["alternatives", "ld.so.cache", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "mime.types"] {
            let path = format!("/etc/{name}");
            arguments.push(["--ro-bind-try", &path, &path]);
        }
        for name in ["passwd", "group", "hosts", "nsswitch.conf"] {
            let inside = format!("/etc/{name}");
            arguments.push([OsStr::new("--ro-bind"), self.base.join(name).as_os_str(), OsStr::new(&inside)]);
        }
        arguments.words("--proc /proc --dev /dev --size 1073741824 --tmpfs /dev/shm --remount-ro /dev");
        arguments.words("--size 268435456 --tmpfs /run --size 268435456 --tmpfs /var");
        for (outside, inside) in [
            (call.folder.home(), HOME),
            (call.folder.temporary(), "/tmp"),
            (call.folder.workspace(), WORKSPACE),
            (call.step.path.clone(), STEP),
        ] {
            arguments.push([OsStr::new("--bind"), outside.as_os_str(), OsStr::new(inside)]);
        }
        for toolchain in &self.options.toolchains {
            arguments.push([OsStr::new("--ro-bind"), toolchain.as_os_str(), toolchain.as_os_str()]);
        }
        arguments.words("--remount-ro /");
        arguments.push(["--chdir", call.directory]);
        arguments.words("--add-seccomp-fd 8 --add-seccomp-fd 9");
        Ok(arguments.0)
    }
}

/// The arguments of bwrap, each ended by a zero byte.
#[derive(Default)]
struct Arguments(Vec<u8>);

impl Arguments {
    fn push(&mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        for word in words {
            self.0.extend_from_slice(word.as_ref().as_bytes());
            self.0.push(0);
        }
    }

    fn words(&mut self, words: &'static str) {
        self.push(words.split(' '));
    }
}

impl Running {
    fn new(child: Child, output: OwnedFd) -> io::Result<Self> {
        let watched = || {
            let process = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
            let output = pipe::Receiver::from_owned_fd(output)?;
            // Only looks: the child stays a zombie, and its number its own, until it is waited for below.
            let exit = tokio::task::spawn_blocking(move || {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                while matches!(waitid(WaitId::PidFd(process.as_fd()), options), Err(Errno::INTR)) {}
            });
            Ok((exit, output))
        };
        match watched() {
            Ok((exit, output)) => Ok(Self { child, exit, output }),
            Err(error) => {
                end(child);
                Err(error)
            }
        }
    }

    /// Reads some output; 0 bytes mean that the command and everything it started has closed it.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.output.read(buffer).await
    }

    /// Waits for output or the end, whichever comes first; `open` says whether output may still come.
    pub(super) async fn next(&mut self, buffer: &mut [u8], open: bool) -> io::Result<Event> {
        tokio::select! {
            biased;
            watched = &mut self.exit => {
                watched.map_err(io::Error::other)?;
                self.child.wait().map(Event::Exit)
            }
            count = self.output.read(buffer), if open => count.map(Event::Output),
        }
    }

    /// Waits for the end. What the command left behind is dead then or dying.
    pub(super) async fn exited(&mut self) -> io::Result<ExitStatus> {
        (&mut self.exit).await.map_err(io::Error::other)?;
        self.child.wait()
    }

    /// Kills the command and everything it started.
    pub(super) fn kill(&self) {
        kill_group(&self.child);
    }

    /// Reads what is still in the pipe after the end, for at most a moment.
    pub(super) async fn rest(&mut self, buffer: &mut [u8]) -> usize {
        match tokio::time::timeout(Duration::from_secs(5), self.output.read(buffer)).await {
            Ok(Ok(count)) => count,
            Ok(Err(_)) | Err(_) => 0,
        }
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A child that was waited for is not signalled again: its number may be another's by now.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            kill_group(&self.child);
            drop(self.child.wait());
        }
    }
}

fn kill_group(child: &Child) {
    let outer = Pid::from_child(child);
    // bwrap's init asks to die with it only after the command has begun (`do_init` in its source): killed in between, bwrap
    // would leave everything inside alive. Stopped, it makes no more children; its init takes the whole namespace with it.
    let _gone_already = rustix::process::kill_process(outer, Signal::STOP);
    for inner in children(outer) {
        let _gone_already = rustix::process::kill_process(inner, Signal::KILL);
    }
    // The group holds the helpers before the new session begins.
    let _gone_already = rustix::process::kill_process_group(outer, Signal::KILL);
}

/// Lists the children of a process, as proc(5) tells them: the fourth field of each `stat`, after a name in parentheses.
fn children(of: Pid) -> Vec<Pid> {
    let parent = of.as_raw_nonzero().to_string();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbered = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    let is_child = |pid: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        after_name.split_whitespace().nth(1) == Some(&parent)
    };
    numbered.filter(is_child).collect()
}

fn end(mut child: Child) {
    kill_group(&child);
    drop(child.wait());
}

/// The one thread that starts sandboxes.
///
/// `--die-with-parent` looks at the thread that started bwrap, not at the process: a thread of a pool that ends while
/// idle would take running checks with it.
#[derive(Debug)]
struct Spawner {
    requests: mpsc::Sender<Request>,
}

struct Request {
    command: Command,
    reply: oneshot::Sender<io::Result<Child>>,
}

impl Spawner {
    fn start() -> io::Result<Self> {
        let (requests, incoming) = mpsc::channel::<Request>();
        thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            for Request { mut command, reply } in incoming {
                let started = command.spawn();
                drop(command);
                if let Err(Ok(unwanted)) = reply.send(started) {
                    end(unwanted);
                }
            }
        })?;
        Ok(Self { requests })
    }

    async fn spawn(&self, command: Command) -> io::Result<Child> {
        let gone = || io::Error::other("the thread that starts sandboxes has ended");
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { command, reply }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Writes the files that every sandbox shares: who is who inside, and the programs for the kernel.
fn lay_base(base: &Path) -> io::Result<()> {
    let [refused, absent] = seccomp::programs().map_err(io::Error::other)?;
    fs::create_dir_all(base)?;
    fs::set_permissions(base, fs::Permissions::from_mode(0o711))?;
    let files: [(&str, &[u8]); 6] = [
        ("passwd", b"root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nci:x:1000:1000:ci:/home/ci:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
        ("group", b"root:x:0:\nci:x:1000:\nnogroup:x:65534:\n"),
        ("hosts", b"127.0.0.1 localhost check\n::1 localhost\n"),
        ("nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files\n"),
        ("refused", &refused),
        ("absent", &absent),
    ];
    for (name, bytes) in files {
        let path = base.join(name);
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}
