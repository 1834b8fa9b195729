//! One follower of the log.
//!
//! A follower is *behind* at first: it joins the tail, notes up to where the tail has read, and reads
//! the database until it is at least there. From then on it is *live* and takes what the tail hands
//! over; what it has read already it knows by the position. A follower that is too slow for the
//! tail's bounded memory loses its place there and is behind again.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::stream::{self, Stream};
use kabar_core::StoreError;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::filter::EventFilter;
use crate::tail::{Begin, Chunk, PAGE, Reach, Seat};
use crate::{Position, StoredEvent};

/// What a follower is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// Something happened.
    Event(Arc<StoredEvent>),
    /// What happened between two positions is not all there any more: retention removed it, or the
    /// position was never one of this log. What comes next is behind `resumed`.
    Gap {
        /// Where the follower stood.
        after: Position,
        /// From where it goes on.
        resumed: Position,
    },
}

/// Everything that happens, from a position on, in the log's order. Dropping it ends it.
pub struct Follow {
    seat: Seat,
    reach: Reach,
    filter: EventFilter,
    stage: Stage,
    /// Up to where the log was read, wanted or not.
    read: Position,
    /// Up to where it was told.
    told: Position,
    ready: VecDeque<Followed>,
}

enum Stage {
    New(Begin),
    Behind,
    Live(Receiver<Chunk>),
}

impl Follow {
    pub(crate) fn new(seat: Seat, reach: Reach, mut filter: EventFilter, begin: Begin) -> Self {
        if let Reach::Account(grant) = &reach
            && grant.device().is_some()
        {
            filter.device = grant.device();
        }
        let (stage, read) = (Stage::New(begin), Position::default());
        Self { seat, reach, filter, stage, read, told: read, ready: VecDeque::new() }
    }

    /// Where the follower stands: everything up to there was told, or is not wanted. The beginning of
    /// the log before [`Follow::begin`] or the first [`Follow::next`].
    pub fn position(&self) -> Position {
        if self.ready.is_empty() { self.read } else { self.told }
    }

    /// Takes its place in the log; returns the position. [`Follow::next`] does so by itself.
    ///
    /// # Errors
    /// What storage says.
    pub async fn begin(&mut self) -> Result<Position, StoreError> {
        if let Stage::New(begin) = self.stage {
            self.take_place(begin).await?;
        }
        Ok(self.position())
    }

    /// The next thing, as soon as there is one. `None` when the process is being stopped. After an
    /// error it may be called again. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Option<Result<Followed, StoreError>> {
        loop {
            if self.seat.tail.closed.is_cancelled() {
                return None;
            }
            if let Some(ready) = self.ready.pop_front() {
                self.told = match &ready {
                    Followed::Event(event) => event.position,
                    Followed::Gap { resumed, .. } => *resumed,
                };
                return Some(Ok(ready));
            }
            let step = match &self.stage {
                Stage::New(begin) => self.take_place(*begin).await,
                Stage::Behind => self.catch_up().await,
                Stage::Live(_) => {
                    self.hear().await;
                    Ok(())
                }
            };
            if let Err(error) = step {
                return Some(Err(error));
            }
        }
    }

    /// The same as a stream, which ends at the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Followed, StoreError>> + Send {
        stream::unfold(Some(self), |follow| async move {
            let mut follow = follow?;
            let next = follow.next().await?;
            let further = next.is_ok().then_some(follow);
            Some((next, further))
        })
    }

    async fn take_place(&mut self, begin: Begin) -> Result<(), StoreError> {
        match begin {
            Begin::Now => {
                let Some((receiver, head)) = self.seat.join() else { return Ok(()) };
                (self.read, self.stage) = (head, Stage::Live(receiver));
            }
            Begin::After(after) => {
                let work = self.seat.tail.store().read().await?;
                let resumed = self.reach.resumable(&mut *work.events(), after).await?;
                if resumed != after {
                    self.ready.push_back(Followed::Gap { after, resumed });
                }
                (self.told, self.read, self.stage) = (after, resumed, Stage::Behind);
            }
        }
        Ok(())
    }

    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let Some((receiver, head)) = self.seat.join() else { return Ok(()) };
        let work = self.seat.tail.store().read().await?;
        let page = self.reach.read(&mut *work.events(), self.read, PAGE).await?;
        let whole = page.len() < usize::from(PAGE);
        page.into_iter().map(Arc::new).for_each(|event| self.take(&event));
        if whole {
            self.read = self.read.max(head);
            self.stage = Stage::Live(receiver);
        }
        Ok(())
    }

    async fn hear(&mut self) {
        let Stage::Live(receiver) = &mut self.stage else { return };
        let heard = tokio::select! {
            () = self.seat.tail.closed.cancelled() => return,
            heard = receiver.recv() => heard,
        };
        match heard {
            Ok(chunk) => chunk.iter().for_each(|event| self.take(event)),
            Err(RecvError::Lagged(_) | RecvError::Closed) => self.stage = Stage::Behind,
        }
    }

    fn take(&mut self, event: &Arc<StoredEvent>) {
        if event.position > self.read {
            self.read = event.position;
            if self.filter.lets(event) {
                self.ready.push_back(Followed::Event(Arc::clone(event)));
            }
        }
    }
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").field("read", &self.read).finish_non_exhaustive()
    }
}
