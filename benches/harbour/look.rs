//! Waiting for what is to happen.

use std::time::{Duration, Instant};

/// Looks again and again until something is there; answers it and how long it took.
///
/// # Panics
/// When it is not there in time.
pub(crate) async fn until<T>(
    what: &str,
    every: Duration,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> (T, Duration) {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return (found, begun.elapsed());
        }
        assert!(begun.elapsed() < patience, "in vain for {patience:?}: {what}");
        tokio::time::sleep(every).await;
    }
}
