//! Accounts in JSON: signing in, oneself, one's keys and tokens.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::account::{KeyKind, Person, PersonKey, Token};
use crate::domain::actor::Scope;
use crate::domain::id::{CaseId, KeyId, PersonId, ProjectId, TokenId};
use crate::domain::text::{Handle, Label};

/// What is to be signed to sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The server's own URL, part of what is signed.
    pub server: String,
    /// A nonce that is used once.
    pub nonce: String,
    /// When it was made; it lasts two minutes.
    pub made_at: Timestamp,
}

/// A signed challenge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The nonce of the challenge.
    pub nonce: String,
    /// The public key that signed, as one line.
    pub key: String,
    /// The armored SSH signature.
    pub signature: String,
    /// Who signs in, where one key belongs to several accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Handle>,
}

/// A client's new session.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedIn {
    /// The secret to send as `Authorization: Bearer …`.
    pub session: String,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// Who is signed in.
    pub person: Me,
}

/// A one-time code that signs a browser in.
#[derive(Clone, Serialize, Deserialize)]
pub struct HandOver {
    /// The page that takes the code.
    pub page: String,
    /// The code: it goes behind a `#` or into the page's form, never into a path or query.
    pub code: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// The person who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// Their id.
    pub id: PersonId,
    /// Their handle.
    pub handle: Handle,
    /// Their name.
    pub name: Label,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// What it is for.
    pub kind: KeyKind,
    /// The key as one line.
    pub public: String,
    /// Its short name.
    pub fingerprint: String,
    /// When it was added.
    pub added_at: Timestamp,
}

/// A key to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What it is for.
    pub kind: KeyKind,
    /// The key as one line.
    pub public: String,
}

/// An access token, without the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Its id.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: Label,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The one project it is confined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The one case it is confined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// A token to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What its owner calls it.
    pub name: Label,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// The one project it is confined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The one case it is confined to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// How many days it lives, 90 at most.
    pub days: u16,
}

/// A new token with its secret, shown this once.
#[derive(Clone, Serialize, Deserialize)]
pub struct MadeToken {
    /// What is known of it later.
    #[serde(flatten)]
    pub token: AccessToken,
    /// The secret: the password for git, or `Authorization: Bearer …`.
    pub secret: String,
}

impl From<&Person> for Me {
    fn from(person: &Person) -> Self {
        Self { id: person.id, handle: person.handle.clone(), name: person.name.clone() }
    }
}

impl From<PersonKey> for Key {
    fn from(key: PersonKey) -> Self {
        Self { id: key.id, kind: key.kind, public: key.public, fingerprint: key.fingerprint, added_at: key.added_at }
    }
}

impl From<Token> for AccessToken {
    fn from(token: Token) -> Self {
        Self {
            id: token.id,
            name: token.name,
            scopes: token.reach.scopes,
            project: token.reach.project,
            case: token.reach.case,
            created_at: token.created_at,
            expires_at: token.expires_at,
        }
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedIn({:?})", self.person.id)
    }
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandOver(..)")
    }
}

impl fmt::Debug for MadeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MadeToken({:?})", self.token.id)
    }
}
