//! Tests that stay private when their fix becomes public, and land on the public lines on a date of their own.

use std::sync::Arc;

use embargo::app::App;
use embargo::domain::actor::{Actor, Via};
use embargo::domain::fix::FixKind;
use embargo::domain::repo::CommitId;
use embargo::wire::landing::{LandingView, SetTests};
use embargo::workflow::{Error, landing, plan, release};
use jiff::{SignedDuration, Timestamp};

use super::kill::child_at;
use super::{CALL, House, INSTANT, PLANNED, SINGLE, at, go_to, settle};
use crate::support::git::Git;
use crate::support::house::Frozen;
use crate::support::mail::MailServer;

/// The file that is held back, and what it holds: on either line something else.
const FILE: &str = "exploit.txt";
const TEXTS: [&str; 2] = ["the way in\n", "the old way in\n"];
const LINES: [&str; 2] = ["main", "1.x"];
/// Two weeks after the instant, and a little more, for what is public is so a moment after it.
const LATER: &str = "2027-01-29T12:00:01Z";

/// A house with a release of one case on two lines, whose tests follow after two weeks.
struct Held {
    house: House,
    armed: Frozen,
    heads: Vec<CommitId>,
}

impl Held {
    async fn armed(house: House) -> (Self, Arc<App>) {
        let app = house.open(PLANNED).await;
        let team = house.team(&app).await;
        let case = house.accept(&app, &team).await;
        let mut heads = Vec::new();
        for (target, text) in TEXTS.iter().enumerate() {
            house.fix(&app, &team, (&case, target), ("code.txt", "mended\n")).await;
            heads.push(house.push(&app, &team, (&case, target), (FixKind::Tests, (FILE, text))).await);
        }
        let id = plan::plan(&app, &team.alice, &house.plan(std::slice::from_ref(&case), at(INSTANT))).await.unwrap();
        settle(&app).await;
        house.write(&app, &team, (&case, &[0, 1])).await;
        let view = release::show(&app, &team.alice, &id).await.unwrap();
        let said: Vec<_> = view.blockers.iter().map(|blocker| (blocker.kind.as_str(), &blocker.sentence)).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said.iter().all(|(kind, said)| *kind == "tests" && said.contains("nobody said when")), "{said:?}");
        landing::schedule(&app, &team.alice, &id, &wish("14d", None)).await.unwrap();
        release::freeze(&app, &team.alice, &id).await.unwrap();
        let candidates = release::show(&app, &team.alice, &id).await.unwrap().targets.into_iter().map(|target| {
            let parsed = |id: Option<String>| id.unwrap().parse().unwrap();
            (parsed(target.candidate), parsed(target.tag_object))
        });
        let armed = Frozen { team, cases: vec![case], release: id, candidates: candidates.collect() };
        armed.arm(&app).await;
        (Self { house, armed, heads }, app)
    }

    async fn public(house: House) -> (Self, Arc<App>) {
        let (held, app) = Self::armed(house).await;
        go_to(&app, at(INSTANT)).await;
        held.house.is_public(&app, &held.armed).await;
        (held, app)
    }

    /// Tells of each line whether the public repository has the file that is held back, in any commit or none.
    async fn leaked(&self) -> Vec<bool> {
        let (git, core) = (Git::anonymous(), self.house.upstream("core"));
        let mut leaked = Vec::new();
        for head in &self.heads {
            let blob = git.succeed(&self.house.work("core"), &["rev-parse", &format!("{head}:{FILE}")]).await;
            leaked.push(git.run(&core, &["cat-file", "-e", &blob]).await.status.success());
        }
        leaked
    }

    async fn git(&self, args: &[&str]) -> String {
        Git::anonymous().succeed(&self.house.upstream("core"), args).await
    }

    /// Pushes something to a public line, as its maintainers do every day.
    async fn moves_on(&self, line: &str, file: &str, text: &str) -> CommitId {
        let (git, work, core) = (Git::anonymous(), self.house.work("core"), self.house.upstream("core"));
        let core = core.to_str().unwrap();
        git.succeed(&work, &["fetch", "-q", core, line]).await;
        git.succeed(&work, &["checkout", "-q", "-B", "daily", "FETCH_HEAD"]).await;
        let head = git.commit(&work, file, text).await.parse().unwrap();
        git.succeed(&work, &["push", "-q", core, &format!("HEAD:{line}")]).await;
        head
    }

    async fn landings(&self, app: &App) -> Vec<LandingView> {
        self.armed.view(app).await.tests.lines
    }

    async fn states(&self, app: &App) -> Vec<String> {
        self.landings(app).await.into_iter().map(|line| line.state).collect()
    }

    /// How often a public line has moved.
    fn moves(&self, line: &str) -> usize {
        let log = self.house.upstream("core").join("logs/refs/heads").join(line);
        std::fs::read_to_string(log).unwrap().lines().count()
    }

    async fn say(&self, app: &App, when: &str, line: Option<&str>) -> Result<(), Error> {
        landing::schedule(app, &self.armed.team.alice, &self.armed.release, &wish(when, line)).await
    }
}

fn wish(when: &str, line: Option<&str>) -> SetTests {
    SetTests { when: when.parse().unwrap(), line: line.map(|line| line.parse().unwrap()), repository: None }
}

async fn single() -> House {
    House::new(&SINGLE, None).await
}

#[tokio::test]
async fn tests_stay_private_at_the_instant_and_land_on_their_own_date() {
    let (held, app) = Held::public(single().await).await;
    assert_eq!(held.leaked().await, [false, false], "nothing of them is public with the fix");
    for line in held.landings(&app).await {
        let due: Timestamp = line.due_at.unwrap().parse().unwrap();
        assert_eq!((line.state.as_str(), due), ("waiting", at(INSTANT) + SignedDuration::from_hours(14 * 24)));
    }
    let daily = held.moves_on("main", "daily.txt", "one\n").await;
    go_to(&app, at("2027-01-29T11:59:00Z")).await;
    assert_eq!(held.leaked().await, [false, false]);
    let before: Vec<_> = LINES.map(|line| held.moves(line)).to_vec();

    go_to(&app, at(LATER)).await;
    assert_eq!(held.states(&app).await, ["done", "done"], "{:?}", held.landings(&app).await);
    assert_eq!(held.leaked().await, [true, true]);
    for ((line, text), head) in LINES.iter().zip(TEXTS).zip(&held.heads) {
        assert_eq!(held.git(&["show", &format!("{line}:{FILE}")]).await, text.trim_end());
        assert_eq!(held.git(&["show", &format!("{line}:code.txt")]).await, "mended");
        held.git(&["merge-base", "--is-ancestor", head.as_str(), line]).await;
        let message = format!("Tests of the fix of {} for {line}", held.armed.cases[0]);
        assert_eq!(held.git(&["log", "-1", "--format=%s", line]).await, message);
    }
    assert_eq!(held.git(&["rev-parse", "main^1"]).await, daily.as_str(), "onto what happened meanwhile");
    held.git(&["fsck", "--strict"]).await;
    go_to(&app, at(LATER) + SignedDuration::from_hours(24)).await;
    let after: Vec<_> = LINES.map(|line| held.moves(line)).to_vec();
    assert_eq!(after, before.iter().map(|moves| moves + 1).collect::<Vec<_>>(), "each line moved once");
}

#[tokio::test]
async fn lines_that_take_no_merges_get_the_tests_alone_and_no_private_commit_of_the_fix() {
    let house = single().await;
    house.decide("messages = { tests = 'Regression test of {advisory}' }");
    house.configure(
        "[[project.repository.line]]\nname = 'main'\nstrategy = 'rebase'\n\
         [[project.repository.line]]\nname = '1.x'\nstrategy = 'squash'\n",
    );
    let (held, app) = Held::public(house).await;
    assert_eq!(held.leaked().await, [false, false]);
    // What the fix changed is changed once more, so that the fix itself would not merge any longer.
    for line in LINES {
        held.moves_on(line, "code.txt", "mended, and better\n").await;
    }
    go_to(&app, at(LATER)).await;
    assert_eq!(held.states(&app).await, ["done", "done"], "{:?}", held.landings(&app).await);
    assert_eq!(held.git(&["rev-list", "--merges", "--all"]).await, "");
    let subjects = ["change exploit.txt", "Regression test of DEMO-2027-0001"];
    for ((line, subject), head) in LINES.iter().zip(subjects).zip(&held.heads) {
        assert_eq!(held.git(&["log", "-1", "--format=%an|%s", line]).await, format!("Sample Developer|{subject}"));
        assert_eq!(held.git(&["diff", "--name-only", &format!("{line}~1"), line]).await, FILE);
        assert_eq!(held.git(&["show", &format!("{line}:code.txt")]).await, "mended, and better");
        Git::anonymous().fail(&held.house.upstream("core"), &["cat-file", "-e", head.as_str()]).await;
    }
}

#[tokio::test]
async fn a_server_killed_at_any_step_lands_each_line_once() {
    let (held, app) = Held::public(single().await).await;
    let before: Vec<_> = LINES.map(|line| held.moves(line)).to_vec();
    drop(app);
    held.house.save();
    let points = ["building", "built", "pushing", "checked", "pushed", "done"];
    for point in points.map(|point| format!("landing:{point}")) {
        held.house.restore();
        assert_eq!(child_at(&held.house, LATER, &point).await, Some(9), "nothing passed {point}");
        // Where it was put onto one commit, the line moves meanwhile: it is put onto the next, and pushed there.
        let moved = usize::from(point == "landing:checked");
        if moved == 1 {
            held.moves_on("main", "daily.txt", "one\n").await;
        }
        let app = held.house.open("2027-01-29T12:03:00Z").await;
        settle(&app).await;
        settle(&app).await;
        assert_eq!(held.states(&app).await, ["done", "done"], "{point}: {:?}", held.landings(&app).await);
        let after: Vec<_> = LINES.map(|line| held.moves(line)).to_vec();
        assert_eq!(after, [before[0] + 1 + moved, before[1] + 1], "{point}");
        assert_eq!(held.leaked().await, [true, true], "{point}");
        drop(app);
    }
}

#[tokio::test]
async fn tests_that_do_not_fit_any_more_wait_for_a_person_and_hold_no_other_line() {
    let mail = MailServer::start().await;
    let (held, app) = Held::public(House::new(&SINGLE, Some(&mail)).await).await;
    held.moves_on("main", FILE, "something else by this name\n").await;
    let (moves, calls) = (held.moves("main"), mail.ids(CALL).len());
    go_to(&app, at(LATER)).await;
    settle(&app).await;
    assert_eq!(held.states(&app).await, ["stuck", "done"]);
    assert_eq!((held.moves("main"), mail.ids(CALL).len()), (moves, calls + 2), "each manager is called once");
    let stuck = held.landings(&app).await.remove(0);
    assert!(stuck.note.contains("do not fit the line as it is now, in 1 files"), "{}", stuck.note);
    let own = format!("embargo release tests {} --repository core --line main --now", held.armed.release);
    assert!(stuck.commands.contains(&own), "{:?}", stuck.commands);
    assert!(stuck.commands.iter().any(|command| command == "git merge FETCH_HEAD"), "{:?}", stuck.commands);

    // By hand, as the commands say.
    let (git, work, core) = (Git::anonymous(), held.house.work("core"), held.house.upstream("core"));
    let merge = ["merge", "-q", "-X", "ours", "-m", "by hand", held.heads[0].as_str()];
    git.succeed(&work, &merge).await;
    git.succeed(&work, &["push", "-q", core.to_str().unwrap(), "HEAD:main"]).await;
    held.say(&app, "now", Some("main")).await.unwrap();
    settle(&app).await;
    assert_eq!(held.states(&app).await, ["done", "done"]);
    assert_eq!(held.moves("main"), moves + 1, "found in public, and not pushed again");
    assert!(held.say(&app, "now", None).await.is_err(), "all of them are public");
}

#[tokio::test]
async fn a_remote_that_refuses_is_not_tried_again_by_itself() {
    use std::os::unix::fs::PermissionsExt as _;
    let (held, app) = Held::public(single().await).await;
    let hook = held.house.upstream("core").join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    go_to(&app, at(LATER)).await;
    go_to(&app, at(LATER) + SignedDuration::from_hours(1)).await;
    let lines = held.landings(&app).await;
    assert!(lines.iter().all(|line| line.state == "stuck" && line.note.contains("they may be public")), "{lines:?}");
    std::fs::remove_file(&hook).unwrap();
    held.say(&app, "never", Some("1.x")).await.unwrap();
    held.say(&app, "now", Some("main")).await.unwrap();
    settle(&app).await;
    assert_eq!(held.states(&app).await, ["done", "never"]);
}

#[tokio::test]
async fn a_repository_that_is_away_is_asked_again() {
    let (held, app) = Held::public(single().await).await;
    let (core, aside) = (held.house.upstream("core"), held.house.root().join("aside.git"));
    std::fs::rename(&core, &aside).unwrap();
    go_to(&app, at(LATER)).await;
    assert_eq!(held.states(&app).await, ["waiting", "waiting"]);
    std::fs::rename(&aside, &core).unwrap();
    go_to(&app, at(LATER) + SignedDuration::from_mins(11)).await;
    settle(&app).await;
    assert_eq!(held.states(&app).await, ["done", "done"], "{:?}", held.landings(&app).await);
}

#[tokio::test]
async fn whoever_may_arm_brings_them_forward_or_puts_them_off_after_the_instant_too() {
    let (held, app) = Held::armed(single().await).await;
    for early in ["now", "2027-01-20T00:00:00Z"] {
        assert!(matches!(held.say(&app, early, None).await, Err(Error::Refused(_))), "{early}");
    }
    let stale = Actor::Person { id: held.armed.team.alice.person().unwrap(), via: Via::Session { fresh: false } };
    let id = &held.armed.release;
    assert!(landing::schedule(&app, &stale, id, &wish("1h", None)).await.is_err(), "sooner takes what arming takes");
    landing::schedule(&app, &stale, id, &wish("never", None)).await.unwrap();
    assert_eq!(held.armed.view(&app).await.summary.state, "armed", "it is no part of what was armed");
    go_to(&app, at(INSTANT)).await;
    go_to(&app, at(LATER)).await;
    assert_eq!(held.states(&app).await, ["never", "never"]);
    assert!(landing::schedule(&app, &stale, id, &wish("now", None)).await.is_err());
    held.say(&app, "2027-02-10T00:00:00Z", Some("1.x")).await.unwrap();
    held.say(&app, "now", Some("main")).await.unwrap();
    settle(&app).await;
    assert_eq!(held.states(&app).await, ["done", "waiting"]);
    go_to(&app, at("2027-02-10T00:00:00Z")).await;
    assert_eq!(held.states(&app).await, ["done", "done"]);
    assert_eq!(held.leaked().await, [true, true]);
}

/// Attack, or a slip: what is to stay private is in the fix as well, under another name and in another commit.
#[tokio::test]
async fn a_fix_that_holds_what_is_held_back_does_not_ship() {
    let house = single().await;
    let app = house.open(PLANNED).await;
    let team = house.team(&app).await;
    let case = house.accept(&app, &team).await;
    for target in [0, 1] {
        house.fix(&app, &team, (&case, target), ("code.txt", "mended\n")).await;
    }
    house.push(&app, &team, (&case, 0), (FixKind::Tests, (FILE, TEXTS[0]))).await;
    house.fix(&app, &team, (&case, 1), ("innocent.txt", TEXTS[0])).await;
    let wish = house.plan(std::slice::from_ref(&case), at(INSTANT));
    let id = plan::plan(&app, &team.alice, &wish).await.unwrap();
    settle(&app).await;
    let view = release::show(&app, &team.alice, &id).await.unwrap();
    let trouble: Vec<_> = view.targets.iter().map(|target| target.trouble.clone()).collect();
    assert_eq!(trouble[0], None, "{trouble:?}");
    let said = trouble[1].as_deref().unwrap_or_default();
    assert!(said.contains("holds a part of tests/main of DEMO-1, which follows later"), "{trouble:?}");
    assert!(view.targets[1].candidate.is_none(), "nothing is built that could be pushed");
}
