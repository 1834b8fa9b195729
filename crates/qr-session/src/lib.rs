//! The unofficial channel of Kabar: paired WhatsApp sessions that survive.
//!
//! # Overview
//!
//! * [`Supervisor`]: claims sessions, runs them, and ends what it lost; [`QrChannel`] sends over those
//!   that run in this process.
//! * [`backend`]: what the engine stores, kept in a [`SessionVault`](kabar_channel::SessionVault)
//!   under the fence of the device's lease. One [`VaultBackend`] is one device.
//! * [`import`]: session files: a paired session brought in from elsewhere, or taken along.
//!
//! The engine keeps its ratchets in memory and writes them behind: two processes that run the same
//! session corrupt it. So a session runs only under a lease, and stops when
//! [`VaultBackend::fenced`] says that the lease was lost.

mod address;
pub mod backend;
mod binary;
mod capabilities;
mod channel;
mod files;
mod files_in;
mod gate;
mod http;
pub mod import;
mod incoming;
mod leases;
mod line;
mod outgoing;
mod ownership;
mod pace;
mod pairing;
mod polls;
mod ports;
mod receipt;
mod route;
mod session;
mod sessions;
mod settings;
mod supervisor;
mod transport;
mod vcard;
mod version;
mod wire_id;

pub use backend::VaultBackend;
pub use capabilities::capabilities;
pub use channel::QrChannel;
pub use files::FileError;
pub use import::{ImportError, Source};
pub use line::LineError;
pub use pairing::{PairingCode, PairingError, PairingMethod};
pub use settings::{ACKNOWLEDGED_WITHIN, QrSettings};
pub use supervisor::{Parts, SessionHealth, SessionRow, SetUpError, Supervisor};
