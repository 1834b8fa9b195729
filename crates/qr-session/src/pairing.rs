//! Codes that pair a device, from the node that gets them to whoever shows them.

use kabar_channel::vault::{Change, Item};
use kabar_channel::{ChannelKind, VaultError};
use kabar_core::permission::WriteDevices;
use kabar_core::{DeviceId, ExposeSecret as _, Grant, Secret, StoreError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Supervisor;
use crate::backend::key::only;
use crate::backend::shelf::PAIRING;
use crate::import::{self, ImportError};

/// What is done with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingMethod {
    /// The phone scans it, drawn as a QR code.
    Scan,
    /// It is typed on the phone: eight letters and digits.
    Type,
}

impl PairingMethod {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Type => "type",
        }
    }
}

/// A code that pairs a device.
#[derive(Debug, Clone)]
pub struct PairingCode {
    /// What is done with it.
    pub method: PairingMethod,
    /// The code: what the QR code says, or what is typed.
    pub code: Secret,
    /// Until when it works; the next one to scan comes by then.
    pub expires_at: Timestamp,
}

/// Why no code is read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// There is no such device here.
    #[error("no such device")]
    NotFound,
    /// The device is of another channel.
    #[error("this device is not a paired one: it has no codes")]
    NotPaired,
    /// It has a session.
    #[error("the device is paired already; log it out first")]
    Paired,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What the vault holds cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ImportError),
}

/// How a code is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    method: PairingMethod,
    code: String,
    expires_at: Timestamp,
}

impl PairingCode {
    /// Shows it instead of the one before.
    pub(crate) fn shown(&self) -> Change {
        let kept = Kept {
            method: self.method,
            code: self.code.expose_secret().to_owned(),
            expires_at: self.expires_at,
        };
        let value = serde_json::to_vec(&kept).unwrap_or_default();
        Change::Put { shelf: PAIRING, items: vec![Item::new(only(), value)] }
    }

    /// There is none any more.
    pub(crate) fn gone() -> Change {
        Change::Remove { shelf: PAIRING, keys: vec![only()] }
    }

    fn read(item: &Item) -> Option<Self> {
        let kept: Kept = serde_json::from_slice(&item.value).ok()?;
        Some(Self { method: kept.method, code: kept.code.into(), expires_at: kept.expires_at })
    }
}

impl Supervisor {
    /// The code that pairs a device, if there is one that works: whichever node has got it.
    ///
    /// # Errors
    /// [`PairingError::NotFound`], [`PairingError::NotPaired`].
    pub async fn pairing_code(
        &self,
        grant: &Grant<WriteDevices>,
        device: DeviceId,
    ) -> Result<Option<PairingCode>, PairingError> {
        self.own(grant, device).await?;
        let kept = self.0.parts.vault.get(device, PAIRING, &[only()]).await?;
        let code = kept.first().and_then(PairingCode::read);
        Ok(code.filter(|code| code.expires_at > self.0.parts.clock.now()))
    }

    /// Refuses a device that has a session: it is logged out before it is paired anew.
    ///
    /// # Errors
    /// [`PairingError::Paired`], [`PairingError::NotFound`], [`PairingError::NotPaired`].
    pub async fn ensure_unpaired(
        &self,
        grant: &Grant<WriteDevices>,
        device: DeviceId,
    ) -> Result<(), PairingError> {
        self.own(grant, device).await?;
        if import::is_paired(&*self.0.parts.vault, device).await? {
            return Err(PairingError::Paired);
        }
        Ok(())
    }

    /// That the device is one of the tenant's, and of this channel.
    async fn own(&self, grant: &Grant<WriteDevices>, device: DeviceId) -> Result<(), PairingError> {
        let work = self.0.parts.store.read().await?;
        let found = work.devices(grant.scope()).get(device).await?;
        let found = found.ok_or(PairingError::NotFound)?;
        if found.channel == ChannelKind::QR_SESSION { Ok(()) } else { Err(PairingError::NotPaired) }
    }
}
