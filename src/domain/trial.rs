//! Trials: pushes of a release that are tried on the public repositories, without sending anything, while there is time to
//! mend what stands in their way.

use jiff::{SignedDuration, Timestamp};

use super::id::{UpstreamId, words};
use super::release::{Release, ReleaseState};

words! {
    /// How a trial ended.
    TrialOutcome {
        /// The push would be let in.
        Fine = "fine",
        /// The other side refuses us.
        Refused = "refused",
        /// Nobody knows: it did not answer, or its refs are not those of the plan.
        Silent = "silent",
    }
}

/// How long after a trial that did not go well the next one is made.
const SOON: SignedDuration = SignedDuration::from_mins(5);

/// The last trial on one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The repository.
    pub upstream: UpstreamId,
    /// How it ended.
    pub outcome: TrialOutcome,
    /// What the forge's rules have against it, the end of a sentence each.
    pub rules: Vec<String>,
    /// When.
    pub tried_at: Timestamp,
}

/// Tells whether a release is to be tried now: at first at once, more often as its instant comes near, and soon again where
/// something is to be mended.
pub fn due(release: &Release, trials: &[Trial], now: Timestamp) -> bool {
    match release.state {
        ReleaseState::Planned | ReleaseState::Frozen | ReleaseState::Armed => {}
        ReleaseState::Running | ReleaseState::Held | ReleaseState::Done | ReleaseState::Abandoned => return false,
    }
    let ahead = release.due_at.duration_since(now);
    if ahead.is_negative() {
        return false;
    }
    let pause = match ahead.as_hours() {
        0 => SignedDuration::from_mins(10),
        1..24 => SignedDuration::from_hours(1),
        24..168 => SignedDuration::from_hours(6),
        _ => SignedDuration::from_hours(24),
    };
    let Some(last) = trials.iter().map(|trial| trial.tried_at).min() else { return true };
    let fine = trials.iter().all(|trial| trial.outcome == TrialOutcome::Fine && trial.rules.is_empty());
    let pause = if fine { pause } else { pause.min(SOON) };
    now.duration_since(last) >= pause || last > now
}

#[cfg(test)]
mod tests {
    use super::super::readiness::tests::{at, release};
    use super::*;
    use crate::domain::id::Minted as _;

    #[test]
    fn a_release_is_tried_more_often_as_it_comes_near() {
        const HOUR: i64 = 3600;
        let release = Release { due_at: at(1000 * HOUR), ..release() };
        let tried =
            |at, outcome| [Trial { upstream: UpstreamId::mint(1, [1; 10]), outcome, rules: Vec::new(), tried_at: at }];
        assert!(due(&release, &[], at(1)));
        for (ahead, pause) in [(500, 24 * HOUR), (100, 6 * HOUR), (10, HOUR), (0, 600)] {
            let now = 1000 * HOUR - ahead * HOUR - 60;
            let fine = |at| tried(at, TrialOutcome::Fine);
            assert!(due(&release, &fine(at(now - pause)), at(now)), "{ahead} hours ahead");
            assert!(!due(&release, &fine(at(now - pause + 1)), at(now)), "{ahead} hours ahead");
            assert!(due(&release, &tried(at(now - 300), TrialOutcome::Refused), at(now)), "soon after a refusal");
            assert!(!due(&release, &tried(at(now - 299), TrialOutcome::Silent), at(now)));
        }
        assert!(!due(&release, &[], at(1001 * HOUR)), "its instant is over");
        let done = Release { state: ReleaseState::Done, ..release };
        assert!(!due(&done, &[], at(1)));
    }
}
