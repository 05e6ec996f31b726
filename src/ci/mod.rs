//! The project's own workflows: what a push asks for ([`mod@plan`]), the boundary it runs in ([`mod@sandbox`]), the steps and
//! their log ([`mod@run`]).
//!
//! Guards: embargoed code never runs outside a proven sandbox, never reaches a network, and what is not understood is
//! `unsupported`, never green. Leaves the queue to `store` and the checkout to `git`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod folder;
pub mod log;
pub mod plan;
pub mod run;
pub mod sandbox;

#[cfg(test)]
mod escapes;
mod expression;
mod glob;
mod seccomp;
mod self_test;
mod workflow;
mod yaml;

pub use folder::JobFolder;
pub use log::{Line, Masks};
pub use plan::{Plan, PlannedJob, PullRequest, WorkflowFile, plan};
pub use run::{JobOutcome, Progress, Report, StepOutcome, execute};
pub use sandbox::{Sandbox, WhyNot};

/// What the operator may say about local checks: the `[ci]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Whether this server runs checks itself.
    pub enabled: bool,
    /// Where bubblewrap is.
    pub bwrap: PathBuf,
    /// Folders besides `/usr` that checks may read, each seen under its own path: compilers, for example `/opt/rust`.
    ///
    /// What is in them is open to every check. A `bin` folder directly inside is put on the `PATH`.
    pub toolchains: Vec<PathBuf>,
    /// The user id checks run under when the server is root. Nothing else on the machine should use it.
    pub uid: u32,
    /// How many jobs run at a time.
    pub slots: usize,
    /// Longest time of a job, in minutes; a workflow may ask for less.
    pub minutes: u64,
    /// Largest private memory of one process, in MiB.
    pub memory_mib: u64,
    /// Largest single file, in MiB.
    pub file_mib: u64,
    /// Most processes and threads of a job. If the server is not root, its own count too.
    pub processes: u64,
    /// Most open files of one process.
    pub open_files: u64,
    /// Longest processor time of one process, in minutes.
    pub cpu_minutes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            bwrap: PathBuf::from("/usr/bin/bwrap"),
            toolchains: Vec::new(),
            uid: 65_530,
            slots: 1,
            minutes: 30,
            memory_mib: 4096,
            file_mib: 2048,
            processes: 1024,
            open_files: 4096,
            cpu_minutes: 120,
        }
    }
}

impl Options {
    /// Returns the longest time of a job.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.minutes.saturating_mul(60))
    }
}

/// Why a job could not be run to an end of its own. None of these is the fault of the code under test.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The job's folder could not be made, read or removed.
    #[error("the folder of the check could not be {did}")]
    Folder {
        /// What was tried, as a participle.
        did: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The sandbox did not start.
    #[error("the sandbox of the check could not be started")]
    Start(#[source] std::io::Error),
    /// The sandbox was lost while it ran.
    #[error("the sandbox of the check could not be watched")]
    Watch(#[source] std::io::Error),
    /// A value of the environment cannot be passed on.
    #[error("an environment variable of the check is too large, or holds a zero byte")]
    Environment,
}

impl Error {
    fn folder(did: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Folder { did, source }
    }
}
