//! The channel port of Kabar: what a WhatsApp channel must be able to do, and the words in which
//! it and the engine speak.
//!
//! # Overview
//!
//! * [`content`]: one content model for every channel, and [`incoming`]: what people send.
//! * [`capabilities`]: what a device can carry; [`mod@fit`]: how a content it cannot carry is
//!   downgraded in a stated way, or refused.
//! * [`Channel`]: the one trait a channel implements; the optional ports beside it are in
//!   [`ports`]. [`ChannelPorts`] binds them together.
//! * [`SendError`]: what to *do* after a failed send. The classification lives in the channel, the
//!   policy in `kabar-messaging`.
//! * [`event`]: what a channel hands to the [`Intake`], which acknowledges only after the commit.
//! * [`vault`]: where paired sessions keep their keys, written by one owner at a time.
//!
//! # Adding a channel
//!
//! Implement [`Channel`] (three methods that matter), wrap it in [`ChannelPorts`], and hand it to
//! the platform's builder. A channel that can receive also keeps an [`Intake`] and calls
//! [`Intake::accept`] *before* it acknowledges to its own network.
//!
//! ```
//! use async_trait::async_trait;
//! use kabar_channel::{
//!     Accepted, Capabilities, Channel, ChannelKind, DeviceLink, Outgoing, Prepared, SendError,
//! };
//!
//! /// Prints instead of sending.
//! struct Paper;
//!
//! #[async_trait]
//! impl Channel for Paper {
//!     fn kind(&self) -> ChannelKind {
//!         ChannelKind::new("paper")
//!     }
//!
//!     fn capabilities(&self, _device: &DeviceLink) -> Capabilities {
//!         Capabilities::text_only()
//!     }
//!
//!     async fn prepare(&self, _: &DeviceLink, message: &Outgoing) -> Result<Prepared, SendError> {
//!         Prepared::of(&message.content)
//!     }
//!
//!     async fn transmit(
//!         &self,
//!         _: &DeviceLink,
//!         message: &Outgoing,
//!         prepared: &Prepared,
//!     ) -> Result<Accepted, SendError> {
//!         println!("{} {}", message.id, prepared.json());
//!         Ok(Accepted::new(message.id.to_string()))
//!     }
//! }
//! ```

pub mod capabilities;
pub mod content;
pub mod event;
pub mod fit;
pub mod incoming;
pub mod outcome;
pub mod ports;
pub mod vault;

mod channel;

pub use capabilities::{Capabilities, ContentKind, Limits, PairLimit, RetrySafety};
pub use channel::{
    Channel, ChannelKind, ChannelPorts, Channels, DeviceLink, Outgoing, Prepared, Recipient,
};
pub use content::{Content, FieldError, MediaRef};
pub use event::{
    Batch, ChannelEvent, DeviceAddress, EventBody, Intake, IntakeError, IntakeReport, RawBody,
};
pub use fit::{Choice, Fallback, Fit, fit};
pub use incoming::{Author, IncomingContent, IncomingMessage, PersonIds, StatusUpdate};
pub use outcome::{Accepted, MessageKey, Reason, SendError};
pub use vault::{Fence, SessionVault, VaultError};
