//! What can be unwell, and how it is found.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use kabar_core::{AccountId, DeviceId, Timestamp};
use kabar_devices::HealthWord;

use crate::settings::{AccountAlerts, ProviderAlerts};
use crate::vitals::{DeviceVitals, Space, Vitals};

/// The network's words for a number whose quality is low (Meta: `quality_rating`).
const LOW: &[&str] = &["RED", "FLAGGED", "LOW"];
/// The states in which a device cannot send until somebody mends it.
const DOWN: &[&str] = &["disconnected", "banned"];

macro_rules! conditions {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)+) => {
        /// Something that is unwell.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Condition { $($(#[$doc])* $name,)+ }

        impl Condition {
            /// Every condition.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word on the wire and in storage.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }

        impl FromStr for Condition {
            type Err = UnknownCondition;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($word => Ok(Self::$name),)+ _ => Err(UnknownCondition) }
            }
        }
    };
}

conditions! {
    /// A device cannot send until somebody mends it.
    DeviceDown = "device_down";
    /// The network rates a device's quality as low.
    DeviceQuality = "device_quality";
    /// A paired device is likely to be banned.
    DeviceHealth = "device_health";
    /// A device's chats could go on, and do not.
    OutboxStuck = "outbox_stuck";
    /// Many messages of an account became uncertain lately.
    UncertainRising = "uncertain_rising";
    /// Jobs wait for long.
    JobsLate = "jobs_late";
    /// Much came in lately that could not be read.
    QuarantineRising = "quarantine_rising";
    /// The disk is nearly full.
    DiskLow = "disk_low";
}

/// A word that names no condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a condition")]
pub struct UnknownCondition;

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The installation.
    Installation,
    /// An account.
    Account(AccountId),
    /// A device of an account.
    Device(AccountId, DeviceId),
}

impl Subject {
    /// The account that it belongs to.
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Installation => None,
            Self::Account(account) | Self::Device(account, _) => Some(*account),
        }
    }

    /// The device.
    pub const fn device(&self) -> Option<DeviceId> {
        match self {
            Self::Device(_, device) => Some(*device),
            _ => None,
        }
    }
}

/// Something that is unwell now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub condition: Condition,
    /// Of what.
    pub subject: Subject,
    /// A sentence; without numbers of people.
    pub detail: String,
    /// How long it must last before somebody is told.
    pub after: TimeDelta,
}

/// Everything that is unwell. `account` gives an account's settings.
pub fn find<'a>(
    vitals: &Vitals,
    space: Option<Space>,
    now: Timestamp,
    provider: &ProviderAlerts,
    account: impl Fn(AccountId) -> &'a AccountAlerts,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for device in &vitals.devices {
        of_device(device, now, account(device.account), &mut found);
    }
    for (id, count) in &vitals.uncertain {
        if *count >= u64::from(account(*id).uncertain_per_hour) {
            found.push(Finding {
                condition: Condition::UncertainRising,
                subject: Subject::Account(*id),
                detail: format!("{count} messages became uncertain within an hour"),
                after: TimeDelta::zero(),
            });
        }
    }
    of_installation(vitals, space, now, provider, &mut found);
    found
}

fn of_device(
    device: &DeviceVitals,
    now: Timestamp,
    settings: &AccountAlerts,
    found: &mut Vec<Finding>,
) {
    let subject = Subject::Device(device.account, device.device);
    let patience = minutes(settings.device_minutes);
    let mut add = |condition, detail: String, after| {
        found.push(Finding { condition, subject, detail, after });
    };
    let name = &device.name;
    let down = DOWN.contains(&device.state.as_str());
    if down {
        let detail = format!("the device \"{name}\" is {}", device.state);
        add(Condition::DeviceDown, detail, patience);
    }
    if let Some(quality) = &device.quality
        && LOW.contains(&quality.to_ascii_uppercase().as_str())
    {
        let detail = format!("the quality of the device \"{name}\" is {quality}");
        add(Condition::DeviceQuality, detail, patience);
    }
    if device.health == Some(HealthWord::Poor) {
        let detail = format!("the health of the device \"{name}\" is poor: it may be banned");
        add(Condition::DeviceHealth, detail, TimeDelta::zero());
    }
    let stuck = device.oldest_ready.map(|since| now - since);
    // A device that is down says enough.
    if let Some(waits) = stuck.filter(|waits| !down && *waits >= minutes(settings.queue_minutes)) {
        let detail = format!(
            "messages of the device \"{name}\" wait for {} minutes without a reason",
            waits.num_minutes()
        );
        add(Condition::OutboxStuck, detail, TimeDelta::zero());
    }
}

fn of_installation(
    vitals: &Vitals,
    space: Option<Space>,
    now: Timestamp,
    settings: &ProviderAlerts,
    found: &mut Vec<Finding>,
) {
    let mut add = |condition, detail| {
        let (subject, after) = (Subject::Installation, TimeDelta::zero());
        found.push(Finding { condition, subject, detail, after });
    };
    let late = vitals.jobs.iter().filter_map(|job| Some((&job.name, now - job.oldest_due?)));
    if let Some((name, waits)) = late.max_by_key(|(_, waits)| *waits)
        && waits >= minutes(settings.jobs_minutes)
    {
        let detail = format!("a job `{name}` waits for {} minutes", waits.num_minutes());
        add(Condition::JobsLate, detail);
    }
    if vitals.quarantined_lately >= u64::from(settings.quarantine_per_hour) {
        let detail =
            format!("{} items could not be read within an hour", vitals.quarantined_lately);
        add(Condition::QuarantineRising, detail);
    }
    if let Some(Space { free, total }) = space
        && free.saturating_mul(100) < total.saturating_mul(u64::from(settings.disk_percent))
    {
        let detail = format!("the disk has {} MiB left of {}", free >> 20, total >> 20);
        add(Condition::DiskLow, detail);
    }
}

fn minutes(count: u32) -> TimeDelta {
    TimeDelta::minutes(i64::from(count))
}
