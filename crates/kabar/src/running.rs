//! A platform at work.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::platform::Platform;

/// How often parked statuses are looked through.
const PARKED: Duration = Duration::from_secs(5);
/// How often what is kept for a time only is looked through.
const PRUNE: Duration = Duration::from_hours(1);

/// The background work of a platform. Dropping it stops the work without waiting.
#[derive(Debug)]
#[must_use = "dropping it stops the platform"]
pub struct Running {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    pub(crate) fn start(platform: &Platform) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (dispatcher, token) = (platform.dispatcher().clone(), stop.clone());
        tasks.spawn(async move { dispatcher.run(token).await });
        let (runner, token) = (Arc::clone(platform.runner()), stop.clone());
        tasks.spawn(async move { runner.run(token).await });
        let (intake, token) = (platform.message_intake().clone(), stop.clone());
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(PARKED);
            loop {
                tokio::select! {
                    () = token.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                if let Err(error) = intake.settle_parked().await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "intake.settle_parked"
                    );
                }
            }
        });
        let (intake, token) = (platform.message_intake().clone(), stop.clone());
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(PRUNE);
            loop {
                tokio::select! {
                    () = token.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                if let Err(error) = intake.prune().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "intake.prune");
                }
            }
        });
        Self { stop, tasks }
    }

    /// Stops taking up work, finishes what is in hand, and returns.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
