//! Registering, changing and removing devices.

mod input;
mod network;
mod paired;

use std::sync::Arc;

use kabar_accounts::credential::{self, DEVICE_TOKEN, Minted};
use kabar_accounts::journal::{Change, record};
use kabar_accounts::{Invalid, Realm};
use kabar_channel::{ChannelKind, Channels, SendError};
use kabar_core::permission::{ReadDevices, WriteDevices};
use kabar_core::work::OnceError;
use kabar_core::{
    Clock, Denied, DeviceId, ExposeSecret as _, Grant, IdSource, Once, Page, PageRequest, Scope,
    Secret, Store, StoreError, Timestamp,
};
use kabar_events::Fact;
use kabar_outbound::Proxies;
use serde_json::json;

use crate::device::{Device, DeviceState, NewDevice, RecentDevices};
use crate::proof::{apply, is_refusal, prove};
use crate::repo::{ADDRESS_CONSTRAINT, DevicesUse};

pub use input::{DevicePatch, Registration};
pub use network::MOST_NUMBERS;
pub use paired::{AT_REST, BAN_RISK, NewPaired};

/// Why a device is not registered, read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// There is no such device here.
    #[error("no such device")]
    NotFound,
    /// A field cannot be taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// This installation has no such channel.
    #[error("this installation has no channel `{0}`")]
    NoSuchChannel(ChannelKind),
    /// The device is of another channel: it has no session.
    #[error("this device is not a paired one: it has no session to connect")]
    NotPaired,
    /// The address belongs to a device already. Whose is not told.
    #[error("this number is registered already")]
    AddressTaken,
    /// The network did not accept the credential, or could not be asked.
    #[error("the device could not be checked: {0}")]
    Check(#[source] SendError),
    /// The account does not exist.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The request repeats another one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for DeviceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { constraint } if constraint == ADDRESS_CONSTRAINT => {
                Self::AddressTaken
            }
            error => Self::Store(error),
        }
    }
}

/// A device with its token.
#[derive(Debug)]
pub struct CreatedDevice {
    /// The device.
    pub device: Device,
    /// Its device token, which is shown once: `None` when a retried request finds the device made
    /// by the first.
    pub token: Option<Secret>,
}

/// The devices of tenants.
#[derive(Clone)]
pub struct Devices {
    store: Arc<dyn Store<dyn DevicesUse>>,
    channels: Channels,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    recent: RecentDevices,
    proxies: Option<Proxies>,
}

impl std::fmt::Debug for Devices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Devices").finish_non_exhaustive()
    }
}

impl Devices {
    /// Devices in a store, on these channels.
    pub fn new(
        store: Arc<dyn Store<dyn DevicesUse>>,
        channels: Channels,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, channels, clock, ids, recent: RecentDevices::default(), proxies: None }
    }

    /// Shares the devices that were read a moment ago with those who read them.
    #[must_use]
    pub fn with_recent(mut self, recent: RecentDevices) -> Self {
        self.recent = recent;
        self
    }

    /// Lets paired devices go through proxies that their tenants name.
    #[must_use]
    pub fn with_proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    fn check_proxy(&self, proxy: &Secret) -> Result<(), DeviceError> {
        let none = || Invalid::new("proxy", "this installation has no paired devices");
        Ok(input::proxy(self.proxies.as_ref().ok_or_else(none)?, proxy)?)
    }

    /// Registers a device. Its channel is asked first, outside of any transaction: a number belongs
    /// to a tenant only after the tenant's credential could read it.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`], [`DeviceError::NoSuchChannel`], [`DeviceError::Check`],
    /// [`DeviceError::AddressTaken`].
    pub async fn register(
        &self,
        grant: &Grant<WriteDevices>,
        new: Registration,
        once: Option<&Once>,
    ) -> Result<CreatedDevice, DeviceError> {
        let scope = grant.scope();
        if new.channel == ChannelKind::QR_SESSION {
            // Nobody gets one without having accepted its risk.
            return Err(Invalid::new("channel", "a paired device is added, not registered").into());
        }
        let (mut device, minted) = self.draft(scope, new)?;
        if let Some(made) = self.made_before(scope, once).await? {
            return Ok(made);
        }
        let facts = prove(&self.channels, &device).await;
        apply(&mut device, facts.map_err(DeviceError::Check)?);
        self.insert(scope, device, minted, once).await
    }

    /// A device.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadDevices>,
        id: DeviceId,
    ) -> Result<Device, DeviceError> {
        self.find(grant.scope(), id).await
    }

    /// The devices of a tenant, newest first.
    ///
    /// # Errors
    /// [`DeviceError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadDevices>,
        page: PageRequest,
    ) -> Result<Page<Device>, DeviceError> {
        let work = self.store.read().await?;
        Ok(work.devices(grant.scope()).list(page).await?)
    }

    /// Changes a device. A new credential is proven to the channel first, and connects the device
    /// again. A new proxy is for the next connection, and for paired devices only.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`], [`DeviceError::Invalid`], [`DeviceError::Check`],
    /// [`DeviceError::NotPaired`].
    pub async fn update(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
        patch: DevicePatch,
    ) -> Result<Device, DeviceError> {
        let scope = grant.scope();
        let patch = patch.checked()?;
        if let Some(proxy) = &patch.proxy {
            self.paired(grant, id).await?;
            proxy.as_ref().map_or(Ok(()), |proxy| self.check_proxy(proxy))?;
        }
        let facts = match &patch.credential {
            None => None,
            Some(credential) => {
                let mut device = self.find(scope, id).await?;
                device.credential = Some(credential.clone());
                let facts = prove(&self.channels, &device).await;
                Some(facts.map_err(DeviceError::Check)?)
            }
        };
        self.edit(scope, id, "device.update", |device| {
            patch.apply(device);
            if let Some(facts) = facts {
                apply(device, facts);
                connect(device);
            }
        })
        .await
    }

    /// Asks the channel again what it knows of the device. If the network refuses the credential,
    /// the device is disconnected; if it cannot be asked now, nothing changes.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`], [`DeviceError::Check`].
    pub async fn check(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
    ) -> Result<Device, DeviceError> {
        let scope = grant.scope();
        let device = self.find(scope, id).await?;
        match prove(&self.channels, &device).await {
            Ok(facts) => {
                self.edit(scope, id, "device.check", |device| {
                    apply(device, facts);
                    connect(device);
                })
                .await
            }
            Err(error) => {
                if is_refusal(&error) {
                    self.disconnect(scope, &device, &error).await?;
                }
                Err(DeviceError::Check(error))
            }
        }
    }

    /// Removes a device. Its messages stay, its token stops working, its number is free again.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`].
    pub async fn remove(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
    ) -> Result<(), DeviceError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let work = self.store.begin().await?;
        if !work.devices(scope).remove(id, now).await? {
            return Err(DeviceError::NotFound);
        }
        let fact = Fact::DeviceRemoved { device_id: id };
        let change = change(scope, id, "device.remove", fact, now);
        record(&*work, &*self.ids, change).await?;
        work.commit().await?;
        self.recent.forget();
        Ok(())
    }

    /// Replaces the device token; the old one stops working at once.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`].
    pub async fn rotate_token(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
    ) -> Result<CreatedDevice, DeviceError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let minted = credential::mint(DEVICE_TOKEN, id.uuid(), &*self.ids);
        let work = self.store.begin().await?;
        let hash = *minted.hash.bytes();
        work.devices(scope).set_token(id, &minted.hint, hash).await?;
        let device = work.devices(scope).get(id).await?;
        let device = device.ok_or(DeviceError::NotFound)?;
        let fact = Fact::DeviceChanged { device_id: id };
        let change = change(scope, id, "device.rotate_token", fact, now);
        record(&*work, &*self.ids, change).await?;
        work.commit().await?;
        Ok(CreatedDevice { device, token: Some(minted.secret) })
    }

    async fn disconnect(
        &self,
        scope: Scope,
        asked: &Device,
        error: &SendError,
    ) -> Result<(), DeviceError> {
        self.edit(scope, asked.id, "device.check", |device| {
            // The refusal says nothing of a credential that came in the meantime.
            if same_credential(device, asked) {
                device.state = DeviceState::Disconnected;
                device.state_reason = Some(error.reason().to_string());
            }
        })
        .await
        .map(|_| ())
    }

    fn draft(&self, scope: Scope, new: Registration) -> Result<(Device, Minted), DeviceError> {
        let new = new.checked()?;
        if self.channels.get(&new.channel).is_none() {
            return Err(DeviceError::NoSuchChannel(new.channel));
        }
        let (id, now) = (DeviceId::from(self.ids.next()), self.clock.now());
        let minted = credential::mint(DEVICE_TOKEN, id.uuid(), &*self.ids);
        let device = Device {
            id,
            account: scope.account(),
            name: new.name,
            channel: new.channel,
            address: new.address,
            parent: new.parent,
            portfolio: None,
            app: new.app,
            phone: None,
            verified_name: None,
            quality: None,
            credential: new.credential,
            proxy: None,
            token_hint: Some(minted.hint.clone()),
            state: DeviceState::Connected,
            state_reason: None,
            settings: new.settings,
            fence: 0,
            has_rules: false,
            risk_accepted_at: None,
            first_connected_at: None,
            health: None,
            created_at: now,
            updated_at: now,
        };
        Ok((device, minted))
    }

    /// A retried request must not ask the network again.
    async fn made_before(
        &self,
        scope: Scope,
        once: Option<&Once>,
    ) -> Result<Option<CreatedDevice>, DeviceError> {
        let Some(once) = once else { return Ok(None) };
        let work = self.store.begin().await?;
        recall(&*work, scope, once).await
    }

    async fn insert(
        &self,
        scope: Scope,
        device: Device,
        minted: Minted,
        once: Option<&Once>,
    ) -> Result<CreatedDevice, DeviceError> {
        let now = device.created_at;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(made) = recall(&*work, scope, once).await?
        {
            return Ok(made);
        }
        if !Realm::from(scope).exists(&*work).await? {
            return Err(Denied::NoSuchAccount.into());
        }
        check_app(&*work, scope, &device).await?;
        let new = NewDevice { device, token_hash: Some(*minted.hash.bytes()) };
        work.devices(scope).insert(&new).await?;
        let device = new.device;
        note_parent(&*work, scope, &device).await?;
        let fact = Fact::DeviceAdded { device_id: device.id };
        let change = change(scope, device.id, "device.register", fact, now);
        record(&*work, &*self.ids, change).await?;
        if let Some(once) = once {
            once.remember(&*work, &device.id, now).await?;
        }
        work.commit().await?;
        Ok(CreatedDevice { device, token: Some(minted.secret) })
    }

    async fn find(&self, scope: Scope, id: DeviceId) -> Result<Device, DeviceError> {
        let work = self.store.read().await?;
        let device = work.devices(scope).get(id).await?;
        device.ok_or(DeviceError::NotFound)
    }

    async fn edit(
        &self,
        scope: Scope,
        id: DeviceId,
        action: &'static str,
        edit: impl FnOnce(&mut Device) + Send,
    ) -> Result<Device, DeviceError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let device = work.devices(scope).lock(id).await?;
        let mut device = device.ok_or(DeviceError::NotFound)?;
        let state = device.state;
        edit(&mut device);
        device.updated_at = now;
        check_app(&*work, scope, &device).await?;
        work.devices(scope).update(&device).await?;
        note_parent(&*work, scope, &device).await?;
        let fact = if device.state == state {
            Fact::DeviceChanged { device_id: id }
        } else {
            Fact::DeviceState {
                device_id: id,
                state: device.state.to_string(),
                reason: device.state_reason.clone(),
            }
        };
        record(&*work, &*self.ids, change(scope, id, action, fact, now)).await?;
        work.commit().await?;
        self.recent.forget();
        Ok(device)
    }
}

fn same_credential(one: &Device, other: &Device) -> bool {
    let text = |device: &Device| device.credential.as_ref().map(|c| c.expose_secret().to_owned());
    text(one) == text(other)
}

fn connect(device: &mut Device) {
    device.state = DeviceState::Connected;
    device.state_reason = None;
}

async fn recall(
    work: &dyn DevicesUse,
    scope: Scope,
    once: &Once,
) -> Result<Option<CreatedDevice>, DeviceError> {
    let Some(id) = once.recall::<DeviceId>(work).await? else {
        return Ok(None);
    };
    let device = work.devices(scope).get(id).await?;
    Ok(Some(CreatedDevice { device: device.ok_or(DeviceError::NotFound)?, token: None }))
}

/// The app must be the tenant's own.
async fn check_app(
    work: &dyn DevicesUse,
    scope: Scope,
    device: &Device,
) -> Result<(), DeviceError> {
    if let Some(app) = device.app
        && work.meta_apps(scope.into()).get(app).await?.is_none()
    {
        let problem = "must be a Meta app of this account; absent for the installation's own";
        return Err(Invalid::new("app_id", problem).into());
    }
    Ok(())
}

async fn note_parent(
    work: &dyn DevicesUse,
    scope: Scope,
    device: &Device,
) -> Result<(), StoreError> {
    let Some(parent) = &device.parent else {
        return Ok(());
    };
    let mut accounts = work.business_accounts(scope);
    accounts.seen(parent, device.portfolio.as_deref(), device.updated_at).await
}

fn change(scope: Scope, id: DeviceId, action: &'static str, fact: Fact, at: Timestamp) -> Change {
    Change {
        account: Some(scope.account()),
        actor: scope.actor(),
        action,
        subject: id.to_string(),
        detail: json!({}),
        fact,
        at,
    }
}
