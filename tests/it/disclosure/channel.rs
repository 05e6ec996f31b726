//! Channels of a release: a folder, a webhook, a forge's releases and advisories; down, refusing, killed in the middle, given up.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use embargo::app::{App, CrashPoint};
use embargo::wire::release::{EffectView, ReleaseView};
use embargo::workflow::{self, channel, publication, release};
use jiff::SignedDuration;
use tokio::io::AsyncWriteExt as _;

use super::kill::child;
use super::{CALL, House, INSTANT, PLANNED, PUBLIC, SINGLE, at, go_to, house, settle};
use crate::support::house::Frozen;
use crate::support::hub::{Hub, Mood, TOKEN};
use crate::support::mail::MailServer;
use crate::support::receiver::{Delivery, Receiver, SECRET};
use crate::support::server::signed_in;

/// A house whose releases go through every kind of channel.
pub(super) struct Wide {
    pub(super) house: House,
    pub(super) hub: Hub,
    pub(super) receiver: Receiver,
}

impl Wide {
    pub(super) async fn stand(mail: Option<&MailServer>, receiver: Receiver) -> Self {
        let (house, hub) = (House::new(&SINGLE, mail).await, Hub::open().await);
        std::fs::create_dir(house.root().join("served")).unwrap();
        house.secret("hook-secret", SECRET);
        house.secret("forge-token", TOKEN);
        let wide = Self { house, hub, receiver };
        wide.house.configure(&format!(
            "[[project.channel]]\nname = \"files\"\nkind = \"folder\"\nfolder = \"{root}/served\"\n\
             [[project.channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{hook}\"\nsecret_file = \"{root}/hook-secret\"\n\
             [[project.channel]]\nname = \"forge\"\nkind = \"forge_release\"\nforge = \"github\"\napi = \"{api}\"\n\
             place = \"sample/core\"\nrepository = \"core\"\ntoken_file = \"{root}/forge-token\"\n\
             [[project.channel]]\nname = \"ghsa\"\nkind = \"github_advisory\"\napi = \"{api}\"\n\
             place = \"sample/core\"\ntoken_file = \"{root}/forge-token\"\n\
             [channels]\ntimeout_seconds = 2\n",
            root = wide.house.root().display(),
            hook = wide.receiver.url(),
            api = wide.hub.url(),
        ));
        wide
    }

    async fn open(&self) -> (Arc<App>, Frozen) {
        let app = self.house.open(PLANNED).await;
        let armed = self.house.arm(&app).await;
        (app, armed)
    }

    pub(super) fn served(&self) -> PathBuf {
        self.house.root().join("served")
    }

    /// Checks that each channel has what the release promised, once.
    async fn has_all(&self, app: &App, armed: &Frozen) {
        self.house.is_public(app, armed).await;
        let id = publication::published(app).await.unwrap().remove(0).id;
        for path in [format!("advisories/{id}.md"), format!("osv/x_{id}.json")] {
            let public = publication::file(app, &path.parse().unwrap()).await.unwrap();
            assert_eq!(std::fs::read(self.served().join(&path)).unwrap(), public.body, "{path}");
        }
        let page = std::fs::read_to_string(self.served().join(format!("advisories/{id}.html"))).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>") && page.contains("A crafted file runs code."), "{page}");
        let mut names: Vec<_> = files(&self.served());
        names.sort();
        assert_eq!(names.len(), 5, "and nothing half written: {names:?}");
        let mut made = self.hub.made();
        made.sort();
        assert_eq!(made, ["sample/core v1.4.2", "sample/core v2.0.1"]);
        for (key, (commit, _)) in ["sample/core v2.0.1", "sample/core v1.4.2"].iter().zip(&armed.candidates) {
            let release = self.hub.release(key);
            let body = release["body"].as_str().unwrap();
            for part in [&*id, "A crafted file runs code.", "### Thanks", "Sample Reporter"] {
                assert!(body.contains(part), "{part} is not in {body}");
            }
            assert_eq!(
                (release["target_commitish"].as_str(), release["draft"].as_bool()),
                (Some(commit.as_str()), Some(false))
            );
        }
        let advisories = self.hub.advisories();
        assert_eq!((advisories.len(), advisories[0]["state"].as_str()), (1, Some("published")));
        let text = advisories[0]["description"].as_str().unwrap();
        assert!(text.contains(&*id) && text.contains("Sample Reporter"), "{text}");
        let got = self.receiver.got();
        let mut ids: Vec<_> = got.iter().map(|delivery| delivery.headers[0].1.clone()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "a repetition has the same id: {ids:?}");
        assert!(got.iter().all(|delivery| delivery.body == got[0].body));
    }
}

/// Returns every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn through<'a>(view: &'a ReleaseView, channel: &str) -> Vec<&'a EffectView> {
    let of = format!("{channel}: ");
    view.effects.iter().filter(|effect| effect.target.starts_with(&of)).collect()
}

/// Verifies a delivery with the library that receivers use.
async fn verify(delivery: &Delivery) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forge");
    #[expect(clippy::disallowed_methods, reason = "the receiver is no part of the program")]
    let mut child = tokio::process::Command::new("node")
        .arg(folder.join("verify.mjs"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let headers: serde_json::Map<_, _> =
        delivery.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
    let input = serde_json::json!({ "secret": SECRET, "headers": headers, "body": delivery.body }).to_string();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let ended = child.wait_with_output().await.unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test]
async fn a_release_goes_through_every_channel_once_its_push_was_read_back() {
    let wide = Wide::stand(None, Receiver::listen().await).await;
    let (app, armed) = wide.open().await;
    assert_eq!(armed.view(&app).await.channels, ["files", "forge", "ghsa", "hook"]);
    go_to(&app, at("2027-01-15T11:59:59.999Z")).await;
    assert!(files(&wide.served()).is_empty() && wide.hub.made().is_empty() && wide.receiver.got().is_empty());
    go_to(&app, at(INSTANT)).await;
    wide.has_all(&app, &armed).await;
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "done");
    let steps: Vec<_> = view.effects.iter().filter(|effect| effect.phase == "publish_channels").collect();
    assert_eq!(steps.len(), 5, "a folder, a webhook, two tags and an advisory: {steps:?}");
    for step in steps {
        assert_eq!((step.state.as_str(), step.after_push_ms, step.may_give_up), ("done", Some(0), false), "{step:?}");
    }
    let got = wide.receiver.got();
    assert_eq!(got.len(), 1);
    let body: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(body["type"], "advisory.published");
    assert!(body["data"]["url"].as_str().unwrap().contains("/advisories/DEMO-2027-0001"), "{body}");
    assert!(!got[0].body.contains("crafted") && !got[0].body.contains("Crafted"), "ids and addresses alone: {body}");
    let app_file = body["data"]["files"][0]["url"].as_str().unwrap().rsplit_once("/advisories/").unwrap().1.to_owned();
    let public = publication::file(&app, &format!("advisories/{app_file}").parse().unwrap()).await.unwrap();
    assert_eq!(body["data"]["files"][0]["sha256"], public.sha256.to_string());
}

/// The signature holds at the real time: receivers refuse what is older than minutes.
#[tokio::test]
async fn a_delivery_is_one_that_receivers_verify() {
    let receiver = Receiver::listen().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let key = embargo::forge::webhook::SigningKey::read(&file).unwrap();
    let forge = embargo::forge::Forge::open(&embargo::forge::Options::default()).unwrap();
    let now = embargo::app::Clock::System.now();
    let body = br#"{"type":"advisory.published"}"#.to_vec();
    forge.deliver(&receiver.url().parse().unwrap(), &key, ("0123", body, now)).await;
    verify(&receiver.got()[0]).await;
}

/// Attack: a stolen disk, or somebody who may read the journal, learns what opens a forge.
#[tokio::test]
async fn no_secret_of_a_channel_is_in_the_data_or_the_journal() {
    let wide = Wide::stand(None, Receiver::listen().await).await;
    let (app, armed) = wide.open().await;
    wide.receiver.answer(400);
    wide.hub.be(Mood::Refuses(401));
    go_to(&app, at(INSTANT)).await;
    let view = serde_json::to_string(&armed.view(&app).await).unwrap();
    assert!(view.contains("does not know the token") && view.contains("refused the message with 400"), "{view}");
    let mut texts = vec![view.into_bytes()];
    texts.extend(files(&wide.house.root().join("data")).iter().map(|file| std::fs::read(file).unwrap()));
    for secret in [TOKEN, SECRET, "canary-of-the-address"] {
        let holds = |text: &&Vec<u8>| text.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert_eq!(texts.iter().filter(holds).count(), 0, "{secret}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_for_the_whole_run_holds_nothing_and_gets_its_message_when_it_is_back() {
    let mail = MailServer::start().await;
    let mut wide = Wide::stand(Some(&mail), Receiver::down().await).await;
    let (app, armed) = wide.open().await;
    mail.clear();
    go_to(&app, at(INSTANT)).await;
    wide.house.is_public(&app, &armed).await;
    assert_eq!((wide.hub.made().len(), files(&wide.served()).len(), mail.ids(PUBLIC).len()), (2, 5, 3));
    let case = workflow::case::show(&app, &armed.team.alice, &armed.cases[0]).await.unwrap();
    assert!(case.summary.published_at.is_some());
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "running", "it is done when every channel is");
    let step = through(&view, "hook")[0];
    assert_eq!((step.state.as_str(), step.note.as_str()), ("pending", "The receiver cannot be reached."));
    for minute in 1..=20 {
        go_to(&app, at(INSTANT) + SignedDuration::from_mins(minute)).await;
    }
    assert!(mail.ids(CALL).is_empty(), "nobody has to be called");
    wide.receiver.come_up().await;
    go_to(&app, at(INSTANT) + SignedDuration::from_hours(1)).await;
    wide.has_all(&app, &armed).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), wide.receiver.got().len()), ("done", 1));
    let gap = through(&view, "hook")[0].after_push_ms.unwrap();
    assert_eq!(gap, 3_600_000, "the page tells how late it was");
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_told_again_under_the_same_id() {
    let wide = Wide::stand(None, Receiver::listen().await).await;
    let (app, armed) = wide.open().await;
    wide.receiver.answer(0);
    go_to(&app, at(INSTANT)).await;
    let view = armed.view(&app).await;
    assert_eq!(through(&view, "hook")[0].state, "unknown");
    assert_eq!(through(&view, "files")[0].state, "done");
    wide.receiver.answer(200);
    go_to(&app, at(INSTANT) + SignedDuration::from_mins(1)).await;
    wide.has_all(&app, &armed).await;
    assert_eq!(wide.receiver.got().len(), 2);
    assert_eq!(armed.view(&app).await.summary.state, "done");
}

#[tokio::test]
async fn a_channel_that_refuses_calls_a_person_who_tries_again_or_gives_it_up() {
    let mail = MailServer::start().await;
    let wide = Wide::stand(Some(&mail), Receiver::listen().await).await;
    let (app, armed) = wide.open().await;
    mail.clear();
    wide.receiver.answer(410);
    wide.hub.be(Mood::Refuses(403));
    go_to(&app, at(INSTANT)).await;
    wide.house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    let hold = view.hold.as_ref().unwrap();
    assert_eq!((view.summary.state.as_str(), hold.reason.as_str(), hold.safe_to_retry), ("held", "channel", true));
    assert_eq!(mail.ids(CALL).len(), 2, "both who can act are called, once, whatever failed");
    assert_eq!(view.allowed, ["resume"]);
    let (alice, id) = (&armed.team.alice, &armed.release);
    let hook = through(&view, "hook")[0].position;
    assert!(through(&view, "hook")[0].may_give_up && !through(&view, "files")[0].may_give_up);

    // Nobody else may, and nothing else can be given up.
    let stranger = signed_in(app.mint());
    let hidden = channel::give_up(&app, &stranger, id, hook).await;
    assert!(matches!(hidden, Err(workflow::Error::NotFound)));
    for position in [0, through(&view, "files")[0].position, 99] {
        let refused = channel::give_up(&app, alice, id, position).await;
        assert!(matches!(refused, Err(workflow::Error::Refused(_))), "{position}: {refused:?}");
    }
    channel::give_up(&app, alice, id, hook).await.unwrap();
    assert_eq!(armed.view(&app).await.summary.state, "held", "the forge still refuses");
    wide.hub.be(Mood::Fine);
    release::resume(&app, alice, id).await.unwrap();
    settle(&app).await;
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "done");
    assert_eq!(through(&view, "hook")[0].state, "given_up");
    assert!(through(&view, "forge").iter().all(|step| step.state == "done"));
    assert_eq!((wide.receiver.got().len(), wide.hub.made().len()), (1, 2));
    assert!(channel::give_up(&app, alice, id, hook).await.is_err(), "it is done");
}

#[tokio::test]
async fn the_last_thing_given_up_ends_the_release() {
    let wide = Wide::stand(None, Receiver::listen().await).await;
    let (app, armed) = wide.open().await;
    wide.receiver.answer(400);
    go_to(&app, at(INSTANT)).await;
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "held");
    channel::give_up(&app, &armed.team.alice, &armed.release, through(&view, "hook")[0].position).await.unwrap();
    settle(&app).await;
    assert_eq!(armed.view(&app).await.summary.state, "done");
}

/// Attack, or a slip: between arming and the instant somebody changes where things go.
#[tokio::test]
async fn what_was_armed_goes_where_it_was_armed_for_whatever_the_configuration_says_then() {
    let wide = Wide::stand(None, Receiver::listen().await).await;
    let (app, armed) = wide.open().await;
    drop(app);
    let other = wide.house.root().join("other");
    std::fs::create_dir(&other).unwrap();
    let text = std::fs::read_to_string(wide.house.config()).unwrap();
    let (kept, _) = text.split_once("[[project.channel]]\nname = \"hook\"").unwrap();
    let served = wide.served().display().to_string();
    let changed = kept.replace(&served, &other.display().to_string());
    std::fs::write(wide.house.config(), format!("{changed}[channels]\ntimeout_seconds = 2\n")).unwrap();
    let app = wide.house.open(INSTANT).await;
    settle(&app).await;
    wide.has_all(&app, &armed).await;
    assert!(files(&other).is_empty());
    assert_eq!(armed.view(&app).await.summary.state, "done");
}

#[tokio::test]
async fn a_release_that_is_frozen_anew_takes_the_channels_of_now() {
    let wide = Wide::stand(None, Receiver::listen().await).await;
    let (app, armed) = wide.open().await;
    release::reopen(&app, &armed.team.alice, &armed.release).await.unwrap();
    drop(app);
    let text = std::fs::read_to_string(wide.house.config()).unwrap();
    let (kept, _) = text.split_once("[[project.channel]]\nname = \"hook\"").unwrap();
    std::fs::write(wide.house.config(), kept).unwrap();
    let app = wide.house.open(PLANNED).await;
    settle(&app).await;
    assert_eq!(armed.view(&app).await.channels, ["files"]);
    release::freeze(&app, &armed.team.alice, &armed.release).await.unwrap();
    armed.arm(&app).await;
    go_to(&app, at(INSTANT)).await;
    wide.house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.channels), ("done", vec!["files".to_owned()]));
    assert_eq!((files(&wide.served()).len(), wide.receiver.got().len(), wide.hub.made().len()), (5, 0, 0));
}

#[tokio::test]
async fn a_folder_that_is_not_there_at_the_instant_gets_its_files_when_it_is_back() {
    let wide = Wide::stand(None, Receiver::listen().await).await;
    let (app, armed) = wide.open().await;
    let away = wide.house.root().join("away");
    std::fs::rename(wide.served(), &away).unwrap();
    go_to(&app, at(INSTANT)).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), through(&view, "files")[0].state.as_str()), ("running", "pending"));
    assert!(!wide.served().exists(), "a disk that is not mounted is no empty folder");
    std::fs::rename(&away, wide.served()).unwrap();
    go_to(&app, at(INSTANT) + SignedDuration::from_mins(1)).await;
    wide.has_all(&app, &armed).await;
    assert_eq!(armed.view(&app).await.summary.state, "done");
}

/// A server killed at each point of each channel, with the others in flight, and started again.
#[tokio::test]
async fn killed_in_a_channel_and_started_again_nothing_is_lost_and_nothing_made_twice() {
    let wide = Wide::stand(None, Receiver::listen().await).await;
    let (app, armed) = wide.open().await;
    drop(app);
    wide.house.save();
    let fresh = || {
        std::fs::remove_dir_all(wide.served()).unwrap();
        std::fs::create_dir(wide.served()).unwrap();
        wide.hub.clear();
        wide.receiver.clear();
    };
    let app = wide.house.open(INSTANT).await;
    settle(&app).await;
    wide.has_all(&app, &armed).await;
    let view = armed.view(&app).await;
    drop(app);
    let steps = view.effects.iter().filter(|effect| effect.phase == "publish_channels");
    let points = ["starting", "started", "acted", "ending", "ended"];
    let points: Vec<_> =
        steps.flat_map(|step| points.map(|point| format!("disclose:{}:{point}", step.position))).collect();
    assert_eq!(points.len(), 25);
    for point in points {
        wide.house.restore();
        fresh();
        assert_eq!(child(&wide.house, &point).await, Some(9), "nothing passed {point}");
        let app = house::open(wide.house.root(), at(INSTANT), CrashPoint::default()).await;
        settle(&app).await;
        wide.has_all(&app, &armed).await;
        assert_eq!(armed.view(&app).await.summary.state, "done", "{point}");
        // A message cannot be looked at: it came once, or twice under one id.
        assert!((1..=2).contains(&wide.receiver.got().len()), "{point}");
    }
}
