//! What people say of a case on a line.

use crate::domain::access::Grant;
use crate::domain::change::Change;
use crate::domain::mark::Mark;

use super::{Error, Result, Rows, Tx, instant, parsed};

struct MarkRow {
    case: String,
    line: String,
    standing: String,
    person: String,
    marked_at: i64,
}

impl TryFrom<MarkRow> for Mark {
    type Error = Error;
    fn try_from(row: MarkRow) -> Result<Self> {
        Ok(Self {
            case: parsed(&row.case, "mark", "case")?,
            line: parsed(&row.line, "mark", "line")?,
            standing: parsed(&row.standing, "mark", "standing")?,
            person: parsed(&row.person, "mark", "person")?,
            marked_at: instant(row.marked_at, "mark", "marked_at")?,
        })
    }
}

/// Lists what was said of the lines of a case.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Mark>> {
    let case = grant.case().to_string();
    let found = sqlx::query_as!(
        MarkRow,
        r#"select m."case", m.line, m.standing, m.person, m.marked_at
           from mark m join line l on l.id = m.line where m."case" = ? order by l.position, l.branch"#,
        case
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Mark::try_from).collect()
}

/// Saves what is said of a line now, with its event; the last word counts.
pub async fn save(tx: &mut Tx, grant: &Grant, change: Change<Mark>) -> Result<()> {
    let mark = change.next;
    let (case, line) = (grant.case().to_string(), mark.line.to_string());
    let (standing, person) = (mark.standing.as_str(), mark.person.to_string());
    let at = mark.marked_at.as_millisecond();
    sqlx::query!(
        r#"insert into mark ("case", line, standing, person, marked_at) values (?, ?, ?, ?, ?)
           on conflict ("case", line) do update
           set standing = excluded.standing, person = excluded.person, marked_at = excluded.marked_at, version = version + 1"#,
        case,
        line,
        standing,
        person,
        at
    )
    .execute(tx.conn())
    .await?;
    super::event::append(tx, grant.actor(), &change.event).await
}
