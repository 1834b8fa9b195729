//! Session files of devices: brought in, and taken along.

use kabar_accounts::journal::{Change, record};
use kabar_channel::ChannelKind;
use kabar_core::permission::WriteDevices;
use kabar_core::{DeviceId, Grant, InstallationScope, StoreError};
use kabar_devices::lease::{Lease, Release};
use kabar_events::Fact;
use serde_json::json;

use crate::Supervisor;
use crate::import::{self, ImportError, SessionFile, Source};

const SCOPE: InstallationScope = InstallationScope::system("sessions");

/// Why a session file is not taken or made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such device here.
    #[error("no such device")]
    NotFound,
    /// The device is of another channel.
    #[error("this device is not a paired one: it has no session")]
    NotPaired,
    /// Its session runs.
    #[error("the device's session runs; disconnect it first")]
    Running,
    /// The file, or the session.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Supervisor {
    /// Brings a session in, to a device that has none: from a session file, or from the state of a
    /// Baileys program (`useMultiFileAuthState`: an object of file names and contents). All of it, or
    /// nothing. Connect the device afterwards.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn bring_in(
        &self,
        grant: &Grant<WriteDevices>,
        device: DeviceId,
        document: &[u8],
    ) -> Result<Source, FileError> {
        let lease = self.occupy(grant, device).await?;
        let vault = &*self.0.parts.vault;
        let brought = import::bring_in(vault, lease.fence(), document).await;
        self.leave(grant, &lease, "device.session_import", brought.is_ok()).await?;
        Ok(brought?)
    }

    /// The session of a device as a session file. It holds every key of the account on this device:
    /// whoever has it is that device. It must not run here afterwards.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn take_along(
        &self,
        grant: &Grant<WriteDevices>,
        device: DeviceId,
    ) -> Result<SessionFile, FileError> {
        let lease = self.occupy(grant, device).await?;
        let taken = import::take_along(&*self.0.parts.vault, device).await;
        self.leave(grant, &lease, "device.session_export", taken.is_ok()).await?;
        Ok(taken?)
    }

    /// Holds a device of the tenant whose session does not run.
    async fn occupy(
        &self,
        grant: &Grant<WriteDevices>,
        device: DeviceId,
    ) -> Result<Lease, FileError> {
        let parts = &self.0.parts;
        let work = parts.store.begin().await?;
        let found = work.devices(grant.scope()).get(device).await?;
        let found = found.ok_or(FileError::NotFound)?;
        if found.channel != ChannelKind::QR_SESSION {
            return Err(FileError::NotPaired);
        }
        let lease = work.leases(SCOPE).claim_one(parts.node, device, parts.clock.now()).await?;
        let lease = lease.ok_or(FileError::Running)?;
        work.commit().await?;
        Ok(lease)
    }

    async fn leave(
        &self,
        grant: &Grant<WriteDevices>,
        lease: &Lease,
        action: &'static str,
        done: bool,
    ) -> Result<(), FileError> {
        let parts = &self.0.parts;
        let (scope, now) = (grant.scope(), parts.clock.now());
        let work = parts.store.begin().await?;
        let release = Release { fence: lease.fence(), from: now };
        work.leases(SCOPE).release(parts.node, &[release]).await?;
        if done {
            let change = Change {
                account: Some(scope.account()),
                actor: scope.actor(),
                action,
                subject: lease.device.to_string(),
                detail: json!({}),
                fact: Fact::DeviceChanged { device_id: lease.device },
                at: now,
            };
            record(&*work, &*parts.ids, change).await?;
        }
        Ok(work.commit().await?)
    }
}
