//! A disk that is full before the instant or in the middle of the run, or that takes no writes; a database with a lost page; a server
//! that is killed while it makes its tables.
//!
//! The disk is a file system in memory with a size of its own, over the data folder of a child in bubblewrap.

#![expect(clippy::disallowed_methods, reason = "the test starts itself as a child, and reads what it was told then")]

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use embargo::app::CrashPoint;
use embargo::worker;
use embargo::workflow::{self, release};
use jiff::SignedDuration;
use tokio::process::Command;

use super::{House, INSTANT, PLANNED, SINGLE, at, house, settle};
use crate::support::program;

/// The house of the child, and when its disk is full.
const CHILD: (&str, &str) = ("EMBARGO_TEST_DISK_HOUSE", "EMBARGO_TEST_DISK_FULL");
/// Bytes of the disk.
const SIZE: &str = "67108864";

/// Starts this test binary over the house, its data folder mounted as these arguments say.
fn within(house: &House, mount: &[&str], test: &str) -> Command {
    let itself = program::itself(test);
    let mut command = program::other("bwrap");
    command.args(["--dev-bind", "/", "/", "--proc", "/proc", "--die-with-parent"]).args(mount);
    command.arg(itself.as_std().get_program()).args(itself.as_std().get_args()).env(CHILD.0, house.root());
    command
}

async fn succeeds(mut command: Command) {
    let ended = command.output().await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{out}\n{err}");
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_instant_or_in_the_run_loses_nothing_and_ends_nothing_half() {
    for when in ["before", "in the push"] {
        let house = House::new(&SINGLE, None).await;
        let app = house.open(PLANNED).await;
        let armed = house.arm(&app).await;
        let (alice, id) = (armed.team.alice.person().unwrap(), armed.release.to_string());
        drop(app);
        house.save();
        let data = house.root().join("data").display().to_string();
        let mut command =
            within(&house, &["--size", SIZE, "--tmpfs", &data], "disclosure::disk::a_child_with_a_small_disk");
        command.env(CHILD.1, format!("{when}|{alice}|{id}"));
        succeeds(command).await;
    }
}

/// The body of the child: does nothing unless it was started as one.
#[tokio::test]
async fn a_child_with_a_small_disk() {
    let (Some(root), Ok(what)) = (std::env::var_os(CHILD.0), std::env::var(CHILD.1)) else { return };
    let root = Path::new(&root);
    let [when, alice, id] = what.split('|').collect::<Vec<_>>().try_into().unwrap();
    let (data, filler) = (root.join("data"), root.join("data/filler"));
    let copied = program::other("cp").args(["-a"]).arg(root.join("saved-data/.")).arg(&data).status().await.unwrap();
    assert!(copied.success());
    let app = house::open(root, at(INSTANT) - SignedDuration::from_mins(1), CrashPoint::default()).await;
    let alice = crate::support::server::signed_in(alice.parse().unwrap());
    let id = id.parse().unwrap();
    let before = refs(root).await;
    if when == "before" {
        fill(&filler);
    } else {
        // The public repository itself fills the disk, as soon as it has taken the push.
        let hook = root.join("core.git/hooks/post-receive");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        let text =
            format!("#!/bin/sh\ncat >/dev/null\ndd if=/dev/zero of={} bs=4096 2>/dev/null\nexit 0\n", filler.display());
        std::fs::write(&hook, text).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    app.clock.set(at(INSTANT));
    // What cannot be written down fails; nobody dies of it.
    let _ = workflow::sweep::run(&app).await;
    let _ = tokio::time::timeout(Duration::from_secs(30), worker::settle(&app)).await;
    let after = refs(root).await;
    // What could not be written down was not begun; what was pushed by then is in public.
    assert_eq!(after == before, when == "before");
    std::fs::remove_file(&filler).unwrap();
    let _ = std::fs::remove_file(root.join("core.git/hooks/post-receive"));
    drop(app);
    // Whoever runs the server made room and started it anew; where it asks for a person, one resumes.
    let mut now = at(INSTANT) + SignedDuration::from_mins(1);
    let app = house::open(root, now, CrashPoint::default()).await;
    for _ in 0..10 {
        settle(&app).await;
        match release::show(&app, &alice, &id).await.unwrap().summary.state.as_str() {
            "done" => break,
            "held" => release::resume(&app, &alice, &id).await.unwrap(),
            _ => {}
        }
        now += SignedDuration::from_mins(2);
        app.clock.set(now);
    }
    let view = release::show(&app, &alice, &id).await.unwrap();
    assert_eq!(view.summary.state, "done", "{:?} {:?}", view.hold, view.effects);
    assert_eq!(workflow::publication::published(&app).await.unwrap().len(), 1);
    for reference in ["refs/heads/main", "refs/heads/1.x"] {
        let moves = std::fs::read_to_string(root.join("core.git/logs").join(reference)).unwrap();
        assert_eq!(moves.lines().count(), 1, "{reference} moved once: {moves}");
    }
}

/// Writes until there is no room for a byte.
fn fill(file: &Path) {
    let mut filler = std::fs::File::create(file).unwrap();
    for size in [1 << 20, 4096, 1] {
        while filler.write_all(&vec![0; size]).is_ok() {}
    }
}

async fn refs(root: &Path) -> String {
    crate::support::git::Git::anonymous().succeed(&root.join("core.git"), &["for-each-ref"]).await
}

#[tokio::test]
async fn a_data_folder_that_takes_no_writes_stops_the_start_with_a_sentence() {
    let house = House::new(&SINGLE, None).await;
    drop(house.open(PLANNED).await);
    let data = house.root().join("data").display().to_string();
    let mut command = program::other("bwrap");
    command.args(["--dev-bind", "/", "/", "--proc", "/proc", "--die-with-parent", "--ro-bind", &data, &data]);
    command.arg(env!("CARGO_BIN_EXE_embargo")).arg("--config").arg(house.config()).arg("serve");
    let ended = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success());
    assert!(said.contains(&data) && !said.contains("panicked"), "{said}");
}

/// Bad luck: the disk lost a page of the database while the server was down.
#[tokio::test]
async fn a_database_with_a_lost_page_stops_the_start_and_says_what_to_do() {
    let house = House::new(&SINGLE, None).await;
    let app = house.open(PLANNED).await;
    house.arm(&app).await;
    drop(app);
    house.save();
    let file = house.root().join("saved-data/embargo.db");
    // What lies in the write-ahead log goes into the file first.
    let mut live =
        <sqlx::SqliteConnection as sqlx::Connection>::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    sqlx::query("pragma wal_checkpoint(truncate)").execute(&mut live).await.unwrap();
    sqlx::Connection::close(live).await.unwrap();
    let whole = std::fs::read(&file).unwrap();
    let pages = whole.len() / 4096;
    let mut found = 0;
    for page in 2..pages {
        let mut lost = whole.clone();
        lost[page * 4096..(page + 1) * 4096].fill(0xa5);
        let path = house.root().join("lost.db");
        let _ = std::fs::remove_file(path.with_extension("db-wal"));
        std::fs::write(&path, lost).unwrap();
        match embargo::store::Store::open(&path).await {
            Ok(store) => store.close().await,
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("is damaged") && said.contains("backup"), "{said}");
                found += 1;
            }
        }
    }
    // Pages that nothing uses any more may hold anything.
    assert!(found * 10 >= (pages - 2) * 9, "{found} of {pages} lost pages were found");
}

/// Bad luck: the machine goes down while a new server makes its tables, thirty times.
#[tokio::test]
async fn a_server_killed_while_it_makes_its_tables_makes_them_when_it_starts_again() {
    let house = House::new(&SINGLE, None).await;
    drop(house.open(PLANNED).await);
    for round in 0..30_u64 {
        std::fs::remove_dir_all(house.root().join("data")).unwrap();
        let mut child = program::itself("disclosure::disk::a_child_that_opens_its_data");
        let mut child = child.env(CHILD.0, house.root()).spawn().unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(10 + 7 * round), child.wait()).await;
        child.start_kill().ok();
        child.wait().await.unwrap();
        let app = house.open(PLANNED).await;
        assert!(workflow::publication::published(&app).await.unwrap().is_empty(), "round {round}");
        app.store.close().await;
    }
}

/// The body of the child: does nothing unless it was started as one.
#[tokio::test]
async fn a_child_that_opens_its_data() {
    let (Some(root), Err(_)) = (std::env::var_os(CHILD.0), std::env::var(CHILD.1)) else { return };
    house::open(Path::new(&root), at(PLANNED), CrashPoint::default()).await;
}
