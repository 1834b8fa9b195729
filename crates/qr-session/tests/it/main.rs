//! Paired sessions over both databases. PostgreSQL runs where `KABAR_TEST_POSTGRES` names a server
//! whose user may create databases, like `postgres://postgres@127.0.0.1/postgres`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod baileys;
mod files;
mod oracle;
mod pinned;
mod support;
