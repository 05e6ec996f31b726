//! A public repository that misbehaves: the project page says so in a sentence, and nothing that was mirrored is lost.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use embargo::domain::access::Role;
use embargo::domain::actor::Actor;
use embargo::git::Repo;
use embargo::store;
use embargo::wire::project::RepositoryView;
use embargo::workflow::project;

use crate::support::elsewhere::Elsewhere;
use crate::support::git::Git;
use crate::support::server::TestApp;
use crate::support::site::Site;

/// Fetches now and returns what the project page says about the one repository.
async fn look(test: &TestApp, member: &Actor) -> RepositoryView {
    let id = "sample".parse().unwrap();
    project::mirror_now(&test.app, member, &id).await.unwrap();
    test.settle().await;
    project::show(&test.app, member, &id).await.unwrap().repositories.remove(0)
}

fn heads(view: &RepositoryView) -> Vec<Option<String>> {
    view.lines.iter().map(|line| line.head.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_gone_or_empty_is_told_and_loses_nothing() {
    let test = TestApp::start().await;
    let member = test.member("manager", Role::ReleaseManager).await;
    let fine = look(&test, &member).await;
    assert_eq!(fine.state, "ok");
    assert!(heads(&fine).iter().all(Option::is_some));
    let (there, away) = (test.site.upstream(), test.site.path().join("away.git"));

    std::fs::rename(&there, &away).unwrap();
    let gone = look(&test, &member).await;
    assert_eq!(gone.state, "moved");
    assert!(gone.note.contains("correct `url`") && gone.note.contains("stays"), "{}", gone.note);
    assert_eq!(heads(&gone), heads(&fine));

    Git::anonymous().succeed(test.site.path(), &["init", "-q", "--bare", "upstream.git"]).await;
    let empty = look(&test, &member).await;
    assert_eq!(empty.state, "empty");
    assert_eq!(heads(&empty), heads(&fine));

    std::fs::remove_dir_all(&there).unwrap();
    std::fs::write(&there, "not a repository").unwrap();
    let odd = look(&test, &member).await;
    assert!(["moved", "down"].contains(&odd.state.as_str()), "{} {}", odd.state, odd.note);
    assert_eq!(heads(&odd), heads(&fine));

    std::fs::remove_file(&there).unwrap();
    std::fs::rename(&away, &there).unwrap();
    let back = look(&test, &member).await;
    assert_eq!((back.state.as_str(), heads(&back)), ("ok", heads(&fine)));
    // A case whose remote is made now has the lines that were there all the time.
    let case = test.accepted_case(&member).await;
    let branches =
        test.git(&member).await.succeed(test.site.path(), &["ls-remote", "--heads", &test.remote(&case)]).await;
    assert!(branches.contains(fine.lines[0].head.as_ref().unwrap()), "{branches}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_the_upstream_does_not_have_is_told_in_a_sentence() {
    let mut site = Site::with_project().await;
    site.configure(|config| config.projects[0].repositories[0].lines.push("2.x".parse().unwrap()));
    let test = TestApp::on(site).await;
    let member = test.member("manager", Role::ReleaseManager).await;
    let view = look(&test, &member).await;
    assert_eq!(view.state, "ok");
    assert!(
        view.note.ends_with("It has no branch 2.x: correct `lines` in the configuration, or make the branch there."),
        "{}",
        view.note
    );
    let (git, work) = (Git::anonymous(), test.site.work());
    git.succeed(&work, &["push", "-q", "origin", "HEAD:refs/heads/2.x"]).await;
    let view = look(&test, &member).await;
    assert!(!view.note.contains("2.x") && view.lines[2].head.is_some(), "{}", view.note);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_of_another_user_is_told_as_what_it_is() {
    let test = TestApp::start().await;
    let member = test.member("manager", Role::ReleaseManager).await;
    let fine = look(&test, &member).await;
    let there = test.site.upstream();
    // Only root gives folders away. What anybody else meets is the same, but cannot be made here.
    if std::os::unix::fs::chown(&there, Some(65_534), None).is_err() {
        return;
    }
    let view = look(&test, &member).await;
    assert!(
        view.note.contains("belongs to another user of this machine") && view.note.contains("chown"),
        "{}",
        view.note
    );
    assert_eq!(heads(&view), heads(&fine));
    std::os::unix::fs::chown(&there, Some(0), None).unwrap();
    assert_eq!(look(&test, &member).await.state, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_does_not_answer_is_asked_again() {
    let mut site = Site::with_project().await;
    let there = site.upstream().display().to_string();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://127.0.0.1:{}/sample.git", free.local_addr().unwrap().port());
    drop(free);
    site.configure(|config| config.projects[0].repositories[0].url.clone_from(&nobody));
    let test = TestApp::on(site).await;
    let member = test.member("manager", Role::ReleaseManager).await;
    let down = look(&test, &member).await;
    assert_eq!(down.state, "down");
    assert!(down.note.contains("asked again in a minute"), "{}", down.note);
    assert!(!down.note.contains(&there));
    assert!(heads(&down).iter().all(Option::is_none));
    // The case is accepted meanwhile: its remote waits for the mirror, and says so.
    let (_, receipt) = test.report().await;
    let case = receipt.case.parse().unwrap();
    embargo::workflow::case::act(&test.app, &member, &case, embargo::workflow::case::Act::Accept).await.unwrap();
    test.settle().await;
    let view = embargo::workflow::case::show(&test.app, &member, &case).await.unwrap();
    assert!(view.remote_pending && view.remotes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_is_fetched_when_its_cron_expression_says() {
    let mut site = Site::with_project().await;
    site.configure(|config| config.projects[0].repositories[0].mirror = "* * * * * *".to_owned());
    let test = TestApp::on(site).await;
    test.settle().await;
    let member = test.member("manager", Role::ReleaseManager).await;
    let (git, work) = (Git::anonymous(), test.site.work());
    let head = git.commit(&work, "NEWS", "newer\n").await;
    git.succeed(&work, &["push", "-q", "origin", "HEAD:refs/heads/main"]).await;
    let mut alarms = embargo::worker::clock::start(&test.app).await.unwrap();
    while test.jobs_left().await == 0 {
        tokio::task::yield_now().await;
    }
    alarms.shutdown().await.unwrap();
    test.settle().await;
    let page = project::show(&test.app, &member, &"sample".parse().unwrap()).await.unwrap();
    assert_eq!(heads(&page.repositories[0])[0].as_ref(), Some(&head));
    assert!(page.repositories[0].checked_at.is_some());
    test.settle().await;
}

/// Attack: an address that was taken over sends the mirror to another server, into the private network, onto the disk.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_sends_us_elsewhere_is_told_and_not_followed() {
    let attacker = Elsewhere::listen("200 OK", "").await;
    let mut site = Site::with_project().await;
    let there = site.upstream().display().to_string();
    // A file that a mirror would take, were it followed from one scheme to another.
    let inward = attacker.url().replace("127.0.0.1", "127.0.0.2");
    let mut redirects = Vec::new();
    for (status, to) in [
        ("301 Moved Permanently", format!("{}/sample.git/info/refs?service=git-upload-pack", attacker.url())),
        ("302 Found", format!("{}/sample.git/info/refs?service=git-upload-pack", attacker.url())),
        ("303 See Other", format!("{}/", attacker.url())),
        ("307 Temporary Redirect", "//localhost/sample.git/info/refs".to_owned()),
        ("308 Permanent Redirect", format!("{inward}/sample.git/info/refs?service=git-upload-pack")),
        ("301 Moved Permanently", "http://169.254.169.254/latest/meta-data/".to_owned()),
        ("301 Moved Permanently", format!("file://{there}")),
        ("302 Found", "ssh://git@127.0.0.1/sample.git".to_owned()),
        ("301 Moved Permanently", "ext::sh -c 'touch /tmp/embargo-was-here'".to_owned()),
    ] {
        redirects.push((to.clone(), Elsewhere::listen(status, &to).await));
    }
    site.configure(|config| {
        let mut repositories = Vec::new();
        for (number, (_, redirect)) in redirects.iter().enumerate() {
            let mut repository = config.projects[0].repositories[0].clone();
            repository.name = format!("sample-{number}").parse().unwrap();
            repository.url = format!("{}/sample.git", redirect.url());
            repositories.push(repository);
        }
        config.projects[0].repositories = repositories;
    });
    let test = TestApp::on(site).await;
    test.settle().await;
    let member = test.member("manager", Role::ReleaseManager).await;
    let page = project::show(&test.app, &member, &"sample".parse().unwrap()).await.unwrap();
    assert_eq!(page.repositories.len(), redirects.len());
    for (view, (to, redirect)) in page.repositories.iter().zip(&redirects) {
        assert_eq!(view.state, "moved", "{to}: {}", view.note);
        assert!(view.note.contains("correct `url`") && !view.note.contains(to), "{to}: {}", view.note);
        assert!(heads(view).iter().all(Option::is_none), "{to}");
        assert!(redirect.visits() > 0, "{to}");
    }
    assert_eq!(attacker.visits(), 0, "nobody went where they were sent");
    assert!(!std::path::Path::new("/tmp/embargo-was-here").exists());
}

/// Attack: history rewritten upstream, so that what a fix was built on is gone for everybody else.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_was_rewritten_is_told_and_the_old_commits_stay() {
    let test = TestApp::start().await;
    let member = test.member("manager", Role::ReleaseManager).await;
    let before = look(&test, &member).await;
    let old = before.lines[0].head.clone().unwrap();
    let (git, work) = (Git::anonymous(), test.site.work());
    git.succeed(&work, &["commit", "-q", "--amend", "-m", "another past"]).await;
    git.succeed(&work, &["push", "-q", "--force", "origin", "HEAD:refs/heads/main"]).await;
    let after = look(&test, &member).await;
    assert_eq!(after.state, "rewritten");
    assert!(after.note.contains("rewrote refs/heads/main") || after.note.contains("rewrote main"), "{}", after.note);
    assert_ne!(after.lines[0].head.as_ref(), Some(&old));
    assert_eq!(after.lines[1].head, before.lines[1].head);
    let mut rows = test.app.read().await.unwrap();
    let upstream = store::project::upstreams(&mut rows, &"sample".parse().unwrap()).await.unwrap()[0].id;
    drop(rows);
    let mirror = test.app.git.path(&Repo::Mirror(upstream));
    assert_eq!(git.succeed(&mirror, &["cat-file", "-t", &old]).await, "commit");
    let kept = git.succeed(&mirror, &["for-each-ref", "--contains", &old, "--format=%(refname)"]).await;
    assert!(!kept.is_empty(), "a ref keeps it from being swept");
}
