//! News of messages that we sent.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kabar_channel::incoming::Delivery;
use kabar_channel::{IntakeReport, StatusUpdate};
use kabar_core::{DeviceId, IdSource, MessageId, StoreError, Timestamp};
use kabar_devices::Device;

use super::{Road, SCOPE};
use crate::message::{Lane, Message, Status};
use crate::repo::{ParkedStatus, Receipt, RoadWork, Touch};
use crate::send::status_event;
use crate::status;

pub(super) async fn store(
    road: &Road<'_>,
    statuses: Vec<(Device, StatusUpdate)>,
    report: &mut IntakeReport,
) -> Result<(), StoreError> {
    if statuses.is_empty() {
        return Ok(());
    }
    let statuses: Vec<(DeviceId, StatusUpdate)> =
        statuses.into_iter().map(|(device, status)| (device.id, status)).collect();
    let applied = apply(road.work, statuses, road.now).await?;
    report.statuses += applied.changed;
    report.repeated += applied.unchanged;
    report.parked += applied.unknown.len();
    if !applied.unknown.is_empty() {
        let parked = park(applied.unknown, road.ids, road.now);
        road.work.inbox(SCOPE).park(&parked).await?;
    }
    Ok(())
}

fn park(
    unknown: Vec<(DeviceId, StatusUpdate)>,
    ids: &dyn IdSource,
    now: Timestamp,
) -> Vec<ParkedStatus> {
    unknown
        .into_iter()
        .map(|(device, status)| ParkedStatus { id: ids.next(), device, status, at: now })
        .collect()
}

/// Applies the parked statuses of messages that are known now; returns how many.
pub(crate) async fn unpark(
    work: &(dyn RoadWork + '_),
    wire_ids: &[(DeviceId, String)],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let parked = work.inbox(SCOPE).take_parked(wire_ids).await?;
    if parked.is_empty() {
        return Ok(0);
    }
    let statuses = parked.into_iter().map(|parked| (parked.device, parked.status)).collect();
    let applied = apply(work, statuses, now).await?;
    Ok(applied.changed + applied.unchanged)
}

struct Applied {
    changed: usize,
    unchanged: usize,
    unknown: Vec<(DeviceId, StatusUpdate)>,
}

async fn apply(
    work: &(dyn RoadWork + '_),
    statuses: Vec<(DeviceId, StatusUpdate)>,
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let mut found = find(work, &statuses).await?;
    let mut changed = BTreeSet::new();
    let mut applied = Applied { changed: 0, unchanged: 0, unknown: Vec::new() };
    let mut events = Vec::new();
    let mut receipts = Vec::new();
    for (device, update) in statuses {
        let Some(message) = found.of(device, &update) else {
            applied.unknown.push((device, update));
            continue;
        };
        receipts.extend(receipt(message, &update, now));
        let before = message.standing();
        if !status::apply(message, &update, now) {
            applied.unchanged += 1;
            continue;
        }
        applied.changed += 1;
        changed.insert(message.id);
        if message.standing() != before {
            events.push(status_event(message, &before, now));
        }
    }
    let touches = entry_points(&found);
    let changed: Vec<Message> =
        found.messages.into_values().filter(|message| changed.contains(&message.id)).collect();
    if !changed.is_empty() {
        work.outbox(SCOPE).save(&changed).await?;
        work.events().append(&events).await?;
    }
    if !receipts.is_empty() {
        work.inbox(SCOPE).receipts(&receipts).await?;
    }
    for (account, touches) in touches {
        work.conversations(SCOPE.within(account)).touch(&touches).await?;
    }
    // Lanes come after conversations, as they do when messages are queued.
    let lanes: BTreeSet<Lane> = changed.iter().map(Message::lane).collect();
    let lanes: Vec<Lane> = lanes.into_iter().collect();
    work.outbox(SCOPE).settle(&lanes).await?;
    Ok(applied)
}

/// The messages that statuses speak of.
struct Found {
    messages: BTreeMap<MessageId, Message>,
    by_wire_id: HashMap<(DeviceId, String), MessageId>,
    entry_points: Vec<(MessageId, Timestamp)>,
}

impl Found {
    /// By our own id, which came back with the status, else by the id on the wire.
    fn of(&mut self, device: DeviceId, update: &StatusUpdate) -> Option<&mut Message> {
        let own = update.callback.as_deref().and_then(|text| text.parse::<MessageId>().ok());
        let own = own.filter(|id| self.messages.get(id).is_some_and(|m| m.device == device));
        let by_wire = || self.by_wire_id.get(&(device, update.wire_id.clone())).copied();
        let id = own.or_else(by_wire)?;
        if let Some(until) = update.entry_point_expires_at {
            self.entry_points.push((id, until));
        }
        self.messages.get_mut(&id)
    }
}

async fn find(
    work: &(dyn RoadWork + '_),
    statuses: &[(DeviceId, StatusUpdate)],
) -> Result<Found, StoreError> {
    let mut own: Vec<MessageId> = statuses
        .iter()
        .filter_map(|(_, status)| status.callback.as_deref()?.parse().ok())
        .collect();
    own.sort_unstable();
    own.dedup();
    let mut messages: BTreeMap<MessageId, Message> = BTreeMap::new();
    if !own.is_empty() {
        let locked = work.outbox(SCOPE).lock(&own).await?;
        messages.extend(locked.into_iter().map(|message| (message.id, message)));
    }
    let known = |device: DeviceId, status: &StatusUpdate| {
        let own = status.callback.as_deref().and_then(|text| text.parse::<MessageId>().ok());
        own.and_then(|id| messages.get(&id)).is_some_and(|message| message.device == device)
    };
    let mut wire_ids: Vec<(DeviceId, String)> = statuses
        .iter()
        .filter(|(device, status)| !known(*device, status))
        .map(|(device, status)| (*device, status.wire_id.clone()))
        .collect();
    wire_ids.sort_unstable();
    wire_ids.dedup();
    if !wire_ids.is_empty() {
        let locked = work.outbox(SCOPE).lock_by_wire_ids(&wire_ids).await?;
        messages.extend(locked.into_iter().map(|message| (message.id, message)));
    }
    let by_wire_id = messages
        .values()
        .filter_map(|message| Some(((message.device, message.wire_id.clone()?), message.id)))
        .collect();
    Ok(Found { messages, by_wire_id, entry_points: Vec::new() })
}

fn receipt(message: &Message, update: &StatusUpdate, now: Timestamp) -> Option<Receipt> {
    let participant = update.participant.as_ref()?;
    let name = [&participant.bsuid, &participant.lid, &participant.wa_id]
        .into_iter()
        .find_map(Clone::clone)
        .or_else(|| participant.phone.as_ref().map(|phone| phone.as_str().to_owned()))?;
    let status = match &update.delivery {
        Delivery::Sent => Status::Sent,
        Delivery::Delivered => Status::Delivered,
        Delivery::Read => Status::Read,
        Delivery::Played => Status::Played,
        Delivery::Failed(_) => Status::Failed,
        _ => return None,
    };
    Some(Receipt {
        message: message.id,
        participant: name,
        status: status.to_string(),
        at: update.at.unwrap_or(now),
    })
}

fn entry_points(found: &Found) -> Vec<(kabar_core::AccountId, Vec<Touch>)> {
    let touches = found.entry_points.iter().filter_map(|(id, until)| {
        let message = found.messages.get(id)?;
        let touch = Touch {
            conversation: Some(message.conversation),
            entry_point_expires_at: Some(*until),
            ..Touch::default()
        };
        Some((message.account, touch))
    });
    super::by_account(touches)
}
