//! Paired sessions: leases, and the vault.
//!
//! # Locks on PostgreSQL
//! A write to the vault takes `FOR KEY SHARE` on the device's lease, in the statement that compares
//! the token. A takeover takes `FOR UPDATE`, which waits for it, or with `SKIP LOCKED` passes over
//! it. A renewal changes no key, so writers and renewals never wait for each other.
//!
//! A process that freezes with a transaction of either kind open loses it after [`FROZEN`], long before
//! its lease is over.

mod change;
mod lease;
mod rotate;
mod row;
mod vault;

use kabar_core::{DeviceId, InstallationScope, StoreError};
use kabar_devices::{LeaseRepo, LeasesWork};

pub(crate) use rotate::{Reached, keys_in_use, reseal};

use crate::raw::Sql;
use crate::unit::Unit;

const VALUES: &str = "session_values";

/// How long PostgreSQL leaves a transaction of the vault or of leases open in which nothing happens,
/// and how long its statements wait for a lock: less than half of the time after which a node stops by
/// itself (5 s), a quarter of a lease (8 s).
const FROZEN: &str = "2s";

/// The query that limits a transaction on PostgreSQL, so that a process that freezes in it keeps nobody
/// from its sessions.
fn limits() -> String {
    format!(
        "SELECT set_config('lock_timeout', '{FROZEN}', true), \
         set_config('idle_in_transaction_session_timeout', '{FROZEN}', true)"
    )
}

impl LeasesWork for Unit {
    fn leases(&self, _scope: InstallationScope) -> Box<dyn LeaseRepo + '_> {
        Box::new(lease::SeaLeases { unit: self })
    }
}

/// Erases a device's session; whoever runs it can write no more.
pub(crate) async fn erase(unit: &Unit, device: DeviceId) -> Result<(), StoreError> {
    let mut lock = Sql::new(unit.tx());
    lock.push("SELECT device_id FROM session_leases WHERE device_id = ")
        .bind(device.uuid())
        .on_postgres(" FOR UPDATE");
    if unit.rows(lock).await?.is_empty() {
        return Ok(());
    }
    let mut take = Sql::new(unit.tx());
    take.push(
        "UPDATE session_leases SET wanted = FALSE, node = NULL, fence = fence + 1, free_at = 0 \
         WHERE device_id = ",
    )
    .bind(device.uuid());
    let mut values = Sql::new(unit.tx());
    values.push("DELETE FROM session_values WHERE device_id = ").bind(device.uuid());
    unit.execute_all(vec![take, values]).await.map(|_| ())
}
