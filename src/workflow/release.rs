//! Release trains: rehearsed whenever a fix or a public line moves.

use super::Result;
use crate::domain::id::ProjectId;
use crate::store::Tx;

/// Queues a rehearsal of every release of the project that is still being planned.
pub(super) async fn rehearse_open(_tx: &mut Tx, _project: &ProjectId) -> Result<()> {
    Ok(())
}
