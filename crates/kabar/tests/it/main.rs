//! The platform against an offline WhatsApp: both roads, end to end, on both databases.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![expect(clippy::default_trait_access, reason = "filters that filter nothing")]

mod faults;
mod incoming;
mod nodes;
mod order;
mod outbox;
mod rules;
mod sends;
mod statuses;
mod town;
