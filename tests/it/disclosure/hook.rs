//! Hooks around the instant: called at their time and once, undone where the release does not go ahead, in nobody's way.

use std::sync::Arc;

use embargo::app::{App, CrashPoint};
use embargo::workflow::{channel, release};
use jiff::SignedDuration;

use super::kill::child_at;
use super::{CALL, House, INSTANT, PLANNED, SINGLE, at, go_to, house, settle};
use crate::support::house::Frozen;
use crate::support::hub::{Hub, Mood, TOKEN};
use crate::support::mail::MailServer;
use crate::support::receiver::{Receiver, SECRET};

const FREEZES: &str = "2027-01-15T10:00:00Z";

/// A house whose nightly builds are frozen two hours before the instant, and unfrozen a quarter of an hour after it.
struct Still {
    house: House,
    hub: Hub,
    receiver: Receiver,
}

impl Still {
    async fn stand(mail: Option<&MailServer>, receiver: Receiver) -> Self {
        let (house, hub) = (House::new(&SINGLE, mail).await, Hub::open().await);
        house.secret("hook-secret", SECRET);
        house.secret("forge-token", TOKEN);
        house.configure(&format!(
            "[[project.hook]]\nname = \"freeze\"\nat = \"-2h\"\nundo = \"unfreeze\"\nkind = \"webhook\"\nurl = \"{hook}\"\n\
             secret_file = \"{root}/hook-secret\"\n\
             [[project.hook]]\nname = \"unfreeze\"\nat = \"+15m\"\nkind = \"workflow\"\nforge = \"github\"\napi = \"{api}\"\n\
             place = \"sample/core\"\nworkflow = \"nightly.yml\"\nbranch = \"main\"\ninputs = {{ state = \"open\" }}\n\
             token_file = \"{root}/forge-token\"\n[channels]\ntimeout_seconds = 2\n",
            root = house.root().display(),
            hook = receiver.url(),
            api = hub.url(),
        ));
        Self { house, hub, receiver }
    }

    async fn armed() -> (Self, Arc<App>, Frozen) {
        let still = Self::stand(None, Receiver::listen().await).await;
        let app = still.house.open(PLANNED).await;
        let armed = still.house.arm(&app).await;
        (still, app, armed)
    }
}

/// Returns the state of a hook as the release shows it, and of what undoes it.
async fn shown(app: &App, armed: &Frozen) -> Vec<(String, String)> {
    let hooks = armed.view(app).await.hooks;
    hooks.into_iter().map(|hook| (hook.undoes.unwrap_or(hook.name), hook.state)).collect()
}

fn states(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test]
async fn hooks_are_called_at_their_times_and_say_nothing_of_the_release() {
    let (still, app, armed) = Still::armed().await;
    assert_eq!(shown(&app, &armed).await, states(&[("freeze", "ahead"), ("unfreeze", "ahead")]));
    go_to(&app, at(FREEZES) - SignedDuration::from_secs(1)).await;
    assert!(still.receiver.got().is_empty());
    go_to(&app, at(FREEZES)).await;
    go_to(&app, at(FREEZES) + SignedDuration::from_mins(30)).await;
    let got = still.receiver.got();
    assert_eq!(got.len(), 1, "once");
    let body: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(body, serde_json::json!({ "type": "hook.called", "timestamp": FREEZES, "data": { "hook": "freeze" } }));
    assert_eq!(shown(&app, &armed).await[1], ("freeze".to_owned(), "done".to_owned()));

    go_to(&app, at(INSTANT)).await;
    still.house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    let step = view.effects.iter().find(|effect| effect.phase == "call_hooks").unwrap();
    assert_eq!((view.summary.state.as_str(), step.state.as_str(), step.attempts), ("running", "pending", 0));
    assert!(still.hub.dispatched().is_empty());
    go_to(&app, at(INSTANT) + SignedDuration::from_mins(15)).await;
    let sent = serde_json::json!({ "ref": "main", "inputs": { "state": "open" } });
    assert_eq!(still.hub.dispatched(), [("sample/core nightly.yml".to_owned(), sent)]);
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "done", "{:?}", view.effects);
    assert_eq!(still.receiver.got().len(), 1, "nothing is undone");
}

#[tokio::test]
async fn what_was_frozen_is_unfrozen_when_the_release_is_disarmed_and_frozen_anew_when_armed_again() {
    let (still, app, armed) = Still::armed().await;
    go_to(&app, at(FREEZES)).await;
    release::disarm(&app, &armed.team.alice, &armed.release).await.unwrap();
    settle(&app).await;
    assert_eq!(still.hub.dispatched().len(), 1);
    let after = shown(&app, &armed).await;
    assert!(after.contains(&("freeze".to_owned(), "undone".to_owned())), "{after:?}");
    armed.arm(&app).await;
    settle(&app).await;
    assert_eq!((still.receiver.got().len(), still.hub.dispatched().len()), (2, 1));
    assert_ne!(still.receiver.got()[0].headers[0].1, still.receiver.got()[1].headers[0].1, "another call, another id");
    go_to(&app, at(INSTANT)).await;
    still.house.is_public(&app, &armed).await;
}

#[tokio::test]
async fn a_release_postponed_past_its_hook_or_abandoned_leaves_nothing_frozen() {
    let (still, app, armed) = Still::armed().await;
    go_to(&app, at(FREEZES)).await;
    let (alice, id) = (&armed.team.alice, &armed.release);
    release::postpone(&app, alice, id, at("2027-01-15T18:00:00Z")).await.unwrap();
    settle(&app).await;
    assert_eq!((still.receiver.got().len(), still.hub.dispatched().len()), (1, 1));
    go_to(&app, at("2027-01-15T16:00:00Z")).await;
    assert_eq!((still.receiver.got().len(), still.hub.dispatched().len()), (2, 1), "at its new time");
    release::postpone(&app, alice, id, at("2027-01-15T18:00:00Z") + SignedDuration::from_secs(1)).await.unwrap();
    release::disarm(&app, alice, id).await.unwrap();
    release::abandon(&app, alice, id).await.unwrap();
    settle(&app).await;
    assert_eq!((still.receiver.got().len(), still.hub.dispatched().len()), (2, 2));
}

#[tokio::test]
async fn a_hook_that_is_not_taken_is_told_tried_until_the_instant_and_holds_nothing() {
    let mail = MailServer::start().await;
    let still = Still::stand(Some(&mail), Receiver::listen().await).await;
    still.receiver.answer(410);
    let app = still.house.open(PLANNED).await;
    let armed = still.house.arm(&app).await;
    go_to(&app, at(FREEZES)).await;
    settle(&app).await;
    assert_eq!(still.receiver.got().len(), 1);
    assert_eq!(mail.ids(CALL).len(), 2, "each manager is called once");
    go_to(&app, at(FREEZES) + SignedDuration::from_mins(10)).await;
    assert_eq!(still.receiver.got().len(), 2);
    assert_eq!(still.receiver.got()[0].headers[0], still.receiver.got()[1].headers[0], "the same message");
    go_to(&app, at(INSTANT)).await;
    settle(&app).await;
    still.house.is_public(&app, &armed).await;
    let hooks = armed.view(&app).await.hooks;
    let freeze = hooks.iter().find(|hook| hook.name == "freeze").unwrap();
    assert_eq!((freeze.state.as_str(), freeze.note.contains("410")), ("passed_over", true), "{hooks:?}");
    assert_eq!(mail.ids(CALL).len(), 2);
}

#[tokio::test]
async fn a_workflow_that_may_have_been_started_is_not_started_again_by_itself() {
    let (still, app, armed) = Still::armed().await;
    still.hub.be(Mood::LosesAnswers);
    go_to(&app, at(INSTANT)).await;
    go_to(&app, at(INSTANT) + SignedDuration::from_mins(15)).await;
    go_to(&app, at(INSTANT) + SignedDuration::from_mins(20)).await;
    assert_eq!(still.hub.dispatched().len(), 1);
    let view = armed.view(&app).await;
    assert_eq!(view.hold.as_ref().map(|hold| hold.reason.as_str()), Some("hook"), "{:?}", view.effects);
    let step = view.effects.iter().find(|effect| effect.phase == "call_hooks").unwrap().position;
    channel::give_up(&app, &armed.team.alice, &armed.release, step).await.unwrap();
    settle(&app).await;
    assert_eq!(armed.view(&app).await.summary.state, "done");
}

/// A server that dies between writing down that it calls and calling, or between calling and writing that down.
#[tokio::test]
async fn a_server_that_dies_in_the_middle_calls_again_under_the_same_id() {
    for (point, times) in [("hook:started", 1), ("hook:acted", 2)] {
        let still = Still::stand(None, Receiver::listen().await).await;
        let app = still.house.open(PLANNED).await;
        let armed = still.house.arm(&app).await;
        drop(app);
        assert_eq!(child_at(&still.house, FREEZES, point).await, Some(9), "nothing passed {point}");
        let app =
            house::open(still.house.root(), at(FREEZES) + SignedDuration::from_mins(3), CrashPoint::default()).await;
        settle(&app).await;
        let got = still.receiver.got();
        assert_eq!(got.len(), times, "{point}");
        assert!(got.iter().all(|delivery| delivery.headers[0] == got[0].headers[0]));
        assert!(shown(&app, &armed).await.contains(&("freeze".to_owned(), "done".to_owned())));
    }
}
