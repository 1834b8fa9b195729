//! Reading devices of whatever tenant.

use kabar_channel::{ChannelKind, DeviceAddress};
use kabar_core::{Clock as _, DeviceId};
use kabar_devices::{Device, DeviceState};

use super::Fleet;
use crate::accounts::{grant, provider};

pub(super) async fn contract(fleet: &Fleet) {
    devices_are_found_by_every_name(fleet).await;
    a_state_changes_once(fleet).await;
}

fn ids(devices: &[Device]) -> Vec<DeviceId> {
    let mut ids: Vec<DeviceId> = devices.iter().map(|device| device.id).collect();
    ids.sort();
    ids
}

async fn devices_are_found_by_every_name(fleet: &Fleet) {
    let (one, two) =
        (fleet.tenancy.account("Found 1").await, fleet.tenancy.account("Found 2").await);
    let (a, b) = (fleet.device(one, "3001").await.device, fleet.device(two, "3002").await.device);
    let gone = fleet.device(two, "3003").await.device;
    fleet.devices.remove(&grant(two), gone.id).await.unwrap();

    let work = fleet.store.read().await.unwrap();
    let mut registry = work.device_registry(provider());
    let found = registry.by_ids(&[a.id, b.id, gone.id]).await.unwrap();
    assert_eq!(ids(&found), [a.id, b.id]);
    let address = |address: &str| DeviceAddress {
        channel: ChannelKind::CLOUD_API,
        address: address.to_owned(),
    };
    let wanted = [address("3001"), address("3002"), address("3003"), address("3")];
    let found = registry.by_addresses(&wanted).await.unwrap();
    assert_eq!(ids(&found), [a.id, b.id]);
    let found = ids(&registry.by_parent("900").await.unwrap());
    assert!(found.contains(&a.id) && found.contains(&b.id) && !found.contains(&gone.id));
    assert!(registry.by_ids(&[]).await.unwrap().is_empty());
    assert!(registry.by_addresses(&[]).await.unwrap().is_empty());
}

async fn a_state_changes_once(fleet: &Fleet) {
    let account = fleet.tenancy.account("State").await;
    let device = fleet.device(account, "3004").await.device;
    let now = fleet.tenancy.clock.now();
    let work = fleet.store.begin().await.unwrap();
    let mut registry = work.device_registry(provider());
    for changed in [true, false] {
        let set = registry.set_state(device.id, DeviceState::Banned, Some("131031"), now);
        assert_eq!(set.await.unwrap(), changed);
    }
    drop(registry);
    work.commit().await.unwrap();
    let banned = fleet.devices.get(&grant(account), device.id).await.unwrap();
    assert_eq!(banned.state, DeviceState::Banned);
    assert_eq!(banned.state_reason.as_deref(), Some("131031"));
}
