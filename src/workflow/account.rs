//! Signing in and out, one's own keys and tokens.
//!
//! Guards: a wrong, used or late proof is refused in the same words as one that never was; new keys and tokens ask for a
//! sign-in of the last five minutes; nobody reaches another's account. Leaves people and invitations to [`super::console`].

use super::{Error, Result};
use crate::app::App;
use crate::crypto::recipient::AgeRecipient;
use crate::crypto::sshkey::SshKey;
use crate::crypto::sshsig;
use crate::crypto::token::{self, Kind};
use crate::domain::account::{KeyKind, Person, PersonKey, Token, TokenWish, signed_in, signed_in_lately};
use crate::domain::actor::{Actor, Scope, Via};
use crate::domain::id::{KeyId, PersonId, ReportId, TokenId};
use crate::domain::refusal::{Malformed, Refusal};
use crate::domain::sealed::Secret;
use crate::domain::session::{
    LinkKind, Session, SessionKind, SignInChallenge, SignInLink, Visit, useless_code, useless_signature,
};
use crate::domain::text::EmailAddress;
use crate::store::{self, Rows, Tx};
use crate::wire::account::{Challenge, SignIn};

/// What a person sees of their own account.
#[derive(Debug)]
pub struct Own {
    /// Themselves.
    pub person: Person,
    /// Their keys, oldest first.
    pub keys: Vec<PersonKey>,
    /// Their live tokens, newest first.
    pub tokens: Vec<Token>,
}

/// Signs a person in by a one-time code and uses it up.
pub async fn sign_in_by_link(app: &App, code: &Secret) -> Result<(Secret, Session)> {
    let hash = hash(Kind::SignIn, code.expose().trim()).ok_or_else(useless_code)?;
    let mut tx = app.begin("account.sign_in_by_link").await?;
    let link = store::session::link(&mut tx, &hash).await?.ok_or_else(useless_code)?;
    let actor = Actor::Person { id: link.person, via: Via::Session { fresh: true } };
    let change = link.use_up(tx.now())?;
    let person = change.next.person;
    store::session::use_link(&mut tx, &actor, change, &hash).await?;
    let begun = begin(&mut tx, person, SessionKind::Browser).await?;
    app.commit(tx).await?;
    Ok(begun)
}

/// Makes a challenge for anyone who asks: it tells nothing about who has an account.
pub async fn challenge(app: &App) -> Result<Challenge> {
    let nonce = data_encoding::BASE32_NOPAD.encode(&token::random::<32>());
    let mut tx = app.begin("account.challenge").await?;
    let made = SignInChallenge::make(nonce, tx.now());
    store::session::add_challenge(&mut tx, &made).await?;
    app.commit(tx).await?;
    Ok(Challenge { server: app.config.base_url.to_string(), nonce: made.nonce, made_at: made.made_at })
}

/// Signs a command line in by a signed challenge and uses the challenge up.
pub async fn sign_in_by_key(app: &App, answer: &SignIn) -> Result<(Secret, Session, Person)> {
    let key: SshKey = answer.key.parse()?;
    let challenge = {
        let mut rows = app.read().await?;
        store::session::challenge(&mut rows, &answer.nonce).await?.ok_or_else(useless_signature)?
    };
    let signed = sshsig::Challenge::new(app.config.base_url.as_str(), &challenge.nonce, challenge.made_at)?;
    signed.verify(&key, &answer.signature).map_err(|_| useless_signature())?;

    let mut tx = app.begin("account.sign_in_by_key").await?;
    let used = challenge.use_up(tx.now())?;
    let (key, person) = holder(&mut tx, &key, answer).await?;
    store::session::use_challenge(&mut tx, &used).await?;
    let actor = Actor::Person { id: person.id, via: Via::Session { fresh: true } };
    store::session::signed_in(&mut tx, &actor, key).await?;
    let (secret, session) = begin(&mut tx, person.id, SessionKind::Client).await?;
    app.commit(tx).await?;
    Ok((secret, session, person))
}

/// Makes a code that signs the browser of a freshly signed-in person in, once and within two minutes.
pub async fn hand_over(app: &App, actor: &Actor) -> Result<(Secret, SignInLink)> {
    let (person, via) = person(actor)?;
    signed_in_lately(via)?;
    let code = token::mint(Kind::SignIn);
    let mut tx = app.begin("account.hand_over").await?;
    let change = SignInLink::make(person, LinkKind::HandOver, tx.now());
    let link = store::session::add_link(&mut tx, actor, change, &minted_hash(Kind::SignIn, &code)?).await?;
    app.commit(tx).await?;
    Ok((code, link))
}

/// Ends a session; one that ended before, or never was, is as ended as it can be.
pub async fn sign_out(app: &App, secret: &Secret) -> Result<()> {
    let Some(hash) = hash(Kind::Session, secret.expose()) else { return Ok(()) };
    let mut tx = app.begin("account.sign_out").await?;
    let Some(session) = store::session::find(&mut tx, &hash).await? else { return Ok(()) };
    if session.ended_at.is_none() {
        let actor = acting(&session, &tx);
        store::session::end(&mut tx, &actor, &hash).await?;
        app.commit(tx).await?;
    }
    Ok(())
}

/// Ends all sessions of the person, on every device; returns how many there were.
pub async fn sign_out_everywhere(app: &App, actor: &Actor) -> Result<u64> {
    let (person, via) = person(actor)?;
    signed_in(via)?;
    let mut tx = app.begin("account.sign_out_everywhere").await?;
    let ended = store::session::end_all(&mut tx, actor, person).await?;
    app.commit(tx).await?;
    Ok(ended)
}

/// Recognises a person by the secret of their session.
pub async fn by_session(app: &App, secret: &Secret, kind: SessionKind) -> Result<Option<(Actor, Session)>> {
    let Some(hash) = hash(Kind::Session, secret.expose()) else { return Ok(None) };
    let now = app.clock.now();
    let found = store::session::find(&mut app.read().await?, &hash).await?;
    let Some(session) = found.filter(|session| session.kind == kind && session.is_live(now)) else { return Ok(None) };
    if session.is_noticed(now) {
        let mut tx = app.begin("account.session_seen").await?;
        store::session::seen(&mut tx, &hash).await?;
        tx.commit().await?;
    }
    let actor = Actor::Person { id: session.person, via: Via::Session { fresh: session.is_fresh(now) } };
    Ok(Some((actor, session)))
}

/// Recognises a person by an access token.
pub async fn by_token(app: &App, secret: &Secret) -> Result<Option<Actor>> {
    let Some(hash) = hash(Kind::Access, secret.expose()) else { return Ok(None) };
    let found = store::account::token_by_hash(&mut app.read().await?, &hash).await?;
    let live = found.filter(|token| token.is_live(app.clock.now()));
    Ok(live.map(|token| Actor::Person { id: token.person, via: Via::Token(token.reach) }))
}

/// Recognises whoever sent a secret with a request of the API or of git: a token, a client's session, a reporter's visit.
pub async fn by_bearer(app: &App, secret: &Secret) -> Result<Actor> {
    if let Some(actor) = by_token(app, secret).await? {
        return Ok(actor);
    }
    if let Some((actor, _)) = by_session(app, secret, SessionKind::Client).await? {
        return Ok(actor);
    }
    let visit = by_visit(app, secret).await?.ok_or(Error::Unauthenticated)?;
    Ok(Actor::Reporter(visit.report))
}

/// Begins the visit of a reporter whose claim code was recognised just now.
pub async fn begin_visit(app: &App, report: ReportId) -> Result<(Secret, Visit)> {
    let (secret, form) = (token::mint(Kind::Session), token::mint(Kind::Form));
    let mut tx = app.begin("account.begin_visit").await?;
    let visit = Visit::begin(report, form.expose().to_owned(), tx.now());
    store::session::begin_visit(&mut tx, &visit, &minted_hash(Kind::Session, &secret)?).await?;
    app.commit(tx).await?;
    Ok((secret, visit))
}

/// Recognises a reporter by the secret of their visit.
pub async fn by_visit(app: &App, secret: &Secret) -> Result<Option<Visit>> {
    let Some(hash) = hash(Kind::Session, secret.expose()) else { return Ok(None) };
    let now = app.clock.now();
    let found = store::session::visit(&mut app.read().await?, &hash).await?;
    let Some(visit) = found.filter(|visit| visit.is_live(now)) else { return Ok(None) };
    if visit.is_noticed(now) {
        let mut tx = app.begin("account.visit_seen").await?;
        store::session::visit_seen(&mut tx, &hash).await?;
        tx.commit().await?;
    }
    Ok(Some(visit))
}

/// Ends a reporter's visit.
pub async fn end_visit(app: &App, secret: &Secret) -> Result<()> {
    let Some(hash) = hash(Kind::Session, secret.expose()) else { return Ok(()) };
    let mut tx = app.begin("account.end_visit").await?;
    store::session::end_visit(&mut tx, &hash).await?;
    Ok(tx.commit().await?)
}

/// Tells who the actor is.
pub async fn who_am_i(app: &App, actor: &Actor) -> Result<Person> {
    let (id, _) = person(actor)?;
    store::account::find(&mut app.read().await?, id).await?.ok_or(Error::Unauthenticated)
}

/// Shows the actor's own account.
pub async fn own(app: &App, actor: &Actor) -> Result<Own> {
    let (id, via) = person(actor)?;
    match via {
        Via::Session { .. } | Via::Console => {}
        Via::Token(reach)
            if reach.scopes.contains(&Scope::ApiRead) && reach.project.is_none() && reach.case.is_none() => {}
        Via::Token(_) => return Err(Refusal::person("This token's scope does not include its owner's account.").into()),
    }
    let mut rows = app.read().await?;
    Ok(Own {
        person: store::account::find(&mut rows, id).await?.ok_or(Error::Unauthenticated)?,
        keys: store::account::keys(&mut rows, id).await?,
        tokens: store::account::tokens(&mut rows, id, app.clock.now()).await?,
    })
}

/// Changes where the actor's notices go; with no address none are sent.
///
/// Asks for a sign-in of the last five minutes: whoever finds a session open must not be able to keep its owner from hearing.
pub async fn set_email(app: &App, actor: &Actor, email: Option<EmailAddress>) -> Result<Person> {
    let (id, via) = person(actor)?;
    signed_in_lately(via)?;
    let mut tx = app.begin("account.set_email").await?;
    let own = store::account::find(&mut tx, id).await?.ok_or(Error::Unauthenticated)?;
    let own = store::account::set_email(&mut tx, actor, own.readdress(email, via)).await?;
    app.commit(tx).await?;
    Ok(own)
}

/// Adds a key to the actor's own.
pub async fn add_key(app: &App, actor: &Actor, kind: KeyKind, public: &str) -> Result<PersonKey> {
    let (person, via) = person(actor)?;
    signed_in_lately(via)?;
    let mut tx = app.begin("account.add_key").await?;
    let key = add_key_in(&mut tx, actor, (app.mint(), person), (kind, public)).await?;
    app.commit(tx).await?;
    Ok(key)
}

/// Takes one of the actor's own keys away.
pub async fn remove_key(app: &App, actor: &Actor, id: KeyId) -> Result<()> {
    let (person, via) = person(actor)?;
    signed_in(via)?;
    let mut tx = app.begin("account.remove_key").await?;
    let key = store::account::key(&mut tx, person, id).await?.ok_or(Error::NotFound)?;
    store::account::remove_key(&mut tx, actor, key.remove()).await?;
    Ok(app.commit(tx).await?)
}

/// Makes a token for the actor; its secret is shown this once.
///
/// Project and case of its reach are not looked up: a token for what its owner cannot see opens nothing, and tells nothing.
pub async fn make_token(app: &App, actor: &Actor, wish: TokenWish) -> Result<(Secret, Token)> {
    let (person, via) = person(actor)?;
    signed_in_lately(via)?;
    let secret = token::mint(Kind::Access);
    let mut tx = app.begin("account.make_token").await?;
    let change = Token::make(app.mint(), person, wish, tx.now())?;
    let token = store::account::add_token(&mut tx, actor, change, &minted_hash(Kind::Access, &secret)?).await?;
    app.commit(tx).await?;
    Ok((secret, token))
}

/// Ends one of the actor's own tokens.
pub async fn revoke_token(app: &App, actor: &Actor, id: TokenId) -> Result<()> {
    let (person, via) = person(actor)?;
    signed_in(via)?;
    let mut tx = app.begin("account.revoke_token").await?;
    let token = store::account::token(&mut tx, person, id).await?.ok_or(Error::NotFound)?;
    let change = token.revoke(tx.now())?;
    store::account::revoke_token(&mut tx, actor, change).await?;
    Ok(app.commit(tx).await?)
}

/// Adds a key to a person's own, in a write that is open.
pub(super) async fn add_key_in(
    tx: &mut Tx,
    actor: &Actor,
    new: (KeyId, PersonId),
    key: (KeyKind, &str),
) -> Result<PersonKey> {
    let (id, person) = new;
    let (kind, text) = key;
    let (public, fingerprint) = canonical(kind, text)?;
    let existing = store::account::keys(tx, person).await?;
    if existing.iter().any(|key| key.kind == kind && key.fingerprint == fingerprint) {
        return Err(Refusal::moment("This key is among your keys already.").into());
    }
    if kind == KeyKind::Ssh {
        let held = store::account::ssh_keys(tx, &fingerprint).await?;
        if held.iter().any(|key| key.person != person) {
            // One who signs in by it could be either of them.
            let sentence = "This SSH key signs somebody else in already: each person needs a key of their own.";
            return Err(Refusal::moment(sentence).into());
        }
    }
    let via = match actor {
        Actor::Person { via, .. } => via,
        Actor::Reporter(_) | Actor::System(_) => return Err(Error::NotFound),
    };
    let change = PersonKey { id, person, kind, public, fingerprint, added_at: tx.now() }.add(existing.len(), via)?;
    Ok(store::account::add_key(tx, actor, change).await?)
}

/// Returns the hash under which a secret that was minted just now is stored.
pub(super) fn minted_hash(kind: Kind, secret: &Secret) -> Result<[u8; 32]> {
    Ok(*token::digest(kind, secret.expose())?.as_bytes())
}

/// Returns the hash to look for; nothing if the text cannot be a secret of this kind.
fn hash(kind: Kind, text: &str) -> Option<[u8; 32]> {
    token::digest(kind, text).ok().map(|digest| *digest.as_bytes())
}

fn canonical(kind: KeyKind, text: &str) -> Result<(String, String), Malformed> {
    match kind {
        KeyKind::Ssh => {
            let key: SshKey = text.parse()?;
            Ok((key.as_str().to_owned(), key.fingerprint()))
        }
        KeyKind::Age => {
            let key: AgeRecipient = text.parse()?;
            Ok((key.as_str().to_owned(), key.fingerprint().to_owned()))
        }
    }
}

fn person(actor: &Actor) -> Result<(PersonId, &Via)> {
    match actor {
        Actor::Person { id, via } => Ok((*id, via)),
        Actor::Reporter(_) | Actor::System(_) => Err(Error::Unauthenticated),
    }
}

fn acting(session: &Session, tx: &Tx) -> Actor {
    Actor::Person { id: session.person, via: Via::Session { fresh: session.is_fresh(tx.now()) } }
}

async fn begin(tx: &mut Tx, person: PersonId, kind: SessionKind) -> Result<(Secret, Session)> {
    let (secret, form) = (token::mint(Kind::Session), token::mint(Kind::Form));
    let session = Session::begin(person, kind, form.expose().to_owned(), tx.now());
    store::session::begin(tx, &session, &minted_hash(Kind::Session, &secret)?).await?;
    Ok((secret, session))
}

/// Finds whose key it is. Should it be several people's, in data from before that was refused, the handle decides.
async fn holder(rows: &mut impl Rows, key: &SshKey, answer: &SignIn) -> Result<(KeyId, Person)> {
    let mut holders = Vec::new();
    for held in store::account::ssh_keys(rows, &key.fingerprint()).await? {
        let Some(person) = store::account::find(rows, held.person).await? else { continue };
        let named = answer.handle.as_ref().is_none_or(|handle| handle == &person.handle);
        if named && held.public == key.as_str() {
            holders.push((held.id, person));
        }
    }
    if holders.len() > 1 {
        return Err(Refusal::input("This key belongs to several accounts: say which one with --as <handle>.").into());
    }
    Ok(holders.pop().ok_or_else(useless_signature)?)
}
