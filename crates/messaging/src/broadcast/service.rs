//! Broadcasts as a tenant sees them.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{Datelike as _, NaiveDateTime};
use kabar_accounts::journal::{Change, record};
use kabar_channel::{Channels, FieldError};
use kabar_core::permission::{ReadBroadcasts, WriteBroadcasts};
use kabar_core::work::OnceError;
use kabar_core::{
    BroadcastId, Clock, Cursor, Grant, IdSource, InstallationScope, Page, PageRequest, Scope,
    Store, StoreError, Timestamp, Topic, Wake,
};
use kabar_events::{BroadcastProgress, BroadcastStep, Fact, NewEvent};
use uuid::Uuid;

use super::counts::settled;
use super::{
    Broadcast, BroadcastFilter, BroadcastState, BroadcastUse, Counts, Recipient, RecipientFilter,
    Schedule,
};
use crate::repo::after;

pub(super) const SYSTEM: InstallationScope = InstallationScope::system("broadcasts");
/// Tries of a unit of work that met another one.
pub(super) const TRIES: u32 = 4;

/// Why a broadcast cannot be had, made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastError {
    /// There is no such broadcast.
    #[error("no such broadcast")]
    NotFound,
    /// Fields cannot be taken.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// It cannot be done in this state.
    #[error("the broadcast is {state}; {problem}")]
    WrongState {
        /// Its state.
        state: BroadcastState,
        /// When it could be done.
        problem: &'static str,
    },
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BroadcastError {
    pub(super) fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, problem)])
    }

    /// Whether the same call may succeed at once.
    pub(super) const fn is_contended(&self) -> bool {
        matches!(self, Self::Store(StoreError::Contended(_)))
    }
}

/// A broadcast with its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The broadcast.
    pub broadcast: Broadcast,
    /// How many recipients are where.
    pub counts: Counts,
    /// When it will be through, going on as it did since it was set in motion.
    pub expected_end: Option<Timestamp>,
}

/// Broadcasts of tenants.
#[derive(Clone)]
pub struct Broadcasts {
    pub(super) store: Arc<dyn Store<dyn BroadcastUse>>,
    pub(super) channels: Channels,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) wake: Arc<dyn Wake>,
}

impl Broadcasts {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn BroadcastUse>>,
        channels: Channels,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, channels, clock, ids, wake }
    }

    /// A broadcast with its numbers.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadBroadcasts>,
        id: BroadcastId,
    ) -> Result<Standing, BroadcastError> {
        let work = self.store.read().await?;
        let found = work.broadcasts(grant.scope()).get(id).await?;
        let broadcast = found.ok_or(BroadcastError::NotFound)?;
        self.standing(&*work, grant.scope(), broadcast).await
    }

    /// The tenant's broadcasts, newest first, with their numbers.
    ///
    /// # Errors
    /// [`BroadcastError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadBroadcasts>,
        filter: BroadcastFilter,
        page: PageRequest,
    ) -> Result<Page<Standing>, BroadcastError> {
        let work = self.store.read().await?;
        let mut repo = work.broadcasts(grant.scope());
        let page = repo.list(filter, page).await?;
        let ids: Vec<BroadcastId> = page.items.iter().map(|broadcast| broadcast.id).collect();
        let mut counts: HashMap<BroadcastId, Counts> =
            repo.counts(&ids).await?.into_iter().collect();
        let now = self.clock.now();
        Ok(page.map(|broadcast| {
            let own = counts.remove(&broadcast.id).unwrap_or_default();
            Standing::of(broadcast, own, now)
        }))
    }

    /// A broadcast's recipients, in their order.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`].
    pub async fn recipients(
        &self,
        grant: &Grant<ReadBroadcasts>,
        id: BroadcastId,
        filter: RecipientFilter<'_>,
        page: PageRequest,
    ) -> Result<Page<Recipient>, BroadcastError> {
        let work = self.store.read().await?;
        if work.broadcasts(grant.scope()).get(id).await?.is_none() {
            return Err(BroadcastError::NotFound);
        }
        let from = page.after.map_or(0, |cursor| place(cursor).saturating_add(1));
        let mut repo = work.recipients(grant.scope());
        let rows = repo.from(id, filter, from, page.limit.saturating_add(1)).await?;
        Ok(Page::from_rows(rows, page, |recipient| Uuid::from_u128(u128::from(recipient.position))))
    }

    /// The instant that a local time means, in a time zone or the account's own.
    ///
    /// # Errors
    /// [`BroadcastError::Invalid`] when it is no local time, or the time zone is none.
    pub async fn local_time(
        &self,
        grant: &Grant<WriteBroadcasts>,
        local: &str,
        time_zone: Option<&str>,
    ) -> Result<Schedule, BroadcastError> {
        let time_zone = if let Some(name) = time_zone {
            name.parse().map_err(|_| {
                let problem = "must be the IANA name of a time zone, like Asia/Jakarta";
                BroadcastError::field("start.time_zone", problem)
            })?
        } else {
            let work = self.store.read().await?;
            let account = work.account(grant.scope()).get().await?;
            account.map_or(chrono_tz::UTC, |account| account.time_zone)
        };
        let read = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(local, format).ok())
            .filter(|local| (1970..9999).contains(&local.year()));
        let local = read.ok_or_else(|| {
            let problem = "must be a local date and time, like 2026-12-01T09:00";
            BroadcastError::field("start.local_time", problem)
        })?;
        Ok(Schedule::of(local, time_zone))
    }

    pub(super) async fn standing(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: Broadcast,
    ) -> Result<Standing, BroadcastError> {
        let counts = counts(work, scope, broadcast.id).await?;
        Ok(Standing::of(broadcast, counts, self.clock.now()))
    }

    /// Writes down what somebody did to a broadcast.
    pub(super) async fn record(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &Broadcast,
        step: BroadcastStep,
        action: &'static str,
    ) -> Result<(), StoreError> {
        let change = Change {
            account: Some(scope.account()),
            actor: scope.actor(),
            action,
            subject: broadcast.id.to_string(),
            detail: serde_json::json!({ "state": broadcast.state }),
            fact: fact(broadcast, step, None),
            at: self.clock.now(),
        };
        record(work, &*self.ids, change).await
    }

    /// Hints at what was enqueued.
    pub(super) fn wake_all(&self) {
        for topic in [Topic::Jobs, Topic::Outbox, Topic::Events] {
            self.wake.wake(topic);
        }
    }
}

impl Standing {
    fn of(broadcast: Broadcast, counts: Counts, now: Timestamp) -> Self {
        let ended_early = broadcast.state == BroadcastState::Cancelled;
        let counts = if ended_early { counts.ended_early() } else { counts };
        let expected_end = expected_end(&broadcast, &counts.progress(), now);
        Self { broadcast, counts, expected_end }
    }

    /// The numbers, in few.
    pub fn progress(&self) -> BroadcastProgress {
        self.counts.progress()
    }
}

/// The place that a cursor of recipients stands for.
fn place(cursor: Cursor) -> u64 {
    u64::try_from(cursor.id().as_u128()).unwrap_or(u64::MAX - 1)
}

/// How many recipients of one broadcast are where.
pub(super) async fn counts(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    id: BroadcastId,
) -> Result<Counts, StoreError> {
    let found = work.broadcasts(scope).counts(&[id]).await?;
    Ok(found.into_iter().next().map(|(_, counts)| counts).unwrap_or_default())
}

fn expected_end(
    broadcast: &Broadcast,
    progress: &BroadcastProgress,
    now: Timestamp,
) -> Option<Timestamp> {
    if broadcast.state != BroadcastState::Running {
        return None;
    }
    let (since, before) = broadcast.course.moving_since?;
    let done = settled(progress).checked_sub(before).filter(|done| *done > 0)?;
    let left = progress.waiting + progress.queued;
    let took = (now - since).to_std().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let left = took.mul_f64(left as f64 / done as f64);
    Some(after(now, left))
}

/// The event that something happened to a broadcast.
pub(super) fn fact(
    broadcast: &Broadcast,
    step: BroadcastStep,
    progress: Option<BroadcastProgress>,
) -> Fact {
    let reason = broadcast.reason.clone();
    Fact::Broadcast { broadcast_id: broadcast.id, step, reason, progress }
}

/// The same, for the log.
pub(super) fn event(
    broadcast: &Broadcast,
    step: BroadcastStep,
    progress: Option<BroadcastProgress>,
    at: Timestamp,
) -> NewEvent {
    NewEvent { account: broadcast.account, at, fact: fact(broadcast, step, progress) }
}
