//! Cases that follow up on each other.

use crate::domain::access::Grant;
use crate::domain::event::{Event, EventKind};
use crate::domain::follow_up::{Because, End};
use crate::domain::id::{CaseId, PersonId, ProjectId};
use crate::domain::plain::AdvisoryId;

use super::{Result, Rows, Tx, parsed, parsed_opt};

/// Another case that a case is linked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The other case. Not to be shown to whom it does not admit.
    pub other: CaseId,
    /// Which of the two the other is.
    pub end: End,
    /// Why the later follows up on the earlier.
    pub because: Because,
    /// The other's public advisory, once there is one.
    pub advisory: Option<AdvisoryId>,
}

/// Links the case the grant is for, the earlier, with a later one of the same project.
///
/// The event names neither case as its own: the history of each is read by people who may know of that one alone.
pub async fn add(tx: &mut Tx, grant: &Grant, of: (&ProjectId, PersonId), later: (&CaseId, Because)) -> Result<()> {
    let (first, second, because) = (grant.case().to_string(), later.0.to_string(), later.1.as_str());
    let (person, now) = (of.1.to_string(), tx.now().as_millisecond());
    sqlx::query!(
        "insert into case_link (earlier, later, because, made_by, made_at) values (?, ?, ?, ?, ?)",
        first,
        second,
        because,
        person,
        now
    )
    .execute(tx.conn())
    .await?;
    let object = format!("{second} follows {first} {because}");
    let event = Event::of_project(EventKind::CasesLinked, of.0, object);
    super::event::append(tx, grant.actor(), &event).await
}

/// Lists the cases that the one a grant is for is linked with.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Link>> {
    let case = grant.case().to_string();
    let found = sqlx::query!(
        r#"select l.earlier, l.later, l.because, p.id as "advisory?"
           from case_link l left join published_advisory p
             on p."case" = case when l.earlier = ?1 then l.later else l.earlier end
           where l.earlier = ?1 or l.later = ?1 order by l.made_at, l.later"#,
        case
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            let (other, end) = if row.earlier == case { (row.later, End::Later) } else { (row.earlier, End::Earlier) };
            Ok(Link {
                other: parsed(&other, "case_link", "later")?,
                end,
                because: parsed(&row.because, "case_link", "because")?,
                advisory: parsed_opt(row.advisory.as_deref(), "published_advisory", "id")?,
            })
        })
        .collect()
}

/// Names the public advisories of the cases that the one a grant is for is linked with.
pub async fn related(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<AdvisoryId>> {
    Ok(of_case(rows, grant).await?.into_iter().filter_map(|link| link.advisory).collect())
}
