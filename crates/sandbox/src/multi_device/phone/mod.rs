//! A virtual phone: device 0 of an account, with a real Signal identity.
//!
//! It decrypts whatever is sent to its account, keeps it, answers with receipts, and sends. It also
//! plays every remote person a client talks to.

mod contents;
mod log;
mod peer;
mod reading;
mod retries;
mod sending;
mod store;

use serde::{Deserialize, Serialize};
use wacore_libsignal::protocol::KeyPair;

use super::address::Number;
use super::bundle::{KeyBundle, OneTimeKey};
use super::curve;
use super::error::Outcome;

pub use contents::Content;
pub use log::{PhoneFailure, PhoneMessage, PhoneReceipt};

pub(crate) use contents::open_file;
pub(crate) use log::PhoneLog;
pub(crate) use sending::Chat;
use sending::Outbox;
use store::SignalStore;

/// What a phone does of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "six habits, each of which one has or has not")]
pub struct PhoneHabits {
    /// Sends delivery receipts. Default: yes.
    pub delivered: bool,
    /// Sends read receipts. Default: yes.
    pub read: bool,
    /// Sends played receipts for voice messages. Default: yes.
    pub played: bool,
    /// Asks again for what it cannot decrypt, and sends again what others could not. Default: yes.
    pub retries: bool,
    /// Gives companions messages that they could not decrypt. Default: yes.
    pub recovers: bool,
    /// Gives new companions the app-state key. Default: yes.
    pub shares_keys: bool,
}

impl Default for PhoneHabits {
    fn default() -> Self {
        Self {
            delivered: true,
            read: true,
            played: true,
            retries: true,
            recovers: true,
            shares_keys: true,
        }
    }
}

/// The phone of one account.
pub(crate) struct Phone {
    pub(crate) number: Number,
    pub(crate) habits: PhoneHabits,
    /// Shows as online to those who subscribed.
    pub(crate) online: bool,
    pub(crate) log: PhoneLog,
    /// The key of the collections that the phone shares with its companions.
    app_state_key: [u8; 32],
    signal: SignalStore,
    outbox: Outbox,
}

impl Phone {
    pub(crate) fn new(number: &Number, identity: &KeyPair) -> Outcome<Self> {
        Ok(Self {
            number: number.clone(),
            habits: PhoneHabits::default(),
            online: false,
            log: PhoneLog::default(),
            app_state_key: curve::random()?,
            signal: SignalStore::new(identity)?,
            outbox: Outbox::default(),
        })
    }

    /// Its public keys, without one-time keys.
    pub(crate) fn bundle(&self) -> KeyBundle {
        self.signal.bundle()
    }

    /// A one-time key made for whoever asks: a phone never runs out.
    pub(crate) fn fresh_one_time_key(&mut self) -> OneTimeKey {
        self.signal.fresh_one_time_key()
    }
}
