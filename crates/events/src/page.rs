//! One part of the log at a time, for those who ask rather than follow.

use kabar_core::StoreError;

use crate::tail::{PAGE, SCOPE};
use crate::{EventFilter, EventLog, Position, Reach, StoredEvent};

/// Reads for one page at most: a filter that lets little through does not read the whole log at once.
const READS: usize = 20;

/// A part of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events, oldest first. With a filter there may be fewer than asked for, even none, while
    /// there is more: `next` tells.
    pub events: Vec<StoredEvent>,
    /// Where to go on; the position that was asked for when there was nothing behind it.
    pub next: Position,
    /// Whether something behind the position that was asked for is not there any more, or the
    /// position was never one of this log.
    pub gap: bool,
}

impl Reach {
    /// At most `limit` events behind a position.
    ///
    /// # Errors
    /// What storage says.
    pub async fn page(
        &self,
        log: &mut dyn EventLog,
        filter: &EventFilter,
        after: Position,
        limit: u16,
    ) -> Result<EventPage, StoreError> {
        let start = self.resumable(log, after).await?;
        let mut page = EventPage { events: Vec::new(), next: start, gap: start != after };
        let per_read = if *filter == EventFilter::default() { limit } else { PAGE };
        for _ in 0..READS {
            let events = self.read(log, page.next, per_read).await?;
            let more = events.len() == usize::from(per_read);
            for event in events {
                page.next = event.position;
                if filter.lets(&event) {
                    page.events.push(event);
                }
                if page.events.len() == usize::from(limit) {
                    return Ok(page);
                }
            }
            if !more {
                break;
            }
        }
        Ok(page)
    }

    pub(crate) async fn read(
        &self,
        log: &mut dyn EventLog,
        after: Position,
        limit: u16,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        match self {
            Self::Account(grant) => log.read(grant.scope(), after, limit).await,
            Self::Installation(scope) => log.read_all(*scope, after, limit).await,
        }
    }

    /// From where one who stood at a position can go on; elsewhere than there when events behind it
    /// were removed, or when it was never a position of this log.
    pub(crate) async fn resumable(
        &self,
        log: &mut dyn EventLog,
        after: Position,
    ) -> Result<Position, StoreError> {
        if after == Position::default() {
            return Ok(after);
        }
        let removed = match self {
            Self::Account(grant) => log.removed(grant.scope()).await?,
            Self::Installation(scope) => log.removed_all(*scope).await?,
        };
        if after < removed {
            return Ok(removed);
        }
        Ok(after.min(log.end(SCOPE).await?))
    }
}
