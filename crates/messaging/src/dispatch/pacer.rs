//! What a node remembers of each device: what is in hand, pauses that it was just told of, and how
//! fast each chat was written to. All of it may be lost; what must not be is in the database.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use kabar_channel::PairLimit;
use kabar_core::{AccountId, DeviceId, Timestamp};

use crate::message::Lane;
use crate::pacing::{Hold, HoldReason};

/// Chats that are remembered before the quiet ones are forgotten.
const CHATS: usize = 4_096;

#[derive(Default)]
struct Pace {
    account: Option<AccountId>,
    in_hand: usize,
    /// Lanes whose send has not begun.
    unstarted: HashSet<Lane>,
    /// Lanes whose message keeps the device's delay.
    paced: HashSet<Lane>,
    paused_until: Option<Timestamp>,
}

/// What a device has in hand on this node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InHand {
    /// Messages.
    pub(super) all: usize,
    /// Those whose send has not begun.
    pub(super) unstarted: usize,
    /// Those that keep the device's delay.
    pub(super) paced: usize,
}

/// The pace of each device on this node.
#[derive(Default)]
pub(super) struct Pacer {
    devices: Mutex<HashMap<DeviceId, Pace>>,
    /// Until when each chat's burst is used, as the generic cell rate algorithm counts.
    chats: Mutex<HashMap<Lane, Timestamp>>,
}

impl Pacer {
    /// Until when the device is paused.
    pub(super) fn paused(&self, device: DeviceId, now: Timestamp) -> Option<Timestamp> {
        let until = self.lock().get(&device).and_then(|pace| pace.paused_until);
        until.filter(|until| *until > now)
    }

    pub(super) fn pause(&self, device: DeviceId, until: Timestamp) {
        let mut paces = self.lock();
        let pace = paces.entry(device).or_default();
        pace.paused_until = pace.paused_until.max(Some(until));
    }

    pub(super) fn in_hand(&self, device: DeviceId) -> InHand {
        self.lock().get(&device).map_or_else(InHand::default, |pace| InHand {
            all: pace.in_hand,
            unstarted: pace.unstarted.len(),
            paced: pace.paced.len(),
        })
    }

    /// What each account has in hand.
    pub(super) fn by_account(&self) -> HashMap<AccountId, usize> {
        let mut accounts = HashMap::new();
        for pace in self.lock().values().filter(|pace| pace.in_hand > 0) {
            if let Some(account) = pace.account {
                *accounts.entry(account).or_default() += pace.in_hand;
            }
        }
        accounts
    }

    pub(super) fn took(&self, account: AccountId, lane: Lane, paced: bool) {
        let mut paces = self.lock();
        let pace = paces.entry(lane.device).or_default();
        pace.account = Some(account);
        pace.in_hand += 1;
        pace.unstarted.insert(lane);
        if paced {
            pace.paced.insert(lane);
        }
    }

    /// The lane's send begins, or does not.
    pub(super) fn started(&self, lane: Lane) {
        if let Some(pace) = self.lock().get_mut(&lane.device) {
            pace.unstarted.remove(&lane);
        }
    }

    pub(super) fn gave_back(&self, lane: Lane) {
        let mut paces = self.lock();
        if let Some(pace) = paces.get_mut(&lane.device) {
            pace.in_hand = pace.in_hand.saturating_sub(1);
            pace.unstarted.remove(&lane);
            pace.paced.remove(&lane);
            // Nothing to remember: the map stays as small as what is going on.
            if pace.in_hand == 0 && pace.paused_until.is_none() {
                paces.remove(&lane.device);
            }
        }
    }

    /// What keeps one more message from the chat.
    pub(super) fn pair_hold(&self, lane: Lane, pair: PairLimit, now: Timestamp) -> Option<Hold> {
        let every = TimeDelta::from_std(pair.every).ok()?;
        let used = self.chats().get(&lane).copied()?;
        let until = used - every * i32::try_from(pair.burst.saturating_sub(1)).ok()?;
        (until > now).then_some(Hold::new(HoldReason::PairLimit, until))
    }

    /// Counts a message to the chat.
    pub(super) fn pair_sent(&self, lane: Lane, pair: PairLimit, now: Timestamp) {
        let every = TimeDelta::from_std(pair.every).unwrap_or_default();
        let mut chats = self.chats();
        if chats.len() >= CHATS && !chats.contains_key(&lane) {
            chats.retain(|_, used| *used > now);
        }
        let used = chats.entry(lane).or_insert(now);
        *used = (*used).max(now) + every;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Pace>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chats(&self) -> MutexGuard<'_, HashMap<Lane, Timestamp>> {
        self.chats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kabar_core::ContactId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_chat_takes_a_burst_and_then_one_each_interval() {
        let pacer = Pacer::default();
        let lane =
            Lane { device: DeviceId::from(Uuid::nil()), contact: ContactId::from(Uuid::nil()) };
        let pair = PairLimit { every: Duration::from_secs(6), burst: 45 };
        let mut now = Timestamp::UNIX_EPOCH;
        let mut sent = 0;
        while pacer.pair_hold(lane, pair, now).is_none() {
            pacer.pair_sent(lane, pair, now);
            sent += 1;
        }
        assert_eq!(sent, 45);
        for _ in 0..10 {
            let hold = pacer.pair_hold(lane, pair, now).expect("the burst is used");
            assert_eq!(hold.until - now, TimeDelta::seconds(6));
            now = hold.until;
            assert_eq!(pacer.pair_hold(lane, pair, now), None);
            pacer.pair_sent(lane, pair, now);
        }
    }
}
