//! Trials of releases: the last on each public repository.

use crate::domain::access::Grants;
use crate::domain::id::ReleaseId;
use crate::domain::trial::Trial;

use super::{Error, Result, Rows, Tx, instant, parsed};

/// Reads the last trials of a release; the grants are those it was found under.
pub async fn of_release(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Vec<Trial>> {
    let id = release.to_string();
    let found =
        sqlx::query!("select upstream, outcome, rules, tried_at from trial where release = ? order by upstream", id)
            .fetch_all(rows.conn())
            .await?;
    let trial = |upstream: &str, outcome: &str, rules: &str, tried_at| {
        Ok::<_, Error>(Trial {
            upstream: parsed(upstream, "trial", "upstream")?,
            outcome: parsed(outcome, "trial", "outcome")?,
            rules: rules.lines().map(str::to_owned).collect(),
            tried_at: instant(tried_at, "trial", "tried_at")?,
        })
    };
    found.into_iter().map(|row| trial(&row.upstream, &row.outcome, &row.rules, row.tried_at)).collect()
}

/// Keeps how a trial ended, in place of the one before.
pub async fn save(tx: &mut Tx, _grants: &Grants, release: &ReleaseId, trial: &Trial) -> Result<()> {
    let (id, upstream, outcome) = (release.to_string(), trial.upstream.to_string(), trial.outcome.as_str());
    let rules = trial.rules.join("\n");
    let at = trial.tried_at.as_millisecond();
    sqlx::query!(
        "insert into trial (release, upstream, outcome, rules, tried_at) values (?1, ?2, ?3, ?4, ?5)
         on conflict (release, upstream) do update set outcome = ?3, rules = ?4, tried_at = ?5",
        id,
        upstream,
        outcome,
        rules,
        at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
