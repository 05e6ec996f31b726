//! How often strangers may ask for what costs something: a token bucket per source, kept as one instant.
//!
//! Guards: what is counted against several sources is taken from all of them or from none, and the ledger stays bounded
//! whoever asks. Leaves whose address it is to [`super::origin`] and when it is to the clock.
//!
//! Own code rather than the crate `governor`: that one takes from each bucket by itself, so that a refusal by the project's
//! bucket would still cost the address; it grows with every new address until it is told to clean up; and it runs on
//! a clock of its own.

use std::collections::HashMap;
use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::id::{ProjectId, RecipientId, ReportId};
use super::origin::Origin;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Buckets in memory, of about 100 bytes each; when there are more, those nearest to being full are forgotten.
const MOST: usize = 50_000;

/// What strangers may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// That a report is taken.
    Report,
    /// That a claim code is looked up.
    Claim,
    /// A step of a sign-in: a challenge, its answer, a one-time code.
    SignIn,
    /// That a reporter's file is taken.
    File,
    /// That a copy is made for a member of an audience.
    Copy,
}

/// Against whom it is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Everybody behind one address.
    Origin(Origin),
    /// The reporter of one report.
    Report(ReportId),
    /// Whoever holds one personal link.
    Recipient(RecipientId),
    /// Everybody who asks something of one project. Only for projects that exist: these buckets are never forgotten early.
    Project(ProjectId),
}

/// So many within an hour: all of them at once if need be, then they come back evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PerHour(NonZeroU32);

impl PerHour {
    /// Makes a rate of at least one.
    pub const fn new(count: NonZeroU32) -> Self {
        Self(count)
    }

    /// Takes one from a bucket that is full again at `full_at`; returns when it is full after that, or how long to wait.
    fn take(self, full_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, SignedDuration> {
        let each = SignedDuration::from_nanos(HOUR.as_secs() * 1_000_000_000 / i64::from(self.0.get()));
        // A clock that was set back must not make anybody wait longer than an empty bucket does.
        let missing =
            full_at.map_or(SignedDuration::ZERO, |full| full.duration_since(now).clamp(SignedDuration::ZERO, HOUR));
        let after = missing + each;
        if after > HOUR { Err(after - HOUR) } else { Ok(now + after) }
    }
}

/// All buckets that are not full, each as the instant at which it is full again.
#[derive(Debug, Default)]
pub struct Ledger {
    buckets: HashMap<(Asked, Source), Timestamp>,
}

impl Ledger {
    /// Counts one more against every source; or against none, and returns how long to wait.
    pub fn take(
        &mut self,
        asked: Asked,
        sources: impl IntoIterator<Item = (Source, PerHour)>,
        now: Timestamp,
    ) -> Result<(), SignedDuration> {
        let mut taken = Vec::new();
        let mut wait = SignedDuration::ZERO;
        for (source, rate) in sources {
            let key = (asked, source);
            match rate.take(self.buckets.get(&key).copied(), now) {
                Ok(full_at) => taken.push((key, full_at)),
                Err(longer) => wait = wait.max(longer),
            }
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        if self.buckets.len() + taken.len() > MOST {
            self.forget(now);
        }
        self.buckets.extend(taken);
        Ok(())
    }

    /// Tells whether a source has asked for nothing lately.
    pub fn is_new(&self, asked: Asked, source: Source, now: Timestamp) -> bool {
        self.buckets.get(&(asked, source)).is_none_or(|full_at| *full_at <= now)
    }

    /// Forgets what is full, and if that is not enough the half that is full soonest: whoever asked little.
    fn forget(&mut self, now: Timestamp) {
        self.buckets.retain(|_, full_at| *full_at > now);
        if self.buckets.len() > MOST / 2 {
            let mut instants: Vec<_> = self.buckets.values().copied().collect();
            let middle = instants.len() / 2;
            let (_, middle, _) = instants.select_nth_unstable(middle);
            let middle = *middle;
            self.buckets.retain(|(_, source), full_at| matches!(source, Source::Project(_)) || *full_at > middle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_893_456_000 + second).unwrap()
    }

    fn per_hour(count: u32) -> PerHour {
        PerHour::new(NonZeroU32::new(count).unwrap())
    }

    fn address(number: u32) -> Source {
        let mut hash = [0; 16];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        Source::Origin(Origin::from_hash(hash))
    }

    fn project() -> Source {
        Source::Project("sample".parse().unwrap())
    }

    #[test]
    fn so_many_come_at_once_and_then_one_at_a_time() {
        let mut ledger = Ledger::default();
        for _ in 0..6 {
            assert_eq!(ledger.take(Asked::Report, [(address(1), per_hour(6))], at(0)), Ok(()));
        }
        let refused = ledger.take(Asked::Report, [(address(1), per_hour(6))], at(0));
        assert_eq!(refused, Err(SignedDuration::from_mins(10)));
        assert_eq!(ledger.take(Asked::Report, [(address(1), per_hour(6))], at(599)), Err(SignedDuration::from_secs(1)));
        assert_eq!(ledger.take(Asked::Report, [(address(1), per_hour(6))], at(600)), Ok(()));
        assert!(ledger.take(Asked::Report, [(address(1), per_hour(6))], at(600)).is_err());
        // Another address, and the same address asking for something else, are other buckets.
        assert_eq!(ledger.take(Asked::Report, [(address(2), per_hour(6))], at(600)), Ok(()));
        assert_eq!(ledger.take(Asked::Claim, [(address(1), per_hour(6))], at(600)), Ok(()));
    }

    #[test]
    fn what_one_bucket_refuses_costs_the_others_nothing() {
        let mut ledger = Ledger::default();
        let both = |number| [(address(number), per_hour(3)), (project(), per_hour(2))];
        ledger.take(Asked::Report, both(1), at(0)).unwrap();
        ledger.take(Asked::Report, both(2), at(0)).unwrap();
        for _ in 0..10 {
            // Many addresses do not get past the bound of the project.
            assert_eq!(ledger.take(Asked::Report, both(3), at(0)), Err(SignedDuration::from_mins(30)));
        }
        for _ in 0..3 {
            ledger.take(Asked::Report, [(address(3), per_hour(3))], at(0)).unwrap();
        }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nobody_wait_for_ever() {
        let mut ledger = Ledger::default();
        ledger.take(Asked::Claim, [(address(1), per_hour(1))], at(1_000_000)).unwrap();
        assert_eq!(ledger.take(Asked::Claim, [(address(1), per_hour(1))], at(0)), Err(HOUR));
        assert_eq!(ledger.take(Asked::Claim, [(address(1), per_hour(1))], at(1_003_600)), Ok(()));
    }

    #[test]
    fn a_flood_of_addresses_fills_no_memory_and_frees_nobody_who_asked_much() {
        let mut ledger = Ledger::default();
        ledger.take(Asked::Report, [(project(), per_hour(1000))], at(0)).unwrap();
        for _ in 0..5 {
            ledger.take(Asked::Report, [(address(0), per_hour(5))], at(0)).unwrap();
        }
        for number in 1..=u32::try_from(3 * MOST).unwrap() {
            ledger.take(Asked::Report, [(address(number), per_hour(5))], at(1)).unwrap();
            assert!(ledger.buckets.len() <= MOST);
        }
        assert!(ledger.take(Asked::Report, [(address(0), per_hour(5))], at(1)).is_err());
        assert!(ledger.buckets.contains_key(&(Asked::Report, project())));
    }

    #[test]
    fn a_reporter_is_counted_by_the_report() {
        let mut ledger = Ledger::default();
        let one = || [(Source::Report(ReportId::mint(1, [1; 10])), per_hour(1))];
        ledger.take(Asked::File, one(), at(0)).unwrap();
        assert!(ledger.take(Asked::File, one(), at(1)).is_err());
    }
}
