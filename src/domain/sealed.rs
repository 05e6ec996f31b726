//! Secrets as types: what is ciphertext, and what must never be printed.

use std::fmt;
use std::marker::PhantomData;

use zeroize::Zeroizing;

/// Ciphertext of a `T` under a case key. `store` sees only this; `app.unseal` is the one way back.
///
/// Layout of the bytes: see `crypto::column`.
pub struct Sealed<T> {
    bytes: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T> Sealed<T> {
    /// Takes bytes that are an envelope already: from `crypto::column` or from a row.
    pub fn from_envelope(bytes: Vec<u8>) -> Self {
        Self { bytes, of: PhantomData }
    }

    /// Returns the envelope.
    pub fn envelope(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self::from_envelope(self.bytes.clone())
    }
}

impl<T> PartialEq for Sealed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.bytes.len())
    }
}

/// A value that never prints and is wiped when dropped: a token, a claim code, a password.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps the text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Shows the text; the name makes each use easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
