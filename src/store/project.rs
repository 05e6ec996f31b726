//! Projects, their repositories and lines, as the configuration names them.

use std::collections::BTreeSet;

use crate::domain::actor::Actor;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{CaseId, LineId, Prefix, ProjectId, ReleaseId, UpstreamId};
use crate::domain::project::{Line, Project, Upstream, UpstreamState};
use crate::domain::repo::{LineName, RepoName};

use super::{Error, Result, Rows, Tx, one_row, parsed};

/// Brings a project's row up to what the configuration says.
pub async fn configure(tx: &mut Tx, project: &Project) -> Result<()> {
    let (id, prefix, team) = (project.id.to_string(), project.prefix.to_string(), project.team.as_str());
    sqlx::query!(
        "insert into project (id, prefix, name, team) values (?, ?, ?, ?)
         on conflict (id) do update set name = excluded.name, team = excluded.team, version = version + 1",
        id,
        prefix,
        project.name,
        team
    )
    .execute(tx.conn())
    .await?;
    let stored = sqlx::query!("select prefix from project where id = ?", id).fetch_one(tx.conn()).await?;
    if stored.prefix == prefix { Ok(()) } else { Err(Error::Inconsistent { table: "project", column: "prefix" }) }
}

/// Brings an upstream's row up to what the configuration says; a changed URL makes its state unknown again.
pub async fn configure_upstream(
    tx: &mut Tx,
    id: UpstreamId,
    project: &ProjectId,
    name: &RepoName,
    url: &str,
) -> Result<UpstreamId> {
    let (id, project, name) = (id.to_string(), project.to_string(), name.to_string());
    let row = sqlx::query!(
        "insert into upstream (id, project, name, url) values (?, ?, ?, ?)
         on conflict (project, name) do update set
           state = case when url = excluded.url then state else 'unknown' end,
           url = excluded.url, retired_at = null, version = version + 1
         returning id",
        id,
        project,
        name,
        url
    )
    .fetch_one(tx.conn())
    .await?;
    parsed(&row.id, "upstream", "id")
}

/// Brings a line's row up to what the configuration says.
pub async fn configure_line(tx: &mut Tx, line: &Line, position: i64) -> Result<LineId> {
    let (id, upstream, branch) = (line.id.to_string(), line.upstream.to_string(), line.name.to_string());
    let row = sqlx::query!(
        "insert into line (id, upstream, branch, position) values (?, ?, ?, ?)
         on conflict (upstream, branch) do update set
           position = excluded.position, retired_at = null, version = version + 1
         returning id",
        id,
        upstream,
        branch,
        position
    )
    .fetch_one(tx.conn())
    .await?;
    parsed(&row.id, "line", "id")
}

/// Retires the lines and repositories of a project that the configuration no longer names, and records the configuration.
pub async fn retire_others(
    tx: &mut Tx,
    actor: &Actor,
    project: &ProjectId,
    kept: (&BTreeSet<UpstreamId>, &BTreeSet<LineId>),
) -> Result<()> {
    let now = tx.now().as_millisecond();
    for upstream in upstreams(tx, project).await? {
        if !kept.0.contains(&upstream.id) {
            let id = upstream.id.to_string();
            sqlx::query!("update upstream set retired_at = ?, version = version + 1 where id = ?", now, id)
                .execute(tx.conn())
                .await?;
        }
    }
    for line in lines(tx, project).await? {
        if !kept.1.contains(&line.id) {
            let id = line.id.to_string();
            sqlx::query!("update line set retired_at = ?, version = version + 1 where id = ?", now, id)
                .execute(tx.conn())
                .await?;
        }
    }
    let object = format!("{} repositories {} lines", kept.0.len(), kept.1.len());
    super::event::append(tx, actor, &Event::of_project(EventKind::ProjectConfigured, project, object)).await
}

/// Finds a project; what is in the configuration is no secret.
pub async fn find(rows: &mut impl Rows, id: &ProjectId) -> Result<Option<Project>> {
    let text = id.to_string();
    let row = sqlx::query!("select id, prefix, name, team from project where id = ?", text)
        .fetch_optional(rows.conn())
        .await?;
    row.map(|row| {
        Ok(Project {
            id: id.clone(),
            prefix: parsed(&row.prefix, "project", "prefix")?,
            name: row.name,
            team: parsed(&row.team, "project", "team")?,
        })
    })
    .transpose()
}

/// Lists all projects by name.
pub async fn all(rows: &mut impl Rows) -> Result<Vec<Project>> {
    let found = sqlx::query!("select id, prefix, name, team from project order by name").fetch_all(rows.conn()).await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Project {
                id: parsed(&row.id, "project", "id")?,
                prefix: parsed(&row.prefix, "project", "prefix")?,
                name: row.name,
                team: parsed(&row.team, "project", "team")?,
            })
        })
        .collect()
}

struct UpstreamRow {
    id: String,
    project: String,
    name: String,
    url: String,
    state: String,
    note: String,
    checked_at: Option<i64>,
}

impl TryFrom<UpstreamRow> for Upstream {
    type Error = Error;
    fn try_from(row: UpstreamRow) -> Result<Self> {
        Ok(Self {
            id: parsed(&row.id, "upstream", "id")?,
            project: parsed(&row.project, "upstream", "project")?,
            name: parsed(&row.name, "upstream", "name")?,
            url: row.url,
            state: parsed(&row.state, "upstream", "state")?,
            note: row.note,
            checked_at: row.checked_at,
        })
    }
}

/// Lists a project's repositories in order of their names.
pub async fn upstreams(rows: &mut impl Rows, project: &ProjectId) -> Result<Vec<Upstream>> {
    let project = project.to_string();
    let found = sqlx::query_as!(
        UpstreamRow,
        "select id, project, name, url, state, note, checked_at from upstream
         where project = ? and retired_at is null order by name",
        project
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Upstream::try_from).collect()
}

/// Finds one repository.
pub async fn upstream(rows: &mut impl Rows, id: UpstreamId) -> Result<Option<Upstream>> {
    let id = id.to_string();
    let row = sqlx::query_as!(
        UpstreamRow,
        "select id, project, name, url, state, note, checked_at from upstream where id = ?",
        id
    )
    .fetch_optional(rows.conn())
    .await?;
    row.map(Upstream::try_from).transpose()
}

/// Records how an upstream was found. `note` is a sentence for the project page.
pub async fn found(
    tx: &mut Tx,
    actor: &Actor,
    upstream: &Upstream,
    state: UpstreamState,
    note: (&str, Option<EventKind>),
) -> Result<()> {
    let (id, word, now) = (upstream.id.to_string(), state.as_str(), tx.now().as_millisecond());
    let (sentence, kind) = note;
    let result = sqlx::query!(
        "update upstream set state = ?, note = ?, checked_at = ?, version = version + 1 where id = ?",
        word,
        sentence,
        now,
        id
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    match kind {
        Some(kind) => {
            let event = Event::of_project(kind, &upstream.project, format!("{id} {state}"));
            super::event::append(tx, actor, &event).await
        }
        None => Ok(()),
    }
}

/// Lists a project's lines in the order of the configuration.
pub async fn lines(rows: &mut impl Rows, project: &ProjectId) -> Result<Vec<Line>> {
    let project = project.to_string();
    let found = sqlx::query!(
        "select l.id, l.upstream, l.branch from line l join upstream u on u.id = l.upstream
         where u.project = ? and l.retired_at is null and u.retired_at is null order by l.position, l.branch",
        project
    )
    .fetch_all(rows.conn())
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Line {
                id: parsed(&row.id, "line", "id")?,
                upstream: parsed(&row.upstream, "line", "upstream")?,
                name: parsed::<LineName>(&row.branch, "line", "branch")?,
            })
        })
        .collect()
}

/// Takes the next case id of a project.
pub async fn next_case(tx: &mut Tx, project: &Project) -> Result<CaseId> {
    let id = project.id.to_string();
    let row = sqlx::query!(
        "update project set next_case = next_case + 1 where id = ? returning next_case - 1 as \"n!: i64\"",
        id
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(CaseId::new(project.prefix.clone(), number(row.n)?))
}

/// Takes the next release id of a project.
pub async fn next_release(tx: &mut Tx, project: &Project) -> Result<ReleaseId> {
    let id = project.id.to_string();
    let row = sqlx::query!(
        "update project set next_release = next_release + 1 where id = ? returning next_release - 1 as \"n!: i64\"",
        id
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(ReleaseId::new(project.prefix.clone(), number(row.n)?))
}

/// Takes the next number of a project's public advisories.
pub async fn next_advisory(tx: &mut Tx, prefix: &Prefix) -> Result<u32> {
    let prefix = prefix.to_string();
    let row = sqlx::query!(
        "update project set next_advisory = next_advisory + 1 where prefix = ? returning next_advisory - 1 as \"n!: i64\"",
        prefix
    )
    .fetch_one(tx.conn())
    .await?;
    number(row.n)
}

fn number(n: i64) -> Result<u32> {
    u32::try_from(n).map_err(|_| Error::Inconsistent { table: "project", column: "next_case" })
}
