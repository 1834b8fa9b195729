//! Storage on both databases. PostgreSQL runs where `KABAR_TEST_POSTGRES` names a server whose user
//! may create databases, like `postgres://postgres@127.0.0.1/postgres`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod contracts;
mod events;
mod groups;
mod jobs;
mod lanes;
mod migrations;
mod once;
mod secrets;
