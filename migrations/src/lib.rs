//! The schema history of Kabar, one set of migrations for SQLite and PostgreSQL.
//!
//! # Conventions
//! * Columns are written out here and never derived from entities: a migration is frozen on the
//!   day it is released.
//! * Ids are UUIDs (16 bytes). Points in time are microseconds since 1970, UTC, as 64-bit integers:
//!   the same order, range and precision on both databases (`docs/decisions/0002-time-columns.md`).
//! * States, roles and kinds are words, not numbers.
//! * SQLite runs a migration in a transaction only if asked, so each asks.
//!
//! # Adding a migration
//! Copy the newest file as `m<date>_<time>_<what>.rs`, add it to [`Migrator`], and extend
//! `up_down_up` in the storage tests if it moves data.

mod ddl;
mod m20261121_000001_accounts;
mod m20261121_000002_devices;
mod m20261121_000003_contacts;
mod m20261121_000004_messaging;
mod m20261121_000005_automation;
mod m20261121_000006_log_and_jobs;
mod m20261121_000007_accounts;
mod m20261121_000008_contacts;
mod m20261121_000009_broadcasts;
mod m20261121_000010_pacing;
mod m20261121_000011_webhooks;
mod m20261121_000012_insights;
mod m20261121_000013_operations;
mod m20261121_000014_events_removed;
mod m20261121_000015_lean_inserts;
mod m20261121_000016_fewer_trees;
mod m20261121_000017_sessions;
mod m20261121_000018_ban_risk;
mod m20261121_000019_authors;
mod m20261122_000020_session_errands;
mod m20261122_000021_ban_guard;
mod m20261122_000022_proxies;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

/// Every migration, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_accounts::Migration),
            Box::new(m20261121_000002_devices::Migration),
            Box::new(m20261121_000003_contacts::Migration),
            Box::new(m20261121_000004_messaging::Migration),
            Box::new(m20261121_000005_automation::Migration),
            Box::new(m20261121_000006_log_and_jobs::Migration),
            Box::new(m20261121_000007_accounts::Migration),
            Box::new(m20261121_000008_contacts::Migration),
            Box::new(m20261121_000009_broadcasts::Migration),
            Box::new(m20261121_000010_pacing::Migration),
            Box::new(m20261121_000011_webhooks::Migration),
            Box::new(m20261121_000012_insights::Migration),
            Box::new(m20261121_000013_operations::Migration),
            Box::new(m20261121_000014_events_removed::Migration),
            Box::new(m20261121_000015_lean_inserts::Migration),
            Box::new(m20261121_000016_fewer_trees::Migration),
            Box::new(m20261121_000017_sessions::Migration),
            Box::new(m20261121_000018_ban_risk::Migration),
            Box::new(m20261121_000019_authors::Migration),
            Box::new(m20261122_000020_session_errands::Migration),
            Box::new(m20261122_000021_ban_guard::Migration),
            Box::new(m20261122_000022_proxies::Migration),
        ]
    }
}
