//! Candidates of a release, over the real doors and the real git: checked as they would be published, pushed by people where
//! the server cannot merge, and seen by nobody who is not on every case.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;

use embargo::app::Checks;
use embargo::domain::access::{Consent, Role};
use embargo::domain::actor::{Actor, Scope};
use embargo::domain::fix::FixKind;
use embargo::domain::id::{CaseId, ReleaseId};
use embargo::domain::mark::Standing;
use embargo::domain::repo::CommitId;
use embargo::domain::severity::Severity;
use embargo::wire::advisory::EditAdvisory;
use embargo::wire::case::MarkRequest;
use embargo::wire::release::{PlanRelease, PlanTarget, ReleaseView, TargetView};
use embargo::workflow::{advisory, candidate, case, check, fix, plan, project, rehearsal, release};
use jiff::SignedDuration;

use crate::support::client::{Caller, Sent};
use crate::support::git::Git;
use crate::support::house;
use crate::support::server::{TestApp, signed_in};
use crate::support::site::Site;

const INSTANT: &str = "2026-04-02T12:00:00Z";

/// Two release managers, and two cases with a fix of `main` each.
pub(crate) struct Scene {
    pub(crate) test: TestApp,
    /// Pushes.
    pub(crate) alice: Actor,
    /// Approves.
    pub(crate) bob: Actor,
    git: Git,
    pub(crate) cases: [CaseId; 2],
    pub(crate) heads: Vec<CommitId>,
}

impl Scene {
    /// Pushes these files as the fixes of the two cases.
    pub(crate) async fn set(site: Site, fixes: [(&str, &str); 2]) -> Self {
        let test = TestApp::on(site).await;
        test.settle().await;
        let alice = test.member("alice", Role::ReleaseManager).await;
        let bob = test.member("bob", Role::ReleaseManager).await;
        let git = test.git(&alice).await;
        let cases = [test.accepted_case(&alice).await, test.accepted_case(&alice).await];
        let mut scene = Self { test, alice, bob, git, cases, heads: Vec::new() };
        for (case, (file, text)) in scene.cases.clone().iter().zip(fixes) {
            let head = scene.fix(case, file, text).await;
            scene.heads.push(head);
        }
        scene
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.test.site.path().join(name)
    }

    async fn clone_of(&self, owner: &str, name: &str) -> PathBuf {
        let url = self.test.url(&format!("/{owner}/sample"));
        self.git.succeed(self.test.site.path(), &["clone", "-q", &url, name]).await;
        self.folder(name)
    }

    /// Pushes a fix of `main`, has it approved, and answers for its checks where none can run.
    async fn fix(&self, case: &CaseId, file: &str, text: &str) -> CommitId {
        let name = format!("clone-{case}");
        let clone = if self.folder(&name).exists() {
            self.folder(&name)
        } else {
            self.clone_of(&case.to_string(), &name).await
        };
        let head: CommitId = self.git.commit(&clone, file, text).await.parse().unwrap();
        self.git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
        self.test.settle().await;
        let (app, line) = (&self.test.app, "main".parse().unwrap());
        fix::approve(app, &self.bob, case, (None, &line, FixKind::Fix), &head).await.unwrap();
        if let Checks::Off(_) = app.checks {
            release::waive_checks(app, &self.bob, case, &line, &head).await.unwrap();
        }
        self.test.settle().await;
        head
    }

    pub(crate) async fn plan(&self, cases: &[CaseId]) -> ReleaseId {
        let targets = vec![PlanTarget {
            repository: None,
            line: "main".parse().unwrap(),
            tag: "v2.0".parse().unwrap(),
            strategy: None,
            tags: None,
        }];
        let project = "sample".parse().unwrap();
        let wish = PlanRelease {
            project,
            cases: cases.to_vec(),
            targets,
            due_at: INSTANT.parse().unwrap(),
            details_after: None,
            tests_after: None,
        };
        let id = plan::plan(&self.test.app, &self.alice, &wish).await.unwrap();
        self.test.settle().await;
        id
    }

    pub(crate) async fn view(&self, id: &ReleaseId) -> ReleaseView {
        release::show(&self.test.app, &self.alice, id).await.unwrap()
    }

    pub(crate) async fn target(&self, id: &ReleaseId) -> TargetView {
        self.view(id).await.targets.remove(0)
    }

    /// The blockers that speak of candidates and merges.
    async fn blocked(&self, id: &ReleaseId) -> Vec<String> {
        let about = ["rehearsal", "conflict", "rehearsal_stale", "candidate_checks", "candidate_approval"];
        let kinds = self.view(id).await.blockers.into_iter().map(|blocker| blocker.kind);
        kinds.filter(|kind| about.contains(&kind.as_str())).collect()
    }

    /// Merges both fixes by hand in a clone of the release, and returns the clone and the merge.
    async fn resolve(&self, id: &ReleaseId, name: &str) -> (PathBuf, CommitId) {
        let clone = self.clone_of(&id.to_string(), name).await;
        let head = self.merge(&clone).await;
        (clone, head)
    }

    /// Merges what the remote of the release shows into what is checked out.
    async fn merge(&self, clone: &std::path::Path) -> CommitId {
        self.git.succeed(clone, &["fetch", "-q", "origin"]).await;
        for from in ["main".to_owned(), format!("fix/{}/main", self.cases[0]), format!("fix/{}/main", self.cases[1])] {
            let merged = self.git.run(clone, &["merge", "-q", "-m", "merge", &format!("origin/{from}")]).await;
            if !merged.status.success() {
                std::fs::write(clone.join("sample.c"), "both ways\n").unwrap();
                self.git.succeed(clone, &["commit", "-q", "-a", "-m", "resolve"]).await;
            }
        }
        self.git.succeed(clone, &["rev-parse", "HEAD"]).await.parse().unwrap()
    }

    async fn push(&self, clone: &std::path::Path) -> String {
        let output = self.git.run(clone, &["push", "origin", "+HEAD:refs/heads/candidate/main"]).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        self.test.settle().await;
        said
    }

    async fn approve(&self, by: &Actor, id: &ReleaseId, head: &CommitId) -> Result<(), String> {
        let line = "main".parse().unwrap();
        let approved = candidate::approve(&self.test.app, by, id, (None, &line), head).await;
        approved.map_err(|error| error.to_string())
    }

    /// Says that the other line is not affected, writes the advisories and has them approved.
    pub(crate) async fn told(&self) {
        let app = &self.test.app;
        for case in &self.cases {
            let other = MarkRequest { line: "1.x".parse().unwrap(), repository: None, standing: Standing::NotAffected };
            embargo::workflow::mark::set(app, &self.alice, case, &other).await.unwrap();
            let draft = advisory::show(app, &self.alice, case).await.unwrap();
            let mut text = draft.advisory;
            text.description = Some("A crafted file runs code. Update.".parse().unwrap());
            text.severity = Some(Severity::None("Not rated by this project".parse().unwrap()));
            text.affected.retain(|affected| affected.line.as_str() == "main");
            let edit = EditAdvisory { advisory: text, version: draft.version };
            advisory::edit(app, &self.alice, case, &edit).await.unwrap();
            self.test.settle().await;
            let read = advisory::show(app, &self.bob, case).await.unwrap();
            advisory::approve(app, &self.bob, case, &read.digest.unwrap()).await.unwrap();
        }
        self.test.settle().await;
    }

    /// Moves the public line on, and has the server see it.
    pub(crate) async fn move_line(&self) {
        let (git, work) = (Git::anonymous(), self.test.site.work());
        git.commit(&work, "NEWS", "even more\n").await;
        git.succeed(&work, &["push", "-q", "origin", "main"]).await;
        project::mirror_now(&self.test.app, &self.alice, &"sample".parse().unwrap()).await.unwrap();
        self.test.settle().await;
    }
}

/// A site whose project has one workflow with these steps.
pub(crate) async fn checked(steps: &str) -> Site {
    let mut site = Site::with_project().await;
    site.configure(|config| {
        config.ci.enabled = true;
        config.ci.minutes = 1;
    });
    let (git, work) = (Git::anonymous(), site.work());
    std::fs::create_dir_all(work.join(".github/workflows")).unwrap();
    let text = format!("on: pull_request\njobs:\n  sample:\n    runs-on: ubuntu-latest\n    steps:\n{steps}");
    git.commit(&work, ".github/workflows/ci.yml", &text).await;
    git.succeed(&work, &["push", "-q", "origin", "HEAD:refs/heads/main"]).await;
    site
}

pub(crate) fn runs_here(scene: &Scene) -> bool {
    matches!(scene.test.app.checks, Checks::Ready(_))
}

/// Each fix is green alone, and together they are not: what ships is what is checked.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_checked_as_it_would_be_published_and_one_fix_alone_is_not_checked_twice() {
    let steps =
        "      - uses: actions/checkout@v4\n      - run: echo quiet words; test ! -e one.c || test ! -e two.c\n";
    let scene = Scene::set(checked(steps).await, [("one.c", "one\n"), ("two.c", "two\n")]).await;
    let here = runs_here(&scene);
    let alone = scene.plan(&scene.cases[..1]).await;
    let target = scene.target(&alone).await;
    let standing = target.standing.unwrap();
    if here {
        assert_eq!((standing.checks.as_str(), standing.checks_by.as_str()), ("green", "fix"), "{:?}", target.trouble);
        assert_eq!(scene.blocked(&alone).await, Vec::<String>::new());
        assert!(scene.view(&alone).await.ready_in_seconds.is_some(), "merge and checks were measured");
        assert!(check::list(&scene.test.app, &scene.alice, &alone).await.unwrap().is_empty());
    }
    release::abandon(&scene.test.app, &scene.alice, &alone).await.unwrap();

    let both = scene.plan(&scene.cases).await;
    let runs = check::list(&scene.test.app, &scene.alice, &both).await.unwrap();
    assert_eq!((runs.len(), runs[0].release.as_deref(), &runs[0].case), (1, Some(both.to_string().as_str()), &None));
    let standing = scene.target(&both).await.standing.unwrap();
    if here {
        assert_eq!((runs[0].state.as_str(), standing.checks.as_str()), ("failure", "failed"));
        assert_eq!(standing.run.as_ref(), Some(&runs[0].id));
        assert_eq!(scene.blocked(&both).await, ["candidate_checks"]);
        assert!(release::freeze(&scene.test.app, &scene.alice, &both).await.is_err());
    }
    // The run can be repeated, and a fix that goes well with the other turns it green by itself.
    let line = "main".parse().unwrap();
    check::rerun_candidate(&scene.test.app, &scene.alice, &both, (None, &line)).await.unwrap();
    scene.test.settle().await;
    assert_eq!(check::list(&scene.test.app, &scene.alice, &both).await.unwrap().len(), 2);
    let clone = scene.folder(&format!("clone-{}", scene.cases[1]));
    scene.git.succeed(&clone, &["mv", "two.c", "three.c"]).await;
    scene.fix(&scene.cases[1], "three.c", "three\n").await;
    if here {
        let standing = scene.target(&both).await.standing.unwrap();
        assert_eq!((standing.checks.as_str(), standing.checks_by.as_str()), ("green", "candidate"));
        assert_eq!(scene.blocked(&both).await, Vec::<String>::new());
    }
    nobody_of_one_case_reads_it(&scene, &both).await;
    scene.test.settle().await;
}

/// Attack: a release manager of one of the two cases asks for the checks, the log, the code and the acts of the release.
async fn nobody_of_one_case_reads_it(scene: &Scene, id: &ReleaseId) {
    let test = &scene.test;
    let person = test.person("guest").await;
    let handle = "guest".parse().unwrap();
    case::invite(&test.app, &scene.alice, &scene.cases[0], &handle, Role::ReleaseManager).await.unwrap();
    case::join(&test.app, &signed_in(person), &scene.cases[0], Consent::Signatory).await.unwrap();
    let one = test.sign_in("guest").await;
    let all = [Scope::ApiRead, Scope::ApiWrite, Scope::GitRead, Scope::GitWrite];
    let confined = test.token(&scene.alice, &all, Some(&scene.cases[0])).await;
    let manager = test.sign_in("alice").await;
    let run = check::list(&test.app, &scene.alice, id).await.unwrap().remove(0);
    let job = run.jobs.first().map_or_else(|| "01900000000070008000000000000000".to_owned(), |job| job.id.clone());
    let absent = "01900000000070008000000000000000";
    let line = || Sent::Json(r#"{"line":"main"}"#.to_owned());
    let approval = || Sent::Json(format!(r#"{{"line":"main","commit":"{}"}}"#, run.head));
    let routes = [
        ("GET", format!("/api/v1/checks/{}", run.id), Sent::Nothing),
        ("GET", format!("/api/v1/checks/{}/jobs/{job}/log", run.id), Sent::Nothing),
        ("GET", format!("/api/v1/checks/{}/events", run.id), Sent::Nothing),
        ("POST", format!("/api/v1/checks/{}/cancel", run.id), Sent::Nothing),
        ("GET", format!("/api/v1/releases/{id}/checks"), Sent::Nothing),
        ("POST", format!("/api/v1/releases/{id}/checks"), line()),
        ("POST", format!("/api/v1/releases/{id}/approve-candidate"), approval()),
        ("GET", format!("/{id}/sample/info/refs?service=git-upload-pack"), Sent::Nothing),
        ("GET", format!("/{id}/sample/info/refs?service=git-receive-pack"), Sent::Nothing),
        ("POST", format!("/{id}/sample/git-upload-pack"), Sent::Git("application/x-git-upload-pack-request")),
    ];
    for (method, path, sent) in &routes {
        let missing = path.replace(&id.to_string(), "SAMPLE-R99").replace(&run.id, absent);
        for by in [&one, &confined] {
            let hidden = test.ask(by, method, path, sent).await;
            assert_eq!(hidden, test.ask(by, method, &missing, sent).await, "{method} {path}");
            assert_eq!(hidden.status, 404, "{method} {path}");
        }
    }
    let page = test.ask(&one, "GET", &format!("/checks/{}", run.id), &Sent::Nothing).await;
    assert_eq!(page.status, 404);
    let read = test.ask(&manager, "GET", &format!("/api/v1/checks/{}/jobs/{job}/log", run.id), &Sent::Nothing).await;
    if runs_here(scene) {
        assert!(read.body.contains("quiet words"), "{read:?}");
        let shown = test.ask(&manager, "GET", &format!("/checks/{}", run.id), &Sent::Nothing).await;
        assert!(shown.body.contains("quiet words") && shown.body.contains(&format!("/releases/{id}")));
    }
    somebody_of_all_cases_who_manages_no_release(scene, id, &run.id).await;
}

/// Whoever is on every case but manages no release is told so, and by git nothing at all.
async fn somebody_of_all_cases_who_manages_no_release(scene: &Scene, id: &ReleaseId, run: &str) {
    let test = &scene.test;
    let person = test.person("fixer").await;
    let handle = "fixer".parse().unwrap();
    for case in &scene.cases {
        case::invite(&test.app, &scene.alice, case, &handle, Role::Fixer).await.unwrap();
        case::join(&test.app, &signed_in(person), case, Consent::Signatory).await.unwrap();
    }
    let fixer: Caller = test.sign_in("fixer").await;
    for path in [format!("/api/v1/checks/{run}"), format!("/api/v1/releases/{id}/checks")] {
        assert_eq!(test.ask(&fixer, "GET", &path, &Sent::Nothing).await.status, 403, "{path}");
    }
    let page = test.ask(&fixer, "GET", &format!("/releases/{id}"), &Sent::Nothing).await;
    assert!(page.status == 200 && !page.body.contains(&format!("/checks/{run}")), "{}", page.status);
    let git = test.git(&signed_in(person)).await;
    let url = test.url(&format!("/{id}/sample"));
    let hidden = git.fail(test.site.path(), &["ls-remote", &url]).await;
    let missing = git.fail(test.site.path(), &["ls-remote", &url.replace(&id.to_string(), "SAMPLE-R99")]).await;
    assert_eq!(hidden.replace(&id.to_string(), "SAMPLE-R99"), missing);
}

/// Two fixes that do not go together are merged by a person, approved by another, and become public as they were pushed.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_resolved_by_a_push_that_another_approves_and_that_is_what_ships() {
    let site = Site::with_project().await;
    let scene = Scene::set(site, [("sample.c", "one way\n"), ("sample.c", "another way\n")]).await;
    let id = scene.plan(&scene.cases).await;
    let trouble = scene.target(&id).await.trouble.unwrap();
    let command = format!("git clone -b main {} && cd sample && git merge", scene.test.url(&format!("/{id}/sample")));
    assert!(trouble.contains(&command) && trouble.contains("HEAD:refs/heads/candidate/main"), "{trouble}");
    assert_eq!(scene.blocked(&id).await, ["conflict"]);
    scene.told().await;

    assert_eq!(scene.view(&id).await.ready_in_seconds, None, "there is nothing that was ever measured");
    let (clone, head) = scene.resolve(&id, "train").await;
    let shown = scene.git.succeed(&clone, &["ls-remote", "origin"]).await;
    for name in ["refs/heads/main", "refs/heads/fix/SAMPLE-1/main", "refs/heads/fix/SAMPLE-2/main", "refs/tags/v1.0"] {
        assert!(shown.contains(name), "{shown}");
    }
    let said = scene.push(&clone).await;
    assert!(said.contains("waits for the approval of another release manager"), "{said}");
    assert!(said.contains(&format!("/releases/{id}")), "{said}");
    let target = scene.target(&id).await;
    assert_eq!(target.candidate.as_deref(), Some(head.as_str()));
    let standing = target.standing.unwrap();
    assert_eq!((standing.maker.as_str(), standing.pushed_by.as_deref()), ("person", Some("@alice")));
    // Attack: shipping code nobody approved.
    assert_eq!(scene.blocked(&id).await, ["candidate_approval"]);
    assert!(release::freeze(&scene.test.app, &scene.alice, &id).await.is_err());
    let own = scene.approve(&scene.alice, &id, &head).await.unwrap_err();
    assert!(own.contains("another release manager approves it"), "{own}");
    scene.approve(&scene.bob, &id, &head).await.unwrap();
    assert_eq!(scene.blocked(&id).await, Vec::<String>::new());
    // Attack: swapping it after the approval.
    scene.git.commit(&clone, "more.c", "nobody saw this\n").await;
    scene.push(&clone).await;
    assert_eq!(scene.blocked(&id).await, ["candidate_approval"]);
    assert!(scene.approve(&scene.bob, &id, &head).await.unwrap_err().contains("look at it again"));
    scene.git.succeed(&clone, &["reset", "-q", "--hard", head.as_str()]).await;
    scene.push(&clone).await;
    assert_eq!(scene.blocked(&id).await, Vec::<String>::new(), "this commit was approved");
    let tag = scene.target(&id).await.tag_object;

    release::freeze(&scene.test.app, &scene.alice, &id).await.unwrap();
    // Attack: swapping it once it is frozen, and once it is armed.
    scene.git.commit(&clone, "late.c", "too late\n").await;
    for armed in [false, true] {
        if armed {
            for by in [&scene.alice, &scene.bob] {
                house::arm(&scene.test.app, by, &id).await.unwrap();
            }
        }
        let said = scene.git.fail(&clone, &["push", "origin", "HEAD:refs/heads/candidate/main"]).await;
        assert!(said.contains("403") || said.contains("reopen"), "{said}");
        let asked = format!("/{id}/sample/info/refs?service=git-receive-pack");
        let token = scene.test.token(&scene.alice, &[Scope::GitWrite], None).await;
        let answer = scene.test.ask(&token, "GET", &asked, &Sent::Nothing).await;
        assert!(answer.body.contains(&format!("embargo release reopen {id}")), "{answer:?}");
    }
    assert_eq!(scene.view(&id).await.summary.state, "armed");
    scene.test.app.clock.set(INSTANT.parse().unwrap());
    scene.test.settle().await;
    let public = Git::anonymous().succeed(&scene.test.site.upstream(), &["for-each-ref"]).await;
    assert!(public.contains(&format!("{head} commit\trefs/heads/main")), "{public}");
    assert!(public.contains(&format!("{} tag\trefs/tags/v2.0", tag.unwrap())), "{public}");
    scene.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_lacks_something_is_refused_and_one_that_was_left_behind_falls_away() {
    let site = Site::with_project().await;
    let scene = Scene::set(site, [("sample.c", "one way\n"), ("sample.c", "another way\n")]).await;
    let id = scene.plan(&scene.cases).await;
    let clone = scene.clone_of(&id.to_string(), "train").await;
    scene.git.succeed(&clone, &["merge", "-q", "--no-ff", "-m", "half", "origin/fix/SAMPLE-1/main"]).await;
    let refused = async |refspec: &str| scene.git.fail(&clone, &["push", "origin", refspec]).await;
    let said = refused("HEAD:refs/heads/candidate/main").await;
    // The sentence comes in lines as wide as git makes them.
    let flat = said.replace("remote: ", "").replace(['\n', '\r'], " ");
    assert!(flat.contains("does not hold the fix of SAMPLE-2") && flat.contains("origin/fix/SAMPLE-2/main"), "{said}");
    assert!(!flat.contains("the fix of SAMPLE-1"), "{said}");
    for (refspec, part) in [
        ("HEAD:refs/heads/candidate/1.x", "ships no line 1.x here"),
        ("HEAD:refs/heads/main", "cannot be pushed"),
        ("HEAD:refs/heads/fix/SAMPLE-1/main", "follows the fix of its case"),
        ("HEAD:refs/heads/wip/mine", "cannot be pushed"),
        ("HEAD:refs/tags/v2.0", "Tags are made by the release"),
    ] {
        let said = refused(refspec).await;
        assert!(said.contains(part), "{refspec}: {said}");
    }
    let head = scene.merge(&clone).await;
    scene.push(&clone).await;
    scene.approve(&scene.bob, &id, &head).await.unwrap();
    assert_eq!(scene.blocked(&id).await, Vec::<String>::new());
    let first = scene.target(&id).await;

    // The same inputs make the same ids, whoever merged, every night.
    scene.test.advance(SignedDuration::from_hours(14));
    rehearsal::nightly(&scene.test.app).await.unwrap();
    assert_eq!(scene.test.jobs_left().await, 1, "the one planned release is rehearsed");
    scene.test.settle().await;
    assert_eq!(scene.target(&id).await.tag_object, first.tag_object);

    // The line moves on: what was pushed is used no more, is said to be, and the server tries again.
    scene.move_line().await;
    assert_eq!(scene.blocked(&id).await, ["conflict"]);
    let trouble = scene.target(&id).await.trouble.unwrap();
    assert!(trouble.contains(&format!("candidate/main at {} fell away", head.short())), "{trouble}");
    scene.git.commit(&clone, "more.c", "more\n").await;
    let said = refused("HEAD:refs/heads/candidate/main").await;
    assert!(said.contains("does not hold the public main"), "{said}");
    let newer = scene.merge(&clone).await;
    scene.push(&clone).await;
    assert_eq!(scene.blocked(&id).await, ["candidate_approval"]);
    scene.approve(&scene.bob, &id, &newer).await.unwrap();
    assert_eq!(scene.blocked(&id).await, Vec::<String>::new());

    // A fix moves on to what goes with the other by itself: the server's own merge takes its place.
    let own = scene.folder(&format!("clone-{}", scene.cases[1]));
    scene.git.succeed(&own, &["checkout", "-q", "HEAD~1", "--", "sample.c"]).await;
    scene.fix(&scene.cases[1], "other.c", "another way\n").await;
    let target = scene.target(&id).await;
    assert_eq!((target.rehearsal.as_str(), target.standing.unwrap().maker.as_str()), ("clean", "server"));
    assert!(target.fallen.unwrap().contains("The server's own merge takes its place"));
    // Taken back, nothing is left to tell.
    scene.git.succeed(&clone, &["push", "-q", "origin", ":refs/heads/candidate/main"]).await;
    scene.test.settle().await;
    assert_eq!(scene.target(&id).await.fallen, None);
    scene.test.settle().await;
}

/// Attack: ids of another case's commits, asked of the remote of a case whose release holds both.
#[tokio::test(flavor = "multi_thread")]
async fn a_case_reaches_nothing_of_another_through_the_release_they_share() {
    let site = Site::with_project().await;
    let scene = Scene::set(site, [("sample.c", "one way\n"), ("sample.c", "another way\n")]).await;
    let id = scene.plan(&scene.cases).await;
    let (clone, head) = scene.resolve(&id, "train").await;
    scene.push(&clone).await;
    let empty = scene.folder("empty");
    std::fs::create_dir(&empty).unwrap();
    scene.git.succeed(&empty, &["init", "-q"]).await;
    let remote = scene.test.remote(&scene.cases[0]);
    scene.git.succeed(&empty, &["fetch", "-q", &remote, scene.heads[0].as_str()]).await;
    for secret in [&scene.heads[1], &head] {
        scene.git.fail(&empty, &["fetch", "-q", &remote, secret.as_str()]).await;
        let unknown = scene.git.run(&empty, &["cat-file", "-e", secret.as_str()]).await;
        assert!(!unknown.status.success());
    }
    // The release has both.
    let train = scene.test.url(&format!("/{id}/sample"));
    scene.git.succeed(&empty, &["fetch", "-q", &train, scene.heads[1].as_str(), head.as_str()]).await;

    // A case that leaves takes with it what was pushed and checked while its code was in there.
    assert!(!check::list(&scene.test.app, &scene.alice, &id).await.unwrap().is_empty());
    plan::drop_case(&scene.test.app, &scene.alice, &id, &scene.cases[1]).await.unwrap();
    scene.test.settle().await;
    let runs = check::list(&scene.test.app, &scene.alice, &id).await.unwrap();
    assert!(runs.iter().all(|run| run.head != head.as_str()), "{runs:?}");
    let target = scene.target(&id).await;
    assert_eq!((target.rehearsal.as_str(), target.fallen), ("clean", None));
    let refs = scene.git.succeed(&clone, &["ls-remote", "origin"]).await;
    assert!(!refs.contains("candidate/") && !refs.contains("SAMPLE-2"), "{refs}");
    for secret in [&scene.heads[1], &head] {
        let again = scene.folder(&format!("again-{}", secret.short()));
        std::fs::create_dir(&again).unwrap();
        scene.git.succeed(&again, &["init", "-q"]).await;
        scene.git.fail(&again, &["fetch", "-q", &train, secret.as_str()]).await;
    }
    scene.test.settle().await;
}
