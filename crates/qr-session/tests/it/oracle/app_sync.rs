//! What phone and companions share.

use std::collections::BTreeMap;

use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::error::Result;
use wacore::store::traits::{AppStateSyncKey, AppSyncStore as _};

use super::{Both, Dice, same};

pub(super) const METHODS: &[&str] = &[
    "get_sync_key",
    "set_sync_key",
    "get_version",
    "set_version",
    "put_mutation_macs",
    "get_mutation_mac",
    "get_mutation_macs",
    "delete_mutation_macs",
    "clear_mutation_macs",
    "get_latest_sync_key_id",
];

/// One entry at most: the order of more is not told.
fn state(dice: &mut Dice) -> HashState {
    let mut state = HashState { version: dice.below(9), ..HashState::default() };
    state.hash = [dice.array()[0]; 128];
    state.mac_mismatch_fatal = dice.flag();
    if dice.flag() {
        state.index_value_map.insert(dice.word().to_owned(), dice.bytes());
    }
    state
}

pub(super) async fn call(both: &Both, method: &str, dice: &mut Dice) -> bool {
    let (name, id, mac) = (dice.word(), dice.array(), dice.array());
    match method {
        "get_sync_key" => same!(both, |store| store.get_sync_key(&id)),
        "set_sync_key" => {
            let key = AppStateSyncKey {
                key_data: dice.bytes(),
                fingerprint: dice.bytes(),
                timestamp: dice.time(),
            };
            same!(both, |store| store.set_sync_key(&id, key.clone()));
        }
        "get_version" => same!(both, |store| store.get_version(name)),
        "set_version" => {
            let state = state(dice);
            same!(both, |store| store.set_version(name, state.clone()));
        }
        "put_mutation_macs" => {
            let macs = dice.some(|dice| AppStateMutationMAC {
                index_mac: dice.array().to_vec(),
                value_mac: dice.bytes(),
            });
            same!(both, |store| store.put_mutation_macs(name, 1, &macs));
        }
        "get_mutation_mac" => same!(both, |store| store.get_mutation_mac(name, &mac)),
        "get_mutation_macs" => {
            let macs = dice.some(Dice::array);
            same!(both, |store| async {
                let found = store.get_mutation_macs(name, &macs).await?;
                Result::Ok(found.into_iter().collect::<BTreeMap<_, _>>())
            });
        }
        "delete_mutation_macs" => {
            let macs = dice.some(|dice| dice.array().to_vec());
            same!(both, |store| store.delete_mutation_macs(name, &macs));
        }
        "clear_mutation_macs" => same!(both, |store| store.clear_mutation_macs(name)),
        "get_latest_sync_key_id" => same!(both, |store| store.get_latest_sync_key_id()),
        _ => return false,
    }
    true
}
