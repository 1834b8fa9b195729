//! The HTTP face from outside. PostgreSQL runs where `KABAR_TEST_POSTGRES` names a server whose user
//! may create databases, like `postgres://postgres@127.0.0.1/postgres`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::match_same_arms,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod auth;
mod bed;
mod contacts;
mod document;
mod dump;
mod errors;
mod front;
mod idempotency;
mod insights;
mod live;
mod logs;
mod matrix;
mod operations;
mod roads;
mod snapshots;
mod webhooks;
