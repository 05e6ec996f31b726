//! Packages that a release waits for: there, late, never, withdrawn; and what waits for them.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the clients that judge are no part of the program")]

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use embargo::app::App;
use embargo::domain::awaited::{Follows, FrozenPackage, Registry as Place, Sight};
use embargo::domain::id::{Minted as _, UpstreamId};
use embargo::forge::{Forge, Options};
use embargo::wire::release::{EffectView, ReleaseView};
use embargo::workflow::{channel, publication, release};
use jiff::SignedDuration;
use tokio::process::Command;

use super::kill::child;
use super::{CALL, House, INSTANT, PLANNED, PUBLIC, SINGLE, at, go_to, settle};
use crate::support::house::Frozen;
use crate::support::hub::{Hub, TOKEN};
use crate::support::mail::MailServer;
use crate::support::registry::Registry;

/// A house whose releases wait for a package, and are told to a forge.
struct Shop {
    house: House,
    hub: Hub,
    registry: Registry,
}

impl Shop {
    async fn open(advisory: &str, mail: Option<&MailServer>) -> Self {
        let (house, hub, registry) = (House::new(&SINGLE, mail).await, Hub::open().await, Registry::open().await);
        house.secret("forge-token", TOKEN);
        house.configure(&format!(
            "[[project.await]]\nname = \"wheel\"\nrepository = \"core\"\nkind = \"python\"\npackage = \"sample\"\n\
             index = \"{index}\"\nadvisory = \"{advisory}\"\nwait_minutes = 30\n\
             [[project.channel]]\nname = \"forge\"\nkind = \"forge_release\"\nforge = \"github\"\napi = \"{api}\"\n\
             place = \"sample/core\"\nrepository = \"core\"\ntoken_file = \"{root}/forge-token\"\n",
            index = registry.url("simple"),
            api = hub.url(),
            root = house.root().display(),
        ));
        Self { house, hub, registry }
    }

    async fn arm(&self) -> (Arc<App>, Frozen) {
        let app = self.house.open(PLANNED).await;
        let armed = self.house.arm(&app).await;
        (app, armed)
    }

    /// Both tags have a package from now on.
    fn build(&self) {
        self.registry.publish("2.0.1");
        self.registry.publish("1.4.2");
    }
}

fn waits(view: &ReleaseView) -> Vec<&EffectView> {
    view.effects.iter().filter(|effect| effect.phase == "await_packages").collect()
}

async fn later(app: &App, minutes: i64) {
    go_to(app, at(INSTANT) + SignedDuration::from_mins(minutes)).await;
}

#[tokio::test]
async fn an_advisory_waits_for_its_packages_and_the_forge_that_builds_them_does_not() {
    let mail = MailServer::start().await;
    let shop = Shop::open("package", Some(&mail)).await;
    let (app, armed) = shop.arm().await;
    let said = armed.view(&app).await.awaits;
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("The advisory waits for wheel 2.0.1"), "{said:?}");
    assert_eq!(shop.registry.asked(), 0, "nobody is asked before the instant: it would tell what comes");
    mail.clear();
    go_to(&app, at(INSTANT)).await;
    assert_eq!(shop.hub.made().len(), 2, "the forge was told");
    assert!(publication::published(&app).await.unwrap().is_empty() && mail.ids(PUBLIC).is_empty());
    for key in ["sample/core v2.0.1", "sample/core v1.4.2"] {
        let body = shop.hub.release(key)["body"].to_string();
        assert!(!body.contains("A crafted file runs code."), "the text waits too: {body}");
    }
    shop.registry.publish("2.0.1");
    later(&app, 3).await;
    assert!(publication::published(&app).await.unwrap().is_empty(), "the other line's package is missing");
    shop.registry.publish("1.4.2");
    later(&app, 7).await;
    shop.house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), mail.ids(PUBLIC).len(), mail.ids(CALL).len()), ("done", 3, 0));
    let gaps: Vec<_> = waits(&view).iter().map(|step| step.after_push_ms).collect();
    assert_eq!(gaps, [Some(180_000), Some(420_000)], "the report says when each could be installed");
}

#[tokio::test]
async fn an_advisory_that_follows_the_push_is_out_at_once_and_the_release_is_done_with_its_package() {
    let shop = Shop::open("push", None).await;
    let (app, armed) = shop.arm().await;
    shop.registry.fall_ill(Some(503));
    go_to(&app, at(INSTANT)).await;
    shop.house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "running");
    assert_eq!(waits(&view)[0].note, "Its registry does not answer.");
    assert!(shop.hub.release("sample/core v2.0.1")["body"].to_string().contains("A crafted file runs code."));
    shop.registry.fall_ill(None);
    shop.build();
    later(&app, 5).await;
    assert_eq!(armed.view(&app).await.summary.state, "done");
}

#[tokio::test]
async fn an_advisory_goes_out_without_a_package_that_takes_too_long_where_the_project_said_so() {
    let mail = MailServer::start().await;
    let shop = Shop::open("package_or_time", Some(&mail)).await;
    let (app, armed) = shop.arm().await;
    mail.clear();
    go_to(&app, at(INSTANT)).await;
    later(&app, 29).await;
    assert!(publication::published(&app).await.unwrap().is_empty());
    later(&app, 30).await;
    shop.house.is_public(&app, &armed).await;
    let view = armed.view(&app).await;
    assert_eq!((view.summary.state.as_str(), mail.ids(CALL).len()), ("done", 0));
    for step in waits(&view) {
        assert_eq!((step.state.as_str(), step.after_push_ms), ("given_up", None));
        assert!(step.note.contains("30 minutes are over"), "{step:?}");
    }
}

#[tokio::test]
async fn a_package_that_does_not_come_calls_a_person_who_waits_again_or_goes_on_without_it() {
    let mail = MailServer::start().await;
    let shop = Shop::open("package", Some(&mail)).await;
    let (app, armed) = shop.arm().await;
    let (alice, id) = (&armed.team.alice, &armed.release);
    mail.clear();
    go_to(&app, at(INSTANT)).await;
    shop.registry.publish("2.0.1");
    shop.registry.publish("1.4.2");
    shop.registry.yank("1.4.2");
    later(&app, 31).await;
    let view = armed.view(&app).await;
    let hold = view.hold.as_ref().unwrap();
    assert_eq!((view.summary.state.as_str(), hold.reason.as_str(), hold.safe_to_retry), ("held", "package", true));
    assert!(hold.commands.iter().any(|command| command.contains("give-up")), "{:?}", hold.commands);
    assert_eq!(mail.ids(CALL).len(), 2);
    assert!(publication::published(&app).await.unwrap().is_empty());
    release::resume(&app, alice, id).await.unwrap();
    settle(&app).await;
    assert_eq!(armed.view(&app).await.summary.state, "running", "it waits as long again");
    later(&app, 60).await;
    assert_eq!(armed.view(&app).await.summary.state, "running");
    later(&app, 62).await;
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "held");
    let missing = waits(&view).into_iter().find(|step| step.may_give_up).unwrap();
    assert!(missing.target.contains("v1.4.2"), "{missing:?}");
    channel::give_up(&app, alice, id, missing.position).await.unwrap();
    settle(&app).await;
    shop.house.is_public(&app, &armed).await;
    assert_eq!(armed.view(&app).await.summary.state, "done");
}

#[tokio::test]
async fn a_tag_that_says_no_version_is_told_before_it_is_frozen() {
    let shop = Shop::open("package", None).await;
    let config = std::fs::read_to_string(shop.house.config()).unwrap();
    let named = config.replace("kind = \"python\"\n", "kind = \"python\"\ntag = \"core-{version}\"\n");
    std::fs::write(shop.house.config(), named).unwrap();
    let app = shop.house.open(PLANNED).await;
    let team = shop.house.team(&app).await;
    let case = shop.house.accept(&app, &team).await;
    for target in [0, 1] {
        shop.house.fix(&app, &team, (&case, target), ("code.txt", "mended\n")).await;
    }
    let wish = shop.house.plan(std::slice::from_ref(&case), at(INSTANT));
    let id = embargo::workflow::plan::plan(&app, &team.alice, &wish).await.unwrap();
    settle(&app).await;
    shop.house.write(&app, &team, (&case, &[0, 1])).await;
    let said = release::show(&app, &team.alice, &id).await.unwrap().awaits;
    assert!(said[0].contains("does not say the version of the awaited package wheel"), "{said:?}");
    let refused = release::freeze(&app, &team.alice, &id).await.unwrap_err();
    // Performed on copies, it was found at once.
    let embargo::workflow::Error::Blocked(said) = refused else { panic!("{refused:?}") };
    assert!(format!("{said:?}").contains("does not say the version of the awaited package wheel"), "{said:?}");
}

/// Crash: in the middle of a look, and after it; a package is never taken for there because a look was begun.
#[tokio::test]
async fn a_server_killed_while_it_waits_goes_on_waiting() {
    let shop = Shop::open("package", None).await;
    let (app, armed) = shop.arm().await;
    drop(app);
    shop.house.save();
    let app = shop.house.open(INSTANT).await;
    settle(&app).await;
    let position = waits(&armed.view(&app).await)[0].position;
    drop(app);
    for point in ["started", "acted", "ended"] {
        shop.house.restore();
        shop.registry.clear();
        shop.hub.clear();
        assert_eq!(child(&shop.house, &format!("disclose:{position}:{point}")).await, Some(9), "{point}");
        let app = shop.house.open(INSTANT).await;
        settle(&app).await;
        assert!(publication::published(&app).await.unwrap().is_empty(), "{point}");
        shop.build();
        later(&app, 2).await;
        shop.house.is_public(&app, &armed).await;
        assert_eq!(armed.view(&app).await.summary.state, "done", "{point}");
    }
}

/// What is asked is what the clients that install ask: they find a version when we do, and not before.
#[tokio::test]
async fn a_package_is_there_when_the_client_that_installs_it_finds_it() {
    let registry = Registry::open().await;
    let forge = Forge::open(&Options::default()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let sight = async |place: Place, version: &str| {
        let package = FrozenPackage {
            name: "sample".parse().unwrap(),
            upstream: UpstreamId::mint(1, [7; 10]),
            tag: format!("v{version}").parse().unwrap(),
            version: version.parse().unwrap(),
            place,
            advisory: Follows::Push,
            wait_minutes: 1,
            cases: Vec::new(),
        };
        forge.sight(&package).await
    };
    registry.publish("1.2.0");
    registry.publish("1.3.0");
    registry.yank("1.3.0");
    let (index, package) = (|part: &str| registry.url(part).parse().unwrap(), || "sample".parse().unwrap());
    for (version, python, npm, cargo, url) in [
        ("1.2.0", Sight::There, Sight::There, Sight::There, Sight::There),
        ("1.2.1", Sight::NotYet, Sight::NotYet, Sight::NotYet, Sight::NotYet),
        // Of the three, npm knows no withdrawn versions.
        ("1.3.0", Sight::NotYet, Sight::There, Sight::NotYet, Sight::There),
    ] {
        let place = Place::Python { index: index("simple"), package: package() };
        assert_eq!((sight(place, version).await, version), (python, version), "a Python index");
        assert_eq!(pip(&registry, home.path(), version).await, python == Sight::There, "pip {version}");
        let place = Place::Npm { index: index("npm"), package: package() };
        assert_eq!((sight(place, version).await, version), (npm, version), "npm");
        assert_eq!(npm_view(&registry, home.path(), version).await, npm == Sight::There, "npm {version}");
        let place = Place::Cargo { index: index("cargo"), package: package() };
        assert_eq!((sight(place, version).await, version), (cargo, version), "cargo");
        assert_eq!(cargo_resolve(&registry, home.path(), version).await, cargo == Sight::There, "cargo {version}");
        let place = Place::Url { index: index("files/{version}/sample.zip") };
        assert_eq!((sight(place, version).await, version), (url, version), "an address");
    }
    registry.fall_ill(Some(500));
    assert_eq!(sight(Place::Npm { index: index("npm"), package: package() }, "1.2.0").await, Sight::Silent);
    registry.fall_ill(None);
    let strange = Place::Python { index: index("cargo/sa"), package: "mp".parse().unwrap() };
    assert_eq!(sight(strange, "1.2.0").await, Sight::NotYet, "there is no such page");
}

/// Asks pip for the versions it would install.
async fn pip(registry: &Registry, home: &Path, version: &str) -> bool {
    let index = registry.url("simple");
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "--isolated", "--disable-pip-version-check", "--no-cache-dir", "index", "versions"]);
    command.args(["sample", "--index-url", &index]);
    let said = said(command, home).await;
    assert!(said.contains("0.1.0"), "pip can read the index: {said}");
    said.lines().any(|line| line.starts_with("Available versions:") && line.contains(version))
}

async fn npm_view(registry: &Registry, home: &Path, version: &str) -> bool {
    let mut command = Command::new("npm");
    command.args(["view", &format!("sample@{version}"), "version", "--registry", &registry.url("npm")]);
    command.arg("--cache").arg(home.join("npm"));
    said(command, home).await.trim() == version
}

/// Has cargo choose this very version for a package that needs it.
async fn cargo_resolve(registry: &Registry, home: &Path, version: &str) -> bool {
    let project = home.join("project");
    std::fs::create_dir_all(project.join("src")).unwrap();
    std::fs::create_dir_all(project.join(".cargo")).unwrap();
    std::fs::write(project.join("src/lib.rs"), "").unwrap();
    let config = format!("[registries.shop]\nindex = \"sparse+{}/\"\n", registry.url("cargo"));
    std::fs::write(project.join(".cargo/config.toml"), config).unwrap();
    let needs = format!("sample = {{ version = \"={version}\", registry = \"shop\" }}");
    let manifest =
        format!("[package]\nname = \"project\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\n{needs}\n");
    std::fs::write(project.join("Cargo.toml"), manifest).unwrap();
    let lock = project.join("Cargo.lock");
    let _ = std::fs::remove_file(&lock);
    let mut command = Command::new("cargo");
    command.args(["generate-lockfile", "--quiet"]).current_dir(&project).env("CARGO_HOME", home.join("cargo"));
    said(command, home).await;
    std::fs::read_to_string(&lock).is_ok_and(|lock| lock.contains(&format!("version = \"{version}\"")))
}

/// Runs a client and returns what it says.
async fn said(mut command: Command, home: &Path) -> String {
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    if !command.as_std().get_program().eq("cargo") {
        command.env("HOME", home);
    }
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
