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
use kabar_core::{AccountId, DeviceId, InstallationScope, StoreError, Timestamp, Work};
use uuid::Uuid;

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

    /// The leases of devices; those that never were wanted nor claimed have none.
    async fn of(&mut self, devices: &[DeviceId]) -> Result<Vec<Lease>, StoreError>;
}
