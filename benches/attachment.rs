//! A large attachment through the command line, beside `age | curl` of the same file to the same members' keys.

use std::fs;
use std::time::Duration;

use embargo::wire::report::IntakeView;
use reqwest::Method;

use crate::command::{Result, program};
use crate::number::{Limit, Number, Side, in_turns};
use crate::process::per_request;
use crate::stage::{FIXER, PROJECT, Stage};
use crate::{apache, sample};

const ROUNDS: usize = 5;
/// MiB of the file.
const SIZE: usize = 256;

/// Times uploads, and looks at what the server takes for one.
pub(crate) async fn run(stage: &mut Stage) -> Result<Vec<Number>> {
    let folder = stage.new_folder("attachment")?;
    let (file, keys) = (folder.join("proof.bin"), folder.join("keys"));
    fs::write(&file, sample::noise(0xa77a, SIZE * 1024 * 1024))?;
    let intake: IntakeView = stage.api(Method::GET, &format!("/projects/{PROJECT}/intake")).await?;
    fs::write(&keys, intake.recipients)?;
    let (file, keys) = (file.display().to_string(), keys.display().to_string());
    let times = in_turns(
        ROUNDS,
        Side {
            processes: vec![stage.process()?],
            once: async |_| {
                stage.command(FIXER).args(["--json", "attachment", "put", &stage.case.id, &file]).timed().await
            },
        },
        Side { processes: stage.apache.processes()?, once: async |_| age_and_curl(stage, &file, &keys).await },
    )
    .await?;
    let rate = |milliseconds: f64| SIZE as f64 * 1000.0 / milliseconds;
    let time = Number {
        name: "attachment",
        ours: rate(times.ours()),
        theirs: Some(rate(times.theirs())),
        unit: "MiB/s",
        limit: Limit::AtLeast(0.7),
        note: format!("{SIZE} MiB, against age | curl to Apache; {}", times.described()),
    };
    let memory = per_request(stage, &[1], async |stage, _| {
        stage.command(FIXER).args(["--json", "attachment", "put", &stage.case.id, &file]).succeed().await.map(drop)
    })
    .await?;
    Ok(vec![time, memory.number("attachment-memory")])
}

/// Does by hand what the command line does.
async fn age_and_curl(stage: &Stage, file: &str, keys: &str) -> Result<Duration> {
    const LINE: &str = r#"age -R "$1" "$2" | curl -sSf -H "$3" -T - "$4""#;
    let (url, stored) = stage.apache.upload("proof.age");
    let took = program("sh").args(["-c", LINE, "sh", keys, file, apache::HEADER, &url]).timed().await?;
    // A pipe tells only how its last part ended.
    if fs::metadata(&stored)?.len() < fs::metadata(file)?.len() {
        return Err("`age | curl` stored less than the file.".into());
    }
    fs::remove_file(stored)?;
    Ok(took)
}
