//! A clone of a case's private remote, beside one of the same refs from `git http-backend` behind Apache.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::command::Result;
use crate::number::{Limit, Number, Side, in_turns};
use crate::process::per_request;
use crate::stage::Stage;
use crate::{apache, sample};

const ROUNDS: usize = 7;

/// Times clones, and looks at what the server takes for them.
pub(crate) async fn run(stage: &mut Stage) -> Result<Vec<Number>> {
    stage.apache.private_remote(sample::NAME, "clone", &sample::LINES).await?;
    let theirs = stage.apache.private("clone");
    let objects = sample::objects(&stage.apache.path("clone")).await?;
    let place = stage.new_folder("clones")?;
    let target = place.join("clone");
    let times = in_turns(
        ROUNDS,
        Side {
            processes: vec![stage.process()?],
            once: async |_| clone(stage, (&stage.header, &stage.case.remote), &target).await,
        },
        Side {
            processes: stage.apache.processes()?,
            once: async |_| clone(stage, (apache::HEADER, &theirs), &target).await,
        },
    )
    .await?;
    let time = Number {
        name: "clone",
        ours: times.ours(),
        theirs: Some(times.theirs()),
        unit: "ms",
        limit: Limit::AtMost(1.3),
        note: format!("{objects} objects, against git http-backend behind Apache; {}", times.described()),
    };
    let memory = per_request(stage, &[1, 4], async |stage, number| {
        clone(stage, (&stage.header, &stage.case.remote), &place.join(number.to_string())).await.map(drop)
    })
    .await?;
    Ok(vec![time, memory.number("clone-memory")])
}

/// Clones with a work tree, as a person does, and throws the clone away.
async fn clone(stage: &Stage, (header, url): (&str, &str), target: &Path) -> Result<Duration> {
    let took = Stage::git(&stage.folder, header).args(["clone", "--quiet", "--", url]).arg(target).timed().await?;
    fs::remove_dir_all(target)?;
    Ok(took)
}
