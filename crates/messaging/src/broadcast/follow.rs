//! What becomes of the messages, read from the event log.

use std::collections::{BTreeMap, HashMap};

use kabar_core::{BroadcastId, MessageId, Scope, StoreError, Timestamp};
use kabar_events::StoredEvent;
use serde::Deserialize;

use super::line::{Fate, PAUSED, withdraw};
use super::recipient::{Recipient, RecipientState};
use super::service::{Broadcasts, SYSTEM, TRIES};
use super::{BroadcastState, BroadcastUse, Counts};
use crate::message::Status;

/// Events that are read in one unit of work.
const BATCH: u16 = 1_000;
/// The kind of event that tells how far a message got.
const STATUS: &str = "message.status";

/// What is read of an event about a message's status.
#[derive(Debug, Deserialize)]
struct News {
    message_id: MessageId,
    status: Status,
    /// The status before.
    #[serde(default)]
    previous: Option<Status>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    broadcast_id: Option<BroadcastId>,
}

impl News {
    /// How far it says that the message got. PostgreSQL's log is in the order of transactions, which
    /// is not that of commits: what a later commit tells can be read first, and must stand.
    const fn rank(&self) -> u8 {
        match (self.status, &self.previous) {
            // The network took it and failed afterwards.
            (Status::Failed, Some(previous)) if previous.rank() > 0 => rank(Status::Sent) + 1,
            (status, _) => rank(status),
        }
    }
}

/// Twice the rank on the road of delivery, so that there is room between two.
const fn rank(status: Status) -> u8 {
    2 * status.rank()
}

/// How far a step came; with what it read, and at least 1 when the log had grown.
enum Read {
    /// To the end, as it was when the step began.
    All(usize),
    /// There is more.
    Part(usize),
}

impl Broadcasts {
    /// Reads on in the event log and counts what became of broadcasts' messages; returns 0 when
    /// there was nothing new, or when another node is at it: one does it at a time.
    ///
    /// # Errors
    /// What storage says.
    pub async fn follow(&self) -> Result<usize, StoreError> {
        let (mut all, mut tries) = (0, 1);
        loop {
            match self.follow_some().await {
                Ok(Read::All(read)) => return Ok(all + read),
                Ok(Read::Part(read)) => {
                    all += read;
                    tries = 1;
                }
                Err(StoreError::Contended(_)) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads before it writes: most events are not of broadcasts, and who writes keeps others waiting.
    async fn follow_some(&self) -> Result<Read, StoreError> {
        let now = self.clock.now();
        let work = self.store.read().await?;
        let from = work.following(SYSTEM).seen().await?;
        let end = work.events().end(SYSTEM).await?;
        if end <= from {
            return Ok(Read::All(0));
        }
        let events = work.events().read_kind(SYSTEM, STATUS, (from, end), BATCH).await?;
        drop(work);
        let read = match events.last() {
            Some(last) if events.len() == usize::from(BATCH) => {
                (last.position, Read::Part(events.len()))
            }
            _ => (end, Read::All(events.len().max(1))),
        };
        let news = last_of_each(&events);
        let work = self.store.begin().await?;
        let Some(position) = work.following(SYSTEM).position().await? else {
            return Ok(Read::All(0));
        };
        if position != from {
            // Another node read on: it does it.
            return Ok(Read::All(0));
        }
        if !news.is_empty() {
            take_note(&*work, &news, now).await?;
        }
        work.following(SYSTEM).advance(read.0).await?;
        work.commit().await?;
        Ok(read.1)
    }
}

/// The last that was heard of each message of a broadcast.
fn last_of_each(events: &[StoredEvent]) -> HashMap<MessageId, (News, Scope)> {
    let mut news = HashMap::new();
    for event in events {
        if event.data.get("broadcast_id").is_none() {
            continue;
        }
        match serde_json::from_value::<News>(event.data.clone()) {
            Ok(read) => {
                let known =
                    news.get(&read.message_id).map_or(0, |(known, _): &(News, _)| known.rank());
                if known <= read.rank() {
                    news.insert(read.message_id, (read, SYSTEM.within(event.account)));
                }
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "broadcasts.follow");
            }
        }
    }
    news
}

async fn take_note(
    work: &(dyn BroadcastUse + '_),
    news: &HashMap<MessageId, (News, Scope)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    hold_back(work, news, now).await?;
    let mut ids: Vec<MessageId> = news.keys().copied().collect();
    ids.sort_unstable();
    let recipients = work.following(SYSTEM).by_messages(&ids).await?;
    let mut changes: BTreeMap<BroadcastId, (Scope, Counts, Vec<Recipient>)> = BTreeMap::new();
    for mut recipient in recipients {
        let heard = recipient.message.and_then(|id| news.get(&id));
        let Some((heard, scope)) = heard else { continue };
        let state = RecipientState::of(heard.status);
        if recipient.state.rank() > heard.rank() {
            continue;
        }
        if (recipient.state, &recipient.reason) == (state, &heard.reason) {
            continue;
        }
        let (_, counts, changed) = changes
            .entry(recipient.broadcast)
            .or_insert_with(|| (*scope, Counts::default(), Vec::new()));
        counts.leave(&recipient);
        recipient.state = state;
        recipient.reason.clone_from(&heard.reason);
        recipient.detail = None;
        recipient.updated_at = now;
        counts.enter(&recipient);
        changed.push(recipient);
    }
    for (broadcast, (scope, counts, changed)) in changes {
        work.recipients(scope).save(&changed).await?;
        work.broadcasts(scope).count(broadcast, &counts).await?;
    }
    Ok(())
}

/// A message that was in a node's hands when its broadcast was stopped, and came back into its
/// line, is taken out of it now.
async fn hold_back(
    work: &(dyn BroadcastUse + '_),
    news: &HashMap<MessageId, (News, Scope)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let waits = |news: &News| news.status.is_waiting() && news.reason.as_deref() != Some(PAUSED);
    let back: BTreeMap<BroadcastId, Scope> = news
        .values()
        .filter(|(news, _)| waits(news))
        .filter_map(|(news, scope)| Some((news.broadcast_id?, *scope)))
        .collect();
    for (id, scope) in back {
        let Some(broadcast) = work.broadcasts(scope).lock(id).await? else { continue };
        let fate = match broadcast.state {
            BroadcastState::Paused => Fate::Pause,
            BroadcastState::Cancelled => Fate::Cancel,
            _ => continue,
        };
        withdraw(work, scope, id, fate, now).await?;
    }
    Ok(())
}
