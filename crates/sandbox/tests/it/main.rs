//! The sandbox as a client sees it.
#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests"
)]

mod bed;
mod control;
mod customers;
mod faults;
mod graph;
mod load;
mod media;
mod sends;
mod webhooks;
mod window;
