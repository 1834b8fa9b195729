//! How fast messages go, and why one waits.
//!
//! Limits live where they are kept: delay, rest and caps at the device ([`Pace`]), throughput at
//! the number, quiet hours and the contact's frequency cap at the account ([`quiet`]). A send is
//! counted in the unit of work that begins it, so no cap is passed by two nodes or a restart.
//!
//! Messages of paired devices to people who never wrote have a [`guard`] of their own: they stand in
//! lines of their own, which are passed over while they wait.
//!
//! A device that pauses writes nothing to the messages that wait on it: why one of them waits is
//! computed when somebody asks.

pub mod estimate;
pub mod guard;
pub mod hold;
pub mod pace;
pub mod quiet;
pub mod repo;
pub mod service;

pub use estimate::{Estimate, Sender, estimate};
pub use guard::{Blocked, Guard, NewContacts, WarmUpDay};
pub use hold::{Hold, HoldReason};
pub use pace::{Ledger, Pace};
pub use quiet::Quiet;
pub(crate) use service::senders;
pub use service::{DeviceHealth, Meeting, Pacing, Usage};
