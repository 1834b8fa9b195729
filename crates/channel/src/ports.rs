//! The optional ports beside [`crate::Channel`], and what a channel may ask of the engine.

use async_trait::async_trait;
use bytes::Bytes;
use kabar_core::{MediaId, PhoneNumber, Timestamp};

use crate::channel::{DeviceLink, Recipient};
use crate::outcome::{MessageKey, SendError};

/// Marks messages read, and shows that we type, as the channel can.
#[async_trait]
pub trait ReadReceipts: Send + Sync {
    /// Marks messages of a chat as read: those that nobody has read yet, newest first, at least the
    /// newest one where there is any. Where a channel knows no single messages, the newest says that
    /// what came before it was read too. With `typing` the customer sees that an answer is on its way;
    /// the Cloud API types only while marking read, for 25 s at most.
    async fn mark_read(
        &self,
        device: &DeviceLink,
        chat: &Recipient,
        messages: &[MessageKey],
        typing: bool,
    ) -> Result<(), SendError>;
}

/// What the network's directory says of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The number that was asked for.
    pub phone: PhoneNumber,
    /// Whether somebody has it on the network.
    pub exists: bool,
    /// Their linked id, where it is told.
    pub lid: Option<String>,
    /// Whether it is a business.
    pub business: bool,
    /// The business's verified name.
    pub verified_name: Option<String>,
}

/// Asks who is on the network.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Whether numbers are on the network, in their order.
    async fn look_up(
        &self,
        device: &DeviceLink,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<Listing>, SendError>;

    /// Where the profile picture of a person or a group is, for a while; `None` when there is none, or
    /// none for us.
    async fn picture(
        &self,
        device: &DeviceLink,
        of: &Recipient,
    ) -> Result<Option<String>, SendError>;
}

/// A group that a device is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// As the network names it; what messages are addressed to.
    pub id: String,
    /// What its members call it.
    pub name: String,
    /// What it says it is for.
    pub description: Option<String>,
    /// How many are in it.
    pub members: u32,
    /// Whether we administer it.
    pub admin: bool,
    /// Whether only administrators may write.
    pub announcement: bool,
}

/// Lists groups.
#[async_trait]
pub trait Groups: Send + Sync {
    /// The groups that the device is in, by name.
    async fn groups(&self, device: &DeviceLink) -> Result<Vec<GroupInfo>, SendError>;
}

/// A file's bytes and what is known of them.
#[derive(Debug, Clone)]
pub struct MediaFile {
    /// The bytes.
    pub bytes: Bytes,
    /// The media type, like `image/jpeg`.
    pub mime: String,
    /// The file's name.
    pub filename: Option<String>,
}

/// Fetches files that people sent.
#[async_trait]
pub trait IncomingMedia: Send + Sync {
    /// Downloads a file by the id that came with its message (Cloud API: the address behind it
    /// lives 5 minutes, the id 7 days).
    async fn fetch(&self, device: &DeviceLink, wire_media_id: &str)
    -> Result<MediaFile, SendError>;
}

/// An uploaded file as the network knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The network's id.
    pub wire_media_id: String,
    /// When the network forgets it (Cloud API: 30 days after the upload).
    pub expires_at: Timestamp,
}

/// The engine's stored files, for channels that upload. Implemented by the engine.
#[async_trait]
pub trait MediaSource: Send + Sync {
    /// The bytes of a stored file of the device's account.
    ///
    /// # Errors
    /// [`SendError::Refused`] when it does not exist, [`SendError::Retry`] when storage is away.
    async fn open(&self, device: &DeviceLink, media: MediaId) -> Result<MediaFile, SendError>;

    /// An earlier upload of the file from this device that the network still knows.
    async fn uploaded(
        &self,
        device: &DeviceLink,
        media: MediaId,
    ) -> Result<Option<Uploaded>, SendError>;

    /// Remembers an upload.
    async fn remember(
        &self,
        device: &DeviceLink,
        media: MediaId,
        uploaded: &Uploaded,
    ) -> Result<(), SendError>;
}

/// A template as Meta lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateInfo {
    /// Meta's id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The language code.
    pub language: String,
    /// `MARKETING`, `UTILITY`, `AUTHENTICATION`, or what Meta adds.
    pub category: String,
    /// `APPROVED` and the other words of Meta.
    pub status: String,
    /// The components as Meta has them.
    pub components: serde_json::Value,
}

/// Lists templates approved by Meta.
#[async_trait]
pub trait MetaTemplates: Send + Sync {
    /// The approved templates of the device's business account.
    async fn approved(&self, device: &DeviceLink) -> Result<Vec<TemplateInfo>, SendError>;
}

/// What the network says of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceFacts {
    /// The number as it is shown, like `+1 555-0100`.
    pub display_phone: Option<String>,
    /// The verified business name.
    pub verified_name: Option<String>,
    /// The quality rating.
    pub quality: Option<String>,
    /// The portfolio that the number belongs to; the namespace of business-scoped user ids.
    pub portfolio: Option<String>,
}

/// Proves that a credential controls a device.
#[async_trait]
pub trait DeviceCheck: Send + Sync {
    /// Reads the device with its credential and makes sure that its events reach us (Cloud API:
    /// reads the number within its business account and subscribes the app to the account).
    ///
    /// # Errors
    /// [`SendError::Refused`] or [`SendError::DeviceDown`] with the reason when the credential
    /// cannot read it.
    async fn check(&self, device: &DeviceLink) -> Result<DeviceFacts, SendError>;
}
