//! How soon the server answers, and what it takes while it does nothing.

use crate::command::Result;
use crate::number::{Limit, Number, median, milliseconds};
use crate::process::{mebibytes, resident};
use crate::stage::Stage;

const ROUNDS: usize = 9;

/// Starts the server again and again, and looks at it when it has come to rest.
pub(crate) async fn run(stage: &mut Stage) -> Result<Vec<Number>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(milliseconds(stage.restart().await?));
    }
    stage.quiet().await?;
    let idle = mebibytes(resident(stage.process()?)?);
    let start = Number {
        name: "start-up",
        ours: median(&times),
        theirs: None,
        unit: "ms",
        limit: Limit::AtMost(300.0),
        note: format!("from the start of the process to its first answer; median of {ROUNDS}"),
    };
    let idle = Number {
        name: "idle",
        ours: idle,
        theirs: None,
        unit: "MiB",
        limit: Limit::AtMost(60.0),
        note: "resident at rest, a mirror and a case there, after the first look at the mirror".to_owned(),
    };
    Ok(vec![start, idle])
}
