//! Dress rehearsals: the last of each release.

use jiff::SignedDuration;

use crate::domain::access::Grants;
use crate::domain::change::Version;
use crate::domain::dress::Dress;
use crate::domain::id::ReleaseId;

use super::{Error, Result, Rows, Tx, instant, parsed};

/// Reads the last dress rehearsal of a release; the grants are those it was found under.
pub async fn of_release(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Option<Dress>> {
    let id = release.to_string();
    let row =
        sqlx::query!("select plan, outcome, note, steps, milliseconds, tried_at from dress where release = ?", id)
            .fetch_optional(rows.conn())
            .await?;
    row.map(|row| {
        Ok(Dress {
            plan: Version(row.plan),
            outcome: parsed(&row.outcome, "dress", "outcome")?,
            note: row.note,
            steps: u32::try_from(row.steps).map_err(|_| Error::Inconsistent { table: "dress", column: "steps" })?,
            took: SignedDuration::from_millis(row.milliseconds),
            tried_at: instant(row.tried_at, "dress", "tried_at")?,
        })
    })
    .transpose()
}

/// Keeps a dress rehearsal in place of the one before.
pub async fn save(tx: &mut Tx, _grants: &Grants, release: &ReleaseId, dress: &Dress) -> Result<()> {
    let (id, plan, outcome) = (release.to_string(), dress.plan.0, dress.outcome.as_str());
    let (note, at) = (dress.note.as_str(), dress.tried_at.as_millisecond());
    let took = i64::try_from(dress.took.as_millis()).unwrap_or(i64::MAX);
    sqlx::query!(
        "insert into dress (release, plan, outcome, note, steps, milliseconds, tried_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         on conflict (release) do update
           set plan = ?2, outcome = ?3, note = ?4, steps = ?5, milliseconds = ?6, tried_at = ?7",
        id,
        plan,
        outcome,
        note,
        dress.steps,
        took,
        at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
