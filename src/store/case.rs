//! Cases: rows, keys, and the lists that are joined on membership.

use crate::domain::access::{Grant, Role};
use crate::domain::actor::Actor;
use crate::domain::case::{Case, CaseState, Verdict};
use crate::domain::change::{Change, Version};
use crate::domain::embargo::{Embargo, Side};
use crate::domain::id::{CaseId, PersonId, ProjectId};
use crate::domain::sealed::Sealed;
use crate::domain::team::ProjectGrant;

use super::{Error, Result, Rows, Tx, instant, instant_opt, one_row, parsed, parsed_opt};

/// A case's key, wrapped twice.
#[derive(Clone)]
pub struct WrappedKey {
    /// Under the server's key.
    pub server: Vec<u8>,
    /// To the recovery recipient, an age file.
    pub recovery: Vec<u8>,
}

/// A case in a person's list, with the role they have in it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The case.
    pub case: Case,
    /// The person's role.
    pub role: Role,
}

struct CaseRow {
    id: String,
    project: String,
    title: Vec<u8>,
    state: String,
    verdict: Option<String>,
    embargo: String,
    date_at: Option<i64>,
    proposed_at: Option<i64>,
    proposed_by: Option<String>,
    opened_at: i64,
    acknowledged_at: Option<i64>,
    accepted_at: Option<i64>,
    published_at: Option<i64>,
    closed_at: Option<i64>,
    version: i64,
}

impl TryFrom<CaseRow> for Case {
    type Error = Error;
    fn try_from(row: CaseRow) -> Result<Self> {
        let agreed = instant_opt(row.date_at, "case", "date_at")?;
        let proposed = match (row.proposed_at, row.proposed_by) {
            (Some(at), Some(by)) => {
                Some((instant(at, "case", "proposed_at")?, parsed::<Side>(&by, "case", "proposed_by")?))
            }
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(Error::Inconsistent { table: "case", column: "proposed_by" });
            }
        };
        let embargo = Embargo::restore(parsed(&row.embargo, "case", "embargo")?, agreed, proposed)
            .ok_or(Error::Inconsistent { table: "case", column: "embargo" })?;
        Ok(Self {
            id: parsed(&row.id, "case", "id")?,
            project: parsed(&row.project, "case", "project")?,
            title: Sealed::from_envelope(row.title),
            state: parsed(&row.state, "case", "state")?,
            verdict: parsed_opt(row.verdict.as_deref(), "case", "verdict")?,
            embargo,
            opened_at: instant(row.opened_at, "case", "opened_at")?,
            acknowledged_at: instant_opt(row.acknowledged_at, "case", "acknowledged_at")?,
            accepted_at: instant_opt(row.accepted_at, "case", "accepted_at")?,
            published_at: instant_opt(row.published_at, "case", "published_at")?,
            closed_at: instant_opt(row.closed_at, "case", "closed_at")?,
            version: Version(row.version),
        })
    }
}

/// Opens a case with its key.
pub async fn open(tx: &mut Tx, actor: &Actor, change: &Change<Case>, key: &WrappedKey) -> Result<()> {
    let case = &change.next;
    let (id, project, state, now) =
        (case.id.to_string(), case.project.to_string(), case.state.as_str(), tx.now().as_millisecond());
    let title = case.title.envelope();
    let opened = case.opened_at.as_millisecond();
    sqlx::query!(
        r#"insert into "case" (id, project, title, state, embargo, opened_at) values (?, ?, ?, ?, 'none', ?)"#,
        id,
        project,
        title,
        state,
        opened
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        r#"insert into case_key ("case", wrapped_server, wrapped_recovery, made_at) values (?, ?, ?, ?)"#,
        id,
        key.server,
        key.recovery,
        now
    )
    .execute(tx.conn())
    .await?;
    super::event::append(tx, actor, &change.event).await
}

/// Reads the case a grant is for.
pub async fn get(rows: &mut impl Rows, grant: &Grant) -> Result<Case> {
    let id = grant.case().to_string();
    let row = sqlx::query_as!(
        CaseRow,
        r#"select id, project, title, state, verdict, embargo, date_at, proposed_at, proposed_by, opened_at,
             acknowledged_at, accepted_at, published_at, closed_at, version
           from "case" where id = ?"#,
        id
    )
    .fetch_one(rows.conn())
    .await?;
    Case::try_from(row)
}

/// Saves the next value of a case with its event; refused when somebody else changed it.
pub async fn save(tx: &mut Tx, grant: &Grant, change: Change<Case>) -> Result<Case> {
    let case = change.next;
    let (id, state, verdict) = (case.id.to_string(), case.state.as_str(), case.verdict.map(Verdict::as_str));
    let title = case.title.envelope();
    let embargo = case.embargo.state().as_str();
    let date = case.embargo.agreed().map(jiff::Timestamp::as_millisecond);
    let proposed = case.embargo.proposed().map(|(at, _)| at.as_millisecond());
    let proposed_by = case.embargo.proposed().map(|(_, by)| by.as_str());
    let acknowledged = case.acknowledged_at.map(jiff::Timestamp::as_millisecond);
    let accepted = case.accepted_at.map(jiff::Timestamp::as_millisecond);
    let published = case.published_at.map(jiff::Timestamp::as_millisecond);
    let closed = case.closed_at.map(jiff::Timestamp::as_millisecond);
    let result = sqlx::query!(
        r#"update "case" set title = ?, state = ?, verdict = ?, embargo = ?, date_at = ?, proposed_at = ?, proposed_by = ?,
             acknowledged_at = ?, accepted_at = ?, published_at = ?, closed_at = ?, version = version + 1
           where id = ? and version = ?"#,
        title,
        state,
        verdict,
        embargo,
        date,
        proposed,
        proposed_by,
        acknowledged,
        accepted,
        published,
        closed,
        id,
        case.version.0
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    super::event::append(tx, grant.actor(), &change.event).await?;
    Ok(Case { version: Version(case.version.0 + 1), ..case })
}

/// Reads the wrapped key of the case a grant is for; `None` once it was shredded.
pub async fn key(rows: &mut impl Rows, grant: &Grant) -> Result<Option<WrappedKey>> {
    let id = grant.case().to_string();
    let row = sqlx::query!(r#"select wrapped_server, wrapped_recovery from case_key where "case" = ?"#, id)
        .fetch_optional(rows.conn())
        .await?;
    Ok(row.map(|row| WrappedKey { server: row.wrapped_server, recovery: row.wrapped_recovery }))
}

/// Lists the cases a person has a seat in, guests only where they agreed; open ones first, then by date.
pub async fn of_person(rows: &mut impl Rows, person: PersonId) -> Result<Vec<Listed>> {
    let person = person.to_string();
    let found = sqlx::query!(
        r#"select c.id, c.project, c.title, c.state, c.verdict, c.embargo, c.date_at, c.proposed_at, c.proposed_by, c.opened_at,
             c.acknowledged_at, c.accepted_at, c.published_at, c.closed_at, c.version, m.role
           from "case" c join member m on m."case" = c.id
           where m.person = ? and m.left_at is null
             and (m.role <> 'guest' or m.consent = 'signatory') and (m.role = 'reporter' or m.consent <> 'declined')
             and m.role <> 'auditor'
           order by c.state = 'closed', coalesce(c.date_at, c.proposed_at, c.opened_at + 7 * 86400000), c.id"#,
        person
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            let role = parsed(&row.role, "member", "role")?;
            let case = Case::try_from(CaseRow {
                id: row.id,
                project: row.project,
                title: row.title,
                state: row.state,
                verdict: row.verdict,
                embargo: row.embargo,
                date_at: row.date_at,
                proposed_at: row.proposed_at,
                proposed_by: row.proposed_by,
                opened_at: row.opened_at,
                acknowledged_at: row.acknowledged_at,
                accepted_at: row.accepted_at,
                published_at: row.published_at,
                closed_at: row.closed_at,
                version: row.version,
            })?;
            Ok(Listed { case, role })
        })
        .collect()
}

/// Notes that the case's private remote is ready to be cloned.
pub async fn remote_ready(tx: &mut Tx, grant: &Grant) -> Result<()> {
    let (id, now) = (grant.case().to_string(), tx.now().as_millisecond());
    let result = sqlx::query!(r#"update "case" set remote_at = coalesce(remote_at, ?) where id = ?"#, now, id)
        .execute(tx.conn())
        .await?;
    one_row(&result)
}

/// Returns when the case's private remote became ready.
pub async fn remote_at(rows: &mut impl Rows, grant: &Grant) -> Result<Option<i64>> {
    let id = grant.case().to_string();
    Ok(sqlx::query!(r#"select remote_at from "case" where id = ?"#, id).fetch_one(rows.conn()).await?.remote_at)
}

/// Lists the accepted, unpublished cases of a project: those whose remotes follow the public lines. For the server's chores.
pub async fn with_remotes(rows: &mut impl Rows, project: &ProjectId) -> Result<Vec<CaseId>> {
    let (project, state) = (project.to_string(), CaseState::Accepted.as_str());
    let found = sqlx::query!(
        r#"select id from "case" where project = ? and state = ? and published_at is null"#,
        project,
        state
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.id, "case", "id")).collect()
}

/// Counts a project's open cases that this team member has a seat in.
pub async fn open_in_project(rows: &mut impl Rows, grant: &ProjectGrant) -> Result<i64> {
    let project = grant.project().to_string();
    let person = grant.actor().person().map(|person| person.to_string());
    let row = sqlx::query!(
        r#"select count(*) as "count!: i64" from "case" c join member m on m."case" = c.id
           where c.project = ? and c.state <> 'closed' and m.person = ? and m.left_at is null"#,
        project,
        person
    )
    .fetch_one(rows.conn())
    .await?;
    Ok(row.count)
}
