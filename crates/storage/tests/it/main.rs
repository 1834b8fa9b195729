//! Storage on both databases. PostgreSQL runs where `KABAR_TEST_POSTGRES` names a server whose user
//! may create databases, like `postgres://postgres@127.0.0.1/postgres`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod backup;
mod contracts;
mod events;
mod follow;
mod groups;
mod jobs;
mod keys;
mod lanes;
mod migrations;
mod once;
mod secrets;
mod sessions;
mod wake;
mod writers;
