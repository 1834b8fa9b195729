//! The job that turns recipients into messages.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use kabar_core::{DeviceId, Scope, StoreError, Timestamp};
use kabar_events::BroadcastStep;
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError};

use super::check::{Demands, Facts, Verdict};
use super::counts::settled;
use super::recipient::{Recipient, RecipientState, RecipientTarget};
use super::rows::devices;
use super::service::{Broadcasts, SYSTEM, TRIES, counts, event};
use super::{Broadcast, BroadcastState, BroadcastUse, Counts, Motion, Sender};
use crate::message::{NewMessage, Origin, To};
use crate::repo::after;
use crate::send::{InvalidMessage, MessageError, Messages, Taken};

/// Its name.
pub(super) const FEED_JOB: &str = "broadcasts.feed";
/// Recipients of one unit of work.
const BATCH: u16 = 500;
/// Messages of one broadcast that a device has in its lines, at most.
const WINDOW: u64 = 1_000;
/// The same over all devices of the broadcast: what pausing has to take back.
const WINDOWS: u64 = 4_000;
/// How long a full window is left alone.
const EVERY: Duration = Duration::from_secs(1);
/// The reason of recipients whose message cannot be sent.
const REFUSED: &str = "cannot_be_sent";

/// Turns the recipients of a running broadcast into messages.
pub struct FeedJob {
    broadcasts: Broadcasts,
    messages: Messages,
}

/// What one batch led to.
enum Fed {
    /// There is more to do at once.
    Some,
    /// The job is done; there may be another one later.
    Enough,
}

impl FeedJob {
    /// The job over the service; messages go out through `messages`.
    pub const fn new(broadcasts: Broadcasts, messages: Messages) -> Self {
        Self { broadcasts, messages }
    }

    async fn batch(&self, job: &ClaimedJob) -> Result<Fed, JobError> {
        let (motion, account) = Motion::of(job)?;
        let scope = SYSTEM.within(account);
        let now = self.broadcasts.clock.now();
        let work = self.broadcasts.store.begin().await?;
        let found = work.broadcasts(scope).lock(motion.broadcast_id).await?;
        let mine = found.filter(|broadcast| {
            broadcast.run == motion.run && broadcast.state == BroadcastState::Running
        });
        let fed = match mine {
            Some(mut broadcast) => {
                let fed = self.feed(&*work, scope, &mut broadcast, now).await?;
                broadcast.updated_at = now;
                work.broadcasts(scope).update(&broadcast).await?;
                fed
            }
            None => Fed::Enough,
        };
        if matches!(fed, Fed::Enough) && !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        self.broadcasts.wake_all();
        Ok(fed)
    }

    async fn feed(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        now: Timestamp,
    ) -> Result<Fed, JobError> {
        let in_line: BTreeMap<DeviceId, u64> =
            work.broadcasts(scope).in_line(broadcast.id).await?.into_iter().collect();
        let there = devices(work, scope, &broadcast.plan).await?;
        let mut senders = broadcast.plan.senders.clone();
        senders.retain(|sender| there.iter().any(|device| device.id == sender.device));
        if senders.is_empty() {
            // Somebody has to say who is to send; nobody is left out because of it.
            broadcast.state = BroadcastState::Paused;
            broadcast.reason = Some("no_sender".to_owned());
            broadcast.run += 1;
            work.events().append(&[event(broadcast, BroadcastStep::Paused, None, now)]).await?;
            return Ok(Fed::Enough);
        }
        let mut shares = Shares::new(&senders, &in_line, &broadcast.course.given);
        let room = u16::try_from(shares.room()).unwrap_or(u16::MAX).min(BATCH);
        let next = match room {
            0 => Vec::new(),
            room => work.recipients(scope).next(broadcast.id, broadcast.attempt, room).await?,
        };
        if next.is_empty() {
            let through = room > 0 && in_line.values().all(|count| *count == 0);
            self.rest(work, scope, broadcast, through, now).await?;
            return Ok(Fed::Enough);
        }
        let ids: Vec<DeviceId> = senders.iter().map(|sender| sender.device).collect();
        let content = broadcast.course.content.clone();
        let content = content.ok_or_else(|| JobError::Hopeless("it was not prepared".into()))?;
        let facts = Facts::of(work, scope, &next, &ids).await?;
        let channels = &self.broadcasts.channels;
        let demands = Demands::new(&broadcast.plan, &content, &there, channels, now);
        let mut batch = Batch::new(&next);
        let mut new = Vec::with_capacity(next.len());
        for recipient in next {
            match demands.judge(&recipient, &facts) {
                Verdict::Skip(reason, detail) => batch.skip(recipient, reason, detail, now),
                Verdict::Send(_) => {
                    let open: Vec<DeviceId> = facts.open(&recipient, now).collect();
                    let device = shares.take(&open);
                    new.push(message(broadcast, &recipient, device, &content, now));
                    batch.meant.push(recipient);
                }
            }
        }
        let taken = self.messages.send_some_within(work, scope, &new).await.map_err(failed)?;
        batch.settle(taken, broadcast.attempt, now);
        work.recipients(scope).save(&batch.done).await?;
        work.broadcasts(scope).count(broadcast.id, &batch.change()).await?;
        broadcast.course.given = shares.given();
        Ok(Fed::Some)
    }

    /// Nothing more can be put into the lines now: the broadcast is through, or goes on later.
    async fn rest(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        through: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let progress = counts(work, scope, broadcast.id).await?.progress();
        if through {
            broadcast.state = BroadcastState::Completed;
            broadcast.ended_at = Some(now);
            broadcast.run += 1;
            let completed = event(broadcast, BroadcastStep::Completed, Some(progress), now);
            return work.events().append(&[completed]).await;
        }
        let tenths = settled(&progress) * 10 / progress.total.max(1);
        let tenths = u8::try_from(tenths).unwrap_or(10);
        if tenths > broadcast.course.told {
            broadcast.course.told = tenths;
            let told = event(broadcast, BroadcastStep::Progress, Some(progress), now);
            work.events().append(&[told]).await?;
        }
        self.broadcasts.enqueue(work, broadcast, FEED_JOB, after(now, EVERY)).await
    }
}

/// One batch of recipients on their way to be messages.
struct Batch {
    before: HashMap<u64, (RecipientState, Option<String>)>,
    /// Those that a message was made for, in the order of the messages.
    meant: Vec<Recipient>,
    done: Vec<Recipient>,
}

impl Batch {
    fn new(all: &[Recipient]) -> Self {
        let before = all
            .iter()
            .map(|recipient| (recipient.position, (recipient.state, recipient.reason.clone())))
            .collect();
        Self { before, meant: Vec::new(), done: Vec::with_capacity(all.len()) }
    }

    fn skip(&mut self, mut recipient: Recipient, reason: &str, detail: String, now: Timestamp) {
        recipient.state = RecipientState::Skipped;
        recipient.reason = Some(reason.to_owned());
        recipient.detail = Some(detail);
        recipient.updated_at = now;
        self.done.push(recipient);
    }

    fn settle(&mut self, taken: Taken, attempt: u32, now: Timestamp) {
        let mut refused: HashMap<usize, InvalidMessage> =
            taken.refused.into_iter().map(|refused| (refused.index, refused)).collect();
        let mut messages: HashMap<usize, _> = taken.messages.into_iter().collect();
        for (index, mut recipient) in std::mem::take(&mut self.meant).into_iter().enumerate() {
            if let Some(message) = messages.remove(&index) {
                recipient.previous = recipient.message.or(recipient.previous);
                recipient.state = RecipientState::Queued;
                recipient.reason = None;
                recipient.detail = None;
                recipient.message = Some(message.id);
                recipient.contact = Some(message.contact);
                recipient.device = Some(message.device);
                recipient.attempt = attempt;
                recipient.updated_at = now;
                self.done.push(recipient);
            } else {
                let fields = refused.remove(&index).map(|refused| refused.fields);
                let words: Vec<String> = fields.iter().flatten().map(ToString::to_string).collect();
                self.skip(recipient, REFUSED, words.join("; "), now);
            }
        }
    }

    fn change(&self) -> Counts {
        let mut change = Counts::default();
        for recipient in &self.done {
            if let Some((state, reason)) = self.before.get(&recipient.position) {
                change.add(*state, reason.as_deref(), -1);
            }
            change.enter(recipient);
        }
        change
    }
}

/// Who sends next: the device that was given least for its weight, among those with room.
struct Shares(Vec<Share>);

struct Share {
    device: DeviceId,
    weight: u64,
    given: u64,
    room: u64,
}

impl Shares {
    fn new(
        senders: &[Sender],
        in_line: &BTreeMap<DeviceId, u64>,
        given: &BTreeMap<DeviceId, u64>,
    ) -> Self {
        let many = u64::try_from(senders.len()).unwrap_or(u64::MAX).max(1);
        let window = WINDOW.min(WINDOWS / many).max(1);
        let share = |sender: &Sender| Share {
            device: sender.device,
            weight: u64::from(sender.weight.max(1)),
            given: given.get(&sender.device).copied().unwrap_or_default(),
            room: window.saturating_sub(in_line.get(&sender.device).copied().unwrap_or_default()),
        };
        Self(senders.iter().map(share).collect())
    }

    fn room(&self) -> u64 {
        self.0.iter().map(|share| share.room).sum()
    }

    /// Takes the place of one message; a device of `preferred` if one has room.
    fn take(&mut self, preferred: &[DeviceId]) -> DeviceId {
        let free = |share: &&mut Share| share.room > 0;
        let least = |share: &&mut Share| (share.given + 1) * 1_000 / share.weight;
        let liked = self.0.iter_mut().filter(free).filter(|s| preferred.contains(&s.device));
        let chosen = match liked.min_by_key(least) {
            Some(share) => Some(share),
            None => self.0.iter_mut().filter(free).min_by_key(least),
        };
        match chosen {
            Some(share) => {
                share.given += 1;
                share.room -= 1;
                share.device
            }
            // No more are asked for than there is room for.
            None => self.0.first().map_or_else(|| DeviceId::from(uuid::Uuid::nil()), |s| s.device),
        }
    }

    fn given(self) -> BTreeMap<DeviceId, u64> {
        self.0.into_iter().map(|share| (share.device, share.given)).collect()
    }
}

fn message(
    broadcast: &Broadcast,
    recipient: &Recipient,
    device: DeviceId,
    content: &kabar_channel::Content,
    now: Timestamp,
) -> NewMessage {
    let to = match &recipient.target {
        RecipientTarget::Phone(phone) => To::Phone(phone.clone()),
        RecipientTarget::Contact(id) => To::Contact(*id),
        // Such a row never waits.
        RecipientTarget::Nobody(_) => To::Group(String::new()),
    };
    let plan = &broadcast.plan;
    let lifetime = Duration::from_secs(u64::from(plan.lifetime_seconds));
    NewMessage {
        fallback: plan.fallback,
        variables: Some(recipient.variables.clone()),
        purpose: plan.purpose,
        origin: Origin::Broadcast,
        origin_ref: Some(broadcast.id.to_string()),
        retry_of: recipient.message,
        reference: plan.reference.clone(),
        expires_at: Some(after(now, lifetime)),
        ..NewMessage::new(device, to, content.clone())
    }
}

fn failed(error: MessageError) -> JobError {
    match error {
        MessageError::Store(error) => error.into(),
        error => JobError::Retry(error.to_string()),
    }
}

#[async_trait]
impl Job for FeedJob {
    fn name(&self) -> &'static str {
        FEED_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let mut tries = 1;
        loop {
            match self.batch(job).await {
                Ok(Fed::Some) => tries = 1,
                Ok(Fed::Enough) => return Ok(JobEnd::Completed),
                Err(JobError::Store(StoreError::Contended(_))) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u128) -> DeviceId {
        DeviceId::from(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn devices_share_by_weight_and_a_full_one_holds_up_nobody() {
        let senders = [
            Sender { device: device(1), weight: 3 },
            Sender { device: device(2), weight: 1 },
            Sender { device: device(3), weight: 4 },
        ];
        let in_line = BTreeMap::from([(device(3), WINDOW)]);
        let mut shares = Shares::new(&senders, &in_line, &BTreeMap::new());
        for _ in 0..400 {
            shares.take(&[]);
        }
        assert_eq!(shares.take(&[device(2)]), device(2));
        let given = shares.given();
        assert_eq!((given[&device(1)], given[&device(2)], given[&device(3)]), (300, 101, 0));
    }
}
