//! What public repositories do to a push, and where the run stands then: one table, over real git and its hooks.

use std::os::unix::fs::PermissionsExt as _;

use embargo::app::CrashPoint;
use embargo::workflow::{publication, release};
use jiff::SignedDuration;
use sqlx::{Connection as _, SqliteConnection};

use super::{House, INSTANT, PLANNED, SINGLE, at, go_to, house, settle};
use crate::support::forge::Forge;
use crate::support::git::Git;

/// Where the run stands after its instant.
#[derive(Debug, PartialEq)]
enum Stands {
    /// Everything is public; what went wrong was seen through.
    Done,
    /// Held for this reason, before the point of no return: nothing was sent.
    Held(&'static str),
    /// Held for this reason, past it: something may be public.
    Past(&'static str),
}

/// What goes wrong, how it is arranged, where the run stands, and whether a person's `resume` ends it once that is mended.
type Fault = (&'static str, Trick, Stands, bool);

/// How a fault is arranged.
enum Trick {
    /// A hook of the public repository.
    Hook(&'static str, &'static str),
    /// A git command in it.
    Git(&'static [&'static str]),
}

const FAULTS: &[Fault] = &[
    (
        "refuses one of the refs",
        Trick::Hook("update", "[ \"$1\" != refs/tags/v1.4.2 ]"),
        Stands::Past("partly_public"),
        true,
    ),
    (
        "takes so many refs in one push and no more",
        Trick::Hook("pre-receive", "[ \"$(wc -l)\" -le 2 ]"),
        Stands::Past("partly_public"),
        true,
    ),
    (
        "does not accept the signature of the tags",
        Trick::Hook(
            "pre-receive",
            "while read old new ref; do case $ref in refs/tags/*) \
             git -c gpg.ssh.allowedSignersFile=/dev/null verify-tag \"$new\" || exit 1;; esac; done",
        ),
        Stands::Past("partly_public"),
        true,
    ),
    (
        "moves a line between the trial and the push",
        Trick::Hook(
            "pre-receive",
            "cat >/dev/null; rm \"$0\"; unset GIT_QUARANTINE_PATH; \
             git update-ref refs/heads/main \"$(git rev-parse refs/heads/main~1)\"",
        ),
        Stands::Past("partly_public"),
        false,
    ),
    (
        "loses the connection before it takes anything",
        Trick::Hook("pre-receive", "rm \"$0\"; kill -9 $PPID"),
        Stands::Done,
        false,
    ),
    (
        "loses the connection after it took everything",
        Trick::Hook("post-receive", "kill -9 $PPID"),
        Stands::Done,
        false,
    ),
    (
        "cannot move all refs or none",
        Trick::Git(&["config", "receive.advertiseAtomic", "false"]),
        Stands::Held("push_refused"),
        true,
    ),
    (
        "has a tag of that name already",
        Trick::Git(&["tag", "v2.0.1", "refs/heads/1.x"]),
        Stands::Held("tag_taken"),
        false,
    ),
    (
        "had a line rewritten by force",
        Trick::Git(&["update-ref", "refs/heads/main", "refs/heads/main~1"]),
        Stands::Held("line_moved"),
        false,
    ),
];

#[tokio::test]
async fn whatever_the_public_repository_does_the_run_says_how_it_stands() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    drop(app);
    house.save();
    let upstream = house.upstream("core");
    for (what, trick, stands, mendable) in FAULTS {
        house.restore();
        let mended = match trick {
            Trick::Hook(name, text) => {
                let hook = upstream.join("hooks").join(name);
                std::fs::create_dir_all(upstream.join("hooks")).unwrap();
                std::fs::write(&hook, format!("#!/bin/sh\n{text}\n")).unwrap();
                std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
                vec![]
            }
            Trick::Git(arguments) => {
                Git::anonymous().succeed(&upstream, arguments).await;
                vec!["config", "receive.advertiseAtomic", "true"]
            }
        };
        let before = house.public().await;
        let app = house.open(INSTANT).await;
        settle(&app).await;
        go_to(&app, at(INSTANT) + SignedDuration::from_mins(2)).await;
        let view = armed.view(&app).await;
        let reason = view.hold.as_ref().map(|hold| hold.reason.as_str());
        let found = match (view.summary.state.as_str(), reason, &view.public_at) {
            ("done", None, Some(_)) => Stands::Done,
            ("held", Some(reason), None) if Stands::Held("tag_taken") == *stands && reason == "tag_taken" => {
                Stands::Held("tag_taken")
            }
            ("held", Some("push_refused"), None) => Stands::Held("push_refused"),
            ("held", Some("line_moved"), None) => Stands::Held("line_moved"),
            ("held", Some("partly_public"), Some(_)) => Stands::Past("partly_public"),
            other => panic!("a repository that {what}: {other:?}, {:?}", view.effects),
        };
        assert_eq!(found, *stands, "a repository that {what}");
        if let Stands::Held(_) = stands {
            assert_eq!(house.public().await, before, "a repository that {what}");
        }
        if *stands == Stands::Done {
            house.is_public(&app, &armed).await;
            continue;
        }
        assert!(publication::published(&app).await.unwrap().is_empty(), "a repository that {what}");
        if !mendable {
            continue;
        }
        if let Trick::Hook(name, _) = trick {
            std::fs::remove_file(upstream.join("hooks").join(name)).unwrap();
        } else {
            Git::anonymous().succeed(&upstream, &mended).await;
        }
        release::resume(&app, &armed.team.alice, &armed.release).await.unwrap();
        settle(&app).await;
        assert_eq!(armed.view(&app).await.summary.state, "done", "a repository that {what}, mended");
        house.is_public(&app, &armed).await;
    }
}

/// Bad luck: the token ends in the hour between the last look and the instant.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ended_before_the_instant_holds_the_release_and_a_new_one_ends_it() {
    let house = House::new(&SINGLE, None).await;
    let forge = Forge::open(house.root()).await;
    forge.ask_writers_for("token-of-yesterday");
    house.secret("token", "token-of-yesterday\n");
    let credential = format!("password_file = \"{}/token\"\n", house.root().display());
    house.reach("core", &forge.url("core"), &credential);
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let before = house.public().await;
    forge.ask_writers_for("token-of-today");
    go_to(&app, at(INSTANT)).await;
    let view = armed.view(&app).await;
    let hold = view.hold.unwrap();
    assert_eq!((hold.reason.as_str(), view.public_at), ("push_refused", None));
    assert!(!serde_json::to_string(&view.effects).unwrap().contains("token-of"), "{:?}", view.effects);
    assert_eq!(house.public().await, before);
    house.secret("token", "token-of-today\n");
    release::resume(&app, &armed.team.alice, &armed.release).await.unwrap();
    settle(&app).await;
    house.is_public(&app, &armed).await;
}

/// Bad luck: somebody looks into the database with a tool that keeps it locked, over the instant.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_locked_over_the_instant_loses_nothing() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let file = house.root().join("data/embargo.db");
    let mut other = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();
    let before = house.public().await;
    app.clock.set(at(INSTANT));
    let locked = embargo::worker::settle(&app).await;
    assert!(locked.is_err(), "nothing can be written down, so nothing begins");
    assert_eq!(house.public().await, before);
    sqlx::query("rollback").execute(&mut other).await.unwrap();
    settle(&app).await;
    house.is_public(&app, &armed).await;
    assert_eq!(armed.view(&app).await.summary.state, "done");
}

/// The key that signed the tags is exchanged between freezing and the instant: what was armed is what is published.
#[tokio::test]
async fn a_signing_key_that_was_exchanged_changes_nothing_that_was_armed() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    drop(app);
    std::fs::remove_file(house.root().join("keys/tag-signing")).unwrap();
    let key = house.root().join("keys/tag-signing");
    let made = crate::support::program::other("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&key)
        .output()
        .await
        .unwrap();
    assert!(made.status.success());
    let app = house::open(house.root(), at(INSTANT), CrashPoint::default()).await;
    settle(&app).await;
    house.is_public(&app, &armed).await;
}
