//! The platform against an offline WhatsApp: both roads, end to end, on both databases.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "tests fail by panicking"
)]
#![expect(clippy::default_trait_access, reason = "filters that filter nothing")]

mod alerts;
mod broadcasts;
mod contacts;
mod faults;
mod guard;
mod incoming;
mod mails;
mod nodes;
mod order;
mod outbox;
mod pacing;
mod rules;
mod sends;
mod sessions;
mod simulation;
mod statistics;
mod statuses;
mod town;
mod webhooks;
mod world;
