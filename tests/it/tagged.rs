//! Tags on another branch than the line: what is checked where.

use embargo::config::LineConfig;
use embargo::workflow::check;

use crate::candidate::{Scene, checked, runs_here};
use crate::support::git::Git;

/// The branch of the tag holds what makes the checks green; the line does not, and becomes public, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_public_on_the_line_is_checked_beside_what_is_tagged() {
    let steps =
        "      - uses: actions/checkout@v4\n      - run: test -e stable.txt || ! test -e one.c || ! test -e two.c\n";
    let mut site = checked(steps).await;
    site.configure(|config| {
        config.projects[0].repositories[0].exceptions = vec![LineConfig {
            name: "main".parse().unwrap(),
            strategy: None,
            tags: None,
            changelog: None,
            version_command: None,
            advances: Vec::new(),
            forward: Vec::new(),
            tag_on: Some("stable".parse().unwrap()),
        }];
    });
    let (git, work) = (Git::anonymous(), site.work());
    git.succeed(&work, &["checkout", "-q", "-b", "stable"]).await;
    git.commit(&work, "stable.txt", "stable\n").await;
    git.succeed(&work, &["push", "-q", "origin", "stable"]).await;
    git.succeed(&work, &["checkout", "-q", "-"]).await;
    let scene = Scene::set(site, [("one.c", "one\n"), ("two.c", "two\n")]).await;
    let id = scene.plan(&scene.cases).await;
    scene.told().await;
    let target = scene.target(&id).await;
    let heads = [target.candidate.unwrap(), target.tagged.unwrap()];
    assert_ne!(heads[0], heads[1], "{:?}", target.trouble);
    let runs = check::list(&scene.test.app, &scene.alice, &id).await.unwrap();
    let state = |head: &String| runs.iter().find(|run| run.head == *head).map(|run| run.state.as_str());
    if runs_here(&scene) {
        assert_eq!(heads.each_ref().map(state), [Some("failure"), Some("success")]);
        let blockers = scene.view(&id).await.blockers;
        let said: Vec<_> = blockers.iter().filter(|blocker| blocker.kind == "candidate_checks").collect();
        assert_eq!(said.len(), 1, "{blockers:?}");
        assert!(said[0].sentence.starts_with("The line main itself at"), "{said:?}");
        // Both are run again.
        check::rerun_candidate(&scene.test.app, &scene.alice, &id, (None, &"main".parse().unwrap())).await.unwrap();
        scene.test.settle().await;
        assert_eq!(check::list(&scene.test.app, &scene.alice, &id).await.unwrap().len(), runs.len() + 2);
    } else {
        assert!(heads.iter().all(|head| state(head).is_some()));
    }
}
