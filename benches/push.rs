//! A push of one commit to a fix, beside the same push to `git http-backend` with fsck and hooks of its own.

use std::fs;
use std::path::Path;
use std::time::Duration;

use embargo::domain::check::CheckState;

use crate::command::Result;
use crate::number::{Limit, Number, Side, in_turns};
use crate::process::per_request;
use crate::stage::{Stage, until};
use crate::{apache, sample};

const ROUNDS: usize = 15;

/// Times pushes, and looks at what the server takes for them.
pub(crate) async fn run(stage: &mut Stage) -> Result<Vec<Number>> {
    stage.apache.private_remote(sample::NAME, "push", &sample::LINES).await?;
    let theirs = stage.apache.private("push");
    let work = stage.new_folder("pushes")?.join("clone");
    let public = stage.apache.public(sample::NAME);
    Stage::git(&stage.folder, "").args(["clone", "--quiet", "--"]).arg(public).arg(&work).succeed().await?;
    let mut commits = Vec::new();
    for round in 0..ROUNDS + 5 {
        commits.push(commit(&work, round).await?);
    }
    let times = in_turns(
        ROUNDS,
        Side {
            processes: vec![stage.process()?],
            once: async |round: usize| {
                let took =
                    push(&work, (&stage.header, &stage.case.remote), (commits[round].as_str(), "fix/main")).await;
                checked(stage, commits[round].as_str()).await?;
                took
            },
        },
        Side {
            processes: stage.apache.processes()?,
            once: async |round: usize| {
                push(&work, (apache::HEADER, &theirs), (commits[round].as_str(), "fix/main")).await
            },
        },
    )
    .await?;
    let time = Number {
        name: "push",
        ours: times.ours(),
        theirs: Some(times.theirs()),
        unit: "ms",
        limit: Limit::AtMost(1.3),
        note: format!("one commit, fsck and hooks on both sides; {}", times.described()),
    };
    let memory = per_request(stage, &[1, 4], async |stage, number: usize| {
        let (commit, branch) = (commits[ROUNDS + number].as_str(), format!("wip/memory-{number}"));
        push(&work, (&stage.header, &stage.case.remote), (commit, &branch)).await.map(drop)
    })
    .await?;
    Ok(vec![time, memory.number("push-memory")])
}

/// Changes a file and commits; returns the commit.
async fn commit(work: &Path, number: usize) -> Result<String> {
    fs::write(work.join(format!("part{}/change.txt", number % 12)), format!("Change {number}\n"))?;
    Stage::git(work, "").args(["add", "--all"]).succeed().await?;
    Stage::git(work, "").args(["commit", "--quiet", "--message", &format!("Change {number}")]).succeed().await?;
    Stage::git(work, "").args(["rev-parse", "HEAD"]).succeed().await
}

async fn push(work: &Path, (header, url): (&str, &str), (commit, branch): (&str, &str)) -> Result<Duration> {
    let refspec = format!("{commit}:refs/heads/{branch}");
    Stage::git(work, header).args(["push", "--quiet", "--", url, &refspec]).timed().await
}

/// Waits until the server is done with what a push to a fix asks of it afterwards, so that it disturbs no other round.
async fn checked(stage: &Stage, head: &str) -> Result<()> {
    until("The checks did not end.", async || {
        let view = stage.show(&stage.case.id).await?;
        let fix = view.fixes.into_iter().find(|fix| fix.head.as_deref() == Some(head));
        let state = fix.and_then(|fix| fix.checks.parse::<CheckState>().ok());
        Ok(state.filter(|state| state.terminal()).map(drop))
    })
    .await
}
