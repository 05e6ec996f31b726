//! How exactly runs begin: a few releases armed over and over, each held the moment it begins because the approval of its advisory
//! is gone by then, and given back its approval for the next round.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use embargo::app::Clock;
use embargo::domain::release::ReleaseState;
use embargo::wire::release::ReleaseView;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::command::Result;
use crate::number::{Limit, Number, quantile};
use crate::sample;
use crate::stage::{FIXER, MANAGER, PROJECT, Stage, until};

/// Releases that take turns.
const RELEASES: usize = 8;
/// Runs of each: a thousand together.
const ROUNDS: usize = 125;
/// From the moment an instant is set to that instant.
const AHEAD: SignedDuration = SignedDuration::from_millis(1500);
/// How often is looked whether a run has begun.
const LOOK: Duration = Duration::from_millis(200);
/// A sign-in is fresh for five minutes.
const FRESH: Duration = Duration::from_mins(4);

/// A frozen release, and its advisory as it was approved and with another text.
struct Train {
    release: String,
    case: String,
    dated_at: Timestamp,
    digest: String,
    approved: PathBuf,
    other: PathBuf,
}

/// Begins a thousand runs.
pub(crate) async fn run(stage: &mut Stage) -> Result<Vec<Number>> {
    let work = stage.new_folder("punctual")?.join("clone");
    let public = stage.apache.public(sample::NAME);
    Stage::git(&stage.folder, "").args(["clone", "--quiet", "--", &public]).arg(&work).succeed().await?;
    stage.sign_in(MANAGER).await?;
    let mut trains = Vec::new();
    for number in 0..RELEASES {
        trains.push(freeze(stage, &work, number).await?);
    }
    let signed_in = Mutex::new(Instant::now());
    let stage = &*stage;
    let all = join_all(trains.iter().map(|train| rounds(stage, train, &signed_in))).await;
    let late: Vec<f64> = all.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    Ok(vec![Number {
        name: "begin",
        ours: quantile(&late, 0.99),
        theirs: None,
        unit: "ms",
        limit: Limit::AtMost(100.0),
        note: format!(
            "from the instant to the begin of the run, the 99th of 100; median {:.0} ms, of {} runs",
            quantile(&late, 0.5),
            late.len()
        ),
    }])
}

/// Brings one case of one line as far as a frozen release.
async fn freeze(stage: &Stage, work: &Path, number: usize) -> Result<Train> {
    let case = stage.accepted_case(PROJECT, &format!("Punctual case {number}")).await?;
    let [line, others @ ..] = sample::LINES;
    Stage::git(work, "").args(["checkout", "--quiet", "--detach", &format!("origin/{line}")]).succeed().await?;
    fs::write(work.join(format!("punctual-{number}.txt")), "The hole is closed.\n")?;
    Stage::git(work, "").args(["add", "--all"]).succeed().await?;
    Stage::git(work, "").args(["commit", "--quiet", "--message", "Close the hole"]).succeed().await?;
    let refspec = format!("HEAD:refs/heads/fix/{line}");
    Stage::git(work, &stage.header).args(["push", "--quiet", "--", &case.remote, &refspec]).succeed().await?;
    stage.approve_fixes(&case.id, 1).await?;
    for other in others {
        let words = ["fix", "mark", &case.id, "--line", other, "not_affected"];
        stage.embargo::<IgnoredAny>(FIXER, &words).await?;
    }
    let mut draft: Value = stage.embargo(FIXER, &["advisory", "show", &case.id]).await?;
    let tag = format!("v3.{number}.0");
    let advisory = &mut draft["advisory"];
    advisory["severity"] = json!({ "kind": "word", "value": "high" });
    advisory["affected"] =
        json!([{ "repository": sample::NAME, "line": line, "fixed": tag.trim_start_matches('v'), "tag": tag }]);
    let mut files = Vec::new();
    for (name, text) in [("approved", "Whoever reads a page may write it: update."), ("other", "Not approved.")] {
        advisory["description"] = text.into();
        let file = stage.folder.join(format!("advisory-{number}-{name}.json"));
        fs::write(&file, advisory.to_string())?;
        files.push(file);
    }
    let dated_at = Timestamp::from_second((Clock::System.now() + SignedDuration::from_secs(20)).as_second())?;
    let at = dated_at.to_string();
    stage.embargo::<IgnoredAny>(MANAGER, &["date", "propose", &case.id, &at]).await?;
    stage.agree(&case).await?;
    let target = format!("{line}={tag}");
    let words = ["release", "plan", "--project", PROJECT, "--at", &at, "--case", &case.id, "--tag", &target];
    let release = stage.embargo::<ReleaseView>(MANAGER, &words).await?.summary.id;
    edit(stage, &case.id, &files[0]).await?;
    let shown: Value = stage.embargo(MANAGER, &["advisory", "show", &case.id]).await?;
    let digest = shown["digest"].as_str().ok_or("An advisory has no hash.")?.to_owned();
    approve(stage, &case.id, &digest).await?;
    stage.ready(&release).await?;
    stage.embargo::<IgnoredAny>(MANAGER, &["release", "freeze", &release]).await?;
    let [approved, other] = files.try_into().map_err(|_| "There are two texts.")?;
    Ok(Train { release, case: case.id, dated_at, digest, approved, other })
}

/// Arms a release for one instant after the other; returns by how many milliseconds each run began late.
async fn rounds(stage: &Stage, train: &Train, signed_in: &Mutex<Instant>) -> Result<Vec<f64>> {
    let mut late = Vec::new();
    while late.len() < ROUNDS {
        let due = (Clock::System.now() + AHEAD).max(train.dated_at);
        let path = format!("/releases/{}", train.release);
        let read: ReleaseView = stage.post(&format!("{path}/postpone"), &json!({ "due_at": due })).await?;
        let digest = read.digest.unwrap_or_default();
        {
            let mut last = signed_in.lock().await;
            if last.elapsed() > FRESH {
                stage.sign_in(MANAGER).await?;
                *last = Instant::now();
            }
        }
        let armed: Result<ReleaseView> =
            stage.embargo(MANAGER, &["release", "arm", &train.release, "--digest", &digest]).await;
        // Too slow for this instant: the next one.
        if armed.is_err() && Clock::System.now() >= due {
            continue;
        }
        armed?;
        edit(stage, &train.case, &train.other).await?;
        // Nobody looks while it begins, as nobody would.
        let wait = due.duration_since(Clock::System.now()) + SignedDuration::from_millis(150);
        tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
        let begun = until("A run did not begin.", async || {
            // Whoever looks takes the server's time from those that are to begin.
            tokio::time::sleep(LOOK).await;
            let view: ReleaseView = stage.api(Method::GET, &path).await?;
            Ok((view.summary.state == ReleaseState::Held.as_str()).then_some(view.begun_at).flatten())
        });
        let begun: Timestamp = begun.await?.parse()?;
        late.push(begun.duration_since(due).as_secs_f64() * 1000.0);
        edit(stage, &train.case, &train.approved).await?;
        approve(stage, &train.case, &train.digest).await?;
        stage.press(Method::POST, &format!("{path}/disarm")).await?;
    }
    Ok(late)
}

async fn edit(stage: &Stage, case: &str, text: &Path) -> Result<()> {
    stage.embargo::<IgnoredAny>(FIXER, &["advisory", "edit", case, &text.display().to_string()]).await.map(drop)
}

async fn approve(stage: &Stage, case: &str, digest: &str) -> Result<()> {
    stage.embargo::<IgnoredAny>(MANAGER, &["advisory", "approve", case, digest]).await.map(drop)
}
