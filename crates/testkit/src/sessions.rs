//! What every store of paired sessions must do: leases, and the vault behind them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a contract suite fails by panicking")]

mod fences;
mod leases;
mod vault;

use std::sync::Arc;

use chrono::TimeDelta;
use kabar_channel::ChannelKind;
use kabar_channel::vault::{Fence, SessionVault, Shelf};
use kabar_core::{
    AccountId, Clock as _, DeviceId, IdSource as _, Page, PageRequest, Scope, Timestamp,
};
use kabar_devices::lease::{Errand, Held, Lease, Release, TTL};
use kabar_devices::{Device, DeviceState, NewDevice};
use uuid::Uuid;

use crate::accounts::{grant, provider};
use crate::devices::Fleet;

/// A node.
pub const ONE: Uuid = Uuid::from_u128(1);
/// Another node.
pub const TWO: Uuid = Uuid::from_u128(2);

/// A shelf of the suites.
const SHELF: Shelf = Shelf::new("sessions");
/// Another one.
const OTHER: Shelf = Shelf::new("sent_messages");

/// Devices with leases and a vault on the same store.
#[derive(Clone)]
pub struct Sessions {
    /// Devices and accounts.
    pub fleet: Fleet,
    /// The vault.
    pub vault: Arc<dyn SessionVault>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// The present.
    pub fn now(&self) -> Timestamp {
        self.fleet.tenancy.clock.now()
    }

    /// An account.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn account(&self, name: &str) -> AccountId {
        self.fleet.tenancy.account(name).await
    }

    /// A device of an account on the channel of paired sessions; nobody ever connected it.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn device(&self, account: AccountId) -> DeviceId {
        let scope = scope(account);
        let now = self.now();
        let id = DeviceId::from(self.fleet.tenancy.ids.next());
        let device = Device {
            id,
            account,
            name: "Paired".to_owned(),
            channel: ChannelKind::QR_SESSION,
            address: id.to_string(),
            parent: None,
            portfolio: None,
            app: None,
            phone: None,
            verified_name: None,
            quality: None,
            credential: None,
            proxy: None,
            token_hint: None,
            state: DeviceState::Disconnected,
            state_reason: None,
            settings: kabar_devices::DeviceSettings::default(),
            fence: 0,
            has_rules: false,
            risk_accepted_at: None,
            first_connected_at: None,
            health: None,
            created_at: now,
            updated_at: now,
        };
        let work = self.fleet.store.begin().await.expect("begins");
        let new = NewDevice { device, token_hash: None };
        work.devices(scope).insert(&new).await.expect("a device is stored");
        work.commit().await.expect("commits");
        id
    }

    /// Says that sessions are to run from a time on, or not.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn want(&self, devices: &[DeviceId], from: Option<Timestamp>) {
        let work = self.fleet.store.begin().await.expect("begins");
        work.leases(provider()).want(devices, from).await.expect("is wanted");
        work.commit().await.expect("commits");
    }

    /// Says what a session is to do besides running.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn send_on(&self, device: DeviceId, errand: &Errand) {
        let work = self.fleet.store.begin().await.expect("begins");
        work.leases(provider()).send_on(device, errand).await.expect("is sent");
        work.commit().await.expect("commits");
    }

    /// What a node gets at a time.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn claim(&self, node: Uuid, at: Timestamp, limit: u16) -> Vec<Lease> {
        let work = self.fleet.store.begin().await.expect("begins");
        let claimed = work.leases(provider()).claim(node, at, limit).await.expect("is claimed");
        work.commit().await.expect("commits");
        claimed
    }

    /// Whether a node gets one device at a time.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn claim_one(&self, node: Uuid, device: DeviceId, at: Timestamp) -> Option<Lease> {
        let work = self.fleet.store.begin().await.expect("begins");
        let claimed = work.leases(provider()).claim_one(node, device, at).await;
        let claimed = claimed.expect("is claimed");
        work.commit().await.expect("commits");
        claimed
    }

    /// What a node still holds at a time.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn renew(&self, node: Uuid, at: Timestamp) -> Vec<Lease> {
        let work = self.fleet.store.begin().await.expect("begins");
        let held = work.leases(provider()).renew(node, at).await.expect("is renewed");
        work.commit().await.expect("commits");
        held
    }

    /// Gives leases back.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn release(&self, node: Uuid, fences: &[Fence], from: Timestamp) {
        let leases: Vec<Release> =
            fences.iter().map(|fence| Release { fence: *fence, from }).collect();
        let work = self.fleet.store.begin().await.expect("begins");
        work.leases(provider()).release(node, &leases).await.expect("is released");
        work.commit().await.expect("commits");
    }

    /// A page of all leases.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn list(&self, page: PageRequest) -> Page<Held> {
        let work = self.fleet.store.read().await.expect("begins");
        let page = work.leases(provider()).list(page).await;
        page.expect("is read")
    }

    /// Whether a fence still holds.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn holds(&self, fence: Fence) -> bool {
        let work = self.fleet.store.begin().await.expect("begins");
        work.leases(provider()).holds(fence).await.expect("is read")
    }

    /// The leases of devices.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn leases(&self, devices: &[DeviceId]) -> Vec<Lease> {
        let work = self.fleet.store.read().await.expect("begins");
        let found = work.leases(provider()).of(devices).await;
        found.expect("is read")
    }

    /// A new device that node [`ONE`] holds, with the right to write to its shelves.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn held(&self) -> Fence {
        let account = self.account("Paired").await;
        let device = self.device(account).await;
        self.claim_one(ONE, device, self.now()).await.expect("nobody holds it").fence()
    }

    /// Node [`TWO`] takes a device over, after its lease is over.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn taken_over(&self, fence: Fence) -> Fence {
        let at = self.now() + TTL;
        self.claim_one(TWO, fence.device, at).await.expect("the lease is over").fence()
    }

    /// Removes a device, as its tenant does.
    ///
    /// # Panics
    /// When the store refuses it.
    pub async fn remove(&self, account: AccountId, device: DeviceId) {
        self.fleet.devices.remove(&grant(account), device).await.expect("is removed");
    }
}

fn scope(account: AccountId) -> Scope {
    provider().within(account)
}

fn seconds(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds)
}

/// Runs the suites on an empty store; all are the same database.
///
/// # Panics
/// Where the store breaks its word.
pub async fn sessions_contract(fleet: Fleet, vault: Arc<dyn SessionVault>) {
    let sessions = Sessions { fleet, vault };
    leases::contract(&sessions).await;
    vault::contract(&sessions).await;
    fences::contract(&sessions).await;
}
