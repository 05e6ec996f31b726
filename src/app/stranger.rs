//! What strangers asked for lately, counted by whom it came from.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::crypto::hash::Fields;
use crate::crypto::token;
use crate::domain::limit::{Asked, Ledger, PerHour, Source};
use crate::domain::origin::{self, Origin};

/// Counts what strangers ask for, in memory only: a restart forgets it, and nothing leads from a count to an address.
pub struct Strangers {
    key: [u8; 32],
    ledger: Mutex<Ledger>,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { key: token::random(), ledger: Mutex::default() }
    }
}

impl Strangers {
    /// Returns as whom everybody behind this address is counted.
    pub fn origin(&self, address: IpAddr) -> Origin {
        let network = origin::network(address).to_be_bytes();
        let digest = Fields::new("embargo origin 1").field(&self.key).field(&network).finish();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest.as_bytes()[..16]);
        Origin::from_hash(hash)
    }

    /// Counts one more against every source; or against none, and returns how long to wait.
    pub fn count(
        &self,
        asked: Asked,
        sources: impl IntoIterator<Item = (Source, PerHour)>,
        now: Timestamp,
    ) -> Result<(), SignedDuration> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).take(asked, sources, now)
    }

    /// Tells whether a source has asked for nothing lately.
    pub fn is_new(&self, asked: Asked, source: Source, now: Timestamp) -> bool {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).is_new(asked, source, now)
    }
}
