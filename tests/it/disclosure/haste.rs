//! Disclosing now: the same run at once, by as many people as the project asks for, passing over what it decided beforehand.

use embargo::app::App;
use embargo::domain::actor::{Actor, Via};
use embargo::worker;
use embargo::workflow::{Error, advisory, case, haste, plan, publication, release};
use jiff::SignedDuration;

use super::{CALL, INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::house::House;
use crate::support::mail::MailServer;

/// When the second of two people says that it is to be disclosed now.
const DECIDED: &str = "2027-01-15T08:20:30Z";

#[tokio::test]
async fn two_people_disclose_a_frozen_release_hours_before_its_instant() {
    let mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    house.configure(&folder(&house));
    let app = house.open(PLANNED).await;
    let frozen = house.freeze(&app, at(INSTANT)).await;
    let (before, team) = (house.public().await, &frozen.team);
    let stale = Actor::Person { id: team.alice.person().unwrap(), via: Via::Session { fresh: false } };
    assert!(matches!(haste::disclose_now(&app, &stale, &frozen.release).await, Err(Error::Refused(_))));

    haste::disclose_now(&app, &team.alice, &frozen.release).await.unwrap();
    settle(&app).await;
    let view = frozen.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.summary.due_at.as_str()), ("frozen", INSTANT));
    assert_eq!(view.haste.unwrap().asked_by.len(), 1);
    assert_eq!(mail.ids(CALL).len(), 2, "the other is called");
    haste::disclose_now(&app, &team.alice, &frozen.release).await.unwrap();
    settle(&app).await;
    assert_eq!(house.public().await, before, "one person twice is one person");

    app.clock.set(at(DECIDED));
    let digest = frozen.view(&app).await.digest;
    haste::disclose_now(&app, &team.bob, &frozen.release).await.unwrap();
    assert_ne!(frozen.view(&app).await.digest, digest, "they armed documents of another date");
    settle(&app).await;
    house.is_public(&app, &frozen).await;
    let view = frozen.view(&app).await;
    assert_eq!(view.summary.state, "done", "{:?}", view.hold);
    bears(&app, DECIDED).await;
    let folder = |name: &str| std::fs::read_to_string(house.root().join("folder").join(name)).unwrap();
    let id = publication::published(&app).await.unwrap().remove(0).id;
    assert!(folder(&format!("osv/x_{id}.json")).contains(DECIDED), "what a channel got is the same");
    assert_eq!(view.armed_by.len(), 2);
    assert!(haste::disclose_now(&app, &team.bob, &frozen.release).await.is_err(), "it is done");
}

#[tokio::test]
async fn one_word_changes_nothing_and_is_forgotten_after_an_hour() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    haste::disclose_now(&app, &armed.team.alice, &armed.release).await.unwrap();
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.armed_by.len()), ("armed", 2));
    // Whoever has given their word cannot lose their seat under it.
    let alice = "alice".parse().unwrap();
    assert!(case::remove(&app, &armed.team.bob, &armed.cases[0], &alice).await.is_err());

    go_to(&app, at(PLANNED) + SignedDuration::from_mins(61)).await;
    haste::disclose_now(&app, &armed.team.bob, &armed.release).await.unwrap();
    settle(&app).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.public_at), ("armed", None), "the first word is too old");
    assert_eq!(view.haste.unwrap().asked_by.len(), 1);
    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &armed).await;
}

#[tokio::test]
async fn what_the_project_decided_beforehand_is_passed_over_and_nothing_else() {
    let house = House::new(&SINGLE, None).await;
    house.decide("disclose_now = { people = 1, may_skip = [\"advisory_approval\"] }");
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    house.fix(&app, &team, (&case, 0), ("code.txt", "mended\n")).await;
    let id = plan::plan(&app, &team.alice, &house.plan(std::slice::from_ref(&case), at(INSTANT))).await.unwrap();
    worker::settle(&app).await.unwrap();
    let before = house.public().await;
    let Err(Error::Blocked(blockers)) = haste::disclose_now(&app, &team.alice, &id).await else { panic!("it went on") };
    assert!(blockers.iter().any(|sentence| sentence.contains("no fix on 1.x")), "{blockers:?}");
    assert!(!blockers.iter().any(|sentence| sentence.contains("is not approved")), "{blockers:?}");
    house.fix(&app, &team, (&case, 1), ("code.txt", "mended\n")).await;
    plan::drop_case(&app, &team.alice, &id, &case).await.unwrap_err();
    house.draft(&app, &team, (&case, &[0, 1])).await;
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    let would = view.haste.unwrap();
    assert!(would.blocked_by.is_empty() && would.passes_over.len() == 1, "{would:?}");
    assert!(view.blockers.iter().any(|blocker| blocker.kind == "advisory_approval"), "for its instant it blocks");
    assert!(release::freeze(&app, &team.alice, &id).await.is_err());
    assert_eq!(house.public().await, before);

    haste::disclose_now(&app, &team.alice, &id).await.unwrap();
    settle(&app).await;
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    assert_eq!(view.summary.state, "done", "{:?}", view.hold);
    let haste = view.haste.unwrap();
    assert_eq!(haste.passes_over, ["The advisory was not approved as it was published."]);
    assert!(haste.since.is_some());
    assert_ne!(house.public().await, before);
    bears(&app, PLANNED).await;
    // Read as of the disclosure, nothing is left to change: a correction finds the bytes that are public.
    let shown = advisory::show(&app, &team.alice, &case).await.unwrap();
    assert!(!shown.public.unwrap().differs);
}

/// Attack: the place that documents go to is exchanged between the freezing and the haste.
#[tokio::test]
async fn what_was_configured_otherwise_since_the_freezing_is_frozen_anew_first() {
    let house = House::new(&SINGLE, None).await;
    house.configure(&folder(&house));
    house.decide("disclose_now = { people = 1 }");
    let app = house.open(PLANNED).await;
    let frozen = house.freeze(&app, at(INSTANT)).await;
    drop(app);
    let config = std::fs::read_to_string(house.config()).unwrap();
    std::fs::write(house.config(), config.replace("/folder\"", "/elsewhere\"")).unwrap();
    std::fs::create_dir_all(house.root().join("elsewhere")).unwrap();
    let app = house.open(PLANNED).await;
    settle(&app).await;
    let (before, alice) = (house.public().await, &frozen.team.alice);
    let refused = haste::disclose_now(&app, alice, &frozen.release).await.unwrap_err().to_string();
    assert!(refused.contains("embargo release reopen DEMO-R1"), "{refused}");
    settle(&app).await;
    assert_eq!(house.public().await, before);
    release::reopen(&app, alice, &frozen.release).await.unwrap();
    settle(&app).await;
    haste::disclose_now(&app, alice, &frozen.release).await.unwrap();
    settle(&app).await;
    house.is_public(&app, &frozen).await;
    bears(&app, PLANNED).await;
}

/// Checks that the public files of the one advisory bear this date, and the release's planned one nowhere.
async fn bears(app: &App, instant: &str) {
    let id = publication::published(app).await.unwrap().remove(0).id;
    let file = publication::file(app, &format!("osv/x_{id}.json").parse().unwrap()).await.unwrap();
    let osv: serde_json::Value = serde_json::from_slice(&file.body).unwrap();
    assert_eq!((osv["published"].as_str(), osv["modified"].as_str()), (Some(instant), Some(instant)));
    let page = publication::file(app, &format!("advisories/{id}.md").parse().unwrap()).await.unwrap();
    let page = String::from_utf8(page.body).unwrap();
    assert!(!page.contains("12:00"), "{page}");
}

/// Writes the configuration of a channel into a folder, and makes that folder.
fn folder(house: &House) -> String {
    let folder = house.root().join("folder");
    std::fs::create_dir_all(&folder).unwrap();
    format!("[[project.channel]]\nname = \"files\"\nkind = \"folder\"\nfolder = \"{}\"\n", folder.display())
}

#[tokio::test]
async fn a_word_is_taken_back_by_disarming() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let frozen = house.freeze(&app, at(INSTANT)).await;
    haste::disclose_now(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    release::disarm(&app, &frozen.team.bob, &frozen.release).await.unwrap();
    haste::disclose_now(&app, &frozen.team.bob, &frozen.release).await.unwrap();
    let before = house.public().await;
    settle(&app).await;
    assert_eq!((house.public().await, frozen.view(&app).await.summary.state.as_str()), (before, "frozen"));
    // In force and not begun yet, it can still be stopped: it is then overdue, and says so.
    haste::disclose_now(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    release::disarm(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    settle(&app).await;
    let view = frozen.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.public_at.is_none()), ("frozen", true));
    assert!(view.blockers.iter().any(|blocker| blocker.kind == "instant"), "{:?}", view.blockers);
    settle(&app).await;
}
