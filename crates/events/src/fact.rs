//! What can happen.

use kabar_core::{
    ApiKeyId, ContactId, ConversationId, DeviceId, MessageId, MetaAppId, RuleId, UserId,
};
use serde::Serialize;

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
        /// The word for its content (`text`, `image` …).
        content: String,
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
            Self::DeviceAdded { .. } => "device.added",
            Self::DeviceChanged { .. } => "device.changed",
            Self::DeviceState { .. } => "device.state",
            Self::DeviceRemoved { .. } => "device.removed",
            Self::DeviceNotice { .. } => "device.notice",
            Self::RuleChanged { .. } => "rule.changed",
            Self::AutoAnswered { .. } => "message.answered",
            Self::AccountChanged => "account.changed",
            Self::UserChanged { .. } => "user.changed",
            Self::KeyChanged { .. } => "key.changed",
            Self::MetaAppChanged { .. } => "meta_app.changed",
        }
    }

    /// The fields as JSON.
    pub fn data(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or(serde_json::Value::Null)
    }
}
