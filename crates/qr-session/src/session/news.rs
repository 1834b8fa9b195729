//! What a session tells its supervisor.

use std::time::Duration;

use chrono::TimeDelta;
use kabar_core::{DeviceId, PhoneNumber};

/// What happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// A code to scan, and how long it works.
    Code { code: String, works_for: Duration },
    /// A code to type on the phone, and how long it works.
    LinkCode { code: String, works_for: Duration },
    /// It was paired, with this number.
    Paired { phone: Option<PhoneNumber>, lid: Option<String>, name: Option<String> },
    /// It is logged in and receives.
    Connected,
    /// The connection was lost; the engine tries again by itself.
    Lost { why: String },
    /// It ended, and does not come back by itself.
    Ended(End),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The phone, or WhatsApp, removed it; it must be paired again.
    LoggedOut { why: String },
    /// The same session connected somewhere else.
    Replaced,
    /// WhatsApp banned the account for so long.
    Banned { lasts: TimeDelta, code: String },
    /// WhatsApp does not speak with a version as old as ours.
    Outdated,
    /// WhatsApp refused it for another reason.
    Refused { why: String },
    /// Somebody else owns the device: it wrote too late.
    Fenced,
    /// It logged out on purpose; whether WhatsApp could be told.
    Left { told: bool },
    /// Nobody scanned or typed one of its codes in time.
    NotPaired,
    /// WhatsApp gave no code to type, or did not take the phone's word that it was.
    NoPairing { why: String },
}

/// What happened to which session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The device.
    pub(crate) device: DeviceId,
    /// The token that it ran under: what an earlier run says late concerns nobody.
    pub(crate) token: u64,
    /// What happened.
    pub(crate) news: News,
}
