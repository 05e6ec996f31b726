//! Tests of replaying and squashing, with the real git as the judge.

use super::super::combine::tests::{fix, stamp, topic};
use super::super::sample::Sample;
use super::*;
use crate::domain::recipe::Strategy;

struct Scene {
    sample: Sample,
    repo: Repo,
    tip: CommitId,
}

impl Scene {
    /// Takes over what was committed in the public repository by now; nothing of it is on `main` but what was before.
    async fn of(sample: Sample) -> Self {
        sample.update().await.unwrap();
        let (repo, tip) = (Repo::Mirror(sample.id), sample.head("main").await);
        Self { sample, repo, tip }
    }

    async fn put(&self, strategy: Strategy, topics: &[Topic]) -> Merged {
        self.sample.git.combine(&self.repo, &self.tip, topics, (strategy, &stamp())).await.unwrap()
    }

    async fn clean(&self, strategy: Strategy, topics: &[Topic]) -> (CommitId, CommitId) {
        match self.put(strategy, topics).await {
            Merged::Clean { commit, tree } => (commit, tree),
            other => panic!("{other:?}"),
        }
    }

    /// Asks git about what was made.
    async fn log(&self, format: &str, range: &str) -> String {
        let path = self.sample.git.path(&self.repo);
        let format = format!("--format={format}");
        self.sample.user_in(&path, ["--git-dir=.", "log", "--reverse", &format, range]).await
    }
}

/// Two commits by somebody else and at another time, on `1.x`.
async fn series(sample: &Sample) -> CommitId {
    sample.user(["checkout", "-q", "--detach", "1.x"]).await;
    let work = sample.work();
    let mut head = None;
    for (name, date) in [("one.c", "2025-12-01T08:00:00+05:30"), ("two.c", "2025-12-02T09:00:00-03:00")] {
        std::fs::write(work.join(name), name).unwrap();
        sample.user(["add", "-A"]).await;
        let author = format!("--author=Sample Author of {name} <author@example.org>");
        let date = format!("--date={date}");
        sample.user(["commit", "-q", &author, &date, "-m", &format!("add {name}\n\nWhy.")]).await;
        head = Some(sample.head("HEAD").await);
    }
    let head = head.unwrap();
    sample.user(["branch", "series", head.as_str()]).await;
    head
}

#[tokio::test]
async fn a_replay_keeps_authors_and_their_dates_and_gives_the_tree_of_git_rebase() {
    let sample = Sample::new().await;
    let head = series(&sample).await;
    let scene = Scene::of(sample).await;
    let fix = Topic { riders: vec!["Fixes: CVE-2030-0001".to_owned()], ..topic(&head) };
    let (commit, tree) = scene.clean(Strategy::Rebase, std::slice::from_ref(&fix)).await;
    assert_eq!(scene.clean(Strategy::Rebase, &[fix]).await, (commit.clone(), tree.clone()), "the same ids again");

    let range = format!("{}..{commit}", scene.tip);
    assert_eq!(
        scene.log("%an|%aI|%cn|%ct|%s|%(trailers:only,unfold)", &range).await,
        "Sample Author of one.c|2025-12-01T08:00:00+05:30|Sample Manager|1769947200|add one.c|Fixes: CVE-2030-0001\n\n\
         Sample Author of two.c|2025-12-02T09:00:00-03:00|Sample Manager|1769947200|add two.c|Fixes: CVE-2030-0001"
    );
    assert!(scene.sample.git.is_ancestor(&scene.repo, &scene.tip, &commit).await.unwrap());
    scene.sample.user(["checkout", "-q", "series"]).await;
    scene.sample.user(["rebase", "-q", "main"]).await;
    assert_eq!(scene.sample.head("HEAD^{tree}").await, tree);
    scene.sample.fsck(&scene.repo).await;
}

#[tokio::test]
async fn a_commit_that_stands_on_the_tip_already_stays_what_it_is() {
    let sample = Sample::new().await;
    let head = fix(&sample, "main", "lib.c", "fixed\n").await;
    let scene = Scene::of(sample).await;
    assert_eq!(scene.clean(Strategy::Rebase, &[topic(&head)]).await.0, head);
}

#[tokio::test]
async fn a_fix_on_top_of_another_is_replayed_once() {
    let sample = Sample::new().await;
    let one = fix(&sample, "1.x", "lib.c", "one fixed\ntwo\nthree\nfour\nfive\n").await;
    let two = fix(&sample, one.as_str(), "other.c", "new\n").await;
    let scene = Scene::of(sample).await;
    let (commit, _) = scene.clean(Strategy::Rebase, &[topic(&one), topic(&two)]).await;
    assert_eq!(scene.log("%s", &format!("{}..{commit}", scene.tip)).await, "change lib.c\nchange other.c");
}

#[tokio::test]
async fn a_conflict_names_the_commit_that_does_not_fit() {
    let sample = Sample::new().await;
    let good = fix(&sample, "1.x", "good.c", "new\n").await;
    let head = fix(&sample, good.as_str(), "NEWS", "not these\n").await;
    let scene = Scene::of(sample).await;
    let paths = vec!["NEWS".to_owned()];
    let replayed = scene.put(Strategy::Rebase, &[topic(&head)]).await;
    assert_eq!(replayed, Merged::Conflict { head: head.clone(), at: Some(head.clone()), paths: paths.clone() });
    let squashed = scene.put(Strategy::Squash, &[topic(&head)]).await;
    assert_eq!(squashed, Merged::Conflict { head, at: None, paths });
}

#[tokio::test]
async fn what_a_merge_in_the_fix_brought_is_never_lost_by_a_replay() {
    let sample = Sample::new().await;
    fix(&sample, "1.x", "fix.c", "new\n").await;
    sample.user(["merge", "-q", "--no-commit", "--no-ff", "main"]).await;
    let head = sample.write("hidden.c", "only in the merge\n").await;
    sample.user(["branch", "merged", head.as_str()]).await;
    let scene = Scene::of(sample).await;
    assert_eq!(scene.put(Strategy::Rebase, &[topic(&head)]).await, Merged::Differs { head: head.clone() });
    let (commit, _) = scene.clean(Strategy::Squash, &[topic(&head)]).await;
    let paths = scene.sample.git.changed_paths(&scene.repo, &scene.tip, &commit, 10).await.unwrap();
    assert_eq!(paths, ["fix.c", "hidden.c"]);
}

#[tokio::test]
async fn one_commit_bears_its_first_author_and_names_the_others() {
    let sample = Sample::new().await;
    let head = series(&sample).await;
    let scene = Scene::of(sample).await;
    let riders = vec!["Reported-by: Sample Reporter".to_owned()];
    let fix = Topic { riders, message: "Fix DEMO-1: sample".to_owned(), ..topic(&head) };
    let (commit, tree) = scene.clean(Strategy::Squash, &[fix]).await;
    assert_eq!(
        scene.log("%an|%aI|%ct|%P|%B", &format!("{}..{commit}", scene.tip)).await,
        format!(
            "Sample Author of one.c|2025-12-01T08:00:00+05:30|1769947200|{}|Fix DEMO-1: sample\n\n\
             Co-authored-by: Sample Author of two.c <author@example.org>\nReported-by: Sample Reporter",
            scene.tip
        )
    );
    scene.sample.user(["checkout", "-q", "main"]).await;
    scene.sample.user(["merge", "-q", "--squash", "series"]).await;
    scene.sample.user(["commit", "-q", "-m", "x"]).await;
    assert_eq!(scene.sample.head("HEAD^{tree}").await, tree);
    scene.sample.fsck(&scene.repo).await;
}

#[tokio::test]
async fn riders_join_the_trailers_of_a_message_as_git_reads_them() {
    let sample = Sample::new().await;
    fix(&sample, "1.x", "fix.c", "new\n").await;
    let message = "Fix it\n\nWhy: this looks like one and is none.\n\nSigned-off-by: Sample <sample@example.org>";
    sample.user(["commit", "-q", "--amend", "-m", message]).await;
    let head = sample.head("HEAD").await;
    sample.user(["branch", "signed", head.as_str()]).await;
    let scene = Scene::of(sample).await;
    let fix = Topic { riders: vec!["Reviewed-by: Sample Reviewer".to_owned()], ..topic(&head) };
    let (commit, _) = scene.clean(Strategy::Rebase, &[fix]).await;
    let trailers = scene.log("%(trailers:only)", &format!("{}..{commit}", scene.tip)).await;
    assert_eq!(trailers, "Signed-off-by: Sample <sample@example.org>\nReviewed-by: Sample Reviewer");
}
