//! The trait that a channel implements, and what it is handed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kabar_core::{AccountId, DeviceId, MessageId, PhoneNumber, Secret};
use serde::{Deserialize, Serialize};

use crate::capabilities::Capabilities;
use crate::content::Content;
use crate::outcome::{Accepted, MessageKey, Reason, SendError};
use crate::ports::{DeviceCheck, Directory, Groups, IncomingMedia, MetaTemplates, ReadReceipts};

/// Which channel a device is on. Open: an embedding program adds its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChannelKind(Cow<'static, str>);

impl ChannelKind {
    /// Meta's official Cloud API.
    pub const CLOUD_API: Self = Self(Cow::Borrowed("cloud_api"));
    /// A paired session, unofficial, with the risk of a ban.
    pub const QR_SESSION: Self = Self(Cow::Borrowed("qr_session"));

    /// A channel by its word on the wire: lower-case letters, digits and `_`.
    pub fn new(word: impl Into<Cow<'static, str>>) -> Self {
        Self(word.into())
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A device as its channel sees it: address and credentials.
#[derive(Debug, Clone)]
pub struct DeviceLink {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// Its channel.
    pub channel: ChannelKind,
    /// The channel's own name for it (Cloud API: the phone number id).
    pub address: String,
    /// What it hangs under (Cloud API: the WhatsApp business account id).
    pub parent: Option<String>,
    /// The credential (Cloud API: the access token).
    pub token: Option<Secret>,
    /// The fence of the one who owns the device or the lane now; grows with every owner.
    pub fence: u64,
}

/// Who gets a message. At least one field is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    /// The business-scoped user id (Cloud API).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bsuid: Option<String>,
    /// The linked id (QR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lid: Option<String>,
    /// The group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// Our id. It travels with the message where the network lets it, so that a status can find
    /// its message even when the answer to the send was lost.
    pub id: MessageId,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Who gets it.
    pub to: Recipient,
    /// What it is.
    pub content: Content,
    /// The message that it answers, quotes or reacts to.
    pub reply_to: Option<MessageKey>,
    /// The id chosen for the wire, on channels that let us choose.
    pub wire_id: Option<String>,
}

/// A message made ready by [`Channel::prepare`]; stored, so that a takeover need not repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prepared(serde_json::Value);

impl Prepared {
    /// Whatever the channel needs to transmit.
    ///
    /// # Errors
    /// [`SendError::Refused`] when the value has no JSON form.
    pub fn of(value: &impl Serialize) -> Result<Self, SendError> {
        serde_json::to_value(value)
            .map(Self)
            .map_err(|error| SendError::refused("prepare", error.to_string()))
    }

    /// The stored form.
    pub const fn json(&self) -> &serde_json::Value {
        &self.0
    }
}

impl From<serde_json::Value> for Prepared {
    fn from(json: serde_json::Value) -> Self {
        Self(json)
    }
}

/// A way to WhatsApp. Optional abilities are ports beside it, bound by [`ChannelPorts`].
#[async_trait]
pub trait Channel: Send + Sync {
    /// Which channel this is.
    fn kind(&self) -> ChannelKind;

    /// What the device can carry.
    fn capabilities(&self, device: &DeviceLink) -> Capabilities;

    /// Whether the device can be sent from in this process now. While it cannot, its messages wait
    /// where they are; a channel whose devices live in one process at a time says where.
    fn is_here(&self, _device: &DeviceLink) -> bool {
        true
    }

    /// The id that a message will have on the wire, on channels that let us choose: stored before it
    /// is sent, so that what is heard of it finds it whatever became of the send. The same for every
    /// try.
    fn wire_id(&self, _message: MessageId) -> Option<String> {
        None
    }

    /// Everything that may be repeated without harm: uploads, look-ups. The result is stored.
    ///
    /// # Errors
    /// Says what to do; never [`SendError::Uncertain`].
    async fn prepare(&self, device: &DeviceLink, message: &Outgoing)
    -> Result<Prepared, SendError>;

    /// The one step that counts. A crash during it leaves the message uncertain.
    ///
    /// # Errors
    /// Says what to do. Anything but [`SendError::Uncertain`] promises that nothing was sent.
    async fn transmit(
        &self,
        device: &DeviceLink,
        message: &Outgoing,
        prepared: &Prepared,
    ) -> Result<Accepted, SendError>;
}

/// A channel with the optional ports that it offers.
#[derive(Clone)]
pub struct ChannelPorts {
    channel: Arc<dyn Channel>,
    read_receipts: Option<Arc<dyn ReadReceipts>>,
    incoming_media: Option<Arc<dyn IncomingMedia>>,
    templates: Option<Arc<dyn MetaTemplates>>,
    check: Option<Arc<dyn DeviceCheck>>,
    directory: Option<Arc<dyn Directory>>,
    groups: Option<Arc<dyn Groups>>,
}

impl ChannelPorts {
    /// A channel that can only send.
    pub fn new(channel: Arc<dyn Channel>) -> Self {
        Self {
            channel,
            read_receipts: None,
            incoming_media: None,
            templates: None,
            check: None,
            directory: None,
            groups: None,
        }
    }

    /// It can mark messages read.
    #[must_use]
    pub fn with_read_receipts(mut self, port: Arc<dyn ReadReceipts>) -> Self {
        self.read_receipts = Some(port);
        self
    }

    /// It can fetch files that people sent.
    #[must_use]
    pub fn with_incoming_media(mut self, port: Arc<dyn IncomingMedia>) -> Self {
        self.incoming_media = Some(port);
        self
    }

    /// It knows templates approved by Meta.
    #[must_use]
    pub fn with_templates(mut self, port: Arc<dyn MetaTemplates>) -> Self {
        self.templates = Some(port);
        self
    }

    /// It can check a device's credentials.
    #[must_use]
    pub fn with_check(mut self, port: Arc<dyn DeviceCheck>) -> Self {
        self.check = Some(port);
        self
    }

    /// It knows who is on the network.
    #[must_use]
    pub fn with_directory(mut self, port: Arc<dyn Directory>) -> Self {
        self.directory = Some(port);
        self
    }

    /// It lists groups.
    #[must_use]
    pub fn with_groups(mut self, port: Arc<dyn Groups>) -> Self {
        self.groups = Some(port);
        self
    }

    /// The channel.
    pub fn channel(&self) -> &Arc<dyn Channel> {
        &self.channel
    }

    /// Marks messages read, if the channel can.
    pub fn read_receipts(&self) -> Option<&Arc<dyn ReadReceipts>> {
        self.read_receipts.as_ref()
    }

    /// Fetches incoming files, if the channel can.
    pub fn incoming_media(&self) -> Option<&Arc<dyn IncomingMedia>> {
        self.incoming_media.as_ref()
    }

    /// Lists approved templates, if the channel has such a thing.
    pub fn templates(&self) -> Option<&Arc<dyn MetaTemplates>> {
        self.templates.as_ref()
    }

    /// Asks who is on the network, if the channel can.
    pub fn directory(&self) -> Option<&Arc<dyn Directory>> {
        self.directory.as_ref()
    }

    /// Lists groups, if the channel can.
    pub fn groups(&self) -> Option<&Arc<dyn Groups>> {
        self.groups.as_ref()
    }

    /// Checks credentials, if the channel can.
    pub fn check(&self) -> Option<&Arc<dyn DeviceCheck>> {
        self.check.as_ref()
    }
}

impl fmt::Debug for ChannelPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChannelPorts").field(&self.channel.kind()).finish()
    }
}

/// The channels of an installation, by kind. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Channels(Arc<BTreeMap<ChannelKind, ChannelPorts>>);

impl Channels {
    /// Adds a channel, or replaces the one of the same kind.
    pub fn insert(&mut self, ports: ChannelPorts) {
        Arc::make_mut(&mut self.0).insert(ports.channel.kind(), ports);
    }

    /// Adds the channels of another set; they replace those of the same kind.
    pub fn extend(&mut self, others: Self) {
        let others = Arc::unwrap_or_clone(others.0);
        Arc::make_mut(&mut self.0).extend(others);
    }

    /// The channel of a kind.
    pub fn get(&self, kind: &ChannelKind) -> Option<&ChannelPorts> {
        self.0.get(kind)
    }

    /// The channel of a device.
    ///
    /// # Errors
    /// [`SendError::DeviceDown`] when this installation has no such channel.
    pub fn of(&self, device: &DeviceLink) -> Result<&ChannelPorts, SendError> {
        self.get(&device.channel).ok_or_else(|| SendError::DeviceDown {
            reason: Reason::new(
                "no_channel",
                format!("this installation has no channel `{}`", device.channel),
            ),
        })
    }

    /// The kinds that are there.
    pub fn kinds(&self) -> impl Iterator<Item = &ChannelKind> {
        self.0.keys()
    }
}
