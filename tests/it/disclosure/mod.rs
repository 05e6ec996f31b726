//! A release over real repositories and real mail: armed, run, killed and started again, held, refused.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod calendar;
mod chance;
mod channel;
mod details;
mod disk;
mod dress;
mod fault;
mod forward;
mod haste;
mod hold;
mod hook;
mod kill;
mod landing;
mod late;
mod mail;
mod manner;
mod package;
mod power;
mod remind;
mod several;
mod signed;
mod ssh;
mod trial;

pub(crate) use self::channel::files;
use embargo::app::App;
use embargo::crypto::sshsig::Signer;
use embargo::domain::access::Role;
use embargo::domain::actor::{Actor, Via};
use embargo::domain::id::ReleaseId;
use embargo::worker;
use embargo::workflow::{self, case, disclose, plan, release};
use futures_util::future::join_all;
use jiff::SignedDuration;
use sqlx::{Connection as _, SqliteConnection};

use crate::support::git::Git;
use crate::support::house::{self, DOUBLE, House, INSTANT, PLANNED, SINGLE, at};
use crate::support::mail::MailServer;
use crate::support::server::signed_in;

/// The subject of the mail that says that an advisory is public.
const PUBLIC: &str = "A security advisory is public";
/// The subject of the mail that calls a person.
const CALL: &str = "Something needs you now";

/// Lets everything happen that is due.
async fn settle(app: &App) {
    worker::settle(app).await.unwrap();
    workflow::sweep::run(app).await.unwrap();
    worker::settle(app).await.unwrap();
}

/// Moves the clock and lets everything happen that is due then.
async fn go_to(app: &App, instant: jiff::Timestamp) {
    app.clock.set(instant);
    settle(app).await;
}

#[tokio::test]
async fn an_armed_release_publishes_at_its_instant_and_not_before() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let before = house.public().await;
    let armed = house.arm(&app).await;
    go_to(&app, at("2027-01-15T11:59:59.999Z")).await;
    assert_eq!(house.public().await, before);
    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "done");
    assert!(view.effects.iter().all(|effect| effect.state == "done"), "{:?}", view.effects);

    let key = std::fs::read_to_string(house.root().join("keys/tag-signing")).unwrap();
    let signers = house.root().join("signers");
    let signer = Signer::parse(&key).unwrap();
    std::fs::write(&signers, format!("security@localhost namespaces=\"git\" {}\n", signer.key())).unwrap();
    let allowed = format!("gpg.ssh.allowedSignersFile={}", signers.display());
    let (git, upstream) = (Git::anonymous(), house.upstream("core"));
    for (_, _, tag) in SINGLE.targets {
        git.succeed(&upstream, &["-c", &allowed, "verify-tag", tag]).await;
    }
    git.succeed(&upstream, &["fsck", "--strict"]).await;
}

#[tokio::test]
async fn a_release_is_armed_by_two_over_an_approved_text_of_a_case_of_its_own() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    for target in [0, 1] {
        house.fix(&app, &team, (&case, target), ("code.txt", "mended\n")).await;
    }
    let wish = house.plan(std::slice::from_ref(&case), at(INSTANT));
    let id = plan::plan(&app, &team.alice, &wish).await.unwrap();
    assert!(plan::plan(&app, &team.alice, &wish).await.is_err(), "a case is in one release at a time");
    worker::settle(&app).await.unwrap();
    assert!(release::freeze(&app, &team.alice, &id).await.is_err(), "there is no approved text");
    house.write(&app, &team, (&case, &[0, 1])).await;
    let stale = Actor::Person { id: team.alice.person().unwrap(), via: Via::Session { fresh: false } };
    release::freeze(&app, &team.alice, &id).await.unwrap();
    assert!(matches!(house::arm(&app, &stale, &id).await, Err(workflow::Error::Refused(_))));
    house::arm(&app, &team.alice, &id).await.unwrap();
    assert!(house::arm(&app, &team.alice, &id).await.is_err(), "one person arms once");
    assert_eq!(release::show(&app, &team.alice, &id).await.unwrap().summary.state, "frozen");
    go_to(&app, at(INSTANT)).await;
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    assert_eq!((view.summary.state.as_str(), view.begun_at), ("frozen", None), "one alone discloses nothing");
}

#[tokio::test]
async fn a_release_disarmed_a_millisecond_before_stays_private() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let before = house.public().await;
    // The run is there already, with the database for itself; it does not begin.
    app.clock.set(at("2027-01-15T11:59:59.999Z"));
    worker::settle(&app).await.unwrap();
    let view = release::show(&app, &armed.team.alice, &armed.release).await.unwrap();
    assert_eq!((view.summary.state.as_str(), view.begun_at), ("armed", None));
    release::disarm(&app, &armed.team.alice, &armed.release).await.unwrap();
    go_to(&app, at("2027-01-15T12:00:01Z")).await;
    assert_eq!(house.public().await, before);
}

#[tokio::test]
async fn a_server_that_was_down_at_the_instant_discloses_when_it_starts() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    drop(app);
    let app = house.open("2027-01-15T12:20:00Z").await;
    settle(&app).await;
    house.is_public(&app, &armed).await;
}

/// Attack: a seat is taken away from under an arming, by an invitation to the very same seat.
#[tokio::test]
async fn an_arming_counts_as_long_as_its_seat_does() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let (case, bob) = (&armed.cases[0], "bob".parse().unwrap());
    for role in [Role::ReleaseManager, Role::Guest] {
        let again = case::invite(&app, &armed.team.alice, case, &bob, role).await;
        assert!(matches!(again, Err(workflow::Error::Refused(_))), "{role}: {again:?}");
    }
    // However it went away, at the instant it is looked for.
    let file = house.root().join("data/embargo.db");
    let mut live = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let gone = "update member set consent = 'declined' where person = (select id from person where handle = 'bob')";
    sqlx::query(gone).execute(&mut live).await.unwrap();
    live.close().await.unwrap();
    let before = house.public().await;
    go_to(&app, at(INSTANT)).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.public_at), ("held", None));
    assert_eq!(house.public().await, before);
}

#[tokio::test]
async fn outsiders_and_members_of_one_case_see_no_release() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let missing: ReleaseId = "DEMO-R9".parse().unwrap();
    let stranger = signed_in(app.mint());
    for actor in [stranger, Actor::Reporter(app.mint())] {
        for id in [&armed.release, &missing] {
            assert!(matches!(release::show(&app, &actor, id).await, Err(workflow::Error::NotFound)));
            assert!(matches!(release::disarm(&app, &actor, id).await, Err(workflow::Error::NotFound)));
        }
    }
}

/// Attack, or bad luck: the same job in two hands, because a lease ran out or a sweep queued it anew.
#[tokio::test]
async fn of_many_runs_at_once_each_effect_happens_once() {
    let mail = MailServer::start().await;
    let house = House::new(&DOUBLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    app.clock.set(at(INSTANT));
    let runs = join_all((0..4).map(|_| disclose::run(&app, &armed.release))).await;
    for run in &runs {
        assert!(matches!(run, Ok(_) | Err(workflow::Error::Conflict)), "{run:?}");
    }
    assert!(runs.iter().any(Result::is_err), "they were in each other's way: {runs:?}");
    let (one, two) = tokio::join!(worker::settle(&app), worker::settle(&app));
    one.and(two).unwrap();
    go_to(&app, at(INSTANT) + SignedDuration::from_mins(1)).await;
    house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "done");
    let mut ids = mail.ids(PUBLIC);
    assert_eq!(ids.len(), 6, "three for each case: {ids:?}");
    ids.dedup();
    assert_eq!(ids.len(), 6, "nobody heard twice");
    // The chain of events tells of each effect once that it was done, whoever did it.
    let file = house.root().join("data/embargo.db");
    let mut live = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let done =
        "select count(*), count(distinct object) from event where object like '% done' and object like '% % % %'";
    let (told, distinct): (i64, i64) = sqlx::query_as(done).fetch_one(&mut live).await.unwrap();
    assert_eq!((told, distinct), (told, i64::try_from(view.effects.len()).unwrap()));
    assert_eq!(told, distinct, "an effect ended twice");
}

/// Attack: a server started a second time on the same folder, as a careless restart does.
#[tokio::test]
async fn a_second_server_on_the_folder_begins_nothing() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let armed = house.arm(&app).await;
    let config = embargo::config::Config::load(&house.config()).unwrap();
    let Err(refusal) = App::open(config, embargo::app::Outside::real()).await else { panic!("it opened") };
    assert!(refusal.to_string().contains("stop it first"), "{refusal}");
    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &armed).await;
}
