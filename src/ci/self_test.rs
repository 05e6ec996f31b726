//! The proof that the sandbox holds on this machine, made once at start.
//!
//! Guards: fails closed. Whatever is not seen to hold turns local checks off, with a sentence that says what to change.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::JobFolder;
use super::sandbox::{Call, Running, STEP, Sandbox, WORKSPACE};

const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
/// Switches that are 0 where the kernel makes no user namespaces, or none for the user of the checks.
const NAMESPACES: [&str; 2] = ["/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/unprivileged_userns_clone"];
/// Longest time of the probe.
const PATIENCE: Duration = Duration::from_secs(20);
/// All that may stand in the root of the sandbox, besides the first folder of a toolchain's path.
const ROOT: [&str; 15] = [
    "bin", "dev", "etc", "github", "home", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "tmp", "usr",
    "var",
];

/// Says from inside what can be seen and done. Written for bash, without any other program but `id` and `unshare`.
const PROBE: &str = r#"
echo "uid $(id -u)"
while read -r key value; do
  case $key in CapEff:|CapPrm:|CapInh:|NoNewPrivs:|Seccomp:) echo "$key $value";; esac
done </proc/self/status
{ read -r; read -r; while IFS=' :' read -r name _; do echo "net $name"; done; } </proc/net/dev
for path in /* /.[!.]*; do [ -e "$path" ] && echo "root ${path#/}"; done
for name in $(compgen -e); do echo "env $name"; done
for path in /proc/[0-9]*; do echo "pid"; done
if (exec 3<>/dev/udp/192.0.2.1/9) 2>/dev/null; then echo "leak reaches a network"; fi
if (echo >/usr/.probe) 2>/dev/null; then echo "leak writes to /usr"; fi
if (echo >/.probe) 2>/dev/null; then echo "leak writes to its root"; fi
if unshare -U true 2>/dev/null; then echo "leak makes namespaces"; fi
[ -e /etc/shadow ] && echo "leak sees the host's accounts"
echo >/w/written && echo "written"
for path in /proc/self/fd/*; do echo "fd ${path##*/}"; done
echo "end"
"#;

/// Why checks are not run on this server. Each displays one sentence that says what to change.
#[derive(Debug, thiserror::Error)]
pub enum WhyNot {
    /// The operator said so.
    #[error("Local checks are switched off in the configuration: set `enabled = true` in `[ci]`.")]
    Off,
    /// A program is missing; names the package.
    #[error("A program of the package {0} is missing: run `apt install {0}`, or set `bwrap` in `[ci]`.")]
    Missing(&'static str),
    /// A toolchain is not a folder that can be shown to checks.
    #[error("Each of `toolchains` in `[ci]` must be an existing folder, given by its full path of at least two names.")]
    Toolchain,
    /// Checks would run as root.
    #[error("Checks never run as root: set `uid` in `[ci]` to a user of their own.")]
    Root,
    /// The folder for jobs cannot be used.
    #[error("The folder for checks cannot be written: give it to the user of the server.")]
    Folder(#[source] io::Error),
    /// The server is root, and may not give a file to the user of the checks.
    #[error(
        "The server is root in name only, as in a container without user namespaces of its own: it may not hand files to user {0}. Run it as another user, or let the container make user namespaces and have that user; `uid` in `[ci]` names it."
    )]
    Owner(u32),
    /// The user of the checks cannot reach the folder for jobs.
    #[error(
        "The user of the checks cannot reach their folder: let users pass through every folder above it (mode 0711)."
    )]
    Closed,
    /// The kernel refuses user namespaces.
    #[error(
        "The kernel refuses user namespaces: set the sysctls `user.max_user_namespaces` above 0 and `kernel.unprivileged_userns_clone` to 1, or, in a container, allow them there."
    )]
    Namespaces,
    /// AppArmor refuses user namespaces.
    #[error(
        "AppArmor refuses user namespaces: give bwrap a profile that allows `userns`, or set the sysctl `kernel.apparmor_restrict_unprivileged_userns` to 0."
    )]
    AppArmor,
    /// The sandbox started and did not hold; says what it lets through.
    #[error("The sandbox does not hold on this machine: it {0}.")]
    Leak(String),
    /// The sandbox did not start, for a reason of its own.
    #[error("The sandbox does not start on this machine: {0}.")]
    Start(String),
}

/// Asks the kernel's switches before anything is tried: what a sandbox that cannot start says is about something else.
pub(super) fn namespaces(read: impl Fn(&str) -> io::Result<String>) -> Result<(), WhyNot> {
    let off = NAMESPACES.iter().any(|switch| read(switch).is_ok_and(|value| value.trim() == "0"));
    if off { Err(WhyNot::Namespaces) } else { Ok(()) }
}

/// Looks at the sandbox from inside, and kills one.
pub(super) async fn holds(sandbox: &Sandbox, folder: &Path) -> Result<(), WhyNot> {
    let job = JobFolder::create(folder, "self-test").map_err(|error| start(&error))?;
    let held = probe(sandbox, &job).await;
    job.remove().map_err(|error| start(&error))?;
    held
}

async fn probe(sandbox: &Sandbox, job: &JobFolder) -> Result<(), WhyNot> {
    job.hand_to(sandbox.uid()).map_err(|error| sandbox.uid().map_or_else(|| start(&error), WhyNot::Owner))?;
    let env = [("PATH".to_owned(), sandbox.path())];
    let step = job.step(0, PROBE, sandbox.uid()).map_err(|error| start(&error))?;
    debug_assert_eq!(STEP, "/github", "the commands below name it");
    let call = Call {
        folder: job,
        step: &step,
        env: &env,
        directory: WORKSPACE,
        command: &["bash", "--noprofile", "--norc", "/github/script"],
    };
    let mut running = sandbox.start(call).await.map_err(|error| start(&error))?;
    let said = tokio::time::timeout(PATIENCE, everything(&mut running)).await;
    let said = said
        .map_err(|_| WhyNot::Start("it does not end".to_owned()))?
        .map_err(|error| WhyNot::Start(error.to_string()))?;
    judge(sandbox, &said)?;
    if !fs::symlink_metadata(job.workspace().join("written")).is_ok_and(|metadata| metadata.is_file()) {
        return Err(WhyNot::Leak("writes somewhere else than into the workspace".to_owned()));
    }

    let step = job.step(1, "sleep 1000 & echo started; wait", sandbox.uid()).map_err(|error| start(&error))?;
    let mut running = sandbox.start(Call { step: &step, ..call }).await.map_err(|error| start(&error))?;
    let killed = async {
        let mut buffer = [0; 64];
        let first = running.read(&mut buffer).await?;
        running.kill();
        while running.read(&mut buffer).await? > 0 {}
        running.exited().await.map(|_| first > 0)
    };
    match tokio::time::timeout(PATIENCE, killed).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(WhyNot::Start("it starts once, but not twice".to_owned())),
        Ok(Err(error)) => Err(WhyNot::Start(error.to_string())),
        Err(_) => Err(WhyNot::Leak("outlives being killed".to_owned())),
    }
}

async fn everything(running: &mut Running) -> io::Result<String> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match running.read(&mut buffer).await? {
            0 => break,
            count if said.len() < 64 * 1024 => said.extend_from_slice(&buffer[..count]),
            _ => {}
        }
    }
    running.exited().await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Compares what the probe said with what must be so.
fn judge(sandbox: &Sandbox, said: &str) -> Result<(), WhyNot> {
    if !said.lines().any(|line| line == "end") {
        return Err(refusal(said));
    }
    let all = |kind: &str| -> BTreeSet<&str> { said.lines().filter_map(|line| line.strip_prefix(kind)).collect() };
    let leak = |what: &str| Err(WhyNot::Leak(what.to_owned()));
    if let Some(what) = all("leak ").first() {
        return leak(what);
    }
    let exactly = |kind: &str, value: &str| all(kind).into_iter().eq([value]);
    let no_capability =
        |kind: &str| all(kind).len() == 1 && all(kind).iter().all(|set| set.bytes().all(|digit| digit == b'0'));
    if !exactly("uid ", "1000") {
        return leak("runs under another user");
    }
    if !["CapEff: ", "CapPrm: ", "CapInh: "].into_iter().all(no_capability) {
        return leak("keeps capabilities");
    }
    if !exactly("NoNewPrivs: ", "1") || !exactly("Seccomp: ", "2") {
        return leak("runs without a filter of system calls");
    }
    if !exactly("net ", "lo") {
        return leak("has a network interface");
    }
    if !all("root ")
        .iter()
        .all(|name| *name == WORKSPACE.trim_start_matches('/') || ROOT.contains(name) || of_toolchain(sandbox, name))
    {
        return leak("sees folders of the host");
    }
    if !all("env ").iter().all(|name| matches!(*name, "PATH" | "PWD" | "SHLVL" | "_" | "OLDPWD")) {
        return leak("inherits variables of the server");
    }
    if said.lines().filter(|line| *line == "pid").count() > 6 {
        return leak("sees processes of the host");
    }
    // 3 is the listing itself, 255 the script.
    if !all("fd ").iter().all(|fd| matches!(*fd, "0" | "1" | "2" | "3" | "255")) {
        return leak("inherits open files of the server");
    }
    if !said.lines().any(|line| line == "written") {
        return Err(WhyNot::Start("it cannot write to its workspace".to_owned()));
    }
    Ok(())
}

fn of_toolchain(sandbox: &Sandbox, name: &str) -> bool {
    sandbox
        .options()
        .toolchains
        .iter()
        .any(|path| path.components().nth(1).is_some_and(|first| first.as_os_str() == name))
}

/// Reads bwrap's own words when it did not start.
fn refusal(said: &str) -> WhyNot {
    let apparmor = fs::read_to_string(APPARMOR).is_ok_and(|value| value.trim() == "1");
    let namespaces = ["new namespace", "uid map", "gid map", "CLONE_NEW", "RTM_NEWADDR", "max_user_namespaces"];
    if namespaces.iter().any(|words| said.contains(words)) {
        return if apparmor { WhyNot::AppArmor } else { WhyNot::Namespaces };
    }
    if said.contains("Can't find source path") && said.contains("Permission denied") {
        return WhyNot::Closed;
    }
    let first = said.lines().next().unwrap_or("it says nothing").trim_end_matches('.');
    WhyNot::Start(super::expression::excerpt(first))
}

fn start(error: &super::Error) -> WhyNot {
    WhyNot::Start(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_makes_no_namespaces_is_asked_first() {
        let kernel = |values: [&'static str; 2]| {
            move |switch: &str| match NAMESPACES.iter().position(|known| *known == switch) {
                Some(at) if !values[at].is_empty() => Ok(values[at].to_owned()),
                Some(_) | None => Err(io::Error::from(io::ErrorKind::NotFound)),
            }
        };
        assert!(namespaces(kernel(["96364\n", ""])).is_ok());
        assert!(namespaces(kernel(["96364\n", "1\n"])).is_ok());
        for off in [["0\n", ""], ["0\n", "1\n"], ["96364\n", "0\n"]] {
            let sentence = namespaces(kernel(off)).unwrap_err().to_string();
            assert!(sentence.contains("user namespaces") && sentence.contains("sysctl"), "{sentence}");
        }
    }

    #[test]
    fn each_refusal_of_bwrap_becomes_a_sentence_that_says_what_to_change() {
        let table = [
            (
                "bwrap: No permissions to create new namespace, likely because the kernel does not allow",
                "user namespaces",
            ),
            ("bwrap: setting up uid map: Permission denied", "user namespaces"),
            ("bwrap: Can't find source path /srv/x: Permission denied", "0711"),
            ("bwrap: Unknown option --disable-userns", "Unknown option"),
            ("", "says nothing"),
        ];
        for (said, part) in table {
            let sentence = refusal(said).to_string();
            assert!(sentence.contains(part) && sentence.ends_with('.'), "{sentence}");
        }
    }
}
