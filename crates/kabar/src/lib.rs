//! Kabar: an embeddable WhatsApp platform.
//!
//! This crate composes the rooms behind one builder and holds no logic of its own. Everything that
//! the reference server can do, an embedding program can do in one call without HTTP.
//!
//! ```
//! use kabar::prelude::*;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = tempfile::tempdir()?;
//!     let platform = Platform::builder()
//!         .database(format!("sqlite:{}/kabar.db", folder.path().display()).parse()?)
//!         .keys(KeyRing::open_or_create(&folder.path().join("keys"))?)
//!         .files(folder.path().join("files"))
//!         .build()
//!         .await?;
//!     let running = platform.start();
//!     // … platform.devices(), platform.messages(), platform.intake() …
//!     running.stop().await;
//!     Ok(())
//! }
//! ```
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | (none) | | the official Cloud API channel on SQLite and PostgreSQL |
//! | `qr-session` | no | paired devices, the unofficial channel |
//!
//! `qr-session` is off by default because it links code under the AGPL; see `docs/licensing.md`.

mod platform;
pub mod prelude;
mod running;
mod wholesale;

pub use platform::{BuildError, Platform, PlatformBuilder};
pub use running::Running;

pub use ::{
    kabar_operations as operations, kabar_outbound as outbound, kabar_rules as rules,
    kabar_webhooks as webhooks,
};
pub use kabar_accounts as accounts;
pub use kabar_automation as automation;
pub use kabar_channel as channel;
pub use kabar_cloud_api as cloud_api;
pub use kabar_contacts as contacts;
pub use kabar_core as core;
pub use kabar_devices as devices;
pub use kabar_events as events;
pub use kabar_exports as exports;
pub use kabar_insights as insights;
pub use kabar_jobs as jobs;
pub use kabar_mail as mail;
pub use kabar_messaging as messaging;
#[cfg(feature = "qr-session")]
pub use kabar_qr_session as qr_session;
pub use kabar_storage::{
    BackupError, BackupSummary, Database, DatabaseUrl, Durability, FolderBlobs, KeyRing,
    KeyRingError, OpenError, PostgresWake, Progress, Report, Resealed, RestoreOptions, RotateError,
};
