//! Checks: where a run of the project's own workflows on one commit stands, and what counts as green.
//!
//! Guards: nothing that did not run is ever green. Leaves which jobs exist to `ci::plan`.

use super::id::words;

words! {
    /// Where a run, a job or a step stands.
    CheckState {
        /// In the queue, free to be claimed.
        Waiting = "waiting",
        /// In the queue behind another job.
        Blocked = "blocked",
        /// Claimed by an executor.
        Running = "running",
        /// Asked to stop; the executor has not answered yet.
        Cancelling = "cancelling",
        /// Ran, and every step that had to succeed did.
        Success = "success",
        /// Ran, and a step failed.
        Failure = "failure",
        /// Stopped by a person or by a newer push.
        Cancelled = "cancelled",
        /// Not run because its own condition said so.
        Skipped = "skipped",
        /// Stopped because it ran too long.
        TimedOut = "timed_out",
        /// Its executor fell silent.
        Lost = "lost",
        /// Asks for something that this server does not run. Neutral, never green.
        Unsupported = "unsupported",
        /// Waits for a person with the right to approve changed workflow files.
        NeedsApproval = "needs_approval",
    }
}

impl CheckState {
    /// Tells whether nothing can follow this state.
    pub const fn terminal(self) -> bool {
        match self {
            Self::Success
            | Self::Failure
            | Self::Cancelled
            | Self::Skipped
            | Self::TimedOut
            | Self::Lost
            | Self::Unsupported => true,
            Self::Waiting | Self::Blocked | Self::Running | Self::Cancelling | Self::NeedsApproval => false,
        }
    }

    /// Tells whether this state speaks against the commit.
    pub const fn red(self) -> bool {
        match self {
            Self::Failure | Self::Cancelled | Self::TimedOut | Self::Lost => true,
            Self::Success
            | Self::Skipped
            | Self::Unsupported
            | Self::Waiting
            | Self::Blocked
            | Self::Running
            | Self::Cancelling
            | Self::NeedsApproval => false,
        }
    }

    /// Sums up the states of a run's jobs in one word.
    ///
    /// `Success` only if a job succeeded and every other one succeeded or was skipped. A run without jobs is `Skipped`; one
    /// with an unsupported job is at best `Unsupported`.
    pub fn sum(jobs: &[Self]) -> Self {
        // The first of these that any job is in names the run.
        const ORDER: [CheckState; 11] = [
            CheckState::Cancelling,
            CheckState::Running,
            CheckState::NeedsApproval,
            CheckState::Waiting,
            CheckState::Blocked,
            CheckState::Failure,
            CheckState::TimedOut,
            CheckState::Lost,
            CheckState::Cancelled,
            CheckState::Unsupported,
            CheckState::Success,
        ];
        ORDER.into_iter().find(|state| jobs.contains(state)).unwrap_or(Self::Skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_did_not_run_is_green() {
        assert_eq!(CheckState::sum(&[]), CheckState::Skipped);
        assert_eq!(CheckState::sum(&[CheckState::Unsupported]), CheckState::Unsupported);
        assert_eq!(CheckState::sum(&[CheckState::Success, CheckState::Unsupported]), CheckState::Unsupported);
        assert_eq!(CheckState::sum(&[CheckState::Success, CheckState::Skipped]), CheckState::Success);
        assert_eq!(CheckState::sum(&[CheckState::Success, CheckState::Failure]), CheckState::Failure);
    }

    #[test]
    fn a_run_is_over_when_every_job_is() {
        for state in CheckState::ALL {
            let sum = CheckState::sum(&[CheckState::Success, *state]);
            assert_eq!(sum.terminal(), state.terminal(), "{state}");
        }
    }
}
