//! Durable jobs: enqueued in a unit of work, claimed with a lease, retried with back-off.
//!
//! A job is a name and a JSON payload. Whoever enqueues it does so in its own unit of work, so the
//! job exists exactly when its cause does. A [`Runner`] claims due jobs and hands each to the
//! [`Job`] of its name. Jobs are idempotent: a crash after the effect and before the completion
//! runs them again, unless the job completes itself in the unit of work of its effect
//! ([`JobQueue::complete`]), which makes the effect exactly-once.
//!
//! [`mail`] sends e-mails this way.
//!
//! Jobs with the same `order` key run one after the other, in the order they were enqueued.
//!
//! # Adding a job
//! Give it a constant name, a payload type whose old forms keep parsing, and an implementation of
//! [`Job`]; register it where the platform is composed.

mod hints;
pub mod mail;
mod runner;
mod wake;

use std::time::Duration;

use async_trait::async_trait;
use kabar_core::{AccountId, InstallationScope, JobId, StoreError, Timestamp, Work};
use serde_json::Value;

pub use hints::Hints;
pub use mail::{MailOutbox, MailsWork, SendMail};
pub use runner::{Job, JobEnd, JobError, JobsStore, Runner, RunnerSettings};
pub use wake::LocalWake;

/// A job to enqueue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The name of the [`Job`] that runs it.
    pub name: &'static str,
    /// The tenant that it works for.
    pub account: Option<AccountId>,
    /// Jobs of the same key run in order, one at a time.
    pub order: Option<String>,
    /// What it needs.
    pub payload: Value,
    /// When it may run first.
    pub due_at: Timestamp,
}

/// A job in the hands of a runner.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedJob {
    /// Its id.
    pub id: JobId,
    /// The name of the [`Job`] that runs it.
    pub name: String,
    /// The tenant that it works for.
    pub account: Option<AccountId>,
    /// What it needs.
    pub payload: Value,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// Proves the claim: grows with every claim of the same job.
    pub fence: i64,
}

/// A unit of work that can enqueue and complete jobs.
pub trait JobsWork: Work {
    /// The queue.
    fn jobs(&self) -> Box<dyn JobQueue + '_>;
}

/// The queue.
#[async_trait]
pub trait JobQueue: Send {
    /// Enqueues jobs.
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<(), StoreError>;

    /// Claims at most `limit` due jobs of the given names for `lease`.
    async fn claim(
        &mut self,
        scope: InstallationScope,
        names: &[&str],
        now: Timestamp,
        lease: Duration,
        limit: u16,
    ) -> Result<Vec<ClaimedJob>, StoreError>;

    /// Removes a done job. Returns `false` when the claim was lost to another runner: then the
    /// caller must roll back.
    async fn complete(&mut self, job: JobId, fence: i64) -> Result<bool, StoreError>;

    /// Prolongs a claim until `until`, if it still holds.
    async fn renew(&mut self, job: JobId, fence: i64, until: Timestamp) -> Result<(), StoreError>;

    /// Puts a failed job back until `due_at`, with the error's text.
    async fn retry(
        &mut self,
        job: JobId,
        fence: i64,
        due_at: Timestamp,
        error: &str,
    ) -> Result<(), StoreError>;

    /// Sets a job aside for good; it stays visible with its error and blocks nothing.
    async fn bury(&mut self, job: JobId, fence: i64, error: &str) -> Result<(), StoreError>;

    /// When the next job is due, if there is one.
    async fn next_due(&mut self, scope: InstallationScope)
    -> Result<Option<Timestamp>, StoreError>;
}
