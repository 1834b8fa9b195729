//! Importing contacts from files, in two steps that a person looks between.
//!
//! 1. A file is uploaded; a job reads it row by row and notes what each row would do (**preview**).
//! 2. Somebody confirms; a job carries the rows out in batches.
//!
//! Both jobs note after each batch how far they got, in the batch's own unit of work: a node that
//! dies is followed by one that goes on with the next row, and no row is carried out twice. An import
//! can be cancelled at any moment; what was carried out stays.
//!
//! * [`mod@file`]: the bytes of a file as rows: encodings, delimiters, spreadsheets, limits.
//! * [`columns`]: what the columns hold; [`row`]: what a row says.
//! * [`model`]: the import itself; `read` and `carry_out` are the jobs.

pub(crate) mod carry_out;
pub mod columns;
pub mod file;
pub mod model;
pub(crate) mod read;
pub mod row;
mod service;

pub use carry_out::{CARRY_OUT_JOB, CarryOutImport};
pub use model::{
    Existing, Import, ImportCounts, ImportFormat, ImportOptions, ImportRegistry, ImportRepo,
    ImportResults, ImportRow, ImportState, ImportUse, RowState,
};
pub use read::{READ_JOB, ReadImport};
pub use service::{ImportError, Imports, KEPT_DAYS, NewImport};
