//! An amendment: what is asked to be changed of a public advisory, until somebody else approves it.
//!
//! Guards: an approval covers the act, its public sentence, the revision it changes and every byte of the new documents but
//! the instant of the change, which is that of the approval. Leaves what may follow what to [`super::revision`].

use jiff::Timestamp;

use super::credit;
use super::digest::Digest;
use super::id::{PersonId, words};
use super::project::TeamKind;
use super::refusal::Refusal;
use super::revision::RevisionKind;
use super::text::Sentence;

words! {
    /// What is to be done with what is public.
    AmendmentAct {
        /// Put the draft up in place of what is public.
        Correct = "correct",
        /// Say that it does not hold.
        Withdraw = "withdraw",
        /// Say that it holds after all.
        Reinstate = "reinstate",
    }
}

words! {
    /// How far a channel is with a revision.
    RetellingState {
        /// To be told, or told again.
        Waiting = "waiting",
        /// It has it.
        Done = "done",
        /// A later revision is told instead.
        Overtaken = "overtaken",
        /// It does not take it: a person has to look.
        Failed = "failed",
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// What is to be done.
    pub act: AmendmentAct,
    /// Why, as the public will read it.
    pub why: Sentence,
    /// Who asked.
    pub asked_by: PersonId,
    /// When.
    pub asked_at: Timestamp,
}

impl AmendmentAct {
    /// Returns the kind of revision it makes.
    pub fn kind(self) -> RevisionKind {
        match self {
            Self::Correct => RevisionKind::Corrected,
            Self::Withdraw => RevisionKind::Withdrawn,
            Self::Reinstate => RevisionKind::Reinstated,
        }
    }
}

impl Amendment {
    /// Returns what an approval is bound to: the act, the sentence, the revision that is changed, and the new documents as
    /// they read when they are dated like that revision.
    pub fn digest(&self, newest: u32, documents: &Digest) -> Digest {
        let number = newest.to_be_bytes();
        let parts: [&[u8]; 5] = [
            b"embargo-amendment-1",
            self.act.as_str().as_bytes(),
            self.why.as_str().as_bytes(),
            &number,
            documents.as_bytes(),
        ];
        Digest::of_parts(&parts)
    }

    /// Tells whether it leaves the public text as it is, but for saying that it does not hold: a withdrawal is no occasion for what
    /// else was edited meanwhile. What is withdrawn already gets another text by being withdrawn once more.
    pub fn keeps_the_text(&self, newest: RevisionKind) -> bool {
        self.act == AmendmentAct::Withdraw && !newest.withdrawn()
    }

    /// Tells whether this person may approve it: neither who asked for it nor anybody who edited its text since that was last
    /// public, unless they are all there is.
    pub fn may_approve(&self, person: PersonId, editors: &[PersonId], team: TeamKind) -> Result<(), Refusal> {
        credit::may_approve(person, editors, team)?;
        match (self.asked_by == person, team) {
            (false, TeamKind::Several | TeamKind::Solo) | (true, TeamKind::Solo) => Ok(()),
            (true, TeamKind::Several) => {
                Err(Refusal::person("You asked for this change of what is public: another reviewer approves it."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;

    fn amendment(act: AmendmentAct, why: &str) -> Amendment {
        let asked_by = PersonId::mint(1, [1; 10]);
        Amendment { act, why: why.parse().unwrap(), asked_by, asked_at: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn an_approval_covers_act_sentence_revision_and_documents() {
        let of = |act, why: &str, newest, documents: &[u8]| amendment(act, why).digest(newest, &Digest::of(documents));
        let read = of(AmendmentAct::Correct, "A sample.", 1, b"x");
        assert_eq!(read, of(AmendmentAct::Correct, "A sample.", 1, b"x"));
        for other in [
            of(AmendmentAct::Withdraw, "A sample.", 1, b"x"),
            of(AmendmentAct::Correct, "Another sample.", 1, b"x"),
            of(AmendmentAct::Correct, "A sample.", 2, b"x"),
            of(AmendmentAct::Correct, "A sample.", 1, b"y"),
        ] {
            assert_ne!(read, other);
        }
    }

    #[test]
    fn neither_who_asked_nor_who_wrote_approves_unless_they_are_alone() {
        let [asker, writer, other] = [1, 2, 3].map(|n| PersonId::mint(1, [n; 10]));
        let amendment = amendment(AmendmentAct::Withdraw, "A sample.");
        for (person, several, solo) in [(asker, false, true), (writer, false, true), (other, true, true)] {
            assert_eq!(amendment.may_approve(person, &[writer], TeamKind::Several).is_ok(), several);
            assert_eq!(amendment.may_approve(person, &[writer], TeamKind::Solo).is_ok(), solo);
        }
        assert!(amendment.may_approve(other, &[other, writer], TeamKind::Several).is_err(), "not the last one alone");
    }

    #[test]
    fn only_the_first_withdrawal_leaves_the_text_alone() {
        let of = |act, newest| amendment(act, "A sample.").keeps_the_text(newest);
        assert!(of(AmendmentAct::Withdraw, RevisionKind::Corrected));
        assert!(!of(AmendmentAct::Withdraw, RevisionKind::Withdrawn));
        assert!(!of(AmendmentAct::Correct, RevisionKind::Published));
        assert!(!of(AmendmentAct::Reinstate, RevisionKind::Withdrawn));
    }
}
