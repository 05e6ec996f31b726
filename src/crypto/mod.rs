//! The port of everything secret: keys, tokens, sealed columns, age attachments, SSH signatures, hashes.
//!
//! Guards: plaintext and keys live in types that never print and are wiped; random bytes come from [`token`] alone; an
//! uploaded file never meets the age parser on the server, only the capped scanner of [`header`].
//! Leaves to others: who may open what (`domain::access`), where ciphertext lies (`store`), and the clock (`app`).

pub mod attachment;
pub mod column;
pub mod hash;
pub mod header;
pub mod identity;
pub mod keys;
mod portion;
pub mod recipient;
pub mod shelf;
mod slow;
pub mod sshkey;
pub mod sshsig;
pub mod token;

use std::io;
use std::path::PathBuf;

pub use keys::{Keys, Options};

use crate::domain::refusal::Malformed;

/// Why something of this port failed; displays one sentence without any secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configured key file or the key folder is not there.
    #[error("{} is missing: restore it from your backup, or run `embargo init` for a new server.", path.display())]
    KeyMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Other users of the machine can read a private key file, or change a public one or the key folder.
    #[error("{} is open to other users (mode {mode:04o}): run `chmod {wanted:o} {}`.", path.display(), path.display())]
    KeyExposed {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        wanted: u32,
    },
    /// A key file does not hold what its name promises.
    #[error("The key file {} is not valid: {why}.", path.display())]
    KeyMalformed {
        /// The file.
        path: PathBuf,
        /// The rule it breaks.
        why: Malformed,
    },
    /// A key would have been overwritten.
    #[error("{} exists already: keys are never overwritten, and nothing was changed.", path.display())]
    KeyExists {
        /// The file in the way.
        path: PathBuf,
    },
    /// A key file could not be read or written.
    #[error("The key file {} could not be read or written.", path.display())]
    KeyIo {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The folder of attachments could not be made ready.
    #[error("The folder {} could not be used: it must belong to the user that runs the server.", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Sealed bytes of a layout this version does not know.
    #[error("The sealed data has a layout that this version of embargo does not know.")]
    EnvelopeUnknown,
    /// Sealed bytes that belong to another key.
    #[error("The sealed data belongs to another key.")]
    EnvelopeKey,
    /// Sealed bytes that were changed, cut off, or moved to another place.
    #[error("The sealed data is damaged or was moved from another place.")]
    EnvelopeDamaged,
    /// A recovery copy that this identity or case does not match.
    #[error("The recovery copy does not open: it belongs to another recovery identity or case, or is damaged.")]
    Recovery,
    /// A text that is not a key of the wanted kind.
    #[error("The key is not valid: {0}.")]
    Key(Malformed),
    /// A private key is locked and no passphrase was given.
    #[error("The private key is protected by a passphrase, and none was given.")]
    PassphraseMissing,
    /// The passphrase does not open the private key.
    #[error("The passphrase does not open the private key.")]
    PassphraseWrong,
    /// A file that is no acceptable age file.
    #[error(transparent)]
    Refused(#[from] header::Refused),
    /// An age file that none of the identities opens.
    #[error("The file is not encrypted to any of these keys.")]
    NotForYou,
    /// An age file that was changed or cut off.
    #[error("The file is damaged or was cut off: delete what was written of it and fetch it again.")]
    FileDamaged,
    /// Reading or writing failed.
    #[error("Reading or writing the file failed.")]
    Io(#[source] io::Error),
    /// A text that is no SSH signature.
    #[error("The signature is not an SSH signature (`-----BEGIN SSH SIGNATURE-----`).")]
    SignatureMalformed,
    /// A signature by another key, of another message or for another purpose.
    #[error("The signature does not match the key, the message or the purpose.")]
    SignatureWrong,
    /// The private key could not sign.
    #[error("The private key could not sign.")]
    Signing(#[source] ssh_key::Error),
}
