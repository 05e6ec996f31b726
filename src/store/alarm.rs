//! Alarms of releases: who was told last that one is armed and blocked.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::access::{Grants, Role};
use crate::domain::alarm::Alarm;
use crate::domain::id::ReleaseId;

use super::{Result, Rows, Tx, instant_opt, one_row, parsed};

/// Names the releases that may be in alarm: those that are ahead, and those of which somebody was told. For the
/// server's chores.
pub async fn watched(rows: &mut impl Rows, now: Timestamp) -> Result<Vec<ReleaseId>> {
    let now = now.as_millisecond();
    let found = sqlx::query!(
        "select id from release where (state in ('planned', 'frozen', 'armed') and due_at > ?) or alarmed <> '' order by due_at, id",
        now
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.id, "release", "id")).collect()
}

/// Reads what was told of a release; the grants are those it was found under.
pub async fn of_release(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Alarm> {
    let id = release.to_string();
    let row = sqlx::query!("select alarmed, alarmed_at from release where id = ?", id).fetch_one(rows.conn()).await?;
    let roles = row.alarmed.split_whitespace().map(|word| parsed(word, "release", "alarmed"));
    Ok(Alarm {
        roles: roles.collect::<Result<BTreeSet<Role>>>()?,
        at: instant_opt(row.alarmed_at, "release", "alarmed_at")?,
    })
}

/// Writes down what was told. Changes nothing about the release itself, and so leaves its version alone.
pub async fn save(tx: &mut Tx, _grants: &Grants, release: &ReleaseId, alarm: &Alarm) -> Result<()> {
    let words: Vec<_> = alarm.roles.iter().map(|role| role.as_str()).collect();
    let (id, roles, at) = (release.to_string(), words.join(" "), alarm.at.map(Timestamp::as_millisecond));
    let done = sqlx::query!("update release set alarmed = ?, alarmed_at = ? where id = ?", roles, at, id)
        .execute(tx.conn())
        .await?;
    one_row(&done)
}
