//! Exports: rows of any room, written to a file by a job.
//!
//! An export is a durable row with a state. Its job asks the [`Source`] of its kind for pages of
//! rows, writes them to the [`BlobStore`](kabar_core::BlobStore) part by part, and notes after each
//! part how far it got: a node that dies is followed by one that goes on behind the last part. Files
//! are kept for [`KEPT_DAYS`] days.
//!
//! # Overview
//!
//! * [`Exports`]: start, look at, download, remove; each call names its [`Kind`], which says what
//!   permission it needs.
//! * [`Source`]: what a room implements so that its rows can be exported; [`WriteExport`] is the job.
//! * [`formula`]: cells that a spreadsheet would run are made harmless, and back.
//!
//! # Adding a kind
//! Give it a type with [`Kind`] (its word and its permission), implement [`Source`] for its rows,
//! and hand the source to [`WriteExport`] where the platform is composed.

pub mod export;
pub mod formula;
mod job;
pub mod repo;
mod service;
pub mod source;
mod write;

pub use export::{Export, ExportState, Format, KEPT_DAYS, Kind};
pub use job::{EXPORT_JOB, WriteExport};
pub use repo::{ExportRegistry, ExportRepo, ExportsUse, ExportsWork};
pub use service::{ExportError, ExportFile, Exports, NewExport};
pub use source::{Cell, Rows, Source, SourceError};
pub use write::csv_part;
