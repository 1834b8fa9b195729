//! What storage does for devices.

use async_trait::async_trait;
use kabar_accounts::AccountsWork;
use kabar_channel::DeviceAddress;
use kabar_core::{
    AccountId, DeviceId, InstallationScope, Page, PageRequest, PhoneNumber, Scope, StoreError,
    Timestamp, Work,
};

use crate::device::{Device, DeviceState, NewDevice};
use crate::health::{Day, DayCounts, HealthWord, day_of};
use crate::lease::LeasesWork;
use crate::meta::MetaWork;
use crate::pacing::AccountPacing;

/// The name under which storage reports an address that belongs to a device already.
pub const ADDRESS_CONSTRAINT: &str = "devices_address";

/// A unit of work with devices.
pub trait DevicesWork: Work {
    /// A tenant's devices.
    fn devices(&self, scope: Scope) -> Box<dyn DeviceRepo + '_>;

    /// Every device of the installation, for the roads in and out.
    fn device_registry(&self, scope: InstallationScope) -> Box<dyn DeviceRegistry + '_>;

    /// What a tenant sets for the pace of all its devices.
    fn pacing_rules(&self, scope: Scope) -> Box<dyn PacingRulesRepo + '_>;

    /// What happened to devices by day, for the ban guard.
    fn device_days(&self, scope: InstallationScope) -> Box<dyn DeviceDays + '_>;
}

/// What the use cases of this crate need of one unit of work.
pub trait DevicesUse: DevicesWork + LeasesWork + MetaWork + AccountsWork {}

impl<W: DevicesWork + LeasesWork + MetaWork + AccountsWork + ?Sized> DevicesUse for W {}

/// A tenant's devices. Removed devices are not seen.
#[async_trait]
pub trait DeviceRepo: Send {
    /// Stores a device. [`StoreError::Conflict`] on [`ADDRESS_CONSTRAINT`] when the address belongs
    /// to a device already, of whatever tenant.
    async fn insert(&mut self, device: &NewDevice) -> Result<(), StoreError>;

    /// A device of the tenant.
    async fn get(&mut self, id: DeviceId) -> Result<Option<Device>, StoreError>;

    /// A device of the tenant, kept from others until the unit of work ends.
    async fn lock(&mut self, id: DeviceId) -> Result<Option<Device>, StoreError>;

    /// The tenant's devices, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Device>, StoreError>;

    /// Stores name, credential, facts, state and settings of a device. `false` if there is none.
    async fn update(&mut self, device: &Device) -> Result<bool, StoreError>;

    /// Replaces the device token.
    async fn set_token(
        &mut self,
        id: DeviceId,
        hint: &str,
        hash: [u8; 32],
    ) -> Result<bool, StoreError>;

    /// Removes a device; its messages stay, its address is free again. Its session is erased, and
    /// whoever runs it can no longer write.
    async fn remove(&mut self, id: DeviceId, at: Timestamp) -> Result<bool, StoreError>;
}

/// What a tenant sets for the pace of all its devices.
#[async_trait]
pub trait PacingRulesRepo: Send {
    /// What is set; `None` if nothing is.
    async fn get(&mut self) -> Result<Option<AccountPacing>, StoreError>;

    /// Replaces it.
    async fn set(&mut self, rules: &AccountPacing) -> Result<(), StoreError>;
}

/// What happened to a device, on the day that it counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// The device.
    pub device: DeviceId,
    /// The day, and how much more of what.
    pub day: Day,
}

impl Note {
    /// What happened at a time.
    pub const fn at(device: DeviceId, at: Timestamp, counts: DayCounts) -> Self {
        Self { device, day: Day { day: day_of(at), counts } }
    }
}

/// A paired device whose health is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// What was found the last time.
    pub word: Option<HealthWord>,
    /// Its days, in no order.
    pub days: Vec<Day>,
}

/// What happened to devices by day: sums, so that nobody reads messages to know how a device is.
#[async_trait]
pub trait DeviceDays: Send {
    /// Adds what happened, in the unit of work in which it did.
    async fn add(&mut self, notes: &[Note]) -> Result<(), StoreError>;

    /// The days of a device from one on.
    async fn since(&mut self, device: DeviceId, day: i64) -> Result<Vec<Day>, StoreError>;

    /// The paired devices to which something happened from the day `active` on, and those that were
    /// not well when somebody looked last, with their days from `since` on; at most `limit`, by id,
    /// after the one given.
    async fn patients(
        &mut self,
        active: i64,
        since: i64,
        after: Option<DeviceId>,
        limit: u16,
    ) -> Result<Vec<Patient>, StoreError>;

    /// Stores what was found about devices.
    async fn set_health(&mut self, found: &[(DeviceId, HealthWord)]) -> Result<(), StoreError>;

    /// Forgets the days before one; returns how many.
    async fn forget(&mut self, before: i64) -> Result<u64, StoreError>;
}

/// Every device of the installation.
#[async_trait]
pub trait DeviceRegistry: Send {
    /// Devices by id.
    async fn by_ids(&mut self, ids: &[DeviceId]) -> Result<Vec<Device>, StoreError>;

    /// Devices by the channel's own names.
    async fn by_addresses(
        &mut self,
        addresses: &[DeviceAddress],
    ) -> Result<Vec<Device>, StoreError>;

    /// The device of a device token, by the token's device id and hash, if its account is active.
    async fn by_token(
        &mut self,
        id: DeviceId,
        hash: &[u8; 32],
    ) -> Result<Option<Device>, StoreError>;

    /// The devices that hang under a parent (Cloud API: a business account), of whatever tenant.
    async fn by_parent(&mut self, parent: &str) -> Result<Vec<Device>, StoreError>;

    /// Which of these numbers (`+` and digits) belong to a device of the installation.
    async fn own_numbers(&mut self, numbers: &[String]) -> Result<Vec<String>, StoreError>;

    /// Stores the number that a device was found to have, and the name that its owner goes by.
    /// Another number than before was not connected yet.
    async fn set_owner(
        &mut self,
        id: DeviceId,
        phone: &PhoneNumber,
        name: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Stores a state, and when the device was connected for the first time. `false` if it was that
    /// state already, for that reason.
    async fn set_state(
        &mut self,
        id: DeviceId,
        state: DeviceState,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<bool, StoreError>;
}
