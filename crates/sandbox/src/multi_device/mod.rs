//! A WhatsApp Web server on loopback, with virtual phones.
//!
//! Third-party clients connect to it as to the real one: Noise with certificates, binary nodes, Signal
//! sessions with every device. Phones are played by the server itself: they decrypt what is sent to
//! them, so that a test can see what arrived and how often, and they send.
//!
//! ```no_run
//! use kabar_sandbox::multi_device::{MultiDevice, MultiDeviceConfig};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = MultiDevice::start(MultiDeviceConfig::default()).await?;
//! let session = server.mint("6281200000001")?; // import this into the client under test
//! println!("clients connect to {}", server.ws_url());
//! let customer = server.phone("6281200000002")?;
//! customer.text("6281200000001", "hello")?;
//! # let _ = session;
//! # Ok(())
//! # }
//! ```
//!
//! # How it hangs together
//!
//! `connection` speaks to sockets: `frames`, `noise`, then nodes. All state is in `state` behind the
//! lock of `shared`. `handling` takes each stanza; `requests` answers questions, `routing` and
//! `receipts` carry messages to the `queue` of each device. `phone` is device 0 of each account.
//! `trouble` applies what is in the `fault_book`.
//!
//! # Adding to it
//!
//! - A request that clients make: a line in `requests::answer`, a function beside the others.
//! - A kind of content: a variant of [`Content`], a builder in `phone::contents`.
//! - A fault: a variant of [`DeviceFaultEffect`], where it fits in `fault_book`, its effect in
//!   `trouble`.

mod accounts;
mod address;
mod admission;
mod bundle;
mod config;
mod connection;
mod control;
mod curve;
mod error;
mod fault_book;
mod faults;
mod frames;
mod groups;
mod handle;
mod handling;
mod keys;
mod link;
mod linking;
mod media;
mod mint;
mod noise;
mod pair_code;
mod pairing;
mod phone;
mod presence;
mod queue;
mod receipts;
mod requests;
mod routing;
mod shared;
mod stanza;
mod state;
mod trouble;
mod virtual_phone;

pub use address::Addressing;
pub use config::MultiDeviceConfig;
pub use error::MultiDeviceError;
pub use faults::{ActiveDeviceFault, DeviceFault, DeviceFaultEffect, DeviceFaultPoint, Ending};
pub use groups::{MemberChange, Rank};
pub use handle::{CompanionState, Connection, MultiDevice};
pub use mint::{MintedPreKey, MintedSession};
pub use noise::Pattern;
pub use phone::{Content, PhoneFailure, PhoneHabits, PhoneMessage, PhoneReceipt};
pub use virtual_phone::{Typing, VirtualPhone};
