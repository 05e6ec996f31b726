//! What a transition returns: the next value and the event that says so.

use super::event::Event;

/// How many times a row was changed; a save with an old version is refused as a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i64);

/// The next state of something, with the event that records the step. `store` saves both or neither.
#[derive(Debug, Clone)]
#[must_use = "a change does nothing until it is saved"]
pub struct Change<T> {
    /// The value to be stored.
    pub next: T,
    /// What happened.
    pub event: Event,
}

impl<T> Change<T> {
    /// Joins the next value and its event.
    pub fn new(next: T, event: Event) -> Self {
        Self { next, event }
    }
}
