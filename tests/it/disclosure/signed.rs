//! What the server's key signs besides tags: the commits it makes, and the hashes of what it publishes. Judged by git, ssh-keygen and
//! sha256sum.

use embargo::workflow::signers;

use super::{House, INSTANT, PLANNED, SINGLE, at, go_to};
use crate::support::git::Git;
use crate::support::program;

#[tokio::test]
async fn commits_the_server_makes_are_signed_where_the_project_wants_it() {
    for strategy in ["merge", "rebase", "squash"] {
        let house = House::new(&SINGLE, None).await;
        house.decide("commits = \"signed\"");
        let more = format!(
            "strategy = \"{strategy}\"\n[[project.repository.line]]\nname = \"main\"\nchangelog = \"changes/{{tag}}.md\"\n"
        );
        house.configure(&more);
        let app = house.open(PLANNED).await;
        let before = house.public().await;
        let armed = house.arm(&app).await;
        go_to(&app, at(INSTANT)).await;
        house.is_public(&app, &armed).await;
        let (git, upstream) = (Git::anonymous(), house.upstream("core"));
        let signers = house.root().join("signers");
        std::fs::write(&signers, signers::allowed(&app).await.unwrap()).unwrap();
        let allowed = format!("gpg.ssh.allowedSignersFile={}", signers.display());
        let tip = &before["core refs/heads/main"];
        let range = ["log", "--format=%H %cn", "refs/heads/main", &format!("^{tip}")];
        let made = git.succeed(&upstream, &range).await;
        let ours: Vec<_> = made.lines().filter_map(|line| line.strip_suffix(" Security Release")).collect();
        // The notes, and the merge or the commit made anew; a fix that stands on the line already stays what it is.
        assert!(!ours.is_empty(), "{strategy}: {made}");
        for commit in &ours {
            git.succeed(&upstream, &["-c", &allowed, "verify-commit", commit]).await;
        }
        git.succeed(&upstream, &["fsck", "--strict"]).await;
    }
}

#[tokio::test]
async fn what_is_published_is_signed_and_its_readers_can_check_it() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &armed).await;
    let folder = house.root().join("reader");
    for place in ["advisories", "osv"] {
        std::fs::create_dir_all(folder.join(place)).unwrap();
    }
    let id = embargo::workflow::publication::published(&app).await.unwrap().remove(0).id;
    let sums = format!("advisories/{id}.sha256");
    for path in [&format!("advisories/{id}.md"), &format!("osv/x_{id}.json"), &sums, &format!("{sums}.sig")] {
        let file = embargo::workflow::publication::file(&app, &path.parse().unwrap()).await.unwrap();
        std::fs::write(folder.join(path), file.body).unwrap();
    }
    let signers = signers::allowed(&app).await.unwrap();
    std::fs::write(folder.join("signers"), &signers).unwrap();
    let host = signers.split(' ').next().unwrap().to_owned();
    let verify = async |text: &std::path::Path| {
        let mut command = program::other("ssh-keygen");
        command.args(["-Y", "verify", "-f", "signers", "-I", &host, "-n", "file", "-s", &format!("{sums}.sig")]);
        command.current_dir(&folder).stdin(std::fs::File::open(text).unwrap());
        command.output().await.unwrap()
    };
    let good = verify(&folder.join(&sums)).await;
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    let check = program::other("sha256sum").args(["--check", "--strict", &sums]).current_dir(&folder).output().await;
    assert!(check.unwrap().status.success());
    let forged = folder.join("forged");
    std::fs::write(&forged, std::fs::read_to_string(folder.join(&sums)).unwrap().replace('a', "b")).unwrap();
    assert!(!verify(&forged).await.status.success());

    // The server gets another key; what the first one signed is still this server's, as of its date.
    drop(app);
    let key = house.root().join("keys/tag-signing");
    std::fs::remove_file(&key).unwrap();
    let made = ["-q", "-t", "ed25519", "-N", "", "-C", "another", "-f"];
    assert!(program::other("ssh-keygen").args(made).arg(&key).status().await.unwrap().success());
    for (now, lines) in [("2027-01-16T08:00:00Z", 2), ("2027-02-01T08:00:00Z", 2)] {
        let app = house.open(now).await;
        let listed = signers::allowed(&app).await.unwrap();
        assert_eq!(listed.lines().count(), lines);
        assert!(listed.contains("valid-before=\"20270116080001Z\""), "{listed}");
        assert_eq!(listed.lines().last().unwrap().split(' ').nth(3), signers.trim_end().split(' ').nth(3), "{listed}");
        std::fs::write(folder.join("signers"), &listed).unwrap();
    }
    let as_of = async |date: &str| {
        let mut command = program::other("ssh-keygen");
        command.args(["-Y", "verify", "-f", "signers", "-I", &host, "-n", "file", "-s", &format!("{sums}.sig")]);
        command.args(["-O", &format!("verify-time={date}")]);
        command.current_dir(&folder).stdin(std::fs::File::open(folder.join(&sums)).unwrap());
        command.output().await.unwrap().status.success()
    };
    assert!(as_of("20270115120000Z").await, "as of the date it bears");
    assert!(!as_of("20270117000000Z").await, "a key that was taken out of use signs nothing new");
    let allowed = format!("gpg.ssh.allowedSignersFile={}", folder.join("signers").display());
    Git::anonymous().succeed(&house.upstream("core"), &["-c", &allowed, "verify-tag", "v2.0.1"]).await;
}
