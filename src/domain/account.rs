//! People, their public keys and their access tokens.
//!
//! Guards: a token ends within 90 days and reaches no further than its words say; a disabled person's proofs prove nothing.
//! Leaves sign-ins to [`super::session`], the form of keys to `crypto`, and what a token may do in a case to [`super::access`].

use jiff::{SignedDuration, Timestamp};

use super::actor::{Reach, Via};
use super::change::Change;
use super::event::{Event, EventKind};
use super::id::{KeyId, PersonId, TokenId, words};
use super::refusal::Refusal;
use super::text::{EmailAddress, Handle, Label};

/// No token lives longer, in days.
pub const LONGEST_TOKEN_DAYS: u16 = 90;
/// Nobody has more keys: attachments are encrypted to every key of a team, and their header has limits.
pub const MOST_KEYS: usize = 8;

words! {
    /// Whether a person may sign in.
    PersonState {
        /// They may.
        Active = "active",
        /// They may not, and what they hold proves nothing any more.
        Disabled = "disabled",
    }
}

words! {
    /// What a public key is for.
    KeyKind {
        /// Signing in.
        Ssh = "ssh",
        /// Reading attachments.
        Age = "age",
    }
}

/// Someone with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub id: PersonId,
    /// Their handle, shown as `@handle`.
    pub handle: Handle,
    /// What they want to be called.
    pub name: Label,
    /// Where notices go.
    pub email: Option<EmailAddress>,
    /// Whether they may sign in.
    pub state: PersonState,
}

/// A public key of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub person: PersonId,
    /// What it is for.
    pub kind: KeyKind,
    /// The key as one line without a comment.
    pub public: String,
    /// Its short name: `SHA256:` and 43 letters.
    pub fingerprint: String,
    /// When it was added.
    pub added_at: Timestamp,
}

/// What somebody wants a token to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWish {
    /// What its owner calls it.
    pub name: Label,
    /// What it may be used for, and where.
    pub reach: Reach,
    /// How long it lives.
    pub days: u16,
}

/// An access token, without the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Whose it is.
    pub person: PersonId,
    /// What its owner calls it.
    pub name: Label,
    /// What it may be used for, and where.
    pub reach: Reach,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When its owner ended it.
    pub revoked_at: Option<Timestamp>,
}

impl Person {
    /// Adds a person, who may sign in from now on.
    pub fn add(id: PersonId, handle: Handle, name: Label, email: Option<EmailAddress>) -> Change<Self> {
        let person = Self { id, handle, name, email, state: PersonState::Active };
        Change::new(person, Event::new(EventKind::PersonAdded, id.to_string()))
    }

    /// Changes where notices go; with no address none are sent. The event does not say the address.
    pub fn readdress(self, email: Option<EmailAddress>, via: &Via) -> Change<Self> {
        let what = if email.is_some() { "email set" } else { "email removed" };
        let event = Event::new(EventKind::PersonChanged, format!("{} {what}{}", self.id, by(via)));
        Change::new(Self { email, ..self }, event)
    }
}

impl PersonKey {
    /// Adds the key to those its owner has; refuses a ninth.
    pub fn add(self, existing: usize, via: &Via) -> Result<Change<Self>, Refusal> {
        if existing >= MOST_KEYS {
            return Err(Refusal::moment("Eight keys are as many as a person may have: remove one first."));
        }
        let event = Event::new(EventKind::KeyAdded, format!("{} {}{}", self.id, self.kind, by(via)));
        Ok(Change::new(self, event))
    }

    /// Takes the key away from its owner's: it signs nobody in and is encrypted to no more.
    pub fn remove(self) -> Change<Self> {
        let event = Event::new(EventKind::KeyRemoved, format!("{} {}", self.id, self.kind));
        Change::new(self, event)
    }
}

impl Token {
    /// Makes a token; refuses one that may do nothing, or lives for no day or more than 90.
    pub fn make(id: TokenId, person: PersonId, wish: TokenWish, now: Timestamp) -> Result<Change<Self>, Refusal> {
        if wish.reach.scopes.is_empty() {
            return Err(Refusal::input(
                "A token needs at least one scope: git:read, git:write, api:read or api:write.",
            ));
        }
        if !(1..=LONGEST_TOKEN_DAYS).contains(&wish.days) {
            return Err(Refusal::input("A token lives for 1 to 90 days."));
        }
        let mut reach = wish.reach;
        reach.scopes.sort_unstable();
        reach.scopes.dedup();
        let expires_at = now + SignedDuration::from_hours(24 * i64::from(wish.days));
        let token = Self { id, person, name: wish.name, reach, created_at: now, expires_at, revoked_at: None };
        Ok(Change::new(token, Event::new(EventKind::TokenMade, id.to_string())))
    }

    /// Ends the token for good; refuses when that has happened already.
    pub fn revoke(self, now: Timestamp) -> Result<Change<Self>, Refusal> {
        if self.revoked_at.is_some() {
            return Err(Refusal::moment("This token was revoked before."));
        }
        let event = Event::new(EventKind::TokenRevoked, self.id.to_string());
        Ok(Change::new(Self { revoked_at: Some(now), ..self }, event))
    }

    /// Tells whether the token proves anything at this instant.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

/// Says in an event whether it was the operator and not the person.
fn by(via: &Via) -> &'static str {
    match via {
        Via::Session { .. } | Via::Token(_) => "",
        Via::Console => " by the operator",
    }
}

/// Refuses unless the person has signed in within the last five minutes, or acts from the operator's shell.
///
/// New keys and tokens outlive the session that made them, so a session left open must not be enough for one.
pub fn signed_in_lately(via: &Via) -> Result<(), Refusal> {
    match via {
        Via::Session { fresh: true } | Via::Console => Ok(()),
        Via::Session { fresh: false } => Err(Refusal::fresh()),
        Via::Token(_) => Err(token_is_not_enough()),
    }
}

/// Refuses a token where only a signed-in person will do.
pub fn signed_in(via: &Via) -> Result<(), Refusal> {
    match via {
        Via::Session { .. } | Via::Console => Ok(()),
        Via::Token(_) => Err(token_is_not_enough()),
    }
}

fn token_is_not_enough() -> Refusal {
    Refusal::person("A token cannot change its owner's account: sign in for this.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::actor::Scope;
    use crate::domain::id::Minted;
    use crate::domain::refusal::RefusalKind;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_893_456_000 + second).unwrap()
    }

    fn make(days: u16, scopes: Vec<Scope>) -> Result<Token, Refusal> {
        let wish =
            TokenWish { name: "sample".parse().unwrap(), reach: Reach { scopes, project: None, case: None }, days };
        Token::make(TokenId::mint(1, [1; 10]), PersonId::mint(1, [2; 10]), wish, at(0)).map(|change| change.next)
    }

    #[test]
    fn a_token_ends_within_ninety_days() {
        assert!(make(90, vec![Scope::GitRead]).is_ok());
        for days in [0, 91, u16::MAX] {
            assert_eq!(make(days, vec![Scope::GitRead]).unwrap_err().kind(), RefusalKind::Input, "{days}");
        }
        let token = make(1, vec![Scope::GitRead]).unwrap();
        assert!(token.is_live(at(86_399)));
        assert!(!token.is_live(at(86_400)));
    }

    #[test]
    fn a_token_for_nothing_is_refused() {
        assert!(make(1, vec![]).is_err());
    }

    #[test]
    fn a_revoked_token_proves_nothing_and_is_not_revoked_twice() {
        let token = make(1, vec![Scope::ApiRead, Scope::GitRead, Scope::ApiRead]).unwrap();
        assert_eq!(token.reach.scopes, [Scope::GitRead, Scope::ApiRead]);
        let revoked = token.revoke(at(5)).unwrap().next;
        assert!(!revoked.is_live(at(5)));
        assert!(revoked.revoke(at(6)).is_err());
    }

    #[test]
    fn nobody_fills_the_header_of_attachments_alone() {
        let key = PersonKey {
            id: KeyId::mint(1, [1; 10]),
            person: PersonId::mint(1, [2; 10]),
            kind: KeyKind::Age,
            public: "age1".into(),
            fingerprint: "SHA256:x".into(),
            added_at: at(0),
        };
        assert!(key.clone().add(MOST_KEYS - 1, &Via::Console).is_ok());
        assert!(key.add(MOST_KEYS, &Via::Console).is_err());
    }

    #[test]
    fn an_event_does_not_say_where_notices_go() {
        let added = Person::add(
            PersonId::mint(1, [2; 10]),
            "sample".parse().unwrap(),
            "Sample".parse().unwrap(),
            Some("old@example.org".parse().unwrap()),
        );
        let set = added.next.readdress(Some("new@example.org".parse().unwrap()), &Via::Console);
        assert_eq!(set.next.email.as_ref().unwrap().as_str(), "new@example.org");
        assert!(set.event.object.ends_with("email set by the operator"), "{}", set.event.object);
        let gone = set.next.readdress(None, &Via::Session { fresh: true });
        assert!(gone.next.email.is_none() && gone.event.object.ends_with("email removed"));
    }

    #[test]
    fn a_token_cannot_make_tokens() {
        let reach = Reach { scopes: Scope::ALL.to_vec(), project: None, case: None };
        assert!(signed_in_lately(&Via::Token(reach.clone())).is_err());
        assert!(signed_in(&Via::Token(reach)).is_err());
        assert_eq!(signed_in_lately(&Via::Session { fresh: false }), Err(Refusal::fresh()));
        assert!(signed_in(&Via::Session { fresh: false }).is_ok());
        assert!(signed_in_lately(&Via::Session { fresh: true }).is_ok());
    }
}
