//! What people say of a case on a line: whether the flaw is there, and whether it will be fixed.
//!
//! Guards: a line that is said to need no fix holds none, and what was published is not changed here. A line nobody spoke of
//! has no mark. Leaves what a mark means for a release to [`super::readiness`].

use jiff::Timestamp;

use super::case::{Case, CaseState};
use super::change::Change;
use super::event::{Event, EventKind};
use super::fix::Fix;
use super::id::{CaseId, LineId, PersonId, words};
use super::project::Line;
use super::refusal::Refusal;

words! {
    /// How a line stands to the flaw of a case. The first two are statuses of VEX.
    Standing {
        /// The flaw is there and gets a fix.
        Affected = "affected",
        /// The flaw is not there: the line needs no fix and blocks nothing.
        NotAffected = "not_affected",
        /// The flaw is there and stays: its users are told, no fix is waited for.
        WontFix = "wont_fix",
    }
}

/// One person's word on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The case.
    pub case: CaseId,
    /// The line.
    pub line: LineId,
    /// What was said.
    pub standing: Standing,
    /// Who said it last.
    pub person: PersonId,
    /// When.
    pub marked_at: Timestamp,
}

/// Where a mark is to be set.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The case.
    pub case: &'a Case,
    /// The line.
    pub line: &'a Line,
    /// What is pushed for it, if anything ever was.
    pub fix: Option<&'a Fix>,
}

impl Standing {
    /// Tells whether a release waits for a fix of the line.
    pub fn wants_a_fix(self) -> bool {
        match self {
            Self::Affected => true,
            Self::NotAffected | Self::WontFix => false,
        }
    }
}

impl Mark {
    /// Says how the line stands. Refused for what is public or closed, and where a pushed fix says otherwise.
    pub fn set(
        place: Place<'_>,
        standing: Standing,
        person: PersonId,
        now: Timestamp,
    ) -> Result<Change<Self>, Refusal> {
        let Place { case, line, fix } = place;
        if case.published_at.is_some() {
            return Err(Refusal::moment("This case is public: its advisory says which lines are affected."));
        }
        if case.state == CaseState::Closed {
            return Err(Refusal::moment("This case is closed: nothing of it will be fixed."));
        }
        if !standing.wants_a_fix() && fix.is_some_and(|fix| fix.head.is_some()) {
            return Err(Refusal::moment(format!(
                "A fix is pushed to fix/{0}: delete it first with `git push <remote> :fix/{0}`.",
                line.name
            )));
        }
        Ok(Self { case: case.id.clone(), line: line.id, standing, person, marked_at: now }.said())
    }

    /// Takes a push to the line's fix: whoever fixes a line says that it is affected. `None` where that was said `before`.
    pub fn pushed(
        before: Option<&Self>,
        place: (&CaseId, LineId),
        person: PersonId,
        now: Timestamp,
    ) -> Option<Change<Self>> {
        let (case, line) = (place.0.clone(), place.1);
        let said = before.is_some_and(|mark| mark.standing.wants_a_fix());
        (!said).then(|| Self { case, line, standing: Standing::Affected, person, marked_at: now }.said())
    }

    fn said(self) -> Change<Self> {
        let object = format!("line {} {}", self.line, self.standing);
        let event = Event::of_case(EventKind::LineMarked, &self.case, object);
        Change::new(self, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::Version;
    use crate::domain::embargo::Embargo;
    use crate::domain::id::{FixId, Minted, UpstreamId};
    use crate::domain::sealed::Sealed;

    fn case(state: CaseState) -> Case {
        Case {
            id: "DEMO-1".parse().unwrap(),
            project: "demo".parse().unwrap(),
            title: Sealed::from_envelope(Vec::new()),
            state,
            verdict: None,
            embargo: Embargo::none(),
            opened_at: Timestamp::UNIX_EPOCH,
            acknowledged_at: None,
            accepted_at: None,
            published_at: None,
            closed_at: None,
            version: Version(0),
        }
    }

    fn line() -> Line {
        let upstream = UpstreamId::mint(1, [1; 10]);
        Line { id: LineId::mint(1, [2; 10]), upstream, name: "1.x".parse().unwrap() }
    }

    fn fix(head: Option<&str>) -> Fix {
        Fix {
            id: FixId::mint(1, [3; 10]),
            case: "DEMO-1".parse().unwrap(),
            line: line().id,
            kind: crate::domain::fix::FixKind::Fix,
            head: head.map(|digit| digit.repeat(40).parse().unwrap()),
            pushed_by: None,
            pushed_at: None,
            version: Version(0),
        }
    }

    fn set(case: &Case, fix: Option<&Fix>, standing: Standing) -> Result<Mark, String> {
        let line = line();
        let person = PersonId::mint(1, [4; 10]);
        Mark::set(Place { case, line: &line, fix }, standing, person, Timestamp::UNIX_EPOCH)
            .map(|change| change.next)
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_line_with_a_fix_is_affected_and_nothing_else() {
        let (case, pushed, deleted) = (case(CaseState::Accepted), fix(Some("a")), fix(None));
        for standing in [Standing::NotAffected, Standing::WontFix] {
            assert!(set(&case, Some(&pushed), standing).unwrap_err().contains(":fix/1.x"));
            assert_eq!(set(&case, Some(&deleted), standing).unwrap().standing, standing);
            assert_eq!(set(&case, None, standing).unwrap().standing, standing);
        }
        assert_eq!(set(&case, Some(&pushed), Standing::Affected).unwrap().standing, Standing::Affected);
    }

    #[test]
    fn what_is_public_or_closed_is_not_marked() {
        let public = Case { published_at: Some(Timestamp::UNIX_EPOCH), ..case(CaseState::Accepted) };
        assert!(set(&public, None, Standing::Affected).unwrap_err().contains("public"));
        assert!(set(&case(CaseState::Closed), None, Standing::Affected).unwrap_err().contains("closed"));
    }

    #[test]
    fn a_push_says_that_the_line_is_affected_once() {
        let person = PersonId::mint(1, [5; 10]);
        let mark = set(&case(CaseState::Accepted), None, Standing::NotAffected).unwrap();
        let place = (&mark.case, mark.line);
        let pushed = |before| Mark::pushed(before, place, person, Timestamp::UNIX_EPOCH);
        for before in [None, Some(&mark)] {
            let mark = pushed(before).unwrap().next;
            assert_eq!((mark.standing, mark.person), (Standing::Affected, person));
        }
        let affected = pushed(None).unwrap().next;
        assert!(pushed(Some(&affected)).is_none());
    }
}
