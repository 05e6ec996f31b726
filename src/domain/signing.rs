//! Who signs the tags of a release: a key of the server, or people on machines of their own.
//!
//! Guards: a signature counts for the exact bytes that will be pushed and for no others: where a tag is built anew, it is
//! signed anew; and whether the signer is allowed is asked whenever the release is looked at, so that a key that was taken
//! back speaks for nothing any more. Leaves the verifying to git.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::change::Change;
use super::event::EventKind;
use super::id::{LineId, words};
use super::refusal::{Malformed, Refusal};
use super::rehearsal::{Rehearsal, Target};
use super::release::{Release, ReleaseState};
use super::repo::{CommitId, TagName};

/// Bytes a signature may have.
const LONGEST: usize = 16 * 1024;

words! {
    /// Where the key is that signs tags.
    Signing {
        /// On the server.
        Server = "server",
        /// On the machines of people the project allows.
        Offline = "offline",
    }
}

words! {
    /// Whether the commits that the server makes for a release are signed.
    Commits {
        /// They are not.
        Unsigned = "unsigned",
        /// By the server's key.
        Signed = "signed",
    }
}

/// Whether the tag of a target is signed as the project asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// Nobody has to sign it: the server did, or it bears no signature.
    NotAsked,
    /// Nobody who may has signed these bytes.
    Missing,
    /// Signed in this name, by a key that is allowed now.
    By(String),
}

/// An armored signature, of SSH or OpenPGP, and nothing besides.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Armored(String);

impl Armored {
    /// Returns the text, ending in a line feed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Armored {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        const RULE: Malformed = Malformed::new(
            "a signature is one armored block, from -----BEGIN SSH SIGNATURE----- or -----BEGIN PGP SIGNATURE----- to its END",
        );
        let text = text.replace("\r\n", "\n");
        let text = text.trim();
        let inner = |kind: &str| {
            text.strip_prefix(&format!("-----BEGIN {kind} SIGNATURE-----\n"))?
                .strip_suffix(&format!("\n-----END {kind} SIGNATURE-----"))
        };
        let body = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '\n');
        // OpenPGP may say which program wrote it, in lines before an empty one.
        let plain = match (inner("SSH"), inner("PGP")) {
            (Some(inner), _) => inner.chars().all(body),
            (None, Some(inner)) => {
                inner.chars().all(|c| c == '\n' || (' '..='~').contains(&c)) && !inner.contains("-----")
            }
            (None, None) => false,
        };
        if text.len() > LONGEST || !plain { Err(RULE) } else { Ok(Self(format!("{text}\n"))) }
    }
}

impl TryFrom<String> for Armored {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Armored> for String {
    fn from(armored: Armored) -> String {
        armored.0
    }
}

impl fmt::Debug for Armored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Armored({} bytes)", self.0.len())
    }
}

impl Release {
    /// Takes a signed tag in place of the one that was rehearsed; both say the same, and `by` is who signed.
    pub fn sign(
        self,
        which: (LineId, &TagName),
        tag_objects: (&CommitId, CommitId),
        by: &str,
    ) -> Result<Change<Self>, Refusal> {
        match self.state {
            ReleaseState::Planned => {}
            ReleaseState::Frozen
            | ReleaseState::Armed
            | ReleaseState::Running
            | ReleaseState::Held
            | ReleaseState::Done
            | ReleaseState::Abandoned => return Err(self.out_of_turn("signed", "planned")),
        }
        let (old, new) = tag_objects;
        let event = self.event(EventKind::TagSigned, format!("{} as {new} by {by}", which.0));
        let mut found = false;
        let sign = |target: Target| match &target.rehearsal {
            Rehearsal::Candidate(candidate) if (target.line, &target.tag) == which && &candidate.tag_object == old => {
                found = true;
                let candidate = super::rehearsal::Candidate { tag_object: new.clone(), ..candidate.clone() };
                Target { rehearsal: Rehearsal::Candidate(candidate), ..target }
            }
            Rehearsal::Candidate(_) | Rehearsal::None | Rehearsal::Trouble { .. } => target,
        };
        let targets = self.targets.into_iter().map(sign).collect();
        if found { Ok(Change::new(Self { targets, ..self }, event)) } else { Err(changed()) }
    }
}

/// Says that a tag is not what was fetched to be signed.
pub fn changed() -> Refusal {
    Refusal::moment("The tag was built anew since you fetched it: fetch it again, read it, and sign that.")
}

#[cfg(test)]
mod tests {
    use super::super::readiness::tests::{oid, release};
    use super::*;

    const GOOD: &str = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\nAAAA==\n-----END SSH SIGNATURE-----\n";

    #[test]
    fn a_signature_carries_nothing_but_itself() {
        assert_eq!(GOOD.parse::<Armored>().unwrap().as_str(), GOOD);
        assert!(GOOD.replace('\n', "\r\n").parse::<Armored>().is_ok());
        let pgp = "-----BEGIN PGP SIGNATURE-----\n\niQEz\n=AbCd\n-----END PGP SIGNATURE-----";
        assert!(pgp.parse::<Armored>().is_ok());
        let twice = GOOD.repeat(2);
        let after = format!("{GOOD}Reviewed-by: Nobody");
        let inside = GOOD.replace("AAAA==", "tag v2: x");
        let other = GOOD.replace("SSH SIGNATURE", "SIGNED MESSAGE");
        for bad in ["", "x", &twice, &after, &inside, &other, &pgp.replace("iQEz", "-----BEGIN X-----")] {
            assert!(bad.parse::<Armored>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_tag_that_was_rehearsed_takes_a_signature_and_only_while_planned() {
        let (line, tag) = (release().targets[0].line, release().targets[0].tag.clone());
        let next = release().sign((line, &tag), (&oid("3"), oid("7")), "manager").unwrap().next;
        let Rehearsal::Candidate(candidate) = &next.targets[0].rehearsal else { panic!("it was rehearsed") };
        assert_eq!(candidate.tag_object, oid("7"));
        assert!(release().sign((line, &tag), (&oid("8"), oid("7")), "manager").is_err(), "built anew meanwhile");
        assert!(release().sign((line, &"v9".parse().unwrap()), (&oid("3"), oid("7")), "manager").is_err());
        for state in ReleaseState::ALL.iter().filter(|state| **state != ReleaseState::Planned) {
            let other = Release { state: *state, ..release() };
            assert!(other.sign((line, &tag), (&oid("3"), oid("7")), "manager").is_err(), "{state}");
        }
    }
}
