//! A server in the test's own process: real doors on port 0, a clock that stands still, mail into a list.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;
use std::sync::Arc;

use embargo::app::{App, Clock, CrashPoint, Outside};
use embargo::domain::access::Role;
use embargo::domain::account::{KeyKind, TokenWish};
use embargo::domain::actor::{Actor, Reach, Scope, Via};
use embargo::domain::id::{CaseId, PersonId};
use embargo::domain::report::{ClaimedSeverity, CreditWish, ReportBody};
use embargo::notify::notice::Mail;
use embargo::notify::{Mailer, Outbox};
use embargo::wire::report::ReceiptView;
use embargo::workflow::console::{Console, NewPerson};
use embargo::workflow::{account, case, report};
use embargo::{http, store, worker};
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::git::Git;
use super::site::Site;

/// A running server and its site. Dropped with jobs left, it fails the test: call [`TestApp::settle`] last.
pub(crate) struct TestApp {
    /// The server's inside, for use cases called without a door.
    pub(crate) app: Arc<App>,
    /// Its folders.
    pub(crate) site: Site,
    outbox: Outbox,
    stop: CancellationToken,
}

impl TestApp {
    /// Starts a server on a new site with the sample project, and mirrors its repository.
    pub(crate) async fn start() -> Self {
        let test = Self::on(Site::with_project().await).await;
        test.settle().await;
        test
    }

    /// Starts a server on a site. It is noon of 1 January 2026; no job has run yet.
    pub(crate) async fn on(site: Site) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = site.config();
        config.listen = listener.local_addr().unwrap();
        config.base_url = format!("http://{}", config.listen).parse().unwrap();
        let outbox = Outbox::default();
        let outside = Outside {
            clock: Clock::fixed("2026-01-01T12:00:00Z".parse().unwrap()),
            mailer: Some(Mailer::Outbox(outbox.clone())),
            crash: CrashPoint::default(),
        };
        let mut app = App::open(config, outside).await.unwrap();
        // Hooks run the program, which is not the one that runs the tests.
        Arc::get_mut(&mut app).expect("nobody else has it yet").binary = PathBuf::from(env!("CARGO_BIN_EXE_embargo"));
        worker::start(&app).await.unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(http::serve(Arc::clone(&app), listener, stop.clone()));
        tasks.spawn(http::hook::serve(Arc::clone(&app), stop.clone()));
        let socket = app.config.hook_socket();
        while !socket.exists() {
            tokio::task::yield_now().await;
        }
        Self { app, site, outbox, stop }
    }

    /// Runs jobs until none is due.
    pub(crate) async fn settle(&self) {
        worker::settle(&self.app).await.unwrap();
    }

    /// Moves the clock on.
    pub(crate) fn advance(&self, by: SignedDuration) {
        self.app.clock.set(self.app.clock.now() + by);
    }

    /// Returns the mails so far, oldest first.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.outbox.mails()
    }

    /// Returns the address of a path of the server.
    pub(crate) fn url(&self, path: &str) -> String {
        self.app.url(path)
    }

    /// Adds a person with an SSH key, who is in no team.
    pub(crate) async fn person(&self, handle: &str) -> PersonId {
        let new = NewPerson {
            handle: handle.parse().unwrap(),
            name: format!("Sample {handle}").parse().unwrap(),
            email: Some(format!("{handle}@example.org").parse().unwrap()),
            keys: vec![(KeyKind::Ssh, self.signer(handle).key().to_string())],
        };
        Console::from(&*self.app).add_person(new).await.unwrap().id
    }

    /// Adds a person to the team of the sample project, and returns them as signed in a moment ago.
    pub(crate) async fn member(&self, handle: &str, role: Role) -> Actor {
        let id = self.person(handle).await;
        let project = "sample".parse().unwrap();
        Console::from(&*self.app).join_team(&project, &handle.parse().unwrap(), role).await.unwrap();
        signed_in(id)
    }

    /// Returns the real git with a new token of the person for cloning and pushing.
    pub(crate) async fn git(&self, actor: &Actor) -> Git {
        let reach = Reach { scopes: vec![Scope::GitRead, Scope::GitWrite], project: None, case: None };
        let wish = TokenWish { name: "git".parse().unwrap(), reach, days: 7 };
        let (secret, _) = account::make_token(&self.app, actor, wish).await.unwrap();
        Git::with_token(secret.expose())
    }

    /// Hands in a report to the sample project, which opens a case.
    pub(crate) async fn report(&self) -> (Actor, ReceiptView) {
        let body = ReportBody {
            title: "Sample overflow".parse().unwrap(),
            versions: None,
            text: "The sample overflows.".parse().unwrap(),
            severity: ClaimedSeverity::High,
            credit: CreditWish::Named { name: "Sample Reporter".parse().unwrap() },
            contact: Some("reporter@example.org".parse().unwrap()),
        };
        report::submit(&self.app, &"sample".parse().unwrap(), &body).await.unwrap()
    }

    /// Hands in a report and accepts it as this member; returns the case with its private remote made.
    pub(crate) async fn accepted_case(&self, member: &Actor) -> CaseId {
        let (_, receipt) = self.report().await;
        let id: CaseId = receipt.case.parse().unwrap();
        for act in [case::Act::Validate, case::Act::Accept] {
            case::act(&self.app, member, &id, act).await.unwrap();
        }
        self.settle().await;
        id
    }

    /// Returns the address of the private remote of a case of the sample project.
    pub(crate) fn remote(&self, case: &CaseId) -> String {
        self.url(&format!("/{case}/sample"))
    }

    /// Counts jobs that are due or run.
    pub(crate) async fn jobs_left(&self) -> i64 {
        let mut rows = self.app.read().await.unwrap();
        store::job::pending(&mut rows, self.app.clock.now()).await.unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
        if !std::thread::panicking() {
            // Dropped inside a runtime: the question is asked on a thread of its own.
            let app = &self.app;
            let left = std::thread::scope(|scope| {
                let asked = scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let rows = app.read().await;
                        store::job::pending(&mut rows.unwrap(), app.clock.now()).await.unwrap()
                    })
                });
                asked.join().unwrap()
            });
            assert_eq!(left, 0, "jobs were left behind: settle() runs them");
        }
    }
}

/// Returns a person as signed in a moment ago.
pub(crate) fn signed_in(id: PersonId) -> Actor {
    Actor::Person { id, via: Via::Session { fresh: true } }
}
