//! An alert's life: pending, raised, over.

use chrono::TimeDelta;
use kabar_core::{AlertId, Timestamp};

use crate::condition::{Condition, Finding, Subject};

/// How long nothing must be found before an alert is over.
pub const CALM: TimeDelta = TimeDelta::minutes(5);
/// How long an alert that is over rests: what comes back within it is not told again.
pub const REST: TimeDelta = TimeDelta::minutes(30);

/// Something that is or was unwell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What it is.
    pub condition: Condition,
    /// Of what.
    pub subject: Subject,
    /// A sentence.
    pub detail: String,
    /// How it stands.
    pub state: AlertState,
    /// When it was found first.
    pub since: Timestamp,
    /// When it was found last.
    pub seen_at: Timestamp,
}

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    /// It has not lasted long enough for anybody to be told, or came back too soon.
    Pending {
        /// Nobody is told before this time.
        quiet_until: Option<Timestamp>,
    },
    /// It was told.
    Raised {
        /// When.
        at: Timestamp,
    },
    /// It is over, and rests.
    Over {
        /// Since when.
        at: Timestamp,
    },
}

/// What a check does to an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It is stored like this; nobody is told.
    Keep(Alert),
    /// It is stored, and told.
    Raise(Alert),
    /// It is stored, and told to be over.
    Clear(Alert),
    /// It is forgotten.
    Forget(AlertId),
}

impl Alert {
    /// One that was found for the first time.
    pub fn new(id: AlertId, finding: &Finding, now: Timestamp) -> Self {
        Self {
            id,
            condition: finding.condition,
            subject: finding.subject,
            detail: finding.detail.clone(),
            state: AlertState::Pending { quiet_until: None },
            since: now,
            seen_at: now,
        }
    }

    /// Whether it is raised.
    pub const fn is_raised(&self) -> bool {
        matches!(self.state, AlertState::Raised { .. })
    }

    /// The step after a check that found it.
    pub fn found(mut self, finding: &Finding, now: Timestamp) -> Step {
        self.seen_at = now;
        self.detail.clone_from(&finding.detail);
        if let AlertState::Over { at } = self.state {
            self.since = now;
            self.state = AlertState::Pending { quiet_until: Some(at + REST) };
        }
        match self.state {
            AlertState::Pending { quiet_until }
                if now - self.since >= finding.after
                    && quiet_until.is_none_or(|until| now >= until) =>
            {
                self.state = AlertState::Raised { at: now };
                Step::Raise(self)
            }
            _ => Step::Keep(self),
        }
    }

    /// The step after a check that did not find it.
    pub fn missed(mut self, now: Timestamp) -> Step {
        let quiet_for = now - self.seen_at;
        match self.state {
            AlertState::Raised { .. } if quiet_for >= CALM => {
                self.state = AlertState::Over { at: now };
                Step::Clear(self)
            }
            AlertState::Over { at } if now - at >= REST => Step::Forget(self.id),
            AlertState::Pending { quiet_until: None } => Step::Forget(self.id),
            // It goes on to rest where it did before it came back.
            AlertState::Pending { quiet_until: Some(until) } => {
                if now >= until {
                    return Step::Forget(self.id);
                }
                self.state = AlertState::Over { at: until - REST };
                Step::Keep(self)
            }
            _ => Step::Keep(self),
        }
    }
}
