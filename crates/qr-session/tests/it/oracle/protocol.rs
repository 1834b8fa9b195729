//! What WhatsApp Web keeps beside Signal.

use wacore::store::error::Result;
use wacore::store::traits::{
    DeviceInfo, DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow,
    ProtocolStore as _, TcTokenEntry,
};
use wacore::time::now_secs;

use super::{Both, Dice, same};

pub(super) const METHODS: &[&str] = &[
    "get_sender_key_devices",
    "set_sender_key_status",
    "clear_sender_key_devices",
    "delete_sender_key_device_rows",
    "clear_all_sender_key_devices",
    "get_lid_mapping",
    "get_pn_mapping",
    "put_lid_mapping",
    "put_lid_mappings",
    "get_all_lid_mappings",
    "save_base_key",
    "has_same_base_key",
    "delete_base_key",
    "update_device_list",
    "update_device_lists",
    "get_devices",
    "delete_devices",
    "get_group_metadata",
    "put_group_metadata",
    "delete_group_metadata",
    "get_tc_token",
    "put_tc_token",
    "delete_tc_token",
    "get_all_tc_token_jids",
    "delete_expired_tc_tokens",
    "touch_tc_token_sender_timestamp",
    "store_received_tc_token",
    "store_sent_message",
    "take_sent_message",
    "delete_expired_sent_messages",
    "store_pending_inbound",
    "get_pending_inbound",
    "delete_pending_inbound",
    "delete_expired_pending_inbound",
    "store_pending_inbound_batch",
    "delete_pending_inbound_batch",
];

fn list(dice: &mut Dice) -> DeviceListRecord {
    DeviceListRecord {
        user: dice.user().to_owned(),
        devices: dice.some(|dice| DeviceInfo::new(dice.id(), None).with_hosting(dice.flag())),
        timestamp: dice.time(),
        phash: dice.flag().then(|| dice.word().to_owned()),
        raw_id: dice.flag().then(|| dice.id()),
    }
}

fn entry(dice: &mut Dice) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: dice.one_of(&["A", "B", "C"]).to_owned(),
        phone_number: dice.one_of(&["1", "2", "3"]).to_owned(),
        created_at: dice.time(),
        updated_at: dice.time(),
        learning_source: dice.word().to_owned(),
    }
}

/// Learns a linked id's number, unless the oracle would forget whose number the old one is: it does
/// so although another linked id got that number since. The vault remembers (see `pinned`).
fn learn(both: &mut Both, entry: &LidPnMappingEntry) -> bool {
    let (lid, number) = (entry.lid.clone(), entry.phone_number.clone());
    if let Some(old) = both.linked.get(&lid).filter(|old| **old != number).cloned() {
        if both.numbers.get(&old).is_some_and(|owner| *owner != lid) {
            return false;
        }
        both.numbers.remove(&old);
    }
    both.numbers.insert(number.clone(), lid.clone());
    both.linked.insert(lid, number);
    true
}

pub(super) async fn call(both: &mut Both, method: &str, dice: &mut Dice) -> bool {
    let (group, user, bytes) = (dice.jid(), dice.user(), dice.bytes());
    match method {
        "get_sender_key_devices" => same!(both, |store| async {
            let mut devices = store.get_sender_key_devices(group).await?;
            devices.sort();
            Result::Ok(devices)
        }),
        "set_sender_key_status" => {
            let entries = dice.some(|dice| (dice.jid(), dice.flag()));
            same!(both, |store| store.set_sender_key_status(group, &entries));
        }
        "clear_sender_key_devices" => {
            same!(both, |store| store.clear_sender_key_devices(group));
        }
        "delete_sender_key_device_rows" => {
            let devices = dice.some(Dice::jid);
            same!(both, |store| store.delete_sender_key_device_rows(&devices));
        }
        "clear_all_sender_key_devices" => {
            same!(both, |store| store.clear_all_sender_key_devices());
        }
        "update_device_list" => {
            let record = list(dice);
            same!(both, |store| store.update_device_list(record.clone()));
        }
        "update_device_lists" => {
            let records = dice.some(list);
            same!(both, |store| store.update_device_lists(records.clone()));
        }
        "get_devices" => same!(both, |store| store.get_devices(user)),
        "delete_devices" => same!(both, |store| store.delete_devices(user)),
        "get_group_metadata" => same!(both, |store| store.get_group_metadata(group)),
        "put_group_metadata" => same!(both, |store| store.put_group_metadata(group, &bytes)),
        "delete_group_metadata" => same!(both, |store| store.delete_group_metadata(group)),
        _ => return linked(both, method, dice).await || tokens(both, method, dice).await,
    }
    true
}

async fn linked(both: &mut Both, method: &str, dice: &mut Dice) -> bool {
    match method {
        "get_lid_mapping" => {
            let lid = dice.one_of(&["A", "B", "C", "D"]);
            same!(both, |store| store.get_lid_mapping(lid));
        }
        "get_pn_mapping" => {
            let number = dice.one_of(&["1", "2", "3", "4"]);
            same!(both, |store| store.get_pn_mapping(number));
        }
        "put_lid_mapping" => {
            let entry = entry(dice);
            if learn(both, &entry) {
                same!(both, |store| store.put_lid_mapping(&entry));
            }
        }
        "put_lid_mappings" => {
            let mut entries = dice.some(entry);
            entries.retain(|entry| learn(both, entry));
            same!(both, |store| store.put_lid_mappings(&entries));
        }
        "get_all_lid_mappings" => same!(both, |store| async {
            let mut all = store.get_all_lid_mappings().await?;
            all.sort_by(|one, other| one.lid.cmp(&other.lid));
            Result::Ok(all)
        }),
        _ => return false,
    }
    true
}

async fn tokens(both: &Both, method: &str, dice: &mut Dice) -> bool {
    let (jid, at, token) = (dice.jid(), dice.time(), dice.bytes());
    match method {
        "get_tc_token" => same!(both, |store| store.get_tc_token(jid)),
        "put_tc_token" => {
            let sender_timestamp = dice.flag().then(|| dice.time());
            let entry = TcTokenEntry { token, token_timestamp: at, sender_timestamp };
            same!(both, |store| store.put_tc_token(jid, &entry));
        }
        "delete_tc_token" => same!(both, |store| store.delete_tc_token(jid)),
        "get_all_tc_token_jids" => same!(both, |store| async {
            let mut all = store.get_all_tc_token_jids().await?;
            all.sort();
            Result::Ok(all)
        }),
        "delete_expired_tc_tokens" => {
            let sender = dice.time();
            same!(both, |store| store.delete_expired_tc_tokens(at, sender));
        }
        "touch_tc_token_sender_timestamp" => {
            same!(both, |store| store.touch_tc_token_sender_timestamp(jid, at));
        }
        "store_received_tc_token" => {
            same!(both, |store| store.store_received_tc_token(jid, &token, at));
        }
        _ => return false,
    }
    true
}

/// A moment before all that was stored by the clock, or behind it.
fn cutoff(dice: &mut Dice) -> i64 {
    // Rarely behind: it removes all there is.
    if dice.below(4) == 0 { now_secs() + 3_600 } else { now_secs() - 3_600 }
}

/// Messages under way.
pub(super) async fn call_under_way(both: &Both, method: &str, dice: &mut Dice) -> bool {
    let (chat, sender, id, bytes) = (dice.jid(), dice.word(), dice.word(), dice.bytes());
    match method {
        "save_base_key" => same!(both, |store| store.save_base_key(chat, id, &bytes)),
        "has_same_base_key" => {
            let key = dice.one_of(&[&b""[..], b"k"]);
            same!(both, |store| store.has_same_base_key(chat, id, key));
        }
        "delete_base_key" => same!(both, |store| store.delete_base_key(chat, id)),
        "store_sent_message" => same!(both, |store| store.store_sent_message(chat, id, &bytes)),
        "take_sent_message" => same!(both, |store| store.take_sent_message(chat, id)),
        "delete_expired_sent_messages" => {
            let cutoff = cutoff(dice);
            same!(both, |store| store.delete_expired_sent_messages(cutoff));
        }
        "store_pending_inbound" => {
            same!(both, |store| store.store_pending_inbound(chat, sender, id, &bytes));
        }
        "get_pending_inbound" => same!(both, |store| store.get_pending_inbound(chat, sender, id)),
        "delete_pending_inbound" => {
            same!(both, |store| store.delete_pending_inbound(chat, sender, id));
        }
        "delete_expired_pending_inbound" => {
            let cutoff = cutoff(dice);
            same!(both, |store| store.delete_expired_pending_inbound(cutoff));
        }
        "store_pending_inbound_batch" => {
            let message = bytes.as_slice();
            let rows = dice.some(|dice| {
                let (chat, sender, id) = (dice.jid(), dice.word(), dice.word());
                PendingInboundRow { chat, sender, id, message }
            });
            same!(both, |store| store.store_pending_inbound_batch(&rows));
        }
        "delete_pending_inbound_batch" => {
            let keys = dice.some(|dice| {
                let (chat, sender, id) = (dice.jid(), dice.word(), dice.word());
                PendingInboundKey { chat, sender, id }
            });
            same!(both, |store| store.delete_pending_inbound_batch(&keys));
        }
        _ => return false,
    }
    true
}
