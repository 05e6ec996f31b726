//! Waves over real mail, real git and real age: told at their time, opened by a link, handed out, moved, called off.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "`age` and `tar` are no part of the program")]

mod copies;
mod crash;
mod door;
mod moves;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use embargo::app::App;
use embargo::domain::sealed::Secret;
use embargo::wire::wave::{SetWave, ToldView, WavesView};
use embargo::worker;
use embargo::workflow::wave::{self, told};
use embargo::workflow::{self, release, sweep};
use jiff::{SignedDuration, Timestamp};

use crate::support::house::{self, Frozen, House, PLANNED, SINGLE, at};
use crate::support::mail::MailServer;

/// The instant of the releases here: twenty days after they are planned.
const DUE: &str = "2027-02-04T12:00:00Z";
const TOLD: &str = "A security release is planned";
const MOVED: &str = "A planned security release has a new date";
const FELL: &str = "A planned security release is called off for now";
const REMINDER: &str = "A planned security release waits for your word";
const NEAR: &str = "Something needs you soon";
const CALL: &str = "Something needs you now";

/// A house with two audiences: `distros` of two members who may get patches, `vendors` of one who may get a severity.
struct Scene {
    mail: MailServer,
    house: House,
}

/// Makes a member's key with the age program, and returns its public half.
fn key(folder: &Path, name: &str) -> String {
    let file = folder.join(format!("{name}.key"));
    let made = Command::new("age-keygen").arg("-o").arg(&file).output().unwrap();
    assert!(made.status.success());
    let text = std::fs::read_to_string(&file).unwrap();
    text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned()
}

impl Scene {
    async fn set() -> Self {
        let mail = MailServer::start().await;
        let house = House::new(&SINGLE, Some(&mail)).await;
        let mut more =
            "[[project.audience]]\nname = \"distros\"\ncriteria = \"Sample distributions.\"\nlevel = \"patches\"\n"
                .to_owned();
        for name in ["one", "two"] {
            let key = key(house.root(), name);
            more += &format!(
                "[[project.audience.member]]\nname = \"Sample {name}\"\nemail = \"{name}@example.org\"\nkey = \"{key}\"\n"
            );
        }
        more += "[[project.audience]]\nname = \"vendors\"\ncriteria = \"Sample vendors.\"\nlevel = \"severity\"\nlongest = \"3d\"\n\
                 [[project.audience.member]]\nname = \"Sample three\"\nemail = \"three@example.org\"\n";
        house.configure(&more);
        Self { mail, house }
    }

    async fn frozen(&self) -> (Arc<App>, Frozen) {
        let app = self.house.open(PLANNED).await;
        let frozen = self.house.freeze(&app, at(DUE)).await;
        self.mail.clear();
        (app, frozen)
    }

    fn key(&self, name: &str) -> PathBuf {
        self.house.root().join(format!("{name}.key"))
    }

    /// Returns the code of the link that this member was mailed last.
    fn code(&self, member: &str) -> Secret {
        let to = format!("X-RcptTo: {member}@example.org");
        let mails = self.mail.mails();
        let mail = mails.iter().find(|mail| mail.contains(&to) && mail.contains(TOLD)).expect("they were told");
        Secret::new(code_in(mail).expect("with a link"))
    }
}

/// Finds the code of a link in a mail, whose long lines may be broken by its encoding.
fn code_in(mail: &str) -> Option<String> {
    let whole = mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let (_, rest) = whole.split_once("/w/#")?;
    Some(rest.split_whitespace().next()?.to_owned())
}

fn before_due(hours: i64) -> Timestamp {
    at(DUE) - SignedDuration::from_hours(hours)
}

async fn settle(app: &App) {
    worker::settle(app).await.unwrap();
    sweep::run(app).await.unwrap();
    worker::settle(app).await.unwrap();
}

async fn go_to(app: &App, instant: Timestamp) {
    app.clock.set(instant);
    settle(app).await;
}

async fn set(app: &App, frozen: &Frozen, audience: &str, level: &str, before: &str) -> workflow::Result<()> {
    let wish =
        SetWave { audience: audience.parse().unwrap(), level: level.parse().unwrap(), before: before.parse().unwrap() };
    wave::set(app, &frozen.team.alice, &frozen.release, &wish).await
}

async fn waves(app: &App, frozen: &Frozen) -> WavesView {
    wave::show(app, &frozen.team.alice, &frozen.release).await.unwrap()
}

/// Opens a link that is good.
async fn opened(app: &App, code: &Secret) -> ToldView {
    match told::open(app, code).await.unwrap() {
        told::Opened::Told(view) => *view,
        told::Opened::Public(_) | told::Opened::Nothing => panic!("the link opens nothing"),
    }
}

async fn opens_nothing(app: &App, code: &Secret) -> bool {
    matches!(told::open(app, code).await.unwrap(), told::Opened::Nothing)
}

#[tokio::test]
async fn an_audience_is_told_at_its_time_by_links_of_their_own() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    let digest = frozen.view(&app).await.digest;
    set(&app, &frozen, "distros", "date", "7d").await.unwrap();
    set(&app, &frozen, "distros", "patches", "2d").await.unwrap();
    set(&app, &frozen, "vendors", "severity", "3d").await.unwrap();
    let with = frozen.view(&app).await.digest;
    assert_ne!(with, digest, "what people arm names the waves");
    frozen.arm(&app).await;
    let refused = set(&app, &frozen, "vendors", "date", "1d").await.unwrap_err().to_string();
    assert!(refused.contains("disarm it first"), "{refused}");

    go_to(&app, before_due(7 * 24) - SignedDuration::from_mins(1)).await;
    assert_eq!(scene.mail.ids(TOLD).len(), 0);
    go_to(&app, before_due(7 * 24)).await;
    settle(&app).await;
    assert_eq!(scene.mail.ids(TOLD).len(), 2, "each member once");
    let dated = opened(&app, &scene.code("one")).await;
    assert_eq!((dated.severity, dated.key, dated.questions.len()), (None, None, 1));
    assert_eq!(dated.questions[0].advisory, None, "not even how many advisories there are");
    assert_eq!(dated.lines.iter().map(|line| line.tag.as_str()).collect::<Vec<_>>(), ["v2.0.1", "v1.4.2"]);

    scene.mail.clear();
    go_to(&app, before_due(3 * 24)).await;
    let mails = scene.mail.mails();
    let [text] = mails.iter().filter(|mail| mail.contains(TOLD)).collect::<Vec<_>>()[..] else { panic!("{mails:?}") };
    assert!(
        text.contains("X-RcptTo: three@example.org") && text.contains("The highest severity: not rated."),
        "{text}"
    );
    for secret in ["DEMO-1", "DEMO-R", "distros", "Crafted", "Sample one"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let three = scene.code("three");
    assert!(copies::fetched(&app, &three).await.is_err(), "a severity is all they may have");

    scene.mail.clear();
    go_to(&app, before_due(2 * 24)).await;
    let one = scene.code("one");
    let view = opened(&app, &one).await;
    assert!(view.key.unwrap().starts_with("SHA256:"));
    let advisory = view.questions[0].advisory.clone().unwrap();
    told::acknowledge(&app, &one).await.unwrap();
    let answer = embargo::domain::recipient::Answer {
        advisory: Some(advisory.parse().unwrap()),
        affect: embargo::domain::recipient::Affect::NotAffected,
        remark: Some("We do not build that part.".parse().unwrap()),
    };
    told::answer(&app, &one, &answer).await.unwrap();
    let seen = waves(&app, &frozen).await;
    let said = seen.recipients.iter().find(|known| known.name == "Sample one" && known.level == "patches").unwrap();
    assert_eq!((said.state.as_str(), said.answers[0].answer.as_str()), ("acknowledged", "not_affected"));
    assert_eq!(said.answers[0].remark.as_deref(), Some("We do not build that part."));
    let waves = frozen.view(&app).await.waves;
    let patches = waves.iter().find(|wave| wave.level == "patches").unwrap();
    assert_eq!((patches.told, patches.acknowledged, patches.failed, patches.state.as_str()), (2, 1, 0, "sent"));

    go_to(&app, at(DUE)).await;
    scene.house.is_public(&app, &frozen).await;
    match told::open(&app, &one).await.unwrap() {
        told::Opened::Public(ids) => assert_eq!(ids.iter().map(ToString::to_string).collect::<Vec<_>>(), [advisory]),
        told::Opened::Told(_) | told::Opened::Nothing => panic!("what is public is said so"),
    }
}

#[tokio::test]
async fn a_wave_that_is_due_at_the_freezing_goes_out_before_anybody_arms() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    app.clock.set(before_due(24));
    set(&app, &frozen, "distros", "patches", "7d").await.unwrap();
    let blockers = frozen.view(&app).await.blockers;
    assert_eq!(blockers.iter().map(|blocker| blocker.kind.as_str()).collect::<Vec<_>>(), ["wave"]);
    assert_eq!(blockers[0].owner, "release_manager");
    let refused = house::arm(&app, &frozen.team.alice, &frozen.release).await.unwrap_err();
    assert!(matches!(refused, workflow::Error::Blocked(_)), "{refused}");
    settle(&app).await;
    assert_eq!(scene.mail.ids(TOLD).len(), 2);
    frozen.arm(&app).await;
}

#[tokio::test]
async fn the_instant_waits_for_no_wave() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "distros", "patches", "1d").await.unwrap();
    frozen.arm(&app).await;
    // The server sleeps over the wave and wakes at the instant.
    go_to(&app, at(DUE)).await;
    scene.house.is_public(&app, &frozen).await;
    let view = frozen.view(&app).await;
    assert_eq!((view.summary.state.as_str(), view.waves[0].state.as_str()), ("done", "passed_over"));
    assert!(view.waves[0].note.contains("nobody was told"));
    assert_eq!(scene.mail.ids(TOLD).len(), 0);
}

#[tokio::test]
async fn everybody_is_told_that_a_release_comes_and_nothing_else() {
    let scene = Scene::set().await;
    let (app, frozen) = scene.frozen().await;
    set(&app, &frozen, "public", "date", "3d").await.unwrap();
    assert!(set(&app, &frozen, "public", "text", "1d").await.is_err());
    frozen.arm(&app).await;
    let feed = async || String::from_utf8(workflow::publication::atom(&app).await.unwrap()).unwrap();
    assert!(!feed().await.contains("planned"));
    go_to(&app, before_due(3 * 24)).await;
    let planned = workflow::publication::planned(&app).await.unwrap();
    assert_eq!((planned.len(), planned[0].due_at.as_str(), planned[0].severity.as_deref()), (1, DUE, None));
    let text = feed().await;
    assert!(text.contains("A security release of Demo is planned for 2027-02-04 12:00:00 UTC"), "{text}");
    for secret in ["Crafted", "DEMO-1", "DEMO-2027", "v2.0.1"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    release::reopen(&app, &frozen.team.alice, &frozen.release).await.unwrap();
    assert!(workflow::publication::planned(&app).await.unwrap().is_empty(), "its date fell");
    assert!(!feed().await.contains("planned"));
    settle(&app).await;
}
