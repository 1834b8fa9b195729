//! Scripted faults: what can go wrong, where, and how often.

use serde::{Deserialize, Serialize};

/// A fault to inject.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where it strikes. Default: sends.
    #[serde(default)]
    pub on: FaultPoint,
    /// What happens.
    pub effect: FaultEffect,
    /// How often it strikes; none = until cleared. Default 1.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// Only for this recipient or sender (digits or BSUID).
    #[serde(default)]
    pub to: Option<String>,
    /// Only for this business number.
    #[serde(default)]
    pub phone_number_id: Option<String>,
    /// Strikes with this probability, drawn from the sandbox's seed. Default: always.
    #[serde(default)]
    pub probability: Option<f64>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
fn once() -> Option<u32> {
    Some(1)
}

impl Fault {
    /// A fault that strikes the next send once.
    pub fn next_send(effect: FaultEffect) -> Self {
        Self::on(FaultPoint::Send, effect)
    }

    /// A fault that strikes once at the given point.
    pub fn on(on: FaultPoint, effect: FaultEffect) -> Self {
        Self { on, effect, times: once(), to: None, phone_number_id: None, probability: None }
    }

    /// Strikes this often; 0 = until cleared.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = (times > 0).then_some(times);
        self
    }

    /// Strikes for this recipient or sender only.
    #[must_use]
    pub fn to(mut self, to: impl Into<String>) -> Self {
        self.to = Some(to.into());
        self
    }

    /// Strikes with this probability.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }
}

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultPoint {
    /// `POST /P/messages` of a message (not of a read mark).
    #[default]
    Send,
    /// Upload, look-up, download and deletion of media.
    Media,
    /// Every other Graph call.
    Call,
    /// Webhooks about messages the business sent.
    Statuses,
    /// Webhooks about messages of customers.
    Inbound,
}

/// What happens when a fault strikes. The first group fits requests (`send`, `media`, `call`), the
/// second sends only, the third webhooks (`statuses`, `inbound`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultEffect {
    /// A Graph error with this code; nothing is accepted.
    Error {
        /// E.g. 130429, 131056, 190, 2.
        code: u32,
        /// HTTP status. Default: Meta's for the code.
        #[serde(default)]
        status: Option<u16>,
    },
    /// An HTTP error; nothing is accepted.
    Http {
        /// E.g. 500.
        status: u16,
        /// With a Graph error body (code 2), or with plain text.
        #[serde(default)]
        graph: bool,
    },
    /// No answer. The connection stays open until `for_ms` has passed (none: until the client goes
    /// away or the sandbox stops) and is then closed.
    Hang {
        /// Whether the request takes effect.
        #[serde(default)]
        accept: bool,
        /// Longest silence, in milliseconds.
        #[serde(default)]
        for_ms: Option<u64>,
    },
    /// The TCP connection is closed without an answer.
    Close {
        /// Whether the request takes effect.
        #[serde(default)]
        accept: bool,
    },
    /// The request takes effect, the answer comes late.
    Late {
        /// How late, in milliseconds.
        ms: u64,
    },

    /// Accepted with 200, then a `failed` status with this code.
    Fail {
        /// E.g. 131026, 131047, 131049.
        code: u32,
    },
    /// Accepted; every status webhook is delivered before the answer goes out.
    StatusFirst,

    /// Webhooks are posted this often in all.
    Duplicate {
        /// Number of posts, at least 1.
        copies: u32,
    },
    /// A message's statuses come in reverse order; a customer's message comes after the next one
    /// (or after half a second).
    Reorder,
    /// Webhooks come this much later.
    Delay {
        /// How much later, in milliseconds.
        ms: u64,
    },
    /// Webhooks never come.
    Lose,
}

/// A fault as the control API lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActiveFault {
    /// Id, counting up.
    pub id: u64,
    /// What was asked for; `times` is what is left.
    pub fault: Fault,
    /// How often it struck.
    pub struck: u64,
}
