//! Fixes, tests that become public later, and the approvals of both.

use crate::domain::access::Grant;
use crate::domain::actor::Actor;
use crate::domain::change::{Change, Version};
use crate::domain::fix::{Approval, Fix, FixKind};
use crate::domain::id::{FixId, LineId};

use super::{Error, Result, Rows, Tx, instant, instant_opt, one_row, parsed, parsed_opt};

struct FixRow {
    id: String,
    case: String,
    line: String,
    kind: String,
    head: Option<String>,
    pushed_by: Option<String>,
    pushed_at: Option<i64>,
    version: i64,
}

impl TryFrom<FixRow> for Fix {
    type Error = Error;
    fn try_from(row: FixRow) -> Result<Self> {
        Ok(Self {
            id: parsed(&row.id, "fix", "id")?,
            case: parsed(&row.case, "fix", "case")?,
            line: parsed(&row.line, "fix", "line")?,
            kind: parsed(&row.kind, "fix", "kind")?,
            head: parsed_opt(row.head.as_deref(), "fix", "head")?,
            pushed_by: parsed_opt(row.pushed_by.as_deref(), "fix", "pushed_by")?,
            pushed_at: instant_opt(row.pushed_at, "fix", "pushed_at")?,
            version: Version(row.version),
        })
    }
}

/// Finds the fix of a line in the case, or its tests, making the row when this is the first push to it.
pub async fn of_line(tx: &mut Tx, grant: &Grant, (line, kind): (LineId, FixKind), id: FixId) -> Result<Fix> {
    let (case, line, id) = (grant.case().to_string(), line.to_string(), id.to_string());
    let kind = kind.as_str();
    sqlx::query!(
        r#"insert into fix (id, "case", line, kind) values (?, ?, ?, ?) on conflict ("case", line, kind) do nothing"#,
        id,
        case,
        line,
        kind
    )
    .execute(tx.conn())
    .await?;
    let row = sqlx::query_as!(
        FixRow,
        r#"select id, "case", line, kind, head, pushed_by, pushed_at, version from fix
           where "case" = ? and line = ? and kind = ?"#,
        case,
        line,
        kind
    )
    .fetch_one(tx.conn())
    .await?;
    Fix::try_from(row)
}

/// Lists the fixes of a case.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Fix>> {
    of_kind(rows, grant, FixKind::Fix).await
}

/// Lists the tests of a case that become public later.
pub async fn tests_of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Fix>> {
    of_kind(rows, grant, FixKind::Tests).await
}

/// Lists the branches of a case that are of one kind.
pub async fn of_kind(rows: &mut impl Rows, grant: &Grant, kind: FixKind) -> Result<Vec<Fix>> {
    let (case, kind) = (grant.case().to_string(), kind.as_str());
    let found = sqlx::query_as!(
        FixRow,
        r#"select f.id, f."case", f.line, f.kind, f.head, f.pushed_by, f.pushed_at, f.version
           from fix f join line l on l.id = f.line where f."case" = ? and f.kind = ? order by l.position, l.branch"#,
        case,
        kind
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Fix::try_from).collect()
}

/// Saves a fix's new head with the event of the push that brought it.
pub async fn save(tx: &mut Tx, actor: &Actor, change: Change<Fix>) -> Result<Fix> {
    let fix = change.next;
    let (id, head) = (fix.id.to_string(), fix.head.as_ref().map(ToString::to_string));
    let by = fix.pushed_by.map(|person| person.to_string());
    let at = fix.pushed_at.map(jiff::Timestamp::as_millisecond);
    let result = sqlx::query!(
        "update fix set head = ?, pushed_by = ?, pushed_at = ?, version = version + 1 where id = ? and version = ?",
        head,
        by,
        at,
        id,
        fix.version.0
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    super::event::append(tx, actor, &change.event).await?;
    Ok(Fix { version: Version(fix.version.0 + 1), ..fix })
}

/// Saves an approval; given twice, the first stands.
pub async fn approve(tx: &mut Tx, grant: &Grant, fix: FixId, change: Change<Approval>) -> Result<()> {
    let approval = change.next;
    let (fix, head, person) = (fix.to_string(), approval.head.to_string(), approval.person.to_string());
    let (at, counts) = (approval.approved_at.as_millisecond(), approval.counts_at.as_millisecond());
    sqlx::query!(
        "insert into approval (fix, head, person, approved_at, counts_at) values (?, ?, ?, ?, ?) on conflict do nothing",
        fix,
        head,
        person,
        at,
        counts
    )
    .execute(tx.conn())
    .await?;
    super::event::append(tx, grant.actor(), &change.event).await
}

/// Lists the approvals of a fix, of every head, by those who may still approve: one given by a former member counts no more.
pub async fn approvals(rows: &mut impl Rows, grant: &Grant, fix: FixId) -> Result<Vec<Approval>> {
    let (fix, case) = (fix.to_string(), grant.case().to_string());
    let found = sqlx::query!(
        r#"select a.head, a.person, a.approved_at, a.counts_at from approval a join fix f on f.id = a.fix
           join member m on m."case" = f."case" and m.person = a.person and m.left_at is null
             and m.consent not in ('invited', 'declined') and m.role in ('reviewer', 'release_manager')
           join person p on p.id = a.person and p.state = 'active'
           where a.fix = ? and f."case" = ? order by a.approved_at"#,
        fix,
        case
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Approval {
                head: parsed(&row.head, "approval", "head")?,
                person: parsed(&row.person, "approval", "person")?,
                approved_at: instant(row.approved_at, "approval", "approved_at")?,
                counts_at: instant(row.counts_at, "approval", "counts_at")?,
            })
        })
        .collect()
}
