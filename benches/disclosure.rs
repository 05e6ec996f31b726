//! Disclosures of two cases on three lines, from the instant to the last effect by the release's own journal.

use std::fs;
use std::path::Path;

use embargo::app::Clock;
use embargo::domain::release::ReleaseState;
use embargo::wire::release::ReleaseView;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::command::Result;
use crate::number::{Limit, Number, largest};
use crate::sample;
use crate::stage::{FIXER, MANAGER, PROJECT, Stage, until};

const ROUNDS: usize = 3;
/// Seconds from the agreement on a date to that date: enough for what comes before.
const AHEAD: i64 = 25;

/// Discloses, each time two new cases.
pub(crate) async fn run(stage: &mut Stage) -> Result<Vec<Number>> {
    let work = stage.new_folder("fixes")?.join("clone");
    let public = stage.apache.public(sample::NAME);
    Stage::git(&stage.folder, "").args(["clone", "--quiet", "--", &public]).arg(&work).succeed().await?;
    let mut times = Vec::new();
    let mut effects = 0;
    for round in 0..ROUNDS {
        let view = disclose(stage, &work, round).await?;
        let due: Timestamp = view.summary.due_at.parse()?;
        let ends = view.effects.iter().filter_map(|effect| effect.done_at.as_deref()?.parse::<Timestamp>().ok());
        let last = ends.max().ok_or("The release has no effects.")?;
        effects = view.effects.len();
        times.push(last.duration_since(due).as_secs_f64() * 1000.0);
    }
    Ok(vec![Number {
        name: "disclosure",
        ours: largest(&times),
        theirs: None,
        unit: "ms",
        limit: Limit::AtMost(3000.0),
        note: format!("2 cases on 3 lines, from the instant to the last of {effects} effects; slowest of {ROUNDS}"),
    }])
}

/// Goes the whole way with two new cases; returns the release when it is done.
async fn disclose(stage: &Stage, work: &Path, round: usize) -> Result<ReleaseView> {
    let tags = sample::LINES.map(|line| (line, format!("v1.{round}-{line}")));
    let mut cases = Vec::new();
    for number in 0..2 {
        let case = stage.accepted_case(PROJECT, &format!("Sample case {number} of round {round}")).await?;
        fix(stage, work, &case.remote, &format!("{round}-{number}")).await?;
        stage.approve_fixes(&case.id, sample::LINES.len()).await?;
        draft(stage, &case.id, &tags).await?;
        cases.push(case);
    }
    let due = Timestamp::from_second((Clock::System.now() + SignedDuration::from_secs(AHEAD)).as_second())?;
    let at = due.to_string();
    let mut words = vec!["release", "plan", "--project", PROJECT, "--at", &at];
    for case in &cases {
        stage.embargo::<IgnoredAny>(MANAGER, &["date", "propose", &case.id, &at]).await?;
        stage.agree(case).await?;
        words.extend(["--case", &case.id]);
    }
    let targets = tags.each_ref().map(|(line, tag)| format!("{line}={tag}"));
    words.extend(targets.iter().flat_map(|target| ["--tag", target.as_str()]));
    let release = stage.embargo::<ReleaseView>(MANAGER, &words).await?.summary.id;
    for case in &cases {
        let draft: Value = stage.embargo(MANAGER, &["advisory", "show", &case.id]).await?;
        let digest = draft["digest"].as_str().ok_or("An advisory has no hash.")?;
        stage.embargo::<IgnoredAny>(MANAGER, &["advisory", "approve", &case.id, digest]).await?;
    }
    stage.ready(&release).await?;
    let read: ReleaseView = stage.embargo(MANAGER, &["release", "freeze", &release]).await?;
    let digest = read.digest.ok_or("A frozen release has no digest.")?;
    stage.sign_in(MANAGER).await?;
    let armed: ReleaseView = stage.embargo(MANAGER, &["release", "arm", &release, "--digest", &digest]).await?;
    if armed.summary.state != ReleaseState::Armed.as_str() || Clock::System.now() >= due {
        return Err(format!("The release is {} too late for its instant.", armed.summary.state).into());
    }
    // Nobody looks while it runs, as nobody would.
    let wait = due.duration_since(Clock::System.now()) + SignedDuration::from_secs(3);
    tokio::time::sleep(wait.try_into()?).await;
    until("The release was not disclosed.", async || {
        let view = show(stage, &release).await?;
        if let Some(hold) = &view.hold {
            return Err(format!("The release is held: {}", hold.note).into());
        }
        Ok((view.summary.state == ReleaseState::Done.as_str()).then_some(view))
    })
    .await
}

/// Commits to every line and pushes the fixes.
async fn fix(stage: &Stage, work: &Path, remote: &str, name: &str) -> Result<()> {
    Stage::git(work, "").args(["fetch", "--quiet", "origin"]).succeed().await?;
    for line in sample::LINES {
        Stage::git(work, "").args(["checkout", "--quiet", "--detach", &format!("origin/{line}")]).succeed().await?;
        fs::write(work.join(format!("fix-{name}.txt")), "The hole is closed.\n")?;
        Stage::git(work, "").args(["add", "--all"]).succeed().await?;
        Stage::git(work, "").args(["commit", "--quiet", "--message", "Close the hole"]).succeed().await?;
        let refspec = format!("HEAD:refs/heads/fix/{line}");
        Stage::git(work, &stage.header).args(["push", "--quiet", "--", remote, &refspec]).succeed().await?;
    }
    Ok(())
}

/// Writes the advisory.
async fn draft(stage: &Stage, case: &str, tags: &[(&str, String)]) -> Result<()> {
    let mut draft: Value = stage.embargo(FIXER, &["advisory", "show", case]).await?;
    let advisory = &mut draft["advisory"];
    advisory["description"] = "Whoever reads a sample page may write it, too: update.".into();
    advisory["severity"] = json!({ "kind": "word", "value": "high" });
    let affected = tags.iter().map(|(line, tag)| {
        json!({ "repository": sample::NAME, "line": line, "fixed": tag.trim_start_matches('v'), "tag": tag })
    });
    advisory["affected"] = affected.collect();
    let file = stage.folder.join("advisory.json");
    fs::write(&file, advisory.to_string())?;
    stage.embargo::<IgnoredAny>(FIXER, &["advisory", "edit", case, &file.display().to_string()]).await?;
    Ok(())
}

async fn show(stage: &Stage, release: &str) -> Result<ReleaseView> {
    stage.api(Method::GET, &format!("/releases/{release}")).await
}
