//! Whose a remote, a push or a check is: one case's, or a release's as a whole.
//!
//! Guards: what belongs to a release holds code and text of all its cases, so that its proof is one over all of them, and
//! what a role may do with a fix does not carry over to it: [`Action::on_candidate`] has rows of its own in the access table.

use std::fmt;
use std::str::FromStr;

use super::access::{Action, Grant, Grants};
use super::actor::Actor;
use super::event::{Event, EventKind};
use super::id::{CaseId, ReleaseId};
use super::refusal::Malformed;
use super::release::Release;

/// Whose something is. Written as the id of the case or of the release, which do not parse as each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// One case's.
    Case(CaseId),
    /// A release's, and so that of all its cases.
    Release(ReleaseId),
}

impl Owner {
    /// Returns the case, if it is one.
    pub fn case(&self) -> Option<&CaseId> {
        match self {
            Self::Case(case) => Some(case),
            Self::Release(_) => None,
        }
    }

    /// Returns the release, if it is one.
    pub fn release(&self) -> Option<&ReleaseId> {
        match self {
            Self::Case(_) => None,
            Self::Release(release) => Some(release),
        }
    }

    /// Records a step of something of theirs.
    pub fn event(&self, kind: EventKind, object: impl Into<String>) -> Event {
        match self {
            Self::Case(case) => Event::of_case(kind, case, object),
            Self::Release(release) => Event::of_release(kind, release, object),
        }
    }
}

impl From<&CaseId> for Owner {
    fn from(case: &CaseId) -> Self {
        Self::Case(case.clone())
    }
}

impl From<&ReleaseId> for Owner {
    fn from(release: &ReleaseId) -> Self {
        Self::Release(release.clone())
    }
}

impl FromStr for Owner {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let case = text.parse().map(Self::Case);
        case.or_else(|_| text.parse().map(Self::Release))
            .map_err(|_| Malformed::new("this is a case such as OCTO-42 or a release such as OCTO-R3"))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Case(case) => case.fmt(f),
            Self::Release(release) => release.fmt(f),
        }
    }
}

/// Proof that the actor was admitted to what belongs to the owner: a [`Grant`] of a case, or [`Grants`] over a release.
pub trait Proof: Sync {
    /// Returns whose it is a proof for.
    fn owner(&self) -> Owner;
    /// Returns who was admitted; none only for a release without cases, which nobody is admitted to.
    fn actor(&self) -> Option<&Actor>;
}

impl Proof for Grant {
    fn owner(&self) -> Owner {
        Owner::Case(self.case().clone())
    }

    fn actor(&self) -> Option<&Actor> {
        Some(self.actor())
    }
}

/// A release is read under grants over all its cases only: whoever holds both has been admitted to the whole.
impl Proof for (&Release, &Grants) {
    fn owner(&self) -> Owner {
        Owner::Release(self.0.id.clone())
    }

    fn actor(&self) -> Option<&Actor> {
        self.1.each().first().map(Grant::actor)
    }
}

/// An owner that somebody was admitted to.
#[derive(Debug)]
pub enum Pass {
    /// To a case.
    Case(Grant),
    /// To a release, which was read under these grants.
    Release(Box<Release>, Grants),
}

impl Pass {
    /// Returns the grants, one per case.
    pub fn each(&self) -> &[Grant] {
        match self {
            Self::Case(grant) => std::slice::from_ref(grant),
            Self::Release(_, grants) => grants.each(),
        }
    }

    /// Returns the grant of the case under whose key the owner's text is sealed: of a release, its first.
    pub fn keeper(&self) -> Option<&Grant> {
        match self {
            Self::Case(grant) => Some(grant),
            Self::Release(release, grants) => {
                let first = release.cases.first()?;
                grants.each().iter().find(|grant| grant.case() == first)
            }
        }
    }

    /// Tells whether the actor has this right too, in every case it is about.
    pub fn also(&self, action: Action) -> bool {
        let action = match self {
            Self::Case(_) => action,
            Self::Release(..) => action.on_candidate(),
        };
        !self.each().is_empty() && self.each().iter().all(|grant| grant.also(action))
    }
}

impl Proof for Pass {
    fn owner(&self) -> Owner {
        match self {
            Self::Case(grant) => grant.owner(),
            Self::Release(release, _) => Owner::Release(release.id.clone()),
        }
    }

    fn actor(&self) -> Option<&Actor> {
        self.each().first().map(Grant::actor)
    }
}

impl Action {
    /// Names what is asked for when something that is done to the fix of a case is done to the candidates of a release.
    #[must_use]
    pub const fn on_candidate(self) -> Self {
        match self {
            Self::ReadChecks | Self::ReadCandidate => Self::ReadCandidate,
            Self::RunChecks | Self::CheckCandidate => Self::CheckCandidate,
            Self::Fetch | Self::FetchCandidate => Self::FetchCandidate,
            Self::Push | Self::PushCandidate => Self::PushCandidate,
            Self::ApproveFix | Self::ApproveCandidate => Self::ApproveCandidate,
            Self::ReadCase
            | Self::ReadTeam
            | Self::ReadHistory
            | Self::Reply
            | Self::Note
            | Self::Triage
            | Self::Accept
            | Self::Date
            | Self::Members
            | Self::MarkLines
            | Self::EditAdvisory
            | Self::ApproveAdvisory
            | Self::PutAttachment
            | Self::GetAttachment
            | Self::Credit
            | Self::PlanRelease
            | Self::ArmRelease
            | Self::Maintain => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::{Role, role_may};

    #[test]
    fn a_case_and_a_release_are_told_apart_by_their_ids() {
        assert_eq!("OCTO-1".parse(), Ok(Owner::Case("OCTO-1".parse().unwrap())));
        assert_eq!("OCTO-R1".parse(), Ok(Owner::Release("OCTO-R1".parse().unwrap())));
        for odd in ["octo-1", "OCTO-R", "OCTO-R0", "", "OCTO-R1/x"] {
            assert!(odd.parse::<Owner>().is_err(), "{odd:?}");
        }
    }

    #[test]
    fn what_a_role_may_do_with_a_fix_it_may_not_do_with_a_candidate() {
        for action in [Action::Fetch, Action::Push, Action::ReadChecks, Action::RunChecks, Action::ApproveFix] {
            let who: Vec<_> = Role::ALL.iter().filter(|role| role_may(**role, action.on_candidate())).collect();
            assert_eq!(who, [&Role::ReleaseManager], "{action}");
        }
    }
}
