//! Reporters among the credits of an advisory, and who may approve its text.
//!
//! Guards: a reporter is thanked by their own wish alone, which the draft never holds, so that a changed wish needs no edit
//! and leaves an approval of other bytes behind; nobody approves what they wrote, unless they are all there is. Leaves
//! roles to `access` and the hash of what is published to `export`.

use super::advisory::{Advisory, Credit, CreditConsent, CreditKind};
use super::id::PersonId;
use super::project::TeamKind;
use super::refusal::Refusal;
use super::report::CreditWish;
use super::text::Label;

impl Advisory {
    /// Adds the reporters as they wish to be thanked, before everybody else.
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

    fn names(&self, name: &Label) -> bool {
        self.credits.iter().any(|credit| &credit.name == name)
    }
}

/// Tells whether this person may approve a text that these people edited; the refusal says who can.
pub fn may_approve(person: PersonId, editors: &[PersonId], team: TeamKind) -> Result<(), Refusal> {
    match (editors.contains(&person), team) {
        (false, TeamKind::Several | TeamKind::Solo) | (true, TeamKind::Solo) => Ok(()),
        (true, TeamKind::Several) => Err(Refusal::person("You edited this text: a reviewer who did not approves it.")),
    }
}

fn wished(wish: &CreditWish) -> Option<Credit> {
    let (name, consent) = match wish {
        CreditWish::Named { name } => (name.clone(), CreditConsent::Agreed),
        CreditWish::Anonymous => ("Anonymous".parse().expect("one plain word is a name"), CreditConsent::Anonymous),
        CreditWish::Unnamed => return None,
    };
    Some(Credit { name, kind: CreditKind::Reporter, url: None, consent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;

    fn draft() -> Advisory {
        Advisory::draft("Sample flaw".parse().unwrap())
    }

    #[test]
    fn reporters_are_thanked_as_they_wish_and_never_by_hand() {
        let named = CreditWish::Named { name: "Sample Reporter".parse().unwrap() };
        let wishes = [named, CreditWish::Anonymous, CreditWish::Unnamed];
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
        assert!(may_approve(editor, &[other, editor], TeamKind::Several).is_err());
        assert!(may_approve(other, &[editor], TeamKind::Several).is_ok());
        assert!(may_approve(editor, &[editor], TeamKind::Solo).is_ok());
        assert!(may_approve(editor, &[], TeamKind::Several).is_ok());
    }
}
