//! Copies of text and patches: opened by the real age, fetched by the real git, and traced when they leak.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use embargo::app::App;
use embargo::domain::canary::{Evidence, Known, traced};
use embargo::domain::sealed::Secret;
use embargo::workflow;
use embargo::workflow::wave::copy;
use tokio::io::AsyncReadExt as _;

use super::{Scene, before_due, go_to, set};
use crate::support::git::Git;

/// Fetches the copy behind a link.
pub(super) async fn fetched(app: &App, code: &Secret) -> workflow::Result<Vec<u8>> {
    let mut handed = copy::fetch(app, code).await?;
    let mut bytes = Vec::new();
    handed.file.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes.len() as u64, handed.size);
    Ok(bytes)
}

impl Scene {
    /// Opens a member's copy with their key, and unpacks it into a new folder.
    async fn unpacked(&self, app: &App, member: &str) -> PathBuf {
        let file = self.house.root().join(format!("{member}.tar.age"));
        std::fs::write(&file, fetched(app, &self.code(member)).await.unwrap()).unwrap();
        let (plain, folder) = (file.with_extension(""), self.house.root().join(format!("copy-{member}")));
        let opened =
            Command::new("age").arg("-d").arg("-i").arg(self.key(member)).arg("-o").arg(&plain).arg(&file).status();
        assert!(opened.unwrap().success());
        std::fs::create_dir(&folder).unwrap();
        let unpacked = Command::new("tar").arg("-xf").arg(&plain).arg("-C").arg(&folder).status().unwrap();
        assert!(unpacked.success());
        folder
    }
}

#[tokio::test]
async fn a_copy_opens_with_one_key_applies_to_the_public_repository_and_says_whose_it_is() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "distros", "patches", "7d").await.unwrap();
    go_to(&app, before_due(6 * 24)).await;
    let (one, two) = (scene.unpacked(&app, "one").await, scene.unpacked(&app, "two").await);
    let foreign = Command::new("age")
        .arg("-d")
        .arg("-i")
        .arg(scene.key("two"))
        .arg(scene.house.root().join("one.tar.age"))
        .output();
    assert!(!foreign.unwrap().status.success(), "one's copy is for one alone");

    let git = Git::anonymous();
    let clone = scene.house.root().join("clone");
    let upstream = scene.house.upstream("core");
    git.succeed(scene.house.root(), &["clone", "-q", upstream.to_str().unwrap(), "clone"]).await;
    for ((line, expected), number) in ["main", "1.x"].iter().zip(&frozen.candidates).zip(0..) {
        let bundle = one.join(format!("core/{line}.bundle"));
        git.succeed(&clone, &["fetch", "-q", bundle.to_str().unwrap(), &format!("{line}:copied-{number}")]).await;
        let tree = git.succeed(&clone, &["rev-parse", &format!("copied-{number}^{{tree}}")]).await;
        let release = app.git.path(&embargo::git::Repo::Release(frozen.release.clone(), upstream_id(&app).await));
        let frozen_tree = git.succeed(&release, &["rev-parse", &format!("{}^{{tree}}", expected.0)]).await;
        assert_eq!(tree, frozen_tree, "{line}: what they build is what will be public");
        let commit = git.succeed(&clone, &["rev-parse", &format!("copied-{number}")]).await;
        assert_ne!(commit.trim(), expected.0.as_str(), "under an id of its own");
    }
    git.succeed(&clone, &["checkout", "-q", "main"]).await;
    git.succeed(&clone, &["am", "-q", "-3", one.join("core/main.mbox").to_str().unwrap()]).await;
    assert_eq!(std::fs::read_to_string(clone.join("code.txt")).unwrap(), "mended\n");

    // Whatever leaks of it is one's, and not two's.
    let known = copy::canaries(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    let suspects = |bytes: &[u8]| -> Vec<(String, Evidence)> {
        let each = known.iter();
        let found = each.filter_map(|copy| {
            let evidence = traced(bytes, &Known { mark: &copy.mark, commits: &copy.commits })?;
            Some((copy.name.clone(), evidence))
        });
        found.collect()
    };
    let mut names = BTreeSet::new();
    for (folder, whose) in [(&one, "Sample one"), (&two, "Sample two")] {
        let advisories: Vec<_> =
            std::fs::read_dir(folder.join("advisories")).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(advisories.len(), 1);
        let texts = ["README.txt", "core/main.bundle", "core/main.mbox", "core/1.x.mbox"].map(|name| folder.join(name));
        for file in texts.iter().chain(&advisories) {
            let bytes = std::fs::read(file).unwrap();
            let found = suspects(&bytes);
            assert_eq!(found.len(), 1, "{}: {found:?}", file.display());
            assert_eq!(found[0].0, whose, "{}", file.display());
            names.insert(whose);
        }
        // One patch without its mark still names a commit; a note without its mark still has its blanks.
        let mails = std::fs::read_to_string(folder.join("core/main.mbox")).unwrap();
        let mark = &known.iter().find(|copy| copy.name == whose).unwrap().mark;
        let found = suspects(mails.replace(mark.as_str(), "2.39.5").as_bytes());
        assert!(matches!(found.as_slice(), [(name, Evidence::Commit(_))] if name == whose), "{found:?}");
        let whole =
            [folder.join("README.txt"), advisories[0].clone()].map(|file| std::fs::read_to_string(file).unwrap());
        let kept: Vec<_> =
            whole.iter().flat_map(|text| text.lines()).filter(|line| !line.contains(mark.as_str())).collect();
        let found = suspects(kept.join("\n").as_bytes());
        assert!(matches!(found.as_slice(), [(name, Evidence::Blanks(_))] if name == whose), "{found:?}");
    }
    assert_eq!(names.len(), 2);
    assert!(suspects(b"diff --git a/code.txt b/code.txt\n").is_empty());
    let left: Vec<_> = std::fs::read_dir(scene.house.root().join("data/attachments")).unwrap().collect();
    assert!(left.is_empty(), "nothing of a copy stays: {left:?}");
}

async fn upstream_id(app: &App) -> embargo::domain::id::UpstreamId {
    let mut rows = app.read().await.unwrap();
    embargo::store::project::upstreams(&mut rows, &"demo".parse().unwrap()).await.unwrap()[0].id
}

/// Attack, or an accident: a key that was taken away, and a member who was, between the telling and the fetching.
#[tokio::test]
async fn who_is_taken_out_of_an_audience_gets_nothing_more() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "distros", "patches", "7d").await.unwrap();
    go_to(&app, before_due(6 * 24)).await;
    let (one, two) = (scene.code("one"), scene.code("two"));
    assert!(fetched(&app, &one).await.is_ok());
    let now = app.clock.now();
    drop(app);
    let config = std::fs::read_to_string(scene.house.config()).unwrap();
    let gone = config.replace("one@example.org", "elsewhere@example.org");
    std::fs::write(scene.house.config(), gone).unwrap();
    let app = scene.house.open(&now.to_string()).await;
    assert!(super::opens_nothing(&app, &one).await);
    assert!(matches!(fetched(&app, &one).await, Err(workflow::Error::NotFound)));
    assert!(fetched(&app, &two).await.is_ok());
}

/// Attack: asking for copies without end.
#[tokio::test]
async fn a_link_is_no_way_to_keep_the_server_busy() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "distros", "text", "7d").await.unwrap();
    go_to(&app, before_due(6 * 24)).await;
    let one = scene.code("one");
    for _ in 0..12 {
        fetched(&app, &one).await.unwrap();
    }
    let refused = fetched(&app, &one).await.unwrap_err().to_string();
    assert!(refused.contains("try again in"), "{refused}");
    assert!(fetched(&app, &scene.code("two")).await.is_ok(), "nobody else waits for it");
}
