//! Whether the wall clock can be trusted: it is held against the time that passed on a clock nobody can set.
//!
//! Guards: an instant that came because the clock was set, not because time passed, discloses nothing. Small corrections,
//! as time servers make them, are followed; what is left of larger ones adds up until they cancel out or the server starts anew.

use jiff::{SignedDuration, Timestamp};

/// The wall clock may be this much ahead of the time that passed.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);
/// And this much behind.
const BEHIND: SignedDuration = SignedDuration::from_mins(2);
/// A step between two looks that is no larger is a correction, and is forgotten.
const CORRECTION: SignedDuration = SignedDuration::from_secs(5);

/// One look at both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The wall clock.
    pub wall: Timestamp,
    /// The time since the machine started, sleep included.
    pub passed: SignedDuration,
}

/// What is known of the wall clock since the server started.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    last: Look,
    off: SignedDuration,
}

impl Steady {
    /// Begins with a clock that is believed.
    pub fn from(first: Look) -> Self {
        Self { last: first, off: SignedDuration::ZERO }
    }

    /// Takes one more look. Returns how far the wall clock jumped, once that is too far: positive for ahead.
    pub fn look(&mut self, now: Look) -> Option<SignedDuration> {
        let step = now.wall.duration_since(self.last.wall) - (now.passed - self.last.passed);
        if step.abs() > CORRECTION {
            self.off = self.off.saturating_add(step);
        }
        self.last = now;
        (self.off > AHEAD || self.off < -BEHIND).then_some(self.off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, passed: i64) -> Look {
        Look { wall: Timestamp::from_second(wall).unwrap(), passed: SignedDuration::from_secs(passed) }
    }

    fn looks(each: &[(i64, i64)]) -> Option<i64> {
        let (mut steady, mut off) = (Steady::from(at(0, 0)), None);
        for (wall, passed) in each {
            off = steady.look(at(*wall, *passed));
        }
        off.map(|off| off.as_secs())
    }

    #[test]
    fn a_clock_that_runs_and_is_corrected_is_believed() {
        assert_eq!(looks(&[(30, 30), (65, 60), (90, 90), (86_490, 86_490)]), None);
        let slow: Vec<_> = (1..2_000).map(|n| (n * 31, n * 30)).collect();
        assert_eq!(looks(&slow), None, "a second at a time is a correction, however often");
        assert_eq!(looks(&[(30 + 540, 30), (60 + 540, 60)]), None, "nine minutes ahead are no jump");
    }

    #[test]
    fn a_jump_is_told_until_it_is_taken_back() {
        assert_eq!(looks(&[(30, 30), (3_660, 60)]), Some(3_600));
        assert_eq!(looks(&[(30, 30), (3_660, 60), (3_690, 90)]), Some(3_600), "it does not become true by waiting");
        assert_eq!(looks(&[(30, 30), (3_660, 60), (90, 90)]), None, "set back, it is right again");
        assert_eq!(looks(&[(300, 300), (30, 330)]), Some(-300));
        assert_eq!(looks(&[(300 + 400, 300), (1_130, 330)]), Some(800), "two small jumps are a large one");
    }
}
