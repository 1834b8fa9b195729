//! What happens in Kabar, told to other programs: webhooks after Standard Webhooks 1.0.0.
//!
//! # Overview
//!
//! * [`Webhooks`]: a tenant's endpoints with their secrets; [`Deliveries`]: what went to them, and
//!   sending it again.
//! * [`Deliverer`]: reads the event log, makes deliveries, and delivers. Any number of nodes.
//! * [`kinds`]: the catalogue of events.
//!
//! # The road of an event
//!
//! ```text
//! event log ──fan-out──▶ deliveries ──lanes──▶ attempts ──▶ outcomes
//!   one unit of work:      one lane an endpoint,  signed,      one unit of
//!   position and rows      leased to one node     guarded      work for many
//! ```
//!
//! The fan-out turns events into deliveries in the unit of work that notes how far the log was read,
//! so a crash neither loses an event nor gives it a second id. What is sent is rendered once and
//! kept, so that every attempt carries the same bytes.
//!
//! An endpoint's lane belongs to one node at a time, which makes its limits exact: so many under
//! way, so many in a second, one at a time in each chat. Lanes share nothing but hands, and a hand
//! that has waited for a second is given back to the pool: an endpoint that hangs, fails or has a
//! million waiting costs the others nothing. After a few failures in a row an endpoint is only
//! probed.
//!
//! # Adding an event
//! A variant of `kabar_events::Fact`, and a line in [`kinds::KINDS`] and in `docs/webhooks.md`.

mod check;
mod deliver;
mod deliveries;
pub mod delivery;
pub mod endpoint;
mod fan_out;
pub mod kinds;
mod notice;
pub mod repo;
mod resend;
mod secret;
mod view;
mod webhooks;

pub use check::Invalid;
pub use deliver::{Deliverer, DelivererSettings};
pub use deliveries::{Deliveries, DeliveryError};
pub use delivery::{Attempt, Delivery, DeliveryFilter, DeliveryState, Resend, ResendState};
pub use endpoint::{
    Backlog, Endpoint, EndpointPatch, EndpointSettings, EndpointState, Health, NewEndpoint,
};
pub use kinds::EventPattern;
pub use notice::TellOwner;
pub use repo::{WebhooksUse, WebhooksWork};
pub use resend::ResendJob;
pub use secret::{SecretError, SigningSecret};
pub use webhooks::{CreatedEndpoint, EndpointError, Webhooks};
