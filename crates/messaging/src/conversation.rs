//! The chat between one device and one contact.

use std::sync::Arc;

use kabar_channel::{Channels, MessageKey, SendError};
use kabar_core::page::ParseCursorError;
use kabar_core::permission::{ReadMessages, SendMessages};
use kabar_core::{
    AccountId, Clock, ContactId, ConversationId, DeviceId, Grant, InstallationScope, Page,
    PageRequest, Store, Timestamp,
};

use crate::message::{Direction, MessageFilter};
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
        let newest = self.newest_incoming(grant, id).await?;
        if let Some((key, device)) = newest {
            self.tell_network(device, &key, typing).await?;
        }
        let work = self.store.begin().await?;
        let mut repo = work.conversations(grant.scope());
        repo.mark_read(id, self.clock.now()).await?;
        let conversation = repo.get(id).await?.ok_or(MessageError::NoSuchConversation)?;
        drop(repo);
        work.commit().await?;
        Ok(conversation)
    }

    async fn newest_incoming(
        &self,
        grant: &Grant<SendMessages>,
        id: ConversationId,
    ) -> Result<Option<(MessageKey, DeviceId)>, MessageError> {
        let work = self.store.read().await?;
        let conversation = work.conversations(grant.scope()).get(id).await?;
        let conversation = conversation.ok_or(MessageError::NoSuchConversation)?;
        let filter = MessageFilter {
            conversation: Some(id),
            direction: Some(Direction::In),
            ..MessageFilter::default()
        };
        let page = PageRequest::new(Some(1), None);
        let newest = work.messages(grant.scope()).list(&filter, page).await?;
        let key = newest.items.into_iter().next().and_then(|message| message.wire_id);
        Ok(key.map(|wire_id| (MessageKey::id(wire_id), conversation.device)))
    }

    async fn tell_network(
        &self,
        device: DeviceId,
        key: &MessageKey,
        typing: bool,
    ) -> Result<(), MessageError> {
        let work = self.store.read().await?;
        let scope = InstallationScope::system("read_receipts");
        let devices = work.device_registry(scope).by_ids(&[device]).await?;
        drop(work);
        let Some(device) = devices.into_iter().next() else {
            return Ok(());
        };
        let link = device.link();
        let Some(port) = self.channels.get(&link.channel).and_then(|ports| ports.read_receipts())
        else {
            return Ok(());
        };
        match port.mark_read(&link, key, typing).await {
            // The network knows nothing of so old a message; here it is read all the same.
            Ok(()) | Err(SendError::Refused { .. }) => Ok(()),
            Err(error) => Err(MessageError::Channel(error)),
        }
    }
}
