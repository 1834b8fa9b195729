//! A message at another time, or once more.

use std::collections::{BTreeSet, HashMap};

use kabar_channel::Content;
use kabar_core::permission::SendMessages;
use kabar_core::{Grant, InstallationScope, MessageId, Once, Scope, Timestamp};
use kabar_rules::Missing;

use super::{MessageError, Messages, TRIES};
use crate::broadcast::{Counts, Recipient, RecipientState};
use crate::message::{Body, Direction, Lane, Message, NewMessage, Status, To};
use crate::repo::RoadWork;

/// The code of the reason why a message can be retried once only.
const RETRIED: &str = "it was retried already; retry the newer message";

impl Messages {
    /// Gives a message that waits another time. It keeps the time for which it is worth sending.
    ///
    /// # Errors
    /// [`MessageError::NotFound`], [`MessageError::TooLate`], [`MessageError::BadCall`] when the time
    /// is past.
    pub async fn reschedule(
        &self,
        grant: &Grant<SendMessages>,
        id: MessageId,
        due_at: Timestamp,
    ) -> Result<Message, MessageError> {
        if due_at <= self.taker.clock.now() {
            let problem = "must be in the future; cancel the message to take it back".to_owned();
            return Err(MessageError::BadCall { field: "due_at", problem });
        }
        let problem = "only a message that waits can be given another time";
        self.change(grant, id, |message, now| match message.status {
            Status::Pending | Status::Held if message.queued => {
                let lifetime = message.expires_at.map(|at| at - message.due_at);
                message.due_at = due_at;
                message.next_at = due_at;
                message.expires_at = lifetime.map(|lifetime| due_at + lifetime);
                message.status = Status::Pending;
                message.reason = None;
                message.held_until = None;
                message.updated_at = now;
                Ok(())
            }
            status => Err(MessageError::TooLate { status, problem }),
        })
        .await
    }

    /// Sends a message once more that failed or expired: a new message with the same content,
    /// recipient and reference, linked to the old one.
    ///
    /// # Errors
    /// [`MessageError::NotFound`], [`MessageError::TooLate`] unless it failed or expired and was not
    /// retried yet, [`MessageError::Invalid`] when it cannot be sent any more.
    pub async fn retry(
        &self,
        grant: &Grant<SendMessages>,
        id: MessageId,
        once: Option<&Once>,
    ) -> Result<Message, MessageError> {
        let mut tries = 1;
        loop {
            match self.try_retry(grant.scope(), id, once).await {
                Err(MessageError::Store(kabar_core::StoreError::Contended(_))) if tries < TRIES => {
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_retry(
        &self,
        scope: Scope,
        id: MessageId,
        once: Option<&Once>,
    ) -> Result<Message, MessageError> {
        let work = self.taker.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<MessageId>(&*work).await?
        {
            let found = work.messages(scope).by_ids(&[id]).await?;
            return found.into_iter().next().ok_or(MessageError::NotFound);
        }
        if work.messages(scope).by_ids(&[id]).await?.is_empty() {
            return Err(MessageError::NotFound);
        }
        let made = self.retry_within(&*work, scope, &[id]).await?;
        let message = match made.into_iter().next() {
            Some((_, Ok(message))) => message,
            Some((_, Err(error))) => return Err(error),
            None => return Err(MessageError::NotFound),
        };
        if let Some(once) = once {
            once.remember(&*work, &message.id, self.taker.clock.now()).await?;
        }
        work.commit().await?;
        self.taker.wake.wake(kabar_core::Topic::Outbox);
        self.taker.wake.wake(kabar_core::Topic::Events);
        Ok(message)
    }

    /// Cancels those messages that wait, within somebody else's unit of work; returns how many.
    pub(crate) async fn cancel_within(
        &self,
        work: &(dyn RoadWork + '_),
        ids: &[MessageId],
    ) -> Result<usize, kabar_core::StoreError> {
        let outbox = InstallationScope::system("messages");
        let now = self.taker.clock.now();
        let mut messages = work.outbox(outbox).lock(ids).await?;
        messages.retain(|message| message.status.is_waiting());
        let before = super::Before::of(&messages);
        for message in &mut messages {
            message.leave_line(Status::Cancelled, now);
        }
        work.outbox(outbox).save(&messages).await?;
        let lanes: BTreeSet<Lane> = messages.iter().map(Message::lane).collect();
        let lanes: Vec<Lane> = lanes.into_iter().collect();
        work.outbox(outbox).settle(&lanes).await?;
        work.events().append(&before.events(&messages, now)).await?;
        Ok(messages.len())
    }

    /// Retries messages within somebody else's unit of work: each old id with its new message, or
    /// why there is none.
    pub(crate) async fn retry_within(
        &self,
        work: &(dyn RoadWork + '_),
        scope: Scope,
        ids: &[MessageId],
    ) -> Result<Vec<(MessageId, Result<Message, MessageError>)>, MessageError> {
        let outbox = InstallationScope::system("messages");
        let locked = work.outbox(outbox).lock(ids).await?;
        let retried = work.messages(scope).retried(ids).await?;
        let (mut old, mut new, mut done) = (Vec::new(), Vec::new(), Vec::new());
        for message in locked {
            let again = if retried.contains(&message.id) {
                Err(MessageError::TooLate { status: message.status, problem: RETRIED })
            } else {
                once_more(&message)
            };
            match again {
                Ok(again) => {
                    new.push(again);
                    old.push(message.id);
                }
                Err(error) => done.push((message.id, Err(error))),
            }
        }
        let taken = self.send_some_within(work, scope, &new).await?;
        let mut links = HashMap::new();
        for (index, message) in taken.messages {
            if let Some(id) = old.get(index) {
                links.insert(*id, message.clone());
                done.push((*id, Ok(message)));
            }
        }
        for refused in taken.refused {
            if let Some(id) = old.get(refused.index) {
                let refused = super::InvalidMessage { index: 0, ..refused };
                done.push((*id, Err(MessageError::Invalid(vec![refused]))));
            }
        }
        relink(work, &links, self.taker.clock.now()).await?;
        Ok(done)
    }
}

/// The same message again.
fn once_more(message: &Message) -> Result<NewMessage, MessageError> {
    let problem = "only a message that failed or expired can be sent once more";
    let status = message.status;
    let content: Content = match &message.body {
        Body::Out(content)
            if message.direction == Direction::Out
                && matches!(status, Status::Failed | Status::Expired) =>
        {
            content.clone()
        }
        _ => return Err(MessageError::TooLate { status, problem }),
    };
    let to = match &message.asked_for {
        Some(phone) => To::Phone(phone.clone()),
        None => To::Contact(message.contact),
    };
    Ok(NewMessage {
        missing_variables: Missing::Empty,
        purpose: message.purpose,
        origin: message.origin,
        origin_ref: message.origin_ref.clone(),
        reply_to: message.reply_to_id,
        retry_of: Some(message.id),
        reference: message.reference.clone(),
        ..NewMessage::new(message.device, to, content)
    })
}

/// A broadcast counts the new message in the place of the old one.
async fn relink(
    work: &(dyn RoadWork + '_),
    links: &HashMap<MessageId, Message>,
    now: Timestamp,
) -> Result<(), MessageError> {
    let system = InstallationScope::system("messages");
    let mut ids: Vec<MessageId> = links
        .iter()
        .filter(|(_, message)| message.broadcast().is_some())
        .map(|(old, _)| *old)
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    ids.sort_unstable();
    for mut recipient in work.following(system).by_messages(&ids).await? {
        let Some(message) = recipient.message.and_then(|old| links.get(&old)) else { continue };
        let scope = system.within(message.account);
        let mut change = Counts::default();
        change.leave(&recipient);
        follow_up(&mut recipient, message, now);
        change.enter(&recipient);
        let broadcast = recipient.broadcast;
        work.recipients(scope).save(&[recipient]).await?;
        work.broadcasts(scope).count(broadcast, &change).await?;
    }
    Ok(())
}

fn follow_up(recipient: &mut Recipient, message: &Message, now: Timestamp) {
    recipient.previous = recipient.message;
    recipient.message = Some(message.id);
    recipient.state = RecipientState::Queued;
    recipient.reason = None;
    recipient.detail = None;
    recipient.updated_at = now;
}
