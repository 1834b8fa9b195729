//! Broadcasts: one content to many recipients.
//!
//! # How one is carried out
//!
//! 1. **Preparing** ([`PrepareJob`]): recipients become rows, in batches. Each batch is one unit of
//!    work with the place where the next one goes on, so that a crash loses and doubles nothing.
//!    Numbers are read, repetitions set aside, and everybody is checked against what is known of
//!    them.
//! 2. **Running** ([`FeedJob`]): rows become messages, in batches; a row and its message are one
//!    unit of work. Only a *window* of a broadcast's messages is in the outbox at a time, so that
//!    pausing and cancelling cost the same at any size, a message does not grow old before its
//!    turn, and whoever opts out meanwhile is left out.
//! 3. **Following** ([`Broadcasts::follow`]): what becomes of the messages is read from the event
//!    log and counted. Sending never waits for it.
//!
//! Every step locks the broadcast's row first; several nodes may try at the same time.

mod audience;
mod check;
mod commands;
mod counts;
mod edit;
mod feed;
mod file;
mod follow;
mod line;
pub mod needs;
mod plan;
mod preflight;
mod prepare;
mod recipient;
mod repo;
mod rows;
mod schedule;
mod service;
mod start;
mod state;

use std::collections::BTreeMap;

use kabar_channel::Content;
use kabar_core::{AccountId, BroadcastId, DeviceId, Timestamp};
use kabar_jobs::{ClaimedJob, JobError};
use serde::{Deserialize, Serialize};

pub use counts::Counts;
pub use feed::FeedJob;
pub use plan::{
    Audience, BroadcastMessage, BroadcastPatch, FileSource, MOST_AT_ONCE, NewBroadcast, Plan,
    Sender, Start,
};
pub use preflight::{DeviceFit, Hint, Preflight, Sample};
pub use prepare::PrepareJob;
pub use recipient::{
    Addressee, NewRecipient, Recipient, RecipientFilter, RecipientState, RecipientTarget, Source,
};
pub use repo::{
    BroadcastFilter, BroadcastRepo, BroadcastUse, BroadcastsWork, FollowRepo, RecipientRepo,
};
pub use schedule::{Reading, Schedule};
pub use service::{BroadcastError, Broadcasts, Standing};
pub use start::StartJob;
pub use state::BroadcastState;

/// A broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    /// Its id.
    pub id: BroadcastId,
    /// Its account.
    pub account: AccountId,
    /// What the tenant calls it.
    pub name: String,
    /// How far it is.
    pub state: BroadcastState,
    /// Why it failed.
    pub reason: Option<String>,
    /// What it is to do.
    pub plan: Plan,
    /// When it is to start.
    pub schedule: Option<Schedule>,
    /// How far it got.
    pub course: Course,
    /// Which round of tries this is: 1, and one more for each retry of those that failed.
    pub attempt: u32,
    /// Grows whenever it is set in motion; jobs of an earlier motion end by themselves.
    pub run: u64,
    /// When it began to send.
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    pub ended_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// How far a broadcast got, for its own jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// What is sent, as it was when the broadcast was prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Where preparing stands.
    #[serde(default)]
    pub step: Step,
    /// Rows that were handed out: the next one's position.
    #[serde(default)]
    pub next_position: u64,
    /// Recipients that none of the devices has a chat with.
    #[serde(default)]
    pub first_contacts: u64,
    /// Messages that each device was given.
    #[serde(default)]
    pub given: BTreeMap<DeviceId, u64>,
    /// Whether it starts as soon as it is prepared.
    #[serde(default)]
    pub start_when_ready: bool,
    /// Tenths of its recipients that were told of.
    #[serde(default)]
    pub told: u8,
    /// When it was set in motion last, and how many were settled then: for the expected end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving_since: Option<(Timestamp, u64)>,
}

/// Where preparing stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Nothing was gathered yet.
    #[default]
    Begin,
    /// Contacts are gathered, in the order of their ids.
    Contacts {
        /// The last one that was taken.
        after: Option<kabar_core::ContactId>,
    },
    /// Rows of the file are gathered.
    File {
        /// Rows that were taken.
        rows: u64,
    },
    /// Recipients are checked, in the order of their positions.
    Check {
        /// The next position.
        from: u64,
    },
    /// Done.
    Done,
}

/// What a broadcast's jobs need to know. A job whose `run` is not the broadcast's any more belongs
/// to a motion that was stopped, and does nothing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Motion {
    broadcast_id: BroadcastId,
    run: u64,
}

impl Motion {
    fn of(job: &ClaimedJob) -> Result<(Self, AccountId), JobError> {
        let hopeless = |error: serde_json::Error| JobError::Hopeless(error.to_string());
        let motion = serde_json::from_value(job.payload.clone()).map_err(hopeless)?;
        let account =
            job.account.ok_or_else(|| JobError::Hopeless("the job has no account".to_owned()))?;
        Ok((motion, account))
    }
}
