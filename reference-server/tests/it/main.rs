//! The HTTP face from outside. PostgreSQL runs where `KABAR_TEST_POSTGRES` names a server whose user
//! may create databases, like `postgres://postgres@127.0.0.1/postgres`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests fail by panicking"
)]

mod bed;
mod document;
mod dump;
mod errors;
mod idempotency;
mod matrix;
mod operations;
mod roads;
mod snapshots;
mod webhooks;
