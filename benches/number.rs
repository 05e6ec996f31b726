//! What a benchmark finds: numbers with their limits, one table, one file for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::command::Result;
use crate::process::processor_time;

/// One number and what it is held to.
pub(crate) struct Number {
    /// What it is of.
    pub(crate) name: &'static str,
    /// What this server takes.
    pub(crate) ours: f64,
    /// What the tool takes that a user would have instead; none where the limit is on our number itself.
    pub(crate) theirs: Option<f64>,
    /// The unit of both.
    pub(crate) unit: &'static str,
    /// What the ratio of ours to theirs, or our number itself, is held to.
    pub(crate) limit: Limit,
    /// How it was taken.
    pub(crate) note: String,
}

/// What a number is held to.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Number {
    /// Returns ours as a multiple of theirs.
    fn ratio(&self) -> Option<f64> {
        self.theirs.map(|theirs| self.ours / theirs)
    }

    /// Tells whether the limit is kept.
    pub(crate) fn ok(&self) -> bool {
        let held = self.ratio().unwrap_or(self.ours);
        match self.limit {
            Limit::AtMost(limit) => held <= limit,
            Limit::AtLeast(limit) => held >= limit,
        }
    }
}

/// Returns milliseconds.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Returns the number in the middle, of an even count the mean of the two there.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Returns the number below which this part of them lies, by the nearest rank.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is a small positive number")]
pub(crate) fn quantile(numbers: &[f64], part: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Returns the largest number.
pub(crate) fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(0.0, f64::max)
}

/// Lays the numbers out for people.
pub(crate) fn table(numbers: &[Number]) -> String {
    let shown = |number: f64| if number < 10.0 { format!("{number:.2}") } else { format!("{number:.0}") };
    let mut rows = vec![["number", "ours", "theirs", "unit", "ratio", "limit", "", "how"].map(str::to_owned)];
    for number in numbers {
        let limit = match number.limit {
            Limit::AtMost(limit) => format!("<= {limit}"),
            Limit::AtLeast(limit) => format!(">= {limit}"),
        };
        let or_none = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
        rows.push([
            number.name.to_owned(),
            shown(number.ours),
            or_none(number.theirs.map(shown)),
            number.unit.to_owned(),
            or_none(number.ratio().map(|ratio| format!("{ratio:.2}"))),
            limit,
            if number.ok() { "ok" } else { "FAILED" }.to_owned(),
            number.note.clone(),
        ]);
    }
    let widths: Vec<usize> =
        (0..8).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let width = widths[at];
            // Numbers stand at the right, words at the left.
            let _ = if matches!(at, 1 | 2 | 4) {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes the numbers for programs: a list of `{name, ours, theirs, unit, ratio, limit, ok}`.
pub(crate) fn write(numbers: &[Number], file: &Path) -> Result<()> {
    let list: Vec<_> = numbers
        .iter()
        .map(|number| {
            let (Limit::AtMost(limit) | Limit::AtLeast(limit)) = number.limit;
            json!({
                "name": number.name, "ours": number.ours, "theirs": number.theirs, "unit": number.unit,
                "ratio": number.ratio(), "limit": limit, "ok": number.ok(),
            })
        })
        .collect();
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(file, serde_json::to_string_pretty(&list)? + "\n")?)
}

/// Milliseconds of both sides, taken in turns.
#[derive(Default)]
pub(crate) struct Times {
    ours: Vec<f64>,
    theirs: Vec<f64>,
    /// Milliseconds of the processor in all, by side.
    processor: [f64; 2],
}

/// One side of a comparison.
pub(crate) struct Side<F> {
    /// The processes whose time of the processor is looked at, with that of their ended children.
    pub(crate) processes: Vec<u32>,
    /// Does it once, in the round of this number.
    pub(crate) once: F,
}

impl Times {
    /// Returns the median of ours.
    pub(crate) fn ours(&self) -> f64 {
        median(&self.ours)
    }

    /// Returns the median of theirs.
    pub(crate) fn theirs(&self) -> f64 {
        median(&self.theirs)
    }

    /// Says how they were taken, and what either side had of the processor.
    pub(crate) fn described(&self) -> String {
        let rounds = self.ours.len();
        let [ours, theirs] = self.processor.map(|sum| sum / rounds as f64);
        format!("median of {rounds}; processor {ours:.0} and {theirs:.0} ms")
    }
}

impl<F: AsyncFnMut(usize) -> Result<Duration>> Side<F> {
    async fn run(&mut self, round: usize) -> Result<(f64, f64)> {
        let before = self.processor()?;
        let took = milliseconds((self.once)(round).await?);
        Ok((took, self.processor()? - before))
    }

    fn processor(&self) -> Result<f64> {
        self.processes.iter().map(|process| processor_time(*process)).sum()
    }
}

/// Times both sides once unseen and then in turns, each going first as often as the other.
pub(crate) async fn in_turns(
    rounds: usize,
    mut ours: Side<impl AsyncFnMut(usize) -> Result<Duration>>,
    mut theirs: Side<impl AsyncFnMut(usize) -> Result<Duration>>,
) -> Result<Times> {
    let mut times = Times::default();
    for round in 0..=rounds {
        let (mine, other);
        if round % 2 == 0 {
            mine = ours.run(round).await?;
            other = theirs.run(round).await?;
        } else {
            other = theirs.run(round).await?;
            mine = ours.run(round).await?;
        }
        // The first round finds cold caches, and whoever goes first pays for both.
        if round > 0 {
            times.ours.push(mine.0);
            times.theirs.push(other.0);
            times.processor[0] += mine.1;
            times.processor[1] += other.1;
        }
    }
    Ok(times)
}
