//! A release killed at moments nobody chose, five hundred times, while everybody it speaks to has a bad day: no effect twice,
//! none missing, and never an advisory before its fix.
//!
//! Each run has a number, which says all that chance decided in it: a failure names it, and it can be run again alone.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the test starts itself as a child, and reads what it was told then")]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use embargo::app::{App, CrashPoint};
use embargo::workflow::{publication, release};
use jiff::{SignedDuration, Timestamp};
use tokio::process::Child;

use super::channel::files;
use super::{DOUBLE, House, INSTANT, PLANNED, PUBLIC, at, house, settle};
use crate::support::house::Frozen;
use crate::support::hub::{Hub, Mood, TOKEN};
use crate::support::mail::MailServer;
use crate::support::program;
use crate::support::receiver::{Receiver, SECRET};
use crate::support::registry::Registry;

/// Where the child's house is, and what time it is there.
const CHILD: (&str, &str) = ("EMBARGO_TEST_CHANCE_HOUSE", "EMBARGO_TEST_CHANCE_NOW");
/// The number of the only run to make, for looking at one that failed.
const ONLY: &str = "EMBARGO_TEST_CHANCE_RUN";
/// How many runs each half has.
const HALF: u64 = 250;

/// Half of the runs each, so that two cores share the work.
#[tokio::test]
async fn killed_at_random_nothing_is_lost_nothing_done_twice_and_the_order_is_kept() {
    killed(0..HALF).await;
}

#[tokio::test]
async fn killed_at_random_again_nothing_is_lost_nothing_done_twice_and_the_order_is_kept() {
    killed(HALF..2 * HALF).await;
}

/// Everybody a release of two cases over two repositories speaks to.
struct World {
    house: House,
    mail: MailServer,
    hub: Hub,
    receiver: Receiver,
    registry: Registry,
}

/// Throws: the same number, the same throws (SplitMix64).
struct Dice(u64);

impl Dice {
    /// Returns one of these.
    fn pick<T, const N: usize>(&mut self, of: [T; N]) -> T {
        let at = self.throw(N as u64);
        of.into_iter().zip(0..).find(|(_, place)| *place == at).unwrap().0
    }

    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

impl World {
    async fn stand() -> Self {
        let mail = MailServer::start().await;
        let house = House::new(&DOUBLE, Some(&mail)).await;
        let (hub, receiver, registry) = (Hub::open().await, Receiver::listen().await, Registry::open().await);
        house.secret("hook-secret", SECRET);
        house.secret("forge-token", TOKEN);
        std::fs::create_dir(house.root().join("served")).unwrap();
        house.configure(&format!(
            "[[project.channel]]\nname = \"files\"\nkind = \"folder\"\nfolder = \"{root}/served\"\n\
             [[project.channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{hook}\"\nsecret_file = \"{root}/hook-secret\"\n\
             [[project.channel]]\nname = \"forge\"\nkind = \"forge_release\"\nforge = \"github\"\napi = \"{api}\"\n\
             place = \"sample/core\"\nrepository = \"core\"\ntoken_file = \"{root}/forge-token\"\n\
             [[project.await]]\nname = \"zip\"\nrepository = \"extra\"\nkind = \"url\"\n\
             index = \"{zip}\"\nadvisory = \"package\"\n\
             [channels]\ntimeout_seconds = 1\n",
            root = house.root().display(),
            hook = receiver.url(),
            api = hub.url(),
            zip = registry.url("files/{version}/sample.zip"),
        ));
        Self { house, mail, hub, receiver, registry }
    }

    fn served(&self) -> PathBuf {
        self.house.root().join("served")
    }

    /// Puts everything back to where it was when the release was armed.
    fn fresh(&self) {
        self.house.restore();
        std::fs::remove_dir_all(self.served()).unwrap();
        std::fs::create_dir(self.served()).unwrap();
        self.mail.clear();
        self.hub.clear();
        self.receiver.clear();
        self.registry.clear();
    }

    /// Gives everybody a day of some kind.
    fn have_a_day(&self, dice: &mut Dice) {
        // Whoever does not answer costs a second of waiting: a rare kind of day.
        self.receiver.answer(dice.pick([204, 204, 204, 204, 503, 503, 503, 0]));
        let bad = [Mood::Answers(503), Mood::LosesAnswers, Mood::Forgets(502)];
        let rare = dice.throw(8) == 0;
        let bad = dice.pick(bad);
        self.hub.be(if rare { Mood::Trails } else { dice.pick([Mood::Fine, bad]) });
        if dice.throw(2) == 0 {
            self.registry.publish("0.3.1");
        }
        for repository in self.house.repositories() {
            self.obstruct(repository, dice.throw(5));
        }
    }

    /// Has a public repository refuse, or die before or after it took what it was sent; or none of it.
    fn obstruct(&self, repository: &str, how: u64) {
        let hooks = self.house.upstream(repository).join("hooks");
        for hook in ["pre-receive", "post-receive"] {
            let _ = std::fs::remove_file(hooks.join(hook));
        }
        let (hook, text) = match how {
            0 => ("pre-receive", "#!/bin/sh\ncat >/dev/null\nexit 1\n"),
            1 => ("pre-receive", "#!/bin/sh\nkill -9 $PPID\n"),
            2 => ("post-receive", "#!/bin/sh\nkill -9 $PPID\n"),
            _ => return,
        };
        std::fs::create_dir_all(&hooks).unwrap();
        std::fs::write(hooks.join(hook), text).unwrap();
        std::fs::set_permissions(hooks.join(hook), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn have_a_good_day(&self) {
        self.receiver.answer(204);
        self.hub.be(Mood::Fine);
        self.registry.publish("0.3.1");
        for repository in self.house.repositories() {
            self.obstruct(repository, u64::MAX);
        }
    }

    /// Checks, wherever the run stands, that nothing tells of a fix that is not public.
    async fn order_is_kept(&self, armed: &Frozen, run: u64) {
        let told = !files(&self.served()).is_empty()
            || !self.hub.made().is_empty()
            || !self.receiver.got().is_empty()
            || !self.mail.ids(PUBLIC).is_empty();
        let refs = self.house.public().await;
        let shows = |targets: &[usize]| {
            targets.iter().all(|target| {
                let (repository, line, _) = DOUBLE.targets[*target];
                refs.get(&format!("{repository} refs/heads/{line}")).map(String::as_str)
                    == Some(armed.candidates[*target].0.as_str())
            })
        };
        // The first case is in the first repository alone; the second is in both.
        assert!(!told || shows(&[0, 1]), "run {run}: told before the first push");
        let of_second = |text: &str| text.contains("DEMO-2027-0002");
        let second = files(&self.served()).iter().any(|file| of_second(&file.display().to_string()))
            || self.receiver.got().iter().any(|delivery| of_second(&delivery.body))
            || self.mail.mails().iter().any(|mail| of_second(mail));
        assert!(!second || shows(&[0, 1, 2]), "run {run}: the second case is told before its push");
    }

    /// Checks that everything came, and once.
    async fn has_all(&self, app: &App, armed: &Frozen, (run, mails): (u64, &[String])) {
        self.house.is_public(app, armed).await;
        let ids: BTreeSet<_> = self.mail.ids(PUBLIC).into_iter().collect();
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), mails, "run {run}");
        let found = files(&self.served());
        assert_eq!(found.len(), 10, "run {run}: five files of each case, none half written: {found:?}");
        for advisory in publication::published(app).await.unwrap() {
            let path = format!("osv/x_{}.json", advisory.id);
            let public = publication::file(app, &path.parse().unwrap()).await.unwrap();
            assert_eq!(std::fs::read(self.served().join(&path)).unwrap(), public.body, "run {run}");
        }
        let mut made = self.hub.made();
        made.sort();
        assert_eq!(made, ["sample/core v1.4.2", "sample/core v2.0.1"], "run {run}");
        let got = self.receiver.got();
        let told: BTreeSet<_> = got.iter().map(|delivery| (&delivery.headers[0].1, &delivery.body)).collect();
        assert_eq!(told.len(), 2, "run {run}: one message for each case, whatever was repeated");
    }
}

async fn killed(runs: std::ops::Range<u64>) {
    let world = World::stand().await;
    let app = world.house.open(PLANNED).await;
    let armed = world.house.arm(&app).await;
    drop(app);
    world.house.save();
    world.fresh();
    world.have_a_good_day();
    // A run that nobody kills says how long one takes, and which mails there are.
    let began = Instant::now();
    assert!(child(&world.house, at(INSTANT)).wait().await.unwrap().success());
    let whole = began.elapsed();
    let mails = world.mail.ids(PUBLIC);
    assert_eq!(mails.len(), 6, "a reporter and two members for each case: {mails:?}");
    let only: Option<u64> = std::env::var(ONLY).ok().map(|run| run.parse().unwrap());
    let mut died = 0;
    let runs: Vec<u64> = runs.filter(|run| only.is_none_or(|only| only == *run)).collect();
    for run in &runs {
        died += u64::from(one(&world, &armed, (*run, &mails), whole).await);
    }
    assert!(only.is_some() || died * 2 > runs.len() as u64, "only {died} of {} were killed", runs.len());
}

/// Makes one run; returns whether it was killed at least once.
async fn one(world: &World, armed: &Frozen, of: (u64, &[String]), whole: Duration) -> bool {
    let (run, mut dice, mut died) = (of.0, Dice(of.0), false);
    world.fresh();
    let mut now = at(INSTANT);
    for _ in 0..=dice.throw(2) {
        world.have_a_day(&mut dice);
        let mut server = child(&world.house, now);
        let micros = u64::try_from(whole.as_micros()).unwrap();
        let moment = Duration::from_micros(dice.throw(micros));
        if tokio::time::timeout(moment, server.wait()).await.is_err() {
            server.start_kill().unwrap();
        }
        let ended = server.wait().await.unwrap();
        assert!(ended.success() || ended.signal() == Some(9), "run {run}: {ended}");
        died |= ended.signal().is_some();
        left_alone(world.house.root()).await;
        world.order_is_kept(armed, run).await;
        now += SignedDuration::from_mins(2);
    }
    world.have_a_good_day();
    let app = house::open(world.house.root(), now, CrashPoint::default()).await;
    let (alice, id) = (&armed.team.alice, &armed.release);
    for _ in 0..20 {
        settle(&app).await;
        world.order_is_kept(armed, run).await;
        match armed.view(&app).await.summary.state.as_str() {
            "done" => break,
            // What a person would do, now that the day is better.
            "held" => release::resume(&app, alice, id).await.unwrap(),
            "armed" | "running" => {}
            other => panic!("run {run}: {other}"),
        }
        now += SignedDuration::from_mins(2);
        app.clock.set(now);
    }
    let view = armed.view(&app).await;
    assert_eq!(view.summary.state, "done", "run {run}: {:?} {:?}", view.hold, view.effects);
    world.has_all(&app, armed, of).await;
    died
}

/// Waits until what a killed server had started is over as well: the next run begins with this folder put back.
async fn left_alone(root: &Path) {
    let root = root.as_os_str().as_encoded_bytes();
    let here = |entry: std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(root.len()).any(|part| part == root)
    };
    while std::fs::read_dir("/proc").unwrap().flatten().any(here) {
        tokio::task::yield_now().await;
    }
}

/// Starts a server of a house that runs what is due in it.
fn child(house: &House, now: Timestamp) -> Child {
    let mut command = program::itself("disclosure::chance::a_child_runs_what_is_due");
    command.env(CHILD.0, house.root()).env(CHILD.1, now.to_string()).spawn().unwrap()
}

/// The body of the child: does nothing unless it was started as one.
#[tokio::test]
async fn a_child_runs_what_is_due() {
    let (Some(root), Ok(now)) = (std::env::var_os(CHILD.0), std::env::var(CHILD.1)) else { return };
    let app = house::open(Path::new(&root), at(&now), CrashPoint::default()).await;
    settle(&app).await;
}
