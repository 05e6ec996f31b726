//! A release over real repositories and real mail: run, killed at every point and started again, held, refused.
//!
//! The server that is killed is this test binary, started again as a child that runs the jobs that are due.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the tests ask git for its verdict and start themselves as a child")]

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use embargo::app::{App, Clock, CrashPoint, Outside};
use embargo::config::Config;
use embargo::domain::access::Role;
use embargo::domain::account::KeyKind;
use embargo::domain::actor::{Actor, Via};
use embargo::domain::id::{CaseId, FixId, PersonId, ReleaseId};
use embargo::domain::repo::CommitId;
use embargo::domain::report::{ClaimedSeverity, CreditWish, ReportBody};
use embargo::domain::severity::Severity;
use embargo::git::Repo;
use embargo::notify::Mailer;
use embargo::wire::advisory::EditAdvisory;
use embargo::wire::release::{PlanRelease, PlanTarget, ReleaseView};
use embargo::workflow::console::{Console, NewPerson};
use embargo::workflow::{self, advisory, case, fix, publication, release, report};
use embargo::{crypto, store, worker};
use jiff::Timestamp;

use crate::mail::MailServer;

pub(crate) const PLANNED: &str = "2027-01-15T08:00:00Z";
pub(crate) const INSTANT: &str = "2027-01-15T12:00:00Z";
const LINES: [&str; 2] = ["main", "1.x"];
const TAGS: [&str; 2] = ["v2.0.1", "v1.4.2"];
/// Which crash point the child is to die at, and where its house is.
const CHILD: (&str, &str) = ("EMBARGO_TEST_CRASH_AT", "EMBARGO_TEST_HOUSE");

/// A folder with a public repository, a server's data and keys.
pub(crate) struct House {
    root: PathBuf,
    _folder: tempfile::TempDir,
}

/// A release that is armed, and what it was armed with.
pub(crate) struct Armed {
    pub(crate) release: ReleaseId,
    candidates: Vec<(CommitId, CommitId)>,
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .args(["-c", "user.name=Sample Person", "-c", "user.email=person@example.org", "-c", "init.defaultBranch=main"])
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn person(id: PersonId) -> Actor {
    Actor::Person { id, via: Via::Session { fresh: true } }
}

impl House {
    /// Lays a public repository of two lines and a configuration.
    pub(crate) fn new(mail: Option<&MailServer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let work = root.join("work");
        std::fs::create_dir(&work).unwrap();
        git(&work, &["init", "--quiet"]);
        std::fs::write(work.join("code.txt"), "flawed\n").unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", "first"]);
        git(&work, &["branch", "1.x"]);
        std::fs::write(work.join("news.txt"), "two\n").unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", "second"]);
        git(&root, &["clone", "--quiet", "--bare", "work", "upstream.git"]);
        let shown = root.display();
        let mail = mail.map(|server| {
            let port = server.options().port.unwrap();
            format!("[mail]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nfrom = \"security@example.org\"\n")
        });
        let config = format!(
            "data = \"{shown}/data\"\nbase_url = \"http://127.0.0.1:8484\"\n[keys]\nfolder = \"{shown}/keys\"\n{}\
             [[project]]\nid = \"demo\"\nprefix = \"DEMO\"\nname = \"Demo\"\nembargo_days = 0\n\
             [[project.repository]]\nname = \"core\"\nurl = \"{shown}/upstream.git\"\nlines = [\"main\", \"1.x\"]\n",
            mail.unwrap_or_default()
        );
        std::fs::write(root.join("config.toml"), config).unwrap();
        Self { root, _folder: folder }
    }

    pub(crate) async fn open(&self, now: &str) -> Arc<App> {
        open(&self.root, at(now), CrashPoint::default()).await
    }

    /// Brings a release as far as being armed, as two people who approve each other's work.
    pub(crate) async fn arm(&self, app: &App) -> Armed {
        let (alice, bob) = self.people(app).await;
        let case = self.fixed(app, &alice, &bob).await;
        let wish = PlanRelease {
            project: "demo".parse().unwrap(),
            cases: vec![case.clone()],
            targets: LINES
                .iter()
                .zip(TAGS)
                .map(|(line, tag)| PlanTarget {
                    repository: None,
                    line: line.parse().unwrap(),
                    tag: tag.parse().unwrap(),
                })
                .collect(),
            due_at: at(INSTANT),
        };
        let id = release::plan(app, &alice, &wish).await.unwrap();
        assert!(release::plan(app, &alice, &wish).await.is_err(), "a case is in one release at a time");
        worker::settle(app).await.unwrap();
        let draft = advisory::show(app, &alice, &case).await.unwrap();
        let mut text = draft.advisory;
        assert_eq!(text.affected.len(), 2, "the plan fills in what it knows");
        text.description = Some("A crafted file runs code. Update.".parse().unwrap());
        text.severity = Some(Severity::None("Not rated by this project".parse().unwrap()));
        let edited = EditAdvisory { advisory: text, version: draft.version };
        advisory::edit(app, &alice, &case, &edited).await.unwrap();
        assert!(release::freeze(app, &alice, &id).await.is_err(), "the text is not approved yet");
        let read = advisory::show(app, &bob, &case).await.unwrap();
        advisory::approve(app, &bob, &case, &read.digest.unwrap()).await.unwrap();
        let view = show(app, &alice, &id).await;
        assert!(view.blockers.is_empty(), "{:?}", view.blockers);
        release::freeze(app, &alice, &id).await.unwrap();
        release::arm(app, &alice, &id).await.unwrap();
        assert!(release::arm(app, &alice, &id).await.is_err(), "one person arms once");
        assert_eq!(show(app, &alice, &id).await.summary.state, "frozen");
        release::arm(app, &bob, &id).await.unwrap();
        let view = show(app, &alice, &id).await;
        assert_eq!(view.summary.state, "armed");
        let candidates = view.targets.iter().map(|target| {
            let parsed = |id: &Option<String>| id.as_ref().unwrap().parse().unwrap();
            (parsed(&target.candidate), parsed(&target.tag_object))
        });
        Armed { release: id, candidates: candidates.collect() }
    }

    async fn people(&self, app: &App) -> (Actor, Actor) {
        let recovery = std::fs::read_to_string(self.root.join("keys/recovery.txt")).unwrap();
        let console = Console::from(app);
        let new = |name: &str| NewPerson {
            handle: name.parse().unwrap(),
            name: format!("Sample {name}").parse().unwrap(),
            email: Some(format!("{name}@example.org").parse().unwrap()),
            keys: vec![(KeyKind::Age, recovery.trim().to_owned())],
        };
        let alice = console.found(new("alice")).await.unwrap();
        let bob = console.add_person(new("bob")).await.unwrap();
        for handle in ["alice", "bob"] {
            console.join_team(&"demo".parse().unwrap(), &handle.parse().unwrap(), Role::ReleaseManager).await.unwrap();
        }
        (person(alice.id), person(bob.id))
    }

    /// Reports, accepts and fixes a case on both lines; the checks could not run, and somebody answers for that.
    async fn fixed(&self, app: &App, alice: &Actor, bob: &Actor) -> CaseId {
        worker::settle(app).await.unwrap();
        let body = ReportBody {
            title: "Crafted file runs code".parse().unwrap(),
            versions: None,
            text: "Open the file.".parse().unwrap(),
            severity: ClaimedSeverity::Unsaid,
            credit: CreditWish::Named { name: "Sample Reporter".parse().unwrap() },
            contact: Some("reporter@example.org".parse().unwrap()),
        };
        let (_, receipt) = report::submit(app, &"demo".parse().unwrap(), &body).await.unwrap();
        let case: CaseId = receipt.case.parse().unwrap();
        case::act(app, alice, &case, case::Act::Accept).await.unwrap();
        worker::settle(app).await.unwrap();
        let mut rows = app.read().await.unwrap();
        let lines = store::project::lines(&mut rows, &"demo".parse().unwrap()).await.unwrap();
        drop(rows);
        let work = self.root.join("work");
        for name in LINES {
            let line = lines.iter().find(|line| line.name.as_str() == name).unwrap();
            git(&work, &["checkout", "--quiet", "-B", &format!("fix/{name}"), name]);
            std::fs::write(work.join("code.txt"), "mended\n").unwrap();
            git(&work, &["commit", "--quiet", "--all", "-m", "Check the length"]);
            let head: CommitId = git(&work, &["rev-parse", "HEAD"]).parse().unwrap();
            let remote = app.git.path(&Repo::Case(case.clone(), line.upstream));
            git(&remote, &["fetch", "--quiet", work.to_str().unwrap(), &format!("fix/{name}:refs/heads/fix/{name}")]);
            let mut tx = app.begin("test.push").await.unwrap();
            let grant = workflow::open(&mut tx, alice, &case, embargo::domain::access::Action::Push).await.unwrap();
            let row = store::fix::of_line(&mut tx, &grant, line.id, app.mint::<FixId>()).await.unwrap();
            let change = row.revise(Some(head.clone()), alice.person().unwrap(), tx.now());
            store::fix::save(&mut tx, alice, change).await.unwrap();
            app.commit(tx).await.unwrap();
            fix::approve(app, bob, &case, (None, &line.name), &head).await.unwrap();
            release::waive_checks(app, bob, &case, &line.name, &head).await.unwrap();
        }
        case
    }

    /// Returns where the public repository is, and where it can be put out of reach.
    pub(crate) fn upstream(&self) -> (PathBuf, PathBuf) {
        (self.root.join("upstream.git"), self.root.join("away.git"))
    }

    /// Reads the public refs.
    pub(crate) fn public(&self) -> BTreeMap<String, String> {
        let listed = git(&self.root.join("upstream.git"), &["for-each-ref", "--format=%(refname) %(objectname)"]);
        listed.lines().map(|line| line.split_once(' ').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    }

    /// Pushes something else to a public line.
    fn move_line(&self) {
        let work = self.root.join("work");
        git(&work, &["checkout", "--quiet", "main"]);
        std::fs::write(work.join("other.txt"), "other\n").unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", "something else"]);
        git(&work, &["push", "--quiet", "../upstream.git", "main"]);
    }

    /// Checks that everything the release promised is public, once.
    async fn is_public(&self, app: &App, armed: &Armed) {
        let refs = self.public();
        for ((line, tag), (commit, object)) in LINES.iter().zip(TAGS).zip(&armed.candidates) {
            assert_eq!(refs[&format!("refs/heads/{line}")], commit.as_str());
            assert_eq!(refs[&format!("refs/tags/{tag}")], object.as_str());
        }
        let published = publication::published(app).await.unwrap();
        assert_eq!(published.len(), 1);
        for path in [format!("advisories/{}.html", published[0].id), format!("osv/x_{}.json", published[0].id)] {
            let file = publication::file(app, &path.parse().unwrap()).await.unwrap();
            assert!(String::from_utf8(file.body).unwrap().contains("Sample Reporter"), "{path}");
        }
        let feed = String::from_utf8(publication::atom(app).await.unwrap()).unwrap();
        assert_eq!(feed.matches("<entry>").count(), 1);
        let mut rows = app.read().await.unwrap();
        let chain = store::event::verify(&mut rows).await.unwrap();
        assert!(matches!(chain, store::event::Verified::Intact { .. }));
    }
}

async fn open(root: &Path, now: Timestamp, crash: CrashPoint) -> Arc<App> {
    let config = Config::load(&root.join("config.toml")).unwrap();
    if !root.join("keys").exists() {
        crypto::keys::init(&config.keys).unwrap();
    }
    let mailer = if config.mail.host.is_some() { None } else { Some(Mailer::outbox().0) };
    let app = App::open(config, Outside { clock: Clock::fixed(now), mailer, crash }).await.unwrap();
    worker::start(&app).await.unwrap();
    app
}

pub(crate) async fn show(app: &App, actor: &Actor, id: &ReleaseId) -> ReleaseView {
    release::show(app, actor, id).await.unwrap()
}

/// Finds somebody of the house, as signed in a moment ago.
pub(crate) async fn named(app: &App, handle: &str) -> Actor {
    let mut rows = app.read().await.unwrap();
    person(store::account::by_handle(&mut rows, &handle.parse().unwrap()).await.unwrap().unwrap().id)
}

#[tokio::test]
async fn an_armed_release_publishes_at_its_instant_and_not_before() {
    let house = House::new(None);
    let app = house.open(PLANNED).await;
    let before = house.public();
    let armed = house.arm(&app).await;
    app.clock.set(at("2027-01-15T11:59:59.999Z"));
    worker::settle(&app).await.unwrap();
    workflow::sweep::run(&app).await.unwrap();
    worker::settle(&app).await.unwrap();
    assert_eq!(house.public(), before);
    app.clock.set(at(INSTANT));
    worker::settle(&app).await.unwrap();
    house.is_public(&app, &armed).await;
    let view = show(&app, &named(&app, "alice").await, &armed.release).await;
    assert_eq!(view.summary.state, "done");
    assert!(view.effects.iter().all(|effect| effect.state == "done"), "{:?}", view.effects);
    let key = std::fs::read_to_string(house.root.join("keys/tag-signing")).unwrap();
    let signer = crypto::sshsig::Signer::parse(&key).unwrap();
    let signers = house.root.join("signers");
    std::fs::write(&signers, format!("security@localhost namespaces=\"git\" {}\n", signer.key())).unwrap();
    let allowed = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    for tag in TAGS {
        git(&house.root.join("upstream.git"), &["-c", &allowed, "verify-tag", tag]);
    }
    git(&house.root.join("upstream.git"), &["fsck", "--strict"]);
}

#[tokio::test]
async fn a_public_line_that_moved_holds_the_release_for_one_reason_and_sends_nothing() {
    let house = House::new(None);
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    house.move_line();
    let before = house.public();
    app.clock.set(at(INSTANT));
    worker::settle(&app).await.unwrap();
    let alice = named(&app, "alice").await;
    let view = show(&app, &alice, &armed.release).await;
    assert_eq!((view.summary.state.as_str(), view.hold.unwrap().reason.as_str()), ("held", "line_moved"));
    assert_eq!((house.public(), view.public_at), (before, None));
    assert!(publication::published(&app).await.unwrap().is_empty());
    // The way out: reopen, rehearse on the new tip, approve what changed, freeze and arm again.
    release::reopen(&app, &alice, &armed.release).await.unwrap();
    release::postpone(&app, &alice, &armed.release, at("2027-01-15T14:00:00Z")).await.unwrap();
    workflow::project::mirror_now(&app, &alice, &"demo".parse().unwrap()).await.unwrap();
    worker::settle(&app).await.unwrap();
    let kinds: Vec<_> = show(&app, &alice, &armed.release).await.blockers.into_iter().map(|b| b.kind).collect();
    assert_eq!(kinds, ["advisory_approval"]);
}

#[tokio::test]
async fn a_release_disarmed_a_millisecond_before_stays_private() {
    let house = House::new(None);
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let before = house.public();
    app.clock.set(at("2027-01-15T11:59:59.999Z"));
    release::disarm(&app, &named(&app, "alice").await, &armed.release).await.unwrap();
    app.clock.set(at("2027-01-15T12:00:01Z"));
    worker::settle(&app).await.unwrap();
    workflow::sweep::run(&app).await.unwrap();
    worker::settle(&app).await.unwrap();
    assert_eq!(house.public(), before);
}

#[tokio::test]
async fn an_upstream_that_is_gone_at_the_instant_is_tried_again_and_then_a_person_is_called() {
    let house = House::new(None);
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let (there, gone) = house.upstream();
    std::fs::rename(&there, &gone).unwrap();
    app.clock.set(at(INSTANT));
    worker::settle(&app).await.unwrap();
    let alice = named(&app, "alice").await;
    assert_eq!(show(&app, &alice, &armed.release).await.summary.state, "running");
    for minute in 1..=15 {
        app.clock.set(at(INSTANT) + jiff::SignedDuration::from_mins(minute));
        worker::settle(&app).await.unwrap();
    }
    let view = show(&app, &alice, &armed.release).await;
    let hold = view.hold.unwrap();
    assert_eq!((hold.reason.as_str(), hold.safe_to_retry, view.public_at), ("upstream_down", true, None));
    std::fs::rename(&gone, &there).unwrap();
    release::resume(&app, &alice, &armed.release).await.unwrap();
    worker::settle(&app).await.unwrap();
    house.is_public(&app, &armed).await;
}

#[tokio::test]
async fn a_server_that_was_down_at_the_instant_discloses_when_it_starts() {
    let house = House::new(None);
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    drop(app);
    let app = house.open("2027-01-15T12:20:00Z").await;
    worker::settle(&app).await.unwrap();
    house.is_public(&app, &armed).await;
}

#[tokio::test]
async fn outsiders_and_members_of_one_case_see_no_release() {
    let house = House::new(None);
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let missing: ReleaseId = "DEMO-R9".parse().unwrap();
    let stranger = person(app.mint());
    for actor in [stranger, Actor::Reporter(app.mint())] {
        for id in [&armed.release, &missing] {
            assert!(matches!(release::show(&app, &actor, id).await, Err(workflow::Error::NotFound)));
            assert!(matches!(release::disarm(&app, &actor, id).await, Err(workflow::Error::NotFound)));
        }
    }
    let stale = Actor::Person { id: named(&app, "alice").await.person().unwrap(), via: Via::Session { fresh: false } };
    assert!(matches!(release::arm(&app, &stale, &armed.release).await, Err(workflow::Error::Refused(_))));
}

/// Kills a real process at every point of the run, starts it again, and looks at what is public and what was mailed.
#[tokio::test]
async fn killed_at_any_point_and_started_again_nothing_is_lost_and_nothing_done_twice() {
    let mail = MailServer::start().await;
    let house = House::new(Some(&mail));
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    drop(app);
    house.save();
    mail.clear();
    // A run that nobody kills says how many effects there are.
    assert_eq!(house.child("").await, None);
    let app = house.open(INSTANT).await;
    house.is_public(&app, &armed).await;
    let effects = show(&app, &named(&app, "alice").await, &armed.release).await.effects;
    drop(app);
    let expected = subjects(&mail);
    assert_eq!(expected.len(), 3, "reporter and two members: {expected:?}");
    let mut points = vec!["beginning".to_owned(), "begun".to_owned(), "finishing".to_owned()];
    for position in 0..effects.len() {
        points.extend(["started", "acted", "ended"].map(|point| format!("{position}:{point}")));
    }
    // Inside a write that never lands: for the push, which crosses the point of no return in it.
    let push = effects.iter().find(|effect| effect.phase == "push_fixes").unwrap().position;
    points.extend(["starting", "ending"].map(|point| format!("{push}:{point}")));
    let mut points: Vec<String> = points.into_iter().map(|point| format!("disclose:{point}")).collect();
    points.extend(["mail:before".to_owned(), "mail:after".to_owned()]);
    for point in points {
        house.restore();
        mail.clear();
        assert_eq!(house.child(&point).await, Some(9), "nothing passed {point}");
        assert_eq!(house.child("").await, None, "the second start after {point}");
        let app = house.open(INSTANT).await;
        house.is_public(&app, &armed).await;
        let view = show(&app, &named(&app, "alice").await, &armed.release).await;
        assert_eq!(view.summary.state, "done", "{point}");
        drop(app);
        let mut mails = subjects(&mail);
        if point == "mail:after" {
            // What was handed over but not written down is handed over again, under the same Message-ID.
            assert_eq!(mails.len(), 4, "{point}");
            mails.dedup();
        }
        assert_eq!(mails, expected, "{point}");
    }
}

/// The Message-IDs of the mails about the disclosure, sorted.
fn subjects(mail: &MailServer) -> Vec<String> {
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
        line.unwrap_or_default().to_owned()
    };
    let about = mail.mails().into_iter().filter(|text| text.contains("A security advisory is public"));
    let mut ids: Vec<_> = about.map(|text| field(&text, "message-id:")).collect();
    ids.sort();
    ids
}

impl House {
    fn save(&self) {
        for name in ["data", "upstream.git"] {
            copy(&self.root.join(name), &self.root.join(format!("saved-{name}")));
        }
    }

    fn restore(&self) {
        for name in ["data", "upstream.git"] {
            std::fs::remove_dir_all(self.root.join(name)).unwrap();
            copy(&self.root.join(format!("saved-{name}")), &self.root.join(name));
        }
    }

    /// Runs what is due in a process of its own that dies at the point; returns the signal it died of.
    async fn child(&self, point: &str) -> Option<i32> {
        let status = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "disclosure::a_child_runs_what_is_due", "--nocapture"])
            .env(CHILD.0, point)
            .env(CHILD.1, &self.root)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .await
            .unwrap();
        assert!(status.success() || status.signal().is_some(), "the child failed by itself: {status}");
        status.signal()
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// The body of the child: does nothing unless it was started as one.
#[tokio::test]
async fn a_child_runs_what_is_due() {
    let Some(root) = std::env::var_os(CHILD.1) else { return };
    let point = std::env::var(CHILD.0).unwrap_or_default();
    let crash = CrashPoint::at((!point.is_empty()).then_some(point));
    let app = open(Path::new(&root), at(INSTANT), crash).await;
    worker::settle(&app).await.unwrap();
    workflow::sweep::run(&app).await.unwrap();
    worker::settle(&app).await.unwrap();
}
