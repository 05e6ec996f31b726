//! The audit chain: appended with every change, verified from the first event to the last.

use crate::domain::access::{Grant, Grants};
use crate::domain::actor::Actor;
use crate::domain::event::{Event, Plain, chain_hash, detail_hash};
use crate::domain::id::ReleaseId;

use super::{Error, Result, Rows, Tx};

/// An event as the history page shows it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The plain columns.
    pub plain: Plain,
}

/// What `embargo audit verify` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// Every link holds; so many events, ending in this hash.
    Intact {
        /// How many events.
        events: i64,
        /// The last hash.
        head: [u8; 32],
    },
    /// The first event that does not follow from the ones before it.
    Broken {
        /// Its number.
        seq: i64,
    },
}

struct EventRow {
    seq: i64,
    at: i64,
    actor_kind: String,
    actor: String,
    kind: String,
    project: String,
    case: String,
    release: String,
    object: String,
    salt: Option<Vec<u8>>,
    detail: Option<Vec<u8>>,
    detail_hash: Vec<u8>,
    hash: Vec<u8>,
}

pub(super) async fn append(tx: &mut Tx, actor: &Actor, event: &Event) -> Result<()> {
    let last = sqlx::query!("select seq, hash from event order by seq desc limit 1").fetch_optional(tx.conn()).await?;
    let (seq, previous) = match last {
        Some(row) => (row.seq + 1, hash_of(&row.hash)?),
        None => (1, [0; 32]),
    };
    let plain = Plain::of(seq, tx.now().as_millisecond(), actor, event);
    let detail_hash = detail_hash(event.detail.as_ref());
    let hash = chain_hash(&previous, &plain.canonical(), &detail_hash);
    let (hash, detail_hash) = (hash.as_slice(), detail_hash.as_slice());
    let salt = event.detail.as_ref().map(|detail| detail.salt.as_slice());
    let detail = event.detail.as_ref().map(|detail| detail.sealed.envelope());
    sqlx::query!(
        r#"insert into event (seq, at, actor_kind, actor, kind, project, "case", release, object, salt, detail, detail_hash, hash)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"#,
        plain.seq,
        plain.at,
        plain.actor_kind,
        plain.actor,
        plain.kind,
        plain.project,
        plain.case,
        plain.release,
        plain.object,
        salt,
        detail,
        detail_hash,
        hash,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Walks the whole chain, a thousand events at a time.
pub async fn verify(rows: &mut impl Rows) -> Result<Verified> {
    let mut previous = [0; 32];
    let mut expected = 1;
    loop {
        let batch = sqlx::query_as!(
            EventRow,
            r#"select seq, at, actor_kind, actor, kind, project, "case", release, object, salt, detail, detail_hash, hash
               from event where seq >= ? order by seq limit 1000"#,
            expected
        )
        .fetch_all(rows.conn())
        .await?;
        if batch.is_empty() {
            return Ok(Verified::Intact { events: expected - 1, head: previous });
        }
        for row in batch {
            let Some(hash) = row.link(expected, &previous) else { return Ok(Verified::Broken { seq: expected }) };
            previous = hash;
            expected += 1;
        }
    }
}

/// Lists what happened in a case, newest first, at most `limit`.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant, limit: i64) -> Result<Vec<Recorded>> {
    let case = grant.case().to_string();
    let found = sqlx::query_as!(
        EventRow,
        r#"select seq, at, actor_kind, actor, kind, project, "case", release, object, salt, detail, detail_hash, hash
           from event where "case" = ? order by seq desc limit ?"#,
        case,
        limit
    )
    .fetch_all(rows.conn())
    .await?;
    Ok(found.into_iter().map(|row| Recorded { plain: row.plain() }).collect())
}

/// Lists what happened to a release, oldest first; the grants are those it was found under.
pub async fn of_release(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Vec<Recorded>> {
    let release = release.to_string();
    let found = sqlx::query_as!(
        EventRow,
        r#"select seq, at, actor_kind, actor, kind, project, "case", release, object, salt, detail, detail_hash, hash
           from event where release = ? order by seq"#,
        release
    )
    .fetch_all(rows.conn())
    .await?;
    Ok(found.into_iter().map(|row| Recorded { plain: row.plain() }).collect())
}

impl EventRow {
    /// Recomputes this event's hash; `None` when it does not follow from the previous one or was changed.
    fn link(&self, seq: i64, previous: &[u8; 32]) -> Option<[u8; 32]> {
        let recorded: [u8; 32] = self.detail_hash.as_slice().try_into().ok()?;
        if let Some(detail) = &self.detail {
            let detail = crate::domain::event::Detail {
                salt: self.salt.as_deref()?.try_into().ok()?,
                sealed: crate::domain::sealed::Sealed::from_envelope(detail.clone()),
            };
            if detail_hash(Some(&detail)) != recorded {
                return None;
            }
        }
        let hash = chain_hash(previous, &self.plain().canonical(), &recorded);
        (self.seq == seq && self.hash == hash).then_some(hash)
    }

    fn plain(&self) -> Plain {
        Plain {
            seq: self.seq,
            at: self.at,
            actor_kind: self.actor_kind.clone(),
            actor: self.actor.clone(),
            kind: self.kind.clone(),
            project: self.project.clone(),
            case: self.case.clone(),
            release: self.release.clone(),
            object: self.object.clone(),
        }
    }
}

fn hash_of(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| Error::Inconsistent { table: "event", column: "hash" })
}
