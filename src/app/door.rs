//! The certificate strangers meet at this server's address, as it was last seen. A restart forgets it.

use std::sync::{Mutex, PoisonError};

use crate::domain::surroundings::Certificate;

/// What was last seen of the server's own certificate.
#[derive(Debug, Default)]
pub struct Door(Mutex<Option<Certificate>>);

impl Door {
    /// Returns what was seen last.
    pub fn seen(&self) -> Option<Certificate> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was seen; who could not look keeps what was.
    pub fn note(&self, seen: Option<Certificate>) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = seen.or(*last);
    }
}
