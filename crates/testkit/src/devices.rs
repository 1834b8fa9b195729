//! What every store of devices and Meta apps must do.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a contract suite fails by panicking")]

mod apps;
mod channel;
mod registry;
mod tokens;

use std::sync::Arc;

use chrono::TimeDelta;
use kabar_accounts::AccountsWork;
use kabar_channel::{ChannelKind, Channels, SendError};
use kabar_core::work::OnceError;
use kabar_core::{AccountId, ExposeSecret as _, Once, PageRequest, Secret, Store};
use kabar_devices::{
    Authenticator, CreatedDevice, DeviceError, DevicePatch, DeviceSettings, DeviceState, Devices,
    DevicesUse, MetaApps, Registration,
};

use crate::accounts::{Tenancy, grant, once};

pub use channel::ScriptedChannel;

/// A store of devices with the services over it.
#[derive(Clone)]
pub struct Fleet {
    /// Accounts and keys on the same store.
    pub tenancy: Tenancy,
    /// The store.
    pub store: Arc<dyn Store<dyn DevicesUse>>,
    /// The channel behind every device.
    pub channel: Arc<ScriptedChannel>,
    /// Devices.
    pub devices: Devices,
    /// Meta apps.
    pub apps: MetaApps,
    /// Authentication by API key and device token.
    pub authenticator: Authenticator,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}

impl Fleet {
    /// The services over a store.
    pub fn new(
        accounts: Arc<dyn Store<dyn AccountsWork>>,
        store: Arc<dyn Store<dyn DevicesUse>>,
    ) -> Self {
        let tenancy = Tenancy::new(accounts);
        let channel = Arc::new(ScriptedChannel::default());
        let mut channels = Channels::default();
        channels.insert(ScriptedChannel::ports(&channel));
        let (clock, ids) = (tenancy.clock.clone(), tenancy.ids.clone());
        Self {
            devices: Devices::new(Arc::clone(&store), channels, clock.clone(), ids.clone()),
            apps: MetaApps::new(Arc::clone(&store), clock, ids),
            authenticator: Authenticator::new(tenancy.authenticator.clone(), Arc::clone(&store)),
            tenancy,
            store,
            channel,
        }
    }

    /// A device of an account.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn device(&self, account: AccountId, address: &str) -> CreatedDevice {
        let write = grant(account);
        let made = self.devices.register(&write, registration(address), None);
        made.await.expect("a device is registered")
    }
}

/// A device to register.
pub fn registration(address: &str) -> Registration {
    Registration {
        name: "Shop".to_owned(),
        channel: ChannelKind::CLOUD_API,
        address: address.to_owned(),
        parent: Some("900".to_owned()),
        credential: Some(Secret::from("EAAG")),
        app: None,
        settings: DeviceSettings::default(),
    }
}

/// Runs the suite on an empty store; both are the same database.
///
/// # Panics
/// Where the store breaks its word.
pub async fn devices_contract(
    accounts: Arc<dyn Store<dyn AccountsWork>>,
    store: Arc<dyn Store<dyn DevicesUse>>,
) {
    let fleet = Fleet::new(accounts, store);
    devices_are_registered_and_changed(&fleet).await;
    a_credential_is_proven_first(&fleet).await;
    an_address_belongs_to_one_tenant(&fleet).await;
    a_retried_device_is_the_same(&fleet).await;
    tenants_see_their_own(&fleet).await;
    tokens::contract(&fleet).await;
    registry::contract(&fleet).await;
    apps::contract(&fleet).await;
}

async fn devices_are_registered_and_changed(fleet: &Fleet) {
    let account = fleet.tenancy.account("Devices").await;
    let made = fleet.device(account, "1001").await.device;
    assert_eq!(made.phone.as_ref().unwrap().as_str(), "+15550100");
    assert_eq!(made.portfolio.as_deref(), Some("portfolio"));
    assert_eq!(made.state, DeviceState::Connected);
    let read = fleet.devices.get(&grant(account), made.id).await.unwrap();
    assert_eq!(format!("{read:?}"), format!("{made:?}"));
    assert_eq!(read.credential.as_ref().unwrap().expose_secret(), "EAAG");

    let now = fleet.tenancy.clock.advance(TimeDelta::minutes(1));
    let settings =
        DeviceSettings { default_reply: Some("Halo".to_owned()), ..DeviceSettings::default() };
    let patch = DevicePatch {
        name: Some("Shop 2".to_owned()),
        settings: Some(settings.clone()),
        ..DevicePatch::default()
    };
    let changed = fleet.devices.update(&grant(account), made.id, patch).await.unwrap();
    assert_eq!((changed.name.as_str(), &changed.settings), ("Shop 2", &settings));
    assert_eq!((changed.created_at, changed.updated_at), (made.created_at, now));
    let read = fleet.devices.get(&grant(account), made.id).await.unwrap();
    assert_eq!(format!("{read:?}"), format!("{changed:?}"));

    for (field, new) in [
        ("name", Registration { name: "\0".to_owned(), ..registration("1") }),
        ("address", registration("x/../y")),
        ("parent", Registration { parent: None, ..registration("1") }),
        ("credential", Registration { credential: None, ..registration("1") }),
        (
            "credential",
            Registration { credential: Some(Secret::from("a\r\nb")), ..registration("1") },
        ),
        ("channel", Registration { channel: ChannelKind::QR_SESSION, ..registration("1") }),
    ] {
        let refused = fleet.devices.register(&grant(account), new, None).await;
        assert!(
            matches!(&refused, Err(DeviceError::Invalid(e)) if e.field == field),
            "{refused:?}"
        );
    }
    let elsewhere = Registration { channel: ChannelKind::new("paper"), ..registration("1") };
    let refused = fleet.devices.register(&grant(account), elsewhere, None).await;
    assert!(matches!(refused, Err(DeviceError::NoSuchChannel(_))), "{refused:?}");
}

async fn a_credential_is_proven_first(fleet: &Fleet) {
    let account = fleet.tenancy.account("Proof").await;
    fleet.channel.refuse("190");
    let refused = fleet.devices.register(&grant(account), registration("1002"), None).await;
    assert!(matches!(refused, Err(DeviceError::Check(_))), "{refused:?}");
    let page = fleet.devices.list(&grant(account), PageRequest::default()).await;
    assert!(page.unwrap().items.is_empty());

    fleet.channel.accept();
    let made = fleet.device(account, "1002").await.device;
    fleet.channel.refuse("190");
    let refused = fleet.devices.check(&grant(account), made.id).await;
    assert!(matches!(refused, Err(DeviceError::Check(SendError::Refused { .. }))), "{refused:?}");
    let down = fleet.devices.get(&grant(account), made.id).await.unwrap();
    assert_eq!(down.state, DeviceState::Disconnected);
    assert!(down.state_reason.as_ref().unwrap().contains("190"));
    let patch = || DevicePatch { credential: Some(Secret::from("EAAH")), ..DevicePatch::default() };
    fleet.devices.update(&grant(account), made.id, patch()).await.unwrap_err();
    let kept = fleet.devices.get(&grant(account), made.id).await.unwrap();
    assert_eq!(kept.credential.unwrap().expose_secret(), "EAAG");

    fleet.channel.accept();
    let up = fleet.devices.update(&grant(account), made.id, patch()).await.unwrap();
    assert_eq!((up.state, up.state_reason), (DeviceState::Connected, None));
    assert_eq!(fleet.channel.last_token().unwrap().expose_secret(), "EAAH");

    // A network that cannot be asked says nothing of the device.
    fleet.channel.fail();
    fleet.devices.check(&grant(account), made.id).await.unwrap_err();
    let same = fleet.devices.get(&grant(account), made.id).await.unwrap();
    assert_eq!(same.state, DeviceState::Connected);
    fleet.channel.accept();
}

async fn an_address_belongs_to_one_tenant(fleet: &Fleet) {
    let (one, two) = (fleet.tenancy.account("One").await, fleet.tenancy.account("Two").await);
    let made = fleet.device(one, "1003").await.device;
    for account in [one, two] {
        let taken = fleet.devices.register(&grant(account), registration("1003"), None).await;
        assert!(matches!(taken, Err(DeviceError::AddressTaken)), "{taken:?}");
    }
    fleet.devices.remove(&grant(one), made.id).await.unwrap();
    let again = fleet.devices.remove(&grant(one), made.id).await;
    assert!(matches!(again, Err(DeviceError::NotFound)), "{again:?}");
    fleet.device(two, "1003").await;
}

async fn a_retried_device_is_the_same(fleet: &Fleet) {
    let account = fleet.tenancy.account("Retry").await;
    let request = once("devices.register", "d", 1);
    let register = |once: Once| async move {
        let new = registration("1004");
        fleet.devices.register(&grant(account), new, Some(&once)).await
    };
    let one = register(request.clone()).await.unwrap();
    assert!(one.token.is_some());
    let asked = fleet.channel.checks();
    let two = register(request.clone()).await.unwrap();
    assert_eq!((two.device.id, two.token.is_none()), (one.device.id, true));
    assert_eq!(fleet.channel.checks(), asked, "the network is not asked again");
    let other = register(Once { body_hash: [2; 32], ..request }).await;
    assert!(matches!(other, Err(DeviceError::Once(OnceError::OtherBody))), "{other:?}");
}

async fn tenants_see_their_own(fleet: &Fleet) {
    let (mine, other) = (fleet.tenancy.account("Mine").await, fleet.tenancy.account("Other").await);
    let made = fleet.device(mine, "1005").await.device;
    let page = PageRequest::default();
    let list = fleet.devices.list(&grant(mine), page).await.unwrap();
    assert_eq!(list.items.iter().map(|d| d.id).collect::<Vec<_>>(), [made.id]);
    assert!(fleet.devices.list(&grant(other), page).await.unwrap().items.is_empty());
    let devices = &fleet.devices;
    for refused in [
        devices.get(&grant(other), made.id).await.map(|_| ()),
        devices.update(&grant(other), made.id, DevicePatch::default()).await.map(|_| ()),
        devices.check(&grant(other), made.id).await.map(|_| ()),
        devices.rotate_token(&grant(other), made.id).await.map(|_| ()),
        devices.remove(&grant(other), made.id).await,
    ] {
        assert!(matches!(refused, Err(DeviceError::NotFound)), "{refused:?}");
    }
}
