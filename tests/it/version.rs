//! Version commands: run in the sandbox on what would ship, committed last, and approved by themselves.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use embargo::app::Checks;
use embargo::config::LineConfig;
use embargo::domain::repo::CommitId;
use embargo::workflow::candidate;

use crate::candidate::Scene;
use crate::support::site::Site;

/// A scene whose `main` has this version command; none where no sandbox works.
async fn scene(command: &str) -> Option<Scene> {
    let mut site = Site::with_project().await;
    site.configure(|config| {
        config.ci.enabled = true;
        config.ci.minutes = 1;
        config.projects[0].repositories[0].exceptions = vec![LineConfig {
            name: "main".parse().unwrap(),
            strategy: None,
            tags: None,
            changelog: None,
            version_command: Some(command.to_owned()),
            advances: Vec::new(),
            forward: Vec::new(),
            tag_on: None,
        }];
    });
    let scene = Scene::set(site, [("one.c", "one\n"), ("two.c", "two\n")]).await;
    matches!(scene.test.app.checks, Checks::Ready(_)).then_some(scene)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_version_command_changes_ships_once_somebody_approved_that_commit() {
    let Some(scene) = scene("echo \"$TAG\" > VERSION-$LINE").await else { return };
    let id = scene.plan(&scene.cases).await;
    scene.told().await;
    let kinds = async || {
        let blockers = scene.view(&id).await.blockers;
        blockers.into_iter().map(|blocker| blocker.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds().await, ["candidate_approval"], "{:?}", scene.view(&id).await.blockers);
    let target = scene.target(&id).await;
    assert_eq!(target.commits[0].message, "Version v2.0");
    let patch = target.version_patch.unwrap();
    assert!(patch.contains("+++ b/VERSION-main") && patch.contains("+v2.0"), "{patch}");
    let standing = target.standing.unwrap();
    assert!(standing.bumped && standing.may_approve && standing.pushed_by.is_none());

    let (line, first): (_, CommitId) = ("main".parse().unwrap(), target.candidate.unwrap().parse().unwrap());
    let approve = async |head: &CommitId| {
        candidate::approve(&scene.test.app, &scene.bob, &id, (None, &line), head)
            .await
            .map_err(|error| error.to_string())
    };
    assert!(approve(&scene.heads[0]).await.unwrap_err().contains("look at it again"));
    approve(&first).await.unwrap();
    assert_eq!(kinds().await, Vec::<String>::new());
    scene.move_line().await;
    assert_eq!(kinds().await, ["candidate_approval"], "another commit, another approval");
    assert!(approve(&first).await.unwrap_err().contains("look at it again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_command_that_fails_blocks_with_its_own_words() {
    let Some(scene) = scene("echo there is no version to set; exit 3").await else { return };
    let id = scene.plan(&scene.cases).await;
    let trouble = scene.target(&id).await.trouble.unwrap();
    assert!(trouble.contains("ended as failure") && trouble.contains("there is no version to set"), "{trouble}");
}
