//! Scripted faults of the multi-device server: what can go wrong, where, for whom, how often.

use serde::{Deserialize, Serialize};

/// A fault to inject.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceFault {
    /// Where it strikes.
    pub on: DeviceFaultPoint,
    /// What happens.
    pub effect: DeviceFaultEffect,
    /// How often it strikes; none = until cleared. Default 1.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// Lets this many pass before the first strike. Default 0.
    #[serde(default)]
    pub after: u32,
    /// Only for this account (digits).
    #[serde(default)]
    pub account: Option<String>,
    /// Only for this companion of the account.
    #[serde(default)]
    pub device: Option<u16>,
    /// Strikes with this probability, drawn from the server's seed. Default: always.
    #[serde(default)]
    pub probability: Option<f64>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde wants the field's type")]
fn once() -> Option<u32> {
    Some(1)
}

impl DeviceFault {
    /// A fault that strikes once, whoever comes first.
    pub fn on(on: DeviceFaultPoint, effect: DeviceFaultEffect) -> Self {
        Self { on, effect, times: once(), after: 0, account: None, device: None, probability: None }
    }

    /// Strikes this often; 0 = until cleared.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = (times > 0).then_some(times);
        self
    }

    /// Lets this many pass first.
    #[must_use]
    pub fn after(mut self, passes: u32) -> Self {
        self.after = passes;
        self
    }

    /// Strikes for this account only.
    #[must_use]
    pub fn account(mut self, number: impl Into<String>) -> Self {
        self.account = Some(number.into());
        self
    }

    /// Strikes for this companion only (together with [`Self::account`]).
    #[must_use]
    pub fn device(mut self, device: u16) -> Self {
        self.device = Some(device);
        self
    }

    /// Strikes with this probability.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = Some(probability);
        self
    }
}

/// Where a fault strikes. The account and the device in question are always the client's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceFaultPoint {
    /// A paired client logs in.
    Login,
    /// A client sends a message.
    Send,
    /// A message is handed to a client.
    Deliver,
    /// A receipt is handed to a client.
    Receipt,
    /// A client asks something (`iq`).
    Request,
}

/// What happens when a fault strikes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DeviceFaultEffect {
    /// The login is refused with `<failure/>`. Fits `login`.
    Failure {
        /// 401 logged out, 402 temporary ban, 403 banned, 405 client too old, 503 try later, …
        reason: u16,
        /// Kind of a temporary ban (101 …).
        #[serde(default)]
        code: Option<u16>,
        /// Length of a temporary ban, in seconds.
        #[serde(default)]
        expire: Option<u64>,
    },
    /// The stream ends with `<stream:error code/>`: 429, 500, 503, 515, 516. On a send the message
    /// is not taken.
    StreamError {
        /// The code.
        code: u16,
    },
    /// The stream ends because the client connected elsewhere.
    Replaced,
    /// The TCP connection is dropped without a word.
    Drop {
        /// Whether a message that was being sent is taken first.
        #[serde(default)]
        accept: bool,
    },
    /// From now on the server neither reads nor writes on this connection, and does not close it.
    HalfOpen {
        /// Whether a message that was being sent is taken first.
        #[serde(default)]
        accept: bool,
    },
    /// From now on the server waits before each stanza it writes on this connection.
    SlowLink {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The message is taken, its ack never comes. Fits `send`.
    LoseAck,
    /// The message is refused with `<ack error/>`. Fits `send`. With 463 the account may not write
    /// to strangers for a time, which clients can ask about.
    AckError {
        /// 463 (new chats limited), 475, 479, …
        code: u16,
        /// With 463: for how long, in seconds; what is left of an earlier lock, or a day, when absent.
        #[serde(default)]
        lasts: Option<u64>,
    },
    /// The request is never answered. Fits `request`.
    LoseAnswer,
    /// The stanza comes this often. Fits `deliver` and `receipt`.
    Duplicate {
        /// In all, at least 2.
        copies: u32,
    },
    /// The ciphertext arrives damaged, so that the client asks for it again. Fits `deliver`.
    Corrupt,
    /// The stanza never comes. Fits `deliver` and `receipt`.
    Lose,
}

/// A fault as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActiveDeviceFault {
    /// Id, counting up.
    pub id: u64,
    /// What was asked for; `times` and `after` are what is left.
    pub fault: DeviceFault,
    /// How often it struck.
    pub struck: u64,
}

/// How a live connection is ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ending {
    /// `<stream:error code/>`, then closed.
    StreamError {
        /// 401, 429, 500, 503, 515, 516.
        code: u16,
    },
    /// The client connected elsewhere.
    Replaced,
    /// The device was removed; it stays linked all the same (see `log_out` for the real thing).
    DeviceRemoved,
    /// Closed properly, without a word.
    Close,
    /// TCP connection dropped.
    Drop,
    /// Neither reads nor writes from now on.
    HalfOpen,
}
