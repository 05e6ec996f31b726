//! A house: public repositories on disk, a server's data and keys beside them, and a release brought as far as its instant.
//!
//! Everything lies under one folder, so that another process can work on it, and it can be saved and put back.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "`cp` is no part of the program")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use embargo::app::{App, Clock, CrashPoint, Outside};
use embargo::config::Config;
use embargo::domain::access::{Action, Role};
use embargo::domain::account::KeyKind;
use embargo::domain::actor::Actor;
use embargo::domain::digest::Digest;
use embargo::domain::fix::FixKind;
use embargo::domain::id::{CaseId, FixId, ReleaseId};
use embargo::domain::mark::Standing;
use embargo::domain::repo::CommitId;
use embargo::domain::report::{ClaimedSeverity, CreditWish, ReportBody};
use embargo::domain::severity::Severity;
use embargo::git::Repo;
use embargo::notify::Mailer;
use embargo::wire::advisory::EditAdvisory;
use embargo::wire::case::MarkRequest;
use embargo::wire::release::{PlanRelease, PlanTarget, ReleaseView};
use embargo::workflow::console::{Console, NewPerson};
use embargo::workflow::{self, advisory, case, fix, mark, plan, publication, release, report};
use embargo::{crypto, store, worker};
use jiff::Timestamp;

use super::git::Git;
use super::mail::MailServer;
use super::server::signed_in;

/// When releases are planned, unless a test says otherwise.
pub(crate) const PLANNED: &str = "2027-01-15T08:00:00Z";
/// And when they are due.
pub(crate) const INSTANT: &str = "2027-01-15T12:00:00Z";

/// What a release spans.
#[derive(Debug)]
pub(crate) struct Train {
    /// Repository, line and tag, in the order they are released.
    pub(crate) targets: &'static [(&'static str, &'static str, &'static str)],
    /// For each case, the targets it is fixed on, by their place.
    pub(crate) cases: &'static [&'static [usize]],
}

/// One case on two lines of one repository.
pub(crate) const SINGLE: Train =
    Train { targets: &[("core", "main", "v2.0.1"), ("core", "1.x", "v1.4.2")], cases: &[&[0, 1]] };

/// Two cases over two repositories: the first in one of them, the second in both, where it shares a line with the first.
pub(crate) const DOUBLE: Train = Train {
    targets: &[("core", "main", "v2.0.1"), ("core", "1.x", "v1.4.2"), ("extra", "main", "v0.3.1")],
    cases: &[&[0, 1], &[0, 2]],
};

/// The folder and what a release of it spans.
pub(crate) struct House {
    root: PathBuf,
    train: &'static Train,
    _folder: tempfile::TempDir,
}

/// Two release managers who approve each other's work.
pub(crate) struct Team {
    /// Pushes, plans, writes.
    pub(crate) alice: Actor,
    /// Approves.
    pub(crate) bob: Actor,
}

/// A release that was frozen, and what it was frozen with.
pub(crate) struct Frozen {
    /// Who looks after it.
    pub(crate) team: Team,
    /// Its cases, in the order of the train.
    pub(crate) cases: Vec<CaseId>,
    /// The release.
    pub(crate) release: ReleaseId,
    /// Commit and tag of each target, in the order of the train.
    pub(crate) candidates: Vec<(CommitId, CommitId)>,
}

/// Reads an instant.
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Opens the server of a house, which may be another process's.
pub(crate) async fn open(root: &Path, now: Timestamp, crash: CrashPoint) -> Arc<App> {
    let config = Config::load(&root.join("config.toml")).unwrap();
    if !root.join("keys").exists() {
        crypto::keys::init(&config.keys).unwrap();
    }
    let mailer = if config.mail.host.is_some() { None } else { Some(Mailer::outbox().0) };
    let app = App::open(config, Outside { clock: Clock::fixed(now), mailer, crash }).await.unwrap();
    worker::start(&app).await.unwrap();
    app
}

impl House {
    /// Lays the public repositories of a train and a configuration.
    pub(crate) async fn new(train: &'static Train, mail: Option<&MailServer>) -> Self {
        let folder = super::site::folder();
        let house = Self { root: folder.path().to_owned(), train, _folder: folder };
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = free.local_addr().unwrap();
        let shown = house.root.display();
        let mut config = format!(
            "data = \"{shown}/data\"\nbase_url = \"http://{listen}\"\nlisten = \"{listen}\"\n\
             [keys]\nfolder = \"{shown}/keys\"\n[ci]\nenabled = false\n",
        );
        if let Some(port) = mail.and_then(|server| server.options().port) {
            config += &format!(
                "[mail]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nfrom = \"security@example.org\"\n"
            );
        }
        config += "[[project]]\nid = \"demo\"\nprefix = \"DEMO\"\nname = \"Demo\"\nembargo_days = 0\n";
        for name in house.repositories() {
            house.publish(name).await;
            let lines: Vec<_> = house.lines(name).map(|line| format!("\"{line}\"")).collect();
            let url = house.upstream(name);
            config += &format!(
                "[[project.repository]]\nname = \"{name}\"\nurl = \"{}\"\nlines = [{}]\n",
                url.display(),
                lines.join(", ")
            );
        }
        std::fs::write(house.config(), config).unwrap();
        house
    }

    /// Makes a public repository with the lines the train has in it. It notes every move of a ref.
    async fn publish(&self, name: &str) {
        let (git, work, bare) = (Git::anonymous(), self.work(name), self.upstream(name));
        std::fs::create_dir_all(&work).unwrap();
        git.succeed(&work, &["init", "-q"]).await;
        // No two repositories have a commit in common.
        git.commit(&work, "README", &format!("{name}\n")).await;
        git.commit(&work, "code.txt", "flawed\n").await;
        for line in self.lines(name).filter(|line| *line != "main") {
            git.succeed(&work, &["branch", line]).await;
        }
        git.commit(&work, "news.txt", "two\n").await;
        git.succeed(&work, &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]).await;
        git.succeed(&bare, &["config", "core.logAllRefUpdates", "always"]).await;
    }

    /// Returns the names of the repositories, in the order they are released.
    pub(crate) fn repositories(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.train.targets.iter().map(|target| target.0).collect();
        names.dedup();
        names
    }

    fn lines(&self, repository: &str) -> impl Iterator<Item = &'static str> {
        self.train.targets.iter().filter(move |target| target.0 == repository).map(|target| target.1)
    }

    /// Returns the folder that holds everything.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the configuration's file.
    pub(crate) fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// Returns a public repository, bare.
    pub(crate) fn upstream(&self, repository: &str) -> PathBuf {
        self.root.join(format!("{repository}.git"))
    }

    /// Adds a line to the project's configuration, for servers opened from now on.
    pub(crate) fn decide(&self, line: &str) {
        let config = std::fs::read_to_string(self.config()).unwrap();
        let (project, decided) = ("embargo_days = 0\n", format!("embargo_days = 0\n{line}\n"));
        assert!(config.contains(project), "{config}");
        std::fs::write(self.config(), config.replace(project, &decided)).unwrap();
    }

    /// Has the server reach a public repository at this address, with these lines of configuration for it.
    pub(crate) fn reach(&self, repository: &str, url: &str, credential: &str) {
        let plain = format!("url = \"{}\"\n", self.upstream(repository).display());
        let config = std::fs::read_to_string(self.config()).unwrap();
        assert!(config.contains(&plain), "{config}");
        std::fs::write(self.config(), config.replace(&plain, &format!("url = \"{url}\"\n{credential}"))).unwrap();
    }

    /// Adds lines to the configuration, at its end: tables of the project, or others.
    pub(crate) fn configure(&self, more: &str) {
        let config = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), config + more).unwrap();
    }

    /// Puts a secret into a file that its owner alone can read.
    pub(crate) fn secret(&self, name: &str, text: &str) {
        let file = self.root.join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Returns a work tree of a public repository.
    pub(crate) fn work(&self, repository: &str) -> PathBuf {
        self.root.join("work").join(repository)
    }

    /// Opens the server at this instant; its jobs wait.
    pub(crate) async fn open(&self, now: &str) -> Arc<App> {
        open(&self.root, at(now), CrashPoint::default()).await
    }

    /// Brings a release as far as being armed, due at [`INSTANT`].
    pub(crate) async fn arm(&self, app: &App) -> Frozen {
        let frozen = Box::pin(self.freeze(app, at(INSTANT))).await;
        frozen.arm(app).await;
        frozen
    }

    /// Brings a release as far as being frozen.
    pub(crate) async fn freeze(&self, app: &App, due: Timestamp) -> Frozen {
        let team = self.team(app).await;
        let mut cases = Vec::new();
        for (number, targets) in self.train.cases.iter().enumerate() {
            let case = self.accept(app, &team).await;
            for target in *targets {
                // Fixes of one line touch files of their own.
                let file = if number == 0 { "code.txt".to_owned() } else { format!("guard-{number}.txt") };
                self.fix(app, &team, (&case, *target), (&file, "mended\n")).await;
            }
            cases.push(case);
        }
        for (case, fixed) in cases.iter().zip(self.train.cases) {
            self.clear(app, &team, (case, fixed)).await;
        }
        let release = plan::plan(app, &team.alice, &self.plan(&cases, due)).await.unwrap();
        worker::settle(app).await.unwrap();
        for (case, targets) in cases.iter().zip(self.train.cases) {
            self.write(app, &team, (case, targets)).await;
        }
        let view = show(app, &team.alice, &release).await;
        assert!(view.blockers.is_empty(), "{:?}", view.blockers);
        release::freeze(app, &team.alice, &release).await.unwrap();
        let candidates = show(app, &team.alice, &release).await.targets.into_iter().map(|target| {
            let parsed = |id: Option<String>| id.unwrap().parse().unwrap();
            (parsed(target.candidate), parsed(target.tag_object))
        });
        Frozen { team, cases, release, candidates: candidates.collect() }
    }

    /// Says what to plan over these cases.
    pub(crate) fn plan(&self, cases: &[CaseId], due_at: Timestamp) -> PlanRelease {
        let target = |(repository, line, tag): &(&str, &str, &str)| PlanTarget {
            repository: Some(repository.parse().unwrap()),
            line: line.parse().unwrap(),
            tag: tag.parse().unwrap(),
            strategy: None,
            tags: None,
        };
        let targets = self.train.targets.iter().map(target).collect();
        let project = "demo".parse().unwrap();
        PlanRelease { project, cases: cases.to_vec(), targets, due_at, details_after: None, tests_after: None }
    }

    /// Brings the two people in, who can be reached by mail.
    pub(crate) async fn team(&self, app: &App) -> Team {
        worker::settle(app).await.unwrap();
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
        Team { alice: signed_in(alice.id), bob: signed_in(bob.id) }
    }

    /// Hands in a report and accepts it.
    pub(crate) async fn accept(&self, app: &App, team: &Team) -> CaseId {
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
        case::act(app, &team.alice, &case, case::Act::Accept).await.unwrap();
        worker::settle(app).await.unwrap();
        case
    }

    /// Fixes a case on one target by one file, approved. Its checks could not run, and somebody answers for that.
    pub(crate) async fn fix(&self, app: &App, team: &Team, place: (&CaseId, usize), file: (&str, &str)) {
        self.push(app, team, place, (FixKind::Fix, file)).await;
    }

    /// Pushes a fix or its tests as `fix` does; returns the head.
    pub(crate) async fn push(
        &self,
        app: &App,
        team: &Team,
        place: (&CaseId, usize),
        (kind, file): (FixKind, (&str, &str)),
    ) -> CommitId {
        let (case, target) = place;
        let (repository, name, _) = self.train.targets[target];
        let (repository, name) = (repository.parse().unwrap(), name.parse().unwrap());
        let mut rows = app.read().await.unwrap();
        let project = "demo".parse().unwrap();
        let upstreams = store::project::upstreams(&mut rows, &project).await.unwrap();
        let lines = store::project::lines(&mut rows, &project).await.unwrap();
        drop(rows);
        let upstream = upstreams.iter().find(|upstream| upstream.name == repository).unwrap();
        let line = lines.iter().find(|line| line.upstream == upstream.id && line.name == name).unwrap();

        let (git, work) = (Git::anonymous(), self.work(repository.as_str()));
        let from = if kind == FixKind::Tests { format!("fix/{name}") } else { name.to_string() };
        git.succeed(&work, &["checkout", "-q", "-B", &format!("{kind}/{name}"), &from]).await;
        let head: CommitId = git.commit(&work, file.0, file.1).await.parse().unwrap();
        let remote = app.git.path(&Repo::Case(case.clone(), upstream.id));
        let refspec = format!("+{kind}/{name}:refs/heads/{kind}/{name}");
        git.succeed(&remote, &["fetch", "-q", work.to_str().unwrap(), &refspec]).await;
        let mut tx = app.begin("test.push").await.unwrap();
        let grant = workflow::open(&mut tx, &team.alice, case, Action::Push).await.unwrap();
        let row = store::fix::of_line(&mut tx, &grant, (line.id, kind), app.mint::<FixId>()).await.unwrap();
        let now = tx.now();
        let change = row.revise(Some(head.clone()), team.alice.person().unwrap(), now);
        store::fix::save(&mut tx, &team.alice, change).await.unwrap();
        app.commit(tx).await.unwrap();
        fix::approve(app, &team.bob, case, (Some(&repository), &name, kind), &head).await.unwrap();
        release::waive_checks(app, &team.bob, case, &name, &head).await.unwrap();
        head
    }

    /// Says of every line that is not fixed that it is not affected.
    async fn clear(&self, app: &App, team: &Team, of: (&CaseId, &[usize])) {
        for (at, (repository, line, _)) in self.train.targets.iter().enumerate() {
            if !of.1.contains(&at) {
                let (repository, line) = (Some(repository.parse().unwrap()), line.parse().unwrap());
                let wish = MarkRequest { repository, line, standing: Standing::NotAffected };
                mark::set(app, &team.alice, of.0, &wish).await.unwrap();
            }
        }
    }

    /// Writes the advisory of a planned case for the targets it is fixed on, and has it approved.
    pub(crate) async fn write(&self, app: &App, team: &Team, of: (&CaseId, &[usize])) {
        self.draft(app, team, of).await;
        let read = advisory::show(app, &team.bob, of.0).await.unwrap();
        advisory::approve(app, &team.bob, of.0, &read.digest.unwrap()).await.unwrap();
    }

    /// Has every advisory of a release approved as it would be published now.
    pub(crate) async fn write_again(&self, app: &App, frozen: &Frozen) {
        for case in &frozen.cases {
            let read = advisory::show(app, &frozen.team.bob, case).await.unwrap();
            advisory::approve(app, &frozen.team.bob, case, &read.digest.unwrap()).await.unwrap();
        }
    }

    /// Writes the advisory of a planned case for the targets it is fixed on.
    pub(crate) async fn draft(&self, app: &App, team: &Team, of: (&CaseId, &[usize])) {
        let (case, targets) = of;
        let draft = advisory::show(app, &team.alice, case).await.unwrap();
        let mut text = draft.advisory;
        assert_eq!(text.affected.len(), self.train.targets.len(), "the plan fills in what it knows");
        text.affected.retain(|affected| {
            let (repository, line) = (affected.repository.as_str(), affected.line.as_str());
            targets
                .iter()
                .any(|target| (self.train.targets[*target].0, self.train.targets[*target].1) == (repository, line))
        });
        text.description = Some("A crafted file runs code. Update.".parse().unwrap());
        text.severity = Some(Severity::None("Not rated by this project".parse().unwrap()));
        let edited = EditAdvisory { advisory: text, version: draft.version };
        advisory::edit(app, &team.alice, case, &edited).await.unwrap();
        worker::settle(app).await.unwrap();
    }

    /// Reads the public refs: repository and name.
    pub(crate) async fn public(&self) -> BTreeMap<String, String> {
        let mut refs = BTreeMap::new();
        for name in self.repositories() {
            let format = ["for-each-ref", "--format=%(refname) %(objectname)"];
            let listed = Git::anonymous().succeed(&self.upstream(name), &format).await;
            let pairs = listed.lines().map(|line| line.split_once(' ').unwrap());
            refs.extend(pairs.map(|(reference, id)| (format!("{name} {reference}"), id.to_owned())));
        }
        refs
    }

    /// Pushes something else to the public `main` of a repository.
    pub(crate) async fn move_line(&self, repository: &str) {
        self.move_line_by(repository, ("other.txt", "other\n")).await;
    }

    /// Pushes this file to the public `main` of a repository.
    pub(crate) async fn move_line_by(&self, repository: &str, (file, text): (&str, &str)) {
        let (git, work, bare) = (Git::anonymous(), self.work(repository), self.upstream(repository));
        git.succeed(&work, &["checkout", "-q", "main"]).await;
        git.commit(&work, file, text).await;
        git.succeed(&work, &["push", "-q", bare.to_str().unwrap(), "main"]).await;
    }

    /// Checks that everything the release promised is public, and that each ref moved once.
    pub(crate) async fn is_public(&self, app: &App, frozen: &Frozen) {
        let refs = self.public().await;
        for ((repository, line, tag), (commit, object)) in self.train.targets.iter().zip(&frozen.candidates) {
            for (name, id) in [(format!("refs/heads/{line}"), commit), (format!("refs/tags/{tag}"), object)] {
                assert_eq!(refs[&format!("{repository} {name}")], id.as_str());
                let moves = std::fs::read_to_string(self.upstream(repository).join("logs").join(&name)).unwrap();
                let here = moves.lines().filter(|moved| moved.split(' ').nth(1) == Some(id.as_str()));
                assert_eq!(here.count(), 1, "{repository} {name}: {moves}");
            }
        }
        let published = publication::published(app).await.unwrap();
        assert_eq!(published.len(), frozen.cases.len());
        for advisory in &published {
            for path in [format!("advisories/{}.html", advisory.id), format!("osv/x_{}.json", advisory.id)] {
                let file = publication::file(app, &path.parse().unwrap()).await.unwrap();
                assert!(String::from_utf8(file.body).unwrap().contains("Sample Reporter"), "{path}");
            }
        }
        let feed = String::from_utf8(publication::atom(app).await.unwrap()).unwrap();
        assert_eq!(feed.matches("<entry>").count(), frozen.cases.len());
        let mut rows = app.read().await.unwrap();
        let chain = store::event::verify(&mut rows).await.unwrap();
        assert!(matches!(chain, store::event::Verified::Intact { .. }));
    }

    /// Puts data and public repositories aside.
    pub(crate) fn save(&self) {
        for name in self.kept() {
            copy(&self.root.join(&name), &self.root.join(format!("saved-{name}")));
        }
    }

    /// Makes data and public repositories what they were when they were put aside.
    pub(crate) fn restore(&self) {
        for name in self.kept() {
            std::fs::remove_dir_all(self.root.join(&name)).unwrap();
            copy(&self.root.join(format!("saved-{name}")), &self.root.join(name));
        }
    }

    fn kept(&self) -> Vec<String> {
        let repositories = self.repositories().into_iter().map(|name| format!("{name}.git"));
        repositories.chain(["data".to_owned()]).collect()
    }
}

impl Frozen {
    /// Arms the release by both.
    pub(crate) async fn arm(&self, app: &App) {
        for person in [&self.team.alice, &self.team.bob] {
            arm(app, person, &self.release).await.unwrap();
        }
        assert_eq!(self.view(app).await.summary.state, "armed");
    }

    /// Reads the release's page.
    pub(crate) async fn view(&self, app: &App) -> ReleaseView {
        show(app, &self.team.alice, &self.release).await
    }
}

/// Arms a release as one person, who reads what it is now; what is not frozen, by a digest that nothing has.
pub(crate) async fn arm(app: &App, person: &Actor, id: &ReleaseId) -> workflow::Result<()> {
    let digest = show(app, person, id).await.digest.map(|digest| digest.parse().unwrap());
    release::arm(app, person, id, &digest.unwrap_or_else(|| Digest::of(b"not frozen"))).await
}

async fn show(app: &App, actor: &Actor, id: &ReleaseId) -> ReleaseView {
    release::show(app, actor, id).await.unwrap()
}

fn copy(from: &Path, to: &Path) {
    // A server that was closed may still be tidying up: what vanishes meanwhile is no part of it.
    let copied = (0..20).any(|_| {
        let _ = std::fs::remove_dir_all(to);
        std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success()
    });
    assert!(copied, "{} cannot be copied", from.display());
}
