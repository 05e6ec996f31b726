//! Who signs what this server makes: its key, and those it had before.
//!
//! Guards: a changed key leaves what the earlier one signed verifiable, and says from when on it signs nothing any more.

use super::{Error, Result};
use crate::app::App;
use crate::domain::actor::{Actor, Chore};
use crate::store;

/// Writes down with which key the server starts. Called at the start.
pub async fn note(app: &App) -> Result<()> {
    let key = app.keys.tag_signer().map(|signer| signer.key().to_string());
    let mut tx = app.begin("signers.note").await?;
    store::signer::note(&mut tx, &Actor::System(Chore::Disclose), key.as_deref()).await?;
    Ok(app.commit(tx).await?)
}

/// Lists who signs what is published, as `ssh-keygen -Y verify -n file` and git read it (ssh-keygen(1), ALLOWED SIGNERS): the server's
/// key under the name of its address, and each earlier one with the instant at which it had ceased to sign.
pub async fn allowed(app: &App) -> Result<String> {
    let host = app.config.base_url.as_str().split("://").nth(1).unwrap_or_default();
    let mut rows = app.read().await?;
    let earlier = store::signer::earlier(&mut rows).await?;
    let mut lines = Vec::new();
    lines.extend(app.keys.tag_signer().map(|signer| format!("{host} namespaces=\"file,git\" {}\n", signer.key())));
    for store::signer::Earlier { key, until } in earlier {
        let until = until.strftime("%Y%m%d%H%M%SZ");
        lines.push(format!("{host} namespaces=\"file,git\",valid-before=\"{until}\" {key}\n"));
    }
    if lines.is_empty() { Err(Error::NotFound) } else { Ok(lines.concat()) }
}
