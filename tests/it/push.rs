//! A push, from the real git through the doors and the hook to the new head of a fix.

use embargo::domain::access::Role;

use crate::support::git::Git;
use crate::support::server::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_clones_and_pushes_a_fix_and_nobody_else_sees_the_remote() {
    let test = TestApp::start().await;
    let fixer = test.member("fixer", Role::ReleaseManager).await;
    let case = test.accepted_case(&fixer).await;
    let git = test.git(&fixer).await;
    let remote = test.remote(&case);

    let clone = test.site.path().join("clone");
    git.succeed(test.site.path(), &["clone", "-q", &remote, "clone"]).await;
    let branches = git.succeed(&clone, &["ls-remote", "--heads", "origin"]).await;
    assert!(branches.contains("refs/heads/main") && branches.contains("refs/heads/1.x"), "{branches}");

    git.succeed(&clone, &["checkout", "-q", "-b", "fix/main", "origin/main"]).await;
    let head = git.commit(&clone, "sample.c", "one\n2\nthree\nfour\nfive\n").await;
    git.succeed(&clone, &["push", "-q", "origin", "fix/main"]).await;
    test.settle().await;
    let seen = git.succeed(&clone, &["ls-remote", "origin", "refs/heads/fix/main"]).await;
    assert!(seen.starts_with(&head), "{seen}");

    let refused = git.fail(&clone, &["push", "origin", "HEAD:refs/heads/main"]).await;
    assert!(refused.contains("main"), "{refused}");

    let outsider = test.member("outsider", Role::Auditor).await;
    let other = test.git(&outsider).await;
    let hidden = other.fail(test.site.path(), &["ls-remote", &remote]).await;
    let missing = other.fail(test.site.path(), &["ls-remote", &remote.replace("SAMPLE-1", "SAMPLE-9")]).await;
    assert_eq!(hidden.replace("SAMPLE-1", "SAMPLE-9"), missing);
    let nobody = Git::anonymous().fail(test.site.path(), &["ls-remote", &remote]).await;
    assert!(nobody.contains("Authentication failed") || nobody.contains("could not read Username"), "{nobody}");
    test.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "jobs were left behind")]
async fn a_test_that_leaves_jobs_behind_fails() {
    let test = TestApp::start().await;
    test.member("triager", Role::Triager).await;
    test.report().await;
    assert!(test.jobs_left().await > 0);
}
