//! `embargo audit verify`: walks the chain of events from the first to the last, on the server's own machine.

use std::path::Path;

use super::output::Output;
use super::{Failure, Result};
use crate::config::Config;
use crate::store::Store;
use crate::store::event::{Verified, verify as walk};

/// Walks the chain and says whether every link holds. May run while the server does.
pub(super) async fn verify(config: &Path, output: Output) -> Result<()> {
    let config = Config::load(config).map_err(|error| Failure::failed(error.to_string()))?;
    let file = config.data.join("embargo.db");
    if !file.is_file() {
        return Err(Failure::failed(format!("There is no database in {}.", config.data.display())));
    }
    let broken = |error| Failure::because("The events could not be read.", error);
    let store = Store::open(&file).await.map_err(broken)?;
    let mut rows = store.read().await.map_err(broken)?;
    let verified = walk(&mut rows).await.map_err(broken)?;
    drop(rows);
    store.close().await;
    match verified {
        Verified::Intact { events, head } => {
            let head = data_encoding::HEXLOWER.encode(&head);
            let text = format!("{events} events, every link holds. The last hash is {head}.");
            output.result(&serde_json::json!({ "intact": true, "events": events, "head": head }), &text)
        }
        Verified::Broken { seq } => Err(Failure::Refused(format!(
            "The chain is broken at event {seq}: it was changed, or one before it was removed."
        ))),
    }
}
