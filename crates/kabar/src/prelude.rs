//! What most programs that embed Kabar name: `use kabar::prelude::*;`.

pub use crate::{KeyRing, Platform, Running};
pub use kabar_accounts::NewAccount;
pub use kabar_automation::{Matching, NewRule, Response};
pub use kabar_channel::{
    Accepted, Capabilities, Channel, ChannelKind, ChannelPorts, Content, DeviceLink, Intake,
    Outgoing, Prepared, SendError,
};
pub use kabar_cloud_api::GraphConfig;
pub use kabar_core::permission;
pub use kabar_core::{Grant, PageRequest, PhoneNumber, Principal, Secret};
pub use kabar_devices::Registration;
pub use kabar_messaging::{MessageFilter, NewMessage, Status, To};
