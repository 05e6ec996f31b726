//! Revisions of what was published: every change is a new one, with its kind, its instant and a public sentence why.
//!
//! Guards: what follows what. A withdrawn advisory says so until a revision says that it holds again, and no revision is
//! earlier than the one before it. Leaves the bytes to `store::revision` and who may change them to `access`.

use jiff::{SignedDuration, Timestamp};

use super::id::words;
use super::refusal::Refusal;
use super::text::{Sentence, Title};

words! {
    /// What a revision did.
    RevisionKind {
        /// Put the advisory up.
        Published = "published",
        /// Added what was held back at first.
        Details = "details",
        /// Mended what it says.
        Corrected = "corrected",
        /// Said that it does not hold.
        Withdrawn = "withdrawn",
        /// Said that it holds after all.
        Reinstated = "reinstated",
    }
}

/// One revision of a public advisory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number, from 1.
    pub number: u32,
    /// What it did.
    pub kind: RevisionKind,
    /// The instant its documents say they were changed at; whole seconds.
    pub at: Timestamp,
    /// Why, for the public; none for the first.
    pub why: Option<Sentence>,
}

/// A change of what is public, before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it does.
    pub kind: RevisionKind,
    /// The instant its documents say they were changed at; whole seconds.
    pub at: Timestamp,
    /// Why, for the public.
    pub why: Sentence,
    /// The title in public lists from now on.
    pub title: Title,
}

/// A change that may follow what is public now. [`Revision::next`] is its only constructor.
#[derive(Clone, Debug)]
pub struct Successor(Change);

impl Successor {
    /// Returns the change.
    pub fn change(&self) -> &Change {
        &self.0
    }
}

impl RevisionKind {
    /// Tells whether an advisory whose newest revision this is does not hold.
    pub fn withdrawn(self) -> bool {
        match self {
            Self::Withdrawn => true,
            Self::Published | Self::Details | Self::Corrected | Self::Reinstated => false,
        }
    }
}

impl Revision {
    /// Says whether a change may follow this revision, the newest of its advisory. The same instant is for a repetition of
    /// this revision alone; `store` sees to that.
    pub fn next(&self, change: Change) -> Result<Successor, Refusal> {
        let refused = |sentence: &'static str| Err(Refusal::moment(sentence));
        match (self.kind.withdrawn(), change.kind) {
            (_, RevisionKind::Published) => return refused("An advisory is published once: correct it instead."),
            (true, RevisionKind::Details | RevisionKind::Corrected) => {
                return refused(
                    "This advisory is withdrawn: say that it holds again (`embargo advisory reinstate`), or withdraw it once more with \
                     another text.",
                );
            }
            (false, RevisionKind::Reinstated) => {
                return refused("This advisory is not withdrawn: correct it instead (`embargo advisory correct`).");
            }
            (true, RevisionKind::Withdrawn | RevisionKind::Reinstated)
            | (false, RevisionKind::Details | RevisionKind::Corrected | RevisionKind::Withdrawn) => {}
        }
        if change.at < self.at {
            return refused("What is public says that it was changed later than this: see to the server's clock.");
        }
        Ok(Successor(change))
    }

    /// Returns the instant a revision after this one has: now, in whole seconds, and in any case later than this one's.
    pub fn instant_after(&self, now: Timestamp) -> Timestamp {
        let next = self.at.as_second() + 1;
        Timestamp::from_second(now.as_second().max(next)).unwrap_or(self.at + SignedDuration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(kind: RevisionKind) -> Revision {
        Revision { number: 3, kind, at: Timestamp::from_second(1_000).unwrap(), why: None }
    }

    fn change(kind: RevisionKind, second: i64) -> Change {
        let at = Timestamp::from_second(second).unwrap();
        Change { kind, at, why: "A sample.".parse().unwrap(), title: "Sample flaw".parse().unwrap() }
    }

    #[test]
    fn what_was_withdrawn_is_not_changed_back_without_a_word() {
        for earlier in RevisionKind::ALL {
            let mut follows: Vec<_> = RevisionKind::ALL.to_vec();
            follows.retain(|kind| revision(*earlier).next(change(*kind, 1_001)).is_ok());
            let expected: &[RevisionKind] = match earlier {
                RevisionKind::Withdrawn => &[RevisionKind::Withdrawn, RevisionKind::Reinstated],
                _ => &[RevisionKind::Details, RevisionKind::Corrected, RevisionKind::Withdrawn],
            };
            assert_eq!(follows, expected, "{earlier}");
        }
    }

    #[test]
    fn a_revision_is_never_earlier_than_the_one_before_it() {
        let newest = revision(RevisionKind::Published);
        assert!(newest.next(change(RevisionKind::Corrected, 999)).is_err());
        for (now, second) in [(1_500_999, 1_500), (1_000_500, 1_001), (900_000, 1_001)] {
            let now = Timestamp::from_millisecond(now).unwrap();
            assert_eq!(newest.instant_after(now).as_second(), second);
        }
    }
}
