//! A platform at work.

use std::sync::Arc;
use std::time::Duration;

use kabar_insights::projector::BATCH;
use kabar_insights::{Projector, Retention};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::platform::Platform;

/// How often parked statuses are looked through.
const PARKED: Duration = Duration::from_secs(5);
/// How often the event log is looked through for what became of broadcasts' messages.
const FOLLOW: Duration = Duration::from_millis(500);
/// How often the log is looked through for what counts.
const COUNT: Duration = Duration::from_secs(1);
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
        let mut running = Self { stop, tasks: JoinSet::new() };
        running.work(platform);
        running.tick(platform);
        running
    }

    /// Starts what works until it is stopped.
    fn work(&mut self, platform: &Platform) {
        let (dispatcher, token) = (platform.dispatcher().clone(), self.stop.clone());
        self.tasks.spawn(async move { dispatcher.run(token).await });
        let (runner, token) = (Arc::clone(platform.runner()), self.stop.clone());
        self.tasks.spawn(async move { runner.run(token).await });
        let (deliverer, token) = (platform.deliverer().clone(), self.stop.clone());
        self.tasks.spawn(async move { deliverer.run(token).await });
        #[cfg(feature = "qr-session")]
        if let Some(sessions) = platform.sessions().cloned() {
            let token = self.stop.clone();
            self.tasks.spawn(async move { sessions.run(token).await });
        }
        let (followed, token) = (platform.clone(), self.stop.clone());
        self.tasks.spawn(async move { follow(&followed, token).await });
        let (projector, token) = (platform.projector().clone(), self.stop.clone());
        self.tasks.spawn(async move { count(&projector, &token).await });
        let (retention, token) = (platform.retention().clone(), self.stop.clone());
        self.tasks.spawn(async move { tidy(&retention, &token).await });
    }

    /// Starts what is done now and then.
    fn tick(&mut self, platform: &Platform) {
        let all = platform.clone();
        self.each(PARKED, "intake.settle_parked", move || {
            let intake = all.message_intake().clone();
            async move { intake.settle_parked().await.map(drop).map_err(Failure::from) }
        });
        let all = platform.clone();
        self.each(PRUNE, "prune", move || {
            let all = all.clone();
            async move { prune(&all).await }
        });
        let period = kabar_operations::PERIOD.to_std().unwrap_or(Duration::from_mins(1));
        let all = platform.clone();
        self.each(period, "watch.check", move || {
            let watch = all.watch().clone();
            async move { watch.check().await.map(drop).map_err(Failure::from) }
        });
    }

    /// Does something at once, and again after each `period`.
    fn each<F>(
        &mut self,
        period: Duration,
        what: &'static str,
        mut work: impl FnMut() -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), Failure>> + Send,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(period);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                if let Err(error) = work().await {
                    tracing::warn!(error = &*error as &dyn std::error::Error, what, "tick");
                }
            }
        });
    }

    /// Stops taking up work, finishes what is in hand, and returns.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Counts what becomes of broadcasts' messages.
async fn follow(platform: &Platform, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(FOLLOW);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = platform.broadcasts().follow().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "broadcasts.follow");
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Removes what each room keeps for a time only. What fails in one does not stop the others.
async fn prune(platform: &Platform) -> Result<(), Failure> {
    let done: [Result<(), Failure>; 5] = [
        platform.message_intake().prune().await.map_err(Failure::from),
        platform.deliverer().prune().await.map(drop).map_err(Failure::from),
        platform.exports().prune().await.map(drop).map_err(Failure::from),
        platform.imports().prune().await.map(drop).map_err(Failure::from),
        platform.logins().prune().await.map(drop).map_err(Failure::from),
    ];
    done.into_iter().collect()
}

/// Keeps the statistics.
async fn count(projector: &Projector, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(COUNT);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        while !stop.is_cancelled() {
            match projector.step().await {
                Ok(events) if events == usize::from(BATCH) => {}
                Ok(_) => break,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "statistics.step");
                    break;
                }
            }
        }
    }
}

/// Removes what is older than it is kept.
async fn tidy(retention: &Retention, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(PRUNE);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // A run is many small units of work: it may break off between any two.
        let ran = tokio::select! {
            () = stop.cancelled() => return,
            ran = retention.run() => ran,
        };
        if let Err(error) = ran {
            tracing::warn!(error = &error as &dyn std::error::Error, "retention.run");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
