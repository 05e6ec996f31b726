//! The approval of an advisory: by the hash of the text that will be published.
//!
//! An approval is given before the commits, tags and the instant of a release are known, so it covers what people wrote:
//! title, texts, ranges, severity, CVE id, references and the credits as they settle. The manifest carries the hash of every
//! rendered file beside it. Guards: any change of that text, a reporter's changed wish included, leaves the approval without
//! its text; nobody approves alone what they wrote, unless they are all there is. Leaves who may approve to `access`.

use serde::Serialize;

use super::advisory::{Advisory, AffectedLine, Credit, CreditConsent, CreditKind, Reference, SettledCredit};
use super::digest::Digest;
use super::id::{CaseId, PersonId};
use super::plain::CveId;
use super::project::TeamKind;
use super::refusal::Refusal;
use super::report::CreditWish;
use super::severity::Severity;
use super::text::{Body, Label, Title};

/// The text of an advisory as it settles; field order is the order of its bytes.
#[derive(Serialize)]
struct Settled<'a> {
    title: &'a Title,
    description: Option<&'a Body>,
    affected: &'a [AffectedLine],
    workaround: Option<&'a Body>,
    severity: Option<&'a Severity>,
    cve: Option<&'a CveId>,
    credits: Vec<SettledCredit>,
    references: &'a [Reference],
}

impl Advisory {
    /// Adds the reporters as they wish to be thanked, before everybody else. The draft itself never holds them, so that a
    /// changed wish needs no edit.
    #[must_use]
    pub fn with_reporters(mut self, wishes: &[CreditWish]) -> Self {
        let mut credits: Vec<_> = wishes.iter().filter_map(wished).collect();
        // Written by hand before the reporter wished for it: once is enough.
        credits.retain(|credit| credit.consent == CreditConsent::Anonymous || !self.names(&credit.name));
        credits.append(&mut self.credits);
        Self { credits, ..self }
    }

    /// Refuses a draft that names a reporter by hand: the wish could change, and the name would stay.
    pub fn leaves_reporters_out(&self, wishes: &[CreditWish]) -> Result<(), Refusal> {
        let named = wishes.iter().filter_map(wished).filter(|credit| credit.consent == CreditConsent::Agreed);
        for credit in named {
            if self.names(&credit.name) {
                return Err(Refusal::input(format!(
                    "{} is thanked as the reporter already, as they wish: leave that credit out.",
                    credit.name
                )));
            }
        }
        Ok(())
    }

    /// Returns the hash of the text as it settles, bound to its case: what people approve.
    pub fn digest(&self, case: &CaseId) -> Digest {
        let settled = Settled {
            title: &self.title,
            description: self.description.as_ref(),
            affected: &self.affected,
            workaround: self.workaround.as_ref(),
            severity: self.severity.as_ref(),
            cve: self.cve.as_ref(),
            credits: self.settle_credits(),
            references: &self.references,
        };
        let bytes = serde_json::to_vec(&settled).expect("plain structs with text keys always serialise");
        Digest::of_parts(&[b"embargo-advisory-1", case.to_string().as_bytes(), &bytes])
    }

    fn names(&self, name: &Label) -> bool {
        self.credits.iter().any(|credit| &credit.name == name)
    }
}

/// Tells whether this person may approve a text that was last edited by `editor`; the refusal says who can.
pub fn may_approve(person: PersonId, editor: Option<PersonId>, team: TeamKind) -> Result<(), Refusal> {
    match (editor == Some(person), team) {
        (false, TeamKind::Several | TeamKind::Solo) | (true, TeamKind::Solo) => Ok(()),
        (true, TeamKind::Several) => {
            Err(Refusal::person("You edited this advisory last: another reviewer approves it."))
        }
    }
}

/// Checks that the text still is what its approver read.
pub fn as_read(read: &Digest, now: &Digest) -> Result<(), Refusal> {
    if read == now {
        Ok(())
    } else {
        Err(Refusal::moment(format!("The text has changed: it is {} now, not {}. Read it again.", now.short(), read.short())))
    }
}

fn wished(wish: &CreditWish) -> Option<Credit> {
    let (name, consent) = match wish {
        CreditWish::Named { name } => (name.clone(), CreditConsent::Agreed),
        CreditWish::Anonymous => ("Anonymous".parse().expect("a name of one plain word"), CreditConsent::Anonymous),
        CreditWish::Unnamed => return None,
    };
    Some(Credit { name, kind: CreditKind::Reporter, url: None, consent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;

    fn draft() -> Advisory {
        let mut draft = Advisory::draft("Sample flaw".parse().unwrap());
        draft.description = Some("Text.".parse().unwrap());
        draft
    }

    fn case() -> CaseId {
        "DEMO-1".parse().unwrap()
    }

    fn named(name: &str) -> CreditWish {
        CreditWish::Named { name: name.parse().unwrap() }
    }

    #[test]
    fn the_hash_follows_the_text_and_the_case() {
        let digest = draft().digest(&case());
        assert_eq!(digest, draft().digest(&case()));
        assert_ne!(digest, draft().digest(&"DEMO-2".parse().unwrap()));
        let mut edited = draft();
        edited.workaround = edited.description.take();
        assert_ne!(digest, edited.digest(&case()));
    }

    #[test]
    fn a_changed_wish_changes_the_hash_and_silence_does_not() {
        let hash = |wishes: &[CreditWish]| draft().with_reporters(wishes).digest(&case());
        assert_ne!(hash(&[named("Sample Reporter")]), hash(&[CreditWish::Anonymous]));
        assert_eq!(hash(&[CreditWish::Unnamed]), hash(&[]));
        let mut asked = draft();
        let (name, kind) = ("Sample Helper".parse().unwrap(), CreditKind::Other);
        asked.credits = vec![Credit { name, kind, url: None, consent: CreditConsent::Asked }];
        assert_eq!(asked.digest(&case()), draft().digest(&case()), "who has not answered is not published");
        asked.credits[0].consent = CreditConsent::Agreed;
        assert_ne!(asked.digest(&case()), draft().digest(&case()));
    }

    #[test]
    fn reporters_are_thanked_as_they_wish_and_never_by_hand() {
        let wishes = [named("Sample Reporter"), CreditWish::Anonymous, CreditWish::Unnamed];
        let settled = draft().with_reporters(&wishes).settle_credits();
        let names: Vec<_> = settled.iter().map(|credit| credit.name.as_str()).collect();
        assert_eq!(names, ["Sample Reporter", "an anonymous reporter"]);
        let mut by_hand = draft();
        by_hand.credits = vec![wished(&wishes[0]).unwrap()];
        assert!(by_hand.leaves_reporters_out(&wishes).is_err());
        assert!(by_hand.leaves_reporters_out(&[CreditWish::Anonymous]).is_ok());
        assert_eq!(by_hand.with_reporters(&wishes[..1]).settle_credits().len(), 1, "thanked once");
    }

    #[test]
    fn nobody_approves_their_own_text_unless_they_are_alone() {
        let (editor, other) = (PersonId::mint(1, [1; 10]), PersonId::mint(1, [2; 10]));
        assert!(may_approve(editor, Some(editor), TeamKind::Several).is_err());
        assert!(may_approve(other, Some(editor), TeamKind::Several).is_ok());
        assert!(may_approve(editor, Some(editor), TeamKind::Solo).is_ok());
    }

    #[test]
    fn a_text_that_moved_is_not_approved() {
        let (read, now) = (Digest::of(b"read"), Digest::of(b"now"));
        assert!(as_read(&read, &read).is_ok());
        assert!(as_read(&read, &now).unwrap_err().to_string().contains(&now.short()));
    }
}
