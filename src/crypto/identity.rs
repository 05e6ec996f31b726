//! Private keys that open age files: on a member's own machine, and the recovery identity during a restore.
//!
//! Guards: a passphrase is asked for once per key, and no plugin is ever run. Reads text, never files: which file to open
//! is the caller's choice. A running server holds none of these.

use std::io::Cursor;

use age::secrecy::SecretString;
use age::ssh::{Identity as SshIdentity, UnsupportedKey};

use super::Error;
use crate::domain::refusal::Malformed;
use crate::domain::sealed::Secret;

/// Private keys to try on an age file, in the order they were added.
#[derive(Default)]
pub struct Identities(Vec<Box<dyn age::Identity + Send>>);

impl Identities {
    /// Adds what a key file holds: age identities (one per line, `#` comments) or one OpenSSH private key.
    ///
    /// `ask` is called once if the OpenSSH key is protected by a passphrase.
    pub fn add(&mut self, text: &str, ask: &mut dyn FnMut() -> Option<Secret>) -> Result<(), Error> {
        let key = if text.trim_start().starts_with("-----BEGIN ") { open_ssh(text, ask)? } else { open_age(text)? };
        self.0.extend(key);
        Ok(())
    }

    /// Tells whether there is no key to try.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|identity| identity.as_ref() as &dyn age::Identity)
    }
}

/// The identity that `init` printed once. Opens every case key, so it is used for a restore only.
pub struct RecoveryIdentity(age::x25519::Identity);

impl RecoveryIdentity {
    /// Parses the line `AGE-SECRET-KEY-1…`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        text.trim().parse().map(Self).map_err(|_| Error::Key(AGE_RULE))
    }

    pub(super) fn identities(&self) -> Identities {
        Identities(vec![Box::new(self.0.clone())])
    }
}

const AGE_RULE: Malformed = Malformed::new("an age identity is a line that starts with AGE-SECRET-KEY-1");

type Opened = Vec<Box<dyn age::Identity + Send>>;

fn open_age(text: &str) -> Result<Opened, Error> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut opened: Opened = Vec::new();
    for line in lines {
        if line.starts_with("AGE-PLUGIN-") {
            return Err(Error::Key(Malformed::new(
                "keys of age plugins are not used here: decrypt with the age program itself",
            )));
        }
        if line.starts_with("age-encryption.org/") {
            return Err(Error::Key(Malformed::new("the identity file is itself encrypted: decrypt it with age first")));
        }
        let identity: age::x25519::Identity = line.parse().map_err(|_| Error::Key(AGE_RULE))?;
        opened.push(Box::new(identity));
    }
    if opened.is_empty() {
        return Err(Error::Key(AGE_RULE));
    }
    Ok(opened)
}

fn open_ssh(text: &str, ask: &mut dyn FnMut() -> Option<Secret>) -> Result<Opened, Error> {
    let malformed = || Error::Key(Malformed::new("the private key is not one that OpenSSH writes"));
    let identity = SshIdentity::from_buffer(Cursor::new(text), None).map_err(|_| malformed())?;
    let key = match identity {
        SshIdentity::Unencrypted(key) => key,
        SshIdentity::Encrypted(locked) => {
            let passphrase = ask().ok_or(Error::PassphraseMissing)?;
            let passphrase = SecretString::from(passphrase.expose().to_owned());
            locked.decrypt(passphrase).map_err(|_| Error::PassphraseWrong)?
        }
        SshIdentity::Unsupported(why) => return Err(Error::Key(unsupported(&why))),
    };
    Ok(vec![Box::new(SshIdentity::from(key))])
}

fn unsupported(why: &UnsupportedKey) -> Malformed {
    Malformed::new(match why {
        UnsupportedKey::EncryptedPem => "the private key has an old format: rewrite it with ssh-keygen -o -p",
        UnsupportedKey::EncryptedSsh(_) => "the private key is locked with a cipher that is not known here",
        UnsupportedKey::Hardware(_) => "a key that lives on a hardware token cannot decrypt files",
        UnsupportedKey::Type(_) => "only Ed25519 and RSA keys can decrypt files",
    })
}
