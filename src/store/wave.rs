//! Waves of releases: which there are, which went out, and what everybody was told.

use jiff::Timestamp;

use crate::domain::access::Grants;
use crate::domain::actor::Actor;
use crate::domain::audience::Lead;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::{ProjectId, ReleaseId};
use crate::domain::severity::SeverityWord;
use crate::domain::wave::{Planned, Wave};

use super::{Error, Result, Rows, Tx, instant, instant_opt, one_row, parsed, parsed_opt};

/// A release that everybody was told of before its instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The release: its id is for the feed, and tells nothing.
    pub release: ReleaseId,
    /// The project.
    pub project: ProjectId,
    /// The instant as it is now.
    pub due_at: Timestamp,
    /// The highest severity, if that was told.
    pub severity: Option<SeverityWord>,
    /// When it was told.
    pub told_at: Timestamp,
}

/// Lists the waves of a release, by audience and level; the grants are those the release was found under.
pub async fn of_release(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Vec<Planned>> {
    let release = release.to_string();
    let found = sqlx::query!("select audience, level, before_minutes, sent_at from wave where release = ?", release)
        .fetch_all(rows.conn())
        .await?;
    let planned = found.into_iter().map(|row| {
        Ok(Planned {
            wave: Wave {
                audience: parsed(&row.audience, "wave", "audience")?,
                level: parsed(&row.level, "wave", "level")?,
                before: lead(row.before_minutes)?,
            },
            sent_at: instant_opt(row.sent_at, "wave", "sent_at")?,
        })
    });
    let mut planned = planned.collect::<Result<Vec<_>>>()?;
    planned.sort_by(|one, other| one.wave.cmp(&other.wave));
    Ok(planned)
}

/// Writes the waves of a release that have not gone out, in place of those that stood there; the release's own change, saved in the
/// same write, has the event.
pub async fn write(tx: &mut Tx, _grants: &Grants, release: &ReleaseId, waves: &[Planned]) -> Result<()> {
    let release = release.to_string();
    sqlx::query!("delete from wave where release = ? and sent_at is null", release).execute(tx.conn()).await?;
    for Planned { wave, .. } in waves.iter().filter(|planned| planned.sent_at.is_none()) {
        let (audience, level, before) = (wave.audience.as_str(), wave.level.as_str(), i64::from(wave.before.minutes()));
        sqlx::query!(
            "insert into wave (release, audience, level, before_minutes) values (?, ?, ?, ?)",
            release,
            audience,
            level,
            before
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Writes down that a wave went out now; a conflict if it did before. `severity` is what everybody is told.
pub async fn sent(
    tx: &mut Tx,
    actor: &Actor,
    of: (&ReleaseId, &ProjectId),
    wave: &Wave,
    severity: Option<SeverityWord>,
) -> Result<()> {
    let (release, project) = of;
    let (id, audience, level) = (release.to_string(), wave.audience.as_str(), wave.level.as_str());
    let (now, severity) = (tx.now().as_millisecond(), severity.map(SeverityWord::as_str));
    let result = sqlx::query!(
        "update wave set sent_at = ?, severity = ? where release = ? and audience = ? and level = ? and sent_at is null",
        now,
        severity,
        id,
        audience,
        level
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    let event = Event::of_release(EventKind::WaveSent, release, format!("{audience} {level}"));
    super::event::append(tx, actor, &Event { project: Some(project.clone()), ..event }).await
}

/// Takes back that waves of a release went out, because its date fell: they can go out again. Returns how many there were.
pub async fn fall(tx: &mut Tx, actor: &Actor, of: (&ReleaseId, &ProjectId)) -> Result<u64> {
    let (release, project) = of;
    let (id, now) = (release.to_string(), tx.now().as_millisecond());
    let fallen =
        sqlx::query!("update wave set sent_at = null, severity = null where release = ? and sent_at is not null", id)
            .execute(tx.conn())
            .await?
            .rows_affected();
    sqlx::query!("update wave_recipient set ended_at = ?, link = null where release = ? and ended_at is null", now, id)
        .execute(tx.conn())
        .await?;
    if fallen > 0 {
        let event = Event::of_release(EventKind::WaveFallen, release, format!("{fallen} waves"));
        super::event::append(tx, actor, &Event { project: Some(project.clone()), ..event }).await?;
    }
    Ok(fallen)
}

/// Names the frozen and armed releases of which a wave is due at this instant, by what was planned. For the server's chores.
pub async fn due(rows: &mut impl Rows, now: Timestamp) -> Result<Vec<ReleaseId>> {
    let now = now.as_millisecond();
    let found = sqlx::query!(
        "select distinct r.id from release r join wave w on w.release = r.id
         where r.state in ('frozen', 'armed') and w.sent_at is null and r.due_at > ?1
           and r.due_at - w.before_minutes * 60000 <= ?1",
        now
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(|row| parsed(&row.id, "release", "id")).collect()
}

/// Returns the longest time before the instant at which a wave of a release that has not gone out is due.
pub async fn next(rows: &mut impl Rows, release: &ReleaseId) -> Result<Option<Lead>> {
    let release = release.to_string();
    let row = sqlx::query!(
        r#"select max(before_minutes) as "before: i64" from wave where release = ? and sent_at is null"#,
        release
    )
    .fetch_one(rows.conn())
    .await?;
    row.before.map(lead).transpose()
}

/// Lists the releases that everybody was told of and that are not public yet, the nearest first. Asks for no grant: it is public.
pub async fn announced(rows: &mut impl Rows) -> Result<Vec<Announced>> {
    let found = sqlx::query!(
        r#"select r.id as "id!", r.project as "project!", r.due_at as "due_at!", max(w.severity) as "severity: String",
             min(w.sent_at) as "told_at!: i64"
           from release r join wave w on w.release = r.id
           where w.audience = 'public' and w.sent_at is not null and r.public_at is null
             and r.state in ('frozen', 'armed', 'running', 'held')
           group by r.id, r.project, r.due_at order by r.due_at, r.id"#
    )
    .fetch_all(rows.conn())
    .await?;
    let announced = found.into_iter().map(|row| {
        Ok(Announced {
            release: parsed(&row.id, "release", "id")?,
            project: parsed(&row.project, "release", "project")?,
            due_at: instant(row.due_at, "release", "due_at")?,
            severity: parsed_opt(row.severity.as_deref(), "wave", "severity")?,
            told_at: instant(row.told_at, "wave", "sent_at")?,
        })
    });
    announced.collect()
}

fn lead(minutes: i64) -> Result<Lead> {
    let lead = u32::try_from(minutes).ok().and_then(|minutes| Lead::from_minutes(minutes).ok());
    lead.ok_or(Error::Inconsistent { table: "wave", column: "before_minutes" })
}
