//! What a process takes, as the kernel tells in `/proc`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::try_join_all;

use crate::command::{EMBARGO, Result};
use crate::number::{Limit, Number};
use crate::stage::Stage;

/// How often the memory of short-lived children is looked at.
const PACE: Duration = Duration::from_millis(1);
/// Ticks of a second in `/proc`; the kernel's `USER_HZ`, which is the same on every machine this runs on.
const TICKS: f64 = 100.0;

/// Watches what a server and the hooks it has run take at most.
pub(crate) struct Watch {
    server: u32,
    before: u64,
    ended: Arc<AtomicBool>,
    hooks: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl Watch {
    /// Begins: the peak so far is forgotten.
    pub(crate) fn begin(server: u32) -> Result<Self> {
        // 5 resets the peak of the resident set (proc_pid_clear_refs(5)).
        fs::write(format!("/proc/{server}/clear_refs"), "5")?;
        let before = resident(server)?;
        let (ended, hooks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (over, most) = (Arc::clone(&ended), Arc::clone(&hooks));
        let looking = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(hooks_of(server), Ordering::Relaxed);
                std::thread::sleep(PACE);
            }
        });
        Ok(Self { server, before, ended, hooks, looking })
    }

    /// Ends; returns by how many bytes the server grew at most, with what its hooks held at most at one time. The children
    /// of git are not in it.
    pub(crate) fn end(self) -> Result<u64> {
        self.ended.store(true, Ordering::Relaxed);
        self.looking.join().map_err(|_| "the watch on the hooks ended early")?;
        let grown = field(self.server, "VmHWM:")?.saturating_sub(self.before);
        Ok(grown + self.hooks.load(Ordering::Relaxed))
    }
}

/// Returns the bytes a process has in memory.
pub(crate) fn resident(process: u32) -> Result<u64> {
    field(process, "VmRSS:")
}

/// Returns the milliseconds of processor time a process and its ended children have had.
pub(crate) fn processor_time(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name before it may hold anything; the fields are numbered from the one after it (proc_pid_stat(5)).
    let (_, fields) = text.rsplit_once(") ").ok_or("/proc tells something unexpected")?;
    let ticks: f64 = fields.split(' ').skip(11).take(4).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    Ok(ticks * 1000.0 / TICKS)
}

/// Returns a process and the children it has now.
pub(crate) fn family(process: u32) -> Result<Vec<u32>> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    Ok(std::iter::once(process).chain(children.split_whitespace().filter_map(|id| id.parse().ok())).collect())
}

/// Returns the bytes of their own that the hooks of a server hold now; what they share with it is the program's text.
fn hooks_of(server: u32) -> u64 {
    let Ok(all) = fs::read_dir("/proc") else { return 0 };
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let ours = ids.filter(|id| {
        *id != server && fs::read_link(format!("/proc/{id}/exe")).is_ok_and(|program| program == Path::new(EMBARGO))
    });
    ours.filter_map(|id| field(id, "RssAnon:").ok()).sum()
}

/// Reads a field of a process's status, which is in KiB; returns bytes.
fn field(process: u32, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("the process has ended")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// MiB the server took for one request, beside what git took.
pub(crate) struct Memory {
    at_once: Vec<(usize, f64)>,
}

impl Memory {
    /// Returns the number: the most of what one request took.
    pub(crate) fn number(&self, name: &'static str) -> Number {
        let each: Vec<String> =
            self.at_once.iter().map(|(count, each)| format!("{count} at once: {each:.1} each")).collect();
        Number {
            name,
            ours: self.at_once.iter().map(|(_, each)| *each).fold(0.0, f64::max),
            theirs: None,
            unit: "MiB",
            limit: Limit::AtMost(16.0),
            note: format!("growth of the server and its hooks for one request, git not counted; {}", each.join(", ")),
        }
    }
}

/// Looks at how much a server that has just started grows for this many requests at once.
pub(crate) async fn per_request(
    stage: &mut Stage,
    counts: &[usize],
    request: impl AsyncFn(&Stage, usize) -> Result<()>,
) -> Result<Memory> {
    let mut at_once = Vec::new();
    let mut first = 0;
    for count in counts {
        stage.restart().await?;
        stage.quiet().await?;
        let watch = Watch::begin(stage.process()?)?;
        let stage = &*stage;
        try_join_all((first..first + count).map(|number| request(stage, number))).await?;
        first += count;
        at_once.push((*count, mebibytes(watch.end()?) / f64::from(u32::try_from(*count)?)));
    }
    Ok(Memory { at_once })
}

/// Returns MiB.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
