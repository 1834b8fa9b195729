//! What storage does for the pacer.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono_tz::Tz;
use kabar_core::{
    AccountId, ContactId, ConversationId, DeviceId, MessageId, StoreError, Timestamp,
};
use kabar_devices::pacing::AccountPacing;

use super::pace::{Ledger, Pace};

/// What an account wants of all its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountRules {
    /// Its time zone.
    pub zone: Tz,
    /// What it set.
    pub pacing: AccountPacing,
}

/// A send that counts in a device's caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedSend {
    /// The device.
    pub device: DeviceId,
    /// Its number among the device's counted sends.
    pub seq: i64,
    /// When it began.
    pub at: Timestamp,
}

/// An offer that began to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Who gets it.
    pub contact: ContactId,
    /// The message.
    pub message: MessageId,
    /// When it began.
    pub at: Timestamp,
}

/// A portfolio's messaging limit, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// People in 24 hours; `None` for any number.
    pub most: Option<u32>,
    /// People reached in the last 24 hours.
    pub reached: u32,
    /// When the first of them drops out.
    pub oldest: Option<Timestamp>,
}

/// What devices, accounts, contacts and portfolios sent, over the whole installation. Within a
/// unit of work everything here is locked after messages and lanes, devices in the order of their
/// ids.
#[async_trait]
pub trait PacingRepo: Send {
    /// What is remembered of devices; those of which nothing is are left out.
    async fn paces(&mut self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Pace>, StoreError>;

    /// The same, each kept from others until the unit of work ends, made where there was none.
    async fn lock(&mut self, devices: &[DeviceId]) -> Result<HashMap<DeviceId, Pace>, StoreError>;

    /// Stores what changed about locked devices, and their new sends.
    async fn save(
        &mut self,
        paces: &[(DeviceId, Pace)],
        sends: &[CountedSend],
    ) -> Result<(), StoreError>;

    /// The counted sends of a device with numbers in these ranges, ends included.
    async fn ledger(
        &mut self,
        device: DeviceId,
        ranges: &[(i64, i64)],
    ) -> Result<Ledger, StoreError>;

    /// When the counted sends of a device since then happened, at most the last `limit`, by number.
    async fn sends_since(
        &mut self,
        device: DeviceId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Ledger, StoreError>;

    /// How many counted sends of a device happened since then.
    async fn count_since(&mut self, device: DeviceId, since: Timestamp) -> Result<u64, StoreError>;

    /// How many messages wait on a device.
    async fn waiting(&mut self, device: DeviceId) -> Result<u64, StoreError>;

    /// What accounts want; an account that does not exist is left out.
    async fn accounts(
        &mut self,
        accounts: &[AccountId],
    ) -> Result<HashMap<AccountId, AccountRules>, StoreError>;

    /// Offers to contacts of an account since then, in the order of their times; no other unit of
    /// work counts offers of the account until this one ends.
    async fn lock_offers(
        &mut self,
        account: AccountId,
        contacts: &[ContactId],
        since: Timestamp,
    ) -> Result<Vec<(ContactId, Timestamp)>, StoreError>;

    /// Stores offers.
    async fn note_offers(&mut self, account: AccountId, offers: &[Offer])
    -> Result<(), StoreError>;

    /// Until when places were asked to wait, as far as that is after `now`.
    async fn pauses(
        &mut self,
        places: &[String],
        now: Timestamp,
    ) -> Result<HashMap<String, Timestamp>, StoreError>;

    /// Makes places wait, never for less than they wait already.
    async fn pause(&mut self, pauses: &[(String, Timestamp)]) -> Result<(), StoreError>;

    /// What Meta allows a portfolio; `None` for any number.
    async fn set_reach(&mut self, portfolio: &str, most: Option<u32>) -> Result<(), StoreError>;

    /// Which of these portfolios have a limit.
    async fn limited(&mut self, portfolios: &[String]) -> Result<Vec<String>, StoreError>;

    /// Which of these conversations are outside their customer-service window.
    async fn outside_windows(
        &mut self,
        conversations: &[ConversationId],
        now: Timestamp,
    ) -> Result<Vec<ConversationId>, StoreError>;

    /// The limits of portfolios and how much of them is used, where a limit is known, after
    /// forgetting whom they reached before `since`; kept from others until the unit of work ends.
    async fn lock_reach(
        &mut self,
        portfolios: &[String],
        since: Timestamp,
    ) -> Result<HashMap<String, Reach>, StoreError>;

    /// Which of these people a portfolio reached.
    async fn reached(
        &mut self,
        portfolio: &str,
        contacts: &[ContactId],
    ) -> Result<Vec<ContactId>, StoreError>;

    /// Notes that a portfolio reached people; so many of them are new.
    async fn note_reached(
        &mut self,
        portfolio: &str,
        contacts: &[ContactId],
        new: u32,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Removes what no window looks at any more; returns how much.
    async fn prune(&mut self, sends: Timestamp, offers: Timestamp) -> Result<u64, StoreError>;
}
