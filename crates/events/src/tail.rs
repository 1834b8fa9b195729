//! One reader of the log's end for every follower of a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kabar_core::permission::ReadEvents;
use kabar_core::{AccountId, Grant, InstallationScope, Listen, Store, StoreError, Topic, Wake};
use tokio::sync::broadcast;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::filter::EventFilter;
use crate::follow::Follow;
use crate::{EventsWork, Position, StoredEvent};

/// Events of one read.
pub(crate) const PAGE: u16 = 200;
/// Reads that a follower may be behind before it has to go back to the database.
const BEHIND: usize = 64;
/// The shortest time between two reads.
const PACE: Duration = Duration::from_millis(10);
/// Looks after a hint: on PostgreSQL what was committed shows a moment later, when what was begun
/// before it has ended. The pauses between them double.
const LOOKS: u32 = 5;

/// How followers are served.
#[derive(Debug, Clone, Copy)]
pub struct TailSettings {
    /// The longest time between two reads, when no hint comes.
    pub poll: Duration,
    /// Followers of one tenant at the same time in this process, and as many of the provider.
    pub followers: usize,
}

impl Default for TailSettings {
    fn default() -> Self {
        Self { poll: Duration::from_millis(500), followers: 32 }
    }
}

/// Why the log cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The tenant follows it too often already.
    #[error("this account follows its events {0} times already; end one of them first")]
    TooMany(usize),
    /// The process is being stopped.
    #[error("this node is being stopped")]
    Closed,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose events are followed.
#[derive(Debug, Clone, Copy)]
pub enum Reach {
    /// One tenant's, with the proof that they may be read.
    Account(Grant<ReadEvents>),
    /// Everybody's.
    Installation(InstallationScope),
}

impl Reach {
    const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account(grant) => Some(grant.scope().account()),
            Self::Installation(_) => None,
        }
    }
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With what happens from now on.
    Now,
    /// Behind a position; [`Position::default`] is the beginning of the log.
    After(Position),
}

/// The events of one read, for those who follow them.
pub(crate) type Chunk = Arc<Vec<Arc<StoredEvent>>>;

/// Hands the log's events to followers as they happen. Cheap to clone. It works only while somebody
/// follows.
#[derive(Clone)]
pub struct EventTail(pub(crate) Arc<Tail>);

pub(crate) struct Tail {
    store: Arc<dyn Store<dyn EventsWork>>,
    wake: Arc<dyn Wake>,
    settings: TailSettings,
    pub(crate) closed: CancellationToken,
    starting: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Up to where everything was handed over; `None` while nobody reads.
    read: Option<Position>,
    seats: HashMap<Option<AccountId>, Seats>,
}

struct Seats {
    sender: broadcast::Sender<Chunk>,
    taken: usize,
}

impl EventTail {
    /// A tail of a store's log.
    pub fn new(
        store: Arc<dyn Store<dyn EventsWork>>,
        wake: Arc<dyn Wake>,
        settings: TailSettings,
    ) -> Self {
        Self(Arc::new(Tail {
            store,
            wake,
            settings,
            closed: CancellationToken::new(),
            starting: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }))
    }

    /// Follows the log. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn follow(
        &self,
        reach: Reach,
        filter: EventFilter,
        begin: Begin,
    ) -> Result<Follow, FollowError> {
        let seat = Seat::take(&self.0, reach.account())?;
        self.0.start().await?;
        Ok(Follow::new(seat, reach, filter, begin))
    }

    /// Ends every follower, for a stop in good order; no new one is let in.
    pub fn close(&self) {
        self.0.closed.cancel();
    }

    /// How many follow now.
    pub fn followers(&self) -> usize {
        self.0.state().seats.values().map(|seats| seats.taken).sum()
    }
}

impl std::fmt::Debug for EventTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventTail").field("followers", &self.followers()).finish_non_exhaustive()
    }
}

/// A follower's place; it is given back when it is dropped.
pub(crate) struct Seat {
    pub(crate) tail: Arc<Tail>,
    account: Option<AccountId>,
}

impl Seat {
    fn take(tail: &Arc<Tail>, account: Option<AccountId>) -> Result<Self, FollowError> {
        if tail.closed.is_cancelled() {
            return Err(FollowError::Closed);
        }
        let mut state = tail.state();
        let seats = state
            .seats
            .entry(account)
            .or_insert_with(|| Seats { sender: broadcast::Sender::new(BEHIND), taken: 0 });
        if seats.taken >= tail.settings.followers {
            return Err(FollowError::TooMany(seats.taken));
        }
        seats.taken += 1;
        drop(state);
        Ok(Self { tail: Arc::clone(tail), account })
    }

    /// Hears what is handed over from now on; with it, up to where everything was handed over before.
    pub(crate) fn join(&self) -> Option<(broadcast::Receiver<Chunk>, Position)> {
        let state = self.tail.state();
        let receiver = state.seats.get(&self.account)?.sender.subscribe();
        Some((receiver, state.read?))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.tail.state();
        if let Some(seats) = state.seats.get_mut(&self.account) {
            seats.taken -= 1;
            if seats.taken == 0 {
                state.seats.remove(&self.account);
            }
        }
    }
}

impl Tail {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> &dyn Store<dyn EventsWork> {
        &*self.store
    }

    /// Begins to read at the log's end, unless somebody reads already.
    async fn start(self: &Arc<Self>) -> Result<(), StoreError> {
        let _one = self.starting.lock().await;
        if self.state().read.is_some() {
            return Ok(());
        }
        let listener = self.wake.listen(Topic::Events);
        let work = self.store.read().await?;
        let end = work.events().end(SCOPE).await?;
        self.state().read = Some(end);
        tokio::spawn(Arc::clone(self).run(listener));
        Ok(())
    }

    async fn run(self: Arc<Self>, mut listener: Box<dyn Listen>) {
        let (mut pace, mut looks) = (pace(), 0);
        while let Some(after) = self.still() {
            pace.tick().await;
            match self.read(after).await {
                Ok(events) if !events.is_empty() => {
                    let more = events.len() == usize::from(PAGE);
                    self.hand_over(events);
                    if more {
                        continue;
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "events.tail");
                }
            }
            let at_most = self.patience(looks);
            tokio::select! {
                () = self.closed.cancelled() => {}
                hinted = listener.heard(at_most) => {
                    looks = if hinted { LOOKS } else { looks.saturating_sub(1) };
                }
            }
        }
    }

    /// How long to wait for a hint: soon after one, not long.
    fn patience(&self, looks: u32) -> Duration {
        match looks {
            0 => self.settings.poll,
            looks => (PACE * 2_u32.pow(LOOKS - looks)).min(self.settings.poll),
        }
    }

    /// From where to read on; `None`, and nobody reads, when nobody follows.
    fn still(&self) -> Option<Position> {
        let mut state = self.state();
        if state.seats.is_empty() || self.closed.is_cancelled() {
            state.read = None;
        }
        state.read
    }

    async fn read(&self, after: Position) -> Result<Vec<StoredEvent>, StoreError> {
        let work = self.store.read().await?;
        work.events().read_all(SCOPE, after, PAGE).await
    }

    fn hand_over(&self, events: Vec<StoredEvent>) {
        let mut state = self.state();
        let mut chunks: HashMap<Option<AccountId>, Vec<Arc<StoredEvent>>> = HashMap::new();
        for event in events {
            let event = Arc::new(event);
            state.read = Some(event.position);
            for whose in [Some(event.account), None] {
                if state.seats.contains_key(&whose) {
                    chunks.entry(whose).or_default().push(Arc::clone(&event));
                }
            }
        }
        for (whose, chunk) in chunks {
            if let Some(seats) = state.seats.get(&whose) {
                // It fails when nobody listens just now: who is behind reads the database.
                let _ = seats.sender.send(Arc::new(chunk));
            }
        }
    }
}

/// The scope of the tail itself; what followers see is cut to their own.
pub(crate) const SCOPE: InstallationScope = InstallationScope::system("events");

fn pace() -> Interval {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
