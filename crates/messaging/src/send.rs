//! Taking messages into the outbox, and what a tenant does with them afterwards.

mod again;
mod call;
mod render;
mod take;

use std::collections::HashMap;
use std::sync::Arc;

use kabar_channel::{Channels, FieldError, SendError};
use kabar_contacts::contact::IdentityKey;
use kabar_core::permission::{ReadMessages, SendMessages};
use kabar_core::work::OnceError;
use kabar_core::{
    Clock, Grant, IdSource, InstallationScope, MessageId, Once, Page, PageRequest, Scope, Store,
    StoreError, Timestamp, Topic, Wake,
};
use kabar_devices::RecentDevices;
use kabar_events::{Fact, NewEvent};

use crate::gather::Gather;
use crate::message::{Message, MessageFilter, NewMessage, Standing, Status};
use crate::repo::{LaneEntry, RoadWork};
use take::{Answer, Asked, Taker};

pub(crate) use call::Taken;
pub(crate) use render::{each_text, render_with};

/// Messages of one call, at most.
pub const MOST_AT_ONCE: usize = 1_000;
/// The most characters of a reference.
const REFERENCE: usize = 200;
/// The most characters of an id that the network gave a person or a group.
const WIRE_ID: usize = 200;
/// Messages of a call that shares its unit of work with others, at most.
const SMALL: usize = 20;
/// Units of work that take messages at the same time, at most.
const WORKERS: usize = 4;
/// Tries of a unit of work that met another one.
const TRIES: u32 = 4;

/// Why messages cannot be had, sent or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// There is no such message.
    #[error("no such message")]
    NotFound,
    /// There is no such conversation.
    #[error("no such conversation")]
    NoSuchConversation,
    /// Messages of the call cannot be sent; nothing was taken.
    #[error("{} of the messages cannot be sent", .0.len())]
    Invalid(Vec<InvalidMessage>),
    /// The call itself cannot be carried out.
    #[error("{field}: {problem}")]
    BadCall {
        /// The field.
        field: &'static str,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The message is beyond the point where this can be done.
    #[error("the message is {status}; {problem}")]
    TooLate {
        /// Its status.
        status: Status,
        /// What could be done instead.
        problem: &'static str,
    },
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// The channel could not do it.
    #[error("the channel could not do it: {0}")]
    Channel(SendError),
    /// The file cannot be stored or read.
    #[error("the file store failed")]
    Blob(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A message of a call that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidMessage {
    /// Its place in the call, from 0.
    pub index: usize,
    /// Its fields that cannot be sent.
    pub fields: Vec<FieldError>,
}

/// A message that was taken into the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    /// The messages, in the order of the call.
    pub messages: Vec<Message>,
    /// The same call was made before: these are its messages as they are now.
    pub repeated: bool,
}

/// How a tenant settles an uncertain message by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// It did arrive.
    Sent,
    /// It did not, and shall not.
    Failed,
    /// Send it again, at the risk of a second copy.
    Resend,
}

/// Messages of tenants. Cheap to clone.
#[derive(Clone)]
pub struct Messages {
    taker: Taker,
    gather: Gather<Asked, Answer>,
}

impl Messages {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        channels: Channels,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        let devices = RecentDevices::default();
        Self::of(Taker { store, channels, clock, ids, wake, devices })
    }

    /// Shares the devices that were read a moment ago with those who change them.
    #[must_use]
    pub fn with_recent(self, devices: RecentDevices) -> Self {
        Self::of(Taker { devices, ..self.taker })
    }

    fn of(taker: Taker) -> Self {
        let worker = taker.clone();
        let gather = Gather::new(WORKERS, move |asked| {
            let worker = worker.clone();
            async move { worker.together(asked).await }
        });
        Self { taker, gather }
    }

    /// Takes messages into the outbox, all or none. When it returns they are durable. Small calls
    /// that are made at the same time share a unit of work.
    ///
    /// # Errors
    /// [`MessageError::Invalid`] with every field of every message that cannot be sent.
    pub async fn send_many(
        &self,
        grant: &Grant<SendMessages>,
        messages: Vec<NewMessage>,
        once: Option<&Once>,
    ) -> Result<Queued, MessageError> {
        check_call(&messages)?;
        let small = messages.len() <= SMALL;
        let asked = Asked { scope: grant.scope(), messages, once: once.cloned() };
        if !small {
            return self.taker.alone(&asked).await;
        }
        let answer = self.gather.submit(asked).await;
        answer.unwrap_or_else(|| {
            Err(StoreError::Unavailable("the unit of work ended half-way".into()).into())
        })
    }

    /// Takes messages into the outbox within somebody else's unit of work. Wake
    /// [`Topic::Outbox`] after the commit.
    ///
    /// # Errors
    /// As [`Messages::send_many`].
    pub async fn send_within(
        &self,
        work: &(dyn RoadWork + '_),
        scope: Scope,
        messages: &[NewMessage],
    ) -> Result<Vec<Message>, MessageError> {
        let new: Vec<&NewMessage> = messages.iter().collect();
        self.taker.within(work, scope, &new).await
    }

    /// Takes those messages into the outbox that can be sent, within somebody else's unit of work.
    pub(crate) async fn send_some_within(
        &self,
        work: &(dyn RoadWork + '_),
        scope: Scope,
        messages: &[NewMessage],
    ) -> Result<Taken, MessageError> {
        let new: Vec<&NewMessage> = messages.iter().collect();
        self.taker.some_within(work, scope, &new).await
    }

    /// A message.
    ///
    /// # Errors
    /// [`MessageError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadMessages>,
        id: MessageId,
    ) -> Result<Message, MessageError> {
        let work = self.taker.store.read().await?;
        let found = work.messages(grant.scope()).by_ids(&[id]).await?;
        found.into_iter().next().ok_or(MessageError::NotFound)
    }

    /// The tenant's messages, newest first.
    ///
    /// # Errors
    /// [`MessageError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadMessages>,
        filter: &MessageFilter,
        page: PageRequest,
    ) -> Result<Page<Message>, MessageError> {
        let work = self.taker.store.read().await?;
        let mut filter = filter.clone();
        if let Some(phone) = filter.phone.take() {
            let known = work.people(grant.scope()).known(&[IdentityKey::phone(&phone)]).await?;
            let whose = known.into_iter().map(|identity| identity.contact).next();
            if whose.is_none() || filter.contact.is_some_and(|contact| Some(contact) != whose) {
                return Ok(Page { items: Vec::new(), next: None });
            }
            filter.contact = whose;
        }
        Ok(work.messages(grant.scope()).list(&filter, page).await?)
    }

    /// Cancels a message that was not sent yet.
    ///
    /// # Errors
    /// [`MessageError::NotFound`], [`MessageError::TooLate`].
    pub async fn cancel(
        &self,
        grant: &Grant<SendMessages>,
        id: MessageId,
    ) -> Result<Message, MessageError> {
        let problem = "only a message that waits can be cancelled";
        self.change(grant, id, |message, now| match message.status {
            Status::Pending | Status::Held => {
                message.leave_line(Status::Cancelled, now);
                Ok(())
            }
            Status::Cancelled => Ok(()),
            status => Err(MessageError::TooLate { status, problem }),
        })
        .await
    }

    /// Settles an uncertain message by hand.
    ///
    /// # Errors
    /// [`MessageError::NotFound`], [`MessageError::TooLate`] unless it is uncertain.
    pub async fn settle(
        &self,
        grant: &Grant<SendMessages>,
        id: MessageId,
        settlement: Settlement,
    ) -> Result<Message, MessageError> {
        let problem = "only an uncertain message can be settled";
        let message = self
            .change(grant, id, |message, now| {
                if message.status != Status::Uncertain {
                    return Err(MessageError::TooLate { status: message.status, problem });
                }
                match settlement {
                    Settlement::Sent => crate::status::reach(message, Status::Sent, now, now),
                    Settlement::Failed => {
                        message.leave_line(Status::Failed, now);
                        message.failed_at = Some(now);
                    }
                    Settlement::Resend => {
                        // Somebody wants it to go now, however long it took to decide.
                        let lifetime = message.expires_at.map(|at| at - message.due_at);
                        message.expires_at = lifetime.map(|lifetime| now + lifetime);
                        message.status = Status::Pending;
                        message.queued = true;
                        message.reason = None;
                        message.held_until = None;
                        message.next_at = now;
                        message.updated_at = now;
                    }
                }
                Ok(())
            })
            .await?;
        Ok(message)
    }

    async fn change(
        &self,
        grant: &Grant<SendMessages>,
        id: MessageId,
        change: impl Fn(&mut Message, Timestamp) -> Result<(), MessageError>,
    ) -> Result<Message, MessageError> {
        let mut tries = 1;
        loop {
            match self.try_change(grant, id, &change).await {
                Err(MessageError::Store(StoreError::Contended(_))) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn try_change(
        &self,
        grant: &Grant<SendMessages>,
        id: MessageId,
        change: &impl Fn(&mut Message, Timestamp) -> Result<(), MessageError>,
    ) -> Result<Message, MessageError> {
        let scope = InstallationScope::system("messages");
        let now = self.taker.clock.now();
        let work = self.taker.store.begin().await?;
        // Seen in the tenant's scope first: a foreign message does not exist.
        if work.messages(grant.scope()).by_ids(&[id]).await?.is_empty() {
            return Err(MessageError::NotFound);
        }
        let locked = work.outbox(scope).lock(&[id]).await?;
        let mut message = locked.into_iter().next().ok_or(MessageError::NotFound)?;
        let (untouched, before) = (message.clone(), message.standing());
        change(&mut message, now)?;
        if message == untouched {
            return Ok(message);
        }
        let mut outbox = work.outbox(scope);
        outbox.save(std::slice::from_ref(&message)).await?;
        if message.queued {
            outbox.put(&[lane_entry(&message)]).await?;
        }
        outbox.settle(&[message.lane()]).await?;
        drop(outbox);
        if message.status != before.status {
            work.events().append(&[status_event(&message, &before, now)]).await?;
        }
        work.commit().await?;
        // The next one in the line may go.
        self.taker.wake.wake(Topic::Outbox);
        self.taker.wake.wake(Topic::Events);
        Ok(message)
    }
}

pub(crate) fn lane_entry(message: &Message) -> LaneEntry {
    LaneEntry {
        lane: message.lane(),
        account: message.account,
        priority: message.purpose.priority(),
        ready_at: message.due_at.max(message.next_at),
        guarded: true,
    }
}

/// How messages stood before they were changed.
#[derive(Default)]
pub(crate) struct Before(HashMap<MessageId, Standing>);

impl Before {
    /// As they are now.
    pub(crate) fn of<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Self {
        Self(messages.into_iter().map(|message| (message.id, message.standing())).collect())
    }

    /// Notes further messages.
    pub(crate) fn note<'a>(&mut self, messages: impl IntoIterator<Item = &'a Message>) {
        self.0.extend(messages.into_iter().map(|message| (message.id, message.standing())));
    }

    /// The events of messages that were changed since.
    pub(crate) fn events(&self, changed: &[Message], at: Timestamp) -> Vec<NewEvent> {
        let event = |message: &Message| {
            self.0.get(&message.id).map(|before| status_event(message, before, at))
        };
        changed.iter().filter_map(event).collect()
    }
}

/// The event that a message's status changed.
pub(crate) fn status_event(message: &Message, before: &Standing, at: Timestamp) -> NewEvent {
    let reason = message.reason.as_ref().map(|reason| reason.code.clone());
    NewEvent {
        account: message.account,
        at,
        fact: Fact::MessageStatus {
            message_id: message.id,
            device_id: message.device,
            contact_id: message.contact,
            status: message.status.to_string(),
            reason,
            previous: before.status.to_string(),
            previous_reason: before.reason.clone(),
            traits: message.traits(),
        },
    }
}

fn check_call(messages: &[NewMessage]) -> Result<(), MessageError> {
    let problem = match messages.len() {
        0 => "must hold at least one message".to_owned(),
        count if count > MOST_AT_ONCE => {
            format!("holds {count} messages; send at most {MOST_AT_ONCE} at once")
        }
        _ => return Ok(()),
    };
    Err(MessageError::BadCall { field: "messages", problem })
}

fn in_order(ids: &[MessageId], messages: Vec<Message>) -> Vec<Message> {
    let mut by_id: HashMap<MessageId, Message> =
        messages.into_iter().map(|message| (message.id, message)).collect();
    ids.iter().filter_map(|id| by_id.remove(id)).collect()
}
