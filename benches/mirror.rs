//! A look at a public repository of 1,500 refs in which nothing moved, beside `git fetch --prune` of the same.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::command::Result;
use crate::number::{Limit, Number, Side, in_turns};
use crate::sample;
use crate::stage::{PROJECT, Stage, until};

const ROUNDS: usize = 15;

/// Times looks that find nothing new.
pub(crate) async fn run(stage: &mut Stage) -> Result<Vec<Number>> {
    let public = stage.apache.public(sample::NAME);
    let mirror = stage.new_folder("mirror")?.join("mirror.git");
    Stage::git(&stage.folder, "").args(["clone", "--quiet", "--mirror", "--", &public]).arg(&mirror).succeed().await?;
    let times = in_turns(
        ROUNDS,
        Side { processes: vec![stage.process()?], once: async |_| poll(stage).await },
        Side {
            processes: vec![std::process::id()],
            once: async |_| Stage::git(&mirror, "").args(["fetch", "--quiet", "--prune"]).timed().await,
        },
    )
    .await?;
    Ok(vec![Number {
        name: "mirror",
        ours: times.ours(),
        theirs: Some(times.theirs()),
        unit: "ms",
        limit: Limit::AtMost(1.5),
        note: format!("{} refs, nothing moved, against git fetch --prune; {}", sample::REFS, times.described()),
    }])
}

/// Asks for a look and waits until its end is seen.
async fn poll(stage: &Stage) -> Result<Duration> {
    let before = checked_at(stage).await?;
    let began = Instant::now();
    stage.press(Method::POST, &format!("/projects/{PROJECT}/mirror")).await?;
    until("The mirror was not looked at.", async || Ok((checked_at(stage).await? != before).then_some(()))).await?;
    Ok(began.elapsed())
}

async fn checked_at(stage: &Stage) -> Result<Option<String>> {
    let view = stage.project().await?;
    let repository = view.repositories.into_iter().next().ok_or("The project has no repository.")?;
    if repository.state == "ok" { Ok(repository.checked_at) } else { Err(repository.note.into()) }
}
