//! Whether mail gets out of the house, as the last tries showed it. A restart forgets it: the next mail shows it anew.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// Since when no mail server takes mail, if none does.
#[derive(Debug, Default)]
pub struct MailWay(Mutex<Option<Timestamp>>);

impl MailWay {
    /// Returns since when it is closed.
    pub fn closed_since(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the mail server could not be used; tells whether that is new.
    pub fn close(&self, now: Timestamp) -> bool {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = since.is_none();
        since.get_or_insert(now);
        new
    }

    /// Notes that the mail server was there; tells whether that is new.
    pub fn open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}
