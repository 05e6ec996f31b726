//! Benchmarks: the numbers this server is held to, each beside the tool that a user would take instead.
//!
//! Guards: both sides do the same work with the same duties, in turns, in one run on one machine, so that a ratio means
//! something on any machine. Whole processes are timed from outside, through the public faces; a harness that times
//! functions would be of no use. Where there is nothing to compare with, the limit is on our own number, and `theirs` and
//! `ratio` are none.
//!
//! `make bench` runs them all, `make bench ONLY=<name>` one. A table is printed, and `bench-results/summary.json` written.

#![expect(
    clippy::cast_precision_loss,
    reason = "bytes and rounds of a benchmark are far below what an f64 counts exactly"
)]

use std::path::Path;
use std::process::ExitCode;

use crate::command::Result;
use crate::number::Number;
use crate::stage::Stage;

mod apache;
mod attachment;
mod clone;
mod command;
mod disclosure;
mod mirror;
mod number;
mod process;
mod punctual;
mod push;
mod sample;
mod stage;
mod start;
mod train;

/// A benchmark; it may find more than one number.
#[derive(Clone, Copy)]
enum Benchmark {
    Start,
    Clone,
    Push,
    Mirror,
    Attachment,
    Disclosure,
    Punctual,
    Train,
}

/// All of them, in the order they run. The last ones move the public lines.
const ALL: [Benchmark; 8] = [
    Benchmark::Start,
    Benchmark::Clone,
    Benchmark::Push,
    Benchmark::Mirror,
    Benchmark::Attachment,
    Benchmark::Train,
    Benchmark::Punctual,
    Benchmark::Disclosure,
];

impl Benchmark {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Clone => "clone",
            Self::Push => "push",
            Self::Mirror => "mirror",
            Self::Attachment => "attachment",
            Self::Disclosure => "disclosure",
            Self::Punctual => "punctual",
            Self::Train => "train",
        }
    }

    async fn run(self, stage: &mut Stage) -> Result<Vec<Number>> {
        match self {
            Self::Start => start::run(stage).await,
            Self::Clone => clone::run(stage).await,
            Self::Push => push::run(stage).await,
            Self::Mirror => mirror::run(stage).await,
            Self::Attachment => attachment::run(stage).await,
            Self::Disclosure => disclosure::run(stage).await,
            Self::Punctual => punctual::run(stage).await,
            Self::Train => train::run(stage).await,
        }
    }
}

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says `--bench` when benchmarks are what was asked for; run among the tests they have nothing to do.
    let wanted = words.iter().any(|word| word == "--bench");
    words.retain(|word| !word.starts_with("--"));
    if !wanted {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(interruptible(&words)));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Runs to the end or to Ctrl-C; either way nothing is left behind.
async fn interruptible(names: &[String]) -> Result<bool> {
    let folder = tempfile::Builder::new().prefix("embargo-bench-").tempdir()?;
    let ended = tokio::select! {
        ended = measure(names, folder.path()) => ended,
        _ = tokio::signal::ctrl_c() => Err("The benchmarks were stopped.".into()),
    };
    if ended.is_err() {
        for log in ["server.log", "apache/error.log", "apache/apache.log"] {
            let said = std::fs::read_to_string(folder.path().join(log)).unwrap_or_default();
            let lines: Vec<&str> = said.lines().filter(|line| !line.contains(" INFO ")).collect();
            complain(&lines[lines.len().saturating_sub(5)..].join("\n"));
        }
    }
    ended
}

/// Runs the named benchmarks, or all; tells whether every limit is kept.
async fn measure(names: &[String], folder: &Path) -> Result<bool> {
    let chosen: Vec<Benchmark> = if names.is_empty() {
        ALL.to_vec()
    } else {
        ALL.into_iter().filter(|one| names.iter().any(|name| name == one.name())).collect()
    };
    if chosen.is_empty() || chosen.len() < names.len() {
        let all = ALL.map(Benchmark::name).join(", ");
        return Err(format!("There is no such benchmark; there are {all}.").into());
    }
    say("setting up: a sample repository, Apache, a server with a case");
    let mut stage = Stage::set(folder).await?;
    let mut numbers = Vec::new();
    let mut ended = Ok(());
    for benchmark in chosen {
        say(&format!("running {}", benchmark.name()));
        match benchmark.run(&mut stage).await {
            Ok(found) => numbers.extend(found),
            Err(error) => {
                ended = Err(error);
                break;
            }
        }
    }
    stage.stop().await?;
    say(&format!("\n{}", number::table(&numbers)));
    number::write(&numbers, &Path::new(env!("CARGO_MANIFEST_DIR")).join("bench-results/summary.json"))?;
    ended.map(|()| numbers.iter().all(Number::ok))
}

#[expect(clippy::disallowed_macros, reason = "a benchmark is there to be read")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::disallowed_macros, reason = "what goes wrong is told apart from what is found")]
fn complain(text: &str) {
    eprintln!("{text}");
}
