//! Signal.

use std::sync::Arc;

use bytes::Bytes;
use wacore::store::error::Result;
use wacore::store::traits::SignalStore as _;

use super::{Both, Dice, same};

pub(super) const METHODS: &[&str] = &[
    "put_identity",
    "put_identities_batch",
    "load_identity",
    "delete_identity",
    "get_session",
    "put_session",
    "put_sessions_batch",
    "delete_session",
    "has_session",
    "has_signal_state_for_user",
    "store_prekey",
    "store_prekeys_batch",
    "load_prekey",
    "load_prekeys_batch",
    "mark_prekeys_uploaded",
    "remove_prekey",
    "get_max_prekey_id",
    "store_signed_prekey",
    "load_signed_prekey",
    "load_all_signed_prekeys",
    "remove_signed_prekey",
    "put_sender_key",
    "put_sender_keys_batch",
    "get_sender_key",
    "delete_sender_key",
];

fn entries(dice: &mut Dice) -> Vec<(Arc<str>, Bytes)> {
    dice.some(|dice| (Arc::from(dice.address()), Bytes::from(dice.bytes())))
}

pub(super) async fn call(both: &Both, method: &str, dice: &mut Dice) -> bool {
    let (address, id, bytes) = (dice.address(), dice.id(), dice.bytes());
    match method {
        "put_identity" => {
            let key = dice.array();
            same!(both, |store| store.put_identity(address, key));
        }
        "put_identities_batch" => {
            let keys: Vec<(Arc<str>, [u8; 32])> =
                dice.some(|dice| (Arc::from(dice.address()), dice.array()));
            same!(both, |store| store.put_identities_batch(&keys));
        }
        "load_identity" => same!(both, |store| store.load_identity(address)),
        "delete_identity" => same!(both, |store| store.delete_identity(address)),
        "get_session" => same!(both, |store| store.get_session(address)),
        "put_session" => same!(both, |store| store.put_session(address, &bytes)),
        "put_sessions_batch" => {
            let entries = entries(dice);
            same!(both, |store| store.put_sessions_batch(&entries));
        }
        "delete_session" => same!(both, |store| store.delete_session(address)),
        "has_session" => same!(both, |store| store.has_session(address)),
        "has_signal_state_for_user" => {
            let user = dice.user();
            same!(both, |store| store.has_signal_state_for_user(user));
        }
        "put_sender_key" => same!(both, |store| store.put_sender_key(address, &bytes)),
        "put_sender_keys_batch" => {
            let entries = entries(dice);
            same!(both, |store| store.put_sender_keys_batch(&entries));
        }
        "get_sender_key" => same!(both, |store| store.get_sender_key(address)),
        "delete_sender_key" => same!(both, |store| store.delete_sender_key(address)),
        _ => return prekeys(both, method, dice, id, &bytes).await,
    }
    true
}

async fn prekeys(both: &Both, method: &str, dice: &mut Dice, id: u32, bytes: &[u8]) -> bool {
    match method {
        "store_prekey" => {
            let uploaded = dice.flag();
            same!(both, |store| store.store_prekey(id, bytes, uploaded));
        }
        "store_prekeys_batch" => {
            let keys = dice.some(|dice| (dice.id(), Bytes::from(dice.bytes())));
            let uploaded = dice.flag();
            same!(both, |store| store.store_prekeys_batch(&keys, uploaded));
        }
        "load_prekey" => same!(both, |store| store.load_prekey(id)),
        "load_prekeys_batch" => {
            let ids = dice.some(Dice::id);
            same!(both, |store| store.load_prekeys_batch(&ids));
        }
        "mark_prekeys_uploaded" => {
            let ids = dice.some(Dice::id);
            same!(both, |store| store.mark_prekeys_uploaded(&ids));
        }
        "remove_prekey" => same!(both, |store| store.remove_prekey(id)),
        "get_max_prekey_id" => same!(both, |store| store.get_max_prekey_id()),
        "store_signed_prekey" => same!(both, |store| store.store_signed_prekey(id, bytes)),
        "load_signed_prekey" => same!(both, |store| store.load_signed_prekey(id)),
        "load_all_signed_prekeys" => same!(both, |store| async {
            let mut all = store.load_all_signed_prekeys().await?;
            all.sort();
            Result::Ok(all)
        }),
        "remove_signed_prekey" => same!(both, |store| store.remove_signed_prekey(id)),
        _ => return false,
    }
    true
}
