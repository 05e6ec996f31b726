//! One-time links, sign-in challenges, sessions and reporters' visits, each found by the hash of what its holder keeps.
//!
//! Guards: using something up is one conditional update, so that of two who come with the same code one is refused. A
//! challenge and the minute of a session's last use are nobody's state and leave no event. Leaves the rules to
//! `domain::session`.

use jiff::Timestamp;

use crate::domain::actor::Actor;
use crate::domain::change::Change;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::PersonId;
use crate::domain::session::{Session, SignInChallenge, SignInLink, Visit};

use super::{Error, Result, Rows, Tx, instant, instant_opt, one_row, parsed};

struct LinkRow {
    person: String,
    kind: String,
    made_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
}

struct ChallengeRow {
    nonce: String,
    made_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
}

struct SessionRow {
    person: String,
    kind: String,
    form_token: String,
    signed_in_at: i64,
    seen_at: i64,
    expires_at: i64,
    ended_at: Option<i64>,
}

struct VisitRow {
    report: String,
    form_token: String,
    seen_at: i64,
    expires_at: i64,
    ended_at: Option<i64>,
}

impl TryFrom<LinkRow> for SignInLink {
    type Error = Error;
    fn try_from(row: LinkRow) -> Result<Self> {
        Ok(Self {
            person: parsed(&row.person, "sign_in_link", "person")?,
            kind: parsed(&row.kind, "sign_in_link", "kind")?,
            made_at: instant(row.made_at, "sign_in_link", "made_at")?,
            expires_at: instant(row.expires_at, "sign_in_link", "expires_at")?,
            used_at: instant_opt(row.used_at, "sign_in_link", "used_at")?,
        })
    }
}

impl TryFrom<ChallengeRow> for SignInChallenge {
    type Error = Error;
    fn try_from(row: ChallengeRow) -> Result<Self> {
        Ok(Self {
            nonce: row.nonce,
            made_at: instant(row.made_at, "sign_in_challenge", "made_at")?,
            expires_at: instant(row.expires_at, "sign_in_challenge", "expires_at")?,
            used_at: instant_opt(row.used_at, "sign_in_challenge", "used_at")?,
        })
    }
}

impl TryFrom<SessionRow> for Session {
    type Error = Error;
    fn try_from(row: SessionRow) -> Result<Self> {
        Ok(Self {
            person: parsed(&row.person, "session", "person")?,
            kind: parsed(&row.kind, "session", "kind")?,
            form_token: row.form_token,
            signed_in_at: instant(row.signed_in_at, "session", "signed_in_at")?,
            seen_at: instant(row.seen_at, "session", "seen_at")?,
            expires_at: instant(row.expires_at, "session", "expires_at")?,
            ended_at: instant_opt(row.ended_at, "session", "ended_at")?,
        })
    }
}

impl TryFrom<VisitRow> for Visit {
    type Error = Error;
    fn try_from(row: VisitRow) -> Result<Self> {
        Ok(Self {
            report: parsed(&row.report, "visit", "report")?,
            form_token: row.form_token,
            seen_at: instant(row.seen_at, "visit", "seen_at")?,
            expires_at: instant(row.expires_at, "visit", "expires_at")?,
            ended_at: instant_opt(row.ended_at, "visit", "ended_at")?,
        })
    }
}

/// Adds a one-time link under the hash of its code.
pub async fn add_link(tx: &mut Tx, actor: &Actor, change: Change<SignInLink>, hash: &[u8; 32]) -> Result<SignInLink> {
    let link = change.next;
    let (hash, person, kind) = (hash.as_slice(), link.person.to_string(), link.kind.as_str());
    let (made_at, expires_at) = (link.made_at.as_millisecond(), link.expires_at.as_millisecond());
    sqlx::query!(
        "insert into sign_in_link (hash, person, kind, made_at, expires_at) values (?, ?, ?, ?, ?)",
        hash,
        person,
        kind,
        made_at,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    super::event::append(tx, actor, &change.event).await?;
    Ok(link)
}

/// Finds the one-time link of an active person by the hash of its code, used or not.
pub async fn link(rows: &mut impl Rows, hash: &[u8; 32]) -> Result<Option<SignInLink>> {
    let hash = hash.as_slice();
    let row = sqlx::query_as!(
        LinkRow,
        "select l.person, l.kind, l.made_at, l.expires_at, l.used_at from sign_in_link l join person p on p.id = l.person
         where l.hash = ? and p.state = 'active'",
        hash
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(SignInLink::try_from).transpose()
}

/// Stores that a one-time link was used; a conflict if somebody was quicker.
pub async fn use_link(tx: &mut Tx, actor: &Actor, change: Change<SignInLink>, hash: &[u8; 32]) -> Result<()> {
    let (hash, used_at) = (hash.as_slice(), change.next.used_at.map(Timestamp::as_millisecond));
    let result = sqlx::query!("update sign_in_link set used_at = ? where hash = ? and used_at is null", used_at, hash)
        .execute(tx.conn())
        .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &change.event).await
}

/// Adds a challenge, and forgets those that nobody can answer any more.
pub async fn add_challenge(tx: &mut Tx, challenge: &SignInChallenge) -> Result<()> {
    let now = tx.now().as_millisecond();
    sqlx::query!("delete from sign_in_challenge where expires_at <= ?", now).execute(tx.conn()).await?;
    let (made_at, expires_at) = (challenge.made_at.as_millisecond(), challenge.expires_at.as_millisecond());
    sqlx::query!(
        "insert into sign_in_challenge (nonce, made_at, expires_at) values (?, ?, ?)",
        challenge.nonce,
        made_at,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Finds a challenge by its nonce, answered or not.
pub async fn challenge(rows: &mut impl Rows, nonce: &str) -> Result<Option<SignInChallenge>> {
    let row = sqlx::query_as!(
        ChallengeRow,
        "select nonce, made_at, expires_at, used_at from sign_in_challenge where nonce = ?",
        nonce
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(SignInChallenge::try_from).transpose()
}

/// Stores that a challenge was answered; a conflict if somebody was quicker.
pub async fn use_challenge(tx: &mut Tx, challenge: &SignInChallenge) -> Result<()> {
    let used_at = challenge.used_at.map(Timestamp::as_millisecond);
    let result = sqlx::query!(
        "update sign_in_challenge set used_at = ? where nonce = ? and used_at is null",
        used_at,
        challenge.nonce
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)
}

/// Begins a session under the hash of its secret. The event is the proof's: a used link, or [`signed_in`].
pub async fn begin(tx: &mut Tx, session: &Session, hash: &[u8; 32]) -> Result<()> {
    let (hash, person, kind) = (hash.as_slice(), session.person.to_string(), session.kind.as_str());
    let (signed_in_at, seen_at) = (session.signed_in_at.as_millisecond(), session.seen_at.as_millisecond());
    let expires_at = session.expires_at.as_millisecond();
    sqlx::query!(
        "insert into session (hash, person, kind, form_token, signed_in_at, seen_at, expires_at) values (?, ?, ?, ?, ?, ?, ?)",
        hash,
        person,
        kind,
        session.form_token,
        signed_in_at,
        seen_at,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Records a sign-in that no link made; `by` names the key by its id.
pub async fn signed_in(tx: &mut Tx, actor: &Actor, by: impl std::fmt::Display + Send) -> Result<()> {
    super::event::append(tx, actor, &Event::new(EventKind::SignedIn, format!("key {by}"))).await
}

/// Finds the session of an active person by the hash of its secret; whether it is live is for the caller to ask.
pub async fn find(rows: &mut impl Rows, hash: &[u8; 32]) -> Result<Option<Session>> {
    let hash = hash.as_slice();
    let row = sqlx::query_as!(
        SessionRow,
        "select s.person, s.kind, s.form_token, s.signed_in_at, s.seen_at, s.expires_at, s.ended_at
         from session s join person p on p.id = s.person where s.hash = ? and p.state = 'active'",
        hash
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(Session::try_from).transpose()
}

/// Notes that a session was used now.
pub async fn seen(tx: &mut Tx, hash: &[u8; 32]) -> Result<()> {
    let (hash, now) = (hash.as_slice(), tx.now().as_millisecond());
    sqlx::query!("update session set seen_at = ? where hash = ? and seen_at < ?", now, hash, now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Ends a session; one that ended before is a conflict.
pub async fn end(tx: &mut Tx, actor: &Actor, hash: &[u8; 32]) -> Result<()> {
    let (hash, now) = (hash.as_slice(), tx.now().as_millisecond());
    let result = sqlx::query!("update session set ended_at = ? where hash = ? and ended_at is null", now, hash)
        .execute(tx.conn())
        .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &Event::new(EventKind::SignedOut, "")).await
}

/// Ends all sessions of a person, on every device; returns how many there were.
pub async fn end_all(tx: &mut Tx, actor: &Actor, person: PersonId) -> Result<u64> {
    let (person, now) = (person.to_string(), tx.now().as_millisecond());
    let result = sqlx::query!(
        "update session set ended_at = ? where person = ? and ended_at is null and expires_at > ?",
        now,
        person,
        now
    )
    .execute(tx.conn())
    .await?;
    super::event::append(tx, actor, &Event::new(EventKind::SignedOut, "everywhere")).await?;
    Ok(result.rows_affected())
}

/// Begins a reporter's visit under the hash of its secret. The event is that of the claim code, recorded before.
pub async fn begin_visit(tx: &mut Tx, visit: &Visit, hash: &[u8; 32]) -> Result<()> {
    let (hash, report) = (hash.as_slice(), visit.report.to_string());
    let (seen_at, expires_at) = (visit.seen_at.as_millisecond(), visit.expires_at.as_millisecond());
    sqlx::query!(
        "insert into visit (hash, report, form_token, seen_at, expires_at) values (?, ?, ?, ?, ?)",
        hash,
        report,
        visit.form_token,
        seen_at,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Finds a visit by the hash of its secret; whether it is live is for the caller to ask.
pub async fn visit(rows: &mut impl Rows, hash: &[u8; 32]) -> Result<Option<Visit>> {
    let hash = hash.as_slice();
    let row = sqlx::query_as!(
        VisitRow,
        "select report, form_token, seen_at, expires_at, ended_at from visit where hash = ?",
        hash
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(Visit::try_from).transpose()
}

/// Notes that a visit goes on.
pub async fn visit_seen(tx: &mut Tx, hash: &[u8; 32]) -> Result<()> {
    let (hash, now) = (hash.as_slice(), tx.now().as_millisecond());
    sqlx::query!("update visit set seen_at = ? where hash = ? and seen_at < ?", now, hash, now)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Ends a visit; one that ended before stays ended.
pub async fn end_visit(tx: &mut Tx, hash: &[u8; 32]) -> Result<()> {
    let (hash, now) = (hash.as_slice(), tx.now().as_millisecond());
    sqlx::query!("update visit set ended_at = ? where hash = ? and ended_at is null", now, hash)
        .execute(tx.conn())
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::Person;
    use crate::domain::actor::Via;
    use crate::domain::id::Minted;
    use crate::domain::session::{LinkKind, SessionKind};
    use crate::store::{Store, account, event};

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
        account::add(&mut tx, &actor, change).await.unwrap();
        tx.commit().await.unwrap();
        (folder, store, actor, id)
    }

    #[tokio::test]
    async fn of_two_with_the_same_code_one_comes_in() {
        let (_folder, store, actor, id) = house().await;
        let mut tx = store.begin("test", at(0)).await.unwrap();
        let made = SignInLink::make(id, LinkKind::Invitation, at(0));
        add_link(&mut tx, &actor, made, &[1; 32]).await.unwrap();
        let both = link(&mut tx, &[1; 32]).await.unwrap().unwrap();
        assert_eq!(link(&mut tx, &[2; 32]).await.unwrap(), None);
        use_link(&mut tx, &actor, both.clone().use_up(at(1)).unwrap(), &[1; 32]).await.unwrap();
        let second = use_link(&mut tx, &actor, both.use_up(at(1)).unwrap(), &[1; 32]).await;
        assert!(matches!(second, Err(Error::Conflict)));
        assert!(link(&mut tx, &[1; 32]).await.unwrap().unwrap().use_up(at(2)).is_err());
        let event::Verified::Intact { events, .. } = event::verify(&mut tx).await.unwrap() else {
            panic!("the chain is broken")
        };
        assert_eq!(events, 3, "added, link made, signed in");
    }

    #[tokio::test]
    async fn a_challenge_is_answered_once_and_forgotten_in_time() {
        let (_folder, store, _actor, _id) = house().await;
        let mut tx = store.begin("test", at(0)).await.unwrap();
        let made = SignInChallenge::make("nonce".into(), at(0));
        add_challenge(&mut tx, &made).await.unwrap();
        let found = challenge(&mut tx, "nonce").await.unwrap().unwrap();
        assert_eq!(found, made);
        let used = found.use_up(at(1)).unwrap();
        use_challenge(&mut tx, &used).await.unwrap();
        assert!(matches!(use_challenge(&mut tx, &used).await, Err(Error::Conflict)));
        tx.commit().await.unwrap();
        let mut tx = store.begin("test", at(200)).await.unwrap();
        add_challenge(&mut tx, &SignInChallenge::make("other".into(), at(200))).await.unwrap();
        assert_eq!(challenge(&mut tx, "nonce").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_session_is_gone_with_its_end_and_with_its_person() {
        let (_folder, store, actor, id) = house().await;
        let mut tx = store.begin("test", at(0)).await.unwrap();
        let session = Session::begin(id, SessionKind::Browser, "t".into(), at(0));
        begin(&mut tx, &session, &[3; 32]).await.unwrap();
        begin(&mut tx, &session, &[4; 32]).await.unwrap();
        assert!(find(&mut tx, &[3; 32]).await.unwrap().unwrap() == session);
        tx.commit().await.unwrap();
        let mut tx = store.begin("test", at(60)).await.unwrap();
        seen(&mut tx, &[3; 32]).await.unwrap();
        assert_eq!(find(&mut tx, &[3; 32]).await.unwrap().unwrap().seen_at, at(60));
        end(&mut tx, &actor, &[3; 32]).await.unwrap();
        assert!(matches!(end(&mut tx, &actor, &[3; 32]).await, Err(Error::Conflict)));
        assert!(!find(&mut tx, &[3; 32]).await.unwrap().unwrap().is_live(at(60)));
        assert_eq!(end_all(&mut tx, &actor, id).await.unwrap(), 1);
        sqlx::query("update person set state = 'disabled'").execute(tx.conn()).await.unwrap();
        assert!(find(&mut tx, &[4; 32]).await.unwrap().is_none());
    }
    #[tokio::test]
    async fn a_visit_is_found_until_its_end() {
        let (_folder, store, _actor, _id) = house().await;
        let mut tx = store.begin("test", at(0)).await.unwrap();
        // The report itself is of no concern here.
        sqlx::query("pragma defer_foreign_keys = on").execute(tx.conn()).await.unwrap();
        let begun = Visit::begin(crate::domain::id::ReportId::mint(1, [7; 10]), "t".into(), at(-120));
        begin_visit(&mut tx, &begun, &[5; 32]).await.unwrap();
        assert!(visit(&mut tx, &[5; 32]).await.unwrap().unwrap() == begun);
        assert!(visit(&mut tx, &[6; 32]).await.unwrap().is_none());
        visit_seen(&mut tx, &[5; 32]).await.unwrap();
        assert_eq!(visit(&mut tx, &[5; 32]).await.unwrap().unwrap().seen_at, at(0));
        end_visit(&mut tx, &[5; 32]).await.unwrap();
        assert!(!visit(&mut tx, &[5; 32]).await.unwrap().unwrap().is_live(at(0)));
    }
}
