//! Where the rows of an export come from.

use async_trait::async_trait;
use kabar_core::{Scope, StoreError};
use serde_json::Value;

/// A cell of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// A text of somebody: guarded where a spreadsheet would run it.
    Text(String),
    /// A text of ours that holds no formula, like a number in E.164 or a time.
    Plain(String),
    /// A number.
    Number(i64),
    /// A document; in a table it is its text.
    Json(Value),
}

/// Some rows, and where to go on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// The rows, each with as many cells as there are columns.
    pub rows: Vec<Vec<Cell>>,
    /// Where to go on; `None` at the end. Rows can be few, even none, before the end.
    pub next: Option<String>,
}

/// Why rows cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// They can never be had so; a sentence for whoever asked.
    #[error("{0}")]
    Refused(String),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows of one kind. The same position gives the same rows as long as nobody changes them.
#[async_trait]
pub trait Source: Send + Sync {
    /// The word of the [`Kind`](crate::Kind).
    fn kind(&self) -> &'static str;

    /// The names of the columns, asked for once.
    async fn columns(&self, scope: Scope, params: &Value) -> Result<Vec<String>, SourceError>;

    /// Rows behind a position, some thousands at most.
    async fn rows(
        &self,
        scope: Scope,
        params: &Value,
        columns: &[String],
        after: Option<&str>,
    ) -> Result<Rows, SourceError>;
}
