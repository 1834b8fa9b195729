//! What can happen.

use kabar_core::{
    AlertId, ApiKeyId, BroadcastId, ContactId, ConversationId, DeviceId, EndpointId, GroupId,
    ImportId, MessageId, MetaAppId, RuleId, TemplateId, Timestamp, UserId,
};
use serde::Serialize;

/// What a message is counted by. It never changes in a message's life.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MessageTraits {
    /// Which way it went: `in` or `out`.
    pub direction: &'static str,
    /// The word for its content (`text`, `image` …).
    pub content: String,
    /// The word for what it is for.
    pub purpose: &'static str,
    /// The word for who made it.
    pub origin: &'static str,
    /// The broadcast that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast_id: Option<String>,
    /// Its own time: when we took it, or, where the network told, when its sender wrote it.
    pub message_at: Timestamp,
}

/// Something that happened. Ids and facts, never bodies, numbers or secrets.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Fact {
    /// A message was taken into the outbox.
    MessageQueued {
        /// The message.
        message_id: MessageId,
        /// Its device.
        device_id: DeviceId,
        /// Its conversation.
        conversation_id: ConversationId,
        /// Its recipient.
        contact_id: ContactId,
        /// What it is counted by.
        #[serde(flatten)]
        traits: MessageTraits,
    },
    /// A message came in.
    MessageReceived {
        /// The message.
        message_id: MessageId,
        /// Its device.
        device_id: DeviceId,
        /// Its conversation.
        conversation_id: ConversationId,
        /// Its sender.
        contact_id: ContactId,
        /// The status that it was stored with: one that we wrote ourselves, elsewhere, was sent.
        status: String,
        /// What it is counted by.
        #[serde(flatten)]
        traits: MessageTraits,
    },
    /// A message's status changed.
    MessageStatus {
        /// The message.
        message_id: MessageId,
        /// Its device.
        device_id: DeviceId,
        /// Its recipient.
        contact_id: ContactId,
        /// The new status.
        status: String,
        /// The code of the reason, for failed, held and uncertain.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The status before.
        previous: String,
        /// The code of the reason before, for failed and uncertain.
        #[serde(skip_serializing_if = "Option::is_none")]
        previous_reason: Option<String>,
        /// What it is counted by.
        #[serde(flatten)]
        traits: MessageTraits,
    },
    /// A contact was created by hand or by its first message.
    ContactCreated {
        /// The contact.
        contact_id: ContactId,
    },
    /// A contact was changed.
    ContactChanged {
        /// The contact.
        contact_id: ContactId,
    },
    /// A contact was removed.
    ContactRemoved {
        /// The contact.
        contact_id: ContactId,
    },
    /// A person stopped or resumed marketing messages.
    ContactPreference {
        /// The contact.
        contact_id: ContactId,
        /// Whether marketing is wanted.
        marketing: bool,
    },
    /// Two contacts became one.
    ContactMerged {
        /// The one that is left.
        contact_id: ContactId,
        /// The one that went into it.
        merged_id: ContactId,
    },
    /// Everything personal about a contact was erased.
    ContactErased {
        /// The contact.
        contact_id: ContactId,
    },
    /// A group of contacts, or who is in it, was changed.
    ContactGroupChanged {
        /// The group.
        group_id: GroupId,
    },
    /// An import of contacts came to a new state.
    ContactImport {
        /// The import.
        import_id: ImportId,
        /// The new state.
        state: String,
    },
    /// A device was registered.
    DeviceAdded {
        /// The device.
        device_id: DeviceId,
    },
    /// A device's settings or credentials changed.
    DeviceChanged {
        /// The device.
        device_id: DeviceId,
    },
    /// A device's state changed.
    DeviceState {
        /// The device.
        device_id: DeviceId,
        /// The new state.
        state: String,
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// There is a new code that pairs a device. The code itself is read where it is shown.
    DevicePairing {
        /// The device.
        device_id: DeviceId,
        /// What is done with it: `scan` or `type`.
        method: &'static str,
        /// Until when it works.
        expires_at: Timestamp,
    },
    /// A device was removed.
    DeviceRemoved {
        /// The device.
        device_id: DeviceId,
    },
    /// The network told something about a device or its account (quality, limits, templates).
    DeviceNotice {
        /// The device, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        device_id: Option<DeviceId>,
        /// The network's word for it.
        field: String,
    },
    /// How likely a paired device is to be banned changed.
    DeviceHealth {
        /// The device.
        device_id: DeviceId,
        /// The new word: `good`, `watch` or `poor`.
        health: String,
        /// The word before.
        previous: String,
    },
    /// A rule was created, changed or removed.
    RuleChanged {
        /// The rule.
        rule_id: RuleId,
    },
    /// An incoming message was answered automatically.
    AutoAnswered {
        /// The message that was answered.
        message_id: MessageId,
        /// The answer.
        answer_id: MessageId,
        /// The rule; absent for the default reply.
        #[serde(skip_serializing_if = "Option::is_none")]
        rule_id: Option<RuleId>,
    },
    /// A message template was created, changed or removed.
    TemplateChanged {
        /// The template.
        template_id: TemplateId,
    },
    /// Something happened to a broadcast.
    Broadcast {
        /// The broadcast.
        broadcast_id: BroadcastId,
        /// What; it is part of the event's kind.
        #[serde(skip)]
        step: BroadcastStep,
        /// Why, for failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// How far it got, for progress and completed.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<BroadcastProgress>,
    },
    /// The account's own data changed.
    AccountChanged,
    /// A user was created or changed.
    UserChanged {
        /// The user.
        user_id: UserId,
    },
    /// An API key was created or revoked.
    KeyChanged {
        /// The key.
        key_id: ApiKeyId,
    },
    /// A Meta app was added or removed.
    MetaAppChanged {
        /// The app.
        app_id: MetaAppId,
    },
    /// A device or queue is unwell.
    AlertRaised {
        /// The alert.
        alert_id: AlertId,
        /// The word for what is unwell.
        condition: String,
        /// The device, where it is one's.
        #[serde(skip_serializing_if = "Option::is_none")]
        device_id: Option<DeviceId>,
    },
    /// It is well again.
    AlertCleared {
        /// The alert.
        alert_id: AlertId,
        /// The word for what was unwell.
        condition: String,
        /// The device, where it is one's.
        #[serde(skip_serializing_if = "Option::is_none")]
        device_id: Option<DeviceId>,
    },
    /// A webhook endpoint was made, changed or removed, or its secret rotated.
    WebhookChanged {
        /// The endpoint.
        endpoint_id: EndpointId,
    },
    /// A webhook endpoint was switched off.
    WebhookDisabled {
        /// The endpoint.
        endpoint_id: EndpointId,
        /// `gone` when it answered 410, `failing` when it failed for too long.
        reason: String,
    },
}

/// What can happen to a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BroadcastStep {
    /// It was made.
    Created,
    /// What it is to do was changed.
    Changed,
    /// Its recipients are known and checked.
    Prepared,
    /// It is to start at a time.
    Scheduled,
    /// It began to send.
    Started,
    /// It stopped for a while.
    Paused,
    /// It goes on.
    Resumed,
    /// It got a tenth further.
    Progress,
    /// Those that failed are sent to again.
    Retried,
    /// Every recipient has its message.
    Completed,
    /// It was ended early.
    Cancelled,
    /// It cannot be carried out.
    Failed,
    /// It was removed.
    Removed,
}

impl BroadcastStep {
    const fn kind(self) -> &'static str {
        match self {
            Self::Created => "broadcast.created",
            Self::Changed => "broadcast.changed",
            Self::Prepared => "broadcast.prepared",
            Self::Scheduled => "broadcast.scheduled",
            Self::Started => "broadcast.started",
            Self::Paused => "broadcast.paused",
            Self::Resumed => "broadcast.resumed",
            Self::Progress => "broadcast.progress",
            Self::Retried => "broadcast.retried",
            Self::Completed => "broadcast.completed",
            Self::Cancelled => "broadcast.cancelled",
            Self::Failed => "broadcast.failed",
            Self::Removed => "broadcast.removed",
        }
    }
}

/// How many recipients of a broadcast are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BroadcastProgress {
    /// Everybody it is for; those that are no recipients are not counted.
    pub total: u64,
    /// No message yet.
    pub waiting: u64,
    /// Left out, with a reason.
    pub skipped: u64,
    /// The message waits for its turn.
    pub queued: u64,
    /// The network took it, and nothing more is known.
    pub sent: u64,
    /// It reached the recipient's device.
    pub delivered: u64,
    /// It was read.
    pub read: u64,
    /// It will not arrive.
    pub failed: u64,
    /// Nobody knows whether it was sent.
    pub uncertain: u64,
    /// It was cancelled before it was sent.
    pub cancelled: u64,
}

impl Fact {
    /// The version of the fields.
    pub const VERSION: i16 = 1;

    /// The word for what happened.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::MessageQueued { .. } => "message.queued",
            Self::MessageReceived { .. } => "message.received",
            Self::MessageStatus { .. } => "message.status",
            Self::ContactCreated { .. } => "contact.created",
            Self::ContactChanged { .. } => "contact.changed",
            Self::ContactRemoved { .. } => "contact.removed",
            Self::ContactPreference { .. } => "contact.preference",
            Self::ContactMerged { .. } => "contact.merged",
            Self::ContactErased { .. } => "contact.erased",
            Self::ContactGroupChanged { .. } => "contact_group.changed",
            Self::ContactImport { .. } => "contact_import.state",
            Self::DeviceAdded { .. } => "device.added",
            Self::DeviceChanged { .. } => "device.changed",
            Self::DeviceState { .. } => "device.state",
            Self::DeviceRemoved { .. } => "device.removed",
            Self::DeviceNotice { .. } => "device.notice",
            Self::DevicePairing { .. } => "device.pairing",
            Self::DeviceHealth { .. } => "device.health",
            Self::RuleChanged { .. } => "rule.changed",
            Self::AutoAnswered { .. } => "message.answered",
            Self::TemplateChanged { .. } => "template.changed",
            Self::Broadcast { step, .. } => step.kind(),
            Self::AccountChanged => "account.changed",
            Self::UserChanged { .. } => "user.changed",
            Self::KeyChanged { .. } => "key.changed",
            Self::MetaAppChanged { .. } => "meta_app.changed",
            Self::AlertRaised { .. } => "alert.raised",
            Self::AlertCleared { .. } => "alert.cleared",
            Self::WebhookChanged { .. } => "webhook.changed",
            Self::WebhookDisabled { .. } => "webhook.disabled",
        }
    }

    /// The fields as JSON.
    pub fn data(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
    }

    /// The same as a text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "null".to_owned())
    }
}
