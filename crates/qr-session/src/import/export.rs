//! Taking a session along.

use kabar_channel::vault::{Item, SessionVault};
use kabar_core::DeviceId;
use wacore::store::Device;

use super::file::{FileItem, FilePrekey, SessionFile};
use super::{ImportError, source};
use crate::backend::key::{only, to_number};
use crate::backend::shelf::{CARRIED, DEVICE, PREKEYS};

/// The session of a device, with all its shelves. Stop it first: a session that runs writes on while
/// it is read, and its ratchets are ahead of what is stored.
///
/// # Errors
/// [`ImportError::Empty`], [`ImportError::Vault`].
pub async fn take_along(
    vault: &dyn SessionVault,
    device: DeviceId,
) -> Result<SessionFile, ImportError> {
    let stored = vault.get(device, DEVICE, &[only()]).await?;
    let stored = stored.first().ok_or(ImportError::Empty)?;
    let stored: Device = super::file::parse(&stored.value)?;
    let mut file = SessionFile::new(source(vault, device).await?, stored);
    file.prekeys = vault.list(device, PREKEYS, &[]).await?.iter().filter_map(prekey).collect();
    for shelf in CARRIED {
        let items = vault.list(device, *shelf, &[]).await?;
        if !items.is_empty() {
            let items = items.iter().map(FileItem::new).collect();
            file.shelves.insert(shelf.as_str().to_owned(), items);
        }
    }
    Ok(file)
}

fn prekey(item: &Item) -> Option<FilePrekey> {
    Some(FilePrekey::new(to_number(&item.key)?, &item.value, item.mark == Some(1)))
}
