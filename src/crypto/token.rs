//! Random bytes and everything a person or program carries around as proof: tokens, session ids, links, claim codes.
//!
//! Guards: this file is the only source of chance, and a mistyped or foreign token is refused by its form before anything
//! looks it up. What is stored is a hash. Leaves expiry, scope and use counts to `store`, and claim lookups to [`super::keys`].

use std::fmt;
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use ssh_key::private::Ed25519Keypair;
use zeroize::Zeroizing;

use super::hash::{Digest, Fields};
use crate::domain::refusal::Malformed;
use crate::domain::sealed::Secret;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits of 32 bytes in base 62.
const BODY: usize = 43;
/// Digits of a CRC-32 in base 62.
const CHECK: usize = 6;
/// Crockford's alphabet: no I, L, O and U.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a claim code: 29 random ones (145 bits) and one that checks them.
const CLAIM: usize = 30;

/// What a token proves; each kind has its own prefix and hash, so that none stands for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An access token of a person, for git and the API.
    Access,
    /// A signed-in browser.
    Session,
    /// A one-time sign-in link.
    SignIn,
    /// A running push or another short errand of a child process.
    Ticket,
    /// A reporter's secret feed.
    Feed,
    /// The personal link of somebody who is told of a release before its instant.
    Wave,
    /// A form's guard against requests forged by other sites.
    Form,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Access, Self::Session, Self::SignIn, Self::Ticket, Self::Feed, Self::Wave, Self::Form];

    /// Returns the letters a token of this kind starts with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "emb_",
            Self::Session => "embs_",
            Self::SignIn => "embl_",
            Self::Ticket => "embt_",
            Self::Feed => "embf_",
            Self::Wave => "embw_",
            Self::Form => "embg_",
        }
    }
}

/// A claim code: what a reporter without an account keeps on paper to come back to their report.
///
/// Six groups of five letters and digits, the last of which checks the others. Never printed by `Debug`.
#[derive(Clone)]
pub struct ClaimCode(Secret);

impl ClaimCode {
    /// Makes a new code of 145 random bits.
    pub fn mint() -> Self {
        let bytes = Zeroizing::new(random::<{ CLAIM - 1 }>());
        let mut digits: Zeroizing<Vec<u8>> = Zeroizing::new(bytes.iter().map(|byte| byte % 32).collect());
        let check = check_digit(&digits);
        digits.push(check);
        Self::from_digits(&digits)
    }

    /// Returns the code as it is shown: capital letters and digits in groups joined by dashes.
    pub fn reveal(&self) -> &Secret {
        &self.0
    }

    fn from_digits(digits: &[u8]) -> Self {
        let mut text = String::with_capacity(CLAIM + 5);
        for (place, digit) in digits.iter().enumerate() {
            if place > 0 && place % 5 == 0 {
                text.push('-');
            }
            text.push(char::from(CROCKFORD[usize::from(*digit)]));
        }
        Self(Secret::new(text))
    }
}

impl fmt::Debug for ClaimCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimCode(..)")
    }
}

impl FromStr for ClaimCode {
    type Err = Malformed;

    /// Forgives case, spaces and dashes, O for 0, and I or L for 1.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let mut digits = Zeroizing::new(Vec::with_capacity(CLAIM));
        for character in text.chars() {
            let plain = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            if plain.is_whitespace() || matches!(plain, '-' | '\u{2010}'..='\u{2015}') {
                continue;
            }
            let place = CROCKFORD.iter().position(|letter| char::from(*letter) == plain);
            let Some(digit) = place.and_then(|place| u8::try_from(place).ok()) else {
                return Err(Malformed::new("a claim code holds letters and digits in six groups of five"));
            };
            if digits.len() == CLAIM {
                return Err(Malformed::new("the claim code is too long: it has six groups of five"));
            }
            digits.push(digit);
        }
        if digits.len() < CLAIM {
            return Err(Malformed::new("the claim code is too short: it has six groups of five"));
        }
        let (body, check) = digits.split_at(CLAIM - 1);
        if check != [check_digit(body)] {
            return Err(Malformed::new("the claim code has a typing mistake: compare it with your copy"));
        }
        Ok(Self::from_digits(&digits))
    }
}

/// Returns random bytes of the operating system.
#[expect(clippy::disallowed_methods, reason = "the one place where random bytes come from")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes once it runs programs");
    bytes
}

/// Makes a token of 256 random bits: prefix, 43 digits in base 62, and a checksum of six.
///
/// The form lets secret scanners recognise a leaked token without asking anyone.
pub fn mint(kind: Kind) -> Secret {
    let body = Zeroizing::new(base62(&random::<32>(), BODY));
    let text = Zeroizing::new(format!("{}{}", kind.prefix(), body.as_str()));
    Secret::new(format!("{}{}", text.as_str(), checksum(&text)))
}

/// Returns what is stored of a token and looked up later: a hash of its kind and text.
///
/// Refuses by form alone: another kind, a wrong length or character, or a checksum that does not match.
pub fn digest(kind: Kind, text: &str) -> Result<Digest, Malformed> {
    let refused = Malformed::new("the token is mistyped, cut off or of another kind");
    let Some(rest) = text.strip_prefix(kind.prefix()) else { return Err(refused) };
    if rest.len() != BODY + CHECK || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(refused);
    }
    let (covered, check) = text.split_at(text.len() - CHECK);
    if checksum(covered) != check {
        return Err(refused);
    }
    Ok(Fields::new("embargo token 1").field(kind.prefix().as_bytes()).field(text.as_bytes()).finish())
}

/// Makes a new age identity (X25519) and returns it with its recipient, both as text.
pub(crate) fn age_identity() -> (Secret, String) {
    let identity = age::x25519::Identity::generate();
    (Secret::new(identity.to_string().expose_secret().to_owned()), identity.to_public().to_string())
}

/// Makes a new Ed25519 key for SSH signatures.
pub(super) fn ed25519() -> Ed25519Keypair {
    Ed25519Keypair::from_seed(&Zeroizing::new(random::<32>()))
}

fn checksum(covered: &str) -> String {
    base62(&crc32fast::hash(covered.as_bytes()).to_be_bytes(), CHECK)
}

/// Writes a big-endian number in base 62 with leading zeros; `width` must hold it.
fn base62(number: &[u8], width: usize) -> String {
    let mut number = Zeroizing::new(number.to_vec());
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0_u16;
        for byte in number.iter_mut() {
            let value = rest * 256 + u16::from(*byte);
            *byte = u8::try_from(value / 62).expect("the rest is below 62, so the quotient is below 256");
            rest = value % 62;
        }
        *digit = BASE62[usize::from(rest)];
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// Luhn's check over base 32: finds every single wrong character and nearly every swap of neighbours.
fn check_digit(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let weighted = u32::from(*digit) * if place % 2 == 0 { 2 } else { 1 };
            weighted / 32 + weighted % 32
        })
        .sum();
    u8::try_from((32 - sum % 32) % 32).expect("a rest of 32 is below 256")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_known_by_its_form() {
        for kind in Kind::ALL {
            let token = mint(kind);
            let text = token.expose();
            assert_eq!(text.len(), kind.prefix().len() + 49);
            let stored = digest(kind, text).unwrap();
            assert_eq!(stored, digest(kind, text).unwrap());
            assert!(!stored.to_string().contains(text));
            for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
                assert!(digest(other, text).is_err(), "{kind:?} passes as {other:?}");
            }
        }
        assert_ne!(mint(Kind::Access).expose(), mint(Kind::Access).expose());
    }

    #[test]
    fn token_with_a_typo_is_refused_before_any_lookup() {
        let token = mint(Kind::Access);
        let text = token.expose();
        for place in 4..text.len() {
            let mut typo = text.as_bytes().to_vec();
            typo[place] = if typo[place] == b'a' { b'b' } else { b'a' };
            assert!(digest(Kind::Access, std::str::from_utf8(&typo).unwrap()).is_err(), "place {place}");
        }
        for odd in ["", "emb_", &text[1..], &text[..text.len() - 1], &format!("{text} "), "emb_ü"] {
            assert!(digest(Kind::Access, odd).is_err());
        }
    }

    #[test]
    fn base62_keeps_leading_zeros_and_the_largest_number() {
        assert_eq!(base62(&[0; 32], BODY), "0".repeat(43));
        assert_eq!(base62(&[0, 61], 2), "0z");
        assert_eq!(base62(&[0, 62], 2), "10");
        assert_eq!(base62(&[255; 32], BODY), "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1");
        assert_eq!(base62(&[255; 4], CHECK), "4gfFC3");
    }

    #[test]
    fn claim_code_survives_the_hand_that_copies_it() {
        let code = ClaimCode::mint();
        let shown = code.reveal().expose().to_owned();
        assert_eq!(shown.len(), 35);
        let sloppy = shown.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
        for spelling in [shown.clone(), sloppy, shown.replace('-', ""), format!("  {shown}\n")] {
            assert_eq!(spelling.parse::<ClaimCode>().unwrap().reveal().expose(), shown);
        }
        assert_eq!(format!("{code:?}"), "ClaimCode(..)");
    }

    #[test]
    fn claim_code_with_one_wrong_character_is_refused() {
        let shown = ClaimCode::mint().reveal().expose().to_owned();
        for (place, letter) in shown.char_indices().filter(|(_, letter)| *letter != '-') {
            for wrong in CROCKFORD.iter().map(|byte| char::from(*byte)).filter(|wrong| *wrong != letter) {
                let mut typo = shown.clone();
                typo.replace_range(place..=place, &wrong.to_string());
                assert!(typo.parse::<ClaimCode>().is_err(), "place {place}");
            }
        }
        for odd in ["", "ABCDE", &shown[1..], &format!("{shown}0"), &shown.replace('-', "*"), &"U".repeat(30)] {
            assert!(odd.parse::<ClaimCode>().is_err());
        }
    }
}
