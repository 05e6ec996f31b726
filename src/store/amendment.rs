//! What is asked to be changed of a public advisory: one thing at a time for each case.

use jiff::Timestamp;

use crate::domain::access::Grant;
use crate::domain::amendment::AmendmentAct;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::PersonId;
use crate::domain::sealed::Sealed;
use crate::domain::text::Sentence;

use super::{Result, Rows, Tx, instant, one_row, parsed};

/// What is asked for, as its row holds it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What is to be done.
    pub act: AmendmentAct,
    /// Why; sealed until it is public.
    pub why: Sealed<Sentence>,
    /// Who asked.
    pub asked_by: PersonId,
    /// When.
    pub asked_at: Timestamp,
}

/// Reads what is asked for in the case a grant is for, if anything is.
pub async fn get(rows: &mut impl Rows, grant: &Grant) -> Result<Option<Asked>> {
    let case = grant.case().to_string();
    let row = sqlx::query!(r#"select act, why, asked_by, asked_at from amendment where "case" = ?"#, case)
        .fetch_optional(rows.conn())
        .await?;
    row.map(|row| {
        Ok(Asked {
            act: parsed(&row.act, "amendment", "act")?,
            why: Sealed::from_envelope(row.why),
            asked_by: parsed(&row.asked_by, "amendment", "asked_by")?,
            asked_at: instant(row.asked_at, "amendment", "asked_at")?,
        })
    })
    .transpose()
}

/// Writes down what is asked for, in place of what was asked before.
pub async fn ask(tx: &mut Tx, grant: &Grant, asked: &Asked) -> Result<()> {
    let (case, act, why) = (grant.case().to_string(), asked.act.as_str(), asked.why.envelope());
    let (by, at) = (asked.asked_by.to_string(), asked.asked_at.as_millisecond());
    sqlx::query!(
        r#"insert into amendment ("case", act, why, asked_by, asked_at) values (?, ?, ?, ?, ?)
           on conflict ("case") do update set act = excluded.act, why = excluded.why, asked_by = excluded.asked_by,
             asked_at = excluded.asked_at"#,
        case,
        act,
        why,
        by,
        at
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_case(EventKind::AmendmentAsked, grant.case(), act);
    super::event::append(tx, grant.actor(), &event).await
}

/// Takes back what is asked for. A conflict if nothing is.
pub async fn drop(tx: &mut Tx, grant: &Grant) -> Result<()> {
    clear(tx, grant).await?;
    let event = Event::of_case(EventKind::AmendmentDropped, grant.case(), "");
    super::event::append(tx, grant.actor(), &event).await
}

/// Forgets what was asked for, because it was done: the revision's own event says so.
pub async fn clear(tx: &mut Tx, grant: &Grant) -> Result<()> {
    let case = grant.case().to_string();
    let result = sqlx::query!(r#"delete from amendment where "case" = ?"#, case).execute(tx.conn()).await?;
    one_row(&result)
}
