//! Who runs a paired session: a lease with a fencing token.
//!
//! A session runs in one process at a time. A *node*, one running process with an id that is new at
//! every start, claims devices for [`TTL`] and renews all its leases every [`RENEW_EVERY`]. A node
//! that has had no confirmed renewal for [`STOP_AFTER`] stops its sessions by itself, before anybody
//! can take them over. Each claim makes the fence of the device grow, and the vault refuses whoever
//! writes with an older one: clocks decide when a session changes hands, never whether two hands
//! write.
//!
//! The clocks of nodes may differ by less than `TTL - STOP_AFTER`. Beyond that a session is taken
//! over while it still runs: it loses its connection, but nothing of its state.

use async_trait::async_trait;
use chrono::TimeDelta;
use kabar_channel::Fence;
use kabar_core::{
    AccountId, DeviceId, InstallationScope, Page, PageRequest, PhoneNumber, StoreError, Timestamp,
    Work,
};
use uuid::Uuid;

use crate::device::DeviceState;

/// How long a lease holds without being renewed (architecture, section 3).
pub const TTL: TimeDelta = TimeDelta::seconds(8);

/// How often a node renews its leases (architecture, section 3).
pub const RENEW_EVERY: TimeDelta = TimeDelta::seconds(2);

/// How long after its last confirmed renewal began a node stops its sessions, by a clock that is
/// never set (architecture, section 3). What is left until [`TTL`] is for writing down and for
/// clocks that differ.
pub const STOP_AFTER: TimeDelta = TimeDelta::seconds(5);

/// Whether a session is to run, and who runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// Whether the session is to run: it was connected on purpose, its device was not removed, and
    /// its account is active. A node that still runs one that is not wanted ends it and releases it.
    pub wanted: bool,
    /// Who runs it, or ran it when [`Lease::until`] is over; nobody after a release.
    pub node: Option<Uuid>,
    /// The token of the last owner.
    pub fence: u64,
    /// With a node: until when it holds. Without: from when it may be claimed.
    pub until: Timestamp,
    /// What its session is to do besides running.
    pub errand: Errand,
}

/// What a session is to do besides running. Its owner reads it with every renewal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Errand {
    /// Nothing. If it is not paired it shows codes to scan.
    #[default]
    None,
    /// To be paired by a code that is typed on the phone with this number.
    Link(PhoneNumber),
    /// To log out, as it was asked at this time.
    LogOut(Timestamp),
}

impl Lease {
    /// The right to write that the lease gives.
    pub const fn fence(&self) -> Fence {
        Fence { device: self.device, token: self.fence }
    }

    /// Whether somebody holds it.
    pub fn is_held(&self, at: Timestamp) -> bool {
        self.node.is_some() && self.until > at
    }
}

/// A lease, and the device that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The lease.
    pub lease: Lease,
    /// What the tenant calls the device.
    pub name: String,
    /// The device's state.
    pub state: DeviceState,
    /// Why, where there is something to say.
    pub state_reason: Option<String>,
}

/// A lease to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// The device, with the token that it was claimed with.
    pub fence: Fence,
    /// From when it may be claimed again: at once, or after a ban.
    pub from: Timestamp,
}

/// A unit of work with leases.
pub trait LeasesWork: Work {
    /// The leases of the installation.
    fn leases(&self, scope: InstallationScope) -> Box<dyn LeaseRepo + '_>;
}

/// The leases of every paired device. Devices of other channels have none.
#[async_trait]
pub trait LeaseRepo: Send {
    /// Says that sessions are to run, from a point in time on, or, without one, that they are not.
    /// Who runs one stays its owner until it releases it or no longer renews. Devices that were
    /// removed or are of other channels are left out.
    async fn want(
        &mut self,
        devices: &[DeviceId],
        from: Option<Timestamp>,
    ) -> Result<(), StoreError>;

    /// Says what a session is to do besides running, instead of what was said before. A device that
    /// never was wanted nor claimed is left out.
    async fn send_on(&mut self, device: DeviceId, errand: &Errand) -> Result<(), StoreError>;

    /// Claims at most `limit` devices that are wanted and that nobody holds, those first that wait
    /// longest. One that somebody is writing to this moment is left for the next time.
    async fn claim(
        &mut self,
        node: Uuid,
        at: Timestamp,
        limit: u16,
    ) -> Result<Vec<Lease>, StoreError>;

    /// Claims one device that nobody holds, whether it is wanted or not: to pair it, or to bring in
    /// a session. `None` if somebody holds it, or if it is no paired device.
    async fn claim_one(
        &mut self,
        node: Uuid,
        device: DeviceId,
        at: Timestamp,
    ) -> Result<Option<Lease>, StoreError>;

    /// Renews all leases of a node that are not over. The answer is all that it still holds: what is
    /// missing there was lost, and what the node does not know of it releases.
    async fn renew(&mut self, node: Uuid, at: Timestamp) -> Result<Vec<Lease>, StoreError>;

    /// Gives leases back. Those that another one holds by now are left alone.
    async fn release(&mut self, node: Uuid, leases: &[Release]) -> Result<(), StoreError>;

    /// The leases of the installation with what their devices are called, newest device first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Held>, StoreError>;

    /// Whether a fence still holds: nobody claimed its device since, and nobody does before the unit of
    /// work ends. Whoever writes down what became of a session asks first; what an owner of before has
    /// to say is not true any more.
    async fn holds(&mut self, fence: Fence) -> Result<bool, StoreError>;

    /// The leases of devices; those that never were wanted nor claimed have none.
    async fn of(&mut self, devices: &[DeviceId]) -> Result<Vec<Lease>, StoreError>;
}
