//! Kabar's storage: SQLite (the embedded default) and PostgreSQL through sea-orm.
//!
//! [`Database`] opens units of work. Every domain's work trait is implemented over one transaction,
//! and each repository is opened with the scope that its rows belong to, so no query can forget its
//! tenant.
//!
//! * **SQLite**: one writer connection with immediate transactions. Units of
//!   work that queue up behind each other are savepoints in one, and each returns only after the
//!   commit of all reached the disk (`synchronous=FULL`). Readers have a pool of their own.
//! * **PostgreSQL**: a transaction each. `lock_timeout` and `idle_in_transaction_session_timeout`
//!   keep a frozen node from blocking others.
//!
//! # Adding a repository
//! One file per aggregate with the same path as in its domain; entities in `entity.rs` beside it.
//! Start every tenant query from `scope.account()`, return `Option` for look-ups, and run the
//! domain's contract suite of `kabar-testkit` on both databases.

mod accounts;
mod automation;
mod backup;
mod blobs;
mod contacts;
mod convert;
mod database;
mod devices;
mod disk;
mod error;
mod events;
mod exports;
mod group;
mod insights;
mod jobs;
mod keyring;
mod mails;
mod messaging;
mod once;
mod operations;
mod raw;
mod rotate;
mod sessions;
mod unit;
mod wake;
mod webhooks;

#[cfg(feature = "testing")]
pub mod testing;

pub use backup::{BackupError, BackupSummary, Progress, Report, RestoreOptions};
pub use blobs::FolderBlobs;
pub use database::{Database, DatabaseUrl, Durability, OpenError};
pub use disk::DiskOf;
pub use keyring::{KeyRing, KeyRingError};
pub use rotate::{Resealed, RotateError};
pub use wake::PostgresWake;
