//! Pushes that pre-receive let through: written before the refs move, settled after.

use jiff::Timestamp;

use crate::domain::access::Grant;
use crate::domain::actor::Actor;
use crate::domain::event::EventKind;
use crate::domain::fix::FixKind;
use crate::domain::id::{PersonId, PushId, ReleaseId, UpstreamId};
use crate::domain::owner::{Owner, Proof};
use crate::domain::project::Line;
use crate::domain::repo::{RefName, RefUpdate};

use super::check::{columns, owner_of_columns, record};
use super::{Result, Rows, Tx, instant, one_row, parsed};

/// A push whose refs may or may not have moved yet.
#[derive(Debug, Clone)]
pub struct Push {
    /// Its id.
    pub id: PushId,
    /// The case or release pushed to.
    pub owner: Owner,
    /// The repository of it.
    pub upstream: UpstreamId,
    /// Who pushed.
    pub person: PersonId,
    /// When pre-receive let it through.
    pub intended_at: Timestamp,
    /// What it moves.
    pub updates: Vec<RefUpdate>,
}

/// Writes down what a push is about to do.
pub async fn intend(tx: &mut Tx, proof: &impl Proof, push: &Push) -> Result<()> {
    let (id, upstream) = (push.id.to_string(), push.upstream.to_string());
    let (case, release) = columns(&push.owner);
    let (person, at) = (push.person.to_string(), push.intended_at.as_millisecond());
    sqlx::query!(
        r#"insert into push (id, "case", release, upstream, person, state, intended_at)
           values (?, ?, ?, ?, ?, 'intended', ?)"#,
        id,
        case,
        release,
        upstream,
        person,
        at
    )
    .execute(tx.conn())
    .await?;
    for update in &push.updates {
        let (old, new) = (update.old.as_str(), update.new.as_str());
        sqlx::query!("insert into push_ref (push, ref, old, new) values (?, ?, ?, ?)", id, update.name, old, new)
            .execute(tx.conn())
            .await?;
    }
    record(tx, proof, EventKind::PushIntended, format!("{id} {} refs", push.updates.len())).await
}

/// Marks a push as settled, or as void when none of its refs moved. A push that was settled before stays as it is.
pub async fn settle(tx: &mut Tx, actor: &Actor, push: &Push, came_true: bool) -> Result<()> {
    let (id, now) = (push.id.to_string(), tx.now().as_millisecond());
    let (state, kind) = if came_true { ("settled", EventKind::PushSettled) } else { ("void", EventKind::PushVoided) };
    let result = sqlx::query!(
        "update push set state = ?, settled_at = ?, version = version + 1 where id = ? and state = 'intended'",
        state,
        now,
        id
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &push.owner.event(kind, id)).await
}

/// Lists the pushes let through before `before` and not settled: those whose post-receive may be lost.
pub async fn unsettled(rows: &mut impl Rows, before: Timestamp) -> Result<Vec<Push>> {
    let before = before.as_millisecond();
    let found = sqlx::query!(
        r#"select id, "case", release, upstream, person, intended_at from push
           where state = 'intended' and intended_at <= ? order by intended_at"#,
        before
    )
    .fetch_all(rows.conn())
    .await?;
    let mut pushes = Vec::with_capacity(found.len());
    for row in found {
        let refs = sqlx::query!("select ref, old, new from push_ref where push = ? order by ref", row.id)
            .fetch_all(rows.conn())
            .await?;
        let updates = refs
            .into_iter()
            .map(|update| {
                Ok(RefUpdate {
                    name: update.r#ref,
                    old: parsed(&update.old, "push_ref", "old")?,
                    new: parsed(&update.new, "push_ref", "new")?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        pushes.push(Push {
            id: parsed(&row.id, "push", "id")?,
            owner: owner_of_columns(row.case.as_deref(), row.release.as_deref(), "push")?,
            upstream: parsed(&row.upstream, "push", "upstream")?,
            person: parsed(&row.person, "push", "person")?,
            intended_at: instant(row.intended_at, "push", "intended_at")?,
            updates,
        });
    }
    Ok(pushes)
}

/// Lists everybody who ever pushed to the fix of a line in the case, or to its tests, or pushed what it holds now anywhere else.
pub async fn pushers(rows: &mut impl Rows, grant: &Grant, (line, kind): (&Line, FixKind)) -> Result<Vec<PersonId>> {
    let (case, upstream, name) =
        (grant.case().to_string(), line.upstream.to_string(), kind.branch(&line.name).to_string());
    let kind = kind.as_str();
    let id = line.id.to_string();
    let found = sqlx::query!(
        r#"select distinct p.person from push p join push_ref r on r.push = p.id
           where p.upstream = ?1 and p.state <> 'void' and (p."case" = ?2 and r.ref = ?3
             or r.new in (select f.head from fix f where f."case" = ?2 and f.line = ?4 and f.kind = ?5 and f.head is not null))"#,
        upstream,
        case,
        name,
        id,
        kind
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.person, "push", "person")).collect()
}

/// Lists everybody who ever pushed a candidate of this line to the release, or pushed what it holds now anywhere else.
pub async fn candidate_pushers(rows: &mut impl Rows, release: &ReleaseId, line: &Line) -> Result<Vec<PersonId>> {
    let (release, upstream, id) = (release.to_string(), line.upstream.to_string(), line.id.to_string());
    let name = RefName::candidate(&line.name).to_string();
    let found = sqlx::query!(
        r#"select distinct p.person from push p join push_ref r on r.push = p.id
           where p.upstream = ?1 and p.state <> 'void' and (p.release = ?2 and r.ref = ?3
             or r.new in (select c.head from candidate c where c.release = ?2 and c.line = ?4))"#,
        upstream,
        release,
        name,
        id
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.person, "push", "person")).collect()
}

/// Finds one push that is not settled.
pub async fn intended(rows: &mut impl Rows, id: PushId) -> Result<Option<Push>> {
    let far = Timestamp::MAX;
    Ok(unsettled(rows, far).await?.into_iter().find(|push| push.id == id))
}
