//! Opt-outs on both roads: what is not sent to whom, and the words that people write.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use kabar_channel::{Content, Reason};
use kabar_contacts::opt_out::{LONGEST_WORD, PreferenceWords};
use kabar_contacts::preferences::{self, Wish};
use kabar_contacts::{OptOutSettings, PreferenceChange, PreferenceSource, StopScope};
use kabar_core::{
    ContactId, IdSource, InstallationScope, MessageId, Scope, Store, StoreError, Timestamp, Topic,
    Wake,
};
use kabar_devices::health::DayCounts;
use kabar_devices::repo::Note;
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError, NewJob};
use serde::Deserialize;

use crate::dispatch::SCOPE as DISPATCH;
use crate::message::{Message, NewMessage, Origin, Purpose, Stage, Status, To};
use crate::repo::{ClaimedLane, RoadWork};
use crate::send::{MessageError, Messages};

/// The name of the job that confirms a stop or start word. Its payload is
/// `{"message_id": …, "change": "stopped"}`.
pub const CONFIRM_JOB: &str = "messaging.confirm_preference";
/// The code of the reason of a message that was not sent because its recipient wants none.
pub const OPTED_OUT: &str = "opted_out";

/// Whether somebody who stopped so much is to get no message of such a purpose. One-time passwords
/// and answers are what people ask for themselves.
pub const fn refuses(stop: Option<StopScope>, purpose: Purpose) -> bool {
    match (stop, purpose) {
        (None, _) | (_, Purpose::Otp | Purpose::Reply) => false,
        (Some(_), Purpose::Marketing) => true,
        (Some(scope), Purpose::Service) => matches!(scope, StopScope::Everything),
    }
}

/// What a caller is told who wants to send it all the same.
pub(crate) fn refusal(stop: StopScope) -> String {
    format!(
        "stopped {} messages; take it out of the opt-outs if it agreed again, or send what is no \
         such message with another purpose",
        match stop {
            StopScope::Marketing => "marketing",
            _ => "all but one-time and answering",
        }
    )
}

/// Takes the heads that nobody wants any more out of claimed lanes, ended and with their reason.
pub(crate) async fn sift(
    work: &(dyn RoadWork + '_),
    claimed: Vec<ClaimedLane>,
    now: Timestamp,
) -> Result<(Vec<ClaimedLane>, Vec<ClaimedLane>), StoreError> {
    let asked: Vec<ContactId> = claimed
        .iter()
        .filter_map(|lane| lane.head.as_ref())
        .filter(|head| matches!(head.purpose, Purpose::Marketing | Purpose::Service))
        .map(|head| head.contact)
        .collect();
    if asked.is_empty() {
        return Ok((claimed, Vec::new()));
    }
    let stopped: HashMap<ContactId, StopScope> =
        work.outbox(DISPATCH).stopped(&asked).await?.into_iter().collect();
    let (mut go, mut ended) = (Vec::with_capacity(claimed.len()), Vec::new());
    for mut lane in claimed {
        let unwanted = lane.head.as_mut().is_some_and(|head| {
            refuses(stopped.get(&head.contact).copied(), head.purpose) && end(head, now)
        });
        if unwanted { ended.push(lane) } else { go.push(lane) }
    }
    Ok((go, ended))
}

/// Ends a head that was not sent yet. One that may have been sent is not sent again.
fn end(head: &mut Message, now: Timestamp) -> bool {
    let unsent = head.status.is_waiting()
        || (head.status == Status::Processing && head.stage == Some(Stage::Claimed));
    if unsent && head.queued {
        head.leave_line(Status::Cancelled, now);
        head.reason = Some(Reason::new(OPTED_OUT, "its recipient opted out"));
        return true;
    }
    if head.queued && head.status == Status::Uncertain && head.next_at <= now {
        head.leave_line(Status::Uncertain, now);
        return true;
    }
    false
}

/// The usual words, compiled once.
static USUAL: LazyLock<Option<PreferenceWords>> =
    LazyLock::new(|| OptOutSettings::default().compiled().ok());

/// Carries out what is asked by the messages that are a stop or start word, whole; returns the jobs
/// that confirm it, and notes who stopped. Nothing else is to answer those messages.
pub(crate) async fn heed(
    work: &(dyn RoadWork + '_),
    scope: Scope,
    messages: &[&Message],
    notes: &mut Vec<Note>,
    ids: &dyn IdSource,
    now: Timestamp,
) -> Result<Vec<(MessageId, NewJob)>, StoreError> {
    let short = |message: &&Message| {
        let words = message.body.words().map(str::trim).unwrap_or_default();
        !words.is_empty() && words.chars().nth(LONGEST_WORD).is_none()
    };
    let short: Vec<&Message> = messages.iter().copied().filter(short).collect();
    if short.is_empty() {
        return Ok(Vec::new());
    }
    let own = work.preferences(scope).settings().await?;
    // Words that cannot be compared are never stored.
    let compiled = own.as_ref().and_then(|own| own.compiled().ok());
    let words = match (&compiled, &own) {
        (Some(words), _) => Some(words),
        (None, Some(_)) => None,
        (None, None) => USUAL.as_ref(),
    };
    let Some(words) = words else { return Ok(Vec::new()) };
    // Of what somebody wrote in one batch the last word counts.
    let mut asked: BTreeMap<ContactId, (&Message, PreferenceChange)> = BTreeMap::new();
    for message in short {
        let found = words.first_match(message.body.words().unwrap_or_default());
        if let Some(found) = found {
            asked.insert(message.contact, (message, *found.key));
        }
    }
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let settings = own.unwrap_or_default();
    let mut jobs = Vec::new();
    for (contact, (message, change)) in asked {
        let wish = Wish {
            change,
            scope: settings.scope,
            source: PreferenceSource::Message,
            detail: message.body.words().map(str::trim),
            message: Some(message.id),
        };
        let changed = preferences::apply(work, scope, &[contact], wish, ids, now).await?;
        let reply = match change {
            PreferenceChange::Stopped => &settings.stop_reply,
            _ => &settings.start_reply,
        };
        if change == PreferenceChange::Stopped && !changed.is_empty() {
            let counts = DayCounts { stopped: 1, ..DayCounts::default() };
            notes.push(Note::at(message.device, now, counts));
        }
        if !changed.is_empty() && reply.is_some() {
            jobs.push((message.id, confirmation(message, change, ids, now)));
        }
    }
    Ok(jobs)
}

fn confirmation(
    message: &Message,
    change: PreferenceChange,
    ids: &dyn IdSource,
    now: Timestamp,
) -> NewJob {
    NewJob {
        id: ids.id(),
        name: CONFIRM_JOB,
        account: Some(message.account),
        order: Some(message.conversation.to_string()),
        payload: serde_json::json!({ "message_id": message.id, "change": change }),
        due_at: now,
    }
}

/// The messages that such jobs answer.
pub(crate) fn answered(jobs: &[(MessageId, NewJob)]) -> HashSet<MessageId> {
    jobs.iter().map(|(message, _)| *message).collect()
}

#[derive(Deserialize)]
struct Payload {
    message_id: MessageId,
    change: PreferenceChange,
}

/// The job that confirms a stop or start word.
pub struct ConfirmPreference {
    store: Arc<dyn Store<dyn RoadWork>>,
    messages: Messages,
    wake: Arc<dyn Wake>,
}

impl ConfirmPreference {
    /// The job over a store; confirmations go out through `messages`.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        messages: Messages,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, messages, wake }
    }

    async fn confirm(
        &self,
        work: &(dyn RoadWork + '_),
        scope: Scope,
        payload: &Payload,
    ) -> Result<(), JobError> {
        let found = work.messages(scope).by_ids(&[payload.message_id]).await?;
        let Some(message) = found.into_iter().next() else { return Ok(()) };
        let settings = work.preferences(scope).settings().await?.unwrap_or_default();
        let text = match payload.change {
            PreferenceChange::Stopped => settings.stop_reply,
            _ => settings.start_reply,
        };
        let Some(text) = text else { return Ok(()) };
        let reply = NewMessage {
            purpose: Purpose::Reply,
            origin: Origin::Rule,
            origin_ref: Some(OPTED_OUT.to_owned()),
            ..NewMessage::new(message.device, To::Contact(message.contact), Content::text(text))
        };
        match self.messages.send_within(work, scope, &[reply]).await {
            // A device that is gone confirms nothing; the stop stands.
            Ok(_) | Err(MessageError::Invalid(_)) => Ok(()),
            Err(MessageError::Store(error)) => Err(error.into()),
            Err(error) => Err(JobError::Retry(error.to_string())),
        }
    }
}

#[async_trait]
impl Job for ConfirmPreference {
    fn name(&self) -> &'static str {
        CONFIRM_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let hopeless = |error: &dyn std::fmt::Display| JobError::Hopeless(error.to_string());
        let payload: Payload =
            serde_json::from_value(job.payload.clone()).map_err(|error| hopeless(&error))?;
        let account = job.account.ok_or_else(|| hopeless(&"the job has no account"))?;
        let scope = InstallationScope::system("opt_out").within(account);
        let work = self.store.begin().await?;
        self.confirm(&*work, scope, &payload).await?;
        if !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        self.wake.wake(Topic::Outbox);
        Ok(JobEnd::Completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused() {
        use Purpose as P;
        for (purpose, marketing, everything) in [
            (P::Otp, false, false),
            (P::Reply, false, false),
            (P::Service, false, true),
            (P::Marketing, true, true),
        ] {
            assert!(!refuses(None, purpose));
            assert_eq!(refuses(Some(StopScope::Marketing), purpose), marketing, "{purpose}");
            assert_eq!(refuses(Some(StopScope::Everything), purpose), everything, "{purpose}");
        }
    }
}
