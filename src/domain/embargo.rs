//! The agreement on when a case may be known. In pages and commands it is called "the date".
//!
//! None -propose-> Proposed; Proposed -accept-> Active, -reject-> None; Active -propose-> Revise;
//! Revise -accept|reject-> Active; Active|Revise -terminate-> Exited (CERT/CC Vultron, embargo management).
//! Ending an embargo permits disclosure; it does not perform it.

use jiff::Timestamp;

use super::event::{Event, EventKind};
use super::id::{CaseId, words};
use super::refusal::Refusal;

words! {
    /// Where the agreement stands.
    EmbargoState {
        /// No date is asked for.
        None = "none",
        /// A date is proposed.
        Proposed = "proposed",
        /// A date is agreed.
        Active = "active",
        /// A date is agreed and another proposed.
        Revise = "revise",
        /// Over.
        Exited = "exited",
    }
}

words! {
    /// Which side proposed a date.
    Side {
        /// The team, or the project's default.
        Team = "team",
        /// A reporter.
        Reporter = "reporter",
    }
}

/// The agreement. Instants are UTC; an embargo without an end cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embargo {
    state: EmbargoState,
    agreed: Option<Timestamp>,
    proposed: Option<(Timestamp, Side)>,
}

impl Embargo {
    /// No agreement asked for yet.
    pub const fn none() -> Self {
        Self { state: EmbargoState::None, agreed: None, proposed: None }
    }

    /// Rebuilds the agreement from its row; refuses a combination that no transition makes.
    pub fn restore(
        state: EmbargoState,
        agreed: Option<Timestamp>,
        proposed: Option<(Timestamp, Side)>,
    ) -> Option<Self> {
        let fits = match state {
            EmbargoState::None => agreed.is_none() && proposed.is_none(),
            EmbargoState::Proposed => agreed.is_none() && proposed.is_some(),
            EmbargoState::Active => agreed.is_some() && proposed.is_none(),
            EmbargoState::Revise => agreed.is_some() && proposed.is_some(),
            EmbargoState::Exited => proposed.is_none(),
        };
        fits.then_some(Self { state, agreed, proposed })
    }

    /// Where it stands.
    pub fn state(&self) -> EmbargoState {
        self.state
    }

    /// The agreed end.
    pub fn agreed(&self) -> Option<Timestamp> {
        self.agreed
    }

    /// The proposed end and who proposed it.
    pub fn proposed(&self) -> Option<(Timestamp, Side)> {
        self.proposed
    }

    /// Proposes an end. It must lie ahead.
    pub fn propose(self, case: &CaseId, end: Timestamp, side: Side, now: Timestamp) -> Result<(Self, Event), Refusal> {
        if end <= now {
            return Err(Refusal::input("The date lies in the past: propose one ahead of now."));
        }
        let state = match self.state {
            EmbargoState::None | EmbargoState::Proposed => EmbargoState::Proposed,
            EmbargoState::Active | EmbargoState::Revise => EmbargoState::Revise,
            EmbargoState::Exited => return Err(Refusal::moment("The embargo of this case is over.")),
        };
        let next = Self { state, agreed: self.agreed, proposed: Some((end, side)) };
        Ok((next, Event::of_case(EventKind::DateMoved, case, format!("proposed by {side}"))))
    }

    /// Agrees to the proposal of the other side.
    pub fn accept(self, case: &CaseId, side: Side) -> Result<(Self, Event), Refusal> {
        let Some((end, proposer)) = self.proposed else {
            return Err(Refusal::moment("No date is proposed: propose one first."));
        };
        if proposer == side {
            return Err(Refusal::moment("The other side agrees to a proposal: wait for its answer."));
        }
        let next = Self { state: EmbargoState::Active, agreed: Some(end), proposed: None };
        Ok((next, Event::of_case(EventKind::DateMoved, case, "agreed")))
    }

    /// Agrees at once, as silence towards the project's default does, or a team of one does for itself.
    pub fn settle(self, case: &CaseId) -> Result<(Self, Event), Refusal> {
        let Some((end, _)) = self.proposed else {
            return Err(Refusal::moment("No date is proposed: propose one first."));
        };
        let next = Self { state: EmbargoState::Active, agreed: Some(end), proposed: None };
        Ok((next, Event::of_case(EventKind::DateMoved, case, "settled")))
    }

    /// Says no to the proposal; an agreed date stays.
    pub fn reject(self, case: &CaseId) -> Result<(Self, Event), Refusal> {
        let state = match self.state {
            EmbargoState::Proposed => EmbargoState::None,
            EmbargoState::Revise => EmbargoState::Active,
            EmbargoState::None | EmbargoState::Active | EmbargoState::Exited => {
                return Err(Refusal::moment("No date is proposed, so there is nothing to reject."));
            }
        };
        let next = Self { state, agreed: self.agreed, proposed: None };
        Ok((next, Event::of_case(EventKind::DateMoved, case, "rejected")))
    }

    /// Ends the agreement before its time: permits disclosure, does not perform it.
    pub fn terminate(self, case: &CaseId) -> Result<(Self, Event), Refusal> {
        match self.state {
            EmbargoState::Active | EmbargoState::Revise => {
                Ok((self.over(), Event::of_case(EventKind::DateMoved, case, "terminated")))
            }
            EmbargoState::None | EmbargoState::Proposed => {
                Err(Refusal::moment("No date is agreed, so there is nothing to end: reject the proposal instead."))
            }
            EmbargoState::Exited => Err(Refusal::moment("The embargo of this case is over.")),
        }
    }

    /// The agreement after publication: over, with the agreed end kept for the record.
    #[must_use]
    pub fn over(self) -> Self {
        Self { state: EmbargoState::Exited, agreed: self.agreed, proposed: None }
    }

    /// Tells whether it allows disclosure at this instant: not before an agreed or proposed end.
    pub fn allows(&self, at: Timestamp) -> Result<(), Refusal> {
        let end = match self.state {
            EmbargoState::None | EmbargoState::Exited => return Ok(()),
            EmbargoState::Proposed => self.proposed.map(|(end, _)| end),
            EmbargoState::Active | EmbargoState::Revise => self.agreed,
        };
        match end {
            Some(end) if at < end && self.state == EmbargoState::Proposed => Err(Refusal::moment(format!(
                "The date {end} is proposed and not answered: answer it (`embargo date accept` or `embargo date reject`) or choose \
                 a later instant."
            ))),
            Some(end) if at < end => Err(Refusal::moment(format!(
                "The date is {end}: move it (`embargo date propose`), end it if something leaked (`embargo date terminate`), or choose a later instant."
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn case() -> CaseId {
        "DEMO-1".parse().unwrap()
    }

    #[test]
    fn a_proposal_is_agreed_by_the_other_side_only() {
        let (proposed, _) = Embargo::none().propose(&case(), at(100), Side::Reporter, at(1)).unwrap();
        assert!(proposed.clone().accept(&case(), Side::Reporter).is_err());
        let (agreed, _) = proposed.accept(&case(), Side::Team).unwrap();
        assert_eq!((agreed.state(), agreed.agreed()), (EmbargoState::Active, Some(at(100))));
    }

    #[test]
    fn a_rejected_revision_leaves_the_agreed_date() {
        let (active, _) =
            Embargo::none().propose(&case(), at(100), Side::Team, at(1)).unwrap().0.settle(&case()).unwrap();
        let (revise, _) = active.propose(&case(), at(200), Side::Reporter, at(2)).unwrap();
        let (back, _) = revise.reject(&case()).unwrap();
        assert_eq!(back.agreed(), Some(at(100)));
        assert!(back.allows(at(99)).is_err());
        assert!(back.allows(at(100)).is_ok());
    }

    #[test]
    fn a_date_in_the_past_is_refused() {
        assert!(Embargo::none().propose(&case(), at(1), Side::Team, at(1)).is_err());
    }

    #[test]
    fn only_rows_that_a_transition_can_make_are_restored() {
        assert!(Embargo::restore(EmbargoState::Active, None, None).is_none());
        assert!(Embargo::restore(EmbargoState::Proposed, None, Some((at(1), Side::Team))).is_some());
    }
}
