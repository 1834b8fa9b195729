//! What callers are told of broadcasts.

use kabar::channel::Fallback;
use kabar::core::{BroadcastId, ContactId, DeviceId, MessageId, TemplateId, Timestamp};
use kabar::events::BroadcastProgress;
use kabar::messaging::Purpose;
use kabar::messaging::broadcast::{
    BroadcastMessage, BroadcastState, DeviceFit, Hint, Preflight, Reading, Recipient,
    RecipientState, RecipientTarget, Sample, Schedule, Source, Standing,
};
use poem_openapi::Object;
use serde_json::Value;

use super::body::{AudienceBody, SenderBody};
use crate::api::content::shown;
use crate::api::words::{AnyJson, Word};
use crate::problem::FieldProblem;

/// When a broadcast is to start.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastSchedule")]
pub struct ScheduleView {
    /// The local date and time.
    pub local_time: String,
    /// The time zone.
    pub time_zone: String,
    /// The instant that it means.
    pub at: Timestamp,
    /// `plain`, `skipped` (the clocks skip the time: it was moved later) or `first` (they show it
    /// twice: the first was taken).
    pub reading: String,
}

impl From<Schedule> for ScheduleView {
    fn from(schedule: Schedule) -> Self {
        let reading = match schedule.reading {
            Reading::Skipped => "skipped",
            Reading::First => "first",
            _ => "plain",
        };
        Self {
            local_time: schedule.local.format("%Y-%m-%dT%H:%M:%S").to_string(),
            time_zone: schedule.time_zone.name().to_owned(),
            at: schedule.at,
            reading: reading.to_owned(),
        }
    }
}

/// How many recipients are where.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastProgress")]
pub struct ProgressView {
    /// Everybody it is for; invalid and repeated recipients are not counted.
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

impl From<BroadcastProgress> for ProgressView {
    fn from(progress: BroadcastProgress) -> Self {
        Self {
            total: progress.total,
            waiting: progress.waiting,
            skipped: progress.skipped,
            queued: progress.queued,
            sent: progress.sent,
            delivered: progress.delivered,
            read: progress.read,
            failed: progress.failed,
            uncertain: progress.uncertain,
            cancelled: progress.cancelled,
        }
    }
}

/// Recipients in one state for one reason.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastCount")]
pub struct CountView {
    /// The state.
    pub state: Word<RecipientState>,
    /// The code of the reason, if there is one.
    pub reason: Option<String>,
    /// How many.
    pub count: u64,
}

fn counts(standing: &kabar::messaging::broadcast::Counts) -> Vec<CountView> {
    standing
        .iter()
        .map(|(state, reason, count)| CountView {
            state: Word(state),
            reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
            count: u64::try_from(count).unwrap_or_default(),
        })
        .collect()
}

/// A broadcast.
#[derive(Debug, Object)]
#[oai(rename = "Broadcast")]
pub struct BroadcastView {
    /// Its id.
    pub id: Word<BroadcastId>,
    /// What you call it.
    pub name: String,
    /// How far it is.
    pub state: Word<BroadcastState>,
    /// Why it failed, or was paused by itself.
    pub reason: Option<String>,
    /// The template that it was written from.
    pub template_id: Option<Word<TemplateId>>,
    /// What is sent: an object with a `type`. Null for a template until it is prepared.
    pub content: AnyJson,
    /// The devices that send.
    pub senders: Vec<SenderBody>,
    /// Who gets it, beside those that were named.
    pub audience: AudienceBody,
    /// What it is for.
    pub purpose: Word<Purpose>,
    /// What to do when a device's channel cannot carry the content.
    pub fallback: Word<Fallback>,
    /// Whether those are left out whom the network would refuse.
    pub skip_outside_window: bool,
    /// Your own word, which each message bears.
    pub reference: Option<String>,
    /// When it is to start.
    pub schedule: Option<ScheduleView>,
    /// Which round of tries this is.
    pub attempt: u32,
    /// How many recipients are where.
    pub progress: ProgressView,
    /// The same by state and reason.
    pub counts: Vec<CountView>,
    /// When it will be through, going on as it did since it was started or resumed.
    pub expected_end: Option<Timestamp>,
    /// When it began to send.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl From<Standing> for BroadcastView {
    fn from(standing: Standing) -> Self {
        let (progress, counts) = (standing.progress().into(), counts(&standing.counts));
        let broadcast = standing.broadcast;
        let template_id = broadcast.plan.template().map(Word);
        let content = match (&broadcast.course.content, &broadcast.plan.message) {
            (Some(content), _) | (None, BroadcastMessage::Content(content)) => shown(content),
            (None, BroadcastMessage::Template(_)) => Value::Null,
        };
        let plan = broadcast.plan;
        Self {
            id: Word(broadcast.id),
            name: broadcast.name,
            state: Word(broadcast.state),
            reason: broadcast.reason,
            template_id,
            content: AnyJson(content),
            senders: plan.senders.into_iter().map(SenderBody::from).collect(),
            audience: plan.audience.into(),
            purpose: Word(plan.purpose),
            fallback: Word(plan.fallback),
            skip_outside_window: plan.skip_outside_window,
            reference: plan.reference,
            schedule: broadcast.schedule.map(ScheduleView::from),
            attempt: broadcast.attempt,
            progress,
            counts,
            expected_end: standing.expected_end,
            started_at: broadcast.started_at,
            ended_at: broadcast.ended_at,
            created_at: broadcast.created_at,
            updated_at: broadcast.updated_at,
        }
    }
}

/// A recipient of a broadcast.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastRecipient")]
pub struct RecipientView {
    /// Its place in the broadcast, from 0.
    pub position: u64,
    /// Where it came from.
    pub source: Word<Source>,
    /// Its number; of an invalid one what was written.
    pub phone: Option<String>,
    /// Its contact, where it is known.
    pub contact_id: Option<Word<ContactId>>,
    /// Values for this recipient alone.
    pub variables: std::collections::BTreeMap<String, String>,
    /// Where it is.
    pub state: Word<RecipientState>,
    /// Why, as a code.
    pub reason: Option<String>,
    /// Why, as a sentence.
    pub detail: Option<String>,
    /// The device that sends.
    pub device_id: Option<Word<DeviceId>>,
    /// Its message.
    pub message_id: Option<Word<MessageId>>,
    /// The message of the try before.
    pub previous_message_id: Option<Word<MessageId>>,
    /// Which round of tries its message is of; 0 before the first.
    pub attempt: u32,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl From<Recipient> for RecipientView {
    fn from(recipient: Recipient) -> Self {
        let phone = match &recipient.target {
            RecipientTarget::Phone(phone) => Some(phone.as_str().to_owned()),
            RecipientTarget::Nobody(written) => Some(written.clone()),
            RecipientTarget::Contact(_) => None,
        };
        Self {
            position: recipient.position,
            source: Word(recipient.source),
            phone,
            contact_id: recipient.contact.map(Word),
            variables: recipient.variables,
            state: Word(recipient.state),
            reason: recipient.reason,
            detail: recipient.detail,
            device_id: recipient.device.map(Word),
            message_id: recipient.message.map(Word),
            previous_message_id: recipient.previous.map(Word),
            attempt: recipient.attempt,
            updated_at: recipient.updated_at,
        }
    }
}

/// What a device would make of the content.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastDeviceFit")]
pub struct DeviceFitView {
    /// The device.
    pub device_id: Word<DeviceId>,
    /// The kind of what it would send.
    #[oai(rename = "type")]
    pub kind: Option<String>,
    /// The kind that was asked for, when it is downgraded.
    pub downgraded_from: Option<String>,
    /// Why it cannot send it.
    pub problems: Vec<FieldProblem>,
}

impl From<DeviceFit> for DeviceFitView {
    fn from(fit: DeviceFit) -> Self {
        Self {
            device_id: Word(fit.device),
            kind: fit.kind.map(|kind| kind.as_str().to_owned()),
            downgraded_from: fit.downgraded_from.map(|kind| kind.as_str().to_owned()),
            problems: fit.problems.into_iter().map(FieldProblem::from).collect(),
        }
    }
}

/// What makes a broadcast look like spam.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastHint")]
pub struct HintView {
    /// The code, like `identical_text`.
    pub code: String,
    /// A sentence with the remedy.
    pub advice: String,
}

impl From<Hint> for HintView {
    fn from(hint: Hint) -> Self {
        Self { code: hint.as_str().to_owned(), advice: hint.advice().to_owned() }
    }
}

/// What would happen if a broadcast were started.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastPreflight")]
pub struct PreflightView {
    /// Whether its recipients were gathered and checked; until then the numbers are of those that
    /// were named.
    pub prepared: bool,
    /// Recipients that would have a message.
    pub sendable: u64,
    /// Recipients that want no marketing.
    pub opted_out: u64,
    /// Recipients whose message the network would refuse (131047) unless they write before.
    pub outside_window: u64,
    /// Recipients that none of the devices has a chat with.
    pub first_contacts: u64,
    /// Recipients by state and reason.
    pub counts: Vec<CountView>,
    /// What each device would make of the content.
    pub devices: Vec<DeviceFitView>,
    /// How long it would take from now on, under the devices' pace and quiet hours.
    pub expected_seconds: u64,
    /// What makes it look like spam; nothing is refused because of it.
    pub hints: Vec<HintView>,
}

impl From<Preflight> for PreflightView {
    fn from(preflight: Preflight) -> Self {
        Self {
            prepared: preflight.prepared,
            sendable: preflight.sendable,
            opted_out: preflight.opted_out,
            outside_window: preflight.outside_window,
            first_contacts: preflight.first_contacts,
            counts: counts(&preflight.counts),
            devices: preflight.devices.into_iter().map(DeviceFitView::from).collect(),
            expected_seconds: preflight.expected.as_secs(),
            hints: preflight.hints.into_iter().map(HintView::from).collect(),
        }
    }
}

/// A recipient's message as it would be.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastSample")]
pub struct SampleView {
    /// The recipient.
    pub recipient: RecipientView,
    /// The message: an object with a `type`; null when there would be none.
    pub content: AnyJson,
    /// The kind that was asked for, when it is downgraded.
    pub downgraded_from: Option<String>,
    /// Why there would be none.
    pub reason: Option<String>,
    /// Why, as a sentence.
    pub detail: Option<String>,
}

impl From<Sample> for SampleView {
    fn from(sample: Sample) -> Self {
        let (reason, detail) = sample.skipped.unzip();
        Self {
            recipient: sample.recipient.into(),
            content: AnyJson(sample.content.as_ref().map_or(Value::Null, shown)),
            downgraded_from: sample.downgraded_from.map(|kind| kind.as_str().to_owned()),
            reason,
            detail,
        }
    }
}

/// Samples of a broadcast.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastSamples")]
pub struct SamplesView {
    /// The first recipients that would have a message.
    pub samples: Vec<SampleView>,
}
