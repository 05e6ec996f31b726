//! Seats in cases and teams. The only place where a [`Membership`] or [`TeamSeat`] is made.

use crate::domain::access::{Consent, Grant, Holder, Membership, Role};
use crate::domain::actor::Actor;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{CaseId, MemberId, PersonId, ProjectId, ReportId};
use crate::domain::team::TeamSeat;

use super::{Error, Result, Rows, Tx, one_row, parsed};

/// A seat with the handle of who sits in it, for lists of members.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The seat.
    pub id: MemberId,
    /// Who sits in it.
    pub holder: Holder,
    /// The person's handle and name; none for a reporter without an account.
    pub person: Option<(String, String)>,
    /// The part they play.
    pub role: Role,
    /// Where they stand towards the terms.
    pub consent: Consent,
}

/// A new seat.
#[derive(Debug, Clone)]
pub struct NewSeat {
    /// Its id.
    pub id: MemberId,
    /// The case.
    pub case: CaseId,
    /// Who sits in it.
    pub holder: Holder,
    /// The part they play.
    pub role: Role,
    /// Where they stand towards the terms.
    pub consent: Consent,
}

/// A member of a project's team.
#[derive(Debug, Clone)]
pub struct TeamMember {
    /// Who.
    pub person: PersonId,
    /// Their handle.
    pub handle: String,
    /// Their name.
    pub name: String,
    /// The part they play.
    pub role: Role,
}

/// Finds who this actor is to that case: the one read without a grant. `None` covers missing and hidden alike.
pub async fn admission(rows: &mut impl Rows, actor: &Actor, case: &CaseId) -> Result<Option<Membership>> {
    let case_text = case.to_string();
    let (person, report) = match actor {
        Actor::Person { id, .. } => (Some(id.to_string()), None),
        Actor::Reporter(report) => (None, Some(report.to_string())),
        Actor::System(_) => return Ok(None),
    };
    let row = sqlx::query!(
        r#"select m.id, m.role, m.consent, c.project
           from member m join "case" c on c.id = m."case"
           left join person p on p.id = m.person
           where m."case" = ?1 and m.left_at is null
             and ((m.person = ?2 and p.state = 'active') or m.report = ?3)"#,
        case_text,
        person,
        report
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| {
        let holder = match actor {
            Actor::Person { id, .. } => Holder::Person(*id),
            Actor::Reporter(report) => Holder::Report(*report),
            Actor::System(_) => return Err(Error::Inconsistent { table: "member", column: "person" }),
        };
        Ok(Membership {
            seat: parsed(&row.id, "member", "id")?,
            case: case.clone(),
            project: parsed(&row.project, "case", "project")?,
            holder,
            role: parsed(&row.role, "member", "role")?,
            consent: parsed(&row.consent, "member", "consent")?,
        })
    })
    .transpose()
}

/// Finds whether the case exists; asked only on behalf of the server's own chores.
pub async fn exists(rows: &mut impl Rows, case: &CaseId) -> Result<bool> {
    let case = case.to_string();
    Ok(sqlx::query!(r#"select id from "case" where id = ?"#, case).fetch_optional(rows.conn()).await?.is_some())
}

/// Finds the actor's seat in a project's team.
pub async fn team_seat(rows: &mut impl Rows, actor: &Actor, project: &ProjectId) -> Result<Option<TeamSeat>> {
    let Some(person) = actor.person() else { return Ok(None) };
    let (person_text, project_text) = (person.to_string(), project.to_string());
    let row = sqlx::query!(
        "select t.role from team_member t join person p on p.id = t.person
         where t.project = ? and t.person = ? and t.left_at is null and p.state = 'active'",
        project_text,
        person_text
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| Ok(TeamSeat { project: project.clone(), person, role: parsed(&row.role, "team_member", "role")? }))
        .transpose()
}

/// Lists the team of a project.
pub async fn team(rows: &mut impl Rows, project: &ProjectId) -> Result<Vec<TeamMember>> {
    let project = project.to_string();
    let found = sqlx::query!(
        "select t.person, t.role, p.handle, p.name from team_member t join person p on p.id = t.person
         where t.project = ? and t.left_at is null and p.state = 'active' order by p.handle",
        project
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(TeamMember {
                person: parsed(&row.person, "team_member", "person")?,
                handle: row.handle,
                name: row.name,
                role: parsed(&row.role, "team_member", "role")?,
            })
        })
        .collect()
}

/// Puts a person in a project's team, or changes their role. Older cases are not opened to them by this.
pub async fn join_team(tx: &mut Tx, actor: &Actor, seat: (&ProjectId, PersonId), role: Role) -> Result<()> {
    let (project, person) = (seat.0.to_string(), seat.1.to_string());
    let (now, word) = (tx.now().as_millisecond(), role.as_str());
    sqlx::query!(
        "insert into team_member (project, person, role, joined_at) values (?, ?, ?, ?)
         on conflict (project, person) do update set role = excluded.role, left_at = null, version = version + 1",
        project,
        person,
        word,
        now
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_project(EventKind::TeamChanged, seat.0, format!("{person} {role}"));
    super::event::append(tx, actor, &event).await
}

/// Takes a person out of a project's team, and of every case of the project; returns the cases.
pub async fn leave_team(tx: &mut Tx, actor: &Actor, seat: (&ProjectId, PersonId)) -> Result<Vec<CaseId>> {
    let (project, person, now) = (seat.0.to_string(), seat.1.to_string(), tx.now().as_millisecond());
    let result = sqlx::query!(
        "update team_member set left_at = ?, version = version + 1 where project = ? and person = ? and left_at is null",
        now,
        project,
        person
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    let event = Event::of_project(EventKind::TeamChanged, seat.0, format!("{person} left"));
    super::event::append(tx, actor, &event).await?;
    let left = sqlx::query!(
        r#"update member set left_at = ?1, version = version + 1
           where person = ?2 and left_at is null and "case" in (select id from "case" where project = ?3)
           returning "case" as "case!""#,
        now,
        person,
        project
    )
    .fetch_all(tx.conn())
    .await?;
    let mut cases = Vec::new();
    for row in left {
        let case: CaseId = parsed(&row.case, "member", "case")?;
        let event = Event::of_case(EventKind::MemberChanged, &case, format!("{person} left"));
        super::event::append(tx, actor, &event).await?;
        cases.push(case);
    }
    Ok(cases)
}

/// Names an open case of the project in which this person is the only one who may let others in. For the operator.
pub async fn kept_by(rows: &mut impl Rows, project: &ProjectId, person: PersonId) -> Result<Option<CaseId>> {
    let (project, person) = (project.to_string(), person.to_string());
    let row = sqlx::query!(
        r#"select c.id as "id!" from "case" c join member m on m."case" = c.id
           where c.project = ?1 and c.state <> 'closed' and m.person = ?2 and m.left_at is null
             and m.role in ('triager', 'fixer', 'reviewer', 'release_manager')
             and not exists (
               select 1 from member o join person p on p.id = o.person
               where o."case" = c.id and o.person <> ?2 and o.left_at is null and p.state = 'active'
                 and o.role in ('triager', 'fixer', 'reviewer', 'release_manager')
                 and o.consent not in ('invited', 'declined'))
           order by c.id limit 1"#,
        project,
        person
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(|row| parsed(&row.id, "case", "id")).transpose()
}

/// Adds a seat to a case.
pub async fn seat(tx: &mut Tx, actor: &Actor, new: &NewSeat) -> Result<()> {
    let (id, case) = (new.id.to_string(), new.case.to_string());
    let (person, report) = match new.holder {
        Holder::Person(person) => (Some(person.to_string()), None),
        Holder::Report(report) => (None, Some(report.to_string())),
    };
    let (role, consent, now) = (new.role.as_str(), new.consent.as_str(), tx.now().as_millisecond());
    sqlx::query!(
        r#"insert into member (id, "case", person, report, role, consent, joined_at) values (?, ?, ?, ?, ?, ?, ?)
           on conflict ("case", person) do update set role = excluded.role, consent = excluded.consent, left_at = null,
             version = version + 1"#,
        id,
        case,
        person,
        report,
        role,
        consent,
        now
    )
    .execute(tx.conn())
    .await?;
    let event = Event::of_case(EventKind::MemberChanged, &new.case, format!("{id} {role} {consent}"));
    super::event::append(tx, actor, &event).await
}

/// Takes a person's seat away; their open streams and tickets end with it.
pub async fn unseat(tx: &mut Tx, grant: &Grant, person: PersonId) -> Result<()> {
    let (case, person, now) = (grant.case().to_string(), person.to_string(), tx.now().as_millisecond());
    let result = sqlx::query!(
        r#"update member set left_at = ?, version = version + 1 where "case" = ? and person = ? and left_at is null"#,
        now,
        case,
        person
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    let event = Event::of_case(EventKind::MemberChanged, grant.case(), format!("{person} left"));
    super::event::append(tx, grant.actor(), &event).await
}

/// Changes where the seat's holder stands towards the terms.
pub async fn consent(tx: &mut Tx, actor: &Actor, membership: &Membership, consent: Consent) -> Result<()> {
    let (id, word) = (membership.seat.to_string(), consent.as_str());
    let result =
        sqlx::query!("update member set consent = ?, version = version + 1 where id = ? and left_at is null", word, id)
            .execute(tx.conn())
            .await?;
    one_row(&result)?;
    let event = Event::of_case(EventKind::MemberChanged, &membership.case, format!("{id} {consent}"));
    super::event::append(tx, actor, &event).await
}

/// Lists the seats of a case.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Seat>> {
    let case = grant.case().to_string();
    let found = sqlx::query!(
        r#"select m.id, m.person, m.report, m.role, m.consent, p.handle as "handle?", p.name as "name?"
           from member m left join person p on p.id = m.person
           where m."case" = ? and m.left_at is null order by m.joined_at, m.id"#,
        case
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            let holder = match (row.person, row.report) {
                (Some(person), None) => Holder::Person(parsed(&person, "member", "person")?),
                (None, Some(report)) => Holder::Report(parsed(&report, "member", "report")?),
                (Some(_), Some(_)) | (None, None) => {
                    return Err(Error::Inconsistent { table: "member", column: "report" });
                }
            };
            Ok(Seat {
                id: parsed(&row.id, "member", "id")?,
                holder,
                person: row.handle.zip(row.name),
                role: parsed(&row.role, "member", "role")?,
                consent: parsed(&row.consent, "member", "consent")?,
            })
        })
        .collect()
}

/// Lists the reports of a case, oldest first.
pub async fn reports_of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<ReportId>> {
    let case = grant.case().to_string();
    let found = sqlx::query!(r#"select id from report where "case" = ? order by received_at"#, case)
        .fetch_all(rows.conn())
        .await?;
    found.into_iter().map(|row| parsed(&row.id, "report", "id")).collect()
}
