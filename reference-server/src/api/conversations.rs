//! Conversations: the chats between devices and contacts.

use kabar::Platform;
use kabar::core::permission::{ReadMessages, SendMessages};
use kabar::core::{ContactId, ConversationId, Cursor, DeviceId, Timestamp};
use kabar::messaging::Conversation;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Listed, page};
use super::body::JsonBody;
use super::words::Word;
use crate::auth::{Auth, InAccount};

/// A conversation.
#[derive(Debug, Object)]
#[oai(rename = "Conversation")]
pub struct ConversationView {
    /// Its id.
    pub id: Word<ConversationId>,
    /// Our side.
    pub device_id: Word<DeviceId>,
    /// The other side.
    pub contact_id: Word<ContactId>,
    /// When the contact wrote last.
    pub last_in_at: Option<Timestamp>,
    /// When we wrote last.
    pub last_out_at: Option<Timestamp>,
    /// Messages that nobody has read.
    pub unread: u64,
    /// Until when free-form content can be sent (Cloud API).
    pub window_expires_at: Option<Timestamp>,
    /// Until when everything is free of charge (Cloud API).
    pub entry_point_expires_at: Option<Timestamp>,
    /// When something was written last, or when it was begun.
    pub last_at: Timestamp,
    /// When it was begun.
    pub created_at: Timestamp,
}

impl From<Conversation> for ConversationView {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: Word(conversation.id),
            device_id: Word(conversation.device),
            contact_id: Word(conversation.contact),
            last_in_at: conversation.last_in_at,
            last_out_at: conversation.last_out_at,
            unread: conversation.unread,
            window_expires_at: conversation.window_expires_at,
            entry_point_expires_at: conversation.entry_point_expires_at,
            last_at: conversation.last_at,
            created_at: conversation.created_at,
        }
    }
}

/// How a conversation is marked read.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "MarkRead")]
#[serde(deny_unknown_fields)]
pub struct MarkReadBody {
    /// Whether the contact sees that an answer is on its way.
    #[oai(default)]
    #[serde(default)]
    pub typing: bool,
}

/// The operations.
pub struct ConversationsApi(pub Platform);

#[OpenApi(tag = "Area::Conversations")]
impl ConversationsApi {
    /// List conversations
    ///
    /// The last active first. Needs `messages:read`.
    #[oai(path = "/conversations", method = "get", operation_id = "listConversations")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        /// Only those of this device.
        device: Query<Option<Word<DeviceId>>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<ConversationView>> {
        let (device, page) = (device.0.map(|word| word.0), page(limit.0, after.0));
        let conversations = self.0.conversations().list(&may.grant, device, page).await?;
        Ok(Listed::of(conversations))
    }

    /// Get a conversation
    ///
    /// Needs `messages:read`.
    #[oai(path = "/conversations/:id", method = "get", operation_id = "getConversation")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadMessages>>,
        id: Path<Word<ConversationId>>,
    ) -> Answer<ConversationView> {
        let conversation = self.0.conversations().get(&may.grant, id.0.0).await?;
        Ok(Json(conversation.into()))
    }

    /// Mark a conversation read
    ///
    /// Here and on the network. Needs `messages:send`.
    #[oai(path = "/conversations/:id/read", method = "post", operation_id = "markConversationRead")]
    async fn mark_read(
        &self,
        Auth(may): Auth<InAccount<SendMessages>>,
        id: Path<Word<ConversationId>>,
        body: JsonBody<MarkReadBody>,
    ) -> Answer<ConversationView> {
        let typing = body.value.typing;
        let conversation = self.0.conversations().mark_read(&may.grant, id.0.0, typing).await?;
        Ok(Json(conversation.into()))
    }
}
