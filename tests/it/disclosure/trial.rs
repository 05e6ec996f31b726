//! Pushes that are tried while there is time: a token that may not write, a forge that does not answer, a mail server that is gone.

use embargo::app::App;
use jiff::SignedDuration;

use super::{House, INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::forge::Forge;
use crate::support::house::{self, Frozen};
use crate::support::mail::MailServer;

async fn outcomes(app: &App, armed: &Frozen) -> Vec<String> {
    armed.view(app).await.trials.into_iter().map(|trial| trial.outcome).collect()
}

async fn kinds(app: &App, armed: &Frozen) -> Vec<String> {
    armed.view(app).await.blockers.into_iter().map(|blocker| blocker.kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_write_is_told_long_before_the_instant_and_again_when_it_may() {
    let house = House::new(&SINGLE, None).await;
    let forge = Forge::open(house.root()).await;
    forge.ask_writers_for("one-that-may-write");
    house.secret("token", "one-that-may-only-read\n");
    let credential = format!("password_file = \"{}/token\"\n", house.root().display());
    house.reach("core", &forge.url("core"), &credential);
    let app = house.open(PLANNED).await;
    let frozen = house.freeze(&app, at(INSTANT)).await;
    let before = house.public().await;
    settle(&app).await;
    assert_eq!(
        (outcomes(&app, &frozen).await, kinds(&app, &frozen).await),
        (vec!["refused".into()], vec!["access".into()])
    );
    let said = frozen.view(&app).await.blockers.remove(0).sentence;
    assert!(said.contains("core refused a trial") && !said.contains("only-read"), "{said}");
    assert!(house::arm(&app, &frozen.team.alice, &frozen.release).await.is_err());
    house.secret("token", "one-that-may-write\n");
    go_to(&app, at(PLANNED) + SignedDuration::from_mins(4)).await;
    assert_eq!(outcomes(&app, &frozen).await, ["refused"], "nobody is asked every minute");
    go_to(&app, at(PLANNED) + SignedDuration::from_mins(5)).await;
    assert_eq!((outcomes(&app, &frozen).await, kinds(&app, &frozen).await), (vec!["fine".into()], Vec::new()));
    assert_eq!(house.public().await, before, "nothing was sent");
    frozen.arm(&app).await;
    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &frozen).await;
}

#[tokio::test]
async fn who_does_not_answer_for_a_while_blocks_nothing() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    let frozen = house.freeze(&app, at(INSTANT)).await;
    let (there, gone) = (house.upstream("core"), house.root().join("away.git"));
    std::fs::rename(&there, &gone).unwrap();
    settle(&app).await;
    assert_eq!((outcomes(&app, &frozen).await, kinds(&app, &frozen).await), (vec!["silent".into()], Vec::new()));
    std::fs::rename(&gone, &there).unwrap();
    frozen.arm(&app).await;
    go_to(&app, at(INSTANT)).await;
    house.is_public(&app, &frozen).await;
}

#[tokio::test]
async fn a_mail_server_that_is_gone_is_told_before_there_is_a_mail_to_send() {
    let mut mail = MailServer::start().await;
    let house = House::new(&SINGLE, Some(&mail)).await;
    let app = house.open(PLANNED).await;
    let frozen = house.freeze(&app, at(INSTANT)).await;
    settle(&app).await;
    mail.go_down().await;
    assert_eq!(kinds(&app, &frozen).await, Vec::<String>::new());
    go_to(&app, at(PLANNED) + SignedDuration::from_hours(1)).await;
    assert_eq!(kinds(&app, &frozen).await, ["mail"]);
    mail.come_back().await;
    go_to(&app, at(PLANNED) + SignedDuration::from_hours(2)).await;
    assert_eq!(kinds(&app, &frozen).await, Vec::<String>::new());
    frozen.arm(&app).await;
}
