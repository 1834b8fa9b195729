//! Devices: a tenant's WhatsApp numbers.

use kabar::Platform;
use kabar::accounts::Networks;
use kabar::channel::ChannelKind;
use kabar::channel::ports::TemplateInfo;
use kabar::core::permission::{ReadDevices, WriteDevices};
use kabar::core::{Cursor, DeviceId, ExposeSecret as _, MetaAppId, Secret, Timestamp};
use kabar::devices::{
    BAN_RISK, CreatedDevice, Device, DevicePatch, DeviceSettings, DeviceState, NewPaired,
    Registration, UncertainPolicy,
};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::accounts::undefined;
use super::answer::{Answer, Created, Listed, NoContent, page};
use super::body::JsonBody;
use super::pacing::PacingBody;
use super::words::{AnyJson, Word};
use crate::auth::{Auth, InAccount};
use crate::idempotency::OnceKey;
use crate::problem::Problem;

/// What becomes of a message whose send was never answered and that no status settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum UncertainWord {
    /// It stays uncertain and is never sent twice.
    Hold,
    /// It is sent again after `resend_after_seconds`.
    Resend,
}

/// What a tenant sets on a device; what is absent has its default.
#[derive(Debug, Clone, Object, Deserialize)]
#[oai(rename = "DeviceSettings", default)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsBody {
    /// What becomes of messages whose send was never answered.
    pub uncertain: UncertainWord,
    /// With `resend`: seconds without a status after which it is sent again.
    pub resend_after_seconds: Option<u32>,
    /// With `hold`: seconds for which an uncertain message holds its chat.
    pub settle_seconds: u32,
    /// Seconds after which a message that could not be sent expires, unless it says otherwise.
    pub expire_seconds: u32,
    /// Whether autoreply rules answer.
    pub autoreply: bool,
    /// The answer when no rule matches; `{variable}`s are filled in.
    pub default_reply: Option<String>,
    /// The default reply is given to one contact at most once in so many seconds; 0 means always.
    pub default_reply_every_seconds: u32,
    /// Automatic answers that one contact gets in an hour, at most.
    pub answers_per_contact_hour: u32,
    /// Whether messages from groups are handled.
    pub groups: bool,
    /// How it paces what it sends.
    pub pacing: PacingBody,
    /// From where the device token works: up to 100 addresses and networks, like `203.0.113.7` or
    /// `2001:db8::/32`; from everywhere when empty.
    #[oai(validator(max_items = 100))]
    pub allowed_addresses: Vec<String>,
}

impl Default for SettingsBody {
    fn default() -> Self {
        DeviceSettings::default().into()
    }
}

impl From<DeviceSettings> for SettingsBody {
    fn from(settings: DeviceSettings) -> Self {
        let (uncertain, resend_after_seconds) = match settings.uncertain {
            UncertainPolicy::Resend { after_seconds } => {
                (UncertainWord::Resend, Some(after_seconds))
            }
            _ => (UncertainWord::Hold, None),
        };
        Self {
            uncertain,
            resend_after_seconds,
            settle_seconds: settings.settle_seconds,
            expire_seconds: settings.expire_seconds,
            autoreply: settings.autoreply,
            default_reply: settings.default_reply,
            default_reply_every_seconds: settings.default_reply_every_seconds,
            answers_per_contact_hour: settings.answers_per_contact_hour,
            groups: settings.groups,
            pacing: settings.pacing.into(),
            allowed_addresses: settings.allowed_addresses.texts(),
        }
    }
}

impl TryFrom<SettingsBody> for DeviceSettings {
    type Error = Problem;

    fn try_from(body: SettingsBody) -> Result<Self, Problem> {
        let field = "settings.resend_after_seconds";
        let uncertain = match (body.uncertain, body.resend_after_seconds) {
            (UncertainWord::Hold, None) => UncertainPolicy::Hold,
            (UncertainWord::Resend, Some(after_seconds)) => {
                UncertainPolicy::Resend { after_seconds }
            }
            (UncertainWord::Resend, None) => {
                return Err(Problem::invalid(field, "must be there when `uncertain` is `resend`"));
            }
            (UncertainWord::Hold, Some(_)) => {
                return Err(Problem::invalid(field, "must be absent when `uncertain` is `hold`"));
            }
        };
        Ok(Self {
            uncertain,
            settle_seconds: body.settle_seconds,
            expire_seconds: body.expire_seconds,
            autoreply: body.autoreply,
            default_reply: body.default_reply,
            default_reply_every_seconds: body.default_reply_every_seconds,
            answers_per_contact_hour: body.answers_per_contact_hour,
            groups: body.groups,
            pacing: body.pacing.try_into()?,
            allowed_addresses: Networks::checked(
                "settings.allowed_addresses",
                &body.allowed_addresses,
            )?,
        })
    }
}

/// A device. Its credential is never shown, nor who its proxy lets in.
#[derive(Debug, Object)]
#[oai(rename = "Device")]
pub struct DeviceView {
    /// Its id.
    pub id: Word<DeviceId>,
    /// What the tenant calls it.
    pub name: String,
    /// Its channel, like `cloud_api`.
    pub channel: String,
    /// The channel's own name for it (Cloud API: the phone number id).
    pub address: String,
    /// What it hangs under (Cloud API: the WhatsApp business account id).
    pub parent: Option<String>,
    /// The tenant's Meta app whose webhooks it gets; null for the installation's.
    pub app_id: Option<Word<MetaAppId>>,
    /// Its number.
    pub phone: Option<String>,
    /// The verified business name.
    pub verified_name: Option<String>,
    /// The quality rating, in the network's words.
    pub quality: Option<String>,
    /// The first characters of its device token's random part, for recognition.
    pub token_hint: Option<String>,
    /// Whether it can send now.
    pub state: Word<DeviceState>,
    /// Why it cannot.
    pub state_reason: Option<String>,
    /// What a paired device risks; null for official channels.
    pub ban_risk: Option<String>,
    /// When the risk was accepted; null for official channels.
    pub risk_accepted_at: Option<Timestamp>,
    /// How likely a paired device is to be banned, as found within the last minutes: `good`, `watch` or
    /// `poor`, which the device's health explains; null where nobody looked yet.
    pub health: Option<String>,
    /// The proxy that a paired device goes through, without user and password; null without one.
    pub proxy: Option<String>,
    /// What the tenant set.
    pub settings: SettingsBody,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl From<Device> for DeviceView {
    fn from(device: Device) -> Self {
        let paired = device.channel == ChannelKind::QR_SESSION;
        Self {
            ban_risk: paired.then(|| BAN_RISK.to_owned()),
            risk_accepted_at: device.risk_accepted_at,
            health: device.health.map(|word| word.to_string()),
            proxy: device.proxy_shown(),
            id: Word(device.id),
            name: device.name,
            channel: device.channel.as_str().to_owned(),
            address: device.address,
            parent: device.parent,
            app_id: device.app.map(Word),
            phone: device.phone.map(|phone| phone.as_str().to_owned()),
            verified_name: device.verified_name,
            quality: device.quality,
            token_hint: device.token_hint,
            state: Word(device.state),
            state_reason: device.state_reason,
            settings: device.settings.into(),
            created_at: device.created_at,
            updated_at: device.updated_at,
        }
    }
}

/// A device with its token.
#[derive(Object)]
#[oai(rename = "CreatedDevice")]
pub struct CreatedDeviceView {
    /// The device.
    pub device: DeviceView,
    /// Its device token, which is shown once; null when the request was sent again.
    pub token: Option<String>,
}

impl From<CreatedDevice> for CreatedDeviceView {
    fn from(made: CreatedDevice) -> Self {
        Self {
            device: made.device.into(),
            token: made.token.map(|token| token.expose_secret().to_owned()),
        }
    }
}

/// A device to register.
#[derive(Object, Deserialize)]
#[oai(rename = "NewDevice")]
#[serde(deny_unknown_fields)]
pub struct NewDeviceBody {
    /// What the tenant calls it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// Its channel: `cloud_api`, `qr_session` for a paired device, or what the installation has beside
    /// them.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub channel: String,
    /// The channel's own name for it (Cloud API: the phone number id, required). A paired device has
    /// none.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub address: Option<String>,
    /// Must be true for a paired device: the user accepts that WhatsApp may ban the number, for a time
    /// or for good. Who accepted it and when is kept.
    pub accept_risk: Option<bool>,
    /// What it hangs under (Cloud API: the WhatsApp business account id, required).
    pub parent: Option<String>,
    /// The channel's credential (Cloud API: the access token, required). It is never shown.
    pub credential: Option<String>,
    /// The proxy that a paired device goes through, like `socks5://user:password@host:1080` or
    /// `http://host:3128`. It must be on the public internet, unless this installation allows others.
    #[oai(validator(max_length = 1024))]
    pub proxy: Option<String>,
    /// The tenant's Meta app whose webhooks it gets; absent for the installation's.
    pub app_id: Option<Word<MetaAppId>>,
    /// What the tenant sets.
    #[oai(default)]
    #[serde(default)]
    pub settings: SettingsBody,
}

/// Which way a device comes to be.
enum Asked {
    Paired(Box<NewPaired>),
    Registered(Box<Registration>),
}

impl NewDeviceBody {
    fn asked(self) -> Result<Asked, Problem> {
        let settings = self.settings.try_into()?;
        let channel = ChannelKind::new(self.channel);
        if channel == ChannelKind::QR_SESSION {
            let set = [
                ("address", self.address.is_some()),
                ("parent", self.parent.is_some()),
                ("credential", self.credential.is_some()),
                ("app_id", self.app_id.is_some()),
            ];
            if let Some((field, _)) = set.iter().find(|(_, is_set)| *is_set) {
                return Err(Problem::invalid(*field, "must be absent for a paired device"));
            }
            let accept_risk = self.accept_risk.unwrap_or_default();
            let proxy = self.proxy.map(Secret::from);
            let new = NewPaired { name: self.name, settings, accept_risk, proxy };
            return Ok(Asked::Paired(Box::new(new)));
        }
        if self.proxy.is_some() {
            return Err(Problem::invalid("proxy", "is for paired devices only"));
        }
        if self.accept_risk.is_some() {
            return Err(Problem::invalid("accept_risk", "is for paired devices only"));
        }
        let address = self.address;
        let address = address.ok_or_else(|| Problem::invalid("address", "must be there"))?;
        Ok(Asked::Registered(Box::new(Registration {
            name: self.name,
            channel,
            address,
            parent: self.parent,
            credential: self.credential.map(Secret::from),
            app: self.app_id.map(|app| app.0),
            settings,
        })))
    }
}

/// What is to change; an absent field stays as it is.
#[derive(Object, Deserialize)]
#[oai(rename = "DevicePatch")]
#[serde(deny_unknown_fields)]
pub struct DevicePatchBody {
    /// What the tenant calls it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// The settings, all of them; what is absent here goes back to its default.
    pub settings: Option<SettingsBody>,
    /// The channel's credential. It is proven to the channel first and connects the device again.
    pub credential: Option<String>,
    /// The tenant's Meta app; null goes back to the installation's.
    #[serde(default)]
    pub app_id: MaybeUndefined<Word<MetaAppId>>,
    /// The proxy of a paired device, from its next connection on; null goes without. To use it at once,
    /// disconnect the device and connect it again.
    #[oai(validator(max_length = 1024))]
    #[serde(default)]
    pub proxy: MaybeUndefined<String>,
}

/// A template approved by Meta.
#[derive(Debug, Object)]
#[oai(rename = "MetaTemplate")]
pub struct TemplateView {
    /// Meta's id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The language code.
    pub language: String,
    /// `MARKETING`, `UTILITY`, `AUTHENTICATION`, or what Meta adds.
    pub category: String,
    /// `APPROVED`, or another word of Meta.
    pub status: String,
    /// The components as Meta has them.
    pub components: AnyJson,
}

impl From<TemplateInfo> for TemplateView {
    fn from(info: TemplateInfo) -> Self {
        Self {
            id: info.id,
            name: info.name,
            language: info.language,
            category: info.category,
            status: info.status,
            components: AnyJson(info.components),
        }
    }
}

/// The templates of a device's business account.
#[derive(Debug, Object)]
#[oai(rename = "MetaTemplates")]
pub struct TemplatesView {
    /// The templates, in Meta's order.
    pub items: Vec<TemplateView>,
}

/// The operations.
pub struct DevicesApi(pub Platform);

#[OpenApi(tag = "Area::Devices")]
impl DevicesApi {
    /// List devices
    ///
    /// Needs `devices:read`.
    #[oai(path = "/devices", method = "get", operation_id = "listDevices")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadDevices>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<DeviceView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.devices().list(&may.grant, page).await?))
    }

    /// Register a device
    ///
    /// The network is asked first: a number belongs to an account only after the account's
    /// credential could read it. The device token is shown in this answer and never again. Needs
    /// `devices:write`.
    #[oai(path = "/devices", method = "post", operation_id = "registerDevice")]
    async fn register(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewDeviceBody>,
    ) -> Result<Created<CreatedDeviceView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "registerDevice", body.hash);
        let (devices, once) = (self.0.devices(), once.as_ref());
        let made = match body.value.asked()? {
            Asked::Paired(new) => devices.add_paired(&may.grant, *new, once).await?,
            Asked::Registered(new) => devices.register(&may.grant, *new, once).await?,
        };
        let replayed = made.token.is_none();
        Ok(Created::new(made.into(), replayed))
    }

    /// Get a device
    ///
    /// Needs `devices:read`.
    #[oai(path = "/devices/:id", method = "get", operation_id = "getDevice")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<DeviceView> {
        let device = self.0.devices().get(&may.grant, id.0.0).await?;
        Ok(Json(device.into()))
    }

    /// Change a device
    ///
    /// Needs `devices:write`.
    #[oai(path = "/devices/:id", method = "patch", operation_id = "updateDevice")]
    async fn update(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
        body: JsonBody<DevicePatchBody>,
    ) -> Answer<DeviceView> {
        let patch = DevicePatch {
            name: body.value.name,
            settings: body.value.settings.map(DeviceSettings::try_from).transpose()?,
            credential: body.value.credential.map(Secret::from),
            app: undefined(body.value.app_id).map(|app| app.map(|app| app.0)),
            proxy: undefined(body.value.proxy).map(|proxy| proxy.map(Secret::from)),
        };
        let device = self.0.devices().update(&may.grant, id.0.0, patch).await?;
        Ok(Json(device.into()))
    }

    /// Remove a device
    ///
    /// Its messages stay, its token stops working, its number is free again. Needs
    /// `devices:write`.
    #[oai(path = "/devices/:id", method = "delete", operation_id = "removeDevice")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Result<NoContent, Problem> {
        self.0.devices().remove(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }

    /// Rotate the device token
    ///
    /// The old token stops working at once; the new one is shown in this answer and never again.
    /// Needs `devices:write`.
    #[oai(path = "/devices/:id/token", method = "post", operation_id = "rotateDeviceToken")]
    async fn rotate_token(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<CreatedDeviceView> {
        let made = self.0.devices().rotate_token(&may.grant, id.0.0).await?;
        Ok(Json(made.into()))
    }

    /// Check a device
    ///
    /// Asks the network what it knows of the device. If it refuses the credential, the device is
    /// disconnected and the answer is 422. Needs `devices:write`.
    #[oai(path = "/devices/:id/check", method = "post", operation_id = "checkDevice")]
    async fn check(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<DeviceView> {
        let device = self.0.devices().check(&may.grant, id.0.0).await?;
        Ok(Json(device.into()))
    }

    /// List approved templates
    ///
    /// The templates of the device's business account that Meta approved. A channel without such
    /// templates answers 422. Needs `devices:read`.
    #[oai(path = "/devices/:id/templates", method = "get", operation_id = "listMetaTemplates")]
    async fn templates(
        &self,
        Auth(may): Auth<InAccount<ReadDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<TemplatesView> {
        let link = self.0.devices().get(&may.grant, id.0.0).await?.link();
        let ports = self.0.channels().of(&link)?;
        let port = ports.templates().ok_or_else(|| {
            let problem = format!("is on the channel `{}`, which has no templates", link.channel);
            Problem::invalid("id", problem)
        })?;
        let items = port.approved(&link).await?;
        let items = items.into_iter().map(TemplateView::from).collect();
        Ok(Json(TemplatesView { items }))
    }
}
