//! Waiting with an end: looks again and again until what is waited for is there, or says what did not come.

use std::time::Duration;

use crate::cli::{Failure, Result};

/// How often it looks.
const PACE: Duration = Duration::from_millis(100);

/// Looks until there is something, for `limit` at most; then fails with the sentence.
pub(super) async fn until<T>(
    limit: Duration,
    sentence: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let looking = async {
        let mut pace = tokio::time::interval(PACE);
        loop {
            pace.tick().await;
            if let Some(found) = look().await? {
                return Ok(found);
            }
        }
    };
    let found = tokio::time::timeout(limit, looking).await;
    found.unwrap_or_else(|_| Err(Failure::failed(format!("{sentence} (waited {} s)", limit.as_secs()))))
}
