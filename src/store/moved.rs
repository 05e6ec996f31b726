//! The branches that move with a release's targets, and to commits of their own.

use crate::domain::forward::Moved;
use crate::domain::rehearsal::{Rehearsal, Target};
use crate::domain::release::Release;

use super::{Result, Rows, Tx, parsed};

const TABLE: &str = "release_move";

/// Adds to rehearsed targets which branches move with them.
pub(super) async fn read(rows: &mut impl Rows, release: &str, targets: &mut [Target]) -> Result<()> {
    let found = sqlx::query!(
        r#"select line, tag, branch, moved_by, "from", "to" from release_move where release = ? order by line, tag, branch"#,
        release
    )
    .fetch_all(rows.conn())
    .await?;
    for row in found {
        let moved = Moved {
            branch: parsed(&row.branch, TABLE, "branch")?,
            by: parsed(&row.moved_by, TABLE, "moved_by")?,
            old: parsed(&row.from, TABLE, "from")?,
            new: parsed(&row.to, TABLE, "to")?,
        };
        let here = |target: &&mut Target| target.line.to_string() == row.line && target.tag.as_str() == row.tag;
        if let Some(Target { rehearsal: Rehearsal::Candidate(candidate), .. }) = targets.iter_mut().find(here) {
            candidate.moves.push(moved);
        }
    }
    Ok(())
}

/// Writes them down as they were rehearsed last.
pub(super) async fn write(tx: &mut Tx, release: &Release) -> Result<()> {
    let id = release.id.to_string();
    sqlx::query!("delete from release_move where release = ?", id).execute(tx.conn()).await?;
    for target in &release.targets {
        let Rehearsal::Candidate(candidate) = &target.rehearsal else { continue };
        let (line, tag) = (target.line.to_string(), target.tag.as_str());
        for Moved { branch, by, old, new } in &candidate.moves {
            let (branch, by, old, new) = (branch.as_str(), by.as_str(), old.as_str(), new.as_str());
            sqlx::query!(
                r#"insert into release_move (release, line, tag, branch, moved_by, "from", "to") values (?, ?, ?, ?, ?, ?, ?)"#,
                id,
                line,
                tag,
                branch,
                by,
                old,
                new
            )
            .execute(tx.conn())
            .await?;
        }
    }
    Ok(())
}
