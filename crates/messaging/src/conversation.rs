//! The chat between one device and one contact.

use std::sync::Arc;

use kabar_channel::{Channels, DeviceLink, MessageKey, Recipient, SendError};
use kabar_core::page::ParseCursorError;
use kabar_core::permission::{ReadMessages, SendMessages};
use kabar_core::{
    AccountId, Clock, ContactId, ConversationId, DeviceId, Grant, Page, PageRequest, Scope, Store,
    Timestamp,
};

use crate::message::{Direction, Message, MessageFilter};
use crate::repo::RoadWork;
use crate::send::MessageError;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Its account.
    pub account: AccountId,
    /// Our side.
    pub device: DeviceId,
    /// The other side.
    pub contact: ContactId,
    /// When the contact wrote last.
    pub last_in_at: Option<Timestamp>,
    /// When we wrote last.
    pub last_out_at: Option<Timestamp>,
    /// Messages that nobody has read.
    pub unread: u64,
    /// Until when free-form content can be sent (Cloud API: 24 hours after the contact wrote).
    pub window_expires_at: Option<Timestamp>,
    /// Until when everything is free of charge (Cloud API: free entry point).
    pub entry_point_expires_at: Option<Timestamp>,
    /// When something was written last, or when it was begun.
    pub last_at: Timestamp,
    /// When it was begun.
    pub created_at: Timestamp,
}

/// Conversations of tenants.
#[derive(Clone)]
pub struct Conversations {
    store: Arc<dyn Store<dyn RoadWork>>,
    channels: Channels,
    clock: Arc<dyn Clock>,
}

impl Conversations {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        channels: Channels,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, channels, clock }
    }

    /// A conversation.
    ///
    /// # Errors
    /// [`MessageError::NoSuchConversation`].
    pub async fn get(
        &self,
        grant: &Grant<ReadMessages>,
        id: ConversationId,
    ) -> Result<Conversation, MessageError> {
        let work = self.store.read().await?;
        let found = work.conversations(grant.scope()).get(id).await?;
        found.ok_or(MessageError::NoSuchConversation)
    }

    /// The tenant's conversations, the last active first.
    ///
    /// # Errors
    /// [`MessageError::BadCall`] when the page's cursor is one of another list.
    pub async fn list(
        &self,
        grant: &Grant<ReadMessages>,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> Result<Page<Conversation>, MessageError> {
        if page.after.is_some_and(|after| after.key().is_none()) {
            let problem = ParseCursorError.to_string();
            return Err(MessageError::BadCall { field: "after", problem });
        }
        let work = self.store.read().await?;
        Ok(work.conversations(grant.scope()).list(device, page).await?)
    }

    /// Marks everything in a conversation as read, here and on the network; with `typing` the
    /// contact sees that an answer is on its way.
    ///
    /// # Errors
    /// [`MessageError::NoSuchConversation`], [`MessageError::Channel`] when the network refuses.
    pub async fn mark_read(
        &self,
        grant: &Grant<SendMessages>,
        id: ConversationId,
        typing: bool,
    ) -> Result<Conversation, MessageError> {
        self.tell_network(grant, id, typing).await?;
        let work = self.store.begin().await?;
        let mut repo = work.conversations(grant.scope());
        repo.mark_read(id, self.clock.now()).await?;
        let conversation = repo.get(id).await?.ok_or(MessageError::NoSuchConversation)?;
        drop(repo);
        work.commit().await?;
        Ok(conversation)
    }

    async fn tell_network(
        &self,
        grant: &Grant<SendMessages>,
        id: ConversationId,
        typing: bool,
    ) -> Result<(), MessageError> {
        let Some((link, chat, unread)) = self.unread(grant.scope(), id).await? else {
            return Ok(());
        };
        let Some(port) = self.channels.get(&link.channel).and_then(|ports| ports.read_receipts())
        else {
            return Ok(());
        };
        match port.mark_read(&link, &chat, &unread, typing).await {
            // The network knows nothing of so old a message; here it is read all the same.
            Ok(()) | Err(SendError::Refused { .. }) => Ok(()),
            Err(error) => Err(MessageError::Channel(error)),
        }
    }

    /// What nobody has read of a conversation, newest first, and the newest in any case; with whom it
    /// is, and over what.
    async fn unread(
        &self,
        scope: Scope,
        id: ConversationId,
    ) -> Result<Option<(DeviceLink, Recipient, Vec<MessageKey>)>, MessageError> {
        let work = self.store.read().await?;
        let conversation = work.conversations(scope).get(id).await?;
        let conversation = conversation.ok_or(MessageError::NoSuchConversation)?;
        let filter = MessageFilter {
            conversation: Some(id),
            direction: Some(Direction::In),
            ..MessageFilter::default()
        };
        let limit = u16::try_from(conversation.unread).unwrap_or(u16::MAX);
        let page = PageRequest::new(Some(limit), None);
        let unread = work.messages(scope).list(&filter, page).await?.items;
        let device = work.devices(scope).get(conversation.device).await?;
        let contacts = work.contacts(scope).by_ids(&[conversation.contact]).await?;
        let (Some(device), Some(contact)) = (device, contacts.into_iter().next()) else {
            return Ok(None);
        };
        let chat = contact.recipient(&device.namespace());
        Ok(Some((device.link(), chat, unread.iter().filter_map(key).collect())))
    }
}

/// How the network names a message that came in.
fn key(message: &Message) -> Option<MessageKey> {
    let sender = message.author.as_ref().and_then(|author| author.address.clone());
    Some(MessageKey { sender, ..MessageKey::id(message.wire_id.clone()?) })
}
