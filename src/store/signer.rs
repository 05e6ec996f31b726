//! The keys this server signs with and signed with, by their public halves.

use jiff::{SignedDuration, Timestamp};

use crate::domain::actor::Actor;
use crate::domain::event::{Event, EventKind};

use super::{Result, Rows, Tx, instant};

/// A key that this server signed with earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The public half, as an `authorized_keys` file has it.
    pub key: String,
    /// When what it signed began to be no longer this server's: after every date in it.
    pub until: Timestamp,
}

/// Writes down with which key the server starts; none if it has none. Whatever else signed before signs no more from now on.
pub async fn note(tx: &mut Tx, actor: &Actor, key: Option<&str>) -> Result<()> {
    let (now, key) = (tx.now().as_millisecond(), key.unwrap_or_default());
    let replaced = sqlx::query!("update signer set until = ?1 where until is null and key <> ?2", now, key)
        .execute(tx.conn())
        .await?
        .rows_affected();
    if !key.is_empty() {
        sqlx::query!(
            "insert into signer (key, since) values (?1, ?2) on conflict (key) do update set until = null",
            key,
            now
        )
        .execute(tx.conn())
        .await?;
    }
    if replaced > 0 {
        super::event::append(tx, actor, &Event::new(EventKind::SignerChanged, "")).await?;
    }
    Ok(())
}

/// Lists the keys that signed earlier, the newest first. What they signed for a release may bear a date that lies ahead of their
/// last use; of a release that is not public yet, nobody learns that.
pub async fn earlier(rows: &mut impl Rows) -> Result<Vec<Earlier>> {
    let found = sqlx::query!(
        r#"select key, until as "until!",
             (select max(dated_at) from release where created_at <= signer.until and public_at is not null) as "dated: i64"
           from signer where until is not null order by until desc, key"#
    )
    .fetch_all(rows.conn())
    .await?;
    let earlier = |key, until: i64, dated: Option<i64>| {
        let last = instant(until.max(dated.unwrap_or(until)), "signer", "until")?;
        Ok(Earlier { key, until: last.checked_add(SignedDuration::from_secs(1)).unwrap_or(last) })
    };
    found.into_iter().map(|row| earlier(row.key, row.until, row.dated)).collect()
}
