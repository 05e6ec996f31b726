//! How many connections one address may hold, so that nobody shuts the door for everybody.
//!
//! Proxies that are trusted speak for many, and bound their own clients: they are not counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::origin::{TrustedProxy, network};

/// The connections of each address.
#[derive(Clone)]
pub(super) struct Crowd {
    most: usize,
    held: Arc<Mutex<HashMap<u128, usize>>>,
}

/// One connection, for as long as it lasts; counted for its network unless a trusted proxy holds it.
pub(super) struct Place {
    network: Option<u128>,
    held: Arc<Mutex<HashMap<u128, usize>>>,
}

impl Crowd {
    /// Gives each address at most this many.
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    /// Takes a connection in; `None` if its address holds all it may.
    pub(super) fn enter(&self, peer: IpAddr, trusted: &[TrustedProxy]) -> Option<Place> {
        if trusted.iter().any(|proxy| proxy.is(peer.to_canonical())) {
            return Some(Place { network: None, held: Arc::clone(&self.held) });
        }
        let network = network(peer);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(network).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { network: Some(network), held: Arc::clone(&self.held) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                held.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_its_share_and_a_trusted_proxy_more() {
        let crowd = Crowd::new(2);
        let enter = |address: &str, trusted: &[TrustedProxy]| crowd.enter(address.parse().unwrap(), trusted);
        let (one, two) = (enter("192.0.2.1", &[]).unwrap(), enter("192.0.2.1", &[]).unwrap());
        assert!(enter("192.0.2.1", &[]).is_none());
        assert!(enter("192.0.2.2", &[]).is_some());
        let proxy = ["192.0.2.1".parse().unwrap()];
        assert!(enter("192.0.2.1", &proxy).is_some());
        assert!(enter("::ffff:192.0.2.1", &proxy).is_some());
        drop(one);
        assert!(enter("192.0.2.1", &[]).is_some());
        drop(two);
        assert!(crowd.held.lock().unwrap().is_empty(), "nothing is kept of who is gone");
    }
}
