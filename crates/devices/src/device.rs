//! A device: one WhatsApp number of a tenant on one channel.

use std::fmt;
use std::str::FromStr;

use kabar_accounts::{Networks, Recent};
use kabar_channel::{ChannelKind, DeviceLink};
use kabar_core::{
    AccountId, DeviceId, ExposeSecret as _, MetaAppId, PhoneNumber, Secret, Timestamp,
};
use kabar_outbound::ProxyAddress;
use serde::{Deserialize, Serialize};

use crate::health::HealthWord;
use crate::pacing::PacingSettings;

/// Whether a device can send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceState {
    /// It sends and receives.
    Connected,
    /// It cannot send until somebody mends it; the reason says what.
    Disconnected,
    /// It is being connected.
    Connecting,
    /// The network banned it.
    Banned,
    /// It waits for somebody to scan its code, or to type it on the phone.
    Qr,
    /// It lost its connection and is being connected again, by itself.
    Reconnecting,
    /// The network or the phone removed it; it must be paired again.
    LoggedOut,
}

impl DeviceState {
    /// Every state.
    pub const ALL: &'static [Self] = &[
        Self::Connected,
        Self::Disconnected,
        Self::Connecting,
        Self::Banned,
        Self::Qr,
        Self::Reconnecting,
        Self::LoggedOut,
    ];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Banned => "banned",
            Self::Qr => "qr",
            Self::Reconnecting => "reconnecting",
            Self::LoggedOut => "logged_out",
        }
    }
}

impl fmt::Display for DeviceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a device state")]
pub struct UnknownState(String);

impl FromStr for DeviceState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let state = Self::ALL.iter().copied().find(|state| state.as_str() == text);
        state.ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// What becomes of a message whose send was never answered and that no status settles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case")]
#[non_exhaustive]
pub enum UncertainPolicy {
    /// It stays uncertain and is shown as such; it is never sent twice.
    #[default]
    Hold,
    /// It is sent again after so many seconds without a status.
    Resend {
        /// Seconds.
        after_seconds: u32,
    },
}

/// What a tenant can set on a device. Old stored forms keep reading: every field has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceSettings {
    /// What becomes of uncertain messages.
    pub uncertain: UncertainPolicy,
    /// Seconds for which an uncertain message holds its chat, under the policy *hold*.
    pub settle_seconds: u32,
    /// Seconds after which a message that could not be sent expires, unless it says otherwise.
    pub expire_seconds: u32,
    /// Whether autoreply rules answer.
    pub autoreply: bool,
    /// The answer when no rule matches; `{variable}`s are filled in.
    pub default_reply: Option<String>,
    /// The default reply is given to one contact at most once in so many seconds; 0 means always.
    pub default_reply_every_seconds: u32,
    /// Automatic answers that one contact gets in an hour, at most, over all rules.
    pub answers_per_contact_hour: u32,
    /// Whether messages from groups are handled.
    pub groups: bool,
    /// How it paces what it sends.
    pub pacing: PacingSettings,
    /// From where the device token works; from everywhere when empty.
    pub allowed_addresses: Networks,
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self {
            uncertain: UncertainPolicy::Hold,
            settle_seconds: 30,
            expire_seconds: 24 * 60 * 60,
            autoreply: true,
            default_reply: None,
            default_reply_every_seconds: 60 * 60,
            answers_per_contact_hour: 60,
            groups: false,
            pacing: PacingSettings::default(),
            allowed_addresses: Networks::default(),
        }
    }
}

/// A device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// What the tenant calls it.
    pub name: String,
    /// Its channel.
    pub channel: ChannelKind,
    /// The channel's own name for it (Cloud API: the phone number id).
    pub address: String,
    /// What it hangs under (Cloud API: the business account id).
    pub parent: Option<String>,
    /// The namespace of business-scoped user ids (Cloud API: the portfolio).
    pub portfolio: Option<String>,
    /// The Meta app whose webhooks it gets; `None` for the installation's.
    pub app: Option<MetaAppId>,
    /// Its number.
    pub phone: Option<PhoneNumber>,
    /// The verified business name.
    pub verified_name: Option<String>,
    /// The quality rating.
    pub quality: Option<String>,
    /// The channel's credential (Cloud API: the access token).
    pub credential: Option<Secret>,
    /// The proxy that its session goes through (paired devices); it may hold a password.
    pub proxy: Option<Secret>,
    /// The first characters of its device token's random part, for recognition.
    pub token_hint: Option<String>,
    /// Whether it can send now.
    pub state: DeviceState,
    /// Why it cannot.
    pub state_reason: Option<String>,
    /// What the tenant set.
    pub settings: DeviceSettings,
    /// Grows with every owner of the device.
    pub fence: u64,
    /// Whether it has, or had, a rule: a message to a device that never had one needs no look.
    pub has_rules: bool,
    /// When its owner accepted that the network may ban its number (paired devices).
    pub risk_accepted_at: Option<Timestamp>,
    /// When its present number was connected for the first time.
    pub first_connected_at: Option<Timestamp>,
    /// How likely it is to be banned, when somebody looked last; `None` until then.
    pub health: Option<HealthWord>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl Device {
    /// What may be shown of its proxy: no user, no password.
    pub fn proxy_shown(&self) -> Option<String> {
        let proxy = ProxyAddress::parse(self.proxy.as_ref()?.expose_secret());
        Some(proxy.map_or_else(|_| "unreadable".to_owned(), |proxy| proxy.shown()))
    }

    /// The device as its channel sees it.
    pub fn link(&self) -> DeviceLink {
        DeviceLink {
            device: self.id,
            account: self.account,
            channel: self.channel.clone(),
            address: self.address.clone(),
            parent: self.parent.clone(),
            token: self.credential.clone(),
            fence: self.fence,
        }
    }

    /// The namespace in which this device's network knows people by scoped ids.
    pub fn namespace(&self) -> String {
        let scope = self.portfolio.as_ref().or(self.parent.as_ref()).unwrap_or(&self.address);
        format!("{}:{scope}", self.channel)
    }
}

/// Devices that were read a moment ago: what is changed on another node counts here within a second,
/// what is changed on this node at once. Shared by [`crate::Devices`] and whoever reads them often.
pub type RecentDevices = Recent<DeviceId, Device>;

/// A device to store.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// The device.
    pub device: Device,
    /// SHA-256 of the random part of its device token.
    pub token_hash: Option<[u8; 32]>,
}
