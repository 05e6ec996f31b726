//! A fix: the branch `fix/<line>` of a case, and who approved it at which commit. Its tests, where they become public later, are
//! a branch of their own and go the same way.
//!
//! An approval names a commit; a new head leaves it behind. Nobody approves their own push, but for a volunteer alone,
//! whose own approval counts after a delay that is written down.

use jiff::{SignedDuration, Timestamp};

use super::change::{Change, Version};
use super::check::CheckState;
use super::event::{Event, EventKind};
use super::id::{CaseId, FixId, LineId, PersonId, words};
use super::project::TeamKind;
use super::refusal::Refusal;
use super::repo::{CommitId, LineName, RefName};

/// How long a lone volunteer's own approval waits before it counts.
pub const SOLO_DELAY: SignedDuration = SignedDuration::from_mins(10);

words! {
    /// What a branch of a case holds for a line.
    FixKind {
        /// What ships at the instant: `fix/<line>`.
        Fix = "fix",
        /// Tests that become public later: `tests/<line>`.
        Tests = "tests",
    }
}

/// The branch `fix/<line>` of a case, or `tests/<line>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Its id.
    pub id: FixId,
    /// The case.
    pub case: CaseId,
    /// The line it fixes.
    pub line: LineId,
    /// What it holds.
    pub kind: FixKind,
    /// What was pushed last.
    pub head: Option<CommitId>,
    /// Who pushed it.
    pub pushed_by: Option<PersonId>,
    /// When.
    pub pushed_at: Option<Timestamp>,
    /// Changes so far.
    pub version: Version,
}

/// One person's approval of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The commit.
    pub head: CommitId,
    /// Who.
    pub person: PersonId,
    /// When it was given.
    pub approved_at: Timestamp,
    /// From when on it counts.
    pub counts_at: Timestamp,
}

#[expect(clippy::derivable_impls, reason = "the words are declared by a macro")]
impl Default for FixKind {
    fn default() -> Self {
        Self::Fix
    }
}

impl FixKind {
    /// Names the branch of a line.
    pub fn branch(self, line: &LineName) -> RefName {
        match self {
            Self::Fix => RefName::fix(line),
            Self::Tests => RefName::tests(line),
        }
    }
}

impl Fix {
    /// Takes the head of a settled push; `None` when the branch was deleted.
    pub fn revise(self, head: Option<CommitId>, by: PersonId, now: Timestamp) -> Change<Self> {
        let shown = head.as_ref().map_or("deleted".to_owned(), |head| head.as_str().to_owned());
        let event = Event::of_case(EventKind::PushSettled, &self.case, format!("{} {} at {shown}", self.kind, self.id));
        Change::new(Self { head, pushed_by: Some(by), pushed_at: Some(now), ..self }, event)
    }

    /// Tells from when on this person's approval of the fix counts, or who else has to give it. `by` is who approves, and
    /// everybody who ever pushed to the fix: whoever had a hand in it is not its reviewer, however the last push came about.
    pub fn may_approve(
        &self,
        by: (PersonId, &[PersonId]),
        team: TeamKind,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let (person, pushers) = by;
        let own = self.pushed_by == Some(person) || pushers.contains(&person);
        match (own, team) {
            (false, TeamKind::Several | TeamKind::Solo) => Ok(now),
            (true, TeamKind::Solo) => Ok(now + SOLO_DELAY),
            (true, TeamKind::Several) => Err(Refusal::person("You pushed to this fix: another reviewer approves it.")),
        }
    }

    /// Approves the fix at this commit, which must be its head, as one who [may](Self::may_approve).
    pub fn approve(
        &self,
        head: &CommitId,
        by: (PersonId, &[PersonId]),
        team: TeamKind,
        now: Timestamp,
    ) -> Result<Change<Approval>, Refusal> {
        if self.head.as_ref() != Some(head) {
            return Err(Refusal::moment(match &self.head {
                Some(current) => {
                    format!("The fix is at {} now, not at {}: look at it again.", current.short(), head.short())
                }
                None => "Nothing is pushed to this fix yet.".to_owned(),
            }));
        }
        let counts_at = self.may_approve(by, team, now)?;
        let (person, _) = by;
        let event = Event::of_case(EventKind::FixApproved, &self.case, format!("{} {} at {head}", self.kind, self.id));
        Ok(Change::new(Approval { head: head.clone(), person, approved_at: now, counts_at }, event))
    }

    /// Lets a person answer for the checks of the head, given as they stand; `by` as for an approval. Nobody's word stands in
    /// for checks that ran.
    pub fn may_waive(
        &self,
        by: (PersonId, &[PersonId]),
        team: TeamKind,
        checks: Option<CheckState>,
    ) -> Result<(), Refusal> {
        let (person, pushers) = by;
        if team == TeamKind::Several && (self.pushed_by == Some(person) || pushers.contains(&person)) {
            return Err(Refusal::person("You pushed to this fix: another reviewer answers for its checks."));
        }
        match checks {
            None | Some(CheckState::Unsupported | CheckState::Lost) => Ok(()),
            Some(CheckState::Success | CheckState::Skipped) => {
                Err(Refusal::moment("The checks of this commit need nobody's word: nothing is wrong with them."))
            }
            Some(CheckState::Waiting | CheckState::Blocked | CheckState::Running | CheckState::Cancelling) => {
                Err(Refusal::moment("The checks of this commit have not ended: wait for them."))
            }
            Some(CheckState::NeedsApproval) => {
                Err(Refusal::moment("The checks of this commit wait for an approval: they can still run."))
            }
            Some(CheckState::Failure | CheckState::Cancelled | CheckState::TimedOut) => Err(Refusal::moment(
                "The checks of this commit ran and are not green: mend the fix, or run them again.",
            )),
        }
    }

    /// Tells whether enough approvals of the present head count by now.
    pub fn approved(&self, approvals: &[Approval], needed: usize, now: Timestamp) -> bool {
        self.head.as_ref().is_some_and(|head| {
            approvals.iter().filter(|approval| &approval.head == head && approval.counts_at <= now).count() >= needed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;

    fn fix() -> (Fix, PersonId, PersonId) {
        let (author, other) = (PersonId::mint(1, [1; 10]), PersonId::mint(1, [2; 10]));
        let fix = Fix {
            id: FixId::mint(1, [3; 10]),
            case: "DEMO-1".parse().unwrap(),
            line: LineId::mint(1, [4; 10]),
            kind: FixKind::Fix,
            head: Some("a".repeat(40).parse().unwrap()),
            pushed_by: Some(author),
            pushed_at: Some(Timestamp::UNIX_EPOCH),
            version: Version(0),
        };
        (fix, author, other)
    }

    #[test]
    fn a_new_push_leaves_the_approval_behind() {
        let (fix, author, other) = fix();
        let now = Timestamp::UNIX_EPOCH;
        let approval =
            fix.approve(&"a".repeat(40).parse().unwrap(), (other, &[author]), TeamKind::Several, now).unwrap().next;
        assert!(fix.approved(std::slice::from_ref(&approval), 1, now));
        let revised = fix.revise(Some("b".repeat(40).parse().unwrap()), author, now).next;
        assert!(!revised.approved(&[approval], 1, now));
    }

    #[test]
    fn nobody_approves_their_own_push_but_a_volunteer_alone_later() {
        let (fix, author, _) = fix();
        let (head, now) = ("a".repeat(40).parse().unwrap(), Timestamp::UNIX_EPOCH);
        assert!(fix.approve(&head, (author, &[]), TeamKind::Several, now).is_err());
        let approval = fix.approve(&head, (author, &[]), TeamKind::Solo, now).unwrap().next;
        assert!(!fix.approved(std::slice::from_ref(&approval), 1, now));
        assert!(fix.approved(&[approval], 1, now + SOLO_DELAY));
    }

    #[test]
    fn only_checks_that_could_not_run_are_answered_for_and_by_another() {
        let (fix, author, other) = fix();
        let answered = CheckState::ALL
            .iter()
            .filter(|state| fix.may_waive((other, &[]), TeamKind::Several, Some(**state)).is_ok());
        assert_eq!(answered.collect::<Vec<_>>(), [&CheckState::Lost, &CheckState::Unsupported]);
        assert!(fix.may_waive((other, &[]), TeamKind::Several, None).is_ok());
        assert!(fix.may_waive((other, &[other]), TeamKind::Several, None).is_err());
        assert!(fix.may_waive((author, &[]), TeamKind::Several, None).is_err());
        assert!(fix.may_waive((author, &[author]), TeamKind::Solo, None).is_ok());
    }

    #[test]
    fn pushing_anothers_commit_again_does_not_make_its_author_a_reviewer() {
        let (fix, author, other) = fix();
        let (head, now) = ("a".repeat(40).parse().unwrap(), Timestamp::UNIX_EPOCH);
        let again = fix.revise(None, other, now).next.revise(Some("a".repeat(40).parse().unwrap()), other, now).next;
        assert!(again.approve(&head, (author, &[author, other]), TeamKind::Several, now).is_err());
    }
}
