//! A push, from the real git through the doors and the hook to the new head of a fix.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use embargo::domain::access::{Consent, Role};
use embargo::domain::actor::{Actor, Scope};
use embargo::domain::fix::FixKind;
use embargo::domain::id::CaseId;
use embargo::domain::repo::CommitId;
use embargo::workflow::{case, fix};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::cable::Cable;
use crate::support::client::Sent;
use crate::support::git::Git;
use crate::support::server::{TestApp, signed_in};
use crate::support::site::Site;

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
async fn a_button_to_approve_is_shown_to_whom_the_server_would_let_approve() {
    let test = TestApp::start().await;
    let (first, first_caller) = test.at_the_door("first", Role::ReleaseManager).await;
    let (second, second_caller) = test.at_the_door("second", Role::Reviewer).await;
    let (_, third_caller) = test.at_the_door("third", Role::Reviewer).await;
    let (_, fixer_caller) = test.at_the_door("fixer", Role::Fixer).await;
    let case = test.accepted_case(&first).await;
    let clone = test.site.path().join("clone");
    let mut head = String::new();
    // The second pushes on top of the first: both had a hand in it.
    for pusher in [&first, &second] {
        let git = test.git(pusher).await;
        if head.is_empty() {
            git.succeed(test.site.path(), &["clone", "-q", &test.remote(&case), "clone"]).await;
        }
        head = git.commit(&clone, "sample.c", &format!("mended after {head}\n")).await;
        git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
        test.settle().await;
    }
    let (page, button) = (format!("/cases/{case}"), format!("action=\"/cases/{case}/approve\""));
    let form = Sent::Form(format!("repository=sample&line=main&commit={head}"));
    let each = [("first", first_caller, 403), ("second", second_caller, 403), ("fixer", fixer_caller, 403)];
    for (who, caller, status) in each.into_iter().chain([("third", third_caller.clone(), 303)]) {
        let shown = test.ask(&caller, "GET", &page, &Sent::Nothing).await.body.contains(&button);
        assert_eq!(shown, status == 303, "{who}");
        assert_eq!(test.ask(&caller, "POST", &format!("{page}/approve"), &form).await.status, status, "{who}");
    }
    let again = test.ask(&third_caller, "GET", &page, &Sent::Nothing).await;
    assert!(!again.body.contains(&button), "who has approved is not asked again");
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

/// A fixer with a clone of a case.
struct Bench {
    test: TestApp,
    git: Git,
    clone: std::path::PathBuf,
    case: CaseId,
    fixer: Actor,
    manager: Actor,
}

impl Bench {
    async fn lay(site: Site) -> Self {
        let test = TestApp::on(site).await;
        test.settle().await;
        let (fixer, manager) =
            (test.member("fixer", Role::Fixer).await, test.member("manager", Role::ReleaseManager).await);
        let case = test.accepted_case(&fixer).await;
        let git = test.git(&fixer).await;
        git.succeed(test.site.path(), &["clone", "-q", &test.remote(&case), "clone"]).await;
        let clone = test.site.path().join("clone");
        Self { test, git, clone, case, fixer, manager }
    }

    async fn refs(&self) -> String {
        self.git.succeed(&self.clone, &["ls-remote", "origin"]).await
    }

    async fn refused(&self, refspec: &str) -> String {
        let before = self.refs().await;
        let said = self.git.fail(&self.clone, &["push", "-q", "origin", refspec]).await;
        assert_eq!(self.refs().await, before, "{refspec}");
        said
    }

    /// Counts objects that wait in quarantine, and packs that were begun.
    fn left_over(&self) -> usize {
        let mut folders = vec![self.test.site.config().data.join("repos/case")];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let name = entry.file_name();
                count += usize::from(name.to_string_lossy().contains("tmp_"));
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        count
    }
}

/// Attack: writing where a push has no business: public lines, tags, refs that git reads by itself, fixes of no line.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_any_other_ref_is_refused_with_a_sentence() {
    let bench = Bench::lay(Site::with_project().await).await;
    bench.git.commit(&bench.clone, "sample.c", "mended\n").await;
    bench.git.succeed(&bench.clone, &["tag", "-a", "-m", "mine", "mine"]).await;
    for (refspec, sentence) in [
        ("HEAD:refs/heads/main", "main is a public line"),
        ("+HEAD:refs/heads/1.x", "1.x is a public line"),
        (":refs/heads/main", "main is a public line"),
        ("HEAD:refs/heads/other", "other cannot be pushed"),
        ("HEAD:refs/heads/fix/none", "No line is named none"),
        ("HEAD:refs/tags/v9", "Tags are made by the release"),
        ("mine:refs/heads/wip/mine", "must be a commit"),
        ("HEAD:refs/notes/commits", "cannot be"),
        ("HEAD:refs/keep/1", "cannot be"),
        ("HEAD:refs/replace/0000000000000000000000000000000000000001", "cannot be"),
        ("HEAD:refs/heads/refs/heads/main", "cannot be"),
    ] {
        let said = bench.refused(refspec).await;
        // What git itself refuses does not reach the sentence.
        assert!(said.contains(sentence) || said.contains("remote rejected"), "{refspec}: {said}");
    }
    bench.git.succeed(&bench.clone, &["push", "-q", "origin", "HEAD:refs/heads/wip/mine"]).await;
    // One bad ref takes the good ones with it.
    let both = ["push", "-q", "origin", "HEAD:refs/heads/wip/2", "HEAD:refs/heads/main"];
    bench.git.fail(&bench.clone, &both).await;
    assert!(!bench.refs().await.contains("wip/2"));
    bench.test.settle().await;
}

/// Attack: getting a fix approved and swapping it afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_approved_fix_is_neither_rewritten_nor_removed() {
    let bench = Bench::lay(Site::with_project().await).await;
    let reviewer = bench.test.person("reviewer").await;
    let handle = "reviewer".parse().unwrap();
    case::invite(&bench.test.app, &bench.manager, &bench.case, &handle, Role::Reviewer).await.unwrap();
    let reviewer = signed_in(reviewer);
    // An invitation opens nothing before it is joined.
    case::join(&bench.test.app, &reviewer, &bench.case, Consent::Signatory).await.unwrap();

    let head = bench.git.commit(&bench.clone, "sample.c", "mended\n").await;
    bench.git.succeed(&bench.clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    let (head, line): (CommitId, _) = (head.parse().unwrap(), "main".parse().unwrap());
    fix::approve(&bench.test.app, &reviewer, &bench.case, (None, &line, FixKind::Fix), &head).await.unwrap();
    bench.git.succeed(&bench.clone, &["commit", "-q", "--amend", "-m", "something else"]).await;
    for refspec in ["HEAD:refs/heads/fix/main", "+HEAD:refs/heads/fix/main"] {
        bench.refused(refspec).await;
    }
    assert!(bench.refused("+HEAD:refs/heads/fix/main").await.contains("is approved and may only grow"));
    assert!(bench.refused(":refs/heads/fix/main").await.contains("is approved and stays"));
    bench.git.succeed(&bench.clone, &["reset", "-q", "--hard", head.as_str()]).await;
    bench.git.commit(&bench.clone, "sample.c", "mended more\n").await;
    bench.git.succeed(&bench.clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    let view = case::show(&bench.test.app, &reviewer, &bench.case).await.unwrap();
    assert!(!view.fixes[0].approved, "what grew is looked at again");
    bench.test.settle().await;
}

/// Attack: filling the disk by a push.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_over_the_limit_is_refused_and_leaves_nothing() {
    let mut site = Site::with_project().await;
    site.configure(|config| config.git.max_push_bytes = 64 * 1024);
    let bench = Bench::lay(site).await;
    let noise: Vec<u8> = (0..8).flat_map(|_| embargo::crypto::token::random::<{ 64 * 1024 }>()).collect();
    std::fs::write(bench.clone.join("noise.bin"), noise).unwrap();
    bench.git.commit(&bench.clone, "sample.c", "mended\n").await;
    let before = bench.refs().await;
    let said = bench.git.fail(&bench.clone, &["push", "origin", "HEAD:refs/heads/wip/noise"]).await;
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(bench.refs().await, before);
    bench.test.app.git.finish().await;
    assert_eq!(bench.left_over(), 0);
    bench.git.succeed(&bench.clone, &["reset", "-q", "--hard", "origin/main"]).await;
    bench.git.commit(&bench.clone, "sample.c", "mended\n").await;
    bench.git.succeed(&bench.clone, &["push", "-q", "origin", "HEAD:refs/heads/wip/small"]).await;
    bench.test.settle().await;
}

/// The connection of a real git breaks half way through its pack: nothing moves, nothing is left, and the next push works.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_real_git_that_is_cut_off_half_way_changes_nothing() {
    let bench = Bench::lay(Site::with_project().await).await;
    let noise: Vec<u8> = (0..32).flat_map(|_| embargo::crypto::token::random::<{ 64 * 1024 }>()).collect();
    std::fs::write(bench.clone.join("noise.bin"), noise).unwrap();
    let head = bench.git.commit(&bench.clone, "sample.c", "mended\n").await;
    let before = bench.refs().await;
    for most in [2_000, 200_000, 1_500_000] {
        let cable = Cable::to(bench.test.app.config.listen, most).await;
        let through = format!("{}/{}/sample", cable.url(), bench.case);
        let said = bench.git.fail(&bench.clone, &["push", "-q", &through, "HEAD:refs/heads/fix/main"]).await;
        assert!(cable.is_cut(), "after {most} bytes: {said}");
        bench.test.app.git.finish().await;
        assert_eq!(bench.refs().await, before, "after {most} bytes");
        assert_eq!(bench.left_over(), 0, "after {most} bytes");
    }
    bench.git.succeed(&bench.clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    assert!(bench.refs().await.contains(&head));
    bench.test.settle().await;
}

/// A client that goes away in the middle of its pack moves nothing and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_cut_off_half_way_changes_nothing() {
    let bench = Bench::lay(Site::with_project().await).await;
    let head = bench.git.commit(&bench.clone, "sample.c", "mended\n").await;
    let before = bench.refs().await;
    let packed = bench.git.succeed(&bench.clone, &["pack-objects", "--all", "-q", "pack"]).await;
    let pack = std::fs::read(bench.clone.join(format!("pack-{packed}.pack"))).unwrap();
    let zero = "0".repeat(40);
    let line = format!("{zero} {head} refs/heads/fix/main\0 report-status atomic\n");
    let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    let whole = body.len() + pack.len();
    body.extend_from_slice(&pack[..pack.len() / 2]);

    let address = bench.test.app.config.listen;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let token = bench.test.token(&bench.fixer, &[Scope::GitWrite], None).await;
    let head = format!(
        "POST /{}/sample/git-receive-pack HTTP/1.1\r\nHost: {address}\r\nContent-Length: {whole}\r\n\
         Content-Type: application/x-git-receive-pack-request\r\nAuthorization: Bearer {}\r\n\r\n",
        bench.case,
        token.secret(),
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // However it ends for the client, what counts is what the server keeps.
    let _ = stream.read_to_end(&mut answer).await;
    bench.test.app.git.finish().await;
    assert!(!String::from_utf8_lossy(&answer).contains("unpack ok"));
    assert_eq!(bench.refs().await, before);
    assert_eq!(bench.left_over(), 0);
    bench.git.succeed(&bench.clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    bench.test.settle().await;
}

/// Attack: what an attentive reader of commits would search for, in every part of a push that becomes public.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_tells_too_much_is_refused_with_the_line_to_mend() {
    let mut site = Site::with_project().await;
    site.configure(|config| {
        let lint = &mut config.projects[0].lint;
        lint.words = vec!["overflow".to_owned()];
        lint.allowed = vec!["CVE-2019-0001".to_owned()];
    });
    let test = TestApp::on(site).await;
    let fixer = test.member("fixer", Role::ReleaseManager).await;
    let case = test.accepted_case(&fixer).await;
    let git = test.git(&fixer).await;
    let clone = test.site.path().join("clone");
    git.succeed(test.site.path(), &["clone", "-q", &test.remote(&case), "clone"]).await;
    git.commit(&clone, "sample.c", "one\n2\nthree\nfour\nfive\n").await;
    let good = git.commit(&clone, "old.txt", "CVE-2019-0001 stays mended\n").await;
    git.succeed(&clone, &["push", "-q", "origin", "HEAD:refs/heads/fix/main"]).await;
    test.settle().await;
    let told = async |args: &[&str]| {
        let ended = git.run(&clone, args).await;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{said}");
        said
    };
    let host = test.app.config.base_url.as_str().split("://").nth(1).unwrap().to_owned();
    let refused = [
        ("sample.c", format!("see {case}\n"), format!("sample.c line 1: \"{case}\"")),
        ("notes.txt", format!("\n\nhttp://{host}/cases/1\n"), format!("notes.txt line 3: \"{host}\"")),
        ("CVE-2030-12345.txt", "x\n".to_owned(), "the path CVE-2030-12345.txt".to_owned()),
    ];
    for (file, text, sentence) in refused {
        git.succeed(&clone, &["reset", "-q", "--hard", &good]).await;
        git.commit(&clone, file, &text).await;
        let said = git.fail(&clone, &["push", "origin", "HEAD:refs/heads/fix/main"]).await;
        assert!(said.contains(&sentence), "{sentence}: {said}");
        let trial = told(&["push", "--force", "origin", "HEAD:refs/heads/wip/trial"]).await;
        assert!(trial.contains("Please mend this before it is public") && trial.contains(&sentence), "{trial}");
    }
    git.succeed(&clone, &["reset", "-q", "--hard", &good]).await;
    git.succeed(&clone, &["commit", "-q", "--allow-empty", "-m", "Stop overflows\n\nSee #12 and GHSA-2345-cfgh-jmpq"])
        .await;
    let said = git.fail(&clone, &["push", "origin", "HEAD:refs/heads/fix/main"]).await;
    assert!(said.contains("line 3 of its message: \"GHSA-2345-cfgh-jmpq\""), "{said}");
    git.succeed(&clone, &["commit", "-q", "--amend", "--allow-empty", "-m", "Stop overflows\n\nSee #12"]).await;
    let said = told(&["push", "origin", "HEAD:refs/heads/fix/main"]).await;
    assert!(said.contains("\"overflows\"") && said.contains("\"#12\""), "{said}");
    test.settle().await;
}
