//! What is read to know how an installation is.

use kabar_core::{AccountId, DeviceId, Timestamp};
use kabar_devices::HealthWord;

/// The state of an installation at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Messages in their lines, by status.
    pub outbox: Vec<(String, u64)>,
    /// Since when the longest-waiting chat could go on, where nothing holds it back.
    pub oldest_ready: Option<Timestamp>,
    /// Devices that are unwell, or whose chats wait: at most [`Vitals::MOST_DEVICES`].
    pub devices: Vec<DeviceVitals>,
    /// Messages that became uncertain lately and still are, by account.
    pub uncertain: Vec<(AccountId, u64)>,
    /// Jobs, by name.
    pub jobs: Vec<JobVitals>,
    /// What came in and could not be read: all of it.
    pub quarantined: u64,
    /// The same, of lately.
    pub quarantined_lately: u64,
}

impl Vitals {
    /// Devices that are looked at, at most.
    pub const MOST_DEVICES: u64 = 1_000;
    /// Seconds that count as lately.
    pub const LATELY: u32 = 3_600;
}

/// A device that is unwell, or whose chats wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceVitals {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// What its tenant calls it.
    pub name: String,
    /// The word for its state.
    pub state: String,
    /// The network's word for its quality.
    pub quality: Option<String>,
    /// How likely it is to be banned, when somebody looked last.
    pub health: Option<HealthWord>,
    /// Since when its longest-waiting chat could go on, where nothing holds it back.
    pub oldest_ready: Option<Timestamp>,
}

/// Jobs of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobVitals {
    /// Their name.
    pub name: String,
    /// How many wait or run.
    pub waiting: u64,
    /// How many were given up.
    pub buried: u64,
    /// When the first of those that wait was due.
    pub oldest_due: Option<Timestamp>,
}

/// Space of a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What is left.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

/// The disk that files, and perhaps the database, are on.
pub trait Disk: Send + Sync {
    /// Its space; `None` where it cannot be told.
    fn space(&self) -> Option<Space>;
}
