//! Tests that follow their fix later, over the real doors: pushed with the real git, checked and approved like a fix, and checked once
//! more on the line as it is when they land.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};

use embargo::domain::actor::Scope;
use embargo::domain::fix::FixKind;
use embargo::domain::id::ReleaseId;
use embargo::wire::landing::{LandingView, SetTests};
use embargo::workflow::{case, check, fix, landing, release, sweep};

use crate::candidate::{Scene, checked, runs_here};
use crate::support::client::Sent;
use crate::support::git::Git;

const LATER: &str = "2026-04-16T12:00:01Z";
/// Red where the exploit meets code that is not mended.
const STEPS: &str = "      - uses: actions/checkout@v4\n      - run: test ! -e exploit.sh || grep -q mended sample.c\n";

struct Held {
    scene: Scene,
    git: Git,
    clone: PathBuf,
}

impl Held {
    async fn set() -> Self {
        let scene = Scene::set(checked(STEPS).await, [("sample.c", "mended\n"), ("other.c", "other\n")]).await;
        let git = scene.test.git(&scene.alice).await;
        let clone = scene.test.site.path().join(format!("clone-{}", scene.cases[0]));
        Self { scene, git, clone }
    }

    /// Pushes what is checked out in the clone of the case.
    async fn push(&self, to: &str) -> Result<String, String> {
        let output = self.git.run(&self.clone, &["push", "origin", &format!("+HEAD:refs/heads/{to}")]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        self.settle().await;
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    async fn settle(&self) {
        self.scene.test.settle().await;
        sweep::run(&self.scene.test.app).await.unwrap();
        self.scene.test.settle().await;
    }

    async fn go_to(&self, at: &str) {
        self.scene.test.app.clock.set(at.parse().unwrap());
        self.settle().await;
    }

    async fn kinds(&self, id: &ReleaseId) -> Vec<String> {
        self.scene.view(id).await.blockers.into_iter().map(|blocker| blocker.kind).collect()
    }

    async fn landing(&self, id: &ReleaseId) -> LandingView {
        self.scene.view(id).await.tests.lines.remove(0)
    }

    /// Pushes something to the public line.
    async fn public(&self, file: &str, text: &str) {
        let (git, work) = (Git::anonymous(), self.scene.test.site.work());
        git.succeed(&work, &["pull", "-q", "--ff-only", "origin", "main"]).await;
        git.commit(&work, file, text).await;
        git.succeed(&work, &["push", "-q", "origin", "HEAD:main"]).await;
    }

    async fn has(&self, upstream: &Path, name: &str) -> bool {
        Git::anonymous().run(upstream, &["cat-file", "-e", name]).await.status.success()
    }

    async fn say(&self, id: &ReleaseId, when: &str) {
        let wish = SetTests { when: when.parse().unwrap(), line: None, repository: None };
        landing::schedule(&self.scene.test.app, &self.scene.alice, id, &wish).await.unwrap();
        self.settle().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_are_pushed_checked_and_approved_like_a_fix_and_checked_where_they_land() {
    let held = Held::set().await;
    let (scene, app) = (&held.scene, &held.scene.test.app);
    let (case, line) = (&scene.cases[0], "main".parse().unwrap());
    if !runs_here(scene) {
        return;
    }
    // On the public line alone, the exploit is red; on the fix it is green.
    held.git.succeed(&held.clone, &["checkout", "-q", "-b", "tests", "origin/main"]).await;
    held.git.commit(&held.clone, "exploit.sh", "the way in\n").await;
    assert!(held.push("tests/main").await.unwrap().contains("Checks: "));
    let id = scene.plan(&scene.cases).await;
    scene.told().await;
    held.say(&id, "14d").await;
    let said: Vec<_> = scene.view(&id).await.blockers.into_iter().map(|blocker| blocker.sentence).collect();
    for part in ["tests/main does not hold fix/main", "needs 1 more approval", "the checks are not green"] {
        assert!(said.iter().any(|said| said.contains(part)), "{part}: {said:?}");
    }
    held.git.succeed(&held.clone, &["rebase", "-q", scene.heads[0].as_str()]).await;
    let said = held.push("tests/main").await.unwrap();
    assert!(said.contains("tests/main was rewritten"), "{said}");
    let head = held.git.succeed(&held.clone, &["rev-parse", "HEAD"]).await.parse().unwrap();
    let own = fix::approve(app, &scene.alice, case, (None, &line, FixKind::Tests), &head).await;
    assert!(own.is_err(), "whoever pushed them does not review them");
    fix::approve(app, &scene.bob, case, (None, &line, FixKind::Tests), &head).await.unwrap();
    held.settle().await;
    scene.told().await;
    assert_eq!(held.kinds(&id).await, Vec::<String>::new(), "{:?}", scene.view(&id).await.blockers);

    let shown = case::show(app, &scene.bob, case).await.unwrap().fixes;
    let tests = shown.iter().find(|fix| fix.kind == FixKind::Tests).unwrap();
    assert_eq!((tests.checks.as_str(), tests.approved, tests.line.as_str()), ("success", true, "main"));
    release::freeze(app, &scene.alice, &id).await.unwrap();
    held.git.commit(&held.clone, "exploit.sh", "another way in\n").await;
    let said = held.push("tests/main").await.unwrap_err();
    assert!(said.contains(&format!("tests/main is frozen in {id} as it is: reopen the release")), "{said}");
    let read = scene.view(&id).await.digest.unwrap().parse().unwrap();
    for person in [&scene.alice, &scene.bob] {
        release::arm(app, person, &id, &read).await.unwrap();
    }
    held.go_to("2026-04-02T12:00:00Z").await;
    let upstream = scene.test.site.upstream();
    assert_eq!(scene.view(&id).await.summary.state, "done");
    assert!(!held.has(&upstream, head.as_str()).await && held.has(&upstream, scene.heads[0].as_str()).await);
    assert_eq!(held.landing(&id).await.state, "waiting");

    // Somebody takes the fix back in public: the tests tell, and wait for a person.
    held.public("sample.c", "flawed again\n").await;
    held.go_to(LATER).await;
    held.settle().await;
    let stuck = held.landing(&id).await;
    assert_eq!(stuck.state, "stuck", "{stuck:?}");
    assert!(stuck.note.contains("their checks are not green"), "{}", stuck.note);
    assert!(!held.has(&upstream, head.as_str()).await, "and nothing was sent");
    let runs = check::list(app, &scene.alice, &id).await.unwrap();
    assert!(runs.iter().any(|run| Some(&run.head) == stuck.commit.as_ref() && run.state == "failure"), "{runs:?}");

    let path = format!("/api/v1/releases/{id}/tests");
    let reader = scene.test.token(&scene.alice, &[Scope::ApiRead], None).await;
    let refused = scene.test.ask(&reader, "POST", &path, &Sent::Json(r#"{"when":"now"}"#.to_owned())).await;
    assert_eq!(refused.status, 403, "a token that only reads");
    held.public("sample.c", "mended, once and for all\n").await;
    held.say(&id, "now").await;
    held.settle().await;
    assert_eq!(held.landing(&id).await.state, "done", "{:?}", held.landing(&id).await);
    assert!(held.has(&upstream, head.as_str()).await && held.has(&upstream, "main:exploit.sh").await);
    let sample = Git::anonymous().succeed(&upstream, &["show", "main:sample.c"]).await;
    assert_eq!(sample, "mended, once and for all");
}
