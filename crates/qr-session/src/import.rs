//! Session files: a paired session as one JSON document, to bring in or to take along.
//!
//! ```json
//! {
//!   "format": "kabar-session",
//!   "version": 1,
//!   "source": "kabar",
//!   "device": { "pn": "…", "noise_key": [], "…": "the engine's device as it serialises itself" },
//!   "prekeys": [ { "id": 1, "record": "<base64>", "uploaded": true } ],
//!   "shelves": { "sessions": [ { "key": "<base64>", "value": "<base64>" } ] }
//! }
//! ```
//!
//! `uploaded` and `shelves` may be absent; an item may have `due`, `mark` and `tag` (base64) as well.
//! The file holds every key of the account on this device: whoever has it is that device.
//!
//! A session lives in one place. What was exported must not run on where it was; the network throws
//! one of two out, and both lose messages on the way.
//!
//! * [`bring_in`] reads such a file, [`bring_in_baileys`] the state of a Baileys program.
//! * [`take_along`] writes one.
//! * [`source`] tells where a session came from.

mod baileys;
mod check;
mod export;
mod file;

use bytes::Bytes;
use kabar_channel::vault::{Change, Fence, Item, SessionVault, VaultError};
use kabar_core::DeviceId;
use serde::{Deserialize, Serialize};
use wacore::store::Device;

use crate::backend::key::only;
use crate::backend::shelf::{ABOUT, DEVICE};

pub use baileys::{Left, read as read_baileys};
pub use export::take_along;
pub use file::SessionFile;

/// Where a session was paired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// On WhatsApp, by a Kabar.
    Kabar,
    /// On the sandbox. Its server's key is no key of WhatsApp's: such a session belongs to no real
    /// account, and an installation refuses it unless it was asked for.
    Sandbox,
    /// On WhatsApp, by a program over Baileys.
    Baileys,
}

/// Why a session is not brought in or taken along. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The document is not what it should be.
    #[error("{field}: {problem}")]
    Field {
        /// The field's path, like `prekeys[3].record`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The device has a session; it must be logged out first.
    #[error("the device has a session already")]
    Occupied,
    /// There is no session to take along.
    #[error("the device has no session")]
    Empty,
    /// The vault failed, or somebody else owns the device.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl ImportError {
    #[expect(clippy::needless_pass_by_value, reason = "texts and errors, as they are made")]
    fn field(field: impl Into<String>, problem: impl ToString) -> Self {
        Self::Field { field: field.into(), problem: problem.to_string() }
    }
}

/// Brings a session in, all of it or nothing: from a session file, or from the state of a Baileys
/// program as [`bring_in_baileys`] takes it.
///
/// # Errors
/// [`ImportError::Field`], [`ImportError::Occupied`], [`ImportError::Vault`].
pub async fn bring_in(
    vault: &dyn SessionVault,
    fence: Fence,
    document: &[u8],
) -> Result<Source, ImportError> {
    let file = if baileys::is_state(document) {
        read_baileys(document)?.0
    } else {
        SessionFile::read(document)?
    };
    let source = file.source();
    store(vault, fence, &file).await?;
    Ok(source)
}

/// Brings a session in from the state of a Baileys program: `creds.json` and the key files, as one
/// object of file names and contents. Returns what was not carried.
///
/// # Errors
/// [`ImportError::Field`], [`ImportError::Occupied`], [`ImportError::Vault`].
pub async fn bring_in_baileys(
    vault: &dyn SessionVault,
    fence: Fence,
    document: &[u8],
) -> Result<Left, ImportError> {
    let (file, left) = read_baileys(document)?;
    store(vault, fence, &file).await?;
    Ok(left)
}

/// Stores a checked file under the fence. The fence's owner is the only one who writes, so nothing
/// comes between the look and the write.
async fn store(
    vault: &dyn SessionVault,
    fence: Fence,
    file: &SessionFile,
) -> Result<(), ImportError> {
    if is_paired(vault, fence.device).await? {
        return Err(ImportError::Occupied);
    }
    let mut changes = vec![Change::Clear];
    changes.extend(file.changes()?);
    changes.push(Change::Put { shelf: ABOUT, items: vec![about(file.source())?] });
    Ok(vault.write(fence, changes).await?)
}

/// Whether a device has a session. What a pairing that came to nothing left is none.
pub(crate) async fn is_paired(
    vault: &dyn SessionVault,
    device: DeviceId,
) -> Result<bool, ImportError> {
    let stored = vault.get(device, DEVICE, &[only()]).await?;
    let Some(item) = stored.first() else {
        return Ok(false);
    };
    Ok(file::parse::<Device>(&item.value)?.is_registered())
}

/// What is known of a session itself.
#[derive(Serialize, Deserialize)]
struct About {
    source: Source,
}

pub(crate) fn about(source: Source) -> Result<Item, ImportError> {
    let about = serde_json::to_vec(&About { source });
    let about = about.map_err(|error| ImportError::field("source", error))?;
    Ok(Item::new(only(), Bytes::from(about)))
}

/// Where a device's session came from: one that was paired here says [`Source::Kabar`], and so does a
/// device without a session.
///
/// # Errors
/// [`ImportError::Vault`]; [`ImportError::Field`] when what is stored cannot be read.
pub async fn source(vault: &dyn SessionVault, device: DeviceId) -> Result<Source, ImportError> {
    let found = vault.get(device, ABOUT, &[only()]).await?;
    let Some(item) = found.first() else {
        return Ok(Source::Kabar);
    };
    let about: Result<About, _> = serde_json::from_slice(&item.value);
    Ok(about.map_err(|error| ImportError::field("source", error))?.source)
}
