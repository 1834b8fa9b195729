#![doc = include_str!("../README.md")]

mod accounts;
mod clock;
mod config;
mod control;
mod customers;
mod delivery;
mod directory;
mod error;
mod fault_book;
mod faults;
mod graph;
mod graph_error;
mod inbound;
mod limits;
mod media;
mod message_log;
mod messages;
#[cfg(feature = "multi-device")]
pub mod multi_device;
mod overview;
mod people;
mod random;
mod sandbox;
mod server;
mod speaking;
mod templates;
mod validate;
mod wamid;
mod webhooks;
mod world;

pub use accounts::{Account, NewAccount, NewNumber, Number};
pub use config::{
    DEFAULT_APP_ID, DEFAULT_APP_SECRET, DEFAULT_BUSINESS_ID, DEFAULT_DISPLAY_PHONE_NUMBER,
    DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_VERIFY_TOKEN, DEFAULT_WABA_ID, DelayRange,
    RetryPlan, SandboxConfig, Settings, WindowMode,
};
pub use customers::{Customer, CustomerPatch};
pub use error::SandboxError;
pub use faults::{ActiveFault, Fault, FaultEffect, FaultPoint};
pub use inbound::{Inbound, InboundContent, InboundReceipt, MediaKind};
pub use messages::{DeliveryStatus, MessageFilter, ReadMark, SentMessage, Tally, TallyBy};
pub use overview::{Overview, ResetScope};
pub use sandbox::Sandbox;
pub use webhooks::{Handshake, RawWebhook, WebhookConfig, WebhookCounts, WebhookRecord};
