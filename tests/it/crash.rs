//! The real program, killed in the middle of a push, and started again; and a second one on the same data folder.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use embargo::app::Clock;
use embargo::domain::access::Role;
use embargo::domain::actor::Scope;
use embargo::domain::id::CaseId;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support::cable::Cable;
use crate::support::client::Caller;
use crate::support::git::Git;
use crate::support::program::{self, stop};
use crate::support::server::TestApp;
use crate::support::site::Site;

/// A site with an accepted case and no server on it.
struct Quiet {
    site: Site,
    config: PathBuf,
    base: String,
    case: CaseId,
    caller: Caller,
}

impl Quiet {
    async fn prepare() -> Self {
        let mut site = Site::with_project().await;
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap();
        drop(free);
        let base = format!("http://{listen}");
        site.configure(|config| {
            config.listen = listen;
            config.base_url = base.parse().unwrap();
        });
        let config = site.path().join("config.toml");
        std::fs::write(&config, toml::to_string(&site.config()).unwrap()).unwrap();
        let test = TestApp::on(site).await;
        // The real program lives by the machine's clock, and a token made long ago would be over.
        test.app.clock.set(Clock::System.now());
        test.settle().await;
        let fixer = test.member("fixer", Role::Fixer).await;
        let case = test.accepted_case(&fixer).await;
        let scopes = [Scope::GitRead, Scope::GitWrite, Scope::ApiRead];
        let caller = test.token(&fixer, &scopes, None).await;
        let site = test.close().await;
        Self { site, config, base, case, caller }
    }

    async fn serve(&self, crash_at: Option<&str>) -> Child {
        program::serve(&self.config, crash_at).await
    }

    /// Waits until the program answers.
    async fn answers(&self) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        while client.get(format!("{}/healthz", self.base)).send().await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    async fn fix(&self) -> serde_json::Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let address = format!("{}/api/v1/cases/{}", self.base, self.case);
        let answer = client.get(address).bearer_auth(self.caller.secret()).send().await.unwrap();
        let view: serde_json::Value = answer.json().await.unwrap();
        view["fixes"][0].clone()
    }

    fn git(&self) -> Git {
        self.caller.git()
    }

    fn remote(&self) -> String {
        format!("{}/{}/sample", self.base, self.case)
    }
}

/// What the program said until it ended.
async fn heard(child: Child) -> String {
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Attack, or bad luck: the machine goes down between the judgement of a push and its record, or between the moved ref and
/// what follows from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_mid_push_settles_it_when_it_starts_again() {
    let quiet = Quiet::prepare().await;
    let clone = quiet.site.path().join("clone");
    let mut head = String::new();
    for (round, (point, stands)) in [("push:intended", false), ("push:moved", true)].into_iter().enumerate() {
        let mut doomed = quiet.serve(Some(point)).await;
        if !clone.exists() {
            quiet.git().succeed(quiet.site.path(), &["clone", "-q", &quiet.remote(), "clone"]).await;
        }
        let before = quiet.fix().await["head"].clone();
        head = quiet.git().commit(&clone, "sample.c", &format!("mended {round}\n")).await;
        let push = ["push", "-q", "origin", "HEAD:refs/heads/fix/main"];
        // Whatever git makes of the broken connection: what counts is what stands afterwards.
        quiet.git().run(&clone, &push).await;
        assert_eq!(doomed.wait().await.unwrap().signal(), Some(9), "nothing passed {point}");

        let server = quiet.serve(None).await;
        let fix = quiet.fix().await;
        let refs = quiet.git().succeed(&clone, &["ls-remote", "origin", "refs/heads/fix/main"]).await;
        if stands {
            assert!(refs.starts_with(&head), "{point}: {refs}");
            assert_eq!(fix["head"], head, "{point}");
            assert!(fix["run"].is_string(), "the check that was lost is queued: {fix}");
        } else {
            assert!(!refs.starts_with(&head), "{point}: {refs}");
            assert_eq!(fix["head"], before, "{point}");
        }
        quiet.git().succeed(&clone, &push).await;
        assert_eq!(quiet.fix().await["head"], head);
        assert!(stop(server).await.success());
    }
    assert!(!head.is_empty());
    // Nothing that happened broke the chain.
    let verified = program::run(&quiet.config, &["audit", "verify"]).await;
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// A server that ends without a word leaves its operator guessing: each way to end is told, by it or by the next.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_server_is_in_the_log_and_so_is_a_panic_once() {
    let quiet = Quiet::prepare().await;
    let server = program::start(&quiet.config, Some("panic:push:intended"));
    quiet.answers().await;
    let clone = quiet.site.path().join("clone");
    quiet.git().succeed(quiet.site.path(), &["clone", "-q", &quiet.remote(), "clone"]).await;
    quiet.git().commit(&clone, "sample.c", "mended\n").await;
    quiet.git().fail(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    assert!(quiet.fix().await.is_object(), "the server goes on");
    let log = heard(server).await;
    assert_eq!(log.matches("a task panicked").count(), 1, "{log}");
    assert_eq!(log.matches("the point push:intended was passed").count(), 1, "{log}");
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("no `{words}` in {log}"));
    assert!(at("stopping signal=\"SIGTERM\"") < at("stopped"), "{log}");

    let mut killed = quiet.serve(None).await;
    killed.kill().await.unwrap();
    let next = program::start(&quiet.config, None);
    quiet.answers().await;
    assert!(heard(next).await.contains("the last run ended without a stop"));
    let next = program::start(&quiet.config, None);
    quiet.answers().await;
    assert!(!heard(next).await.contains("the last run ended without a stop"));
}

/// Bad luck: the machine goes down while a large pack of a real git is still coming in.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_a_pack_comes_in_has_moved_nothing_when_it_starts_again() {
    let quiet = Quiet::prepare().await;
    let clone = quiet.site.path().join("clone");
    let server = quiet.serve(None).await;
    quiet.git().succeed(quiet.site.path(), &["clone", "-q", &quiet.remote(), "clone"]).await;
    let noise: Vec<u8> = (0..32).flat_map(|_| embargo::crypto::token::random::<{ 64 * 1024 }>()).collect();
    std::fs::write(clone.join("noise.bin"), noise).unwrap();
    let head = quiet.git().commit(&clone, "sample.c", "mended\n").await;
    let before = quiet.git().succeed(&clone, &["ls-remote", "origin"]).await;
    let cable = Cable::clamped(quiet.base.trim_start_matches("http://").parse().unwrap(), 1_000_000).await;
    let through = format!("{}/{}/sample", cable.url(), quiet.case);
    let push = ["push", "-q", &through, "HEAD:refs/heads/fix/main"];
    let git = quiet.git();
    let (pushed, killed) = tokio::join!(git.run(&clone, &push), async {
        cable.reached().await;
        let killed = program::kill(server).await;
        cable.cut();
        killed
    });
    assert_eq!(killed.signal(), Some(9));
    assert!(!pushed.status.success());

    let server = quiet.serve(None).await;
    assert_eq!(quiet.git().succeed(&clone, &["ls-remote", "origin"]).await, before);
    assert!(quiet.fix().await["head"].is_null());
    quiet.git().succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    assert_eq!(quiet.fix().await["head"], head);
    assert!(stop(server).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_program_on_the_data_folder_says_so_and_ends() {
    let quiet = Quiet::prepare().await;
    let first = quiet.serve(None).await;
    let second = program::run(&quiet.config, &["serve"]).await;
    assert_eq!(second.status.code(), Some(3));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("another embargo server is running on the data folder"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(quiet.fix().await.is_object(), "the first goes on");
    assert!(stop(first).await.success());
    let third = quiet.serve(None).await;
    assert!(stop(third).await.success());
}

/// Root without namespaces of its own, as in many containers: what is shown must be what the operator can change.
#[tokio::test(flavor = "multi_thread")]
async fn checks_are_off_for_the_reason_that_is_so_and_not_for_the_folder_they_lie_in() {
    let mut site = Site::with_project().await;
    site.configure(|config| config.ci.enabled = true);
    let config = site.path().join("config.toml");
    std::fs::write(&config, toml::to_string(&site.config()).unwrap()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the program under test, in a namespace that knows no user but root")]
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_embargo"), "--config"]).arg(&config).arg("serve");
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let reason = loop {
        let line = said.next_line().await.unwrap().expect("it says why checks are off");
        if line.contains("checks are off") || line.contains("unshare: ") {
            break line;
        }
    };
    // Where not even the test may make a namespace, that is the reason already.
    assert!(reason.contains("user namespaces") || reason.contains("unshare: unshare failed"), "{reason}");
}

impl TestApp {
    /// Ends the server and hands back its site once nothing of it runs any more.
    async fn close(mut self) -> Site {
        self.settle().await;
        let inside = Arc::downgrade(&self.app);
        let site = std::mem::replace(&mut self.site, Site::make());
        drop(self);
        while inside.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        site
    }
}
