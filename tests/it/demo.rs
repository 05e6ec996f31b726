//! `embargo demo`, whole, as a program reads it: the story, its ids and times, and what it says where checks cannot run.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use crate::support::program;

const STORY: [&str; 6] = ["upstream", "report", "accept", "audience", "disclosed", "exploit"];

/// Tells the story; returns its code and document.
async fn tell(home: &Path, mut command: Command) -> (i32, Value) {
    command.env("HOME", home).args(["--json", "demo", "--once", "--at", "20"]);
    let ended = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let document = serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("one document, and not {said}"));
    (ended.status.code().unwrap(), document)
}

fn names(document: &Value) -> Vec<&str> {
    document["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_story_is_told_as_one_document() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told) = tell(folder.path(), program::embargo(Path::new("/nonexistent"))).await;
    let steps = names(&told);
    for step in STORY {
        assert!(steps.contains(&step), "{told:#}");
    }
    assert!(told["steps"].as_array().unwrap().iter().all(|step| step["milliseconds"].is_u64()));
    for time in ["gap_ms", "push_ms", "instant_to_done_ms"] {
        assert!(told[time].as_i64().is_some_and(|time| time >= 0), "{time}: {told:#}");
    }
    assert!(!told["ids"].as_object().unwrap().is_empty() && !told["urls"].as_object().unwrap().is_empty());
    // Where no sandbox can start, the rest of the story is told all the same, and never as a success.
    let unchecked = steps.contains(&"waiver");
    assert_eq!((code, told["ok"].as_bool()), if unchecked { (1, Some(false)) } else { (0, Some(true)) }, "{told:#}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing stays in the home of who looked on");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_sandbox_can_start_the_story_goes_on_and_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    // The sandbox itself hides the sandbox. Where it cannot, the story above was told without one.
    let hidden = ["--dev-bind", "/", "/", "--ro-bind", "/dev/null", "/usr/bin/bwrap", "--"];
    let bubblewrap = || {
        let mut command = program::other("bwrap");
        command.args(hidden);
        command
    };
    if !bubblewrap().arg("true").status().await.is_ok_and(|ended| ended.success()) {
        return;
    }
    let mut command = bubblewrap();
    command.arg(env!("CARGO_BIN_EXE_embargo"));
    let (code, told) = tell(folder.path(), command).await;
    assert_eq!((code, told["ok"].as_bool()), (1, Some(false)), "{told:#}");
    let why = told["failure"].as_str().unwrap();
    assert!(why.contains("bubblewrap") && why.contains("user namespaces"), "{why}");
    let steps = names(&told);
    assert!(STORY.iter().all(|step| steps.contains(step)) && steps.contains(&"waiver"), "{told:#}");
}
