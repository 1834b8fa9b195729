//! Paired devices: numbers that are linked like a WhatsApp Web, unofficially.

use kabar_accounts::journal::record;
use kabar_accounts::{Invalid, check};
use kabar_channel::ChannelKind;
use kabar_core::permission::WriteDevices;
use kabar_core::{DeviceId, Grant, InstallationScope, Once, PhoneNumber, Secret};
use kabar_events::Fact;

use super::{CreatedDevice, DeviceError, Devices, Registration, change};
use crate::device::{Device, DeviceSettings, DeviceState};
use crate::lease::Errand;

/// What the owner of a paired device must accept before it is made.
pub const BAN_RISK: &str = "Pairing is not an official way to WhatsApp. WhatsApp may ban the number, \
    for a time or for good, without a warning; the risk grows with messages to people who did not \
    write first. Do not pair a number that you cannot afford to lose.";

/// Why a paired device that is not wanted is disconnected.
pub const AT_REST: &str = "it was disconnected on purpose, or its account is not active";

const SCOPE: InstallationScope = InstallationScope::system("devices");

/// A paired device to make.
#[derive(Debug, Clone)]
pub struct NewPaired {
    /// What the tenant calls it: 1 to 100 characters.
    pub name: String,
    /// What the tenant sets.
    pub settings: DeviceSettings,
    /// Whether the user accepts [`BAN_RISK`]; without that nothing is made.
    pub accept_risk: bool,
    /// The proxy that its session goes through.
    pub proxy: Option<Secret>,
}

impl Devices {
    /// Makes a device that is to be paired: by a code, or by bringing a session in. That the risk was
    /// accepted, by whom and when, is kept and audited.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`] naming `accept_risk` when the risk was not accepted, or `proxy`;
    /// [`DeviceError::NoSuchChannel`] when this installation has no paired devices.
    pub async fn add_paired(
        &self,
        grant: &Grant<WriteDevices>,
        new: NewPaired,
        once: Option<&Once>,
    ) -> Result<CreatedDevice, DeviceError> {
        if !new.accept_risk {
            let problem = format!("must be true, to say that you accept this: {BAN_RISK}");
            return Err(Invalid::new("accept_risk", problem).into());
        }
        let name = check::name("name", &new.name)?;
        new.proxy.as_ref().map_or(Ok(()), |proxy| self.check_proxy(proxy))?;
        let scope = grant.scope();
        // Its own id is its address: the number is not known before it is paired, and may change.
        let registration = Registration {
            settings: new.settings,
            ..Registration::new(name, ChannelKind::QR_SESSION, "unpaired")
        };
        let (mut device, minted) = self.draft(scope, registration)?;
        device.address = device.id.to_string();
        device.state = DeviceState::Disconnected;
        device.state_reason = Some("it was not paired yet".to_owned());
        device.risk_accepted_at = Some(device.created_at);
        device.proxy = new.proxy;
        self.insert(scope, device, minted, once).await
    }

    /// Says that a paired device is to be connected: whichever node has room connects it within
    /// seconds. A device without a session shows codes to scan. What is connected stays so.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`], [`DeviceError::NotPaired`] for devices of other channels.
    pub async fn connect(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
    ) -> Result<Device, DeviceError> {
        let wish = Wish { errand: Errand::None, ..Wish::connecting("device.connect") };
        self.wish(grant, id, wish).await
    }

    /// Says that a device without a session is to be paired: by a code that is scanned, or, with the
    /// number of the phone, by a code that is typed there. One that has a session is connected.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`], [`DeviceError::NotPaired`].
    pub async fn pair(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
        link: Option<PhoneNumber>,
    ) -> Result<Device, DeviceError> {
        let errand = link.map_or(Errand::None, Errand::Link);
        self.wish(grant, id, Wish { errand, ..Wish::connecting("device.pair") }).await
    }

    /// Says that a paired device is not to be connected. It keeps its session.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`], [`DeviceError::NotPaired`].
    pub async fn disconnect_paired(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
    ) -> Result<Device, DeviceError> {
        let wish = Wish {
            wanted: false,
            errand: Errand::None,
            state: DeviceState::Disconnected,
            reason: Some(AT_REST),
            action: "device.disconnect",
        };
        self.wish(grant, id, wish).await
    }

    /// Says that a paired device is to log out: WhatsApp is told, and its session is erased. That
    /// takes a connection, which is made if there is none; without one the session is erased all the
    /// same, a little later.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`], [`DeviceError::NotPaired`].
    pub async fn log_out(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
    ) -> Result<Device, DeviceError> {
        let errand = Errand::LogOut(self.clock.now());
        self.wish(grant, id, Wish { errand, ..Wish::connecting("device.log_out") }).await
    }

    /// A paired device that is to be changed.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`], [`DeviceError::NotPaired`].
    pub async fn paired(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
    ) -> Result<Device, DeviceError> {
        let device = self.find(grant.scope(), id).await?;
        if device.channel == ChannelKind::QR_SESSION {
            Ok(device)
        } else {
            Err(DeviceError::NotPaired)
        }
    }

    async fn wish(
        &self,
        grant: &Grant<WriteDevices>,
        id: DeviceId,
        wish: Wish,
    ) -> Result<Device, DeviceError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let work = self.store.begin().await?;
        let device = work.devices(scope).lock(id).await?;
        let mut device = device.ok_or(DeviceError::NotFound)?;
        if device.channel != ChannelKind::QR_SESSION {
            return Err(DeviceError::NotPaired);
        }
        work.leases(SCOPE).want(&[id], wish.wanted.then_some(now)).await?;
        work.leases(SCOPE).send_on(id, &wish.errand).await?;
        if !wish.is_met(device.state) {
            let mut registry = work.device_registry(SCOPE);
            registry.set_state(id, wish.state, wish.reason, now).await?;
            drop(registry);
            (device.state, device.state_reason) = (wish.state, wish.reason.map(str::to_owned));
            let fact = Fact::DeviceState {
                device_id: id,
                state: device.state.to_string(),
                reason: device.state_reason.clone(),
            };
            record(&*work, &*self.ids, change(scope, id, wish.action, fact, now)).await?;
        }
        work.commit().await?;
        Ok(device)
    }
}

/// What a tenant wants of a paired device.
struct Wish {
    wanted: bool,
    errand: Errand,
    /// What its state becomes at once.
    state: DeviceState,
    reason: Option<&'static str>,
    action: &'static str,
}

impl Wish {
    const fn connecting(action: &'static str) -> Self {
        Self {
            wanted: true,
            errand: Errand::None,
            state: DeviceState::Connecting,
            reason: None,
            action,
        }
    }

    /// Whether a device is in this state because it was wanted before: saying so again changes
    /// nothing. Logging out and pairing anew begin again each time.
    fn is_met(&self, state: DeviceState) -> bool {
        let connects = [
            DeviceState::Connected,
            DeviceState::Connecting,
            DeviceState::Reconnecting,
            DeviceState::Qr,
        ];
        match (&self.errand, self.wanted) {
            (Errand::None, true) => connects.contains(&state),
            (Errand::None, false) => state == self.state,
            _ => false,
        }
    }
}
