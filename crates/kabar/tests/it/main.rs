//! The platform against an offline WhatsApp: both roads, end to end, on both databases.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod faults;
mod incoming;
mod nodes;
mod order;
mod outbox;
mod rules;
mod sends;
mod statuses;
mod town;
