//! The slow hash of claim codes: Argon2id, one at a time, in memory that is wiped and given back.
//!
//! Guards: however many strangers enter codes, one hash's memory is in use at most, and none is when nobody does.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::Semaphore;
use zeroize::Zeroize;

use super::hash::Digest;
use crate::domain::sealed::Secret;

/// Memory of one hash in KiB, which is also its number of blocks: 19 MiB.
const MEMORY: u32 = 19 * 1024;
/// Blocks the memory is asked for, more than are ever touched: 33 MiB. What is larger than 32 MiB the C library always takes from
/// the kernel by itself and gives back when it is dropped; anything smaller stays with the thread that asked for it.
const RESERVED: usize = 33 * 1024;

/// Makes slow hashes, each about 25 ms, one after the other.
pub(super) struct SlowHash(Arc<Semaphore>);

impl SlowHash {
    /// Makes hashes in turn.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Returns the hash of a text under a salt; waits for its turn.
    pub(super) async fn of(&self, text: Secret, salt: Digest) -> Digest {
        let turn = Arc::clone(&self.0).acquire_owned().await.expect("the semaphore is never closed");
        let task = tokio::task::spawn_blocking(move || {
            let digest = slow_hash(&text, &salt);
            drop(turn);
            digest
        });
        task.await.expect("a slow hash does not panic and is not aborted")
    }
}

fn slow_hash(text: &Secret, salt: &Digest) -> Digest {
    let params = Params::new(MEMORY, 2, 1, Some(32)).expect("the parameters are within Argon2's bounds");
    let mut memory = Vec::with_capacity(RESERVED);
    memory.resize(params.block_count(), Block::new());
    let mut digest = [0; 32];
    let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        text.expose().as_bytes(),
        salt.as_bytes(),
        &mut digest,
        &mut memory[..],
    );
    for block in &mut memory {
        block.zeroize();
    }
    hashed.expect("salt, output and memory have lengths that Argon2 takes");
    Digest::from_bytes(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kibibytes of this process's own memory that are in use.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn the_hash_is_argon2ids_own() {
        let (text, salt) = (Secret::new("sample".to_owned()), Digest::from_bytes([7; 32]));
        let mut own = [0; 32];
        let params = Params::new(MEMORY, 2, 1, Some(32)).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(b"sample", salt.as_bytes(), &mut own).unwrap();
        assert_eq!(slow_hash(&text, &salt), Digest::from_bytes(own));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn sixty_hashes_at_once_leave_no_memory_in_use() {
        let slow = Arc::new(SlowHash::new());
        let before = resident();
        let mut hashes = tokio::task::JoinSet::new();
        for number in 0..60_u8 {
            let slow = Arc::clone(&slow);
            hashes.spawn(
                async move { slow.of(Secret::new("sample".to_owned()), Digest::from_bytes([number; 32])).await },
            );
        }
        let all = hashes.join_all().await;
        assert_eq!(all.len(), 60);
        let left = resident().saturating_sub(before);
        assert!(left < 16 * 1024, "{left} KiB stayed");
    }
}
