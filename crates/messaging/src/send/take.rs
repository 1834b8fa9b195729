//! Taking calls into the outbox, alone or many in one unit of work.
//!
//! Calls that arrive while others are being stored share the next unit of work, whoever they are
//! from: each statement then serves all of them, and one flush of the disk makes all of them
//! durable. What is wrong with one call is that call's own: the others are stored without it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use kabar_channel::Channels;
use kabar_core::{
    AccountId, Clock, DeviceId, IdSource, MessageId, Once, Scope, Store, StoreError, Topic, Wake,
};

use kabar_devices::RecentDevices;

use super::call::{Call, Taken};
use super::{MessageError, Queued, TRIES, in_order};
use crate::message::{Message, NewMessage};
use crate::repo::RoadWork;

/// One call of `send_many`.
pub(super) struct Asked {
    pub(super) scope: Scope,
    pub(super) messages: Vec<NewMessage>,
    pub(super) once: Option<Once>,
}

/// What becomes of a call.
pub(super) type Answer = Result<Queued, MessageError>;

/// What taking messages needs.
#[derive(Clone)]
pub(super) struct Taker {
    pub(super) store: Arc<dyn Store<dyn RoadWork>>,
    pub(super) channels: Channels,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) wake: Arc<dyn Wake>,
    pub(super) devices: RecentDevices,
}

/// The calls that one scope covers, by their places in the batch.
type Groups = BTreeMap<(AccountId, Option<DeviceId>), Vec<usize>>;

impl Taker {
    /// Carries out calls in one unit of work where that goes, and else one by one.
    pub(super) async fn together(&self, asked: Vec<Asked>) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = asked.iter().map(|_| None).collect();
        if asked.len() > 1 && is_all_different(&asked) {
            // The second time without the calls that the first time found wanting.
            for _ in 0..2 {
                match self.try_together(&asked, &mut answers).await {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::debug!(error, "messages.together");
                        break;
                    }
                }
            }
        }
        let mut done = Vec::with_capacity(asked.len());
        for (asked, answer) in asked.iter().zip(answers) {
            done.push(match answer {
                Some(answer) => answer,
                None => self.alone(asked).await,
            });
        }
        done
    }

    /// Carries out one call, again when it met another unit of work.
    pub(super) async fn alone(&self, asked: &Asked) -> Answer {
        let mut tries = 1;
        loop {
            match self.try_alone(asked).await {
                Err(MessageError::Store(StoreError::Contended(_))) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn try_alone(&self, asked: &Asked) -> Answer {
        let work = self.store.begin().await?;
        if let Some(repeated) = repeated(&*work, asked).await? {
            return Ok(repeated);
        }
        let new: Vec<&NewMessage> = asked.messages.iter().collect();
        let messages = self.within(&*work, asked.scope, &new).await?;
        self.remember(&*work, asked, &messages).await?;
        work.commit().await?;
        self.wake(&messages);
        Ok(Queued { messages, repeated: false })
    }

    /// Takes messages within somebody else's unit of work.
    pub(super) async fn within(
        &self,
        work: &(dyn RoadWork + '_),
        scope: Scope,
        new: &[&NewMessage],
    ) -> Result<Vec<Message>, MessageError> {
        let now = self.clock.now();
        let planned = self.call(work, scope).plan(new, now).await?;
        super::call::store(work, std::slice::from_ref(&planned), now).await?;
        Ok(planned.messages)
    }

    /// Takes those messages that can be sent, within somebody else's unit of work.
    pub(super) async fn some_within(
        &self,
        work: &(dyn RoadWork + '_),
        scope: Scope,
        new: &[&NewMessage],
    ) -> Result<Taken, MessageError> {
        if new.is_empty() {
            return Ok(Taken::default());
        }
        let now = self.clock.now();
        let (planned, sorted) = self.call(work, scope).plan_some(new, now).await?;
        super::call::store(work, std::slice::from_ref(&planned), now).await?;
        let messages = sorted.places.into_iter().zip(planned.messages).collect();
        Ok(Taken { messages, refused: sorted.refused })
    }

    /// Stores every call that has no answer yet, and answers it. `false` when calls were found
    /// wanting: they have their answer now, and nothing was stored for the others.
    async fn try_together(
        &self,
        asked: &[Asked],
        answers: &mut [Option<Answer>],
    ) -> Result<bool, MessageError> {
        let work = self.store.begin().await?;
        let mut groups = Groups::new();
        let mut recalled = Vec::new();
        for (place, (asked, answer)) in asked.iter().zip(answers.iter()).enumerate() {
            if answer.is_some() {
                continue;
            }
            match repeated(&*work, asked).await {
                Ok(None) => {
                    let key = (asked.scope.account(), asked.scope.device());
                    groups.entry(key).or_default().push(place);
                }
                Ok(Some(queued)) => recalled.push((place, Ok(queued))),
                Err(MessageError::Store(error)) => return Err(error.into()),
                Err(error) => recalled.push((place, Err(error))),
            }
        }
        let now = self.clock.now();
        let mut planned = Vec::with_capacity(groups.len());
        let mut wanting = Vec::new();
        for places in groups.values() {
            let calls: Vec<&Asked> = places.iter().filter_map(|place| asked.get(*place)).collect();
            let new: Vec<&NewMessage> = calls.iter().flat_map(|call| &call.messages).collect();
            let Some(first) = calls.first() else { continue };
            match self.call(&*work, first.scope).plan(&new, now).await {
                Ok(plan) => planned.push(plan),
                Err(MessageError::Invalid(invalid)) => {
                    let sizes = calls.iter().map(|call| call.messages.len());
                    let blamed = super::call::by_call(invalid, sizes);
                    wanting.extend(places.iter().copied().zip(blamed));
                }
                Err(error) => return Err(error),
            }
        }
        let found_wanting = wanting.iter().any(|(_, invalid)| !invalid.is_empty());
        for (place, invalid) in wanting {
            if let Some(answer) = answers.get_mut(place)
                && !invalid.is_empty()
            {
                *answer = Some(Err(MessageError::Invalid(invalid)));
            }
        }
        if found_wanting {
            return Ok(false);
        }
        super::call::store(&*work, &planned, now).await?;
        let mut done = Vec::with_capacity(asked.len());
        for (places, plan) in groups.values().zip(planned) {
            let mut messages = plan.messages.into_iter();
            for place in places {
                let Some(call) = asked.get(*place) else { continue };
                let own: Vec<Message> = messages.by_ref().take(call.messages.len()).collect();
                self.remember(&*work, call, &own).await?;
                done.push((*place, Ok(Queued { messages: own, repeated: false })));
            }
        }
        work.commit().await?;
        let taken = done.iter().filter_map(|(_, answer): &(usize, Answer)| answer.as_ref().ok());
        self.wake(taken.flat_map(|queued| &queued.messages));
        for (place, answer) in done.into_iter().chain(recalled) {
            if let Some(slot) = answers.get_mut(place) {
                *slot = Some(answer);
            }
        }
        Ok(true)
    }

    fn call<'a>(&'a self, work: &'a dyn RoadWork, scope: Scope) -> Call<'a> {
        let (channels, recent) = (&self.channels, &self.devices);
        Call { work, scope, channels, ids: &*self.ids, recent }
    }

    async fn remember(
        &self,
        work: &(dyn RoadWork + '_),
        asked: &Asked,
        messages: &[Message],
    ) -> Result<(), StoreError> {
        let Some(once) = &asked.once else { return Ok(()) };
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        once.remember(work, &ids, self.clock.now()).await
    }

    /// Wakes the dispatcher, unless all of it is for a later time: what becomes due is polled for.
    fn wake<'a>(&self, taken: impl IntoIterator<Item = &'a Message>) {
        let now = self.clock.now();
        if taken.into_iter().any(|message| message.due_at <= now) {
            self.wake.wake(Topic::Outbox);
        }
        self.wake.wake(Topic::Events);
    }
}

/// What the same call made before.
async fn repeated(
    work: &(dyn RoadWork + '_),
    asked: &Asked,
) -> Result<Option<Queued>, MessageError> {
    let Some(once) = &asked.once else { return Ok(None) };
    let Some(ids) = once.recall::<Vec<MessageId>>(work).await? else { return Ok(None) };
    let messages = in_order(&ids, work.messages(asked.scope).by_ids(&ids).await?);
    Ok(Some(Queued { messages, repeated: true }))
}

/// Whether no two of the calls are the same call: the second has to find what the first made.
fn is_all_different(asked: &[Asked]) -> bool {
    let mut seen = HashSet::new();
    asked
        .iter()
        .filter_map(|asked| asked.once.as_ref())
        .all(|once| seen.insert((&once.principal, once.operation, &once.key)))
}
