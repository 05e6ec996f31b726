//! Sealed columns: text under a key per case, bound to the place it stands in.
//!
//! Guards: ciphertext copied to another table, column or row does not open. The layout is fixed from the first migration:
//! version (1 byte, value 1), key id (8), nonce (24), then the XChaCha20-Poly1305 ciphertext with its tag (16). Associated
//! data are purpose, version, key id, table, column and row, each with its length in front.
//! Leaves to `app` who may open what, and to `store` where the bytes lie.

use std::io::Read;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::hash::Fields;
use super::identity::RecoveryIdentity;
use super::{Error, Keys, attachment, token};
use crate::domain::id::CaseId;
use crate::domain::sealed::Sealed;

const VERSION: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 24;
const HEAD: usize = 1 + KEY_ID + NONCE;
const RECOVERY_PREFIX: &str = "embargo-case-key-1";

/// Where a sealed value stands; it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row, by its id as text.
    pub row: &'a str,
}

/// The key under which one case's text is sealed. Wiped when dropped; never printed, never cloned.
pub struct CaseKey(SealingKey);

impl CaseKey {
    /// Makes a new key.
    pub fn mint() -> Self {
        Self(SealingKey::new(Zeroizing::new(token::random())))
    }

    /// Seals bytes for one place, under a fresh nonce.
    pub fn seal<T>(&self, place: &Place<'_>, plain: &[u8]) -> Sealed<T> {
        Sealed::from_envelope(self.0.seal("column", place, plain))
    }

    /// Opens what was sealed for this place under this key.
    pub fn open<T>(&self, place: &Place<'_>, sealed: &Sealed<T>) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.0.open("column", place, sealed.envelope())
    }

    /// Wraps the key twice, so that the server can open the case, and so can the recovery identity without the server.
    pub fn wrap(&self, keys: &Keys, case: &CaseId) -> WrappedKey {
        let row = case.to_string();
        let server = keys.server().seal("case key", &key_place(&row), self.0.bytes.as_slice());
        let encoded = Zeroizing::new(data_encoding::BASE32_NOPAD.encode(self.0.bytes.as_slice()));
        let plain = Zeroizing::new(format!("{RECOVERY_PREFIX}:{row}:{}", encoded.as_str()));
        WrappedKey { server, recovery: attachment::encrypt_small(&keys.recovery(), plain.as_bytes()) }
    }

    /// Opens the server's copy; fails when the bytes belong to another case or server key.
    pub fn unwrap(keys: &Keys, case: &CaseId, server: &[u8]) -> Result<Self, Error> {
        let row = case.to_string();
        let plain = keys.server().open("case key", &key_place(&row), server)?;
        Self::from_slice(&plain).ok_or(Error::EnvelopeDamaged)
    }

    /// Opens the recovery copy with the identity that `init` printed; for a restore without the server's key.
    pub fn recover(identity: &RecoveryIdentity, case: &CaseId, recovery: &[u8]) -> Result<Self, Error> {
        let plain = open_recovery(identity, recovery)?;
        let text = std::str::from_utf8(&plain).map_err(|_| Error::Recovery)?;
        let encoded = text
            .strip_prefix(RECOVERY_PREFIX)
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|rest| rest.strip_prefix(&case.to_string()))
            .and_then(|rest| rest.strip_prefix(':'))
            .ok_or(Error::Recovery)?;
        let bytes =
            Zeroizing::new(data_encoding::BASE32_NOPAD.decode(encoded.as_bytes()).map_err(|_| Error::Recovery)?);
        Self::from_slice(&bytes).ok_or(Error::Recovery)
    }

    fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 32] = bytes.try_into().ok()?;
        Some(Self(SealingKey::new(Zeroizing::new(bytes))))
    }
}

/// A case key as it is stored: two copies, each opened by another key.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Under the server's key, in the layout of a sealed column.
    pub server: Vec<u8>,
    /// An age file to the recovery recipient.
    pub recovery: Vec<u8>,
}

/// Thirty-two secret bytes with the id by which envelopes name them.
pub(super) struct SealingKey {
    bytes: Zeroizing<[u8; 32]>,
    id: [u8; KEY_ID],
}

impl SealingKey {
    pub(super) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        let digest = Fields::new("embargo key id 1").field(bytes.as_slice()).finish();
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest.as_bytes()[..KEY_ID]);
        Self { bytes, id }
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    fn seal(&self, purpose: &str, place: &Place<'_>, plain: &[u8]) -> Vec<u8> {
        let nonce = token::random::<NONCE>();
        let payload = Payload { msg: plain, aad: &self.associated(purpose, place) };
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.expect("XChaCha20-Poly1305 seals every text below 256 GiB");
        let mut envelope = Vec::with_capacity(HEAD + sealed.len());
        envelope.push(VERSION);
        envelope.extend_from_slice(&self.id);
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&sealed);
        envelope
    }

    fn open(&self, purpose: &str, place: &Place<'_>, envelope: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (head, sealed) = envelope.split_at_checked(HEAD).ok_or(Error::EnvelopeDamaged)?;
        if head[0] != VERSION {
            return Err(Error::EnvelopeUnknown);
        }
        if head[1..=KEY_ID] != self.id {
            return Err(Error::EnvelopeKey);
        }
        let payload = Payload { msg: sealed, aad: &self.associated(purpose, place) };
        let plain = self.cipher().decrypt(XNonce::from_slice(&head[1 + KEY_ID..]), payload);
        plain.map(Zeroizing::new).map_err(|_| Error::EnvelopeDamaged)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.as_slice().into())
    }

    fn associated(&self, purpose: &str, place: &Place<'_>) -> Vec<u8> {
        let fields = [b"embargo", purpose.as_bytes(), &[VERSION], &self.id]
            .into_iter()
            .chain([place.table, place.column, place.row].map(str::as_bytes));
        let mut joined = Vec::new();
        for field in fields {
            joined.extend_from_slice(&(field.len() as u64).to_be_bytes());
            joined.extend_from_slice(field);
        }
        joined
    }
}

/// Opens a small age file addressed to the recovery recipient.
pub(super) fn open_recovery(identity: &RecoveryIdentity, recovery: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut plain = Zeroizing::new(Vec::with_capacity(256));
    let identities = identity.identities();
    attachment::decrypt_file(&identities, recovery.take(64 * 1024), &mut *plain).map_err(|_| Error::Recovery)?;
    Ok(plain)
}

fn key_place(row: &str) -> Place<'_> {
    Place { table: "case", column: "key", row }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keys;

    const HERE: Place<'static> = Place { table: "message", column: "body", row: "1" };

    fn opened(folder: &tempfile::TempDir) -> (Keys, RecoveryIdentity) {
        let options = keys::Options { folder: folder.path().join("keys"), ..Default::default() };
        let outcome = keys::init(&options).unwrap();
        (Keys::open(&options).unwrap(), RecoveryIdentity::parse(outcome.recovery_identity.expose()).unwrap())
    }

    #[test]
    fn sealed_text_opens_in_its_place_only() {
        let key = CaseKey::mint();
        let sealed: Sealed<String> = key.seal(&HERE, b"a secret");
        assert_eq!(key.open(&HERE, &sealed).unwrap().as_slice(), b"a secret");
        for elsewhere in [
            Place { table: "report", ..HERE },
            Place { column: "title", ..HERE },
            Place { row: "2", ..HERE },
            Place { table: "messageb", column: "ody", row: "1" },
        ] {
            assert!(matches!(key.open(&elsewhere, &sealed), Err(Error::EnvelopeDamaged)));
        }
    }

    #[test]
    fn sealed_text_hides_itself_and_never_repeats() {
        let key = CaseKey::mint();
        let first: Sealed<String> = key.seal(&HERE, b"needle");
        let second: Sealed<String> = key.seal(&HERE, b"needle");
        assert!(first != second);
        assert_eq!(first.envelope().len(), 6 + 49);
        assert!(!first.envelope().windows(6).any(|window| window == b"needle"));
        let empty: Sealed<String> = key.seal(&HERE, b"");
        assert!(key.open(&HERE, &empty).unwrap().is_empty());
    }

    #[test]
    fn damaged_foreign_and_future_envelopes_are_told_apart() {
        let key = CaseKey::mint();
        let whole = key.seal::<String>(&HERE, b"a secret").envelope().to_vec();
        let open = |bytes: Vec<u8>| key.open(&HERE, &Sealed::<String>::from_envelope(bytes));
        for place in 9..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            assert!(matches!(open(flipped), Err(Error::EnvelopeDamaged)), "byte {place}");
        }
        for length in 0..whole.len() {
            assert!(open(whole[..length].to_vec()).is_err(), "cut at {length}");
        }
        let mut future = whole.clone();
        future[0] = 2;
        assert!(matches!(open(future), Err(Error::EnvelopeUnknown)));
        assert!(matches!(
            CaseKey::mint().open(&HERE, &Sealed::<String>::from_envelope(whole)),
            Err(Error::EnvelopeKey)
        ));
    }

    #[test]
    fn case_key_comes_back_by_server_and_by_recovery() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, identity) = opened(&folder);
        let case: CaseId = "OCTO-42".parse().unwrap();
        let other: CaseId = "OCTO-4".parse().unwrap();
        let key = CaseKey::mint();
        let sealed: Sealed<String> = key.seal(&HERE, b"a secret");
        let wrapped = key.wrap(&keys, &case);

        let by_server = CaseKey::unwrap(&keys, &case, &wrapped.server).unwrap();
        assert_eq!(by_server.open(&HERE, &sealed).unwrap().as_slice(), b"a secret");
        let recovered = CaseKey::recover(&identity, &case, &wrapped.recovery).unwrap();
        assert_eq!(recovered.open(&HERE, &sealed).unwrap().as_slice(), b"a secret");

        assert!(CaseKey::unwrap(&keys, &other, &wrapped.server).is_err());
        assert!(CaseKey::recover(&identity, &other, &wrapped.recovery).is_err());
        let stranger = RecoveryIdentity::parse(token::age_identity().0.expose()).unwrap();
        assert!(CaseKey::recover(&stranger, &case, &wrapped.recovery).is_err());
        assert!(CaseKey::recover(&identity, &case, &wrapped.server).is_err());
    }
}
