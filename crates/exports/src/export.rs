//! An export, its state and its kinds.

use std::fmt;
use std::str::FromStr;

use kabar_core::permission::Permit;
use kabar_core::{AccountId, ExportId, Timestamp};
use serde_json::Value;

/// Days for which a finished file is kept.
pub const KEPT_DAYS: u32 = 7;

/// A kind of export: what is exported, and what its callers must be allowed to do.
pub trait Kind: Send + Sync + 'static {
    /// The word in storage.
    const NAME: &'static str;
    /// What is needed to make and to read such an export.
    type Needs: Permit;
}

/// A word that is on none of the lists here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not known here")]
pub struct UnknownWord(String);

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every word of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the wire and in storage.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                let found = Self::ALL.iter().copied().find(|word| word.as_str() == text);
                found.ok_or_else(|| UnknownWord(text.chars().take(64).collect()))
            }
        }
    };
}

words! {
    /// The form of a file.
    Format:
    /// Comma-separated, UTF-8 with a byte order mark (Excel needs it), CRLF (RFC 4180).
    Csv = "csv",
    /// A spreadsheet of Excel 2007 and later.
    Xlsx = "xlsx",
    /// An array of objects.
    Json = "json",
}

impl Format {
    /// The media type of such a file.
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Json => "application/json",
        }
    }
}

words! {
    /// How far an export got.
    ExportState:
    /// It waits for a job runner.
    Pending = "pending",
    /// It is being written.
    Running = "running",
    /// Its file can be downloaded.
    Done = "done",
    /// It could not be written; `problem` says why.
    Failed = "failed",
    /// It was removed before it was done.
    Cancelled = "cancelled",
    /// Its file was removed, by somebody or by time.
    Removed = "removed",
}

impl ExportState {
    /// Whether a job still works on it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// An export.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Its account.
    pub account: AccountId,
    /// What is exported: the word of a [`Kind`].
    pub kind: String,
    /// The form of the file.
    pub format: Format,
    /// The file's name.
    pub filename: String,
    /// Which rows: what the kind's source understands.
    pub params: Value,
    /// How far it got.
    pub state: ExportState,
    /// Rows that are written.
    pub rows: u64,
    /// Parts that are written.
    pub parts: u32,
    /// Bytes that are written.
    pub size: u64,
    /// Where the source goes on.
    pub position: Option<String>,
    /// Whether somebody wants it gone.
    pub cancelled: bool,
    /// Why it failed.
    pub problem: Option<String>,
    /// Who asked for it.
    pub actor: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// When it came to its end.
    pub finished_at: Option<Timestamp>,
    /// Until when the file is kept.
    pub expires_at: Option<Timestamp>,
}

impl Export {
    /// Where a part's bytes are.
    pub(crate) fn part_key(&self, part: u32) -> String {
        format!("{}/exports/{}/{part:06}", self.account, self.id)
    }
}
