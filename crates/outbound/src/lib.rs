//! HTTP calls to addresses that tenants name: webhooks today, flows and alerts later.
//!
//! Whoever may name an address could otherwise make this server talk to its own network. So
//!
//! * names are resolved by ourselves, **every** answer is checked, and the connection is opened to
//!   exactly those answers: there is no second look-up that could say something else. That holds
//!   for every new connection, so a name that changes its mind is refused the moment it does;
//! * addresses in numbers are checked in every spelling that a browser would understand
//!   (`http://2130706433`, `http://0x7f.1`, `http://[::ffff:127.0.0.1]`);
//! * redirects are answers like any other and never followed; no proxy of the environment is used;
//! * what is read of an answer is bounded, in bytes and in time.
//!
//! Who runs Kabar inside a network of its own names what may be reached in an [`AllowList`].
//!
//! # Overview
//!
//! [`Outbound`] posts; [`Proxies`] opens the proxies that tenants name; [`Guard`] says which
//! addresses may be reached; [`Resolve`] is the port for
//! name look-ups, [`SystemResolver`] the system's; [`tls`] sets clients up for everybody.

mod address;
mod allow;
mod client;
mod guard;
mod proxy;
mod resolve;
pub mod tls;

pub use address::is_public;
pub use allow::{AllowEntry, AllowList, ParseAllowError};
pub use client::{Answer, Outbound, OutboundError, OutboundSettings, Post};
pub use guard::{AddressError, Guard};
pub use proxy::{Proxies, ProxyAddress, ProxyError};
pub use resolve::{Resolve, SystemResolver};

/// The types of names and values of headers.
pub use reqwest::header;
