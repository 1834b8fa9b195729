//! The Cloud API channel against a server of our own, and the webhook decoder against samples,
//! mutations and noise.
#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    clippy::panic,
    clippy::indexing_slicing,
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
