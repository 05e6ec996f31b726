//! Checks: a run of the project's own workflows on one commit, its jobs and their steps, and what counts as green.
//!
//! Guards: terminal states are final, a job is lost at most once before it fails, and nothing that did not run is ever
//! green. Leaves which jobs exist to `ci::plan`, and when to sweep to `worker`.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::id::{CheckJobId, CheckRunId, FixId, words};
use super::refusal::Refusal;
use super::repo::{CommitId, LineName};

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

/// The run of all workflows on one commit of a fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRun {
    /// Names the run.
    pub id: CheckRunId,
    /// The fix whose push asked for it.
    pub fix: FixId,
    /// The line the fix goes to.
    pub line: LineName,
    /// The exact commit that was checked out.
    pub commit: CommitId,
    /// The sum of its jobs: [`CheckState::sum`].
    pub state: CheckState,
    /// When the push asked for it.
    pub queued_at: Timestamp,
}

/// One job of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckJob {
    /// Names the job.
    pub id: CheckJobId,
    /// The run it belongs to.
    pub run: CheckRunId,
    /// `<workflow> / <job>`: what a project names in its list of required checks.
    pub context: String,
    /// Where it stands.
    pub state: CheckState,
    /// How often it was claimed.
    pub attempt: u32,
    /// Until when its executor must have spoken again; present while it runs.
    pub lease_until: Option<Timestamp>,
    /// Whether a step of this attempt has begun: a job that began is not run twice on its own.
    pub begun: bool,
    /// A sentence for the states that need one: unsupported, skipped, lost.
    pub reason: Option<String>,
}

/// One step of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStep {
    /// Its place in the job, from 0.
    pub number: u32,
    /// Its name, or the first line of its command.
    pub name: String,
    /// Where it stands.
    pub state: CheckState,
    /// The first line of the job's log that is its own.
    pub log_from: u64,
    /// How many lines of the job's log are its own.
    pub log_lines: u64,
}

impl CheckJob {
    /// Hands the job to an executor until `now + lease`.
    pub fn claim(mut self, now: Timestamp, lease: SignedDuration) -> Result<Self, Refusal> {
        if self.state != CheckState::Waiting {
            return Err(Refusal::moment("This job is not waiting: there is nothing to claim."));
        }
        self.state = CheckState::Running;
        self.attempt += 1;
        self.begun = false;
        self.lease_until = Some(until(now, lease)?);
        Ok(self)
    }

    /// Records that the executor still works, and whether a step has begun.
    pub fn renew(mut self, now: Timestamp, lease: SignedDuration, begun: bool) -> Result<Self, Refusal> {
        if !matches!(self.state, CheckState::Running | CheckState::Cancelling) {
            return Err(Refusal::moment("This job does not run any more: stop it."));
        }
        self.begun |= begun;
        self.lease_until = Some(until(now, lease)?);
        Ok(self)
    }

    /// Records how the job ended. A job that was asked to stop ends `cancelled`, whatever its executor says.
    pub fn finish(mut self, ended: CheckState) -> Result<Self, Refusal> {
        if !ended.terminal() {
            return Err(Refusal::input("A job ends in a state that is final."));
        }
        self.state = match self.state {
            CheckState::Running => ended,
            CheckState::Cancelling => CheckState::Cancelled,
            _ => return Err(Refusal::moment("This job does not run: it cannot end.")),
        };
        self.lease_until = None;
        Ok(self)
    }

    /// Asks the job to stop. One that nobody runs is cancelled at once.
    pub fn cancel(mut self) -> Result<Self, Refusal> {
        self.state = match self.state {
            CheckState::Running | CheckState::Cancelling => CheckState::Cancelling,
            CheckState::Waiting | CheckState::Blocked | CheckState::NeedsApproval => CheckState::Cancelled,
            _ => return Err(Refusal::moment("This job has ended already.")),
        };
        Ok(self)
    }

    /// Takes the job from an executor that fell silent; `None` while its lease holds.
    ///
    /// It is queued once more if no step had begun in its first attempt, else `lost`.
    pub fn expire(self, now: Timestamp) -> Option<Self> {
        if self.lease_until.is_none_or(|until| until > now) {
            return None;
        }
        self.orphan()
    }

    /// Takes the job from an executor that is known to be gone, such as one that died with the server.
    pub fn orphan(mut self) -> Option<Self> {
        self.state = match self.state {
            CheckState::Running if !self.begun && self.attempt < 2 => CheckState::Waiting,
            CheckState::Running => {
                self.reason = Some("The executor fell silent while the job ran: run it again.".to_owned());
                CheckState::Lost
            }
            CheckState::Cancelling => CheckState::Cancelled,
            _ => return None,
        };
        self.lease_until = None;
        Some(self)
    }
}

/// Tells whether the checks of exactly this commit let it go on; the refusal says what is missing.
///
/// `required` names contexts; empty means every job that can run here. `waived` names required contexts that a person
/// waived on the record. A commit on which nothing succeeded is never green.
pub fn green(
    commit: &CommitId,
    run: Option<&CheckRun>,
    jobs: &[CheckJob],
    required: &[String],
    waived: &[String],
) -> Result<(), Refusal> {
    let Some(run) = run.filter(|run| run.commit == *commit) else {
        return Err(Refusal::moment(format!("No checks ran on {}: push it, or run them.", commit.short())));
    };
    let own: Vec<&CheckJob> = jobs.iter().filter(|job| job.run == run.id).collect();
    let waits_for = |job: &CheckJob| {
        Err(Refusal::moment(format!("The check \"{}\" on {} is {}.", job.context, commit.short(), job.state)))
    };
    if required.is_empty() {
        let neutral = |job: &&&CheckJob| !matches!(job.state, CheckState::Unsupported | CheckState::Skipped);
        let counted: Vec<_> = own.iter().filter(neutral).filter(|job| !waived.contains(&job.context)).collect();
        if let Some(job) = counted.iter().find(|job| job.state != CheckState::Success) {
            return waits_for(job);
        }
        if counted.is_empty() {
            return Err(Refusal::moment(format!("No check could run on {}: record a waiver.", commit.short())));
        }
        return Ok(());
    }
    for context in required.iter().filter(|context| !waived.contains(context)) {
        let mut named = own.iter().filter(|job| job.context == *context).peekable();
        if named.peek().is_none() {
            return Err(Refusal::moment(format!("The required check \"{context}\" did not run on {}.", commit.short())));
        }
        if let Some(job) = named.find(|job| job.state != CheckState::Success) {
            return waits_for(job);
        }
    }
    Ok(())
}

fn until(now: Timestamp, lease: SignedDuration) -> Result<Timestamp, Refusal> {
    now.checked_add(lease).map_err(|_| Refusal::input("A lease ends within the range of the calendar."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: SignedDuration = SignedDuration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run() -> CheckRun {
        CheckRun {
            id: CheckRunId::mint(1, [1; 10]),
            fix: FixId::mint(1, [2; 10]),
            line: "main".parse().unwrap(),
            commit: "a".repeat(40).parse().unwrap(),
            state: CheckState::Waiting,
            queued_at: at(0),
        }
    }

    fn job(context: &str, state: CheckState) -> CheckJob {
        CheckJob {
            id: CheckJobId::mint(1, [3; 10]),
            run: run().id,
            context: context.to_owned(),
            state,
            attempt: 0,
            lease_until: None,
            begun: false,
            reason: None,
        }
    }

    #[test]
    fn a_run_is_success_only_if_something_ran_and_nothing_was_left_out() {
        use CheckState::{Failure, Running, Skipped, Success, Unsupported, Waiting};
        assert_eq!(CheckState::sum(&[]), Skipped);
        assert_eq!(CheckState::sum(&[Skipped, Skipped]), Skipped);
        assert_eq!(CheckState::sum(&[Success, Skipped]), Success);
        assert_eq!(CheckState::sum(&[Success, Unsupported]), Unsupported);
        assert_eq!(CheckState::sum(&[Success, Failure, Waiting]), Waiting);
        assert_eq!(CheckState::sum(&[Running, Failure, Waiting]), Running);
        for state in CheckState::ALL {
            assert_eq!(CheckState::sum(&[*state]), *state, "every state is found by the sum");
        }
    }

    #[test]
    fn a_job_is_requeued_once_and_only_before_its_first_step() {
        let claimed = job("ci / test", CheckState::Waiting).claim(at(0), LEASE).unwrap();
        assert_eq!(claimed.clone().expire(at(59)), None);
        let again = claimed.clone().expire(at(60)).unwrap();
        assert_eq!((again.state, again.lease_until), (CheckState::Waiting, None));
        let twice = again.claim(at(61), LEASE).unwrap().expire(at(200)).unwrap();
        assert_eq!(twice.state, CheckState::Lost);
        let begun = claimed.renew(at(10), LEASE, true).unwrap().expire(at(100)).unwrap();
        assert_eq!(begun.state, CheckState::Lost);
    }

    #[test]
    fn a_cancelled_job_stays_cancelled_whatever_its_executor_says() {
        let stopping = job("ci / test", CheckState::Waiting).claim(at(0), LEASE).unwrap().cancel().unwrap();
        assert_eq!(stopping.clone().finish(CheckState::Success).unwrap().state, CheckState::Cancelled);
        assert_eq!(stopping.expire(at(100)).unwrap().state, CheckState::Cancelled);
    }

    #[test]
    fn a_job_that_ended_does_not_move_any_more() {
        for state in CheckState::ALL.iter().filter(|state| state.terminal()) {
            let ended = job("ci / test", *state);
            assert!(ended.clone().claim(at(0), LEASE).is_err(), "{state}");
            assert!(ended.clone().renew(at(0), LEASE, true).is_err(), "{state}");
            assert!(ended.clone().finish(CheckState::Success).is_err(), "{state}");
            assert!(ended.clone().cancel().is_err(), "{state}");
            assert!(ended.orphan().is_none(), "{state}");
        }
        assert!(job("ci / test", CheckState::Running).finish(CheckState::Waiting).is_err());
    }

    #[test]
    fn green_needs_a_success_on_this_very_commit() {
        let (run, none) = (run(), &[] as &[String]);
        let good = [job("ci / test", CheckState::Success), job("ci / mac", CheckState::Unsupported)];
        assert!(green(&run.commit, Some(&run), &good, none, none).is_ok());
        let other = "b".repeat(40).parse().unwrap();
        assert!(green(&other, Some(&run), &good, none, none).is_err());
        assert!(green(&run.commit, None, &good, none, none).is_err());
        assert!(green(&run.commit, Some(&run), &good[1..], none, none).is_err());
        assert!(green(&run.commit, Some(&run), &[], none, none).is_err());
        for state in CheckState::ALL.iter().filter(|state| !matches!(state, CheckState::Success)) {
            assert!(green(&run.commit, Some(&run), &[job("ci / test", *state)], none, none).is_err(), "{state}");
        }
    }

    #[test]
    fn a_required_check_that_cannot_run_needs_a_waiver() {
        let (run, required) = (run(), vec!["ci / mac".to_owned()]);
        let jobs = [job("ci / test", CheckState::Success), job("ci / mac", CheckState::Unsupported)];
        assert!(green(&run.commit, Some(&run), &jobs, &required, &[]).is_err());
        assert!(green(&run.commit, Some(&run), &jobs, &required, &required).is_ok());
        assert!(green(&run.commit, Some(&run), &jobs[..1], &required, &[]).is_err(), "absent is not green");
    }
}
