//! People, their keys and their access tokens. A token is found by its hash; the token itself is nowhere.
//!
//! Guards: only rows of active people prove anything, and each change stands with its event. When a token was last used is
//! not kept. Leaves the rules to `domain::account` and sign-ins to [`super::session`].

use jiff::Timestamp;

use crate::domain::account::{KeyKind, Person, PersonKey, Token};
use crate::domain::actor::{Actor, Reach, Scope};
use crate::domain::change::Change;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{KeyId, PersonId, TokenId};
use crate::domain::text::{EmailAddress, Handle};

use super::{Error, Result, Rows, Tx, instant, instant_opt, one_row, parsed, parsed_opt};

struct PersonRow {
    id: String,
    handle: String,
    name: String,
    email: Option<String>,
    state: String,
}

struct KeyRow {
    id: String,
    person: String,
    kind: String,
    public: String,
    fingerprint: String,
    added_at: i64,
}

struct TokenRow {
    id: String,
    person: String,
    name: String,
    scopes: String,
    project: Option<String>,
    case: Option<String>,
    created_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
}

impl TryFrom<PersonRow> for Person {
    type Error = Error;
    fn try_from(row: PersonRow) -> Result<Self> {
        Ok(Self {
            id: parsed(&row.id, "person", "id")?,
            handle: parsed(&row.handle, "person", "handle")?,
            name: parsed(&row.name, "person", "name")?,
            email: parsed_opt(row.email.as_deref(), "person", "email")?,
            state: parsed(&row.state, "person", "state")?,
        })
    }
}

impl TryFrom<KeyRow> for PersonKey {
    type Error = Error;
    fn try_from(row: KeyRow) -> Result<Self> {
        Ok(Self {
            id: parsed(&row.id, "person_key", "id")?,
            person: parsed(&row.person, "person_key", "person")?,
            kind: parsed(&row.kind, "person_key", "kind")?,
            public: row.public,
            fingerprint: row.fingerprint,
            added_at: instant(row.added_at, "person_key", "added_at")?,
        })
    }
}

impl TryFrom<TokenRow> for Token {
    type Error = Error;
    fn try_from(row: TokenRow) -> Result<Self> {
        let scopes = row.scopes.split(' ').map(|word| parsed::<Scope>(word, "token", "scopes"));
        Ok(Self {
            id: parsed(&row.id, "token", "id")?,
            person: parsed(&row.person, "token", "person")?,
            name: parsed(&row.name, "token", "name")?,
            reach: Reach {
                scopes: scopes.collect::<Result<_>>()?,
                project: parsed_opt(row.project.as_deref(), "token", "project")?,
                case: parsed_opt(row.case.as_deref(), "token", "case")?,
            },
            created_at: instant(row.created_at, "token", "created_at")?,
            expires_at: instant(row.expires_at, "token", "expires_at")?,
            revoked_at: instant_opt(row.revoked_at, "token", "revoked_at")?,
        })
    }
}

/// Records that this data folder begins here.
pub async fn found(tx: &mut Tx, actor: &Actor) -> Result<()> {
    super::event::append(tx, actor, &Event::new(EventKind::Founded, "")).await
}

/// Tells whether there is nobody yet.
pub async fn is_empty(rows: &mut impl Rows) -> Result<bool> {
    Ok(sqlx::query!("select id from person limit 1").fetch_optional(rows.conn()).await?.is_none())
}

/// Adds a person; a handle that is taken is a conflict.
pub async fn add(tx: &mut Tx, actor: &Actor, change: Change<Person>) -> Result<Person> {
    let person = change.next;
    let (id, handle, name) = (person.id.to_string(), person.handle.as_str(), person.name.as_str());
    let email = person.email.as_ref().map(EmailAddress::as_str);
    let (state, now) = (person.state.as_str(), tx.now().as_millisecond());
    let result = sqlx::query!(
        "insert into person (id, handle, name, email, state, created_at) values (?, ?, ?, ?, ?, ?) on conflict (handle) do nothing",
        id,
        handle,
        name,
        email,
        state,
        now
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &change.event).await?;
    Ok(person)
}

/// Stores where a person's notices go from now on.
pub async fn set_email(tx: &mut Tx, actor: &Actor, change: Change<Person>) -> Result<Person> {
    let person = change.next;
    let (id, email) = (person.id.to_string(), person.email.as_ref().map(EmailAddress::as_str));
    let result =
        sqlx::query!("update person set email = ?, version = version + 1 where id = ? and state = 'active'", email, id)
            .execute(tx.conn())
            .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &change.event).await?;
    Ok(person)
}

/// Finds a person who may sign in.
pub async fn find(rows: &mut impl Rows, id: PersonId) -> Result<Option<Person>> {
    let id = id.to_string();
    let row = sqlx::query_as!(
        PersonRow,
        "select id, handle, name, email, state from person where id = ? and state = 'active'",
        id
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(Person::try_from).transpose()
}

/// Finds a person who may sign in by their handle.
pub async fn by_handle(rows: &mut impl Rows, handle: &Handle) -> Result<Option<Person>> {
    let handle = handle.as_str();
    let row = sqlx::query_as!(
        PersonRow,
        "select id, handle, name, email, state from person where handle = ? and state = 'active'",
        handle
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(Person::try_from).transpose()
}

/// Adds a key; one that its owner has already for this purpose is a conflict.
pub async fn add_key(tx: &mut Tx, actor: &Actor, change: Change<PersonKey>) -> Result<PersonKey> {
    let key = change.next;
    let (id, person, kind) = (key.id.to_string(), key.person.to_string(), key.kind.as_str());
    let added_at = key.added_at.as_millisecond();
    let result = sqlx::query!(
        "insert into person_key (id, person, kind, public, fingerprint, added_at) values (?, ?, ?, ?, ?, ?)
         on conflict (person, kind, fingerprint) where removed_at is null do nothing",
        id,
        person,
        kind,
        key.public,
        key.fingerprint,
        added_at
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &change.event).await?;
    Ok(key)
}

/// Takes a key away.
pub async fn remove_key(tx: &mut Tx, actor: &Actor, change: Change<PersonKey>) -> Result<()> {
    let (id, now) = (change.next.id.to_string(), tx.now().as_millisecond());
    let result = sqlx::query!("update person_key set removed_at = ? where id = ? and removed_at is null", now, id)
        .execute(tx.conn())
        .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &change.event).await
}

/// Finds a key of this person's own.
pub async fn key(rows: &mut impl Rows, person: PersonId, id: KeyId) -> Result<Option<PersonKey>> {
    let (person, id) = (person.to_string(), id.to_string());
    let row = sqlx::query_as!(
        KeyRow,
        "select id, person, kind, public, fingerprint, added_at from person_key
         where id = ? and person = ? and removed_at is null",
        id,
        person
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(PersonKey::try_from).transpose()
}

/// Lists a person's keys, oldest first.
pub async fn keys(rows: &mut impl Rows, person: PersonId) -> Result<Vec<PersonKey>> {
    let person = person.to_string();
    let found = sqlx::query_as!(
        KeyRow,
        "select id, person, kind, public, fingerprint, added_at from person_key
         where person = ? and removed_at is null order by added_at, id",
        person
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(PersonKey::try_from).collect()
}

/// Lists the active people's SSH keys with this fingerprint: one at most, but for data from before that was asked.
pub async fn ssh_keys(rows: &mut impl Rows, fingerprint: &str) -> Result<Vec<PersonKey>> {
    let kind = KeyKind::Ssh.as_str();
    let found = sqlx::query_as!(
        KeyRow,
        "select k.id, k.person, k.kind, k.public, k.fingerprint, k.added_at from person_key k join person p on p.id = k.person
         where k.fingerprint = ? and k.kind = ? and k.removed_at is null and p.state = 'active' order by k.added_at, k.id",
        fingerprint,
        kind
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(PersonKey::try_from).collect()
}

/// Adds a token under the hash of its secret.
pub async fn add_token(tx: &mut Tx, actor: &Actor, change: Change<Token>, hash: &[u8; 32]) -> Result<Token> {
    let token = change.next;
    let (id, person, name) = (token.id.to_string(), token.person.to_string(), token.name.as_str());
    let words: Vec<_> = token.reach.scopes.iter().map(|scope| scope.as_str()).collect();
    let (hash, scopes) = (hash.as_slice(), words.join(" "));
    let project = token.reach.project.as_ref().map(ToString::to_string);
    let case = token.reach.case.as_ref().map(ToString::to_string);
    let (created_at, expires_at) = (token.created_at.as_millisecond(), token.expires_at.as_millisecond());
    sqlx::query!(
        r#"insert into token (id, person, name, hash, scopes, project, "case", created_at, expires_at)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?)"#,
        id,
        person,
        name,
        hash,
        scopes,
        project,
        case,
        created_at,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    super::event::append(tx, actor, &change.event).await?;
    Ok(token)
}

/// Stores that a token was revoked.
pub async fn revoke_token(tx: &mut Tx, actor: &Actor, change: Change<Token>) -> Result<Token> {
    let token = change.next;
    let (id, revoked_at) = (token.id.to_string(), token.revoked_at.map(Timestamp::as_millisecond));
    let result = sqlx::query!("update token set revoked_at = ? where id = ? and revoked_at is null", revoked_at, id)
        .execute(tx.conn())
        .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &change.event).await?;
    Ok(token)
}

/// Finds the token of an active person by the hash of its secret; whether it is live is for the caller to ask.
pub async fn token_by_hash(rows: &mut impl Rows, hash: &[u8; 32]) -> Result<Option<Token>> {
    let hash = hash.as_slice();
    let row = sqlx::query_as!(
        TokenRow,
        r#"select t.id, t.person, t.name, t.scopes, t.project, t."case", t.created_at, t.expires_at, t.revoked_at
           from token t join person p on p.id = t.person where t.hash = ? and p.state = 'active'"#,
        hash
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(Token::try_from).transpose()
}

/// Finds a token of this person's own.
pub async fn token(rows: &mut impl Rows, person: PersonId, id: TokenId) -> Result<Option<Token>> {
    let (person, id) = (person.to_string(), id.to_string());
    let row = sqlx::query_as!(
        TokenRow,
        r#"select id, person, name, scopes, project, "case", created_at, expires_at, revoked_at
           from token where id = ? and person = ?"#,
        id,
        person
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(Token::try_from).transpose()
}

/// Lists a person's live tokens, newest first.
pub async fn tokens(rows: &mut impl Rows, person: PersonId, now: Timestamp) -> Result<Vec<Token>> {
    let (person, now) = (person.to_string(), now.as_millisecond());
    let found = sqlx::query_as!(
        TokenRow,
        r#"select id, person, name, scopes, project, "case", created_at, expires_at, revoked_at
           from token where person = ? and revoked_at is null and expires_at > ? order by created_at desc, id desc"#,
        person,
        now
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Token::try_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::TokenWish;
    use crate::domain::actor::Via;
    use crate::domain::id::Minted;
    use crate::store::Store;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_893_456_000 + second).unwrap()
    }

    async fn house() -> (tempfile::TempDir, Store, Actor, PersonId) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("embargo.db")).await.unwrap();
        let id = PersonId::mint(1, [1; 10]);
        let actor = Actor::Person { id, via: Via::Console };
        let mut tx = store.begin("test", at(0)).await.unwrap();
        let change = Person::add(id, "sample".parse().unwrap(), "Sample Person".parse().unwrap(), None);
        add(&mut tx, &actor, change).await.unwrap();
        tx.commit().await.unwrap();
        (folder, store, actor, id)
    }

    fn key(id: u8, person: PersonId, kind: KeyKind) -> PersonKey {
        PersonKey {
            id: KeyId::mint(1, [id; 10]),
            person,
            kind,
            public: "ssh-ed25519 AAAA".into(),
            fingerprint: "SHA256:x".into(),
            added_at: at(0),
        }
    }

    #[tokio::test]
    async fn a_handle_belongs_to_one_person() {
        let (_folder, store, actor, id) = house().await;
        let mut tx = store.begin("test", at(0)).await.unwrap();
        let change =
            Person::add(PersonId::mint(2, [2; 10]), "sample".parse().unwrap(), "Sample Other".parse().unwrap(), None);
        assert!(matches!(add(&mut tx, &actor, change).await, Err(Error::Conflict)));
        let found = by_handle(&mut tx, &"sample".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(found.id, id);
        assert!(!is_empty(&mut tx).await.unwrap());
    }

    #[tokio::test]
    async fn a_key_is_added_once_and_may_come_back() {
        let (_folder, store, actor, id) = house().await;
        let mut tx = store.begin("test", at(0)).await.unwrap();
        add_key(&mut tx, &actor, key(1, id, KeyKind::Ssh).add(0, &Via::Console).unwrap()).await.unwrap();
        add_key(&mut tx, &actor, key(2, id, KeyKind::Age).add(0, &Via::Console).unwrap()).await.unwrap();
        let twice = add_key(&mut tx, &actor, key(3, id, KeyKind::Ssh).add(0, &Via::Console).unwrap()).await;
        assert!(matches!(twice, Err(Error::Conflict)));
        assert_eq!(ssh_keys(&mut tx, "SHA256:x").await.unwrap().len(), 1);
        remove_key(&mut tx, &actor, key(1, id, KeyKind::Ssh).remove()).await.unwrap();
        assert!(ssh_keys(&mut tx, "SHA256:x").await.unwrap().is_empty());
        assert!(matches!(remove_key(&mut tx, &actor, key(1, id, KeyKind::Ssh).remove()).await, Err(Error::Conflict)));
        add_key(&mut tx, &actor, key(4, id, KeyKind::Ssh).add(0, &Via::Console).unwrap()).await.unwrap();
        assert_eq!(keys(&mut tx, id).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_token_is_found_by_its_hash_until_its_owner_is_disabled() {
        let (_folder, store, actor, id) = house().await;
        let mut tx = store.begin("test", at(0)).await.unwrap();
        let reach = Reach {
            scopes: vec![Scope::GitRead, Scope::GitWrite],
            project: Some("demo".parse().unwrap()),
            case: Some("DEMO-1".parse().unwrap()),
        };
        let wish = TokenWish { name: "sample".parse().unwrap(), reach, days: 90 };
        let change = Token::make(TokenId::mint(1, [5; 10]), id, wish, at(0)).unwrap();
        let token = add_token(&mut tx, &actor, change, &[9; 32]).await.unwrap();
        assert_eq!(token_by_hash(&mut tx, &[9; 32]).await.unwrap().as_ref(), Some(&token));
        assert_eq!(token_by_hash(&mut tx, &[8; 32]).await.unwrap(), None);
        let stranger = PersonId::mint(2, [2; 10]);
        assert_eq!(super::token(&mut tx, stranger, token.id).await.unwrap(), None);
        assert_eq!(tokens(&mut tx, id, at(1)).await.unwrap().len(), 1);

        sqlx::query("update person set state = 'disabled'").execute(tx.conn()).await.unwrap();
        assert_eq!(token_by_hash(&mut tx, &[9; 32]).await.unwrap(), None);
        sqlx::query("update person set state = 'active'").execute(tx.conn()).await.unwrap();

        let change = token.clone().revoke(at(2)).unwrap();
        revoke_token(&mut tx, &actor, change).await.unwrap();
        assert!(!token_by_hash(&mut tx, &[9; 32]).await.unwrap().unwrap().is_live(at(2)));
        assert!(tokens(&mut tx, id, at(2)).await.unwrap().is_empty());
        assert!(matches!(revoke_token(&mut tx, &actor, token.revoke(at(3)).unwrap()).await, Err(Error::Conflict)));
    }

    #[tokio::test]
    async fn the_database_itself_refuses_a_token_of_more_than_ninety_days() {
        let (_folder, store, actor, id) = house().await;
        let mut tx = store.begin("test", at(0)).await.unwrap();
        let reach = Reach { scopes: vec![Scope::GitRead], project: None, case: None };
        let wish = TokenWish { name: "sample".parse().unwrap(), reach, days: 90 };
        let mut change = Token::make(TokenId::mint(1, [5; 10]), id, wish, at(0)).unwrap();
        change.next.expires_at = at(90 * 86_400 + 1);
        assert!(matches!(add_token(&mut tx, &actor, change, &[9; 32]).await, Err(Error::Database(_))));
    }
}
