//! To whom attachments are encrypted: age X25519 recipients and SSH public keys.
//!
//! Guards: nothing a user types can run a plugin, mix in a passphrase or a post-quantum key, be a weak RSA key, or make
//! encryption fail later. Leaves to `store` whose key it is, and to `workflow` which keys a case's files go to.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::hash::sha256;
use super::header;
use super::sshkey::{self, SshKey};
use crate::domain::refusal::Malformed;

/// As many as fit under the scanner's limit beside the random stanza that the age crate adds.
const MOST: usize = header::MOST_STANZAS - 1;

/// One key that attachments can be encrypted to.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgeRecipient {
    text: String,
    fingerprint: String,
    key: Key,
}

#[derive(Clone)]
enum Key {
    X25519(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

impl AgeRecipient {
    /// Returns a short name of the key for people: `SHA256:` and 43 letters, for SSH keys the one that `ssh-keygen -l` shows.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the key as one line without a comment.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn x25519(text: &str) -> Result<Self, Malformed> {
        if text.get(4..).is_some_and(|rest| rest.contains('1')) {
            return Err(Malformed::new(
                "recipients of age plugins, hardware tokens and post-quantum keys are not used here: give a plain age1… recipient or an SSH key",
            ));
        }
        let rule = Malformed::new(
            "an age recipient is age1 and 58 more lower-case letters and digits, as age-keygen prints it",
        );
        let key: age::x25519::Recipient = text.parse().map_err(|_| rule.clone())?;
        let canonical = key.to_string();
        if canonical != text {
            return Err(rule);
        }
        if low_order(text) {
            return Err(Malformed::new(
                "this age recipient is a degenerate key that hides nothing: make one with age-keygen",
            ));
        }
        let digest = sha256(canonical.as_bytes());
        let fingerprint = format!("SHA256:{}", data_encoding::BASE64_NOPAD.encode(digest.as_bytes()));
        Ok(Self { text: canonical, fingerprint, key: Key::X25519(key) })
    }

    fn ssh(text: &str) -> Result<Self, Malformed> {
        let key: SshKey = text.parse()?;
        if key.is_hardware() {
            return Err(Malformed::new(
                "a key on a hardware token can sign in but not decrypt: give an ssh-ed25519, ssh-rsa or age1… key",
            ));
        }
        let text = key.to_string();
        let recipient = text.parse().map_err(|_| Malformed::new("this SSH key cannot be used for encryption"))?;
        Ok(Self { text, fingerprint: key.fingerprint(), key: Key::Ssh(recipient) })
    }
}

impl FromStr for AgeRecipient {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        let upper = text.get(..14).unwrap_or(text).to_ascii_uppercase();
        if upper.starts_with("AGE-SECRET-KEY") || sshkey::is_private(text) {
            return Err(Malformed::new("this is a private key: keep it to yourself and give its public half"));
        }
        if text.starts_with("age1") {
            return Self::x25519(text);
        }
        Self::ssh(text)
    }
}

impl TryFrom<String> for AgeRecipient {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<AgeRecipient> for String {
    fn from(recipient: AgeRecipient) -> Self {
        recipient.text
    }
}

impl fmt::Display for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgeRecipient({})", self.fingerprint)
    }
}

impl PartialEq for AgeRecipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for AgeRecipient {}

impl PartialOrd for AgeRecipient {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AgeRecipient {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

/// Whom one file is encrypted to: at least one key, none twice, and no more than a header may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipients(BTreeSet<AgeRecipient>);

impl Recipients {
    /// Collects keys; refuses none and too many.
    pub fn new(keys: impl IntoIterator<Item = AgeRecipient>) -> Result<Self, Malformed> {
        let keys: BTreeSet<AgeRecipient> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(Malformed::new("there is nobody to encrypt to: a member has to add an age or SSH key first"));
        }
        if keys.len() > MOST {
            return Err(Malformed::new("there are more than 63 keys to encrypt to: remove some"));
        }
        Ok(Self(keys))
    }

    /// Returns the keys in the order of their text.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &AgeRecipient> {
        self.0.iter()
    }

    /// Returns a file for `age -R`: one key per line.
    pub fn to_file(&self) -> String {
        self.0.iter().fold(String::new(), |text, key| text + key.as_str() + "\n")
    }

    pub(super) fn for_age(&self) -> impl Iterator<Item = &dyn age::Recipient> {
        self.0.iter().map(|recipient| match &recipient.key {
            Key::X25519(key) => key as &dyn age::Recipient,
            Key::Ssh(key) => key as &dyn age::Recipient,
        })
    }
}

/// Tells whether a valid `age1…` recipient is a point of small order, for which every shared secret is zero.
///
/// The age crate panics on them. The seven values are those of RFC 7748's curve, by their bytes without the top bit.
fn low_order(text: &str) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
            0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ],
        [
            0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
            0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
        ],
    ];
    let Some(mut point) = point_of(text) else { return true };
    point[31] &= 0x7f;
    sshkey::small(point) || ORDER_8.contains(&point)
}

/// Reads the 32 bytes of a recipient whose Bech32 checksum was verified already (BIP 173).
fn point_of(text: &str) -> Option<[u8; 32]> {
    const LETTERS: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let data = text.strip_prefix("age1")?;
    let data = data.get(..data.len().checked_sub(6)?)?;
    let mut bytes = Vec::with_capacity(33);
    let mut held = 0_u32;
    let mut bits = 0;
    for letter in data.chars() {
        held = (held << 5 | u32::try_from(LETTERS.find(letter)?).ok()?) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::super::token;
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF6ErWl4I0I5tQ3ZZgR4vLNcqqRrjrfQAcqqCFXKy5Ci";

    fn refusal(text: &str) -> String {
        text.parse::<AgeRecipient>().unwrap_err().to_string()
    }

    #[test]
    fn recipient_reads_back_in_one_spelling() {
        let (_, text) = token::age_identity();
        let recipient: AgeRecipient = format!("  {text}\n").parse().unwrap();
        assert_eq!(recipient.to_string(), text);
        assert!(recipient.fingerprint().starts_with("SHA256:"));
        assert_eq!(serde_json::to_string(&recipient).unwrap(), format!("\"{text}\""));
        assert!(serde_json::from_str::<AgeRecipient>("\"age1\"").is_err());
    }

    #[test]
    fn nothing_that_could_run_or_weaken_is_accepted() {
        let (_, good) = token::age_identity();
        for plugin in ["age1yubikey1qqqq", "age1evilplugin1qqqq", "age1pq1qqqq", "age1tag1qqqq"] {
            assert!(refusal(plugin).contains("plugins"), "{plugin}");
        }
        for private in [token::age_identity().0.expose(), "age-secret-key-1x", "-----BEGIN OPENSSH PRIVATE KEY-----"] {
            assert!(refusal(private).contains("private key"));
        }
        let swapped = good.replace(&good[10..11], if &good[10..11] == "q" { "p" } else { "q" });
        for odd in ["", "age1", &good[..61], &good.to_uppercase(), &swapped, "scrypt", "age", "-----", "ü"] {
            assert!(odd.parse::<AgeRecipient>().is_err(), "{odd}");
        }
        assert!(format!("{good} {good}").parse::<AgeRecipient>().is_err());
    }

    #[test]
    fn degenerate_points_are_refused_because_age_would_panic() {
        for point in [
            "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z",
            "age1qyqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqj7vrya",
            "age1ur4h5lpmgxu2u9jku0a0r87ydtdqnr0tnsetrlvxvgz3vh6fhqqqzyt4v9",
            "age1t7wft09r2zxzfvwsk92eeql0tvzyghxytqwgapkcyf8dm5ylz9ts6wm9s8",
            "age1anlllllllllllllllllllllllllllllllllllllllllllllllals4n2t7m",
            "age1ahlllllllllllllllllllllllllllllllllllllllllllllllalsn46ayy",
            "age1amlllllllllllllllllllllllllllllllllllllllllllllllalselrwrv",
            "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqzqqsuwj9m",
        ] {
            assert!(point.parse::<age::x25519::Recipient>().is_ok(), "the age crate takes it");
            assert!(refusal(point).contains("degenerate"), "{point}");
        }
        assert!(!low_order(&token::age_identity().1));
    }

    #[test]
    fn set_is_never_empty_nor_larger_than_a_header() {
        let key = |_| -> AgeRecipient { token::age_identity().1.parse().unwrap() };
        assert!(Recipients::new([]).is_err());
        assert!(Recipients::new((0..64).map(key)).is_err());
        let one: AgeRecipient = key(0);
        let set = Recipients::new([one.clone(), one.clone()]).unwrap();
        assert_eq!(set.iter().len(), 1);
        assert_eq!(set.to_file(), format!("{one}\n"));
        assert!(Recipients::new((0..63).map(key)).is_ok());
    }

    #[test]
    fn ssh_key_loses_its_comment() {
        let recipient: AgeRecipient = format!("{ED25519} sample@example.org").parse().unwrap();
        assert_eq!(recipient.to_string(), ED25519);
    }
}
