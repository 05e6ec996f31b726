//! A reporter who changes their mind about being named, after the release was frozen: never published against their wish.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use embargo::app::App;
use embargo::domain::access::Action;
use embargo::domain::actor::{Actor, Chore};
use embargo::domain::id::CaseId;
use embargo::domain::report::CreditWish;
use embargo::notify::Mailer;
use embargo::notify::notice::Notice;
use embargo::wire::advisory::EditAdvisory;
use embargo::workflow::{self, Error, advisory, publication, release, report};
use embargo::{store, worker};

use crate::support::house::{self, Frozen, House, INSTANT, PLANNED, SINGLE, Team, at};

const NAME: &str = "Sample Reporter";

fn case() -> CaseId {
    "DEMO-1".parse().unwrap()
}

/// Finds the reporter of the one case.
async fn reporter(app: &App) -> Actor {
    let mut rows = app.read().await.unwrap();
    let grant = workflow::open(&mut rows, &Actor::System(Chore::Disclose), &case(), Action::Maintain).await.unwrap();
    Actor::Reporter(store::report::of_case(&mut rows, &grant).await.unwrap()[0].id)
}

async fn state(app: &App, armed: &Frozen) -> String {
    armed.view(app).await.summary.state
}

/// Approves the text as it would be published now.
async fn approve(app: &App, bob: &Actor) {
    let read = advisory::show(app, bob, &case()).await.unwrap();
    advisory::approve(app, bob, &case(), &read.digest.unwrap()).await.unwrap();
}

/// Counts the mails that call somebody to a release.
async fn calls(app: &App) -> usize {
    worker::settle(app).await.unwrap();
    let Mailer::Outbox(outbox) = &app.mailer else { panic!("mail goes into a list") };
    outbox.mails().iter().filter(|mail| mail.notice == Notice::ReleaseHeld).count()
}

/// Attack on privacy: the name is withdrawn after two people armed, and nobody looks until the instant.
#[tokio::test]
async fn a_name_withdrawn_from_an_armed_release_is_not_published() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let (before, reporter) = (house.public().await, reporter(&app).await);
    // The same wish again changes nothing.
    report::credit(&app, &reporter, &case(), CreditWish::Named { name: NAME.parse().unwrap() }).await.unwrap();
    assert_eq!((state(&app, &armed).await.as_str(), calls(&app).await), ("armed", 0));

    report::credit(&app, &reporter, &case(), CreditWish::Unnamed).await.unwrap();
    assert_eq!(state(&app, &armed).await, "planned");
    assert_eq!(calls(&app).await, 2, "both who manage the release are called");
    app.clock.set(at(INSTANT));
    worker::settle(&app).await.unwrap();
    workflow::sweep::run(&app).await.unwrap();
    worker::settle(&app).await.unwrap();
    assert_eq!(house.public().await, before, "nothing is pushed");
    assert!(publication::published(&app).await.unwrap().is_empty(), "nothing is published");

    // The way on: the text without the name is approved, frozen and armed anew.
    let Team { alice, bob } = &armed.team;
    release::postpone(&app, alice, &armed.release, at("2027-01-15T14:00:00Z")).await.unwrap();
    worker::settle(&app).await.unwrap();
    assert!(release::freeze(&app, alice, &armed.release).await.is_err(), "the new text is not approved yet");
    approve(&app, bob).await;
    release::freeze(&app, alice, &armed.release).await.unwrap();
    for person in [alice, bob] {
        house::arm(&app, person, &armed.release).await.unwrap();
    }
    app.clock.set(at("2027-01-15T14:00:00Z"));
    worker::settle(&app).await.unwrap();
    let published = publication::published(&app).await.unwrap();
    for path in ["advisories/{}.html", "advisories/{}.md", "osv/x_{}.json"] {
        let path = path.replace("{}", &published[0].id).parse().unwrap();
        let file = publication::file(&app, &path).await.unwrap();
        assert!(!String::from_utf8(file.body).unwrap().contains(NAME), "{path}");
    }
    // Too late for another wish.
    let late = report::credit(&app, &reporter, &case(), CreditWish::Anonymous).await;
    assert!(matches!(late, Err(Error::Refused(_))));
}

/// The run has begun, but the public repository does not answer yet: nothing is public, and the name still is the reporter's.
#[tokio::test]
async fn a_name_withdrawn_while_the_run_waits_for_the_public_repository_is_not_published() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let (there, gone) = (house.upstream("core"), house.root().join("away.git"));
    std::fs::rename(&there, &gone).unwrap();
    app.clock.set(at(INSTANT));
    worker::settle(&app).await.unwrap();
    assert_eq!(state(&app, &armed).await, "running");
    report::credit(&app, &reporter(&app).await, &case(), CreditWish::Anonymous).await.unwrap();
    assert_eq!(state(&app, &armed).await, "planned");
    std::fs::rename(&gone, &there).unwrap();
    let before = house.public().await;
    for minute in 1..=15 {
        app.clock.set(at(INSTANT) + jiff::SignedDuration::from_mins(minute));
        workflow::sweep::run(&app).await.unwrap();
        worker::settle(&app).await.unwrap();
    }
    assert_eq!(house.public().await, before);
    assert!(publication::published(&app).await.unwrap().is_empty());
}

/// An approval of a new text does not change the bytes that were armed: they are not published under it.
#[tokio::test]
async fn a_text_approved_anew_after_the_freezing_holds_the_release_and_no_resume_gets_past_it() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let (before, alice) = (house.public().await, &armed.team.alice);
    let draft = advisory::show(&app, alice, &case()).await.unwrap();
    let mut text = draft.advisory;
    text.description = Some("A crafted file runs code, on every line. Update.".parse().unwrap());
    advisory::edit(&app, alice, &case(), &EditAdvisory { advisory: text, version: draft.version }).await.unwrap();
    approve(&app, &armed.team.bob).await;
    let kinds =
        |view: embargo::wire::release::ReleaseView| view.blockers.into_iter().map(|b| b.kind).collect::<Vec<_>>();
    assert_eq!(kinds(armed.view(&app).await), ["advisory_frozen"]);
    app.clock.set(at(INSTANT));
    worker::settle(&app).await.unwrap();
    assert_eq!(state(&app, &armed).await, "held");
    let resumed = release::resume(&app, alice, &armed.release).await;
    assert!(matches!(resumed, Err(Error::Blocked(_))), "{resumed:?}");
    worker::settle(&app).await.unwrap();
    assert_eq!((state(&app, &armed).await.as_str(), house.public().await), ("held", before));
    assert!(publication::published(&app).await.unwrap().is_empty());
}
