//! What callers hand in, and the rules for it.

use kabar_accounts::{Invalid, check};
use kabar_channel::ChannelKind;
use kabar_core::{ExposeSecret as _, MetaAppId, Secret};
use kabar_outbound::{Proxies, ProxyAddress};

use crate::device::{Device, DeviceSettings};
use crate::settings;

/// Characters of the names that a network gives, at most; Meta's ids have about 16.
const WIRE_NAME_MOST: usize = 128;
/// Characters of a credential, at most; Meta's tokens have about 250.
const CREDENTIAL_MOST: usize = 4096;

/// A device to register.
#[derive(Debug, Clone)]
pub struct Registration {
    /// What the tenant calls it: 1 to 100 characters.
    pub name: String,
    /// Its channel.
    pub channel: ChannelKind,
    /// The channel's own name for it (Cloud API: the phone number id).
    pub address: String,
    /// What it hangs under (Cloud API: the business account id, required).
    pub parent: Option<String>,
    /// The channel's credential (Cloud API: the access token, required).
    pub credential: Option<Secret>,
    /// The tenant's Meta app whose webhooks it gets; `None` for the installation's.
    pub app: Option<MetaAppId>,
    /// What the tenant sets.
    pub settings: DeviceSettings,
}

impl Registration {
    /// A device with the usual settings, on a channel that needs no credential.
    pub fn new(name: impl Into<String>, channel: ChannelKind, address: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            channel,
            address: address.into(),
            parent: None,
            credential: None,
            app: None,
            settings: DeviceSettings::default(),
        }
    }

    /// It hangs under this (Cloud API: the business account id).
    #[must_use]
    pub fn under(mut self, parent: impl Into<String>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Its channel's credential (Cloud API: the access token).
    #[must_use]
    pub fn with_credential(mut self, credential: Secret) -> Self {
        self.credential = Some(credential);
        self
    }
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Clone, Default)]
pub struct DevicePatch {
    /// What the tenant calls it.
    pub name: Option<String>,
    /// The settings, all of them.
    pub settings: Option<DeviceSettings>,
    /// The channel's credential; it is proven to the channel first.
    pub credential: Option<Secret>,
    /// The tenant's Meta app; `Some(None)` goes back to the installation's.
    pub app: Option<Option<MetaAppId>>,
    /// The proxy of a paired device, from its next connection on; `Some(None)` goes without.
    pub proxy: Option<Option<Secret>>,
}

impl Registration {
    pub(super) fn checked(mut self) -> Result<Self, Invalid> {
        self.name = check::name("name", &self.name)?;
        wire_name("address", &self.address)?;
        if let Some(parent) = &self.parent {
            wire_name("parent", parent)?;
        }
        if let Some(secret) = &self.credential {
            credential(secret)?;
        }
        if self.channel == ChannelKind::CLOUD_API {
            self.check_cloud()?;
        }
        settings::check(&self.settings)?;
        Ok(self)
    }

    /// Meta's ids travel in the path of requests, so they are digits and nothing else.
    fn check_cloud(&self) -> Result<(), Invalid> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(&self.address) {
            let problem = "must be the digits of the phone number id";
            return Err(Invalid::new("address", problem));
        }
        if !self.parent.as_deref().is_some_and(digits) {
            let problem = "must be the digits of the WhatsApp business account id";
            return Err(Invalid::new("parent", problem));
        }
        match self.credential {
            Some(_) => Ok(()),
            None => Err(Invalid::new("credential", "must be an access token")),
        }
    }
}

impl DevicePatch {
    pub(super) fn checked(mut self) -> Result<Self, Invalid> {
        if let Some(name) = &mut self.name {
            *name = check::name("name", name)?;
        }
        if let Some(wanted) = &self.settings {
            settings::check(wanted)?;
        }
        if let Some(secret) = &self.credential {
            credential(secret)?;
        }
        Ok(self)
    }

    pub(super) fn apply(self, device: &mut Device) {
        if let Some(name) = self.name {
            device.name = name;
        }
        if let Some(settings) = self.settings {
            device.settings = settings;
        }
        if let Some(credential) = self.credential {
            device.credential = Some(credential);
        }
        if let Some(app) = self.app {
            device.app = app;
        }
        if let Some(proxy) = self.proxy {
            device.proxy = proxy;
        }
    }
}

/// A proxy that may be used, as far as that can be said before its name is looked up.
pub(super) fn proxy(proxies: &Proxies, secret: &Secret) -> Result<(), Invalid> {
    let read = ProxyAddress::parse(secret.expose_secret());
    let checked = read.and_then(|address| proxies.check(&address));
    checked.map_err(|error| Invalid::new("proxy", error.to_string()))
}

fn wire_name(field: &'static str, text: &str) -> Result<(), Invalid> {
    let clean = text.chars().all(|c| c.is_ascii_graphic());
    if clean && (1..=WIRE_NAME_MOST).contains(&text.len()) {
        return Ok(());
    }
    let problem = format!("must be 1 to {WIRE_NAME_MOST} printable ASCII characters, no spaces");
    Err(Invalid::new(field, problem))
}

/// A credential travels in a header.
fn credential(secret: &Secret) -> Result<(), Invalid> {
    let text = secret.expose_secret();
    let clean = text.chars().all(|c| c.is_ascii_graphic());
    if clean && (1..=CREDENTIAL_MOST).contains(&text.len()) {
        return Ok(());
    }
    let problem = format!("must be 1 to {CREDENTIAL_MOST} printable ASCII characters, no spaces");
    Err(Invalid::new("credential", problem))
}
