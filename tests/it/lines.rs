//! Lines as they really are: which of them a case affects, and what that means for the releases it is in.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use embargo::domain::access::Role;
use embargo::domain::actor::Actor;
use embargo::domain::id::{CaseId, ReleaseId};
use embargo::domain::mark::Standing;
use embargo::wire::advisory::EditAdvisory;
use embargo::wire::case::{MarkRequest, SuggestionView};
use embargo::wire::release::{PlanRelease, PlanTarget, ReleaseView};
use embargo::workflow::{advisory, case, mark, plan, project, release};

use crate::support::client::Sent;
use crate::support::server::TestApp;

/// A server with an accepted case of the sample project, and somebody who manages its releases.
struct Scene {
    test: TestApp,
    manager: Actor,
    case: CaseId,
}

impl Scene {
    async fn set() -> Self {
        let test = TestApp::start().await;
        let manager = test.member("manager", Role::ReleaseManager).await;
        let case = test.accepted_case(&manager).await;
        Self { test, manager, case }
    }

    /// Pushes a fix of a line with the real git.
    async fn push(&self, case: &CaseId, line: &str, file: &str) {
        let git = self.test.git(&self.manager).await;
        let name = format!("{case}-{line}");
        let clone = self.test.site.path().join(&name);
        git.succeed(self.test.site.path(), &["clone", "-q", "-b", line, &self.test.remote(case), &name]).await;
        git.commit(&clone, file, &format!("{} on {line}\n", case.to_string().replace('-', ""))).await;
        git.succeed(&clone, &["push", "-q", "origin", &format!("HEAD:refs/heads/fix/{line}")]).await;
        self.test.settle().await;
    }

    async fn mark(&self, line: &str, standing: Standing) -> Result<(), String> {
        let wish = MarkRequest { line: line.parse().unwrap(), repository: None, standing };
        mark::set(&self.test.app, &self.manager, &self.case, &wish).await.map_err(|error| error.to_string())
    }

    async fn plan(&self, cases: &[&CaseId], targets: &[(&str, &str)]) -> ReleaseId {
        let target = |(line, tag): &(&str, &str)| PlanTarget {
            repository: None,
            line: line.parse().unwrap(),
            tag: tag.parse().unwrap(),
            strategy: None,
            tags: None,
        };
        let wish = PlanRelease {
            project: "sample".parse().unwrap(),
            cases: cases.iter().map(|case| (*case).clone()).collect(),
            targets: targets.iter().map(target).collect(),
            due_at: "2026-02-01T12:00:00Z".parse().unwrap(),
            details_after: None,
            tests_after: None,
        };
        let id = plan::plan(&self.test.app, &self.manager, &wish).await.unwrap();
        self.test.settle().await;
        id
    }

    async fn show(&self, id: &ReleaseId) -> ReleaseView {
        release::show(&self.test.app, &self.manager, id).await.unwrap()
    }

    /// The blockers that speak of lines and fixes, as `kind: sentence`.
    async fn blocked(&self, id: &ReleaseId) -> Vec<String> {
        let blockers = self.show(id).await.blockers.into_iter();
        let about = |kind: &str| ["fix_missing", "line_left", "line_unknown"].contains(&kind);
        blockers.filter(|b| about(&b.kind)).map(|b| format!("{}: {}", b.kind, b.sentence)).collect()
    }

    async fn needs(&self) -> Vec<String> {
        case::show(&self.test.app, &self.manager, &self.case).await.unwrap().summary.needs
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_not_affected_blocks_nothing_and_waits_for_nobody() {
    let scene = Scene::set().await;
    scene.push(&scene.case, "main", "sample.c").await;
    let id = scene.plan(&[&scene.case], &[("main", "v2.0"), ("1.x", "v1.1")]).await;
    assert!(scene.blocked(&id).await.iter().any(|said| said.contains("has no fix on 1.x")));
    assert!(scene.needs().await.contains(&"Push a fix to fix/1.x".to_owned()));
    scene.mark("1.x", Standing::NotAffected).await.unwrap();
    assert!(!scene.needs().await.contains(&"Push a fix to fix/1.x".to_owned()));
    // The case waits for nothing there any more; that the release still ships the line for nobody is another matter.
    let left = scene.blocked(&id).await;
    assert_eq!(left, ["fix_missing: No case of this release has a fix on 1.x: leave the line out."]);
    release::abandon(&scene.test.app, &scene.manager, &id).await.unwrap();
    let id = scene.plan(&[&scene.case], &[("main", "v2.0")]).await;
    assert_eq!(scene.blocked(&id).await, Vec::<String>::new());
    scene.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_affected_line_is_not_left_behind_unless_somebody_says_so() {
    let scene = Scene::set().await;
    scene.push(&scene.case, "main", "sample.c").await;
    let id = scene.plan(&[&scene.case], &[("main", "v2.0")]).await;
    let unknown = scene.blocked(&id).await;
    assert!(unknown[0].starts_with("line_unknown: Nobody has said how 1.x stands to SAMPLE-1"), "{unknown:?}");
    scene.mark("1.x", Standing::Affected).await.unwrap();
    let left = scene.blocked(&id).await;
    assert!(left[0].starts_with("line_left: SAMPLE-1 affects 1.x, which does not ship"), "{left:?}");
    scene.mark("1.x", Standing::WontFix).await.unwrap();
    assert_eq!(scene.blocked(&id).await, Vec::<String>::new());
    let view = scene.show(&id).await;
    let told = view.blockers.iter().any(|blocker| blocker.sentence.contains("1.x stays affected and gets no fix"));
    assert!(told, "its users must read of it: {:?}", view.blockers);
    scene.test.settle().await;
}

/// What the public would read of the case now, by media type.
async fn published(scene: &Scene) -> impl Fn(&str) -> String {
    let view = advisory::show(&scene.test.app, &scene.manager, &scene.case).await.unwrap();
    move |kind: &str| view.documents.iter().find(|document| document.media_type.starts_with(kind)).unwrap().text.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_follows_the_plan_and_the_marks_as_they_are() {
    let scene = Scene::set().await;
    scene.push(&scene.case, "main", "sample.c").await;
    let first = scene.plan(&[&scene.case], &[("main", "v2.0"), ("1.x", "v1.1")]).await;
    assert!(published(&scene).await("text/markdown").contains("1.1 (tag v1.1)"));
    release::abandon(&scene.test.app, &scene.manager, &first).await.unwrap();
    let second = scene.plan(&[&scene.case], &[("main", "v3.0")]).await;
    // The draft was begun with the first plan: nothing of it is left.
    scene.mark("1.x", Standing::WontFix).await.unwrap();
    let text = published(&scene).await("text/markdown");
    assert!(text.contains("3.0 (tag v3.0)") && !text.contains("1.1") && !text.contains("2.0"), "{text}");
    let view = scene.show(&second).await;
    assert!(
        view.blockers.iter().any(|blocker| blocker.sentence.contains("last affected version of 1.x")),
        "{:?}",
        view.blockers
    );

    // A line without the flaw is not told of, and no scanner takes its commits for affected.
    scene.mark("1.x", Standing::NotAffected).await.unwrap();
    let shown = published(&scene).await;
    assert!(!shown("text/markdown").contains("1.x"));
    let git = crate::support::git::Git::anonymous();
    let parted = git.succeed(&scene.test.site.upstream(), &["rev-list", "--reverse", "1.x..main"]).await;
    let osv: serde_json::Value = serde_json::from_str(&shown("application/json")).unwrap();
    let events = &osv["affected"][0]["ranges"][0]["events"];
    assert_eq!(events[0]["introduced"], parted.lines().next().unwrap(), "{events}");
    scene.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_names_a_version_nobody_ships_blocks() {
    let scene = Scene::set().await;
    scene.push(&scene.case, "main", "sample.c").await;
    let id = scene.plan(&[&scene.case], &[("main", "v2.0")]).await;
    let write = async |line: &str, fixed: &str| {
        let draft = advisory::show(&scene.test.app, &scene.manager, &scene.case).await.unwrap();
        let mut text = draft.advisory;
        text.affected.truncate(1);
        text.affected[0].line = line.parse().unwrap();
        text.affected[0].fixed = Some(fixed.parse().unwrap());
        let edited = EditAdvisory { advisory: text, version: draft.version };
        advisory::edit(&scene.test.app, &scene.manager, &scene.case, &edited).await.unwrap();
        let view = scene.show(&id).await;
        view.blockers.into_iter().filter(|b| b.kind == "advisory").map(|b| b.sentence).collect::<Vec<_>>().join(" ")
    };
    assert!(write("main", "1.9").await.contains("main is fixed in 1.9, and the release ships v2.0"));
    assert!(!write("main", "2.0").await.contains("main is fixed"));
    assert!(write("1.x", "1.1").await.contains("which this release does not ship and nobody has tagged in public"));
    // What was tagged before is no promise.
    assert!(!write("1.x", "1.0").await.contains("nobody has tagged"));
    scene.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_fix_and_a_mark_that_there_is_none_exclude_each_other() {
    let scene = Scene::set().await;
    scene.mark("1.x", Standing::NotAffected).await.unwrap();
    scene.push(&scene.case, "1.x", "sample.c").await;
    let view = case::show(&scene.test.app, &scene.manager, &scene.case).await.unwrap();
    let fix = view.fixes.iter().find(|fix| fix.line == "1.x").unwrap();
    assert_eq!((fix.standing, fix.head.is_some()), (Some(Standing::Affected), true));
    let refused = scene.mark("1.x", Standing::NotAffected).await.unwrap_err();
    assert!(refused.contains("A fix is pushed to fix/1.x"), "{refused}");
    scene.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commit_that_brought_the_flaw_says_which_lines_have_it() {
    let scene = Scene::set().await;
    let (git, work) = (crate::support::git::Git::anonymous(), scene.test.site.work());
    let flaw = git.commit(&work, "flaw.c", "flaw\n").await;
    git.succeed(&work, &["push", "-q", "origin", "main"]).await;
    let caller = scene.test.sign_in("manager").await;
    let mirrored = async || {
        project::mirror_now(&scene.test.app, &scene.manager, &"sample".parse().unwrap()).await.unwrap();
        scene.test.settle().await;
    };
    let suggested = async || {
        let path = format!("/api/v1/cases/{}/mark?introduced={flaw}", scene.case);
        let answer = scene.test.ask(&caller, "GET", &path, &Sent::Nothing).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let views: Vec<SuggestionView> = serde_json::from_str(&answer.body).unwrap();
        views.into_iter().map(|view| (view.line.to_string(), view.suggested.unwrap(), view.why)).collect::<Vec<_>>()
    };
    mirrored().await;
    let found = suggested().await;
    assert_eq!((found[0].0.as_str(), found[0].1), ("main", Standing::Affected));
    assert_eq!((found[1].0.as_str(), found[1].1), ("1.x", Standing::NotAffected));
    // Picked onto the older line later, it is found there too.
    git.succeed(&work, &["checkout", "-q", "1.x"]).await;
    git.succeed(&work, &["cherry-pick", "-x", &flaw]).await;
    git.succeed(&work, &["push", "-q", "origin", "1.x"]).await;
    mirrored().await;
    let found = suggested().await;
    assert_eq!(found[1].1, Standing::Affected);
    assert!(found[1].2.contains("was picked from"), "{}", found[1].2);
    let nowhere = format!("/api/v1/cases/{}/mark?introduced={}", scene.case, "1".repeat(40));
    let answer = scene.test.ask(&caller, "GET", &nowhere, &Sent::Nothing).await;
    assert!(answer.status == 422 || answer.status == 400, "{}", answer.status);
    assert!(answer.body.contains("No public repository of this project knows this commit"), "{}", answer.body);
    scene.test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_case_leaves_the_train_and_the_others_travel_on_without_a_trace_of_it() {
    let scene = Scene::set().await;
    let second = scene.test.accepted_case(&scene.manager).await;
    scene.push(&scene.case, "main", "sample.c").await;
    scene.push(&second, "main", "other.c").await;
    let id = scene.plan(&[&scene.case, &second], &[("main", "v2.0")]).await;
    let both = scene.show(&id).await.targets[0].clone();
    plan::drop_case(&scene.test.app, &scene.manager, &id, &second).await.unwrap();
    scene.test.settle().await;
    let view = scene.show(&id).await;
    assert_eq!(view.cases, [scene.case.to_string()]);
    let alone = &view.targets[0];
    assert_ne!(alone.candidate, both.candidate);
    // What the release would push neither holds nor names the case that left.
    let repository = walk(&scene.test.site.config().data.join("repos/release"));
    let git = crate::support::git::Git::anonymous();
    let tag = git.succeed(&repository, &["cat-file", "-p", alone.tag_object.as_deref().unwrap()]).await;
    assert!(tag.contains("SAMPLE-1") && !tag.contains("SAMPLE-2"), "{tag}");
    let missing = git.run(&repository, &["cat-file", "-e", both.candidate.as_deref().unwrap()]).await;
    assert!(!missing.status.success(), "the old candidate is still there");
    git.succeed(&repository, &["fsck", "--strict"]).await;
    // It is as it was, and joins another train.
    let later = scene.plan(&[&second], &[("main", "v2.1")]).await;
    assert_eq!(scene.show(&later).await.cases, [second.to_string()]);
    assert!(plan::drop_case(&scene.test.app, &scene.manager, &id, &scene.case).await.is_err(), "the last one stays");
    scene.test.settle().await;
}

/// Finds the one repository below a folder.
fn walk(folder: &std::path::Path) -> std::path::PathBuf {
    let mut at = folder.to_owned();
    while !at.join("HEAD").exists() {
        at = std::fs::read_dir(&at).unwrap().next().unwrap().unwrap().path();
    }
    at
}
