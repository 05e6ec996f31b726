//! A case: one suspected vulnerability, from its first report to the day it is closed.
//!
//! States and transitions are those of CERT/CC's Vultron model, report management; the agreement on the date is
//! [`super::embargo`]. A transition returns the next case and its event, or a sentence why not.

use jiff::Timestamp;

use super::change::{Change, Version};
use super::embargo::Embargo;
use super::event::{Event, EventKind};
use super::id::{CaseId, ProjectId, words};
use super::refusal::Refusal;
use super::sealed::Sealed;
use super::text::Title;

words! {
    /// Report management. A valid case is never closed without being deferred or accepted first.
    CaseState {
        /// Here, not looked at.
        Received = "received",
        /// Looked at, not a vulnerability as far as is known.
        Invalid = "invalid",
        /// A vulnerability.
        Valid = "valid",
        /// Being fixed; has its private remote.
        Accepted = "accepted",
        /// Put off.
        Deferred = "deferred",
        /// Over.
        Closed = "closed",
    }
}

words! {
    /// What a closed case turned out to be.
    Verdict {
        /// A vulnerability.
        Valid = "valid",
        /// Not one.
        Invalid = "invalid",
        /// One that another case is about.
        Duplicate = "duplicate",
        /// Nothing this project looks after.
        OutOfScope = "out_of_scope",
        /// Not sent in earnest.
        Spam = "spam",
    }
}

/// A case.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its id.
    pub id: CaseId,
    /// The project.
    pub project: ProjectId,
    /// What members call it; sealed.
    pub title: Sealed<Title>,
    /// Where it stands.
    pub state: CaseState,
    /// What it turned out to be; present when closed.
    pub verdict: Option<Verdict>,
    /// The agreement on the date.
    pub embargo: Embargo,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When a person first answered.
    pub acknowledged_at: Option<Timestamp>,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// When it became public.
    pub published_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Changes so far.
    pub version: Version,
}

impl Case {
    /// Notes that a person has answered the reporter; a second time changes nothing that is recorded.
    pub fn acknowledge(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        if self.acknowledged_at.is_some() {
            return Err(Refusal::moment("This case has been acknowledged already."));
        }
        let event = Event::of_case(EventKind::CaseMoved, &self.id, "acknowledged");
        Ok(Change::new(Self { acknowledged_at: Some(now), ..self }, event))
    }

    /// Finds that it is a vulnerability.
    pub fn validate(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        match self.state {
            CaseState::Received | CaseState::Invalid => Ok(self.moved(CaseState::Valid, now)),
            CaseState::Valid | CaseState::Accepted | CaseState::Deferred | CaseState::Closed => {
                Err(self.out_of_turn("validated", "received or invalid"))
            }
        }
    }

    /// Finds that it is not a vulnerability.
    pub fn invalidate(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        match self.state {
            CaseState::Received => Ok(self.moved(CaseState::Invalid, now)),
            CaseState::Invalid | CaseState::Valid | CaseState::Accepted | CaseState::Deferred | CaseState::Closed => {
                Err(self.out_of_turn("invalidated", "received"))
            }
        }
    }

    /// Takes the case on: from now on it has a private remote. A received case is validated by the same act.
    pub fn accept(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        match self.state {
            CaseState::Received | CaseState::Valid | CaseState::Deferred => {
                let mut change = self.moved(CaseState::Accepted, now);
                change.next.accepted_at = change.next.accepted_at.or(Some(now));
                Ok(change)
            }
            CaseState::Invalid | CaseState::Accepted | CaseState::Closed => {
                Err(self.out_of_turn("accepted", "received, valid or deferred"))
            }
        }
    }

    /// Puts the case off.
    pub fn defer(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        match self.state {
            CaseState::Valid | CaseState::Accepted => Ok(self.moved(CaseState::Deferred, now)),
            CaseState::Received | CaseState::Invalid | CaseState::Deferred | CaseState::Closed => {
                Err(self.out_of_turn("deferred", "valid or accepted"))
            }
        }
    }

    /// Ends the case with a verdict. Out of scope and spam end a received case as invalid.
    pub fn close(self, verdict: Verdict, now: Timestamp) -> Result<Change<Self>, Refusal> {
        let fits = match (self.state, verdict) {
            (CaseState::Invalid, Verdict::Invalid | Verdict::OutOfScope | Verdict::Spam) => true,
            (CaseState::Accepted, Verdict::Valid) => self.published_at.is_some(),
            (CaseState::Deferred, Verdict::Valid | Verdict::Duplicate) => true,
            (CaseState::Received | CaseState::Valid | CaseState::Closed, _) => false,
            (CaseState::Invalid, Verdict::Valid | Verdict::Duplicate) => false,
            (CaseState::Accepted | CaseState::Deferred, _) => false,
        };
        if !fits {
            let sentence = match self.state {
                CaseState::Received => "Say first what it is: validate or invalidate this case, then close it.",
                CaseState::Valid => "A valid case is accepted or deferred before it can be closed.",
                CaseState::Accepted => "An accepted case is closed once it is public, or after it was deferred.",
                CaseState::Closed => "This case is closed already.",
                CaseState::Invalid => "An invalid case is closed as invalid, out_of_scope or spam.",
                CaseState::Deferred => "A deferred case is closed as valid or duplicate.",
            };
            return Err(Refusal::moment(sentence));
        }
        let mut change = self.moved(CaseState::Closed, now);
        change.next.verdict = Some(verdict);
        change.next.closed_at = Some(now);
        change.event.object = format!("{} as {verdict}", change.event.object);
        Ok(change)
    }

    /// Records that the world knows: the embargo has done its work.
    pub fn publish(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        if self.published_at.is_some() {
            return Err(Refusal::moment("This case is public already."));
        }
        let event = Event::of_case(EventKind::CaseMoved, &self.id, "published");
        let embargo = self.embargo.clone().over();
        Ok(Change::new(Self { published_at: Some(now), embargo, ..self }, event))
    }

    /// Tells whether the case has a private remote that may be pushed to.
    pub fn takes_pushes(&self) -> bool {
        self.open_to_pushes().is_ok()
    }

    /// Says why the case's private remote may not be pushed to, if it may not: it is an archive once the case is public.
    pub fn open_to_pushes(&self) -> Result<(), Refusal> {
        if self.published_at.is_some() {
            return Err(self.archived());
        }
        match self.state {
            CaseState::Accepted => Ok(()),
            CaseState::Received | CaseState::Invalid | CaseState::Valid | CaseState::Deferred | CaseState::Closed => {
                Err(Refusal::moment(format!(
                    "This case takes no pushes: it is {}, and only an accepted one does.",
                    self.state
                )))
            }
        }
    }

    /// Says where to push instead of an archive.
    pub fn archived(&self) -> Refusal {
        Refusal::moment(format!(
            "The private remote of {0} is an archive: what it held is public. Push to the public repository, or open a case that \
             follows up on it (`embargo case follow-up {0} --because …`).",
            self.id
        ))
    }

    fn moved(self, to: CaseState, _now: Timestamp) -> Change<Self> {
        let event = Event::of_case(EventKind::CaseMoved, &self.id, format!("{} to {to}", self.state));
        Change::new(Self { state: to, ..self }, event)
    }

    fn out_of_turn(&self, act: &str, from: &str) -> Refusal {
        Refusal::moment(format!("This case is {}; only a case that is {from} can be {act}.", self.state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(state: CaseState) -> Case {
        Case {
            id: "DEMO-1".parse().unwrap(),
            project: "demo".parse().unwrap(),
            title: Sealed::from_envelope(vec![]),
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

    #[test]
    fn every_state_and_command_pair_has_one_answer() {
        type Command = (&'static str, fn(Case, Timestamp) -> Result<Change<Case>, Refusal>);
        let now = Timestamp::UNIX_EPOCH;
        let mut table = String::new();
        let commands: [Command; 6] = [
            ("validate", Case::validate),
            ("invalidate", Case::invalidate),
            ("accept", Case::accept),
            ("defer", Case::defer),
            ("close as invalid", |case, now| case.close(Verdict::Invalid, now)),
            ("close as valid", |case, now| case.close(Verdict::Valid, now)),
        ];
        for state in CaseState::ALL {
            for (name, command) in commands {
                let end = command(case(*state), now).map_or("-".to_owned(), |change| change.next.state.to_string());
                table += &format!("{state} {name}: {end}\n");
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn only_an_accepted_case_that_is_not_public_takes_pushes() {
        for state in CaseState::ALL {
            assert_eq!(case(*state).takes_pushes(), *state == CaseState::Accepted, "{state}");
            let public = Case { published_at: Some(Timestamp::UNIX_EPOCH), ..case(*state) };
            let refusal = public.open_to_pushes().unwrap_err().to_string();
            assert!(
                refusal.contains("Push to the public repository") && refusal.contains("follow-up DEMO-1"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn a_valid_case_is_never_closed_directly() {
        for verdict in Verdict::ALL {
            assert!(case(CaseState::Valid).close(*verdict, Timestamp::UNIX_EPOCH).is_err());
        }
    }
}
