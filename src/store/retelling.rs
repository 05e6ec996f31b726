//! What channels are told of revisions: a row and a job for each, settled once.

use serde::{Deserialize, Serialize};

use crate::domain::access::Grant;
use crate::domain::amendment::RetellingState;
use crate::domain::channel::ChannelName;
use crate::domain::event::{Event, EventKind};
use crate::domain::id::CaseId;
use crate::domain::manifest::DocumentPath;
use crate::domain::plain::AdvisoryId;

use super::{Error, Result, Rows, Tx, one_row, parsed};

/// What one channel is told of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retelling {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The number of the revision.
    pub revision: u32,
    /// The channel.
    pub channel: ChannelName,
    /// How far it is.
    pub state: RetellingState,
    /// Tries so far.
    pub attempts: u32,
    /// What happened last, in words free of case text.
    pub note: String,
}

/// A file for a channel: public like the revision it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetoldFile {
    /// Its path below the channel's own place.
    pub path: DocumentPath,
    /// Its text.
    pub text: String,
}

struct RetellingRow {
    advisory: String,
    revision: i64,
    channel: String,
    state: String,
    attempts: i64,
    note: String,
}

impl TryFrom<RetellingRow> for Retelling {
    type Error = Error;
    fn try_from(row: RetellingRow) -> Result<Self> {
        Ok(Self {
            advisory: parsed(&row.advisory, "retelling", "advisory")?,
            revision: super::revision::number(row.revision)?,
            channel: parsed(&row.channel, "retelling", "channel")?,
            state: parsed(&row.state, "retelling", "state")?,
            attempts: u32::try_from(row.attempts)
                .map_err(|_| Error::Inconsistent { table: "retelling", column: "attempts" })?,
            note: row.note,
        })
    }
}

/// Writes down that a channel is to be told.
pub async fn queue(
    tx: &mut Tx,
    grant: &Grant,
    of: (&AdvisoryId, u32, &ChannelName),
    files: &[RetoldFile],
) -> Result<()> {
    let (advisory, revision, channel) = (of.0.to_string(), i64::from(of.1), of.2.as_str());
    let case = grant.case().to_string();
    let files =
        serde_json::to_string(files).map_err(|_| Error::Inconsistent { table: "retelling", column: "files" })?;
    sqlx::query!(
        r#"insert into retelling (advisory, revision, channel, "case", files, state) values (?, ?, ?, ?, ?, 'waiting')
           on conflict (advisory, revision, channel) do nothing"#,
        advisory,
        revision,
        channel,
        case,
        files
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Names the case that a revision is of. For the server's chores.
pub async fn case_of(rows: &mut impl Rows, advisory: &AdvisoryId) -> Result<Option<CaseId>> {
    let id = advisory.to_string();
    let row =
        sqlx::query!(r#"select "case" from published_advisory where id = ?"#, id).fetch_optional(rows.conn()).await?;
    row.map(|row| parsed(&row.case, "published_advisory", "case")).transpose()
}

/// Lists what the channels were told of the case a grant is for, newest revision first.
pub async fn of_case(rows: &mut impl Rows, grant: &Grant) -> Result<Vec<Retelling>> {
    let case = grant.case().to_string();
    let found = sqlx::query_as!(
        RetellingRow,
        r#"select advisory, revision, channel, state, attempts, note from retelling where "case" = ?
           order by revision desc, channel"#,
        case
    )
    .fetch_all(rows.conn())
    .await?;
    found.into_iter().map(Retelling::try_from).collect()
}

/// Reads the files that a channel is told with.
pub async fn files(rows: &mut impl Rows, grant: &Grant, of: (u32, &ChannelName)) -> Result<Vec<RetoldFile>> {
    let (case, revision, channel) = (grant.case().to_string(), i64::from(of.0), of.1.as_str());
    let row = sqlx::query!(
        r#"select files from retelling where "case" = ? and revision = ? and channel = ?"#,
        case,
        revision,
        channel
    )
    .fetch_one(rows.conn())
    .await?;
    serde_json::from_str(&row.files).map_err(|_| Error::Inconsistent { table: "retelling", column: "files" })
}

/// Writes down how a try ended. A conflict if it was settled meanwhile.
pub async fn tried(tx: &mut Tx, grant: &Grant, of: (u32, &ChannelName), end: (RetellingState, &str)) -> Result<()> {
    let (case, revision, channel) = (grant.case().to_string(), i64::from(of.0), of.1.as_str());
    let (state, note, now) = (end.0.as_str(), end.1, tx.now().as_millisecond());
    let result = sqlx::query!(
        r#"update retelling set state = ?1, note = ?2, attempts = attempts + 1,
             settled_at = case when ?1 = 'waiting' then null else ?3 end
           where "case" = ?4 and revision = ?5 and channel = ?6 and state = 'waiting'"#,
        state,
        note,
        now,
        case,
        revision,
        channel
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    match end.0 {
        RetellingState::Waiting => Ok(()),
        RetellingState::Done | RetellingState::Overtaken | RetellingState::Failed => told(tx, grant, of, state).await,
    }
}

/// Has a channel that did not take a revision told again, with new patience. A conflict if none failed.
pub async fn again(tx: &mut Tx, grant: &Grant, of: (u32, &ChannelName)) -> Result<()> {
    let (case, revision, channel) = (grant.case().to_string(), i64::from(of.0), of.1.as_str());
    let result = sqlx::query!(
        r#"update retelling set state = 'waiting', attempts = 0, settled_at = null
           where "case" = ? and revision = ? and channel = ? and state = 'failed'"#,
        case,
        revision,
        channel
    )
    .execute(tx.conn())
    .await?;
    one_row(&result)?;
    told(tx, grant, of, RetellingState::Waiting.as_str()).await
}

/// Puts into the chain how far a channel is with a revision.
async fn told(tx: &mut Tx, grant: &Grant, of: (u32, &ChannelName), state: &str) -> Result<()> {
    let object = format!("{} {} {state}", of.1, of.0);
    let event = Event::of_case(EventKind::RevisionRetold, grant.case(), object);
    super::event::append(tx, grant.actor(), &event).await
}
