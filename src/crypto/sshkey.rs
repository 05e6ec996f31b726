//! SSH public keys of people: to sign in with, and to encrypt attachments to.
//!
//! Guards: weak, degenerate and private keys are refused where they are added, so that every [`SshKey`] can be relied on.
//! Leaves to `store` whose key it is, to [`super::sshsig`] what it signed, and to [`super::recipient`] encryption.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, Mpint, PublicKey};

use crate::domain::refusal::Malformed;

/// No acceptable key is longer.
const LONGEST: usize = 16 * 1024;

/// An SSH public key good enough to sign in with: Ed25519, Ed25519 on a hardware token, or RSA of 3072 to 4096 bits.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshKey {
    key: PublicKey,
    text: String,
}

impl SshKey {
    /// Returns the fingerprint as `ssh-keygen -l` shows it: `SHA256:` and 43 letters.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.key
    }

    /// Returns the key as one line without a comment.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether the private half lives on a hardware token, which signs but does not decrypt.
    pub fn is_hardware(&self) -> bool {
        self.key.key_data().is_sk_ed25519()
    }

    /// Takes a parsed key if it is good enough.
    pub(super) fn accept(key: &PublicKey) -> Result<Self, Malformed> {
        match key.key_data() {
            KeyData::Ed25519(ed25519) => check_ed25519(&ed25519.0)?,
            KeyData::SkEd25519(hardware) => check_ed25519(&hardware.public_key().0)?,
            KeyData::Rsa(rsa) => check_rsa(&rsa.n, &rsa.e)?,
            _ => {
                return Err(Malformed::new(
                    "this kind of SSH key is not used here: give an ssh-ed25519 or ssh-rsa key",
                ));
            }
        }
        let key = PublicKey::new(key.key_data().clone(), "");
        let text = key.to_openssh().map_err(|_| RULE)?.trim().to_owned();
        Ok(Self { key, text })
    }
}

const RULE: Malformed =
    Malformed::new("an SSH public key is one line that starts with ssh-ed25519 or ssh-rsa, as in the .pub file");

const FOREIGN: Malformed = Malformed::new("this kind of SSH key is not used here: give an ssh-ed25519 or ssh-rsa key");

/// Tells whether this is a file with a private key, as OpenSSH, OpenSSL or PuTTY write it.
pub(super) fn is_private(text: &str) -> bool {
    text.starts_with("PuTTY-User-Key-File") || (text.starts_with("-----BEGIN") && text.contains("PRIVATE KEY"))
}

/// Refuses points of small order: everyone can sign and decrypt for them (RFC 8032, section 5.1.7).
fn check_ed25519(point: &[u8; 32]) -> Result<(), Malformed> {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    if small(*point) || ORDER_8.contains(&unsigned(*point)) {
        return Err(Malformed::new("this SSH key is degenerate and proves nothing: make a new one with ssh-keygen"));
    }
    Ok(())
}

/// Tells whether a coordinate below 2^255, in little-endian bytes, is 0, 1 or -1 modulo 2^255-19, the top bit aside.
pub(super) fn small(coordinate: [u8; 32]) -> bool {
    let bytes = unsigned(coordinate);
    let near_zero = bytes[0] <= 1 && bytes[1..].iter().all(|byte| *byte == 0);
    let near_prime =
        (0xec..=0xee).contains(&bytes[0]) && bytes[1..31].iter().all(|byte| *byte == 0xff) && bytes[31] == 0x7f;
    near_zero || near_prime
}

fn unsigned(mut bytes: [u8; 32]) -> [u8; 32] {
    bytes[31] &= 0x7f;
    bytes
}

fn check_rsa(modulus: &Mpint, exponent: &Mpint) -> Result<(), Malformed> {
    let (Some(modulus), Some(exponent)) = (modulus.as_positive_bytes(), exponent.as_positive_bytes()) else {
        return Err(RULE);
    };
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - leading;
    if bits < 3072 {
        return Err(Malformed::new("this RSA key is too short: give one of at least 3072 bits, or an ssh-ed25519 key"));
    }
    if bits > 4096 {
        return Err(Malformed::new("this RSA key is longer than 4096 bits: give a shorter one, or an ssh-ed25519 key"));
    }
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte % 2 == 1);
    if !odd(modulus) || !odd(exponent) || exponent.len() > 4 || exponent == [1] {
        return Err(Malformed::new(
            "this RSA key has numbers that no honest program makes: make a new one with ssh-keygen",
        ));
    }
    Ok(())
}

impl FromStr for SshKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        if is_private(text) {
            return Err(Malformed::new(
                "this is a private key: keep it to yourself and give its public half, the .pub file",
            ));
        }
        if text.len() > LONGEST || text.contains(['\n', '\r']) {
            return Err(RULE);
        }
        if ["ecdsa-", "sk-ecdsa-", "ssh-dss"].iter().any(|kind| text.starts_with(kind)) {
            return Err(FOREIGN);
        }
        Self::accept(&PublicKey::from_openssh(text).map_err(|_| RULE)?)
    }
}

impl TryFrom<String> for SshKey {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<SshKey> for String {
    fn from(key: SshKey) -> Self {
        key.text
    }
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SshKey({})", self.fingerprint())
    }
}

impl PartialEq for SshKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SshKey {}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "OpenSSH makes the keys of the tests")]
mod tests {
    use std::fs;
    use std::process::Command;

    use ssh_key::public::Ed25519PublicKey;

    use super::*;

    #[test]
    fn weak_foreign_and_private_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |options: &[&str]| {
            let path = folder.path().join(options.concat());
            let mut command = Command::new("ssh-keygen");
            let made =
                command.args(["-q", "-N", "", "-C", "sample@example.org"]).args(options).arg("-f").arg(&path).status();
            assert!(made.unwrap().success());
            fs::read_to_string(path.with_extension("pub")).unwrap().parse::<SshKey>().unwrap_err().to_string()
        };
        assert!(refusal(&["-t", "rsa", "-b", "2048"]).contains("too short"));
        assert!(refusal(&["-t", "ecdsa"]).contains("not used here"));
        for private in
            ["-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none"]
        {
            assert!(private.parse::<SshKey>().unwrap_err().to_string().contains("private"), "{private}");
        }
        for odd in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 !!!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5"] {
            assert!(odd.parse::<SshKey>().is_err(), "{odd}");
        }
    }

    #[test]
    fn key_for_which_everyone_can_sign_is_refused() {
        let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
        let order_8_signed = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa";
        let order_1 = format!("01{}", "0".repeat(62));
        let order_2 = format!("ec{}7f", "ff".repeat(30));
        let order_4 = format!("{}80", "0".repeat(62));
        for point in [order_8, order_8_signed, &order_1, &order_2, &order_4] {
            let bytes = data_encoding::HEXLOWER.decode(point.as_bytes()).unwrap();
            let key = PublicKey::new(KeyData::Ed25519(Ed25519PublicKey(bytes.try_into().unwrap())), "");
            let refusal = key.to_openssh().unwrap().parse::<SshKey>().unwrap_err();
            assert!(refusal.to_string().contains("degenerate"), "{point}");
        }
    }
}
