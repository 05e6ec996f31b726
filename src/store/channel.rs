//! What a frozen release will publish through its channels, sealed until the run.

use crate::domain::access::{Grant, Grants};
use crate::domain::channel::ChannelName;
use crate::domain::id::ReleaseId;
use crate::domain::manifest::DocumentPath;
use crate::domain::sealed::Sealed;

use super::publication::DocumentText;
use super::{Result, Rows, Tx, parsed};

/// Forgets what an earlier freezing of the release kept for its channels. Asks for no grant: what is kept next does.
pub async fn clear(tx: &mut Tx, release: &ReleaseId) -> Result<()> {
    let release = release.to_string();
    sqlx::query!("delete from channel_document where release = ?", release).execute(tx.conn()).await?;
    Ok(())
}

/// Keeps one file for a channel until the run, sealed under the key of the case the grant is for.
pub async fn freeze(
    tx: &mut Tx,
    grant: &Grant,
    place: (&ReleaseId, &ChannelName, &DocumentPath),
    sealed: &Sealed<DocumentText>,
) -> Result<()> {
    let (release, channel, path) = (place.0.to_string(), place.1.as_str(), place.2.as_str());
    let (case, body) = (grant.case().to_string(), sealed.envelope());
    sqlx::query!(
        r#"insert into channel_document (release, channel, path, "case", body) values (?, ?, ?, ?, ?)"#,
        release,
        channel,
        path,
        case,
        body
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Reads one file of a channel that was kept under the case the grant is for.
pub async fn frozen(
    rows: &mut impl Rows,
    grant: &Grant,
    place: (&ReleaseId, &ChannelName, &DocumentPath),
) -> Result<Option<Sealed<DocumentText>>> {
    let (release, channel, path) = (place.0.to_string(), place.1.as_str(), place.2.as_str());
    let case = grant.case().to_string();
    let row = sqlx::query!(
        r#"select body from channel_document where release = ? and channel = ? and path = ? and "case" = ?"#,
        release,
        channel,
        path,
        case
    )
    .fetch_optional(rows.conn())
    .await?;
    Ok(row.map(|row| Sealed::from_envelope(row.body)))
}

/// Lists the channels that something is kept for, by name; the grants are those the release was found under.
pub async fn names(rows: &mut impl Rows, _grants: &Grants, release: &ReleaseId) -> Result<Vec<ChannelName>> {
    let release = release.to_string();
    let found =
        sqlx::query!("select distinct channel from channel_document where release = ? order by channel", release)
            .fetch_all(rows.conn())
            .await?;
    found.into_iter().map(|row| parsed(&row.channel, "channel_document", "channel")).collect()
}
