//! The engine's device.

use wacore::store::error::Result;
use wacore::store::traits::DeviceStore as _;

use super::{Both, Dice, same};
use crate::support::paired;

pub(super) const METHODS: &[&str] =
    &["save", "load", "exists", "create", "snapshot_db", "resource_report"];

pub(super) async fn call(both: &Both, method: &str, dice: &mut Dice) -> bool {
    match method {
        "save" => {
            let mut device = paired();
            device.login_counter = i32::try_from(dice.below(99)).unwrap();
            device.props_hash = dice.flag().then(|| dice.word().to_owned());
            same!(both, |store| store.save(&device));
        }
        // The form in which the engine stores it.
        "load" => same!(both, |store| async {
            let device = store.load().await?;
            Result::Ok(device.map(|device| serde_json::to_string(&device).unwrap()))
        }),
        "exists" => same!(both, |store| store.exists()),
        "create" => {
            // Numbers of devices mean nothing where there is one; a new device's keys are drawn.
            same!(both, |store| async { store.create().await.map(|number| number > 0) });
            let made = both.memory.load().await.unwrap().unwrap();
            both.vault.save(&made).await.unwrap();
        }
        "snapshot_db" => same!(both, |store| store.snapshot_db("name", None)),
        "resource_report" => {
            both.memory.resource_report().await;
            // What is in the database is not in this process's memory, and the vault says so.
            assert_eq!(both.vault.resource_report().await.memory_bytes, Some(0));
        }
        _ => return false,
    }
    true
}
