//! A broadcast's messages in the lines of their chats: taken out, and put back.

use std::collections::BTreeSet;

use kabar_channel::Reason;
use kabar_core::{BroadcastId, InstallationScope, MessageId, Scope, StoreError, Timestamp};

use super::BroadcastUse;
use crate::message::{Lane, Message, Status};
use crate::repo::LaneEntry;
use crate::send::{Before, lane_entry};

/// The code of the reason of messages that wait because their broadcast is paused.
pub(crate) const PAUSED: &str = "broadcast_paused";
/// The code of the reason of messages that were to be tried again when their broadcast was cancelled.
const CANCELLED: &str = "broadcast_cancelled";
/// Messages that are changed in one go.
const BATCH: u32 = 2_000;
const OUTBOX: InstallationScope = InstallationScope::system("broadcasts");

/// What becomes of messages that are taken out of their lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// They are put back later.
    Pause,
    /// They are not sent.
    Cancel,
}

/// Takes a broadcast's messages out of their lines, but for those whose send has begun: what a node
/// took in hand and did not begin to send would be sent by whoever comes after it, should it die.
/// Returns how many.
pub(super) async fn withdraw(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    broadcast: BroadcastId,
    fate: Fate,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut all = 0;
    loop {
        let mut ids = work.broadcasts(scope).waiting(broadcast, BATCH).await?;
        if fate == Fate::Cancel {
            ids.extend(work.broadcasts(scope).withdrawn(broadcast, BATCH).await?);
        }
        let taken = take_out(work, &mut ids, fate, now).await?;
        all += taken;
        if taken == 0 {
            return Ok(all);
        }
    }
}

async fn take_out(
    work: &(dyn BroadcastUse + '_),
    ids: &mut [MessageId],
    fate: Fate,
    now: Timestamp,
) -> Result<usize, StoreError> {
    ids.sort_unstable();
    let mut messages = work.outbox(OUTBOX).lock(ids).await?;
    // A node may have begun to send one since.
    messages.retain(Message::can_be_withdrawn);
    let before = Before::of(&messages);
    for message in &mut messages {
        let again = message.status == Status::Processing && message.attempts > 1;
        if message.status == Status::Processing {
            // What was not begun was no try.
            message.attempts = message.attempts.saturating_sub(1);
        }
        match fate {
            // The try before may have been in doubt: under *resend* nothing else tells.
            Fate::Cancel if again => {
                message.leave_line(Status::Uncertain, now);
                message.reason = Some(Reason::new(CANCELLED, "its broadcast was cancelled"));
            }
            Fate::Cancel => message.leave_line(Status::Cancelled, now),
            Fate::Pause => {
                message.leave_line(Status::Held, now);
                message.reason = Some(Reason::new(PAUSED, "its broadcast is paused"));
            }
        }
    }
    store(work, &messages, &before, now).await?;
    let lanes: BTreeSet<Lane> = messages.iter().map(Message::lane).collect();
    let lanes: Vec<Lane> = lanes.into_iter().collect();
    work.outbox(OUTBOX).settle(&lanes).await?;
    Ok(messages.len())
}

/// Puts what was withdrawn back into the lines; it is worth sending for as long as it was before.
pub(super) async fn put_back(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    broadcast: BroadcastId,
    now: Timestamp,
) -> Result<(), StoreError> {
    loop {
        let mut ids = work.broadcasts(scope).withdrawn(broadcast, BATCH).await?;
        if ids.is_empty() {
            return Ok(());
        }
        ids.sort_unstable();
        let mut messages = work.outbox(OUTBOX).lock(&ids).await?;
        let before = Before::of(&messages);
        for message in &mut messages {
            let lifetime = message.expires_at.map(|at| at - message.due_at);
            message.status = Status::Pending;
            message.queued = true;
            message.reason = None;
            message.due_at = message.due_at.max(now);
            message.next_at = message.due_at;
            message.expires_at = lifetime.map(|lifetime| message.due_at + lifetime);
            message.updated_at = now;
        }
        store(work, &messages, &before, now).await?;
        let entries: Vec<LaneEntry> = one_a_lane(&messages);
        work.outbox(OUTBOX).put(&entries).await?;
    }
}

async fn store(
    work: &(dyn BroadcastUse + '_),
    messages: &[Message],
    before: &Before,
    now: Timestamp,
) -> Result<(), StoreError> {
    if messages.is_empty() {
        return Ok(());
    }
    work.outbox(OUTBOX).save(messages).await?;
    work.events().append(&before.events(messages, now)).await
}

/// A statement may touch a lane once only.
fn one_a_lane(messages: &[Message]) -> Vec<LaneEntry> {
    let mut entries: Vec<LaneEntry> = messages.iter().map(lane_entry).collect();
    entries.sort_by_key(|entry| (entry.lane, entry.ready_at));
    entries.dedup_by_key(|entry| entry.lane);
    entries
}
