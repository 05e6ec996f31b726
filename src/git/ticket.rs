//! Tickets: what a hook may ask the server about, for as long as its push runs.
//!
//! Guards: a ticket is an unguessable word made by the caller, lives in memory only and dies with its guard. Leaves what
//! the ticket stands for to the caller: this module never looks inside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::sealed::Secret;

/// The tickets that are good right now.
#[derive(Clone)]
pub struct Tickets<T>(Arc<Mutex<HashMap<String, T>>>);

impl<T> Default for Tickets<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Tickets<T> {
    /// Makes a ticket good until the guard is dropped. A word that is in use already keeps its old meaning: none is issued.
    pub fn issue(&self, word: Secret, stands_for: T) -> Option<TicketGuard<T>> {
        let mut good = self.lock();
        if good.contains_key(word.expose()) {
            return None;
        }
        good.insert(word.expose().to_owned(), stands_for);
        drop(good);
        Some(TicketGuard { word, tickets: self.clone() })
    }

    /// Returns what a ticket stands for, if it is good.
    pub fn get(&self, word: &str) -> Option<T> {
        self.lock().get(word).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a ticket good. Whoever runs the child holds it.
pub struct TicketGuard<T: Clone> {
    word: Secret,
    tickets: Tickets<T>,
}

impl<T: Clone> TicketGuard<T> {
    /// Returns the word a hook shows.
    pub fn word(&self) -> &Secret {
        &self.word
    }
}

impl<T: Clone> Drop for TicketGuard<T> {
    fn drop(&mut self) {
        self.tickets.lock().remove(self.word.expose());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_dies_with_its_guard() {
        let tickets = Tickets::default();
        let guard = tickets.issue(Secret::new("word".to_owned()), 7).unwrap();
        assert_eq!(tickets.get("word"), Some(7));
        assert_eq!(tickets.get("wor"), None);
        assert!(tickets.issue(Secret::new("word".to_owned()), 8).is_none());
        drop(guard);
        assert_eq!(tickets.get("word"), None);
    }
}
