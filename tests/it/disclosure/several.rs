//! Several repositories in one release: a fixed order, no way back from the first push on, and an advisory only when
//! everything it tells of is public.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use embargo::app::{App, CrashPoint};
use embargo::git::Repo;
use embargo::wire::release::ReleaseView;
use embargo::workflow::{publication, release};
use embargo::{store, worker};
use jiff::SignedDuration;

use super::{CALL, DOUBLE, House, INSTANT, PLANNED, PUBLIC, at, go_to, house};
use crate::support::git::Git;
use crate::support::house::Frozen;
use crate::support::mail::MailServer;
use crate::support::program;

/// A release of two repositories, armed.
struct Armed {
    mail: MailServer,
    house: House,
    app: Arc<App>,
    frozen: Frozen,
}

impl Armed {
    async fn stand() -> Self {
        let mail = MailServer::start().await;
        let house = House::new(&DOUBLE, Some(&mail)).await;
        let app = house.open(PLANNED).await;
        let frozen = house.arm(&app).await;
        mail.clear();
        Self { mail, house, app, frozen }
    }

    /// Installs a hook of the second public repository that refuses the push after the first one went through.
    fn refuse_second(&self) -> std::path::PathBuf {
        let hook = self.house.upstream("extra").join("hooks/pre-receive");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, "#!/bin/sh\necho a rule of the forge >&2\nexit 1\n").unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        hook
    }

    /// Merges what was frozen onto the second repository's line as it is now, and puts its tag up as it was signed.
    async fn push_second_by_hand(&self) {
        let mut rows = self.app.read().await.unwrap();
        let upstreams = store::project::upstreams(&mut rows, &"demo".parse().unwrap()).await.unwrap();
        let extra = upstreams.iter().find(|upstream| upstream.name.as_str() == "extra").unwrap().id;
        drop(rows);
        let built = self.app.git.path(&Repo::Release(self.frozen.release.clone(), extra));
        let (git, work, public) = (Git::anonymous(), self.house.work("extra"), self.house.upstream("extra"));
        let (commit, tag) = &self.frozen.candidates[2];
        let kept = [format!("refs/keep/{commit}"), format!("refs/keep/{tag}:refs/tags/v0.3.1")];
        git.succeed(&work, &["fetch", "-q", built.to_str().unwrap(), &kept[0], &kept[1]]).await;
        git.succeed(&work, &["checkout", "-q", "main"]).await;
        git.succeed(&work, &["merge", "-q", "-m", "by hand", commit.as_str()]).await;
        git.succeed(&work, &["push", "-q", public.to_str().unwrap(), "main", "refs/tags/v0.3.1"]).await;
    }

    async fn view(&self) -> ReleaseView {
        self.frozen.view(&self.app).await
    }

    /// Checks that what the first repository fixes is public and told, and nothing else is.
    async fn is_partly_public(&self) {
        let refs = self.house.public().await;
        assert!(refs.contains_key("core refs/tags/v2.0.1") && refs.contains_key("core refs/tags/v1.4.2"), "{refs:?}");
        assert!(!refs.contains_key("extra refs/tags/v0.3.1"), "{refs:?}");
        let published = publication::published(&self.app).await.unwrap();
        assert_eq!(published.len(), 1, "the other case is fixed in the second repository too: {published:?}");
        let feed = String::from_utf8(publication::atom(&self.app).await.unwrap()).unwrap();
        assert_eq!(feed.matches("<entry>").count(), 1);
        for (case, public) in self.frozen.cases.iter().zip([true, false]) {
            let alice = &self.frozen.team.alice;
            let view = embargo::workflow::case::show(&self.app, alice, case).await.unwrap();
            assert_eq!(view.summary.published_at.is_some(), public, "{case}");
        }
        assert_eq!(self.mail.ids(PUBLIC).len(), 3, "those of the first case alone heard of it");
    }

    /// Checks the hold and that both who can act were called once; then that there is no way back.
    async fn holds(&self, reason: &str) {
        let view = self.view().await;
        let hold = view.hold.as_ref().unwrap();
        assert_eq!((view.summary.state.as_str(), hold.reason.as_str()), ("held", reason), "{hold:?}");
        assert!(view.public_at.is_some());
        assert_eq!(self.mail.ids(CALL).len(), 2, "both who can act are called");
        let (alice, id) = (&self.frozen.team.alice, &self.frozen.release);
        assert!(release::reopen(&self.app, alice, id).await.is_err());
        assert!(release::abandon(&self.app, alice, id).await.is_err());
        assert!(release::disarm(&self.app, alice, id).await.is_err());
        assert_eq!(view.allowed, ["resume"], "{hold:?}");
    }

    /// Resumes, and checks that all is public and everybody heard once.
    async fn finishes(&self) {
        release::resume(&self.app, &self.frozen.team.alice, &self.frozen.release).await.unwrap();
        worker::settle(&self.app).await.unwrap();
        self.house.is_public(&self.app, &self.frozen).await;
        assert_eq!(self.view().await.summary.state, "done");
        let mut ids = self.mail.ids(PUBLIC);
        ids.dedup();
        assert_eq!((ids.len(), self.mail.ids(PUBLIC).len()), (6, 6));
    }
}

#[tokio::test]
async fn repositories_are_pushed_in_the_order_of_the_plan() {
    let armed = Armed::stand().await;
    go_to(&armed.app, at(INSTANT)).await;
    let effects = armed.view().await.effects;
    let steps: Vec<_> = effects.iter().map(|effect| format!("{} {}", effect.phase, effect.target)).collect();
    assert_eq!(
        steps[..6],
        [
            "preflight core",
            "preflight extra",
            "push_fixes core",
            "push_fixes extra",
            "verify_public core",
            "verify_public extra"
        ]
    );
    armed.house.is_public(&armed.app, &armed.frozen).await;
}

#[tokio::test]
async fn a_second_repository_that_is_gone_before_the_first_push_lets_nothing_out() {
    let armed = Armed::stand().await;
    std::fs::rename(armed.house.upstream("extra"), armed.house.root().join("away.git")).unwrap();
    for minute in 0..=15 {
        go_to(&armed.app, at(INSTANT) + SignedDuration::from_mins(minute)).await;
    }
    let view = armed.view().await;
    assert_eq!((view.hold.unwrap().reason.as_str(), view.public_at), ("upstream_down", None));
    assert!(publication::published(&armed.app).await.unwrap().is_empty());
    let core = Git::anonymous().succeed(&armed.house.upstream("core"), &["for-each-ref", "refs/tags"]).await;
    assert_eq!(core, "");
}

/// Bad luck: the second forge goes down in the second between the two pushes.
#[tokio::test]
async fn a_second_repository_that_is_gone_between_the_pushes_calls_a_person_and_its_advisory_waits() {
    let armed = Armed::stand().await;
    let Armed { mail, house, app, frozen } = armed;
    drop(app);
    // The third effect is the first push: the server dies when it is done, and the other repository goes meanwhile.
    assert_eq!(super::kill::child(&house, "disclose:2:ended").await, Some(9));
    let (there, gone) = (house.upstream("extra"), house.root().join("away.git"));
    std::fs::rename(&there, &gone).unwrap();
    let app = house::open(house.root(), at(INSTANT), CrashPoint::default()).await;
    let armed = Armed { mail, house, app, frozen };
    go_to(&armed.app, at(INSTANT)).await;
    assert_eq!(armed.view().await.summary.state, "running", "it is tried again first");
    for minute in 1..=15 {
        go_to(&armed.app, at(INSTANT) + SignedDuration::from_mins(minute)).await;
    }
    std::fs::rename(&gone, &there).unwrap();
    armed.is_partly_public().await;
    armed.holds("partly_public").await;
    armed.finishes().await;
}

#[tokio::test]
async fn a_second_repository_that_refuses_calls_a_person_at_once() {
    let armed = Armed::stand().await;
    let hook = armed.refuse_second();
    go_to(&armed.app, at(INSTANT)).await;
    armed.is_partly_public().await;
    armed.holds("partly_public").await;
    // The forge says so to the people, not in public: what it said is not repeated on the page.
    std::fs::remove_file(hook).unwrap();
    // What the page says is what a person types: it makes the rest public, and the run finds it there.
    let commands = armed.view().await.hold.unwrap().commands;
    assert_eq!(commands.last().unwrap(), &format!("embargo release resume {}", armed.frozen.release));
    for command in commands.iter().filter(|command| command.starts_with("git ")) {
        let ended = program::other("sh").arg("-c").arg(command).output().await.unwrap();
        assert!(ended.status.success(), "{command}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    assert!(armed.house.public().await.contains_key("extra refs/tags/v0.3.1"));
    armed.finishes().await;
}

/// Bad luck: somebody pushes to a line of the second repository in the second between the two pushes.
#[tokio::test]
async fn a_line_of_the_second_repository_that_moved_between_the_pushes_is_told_as_partly_public() {
    let Armed { mail, house, app, frozen } = Armed::stand().await;
    drop(app);
    assert_eq!(super::kill::child(&house, "disclose:2:ended").await, Some(9));
    house.move_line("extra").await;
    let app = house::open(house.root(), at(INSTANT), CrashPoint::default()).await;
    let armed = Armed { mail, house, app, frozen };
    go_to(&armed.app, at(INSTANT)).await;
    armed.is_partly_public().await;
    armed.holds("partly_public").await;
    let advice = armed.view().await.hold.unwrap().advice;
    assert!(advice.contains("push what is missing by hand"), "{advice}");

    armed.push_second_by_hand().await;
    release::resume(&armed.app, &armed.frozen.team.alice, &armed.frozen.release).await.unwrap();
    worker::settle(&armed.app).await.unwrap();
    assert_eq!(armed.view().await.summary.state, "done");
    assert_eq!(publication::published(&armed.app).await.unwrap().len(), 2);
}
