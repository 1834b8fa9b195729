//! The Cloud API channel against a server of our own, and the webhook decoder against samples,
//! mutations and noise.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod support;

mod classify;
mod media;
mod outgoing;
mod ports;
mod transmit;
mod webhook_mutations;
mod webhook_oddities;
mod webhook_samples;
mod webhook_security;
