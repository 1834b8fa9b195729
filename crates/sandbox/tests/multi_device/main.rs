//! The multi-device server as a third-party client sees it: whatsapp-rust, built with the full
//! certificate check, in sessions that the server minted.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests"
)]

mod bed;
mod control;
mod endings;
mod faults;
mod groups;
mod load;
mod login;
mod media;
mod messages;
mod people;
