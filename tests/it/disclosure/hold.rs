//! What holds a release before anything is public: a line that moved, a repository that is gone or elsewhere, fixes that clash.

use std::os::unix::fs::PermissionsExt as _;

use embargo::worker;
use embargo::workflow::{plan, project, publication, rehearsal, release};
use jiff::SignedDuration;

use super::{CALL, DOUBLE, House, INSTANT, PLANNED, SINGLE, at, go_to};
use crate::support::elsewhere::Elsewhere;
use crate::support::forge::Forge;
use crate::support::mail::MailServer;

#[tokio::test]
async fn a_public_line_that_moved_holds_the_release_for_one_reason_and_sends_nothing() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    house.move_line("core").await;
    let before = house.public().await;
    go_to(&app, at(INSTANT)).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.hold.unwrap().reason.as_str()), ("held", "line_moved"));
    assert_eq!((house.public().await, view.public_at), (before, None));
    assert!(publication::published(&app).await.unwrap().is_empty());
    // The way out: reopen, rehearse on the new tip, approve what changed, freeze and arm again.
    let alice = &armed.team.alice;
    release::reopen(&app, alice, &armed.release).await.unwrap();
    release::postpone(&app, alice, &armed.release, at("2027-01-15T14:00:00Z")).await.unwrap();
    project::mirror_now(&app, alice, &"demo".parse().unwrap()).await.unwrap();
    worker::settle(&app).await.unwrap();
    let kinds: Vec<_> = armed.view(&app).await.blockers.into_iter().map(|blocker| blocker.kind).collect();
    assert_eq!(kinds, ["advisory_approval"]);
}

#[tokio::test]
async fn an_upstream_that_is_gone_at_the_instant_is_tried_again_and_then_a_person_is_called() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let (there, gone) = (house.upstream("core"), house.root().join("away.git"));
    std::fs::rename(&there, &gone).unwrap();
    go_to(&app, at(INSTANT)).await;
    assert_eq!(armed.view(&app).await.summary.state, "running");
    for minute in 1..=15 {
        go_to(&app, at(INSTANT) + SignedDuration::from_mins(minute)).await;
    }
    let view = armed.view(&app).await;
    let hold = view.hold.unwrap();
    assert_eq!((hold.reason.as_str(), hold.safe_to_retry, view.public_at), ("upstream_down", true, None));
    assert_eq!(mail.ids(CALL).len(), 2, "both who can act are called, once");
    std::fs::rename(&gone, &there).unwrap();
    release::resume(&app, &armed.team.alice, &armed.release).await.unwrap();
    worker::settle(&app).await.unwrap();
    house.is_public(&app, &armed).await;
}

/// Attack: an address that was taken over sends the release, and the credential with it, to a server of the attacker.
#[tokio::test(flavor = "multi_thread")]
async fn a_forge_that_sends_us_elsewhere_holds_the_release_and_nobody_there_is_asked() {
    let house = House::new(&SINGLE, None).await;
    let (forge, attacker) = (Forge::open(house.root()).await, Elsewhere::listen("200 OK", "").await);
    let token = house.root().join("token");
    std::fs::write(&token, "canary\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let credential = format!("password_file = \"{}\"\n", token.display());
    house.reach("core", &forge.url("core"), &credential);
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let before = house.public().await;

    forge.send_to(Some(attacker.url()));
    for minute in 0..=15 {
        go_to(&app, at(INSTANT) + SignedDuration::from_mins(minute)).await;
    }
    let view = armed.view(&app).await;
    let hold = view.hold.unwrap();
    assert_eq!((view.summary.state.as_str(), hold.reason.as_str(), view.public_at), ("held", "upstream_down", None));
    assert_eq!(house.public().await, before);
    let (alice, demo) = (&armed.team.alice, "demo".parse().unwrap());
    project::mirror_now(&app, alice, &demo).await.unwrap();
    worker::settle(&app).await.unwrap();
    let page = project::show(&app, alice, &demo).await.unwrap();
    assert_eq!(page.repositories[0].state, "moved");
    assert!(page.repositories[0].note.contains("correct `url`"), "{}", page.repositories[0].note);
    assert_eq!(attacker.visits(), 0, "nobody went where they were sent");

    forge.send_to(None);
    release::resume(&app, alice, &armed.release).await.unwrap();
    worker::settle(&app).await.unwrap();
    house.is_public(&app, &armed).await;
}

#[tokio::test]
async fn fixes_that_clash_are_told_before_anything_is_frozen() {
    let house = House::new(&DOUBLE, None).await;
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let mut cases = Vec::new();
    for (text, targets) in [("mended one way\n", [0, 1]), ("mended another way\n", [0, 2])] {
        let case = house.accept(&app, &team).await;
        for target in targets {
            house.fix(&app, &team, (&case, target), ("code.txt", text)).await;
        }
        cases.push(case);
    }
    let id = plan::plan(&app, &team.alice, &house.plan(&cases, at(INSTANT))).await.unwrap();
    worker::settle(&app).await.unwrap();
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    let troubles: Vec<_> = view.targets.iter().map(|target| target.trouble.as_deref()).collect();
    assert!(troubles[0].is_some_and(|said| said.contains("merge the line into fix/main and push")), "{troubles:?}");
    assert_eq!(troubles[1..], [None, None]);
    let conflict = view.blockers.iter().find(|blocker| blocker.kind == "conflict").unwrap();
    assert!(conflict.sentence.contains("does not merge"), "{conflict:?}");
    assert!(release::freeze(&app, &team.alice, &id).await.is_err());
    // Mended by a push, the rehearsal is clean by itself.
    house.fix(&app, &team, (&cases[1], 0), ("guard.txt", "mended another way\n")).await;
    rehearsal::rehearse_now(&app, &team.alice, &id).await.unwrap();
    worker::settle(&app).await.unwrap();
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    assert!(view.targets.iter().all(|target| target.rehearsal == "clean"), "{:?}", view.targets);
}
