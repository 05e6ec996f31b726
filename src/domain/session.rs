//! How a person comes in and stays in: one-time links, sign-in challenges, sessions, and a reporter's short visit.
//!
//! Guards: every code works once and for minutes; a session ends by idleness and by age, whatever the browser keeps; only a
//! sign-in of the last five minutes is fresh. Leaves signatures to `crypto`, hashes of codes to `store`.

use jiff::{SignedDuration, Timestamp};

use super::change::Change;
use super::event::{Event, EventKind};
use super::id::{PersonId, ReportId, words};
use super::refusal::Refusal;

const LINK: SignedDuration = SignedDuration::from_mins(15);
const HAND_OVER: SignedDuration = SignedDuration::from_mins(2);
const CHALLENGE: SignedDuration = SignedDuration::from_mins(2);
const FRESH: SignedDuration = SignedDuration::from_mins(5);
const IDLE: SignedDuration = SignedDuration::from_mins(30);
const LONGEST: SignedDuration = SignedDuration::from_hours(12);
const LONGEST_VISIT: SignedDuration = SignedDuration::from_hours(2);
/// How exactly it is known when a session was last used.
const NOTICED: SignedDuration = SignedDuration::from_mins(1);

words! {
    /// What made a one-time link.
    LinkKind {
        /// The operator, for someone who cannot sign in otherwise: 15 minutes.
        Invitation = "invitation",
        /// The person's own signed-in command line, for their browser: 2 minutes.
        HandOver = "hand_over",
    }
}

words! {
    /// What holds a session.
    SessionKind {
        /// A browser, by cookie: ends after 30 idle minutes.
        Browser = "browser",
        /// The command line, by its credentials file: lives as long as a session may.
        Client = "client",
    }
}

/// A one-time sign-in link. The code itself is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInLink {
    /// Who it signs in.
    pub person: PersonId,
    /// What made it.
    pub kind: LinkKind,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
}

/// A sign-in challenge: whoever signs it with a person's SSH key is that person. It belongs to nobody before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInChallenge {
    /// The nonce that is signed.
    pub nonce: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// When an answer comes too late.
    pub expires_at: Timestamp,
    /// When it was answered.
    pub used_at: Option<Timestamp>,
}

/// A person being signed in. The session's secret is not in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Who.
    pub person: PersonId,
    /// What holds it.
    pub kind: SessionKind,
    /// What a form of this session must carry.
    pub form_token: String,
    /// When the person signed in.
    pub signed_in_at: Timestamp,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When the person signed out.
    pub ended_at: Option<Timestamp>,
}

/// A reporter's visit to their report, opened by the claim code.
#[derive(Clone, PartialEq, Eq)]
pub struct Visit {
    /// The report.
    pub report: ReportId,
    /// What a form of this visit must carry.
    pub form_token: String,
    /// When it was last used, to the minute.
    pub seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// When the reporter left.
    pub ended_at: Option<Timestamp>,
}

impl SignInLink {
    /// Makes a link that works once, for 15 minutes, or two when a browser is waiting for it.
    pub fn make(person: PersonId, kind: LinkKind, now: Timestamp) -> Change<Self> {
        let life = match kind {
            LinkKind::Invitation => LINK,
            LinkKind::HandOver => HAND_OVER,
        };
        let link = Self { person, kind, made_at: now, expires_at: now + life, used_at: None };
        Change::new(link, Event::new(EventKind::LinkMade, format!("{person} {kind}")))
    }

    /// Uses the link up; used and expired links are refused in the same words as one that never was.
    pub fn use_up(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        if self.used_at.is_some() || now >= self.expires_at {
            return Err(useless_code());
        }
        let event = Event::new(EventKind::SignedIn, format!("link {}", self.kind));
        Ok(Change::new(Self { used_at: Some(now), ..self }, event))
    }
}

impl SignInChallenge {
    /// Makes a challenge that can be answered once, for two minutes.
    pub fn make(nonce: String, now: Timestamp) -> Self {
        Self { nonce, made_at: now, expires_at: now + CHALLENGE, used_at: None }
    }

    /// Uses the challenge up; answered and expired ones are refused in the same words as one that never was.
    pub fn use_up(self, now: Timestamp) -> Result<Self, Refusal> {
        if self.used_at.is_some() || now >= self.expires_at {
            return Err(useless_signature());
        }
        Ok(Self { used_at: Some(now), ..self })
    }
}

impl Session {
    /// Begins a session of someone who has just proved who they are.
    pub fn begin(person: PersonId, kind: SessionKind, form_token: String, now: Timestamp) -> Self {
        Self { person, kind, form_token, signed_in_at: now, seen_at: now, expires_at: now + LONGEST, ended_at: None }
    }

    /// Tells whether the session proves anything at this instant.
    pub fn is_live(&self, now: Timestamp) -> bool {
        let idle = match self.kind {
            SessionKind::Browser => now >= self.seen_at + IDLE,
            SessionKind::Client => false,
        };
        self.ended_at.is_none() && now < self.expires_at && !idle
    }

    /// Tells whether the sign-in is at most five minutes old, as arming asks.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.signed_in_at + FRESH
    }

    /// Tells whether this use is worth writing down: a minute or more after the last.
    pub fn is_noticed(&self, now: Timestamp) -> bool {
        now >= self.seen_at + NOTICED
    }

    /// Tells whether a form was made by a page of this session.
    pub fn made(&self, form_token: &str) -> bool {
        same(&self.form_token, form_token)
    }
}

impl Visit {
    /// Begins the visit of someone who has just shown the claim code.
    pub fn begin(report: ReportId, form_token: String, now: Timestamp) -> Self {
        Self { report, form_token, seen_at: now, expires_at: now + LONGEST_VISIT, ended_at: None }
    }

    /// Tells whether the visit goes on: no 30 idle minutes, and two hours in all.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at && now < self.seen_at + IDLE
    }

    /// Tells whether this use is worth writing down: a minute or more after the last.
    pub fn is_noticed(&self, now: Timestamp) -> bool {
        now >= self.seen_at + NOTICED
    }

    /// Tells whether a form was made by a page of this visit.
    pub fn made(&self, form_token: &str) -> bool {
        same(&self.form_token, form_token)
    }
}

/// Refuses a sign-in code, whether it was mistyped, made up, used or late.
pub fn useless_code() -> Refusal {
    Refusal::input(
        "This sign-in code does not work: a code works once and for a few minutes. Get a new one and try again.",
    )
}

/// Refuses a signed challenge, whether key, signature or nonce is unknown, wrong, used or late.
pub fn useless_signature() -> Refusal {
    Refusal::input(
        "This signature signs nobody in: the key may not be known here, or the challenge was used or is too old. \
         Add the key on your account page, or try again.",
    )
}

/// Compares in a time that depends on the lengths only.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && std::hint::black_box(a.bytes().zip(b.bytes()).fold(0, |sum, (x, y)| sum | (x ^ y))) == 0
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} {})", self.person, self.kind)
    }
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Visit({})", self.report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Minted;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_893_456_000 + second).unwrap()
    }

    fn person() -> PersonId {
        PersonId::mint(1, [2; 10])
    }

    #[test]
    fn a_link_works_once_and_for_fifteen_minutes() {
        let link = SignInLink::make(person(), LinkKind::Invitation, at(0)).next;
        assert_eq!(link.clone().use_up(at(15 * 60)).unwrap_err(), useless_code());
        let used = link.use_up(at(15 * 60 - 1)).unwrap().next;
        assert_eq!(used.use_up(at(15 * 60 - 1)).unwrap_err(), useless_code());
    }

    #[test]
    fn a_hand_over_is_short() {
        let link = SignInLink::make(person(), LinkKind::HandOver, at(0)).next;
        assert!(link.clone().use_up(at(119)).is_ok());
        assert!(link.use_up(at(120)).is_err());
    }

    #[test]
    fn a_challenge_is_answered_once_and_within_two_minutes() {
        let challenge = SignInChallenge::make("n".into(), at(0));
        assert!(challenge.clone().use_up(at(120)).is_err());
        assert!(challenge.use_up(at(119)).unwrap().use_up(at(119)).is_err());
    }

    #[test]
    fn a_session_ends_by_idleness_by_age_and_by_will() {
        let begun = Session::begin(person(), SessionKind::Browser, "t".into(), at(0));
        assert!(begun.is_live(at(30 * 60 - 1)));
        assert!(!begun.is_live(at(30 * 60)));
        let used = Session { seen_at: at(12 * 3600 - 10), ..begun.clone() };
        assert!(used.is_live(at(12 * 3600 - 1)));
        assert!(!used.is_live(at(12 * 3600)));
        assert!(!Session { ended_at: Some(at(1)), ..begun }.is_live(at(1)));
    }

    #[test]
    fn a_client_may_rest_but_not_outlive_the_day() {
        let begun = Session::begin(person(), SessionKind::Client, "t".into(), at(0));
        assert!(begun.is_live(at(12 * 3600 - 1)));
        assert!(!begun.is_live(at(12 * 3600)));
    }

    #[test]
    fn use_does_not_make_a_session_fresh() {
        let begun = Session::begin(person(), SessionKind::Browser, "t".into(), at(0));
        assert!(begun.is_fresh(at(299)));
        let used = Session { seen_at: at(299), ..begun };
        assert!(!used.is_fresh(at(300)));
    }

    #[test]
    fn a_form_of_another_session_is_not_ours() {
        let begun = Session::begin(person(), SessionKind::Browser, "token".into(), at(0));
        assert!(begun.made("token"));
        for foreign in ["", "toke", "tokens", "tokem"] {
            assert!(!begun.made(foreign), "{foreign:?}");
        }
    }

    #[test]
    fn a_visit_ends_after_two_hours_at_most() {
        let begun = Visit::begin(ReportId::mint(1, [3; 10]), "t".into(), at(0));
        assert!(!begun.is_live(at(30 * 60)));
        let used = Visit { seen_at: at(7190), ..begun };
        assert!(used.is_live(at(7199)));
        assert!(!used.is_live(at(7200)));
    }
}
