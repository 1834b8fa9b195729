//! A tenant's WhatsApp numbers and Meta apps.
//!
//! # Overview
//!
//! * [`Devices`]: registering a number (its credential is proven to its channel first), changing
//!   and removing it, its device token.
//! * [`MetaApps`]: the apps whose webhooks come in; a tenant brings its own or uses the
//!   installation's.
//! * [`Authenticator`]: the text of an API key or device token to a
//!   [`Principal`](kabar_core::Principal).
//! * [`pacing`]: what can be set about the speed of a device and the quiet of an account;
//!   [`PacingRules`] keeps the account's.
//! * [`lease`]: which node runs which paired session.
//! * [`repo`] and [`meta`]: what storage does; [`DeviceRegistry`] is how other domains read devices.

mod authenticator;
pub mod device;
mod devices;
pub mod health;
pub mod lease;
pub mod meta;
mod meta_apps;
pub mod pacing;
mod pacing_rules;
mod proof;
pub mod repo;
pub mod settings;

pub use authenticator::Authenticator;
pub use device::{Device, DeviceSettings, DeviceState, NewDevice, RecentDevices, UncertainPolicy};
pub use devices::{
    AT_REST, BAN_RISK, CreatedDevice, DeviceError, DevicePatch, Devices, MOST_NUMBERS, NewPaired,
    Registration,
};
pub use health::{Health, HealthWord};
pub use lease::{Lease, LeaseRepo, LeasesWork};
pub use meta::{MetaApp, MetaWork, NewMetaApp, WebhookApp, installation_app};
pub use meta_apps::{MetaAppError, MetaApps};
pub use pacing::{AccountPacing, PacingSettings};
pub use pacing_rules::{PacingRules, PacingRulesError};
pub use repo::{DeviceRegistry, DeviceRepo, DevicesUse, DevicesWork};
