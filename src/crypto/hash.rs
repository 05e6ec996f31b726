//! SHA-256 over fields that cannot run into each other, and the hash chain of events.
//!
//! Guards: two different lists of fields never hash the same bytes, and shredding an event's sealed detail leaves the
//! chain verifiable. Leaves to `store` what an event's plain columns are and in which order they stand.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The hash before the first event: thirty-two zeros.
    pub const ZERO: Self = Self([0; 32]);

    /// Takes the bytes of a hash, for example from a row.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in a time that does not depend on where the values differ.
    pub fn same(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Hashes bytes that arrive in pieces, such as an upload.
#[derive(Clone, Default)]
pub struct Running(Sha256);

impl Running {
    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Returns the hash of all pieces, the same as [`sha256`] of them joined.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Hashes a list of fields, each with its length in front (eight bytes, big-endian), after the name of its purpose.
#[derive(Clone)]
pub struct Fields(Sha256);

impl Fields {
    /// Starts a list for one purpose; lists of different purposes never hash alike.
    pub fn new(purpose: &str) -> Self {
        Self(Sha256::new()).field(purpose.as_bytes())
    }

    /// Adds the next field.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Returns the hash.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// What an event's hash says of its sealed detail.
///
/// It is kept in the event's row, so that salt and sealed detail can be deleted and the chain still verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment(Digest);

impl Commitment {
    /// Commits to a sealed detail; the salt (from [`super::token::random`]) keeps a short detail from being guessed.
    pub fn of(salt: &[u8; 16], sealed: &[u8]) -> Self {
        Self(Fields::new("embargo event detail 1").field(salt).field(sealed).finish())
    }

    /// Takes a commitment that was stored.
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// Returns the hash to store.
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

/// Returns the SHA-256 of the bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Returns an event's hash: over the hash before it, its plain columns in canonical form, and its commitment if it has one.
pub fn event_hash(previous: &Digest, plain: &[u8], detail: Option<&Commitment>) -> Digest {
    let fields = Fields::new("embargo event 1").field(&previous.0).field(plain);
    match detail {
        Some(commitment) => fields.field(&commitment.0.0),
        None => fields,
    }
    .finish()
}

/// Compares two secrets in a time that depends on their lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && std::hint::black_box(a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_run_into_each_other() {
        let split = |a: &[u8], b: &[u8]| Fields::new("t").field(a).field(b).finish();
        assert_ne!(split(b"ab", b"c"), split(b"a", b"bc"));
        assert_ne!(Fields::new("t").field(b"").finish(), Fields::new("t").finish());
        assert_ne!(Fields::new("t").finish(), Fields::new("u").finish());
    }

    #[test]
    fn hash_is_that_of_the_standard() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc").to_string(), known);
        let mut running = Running::default();
        running.update(b"a");
        running.update(b"bc");
        assert_eq!(running.finish().to_string(), known);
    }

    #[test]
    fn chain_survives_shredding_and_notices_every_change() {
        let commitment = Commitment::of(&[7; 16], b"sealed detail");
        let first = event_hash(&Digest::ZERO, b"plain one", Some(&commitment));
        let second = event_hash(&first, b"plain two", None);

        let stored = Commitment::from_digest(commitment.digest());
        assert_eq!(event_hash(&Digest::ZERO, b"plain one", Some(&stored)), first, "salt and detail are gone");

        assert_ne!(event_hash(&Digest::ZERO, b"plain 0ne", Some(&stored)), first);
        assert_ne!(event_hash(&Digest::ZERO, b"plain one", None), first);
        assert_ne!(event_hash(&Digest::ZERO, b"plain two", None), second);
        assert_ne!(Commitment::of(&[8; 16], b"sealed detail"), commitment);
        assert_ne!(Commitment::of(&[7; 16], b"sealed detai1"), commitment);
    }

    #[test]
    fn comparison_sees_length_and_content() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd"));
        assert!(!same(b"abc", b"ab"));
    }
}
