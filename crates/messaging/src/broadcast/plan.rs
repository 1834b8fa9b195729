//! What a tenant wants of a broadcast.

use kabar_channel::{Content, Fallback};
use kabar_core::{ContactId, DeviceId, GroupId, MediaId, TemplateId};
use serde::{Deserialize, Serialize};

use super::Schedule;
use super::recipient::NewRecipient;
use crate::message::Purpose;

/// Recipients of one call, at most.
pub const MOST_AT_ONCE: usize = 10_000;
/// Seconds for which a broadcast's message is worth sending once it is in the outbox: a week. The
/// device's own limit is for single messages; those of a paced broadcast wait on purpose.
pub(crate) const LIFETIME: u32 = 7 * 24 * 60 * 60;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BroadcastMessage {
    /// A template of the tenant's own, as it is when the broadcast is prepared.
    Template(TemplateId),
    /// A content.
    Content(Content),
}

/// A device that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The device.
    pub device: DeviceId,
    /// Its share, compared with the other senders'; 1 to 100.
    pub weight: u32,
}

/// A file with a row a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSource {
    /// The stored file: CSV or XLSX, the first row holds the columns' names.
    pub media: MediaId,
    /// The column with the numbers; found by its name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_column: Option<String>,
    /// The country in which national numbers are read; the account's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// Who gets it, beside the recipients that are named one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// Every contact.
    #[serde(default)]
    pub everyone: bool,
    /// The members of these groups.
    #[serde(default)]
    pub groups: Vec<GroupId>,
    /// The contacts that bear one of these tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// These contacts.
    #[serde(default)]
    pub contacts: Vec<ContactId>,
    /// The rows of a file; its other columns are variables.
    #[serde(default)]
    pub file: Option<FileSource>,
}

/// What a broadcast is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is sent.
    pub message: BroadcastMessage,
    /// The devices that send.
    pub senders: Vec<Sender>,
    /// Who gets it.
    pub audience: Audience,
    /// What it is for.
    pub purpose: Purpose,
    /// What to do when a device's channel cannot carry the content.
    pub fallback: Fallback,
    /// Whether recipients are left out that the network would refuse: free-form content outside of
    /// the customer-service window (131047).
    pub skip_outside_window: bool,
    /// The caller's own word, which each message bears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Seconds for which a message is worth sending once its turn came.
    pub lifetime_seconds: u32,
}

/// A broadcast to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBroadcast {
    /// What the tenant calls it, 1 to 100 characters.
    pub name: String,
    /// What it is to do.
    pub plan: Plan,
    /// Recipients, at most [`MOST_AT_ONCE`]; more can be added while it is a draft.
    pub recipients: Vec<NewRecipient>,
    /// Whether it is prepared and started by itself.
    pub start: Start,
}

/// Whether a broadcast goes on by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Start {
    /// It stays a draft.
    #[default]
    No,
    /// It is prepared, and waits.
    Prepare,
    /// It starts as soon as it is prepared.
    Now,
    /// It starts at a time.
    At(Schedule),
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BroadcastPatch {
    /// What the tenant calls it.
    pub name: Option<String>,
    /// What is sent.
    pub message: Option<BroadcastMessage>,
    /// The devices that send.
    pub senders: Option<Vec<Sender>>,
    /// Who gets it.
    pub audience: Option<Audience>,
    /// What it is for.
    pub purpose: Option<Purpose>,
    /// What to do when a device's channel cannot carry the content.
    pub fallback: Option<Fallback>,
    /// Whether recipients outside of the window are left out.
    pub skip_outside_window: Option<bool>,
    /// The caller's own word; `Some(None)` takes it away.
    pub reference: Option<Option<String>>,
}

impl Plan {
    /// A marketing plan for one device, with nobody in its audience.
    pub fn new(message: BroadcastMessage, device: DeviceId) -> Self {
        Self {
            message,
            senders: vec![Sender { device, weight: 1 }],
            audience: Audience::default(),
            purpose: Purpose::Marketing,
            fallback: Fallback::Downgrade,
            skip_outside_window: false,
            reference: None,
            lifetime_seconds: LIFETIME,
        }
    }

    /// The devices that send.
    pub fn devices(&self) -> Vec<DeviceId> {
        self.senders.iter().map(|sender| sender.device).collect()
    }

    /// The template that it was written from.
    pub const fn template(&self) -> Option<TemplateId> {
        match self.message {
            BroadcastMessage::Template(id) => Some(id),
            BroadcastMessage::Content(_) => None,
        }
    }
}

impl Audience {
    /// Whether contacts have to be gathered.
    pub fn has_contacts(&self) -> bool {
        self.everyone
            || !(self.groups.is_empty() && self.tags.is_empty() && self.contacts.is_empty())
    }
}
