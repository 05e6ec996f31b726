//! Where the time comes from: the machine, or a test.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::domain::steady::Look;

/// Where the time comes from.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's wall clock.
    System,
    /// An instant that stands still until it is set, for tests.
    Fixed(Arc<Mutex<Look>>),
}

impl Clock {
    /// Makes a clock that stands at this instant.
    pub fn fixed(at: Timestamp) -> Self {
        Self::Fixed(Arc::new(Mutex::new(Look { wall: at, passed: SignedDuration::ZERO })))
    }

    /// Returns the present instant, to the millisecond.
    pub fn now(&self) -> Timestamp {
        let now = self.look().wall;
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Waits until the machine's clock is to show this instant. It may have been set meanwhile: look again. A clock that
    /// stands still is not waited for.
    pub async fn reach(&self, at: Timestamp) {
        match (self, at.duration_since(self.look().wall).try_into()) {
            (Self::System, Ok(left)) => tokio::time::sleep(left).await,
            (Self::System, Err(_)) | (Self::Fixed(_), _) => {}
        }
    }

    /// Looks at the wall clock and at the time that passed.
    #[expect(clippy::disallowed_methods, reason = "the one place where the time comes from")]
    pub(super) fn look(&self) -> Look {
        match self {
            Self::System => {
                let passed = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                let nanos = i32::try_from(passed.tv_nsec).unwrap_or_default();
                Look { wall: Timestamp::now(), passed: SignedDuration::new(passed.tv_sec, nanos) }
            }
            Self::Fixed(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Lets time pass on a fixed clock up to this instant; the machine's clock stays what it is.
    pub fn set(&self, to: Timestamp) {
        self.change(|at| Look { wall: to, passed: at.passed + to.duration_since(at.wall) });
    }

    /// Sets a fixed clock as a person would set a machine's: no time passes.
    pub fn jump(&self, to: Timestamp) {
        self.change(|at| Look { wall: to, ..at });
    }

    fn change(&self, change: impl FnOnce(Look) -> Look) {
        match self {
            Self::System => {}
            Self::Fixed(at) => {
                let mut at = at.lock().unwrap_or_else(PoisonError::into_inner);
                *at = change(*at);
            }
        }
    }
}
