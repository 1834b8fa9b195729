//! Recipients become rows.

use std::collections::{BTreeMap, HashMap, HashSet};

use kabar_contacts::contact::IdentityKind;
use kabar_contacts::{Contact, Numbers};
use kabar_core::{ContactId, PhoneNumber, Scope, StoreError, Timestamp};
use kabar_devices::Device;

use super::recipient::{Recipient, RecipientState, RecipientTarget, Source};
use super::service::SYSTEM;
use super::{Broadcast, BroadcastUse, Counts, Plan};

/// The most characters that are kept of what is no number.
const WRITTEN: usize = 64;
/// Why a row is nobody, and what to do about it.
const UNREADABLE: &str = "not a phone number; write it with its country code, like +628123456789";

/// Somebody, with values for them alone.
pub(super) type Row = (RecipientTarget, BTreeMap<String, String>);

/// The devices of a plan that exist.
pub(super) async fn devices(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    plan: &Plan,
) -> Result<Vec<Device>, StoreError> {
    let mut found = work.device_registry(SYSTEM).by_ids(&plan.devices()).await?;
    found.retain(|device| device.account == scope.account());
    Ok(found)
}

/// The country in which the account's national numbers are read.
pub(super) async fn country(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
) -> Result<Option<String>, StoreError> {
    Ok(work.account(scope).get().await?.and_then(|account| account.country))
}

/// How contacts are named as recipients: by their number where they have one, so that a number is
/// the same recipient however it came.
pub(super) async fn contact_targets(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    ids: &[ContactId],
) -> Result<HashMap<ContactId, RecipientTarget>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let contacts = work.contacts(scope).by_ids(ids).await?;
    Ok(contacts.iter().map(|contact| (contact.id, contact_target(contact))).collect())
}

pub(super) fn contact_target(contact: &Contact) -> RecipientTarget {
    let phone = contact.identity(IdentityKind::Phone);
    match phone.and_then(|phone| phone.parse::<PhoneNumber>().ok()) {
        Some(phone) => RecipientTarget::Phone(phone),
        None => RecipientTarget::Contact(contact.id),
    }
}

/// Reads a number as people write it.
pub(super) fn number(text: &str, numbers: &Numbers) -> RecipientTarget {
    if let Ok(phone) = numbers.read(text) {
        RecipientTarget::Phone(phone)
    } else {
        let written = text.chars().filter(|c| !c.is_control()).take(WRITTEN).collect();
        RecipientTarget::Nobody(written)
    }
}

/// Stores rows at the next positions of a broadcast that is locked; says who is nobody and who is
/// there already. The caller stores the broadcast.
pub(super) async fn add_rows(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    broadcast: &mut Broadcast,
    source: Source,
    rows: Vec<Row>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let keys: Vec<String> = rows.iter().filter_map(|(target, _)| target.key()).collect();
    let taken = work.recipients(scope).taken(broadcast.id, &keys).await?;
    let mut seen: HashSet<String> = taken.into_iter().collect();
    let mut counts = Counts::default();
    let mut recipients = Vec::with_capacity(rows.len());
    for (target, variables) in rows {
        let (state, reason, detail) = match target.key() {
            None => (RecipientState::Invalid, Some("invalid_number"), Some(UNREADABLE)),
            Some(key) if !seen.insert(key.clone()) => (RecipientState::Duplicate, None, None),
            Some(_) => (RecipientState::Waiting, None, None),
        };
        let contact = match target {
            RecipientTarget::Contact(id) => Some(id),
            _ => None,
        };
        let recipient = Recipient {
            broadcast: broadcast.id,
            position: broadcast.course.next_position,
            source,
            target,
            contact,
            variables,
            state,
            reason: reason.map(str::to_owned),
            detail: detail.map(str::to_owned),
            device: None,
            message: None,
            previous: None,
            attempt: 0,
            updated_at: now,
        };
        broadcast.course.next_position += 1;
        counts.enter(&recipient);
        recipients.push(recipient);
    }
    work.recipients(scope).insert(&recipients).await?;
    work.broadcasts(scope).count(broadcast.id, &counts).await
}
