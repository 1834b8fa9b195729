//! Device tokens and who they let in.

use kabar_accounts::AuthError;
use kabar_core::permission::{ReadDevices, ReadMessages, WriteDevices};
use kabar_core::principal::Actor;
use kabar_core::{ExposeSecret as _, PageRequest, Secret};
use kabar_devices::DeviceError;

use super::Fleet;
use crate::accounts::{grant, provider};

pub(super) async fn contract(fleet: &Fleet) {
    a_token_reaches_its_own_device(fleet).await;
    whatever_is_wrong_looks_the_same(fleet).await;
}

async fn a_token_reaches_its_own_device(fleet: &Fleet) {
    let account = fleet.tenancy.account("Tokens").await;
    let made = fleet.device(account, "2001").await;
    let sibling = fleet.device(account, "2002").await.device;
    let token = made.token.unwrap();
    let principal = fleet.authenticator.authenticate(token.expose_secret()).await.unwrap();
    assert_eq!(principal.actor(), Actor::Device(made.device.id));
    assert!(principal.grant::<ReadMessages>(None).is_ok());
    assert!(principal.grant::<WriteDevices>(None).is_err());

    let read = principal.grant::<ReadDevices>(None).unwrap();
    assert!(fleet.devices.get(&read, made.device.id).await.is_ok());
    let other = fleet.devices.get(&read, sibling.id).await;
    assert!(matches!(other, Err(DeviceError::NotFound)), "{other:?}");
    let list = fleet.devices.list(&read, PageRequest::default()).await.unwrap();
    assert_eq!(list.items.iter().map(|d| d.id).collect::<Vec<_>>(), [made.device.id]);
}

async fn whatever_is_wrong_looks_the_same(fleet: &Fleet) {
    let account = fleet.tenancy.account("Bad tokens").await;
    let refused = async |token: &Secret, what: &str| {
        let refused = fleet.authenticator.authenticate(token.expose_secret()).await;
        assert!(matches!(refused, Err(AuthError::Unauthorized)), "{what}: {refused:?}");
    };
    let made = fleet.device(account, "2003").await;
    let old = made.token.unwrap();
    let rotated = fleet.devices.rotate_token(&grant(account), made.device.id).await.unwrap();
    let new = rotated.token.unwrap();
    assert_ne!(rotated.device.token_hint, made.device.token_hint);
    refused(&old, "rotated").await;
    assert!(fleet.authenticator.authenticate(new.expose_secret()).await.is_ok());

    let accounts = &fleet.tenancy.accounts;
    accounts.set_active(provider(), account, false).await.unwrap();
    refused(&new, "inactive account").await;
    accounts.set_active(provider(), account, true).await.unwrap();
    assert!(fleet.authenticator.authenticate(new.expose_secret()).await.is_ok());

    fleet.devices.remove(&grant(account), made.device.id).await.unwrap();
    refused(&new, "removed").await;
    refused(&Secret::from("kbd_x"), "no token").await;
}
