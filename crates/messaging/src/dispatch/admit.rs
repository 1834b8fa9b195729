//! Counting sends in the unit of work that begins them: what a limit leaves no room for does not
//! begin, whatever another node did in the meantime.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::TimeDelta;
use kabar_core::{AccountId, ContactId, ConversationId, DeviceId, IdSource, StoreError, Timestamp};

use super::deliver::Ready;
use super::{Inner, SCOPE};
use crate::message::{Message, Purpose, Status};
use crate::pacing::pace::{DAY, throughput};
use crate::pacing::repo::{CountedSend, Offer};
use crate::pacing::{Hold, HoldReason, Ledger};
use crate::repo::RoadWork;

/// A number from 0 to `most`, both included.
pub(super) fn draw(ids: &dyn IdSource, most: u64) -> u64 {
    let mut bytes = [0; 8];
    ids.fill(&mut bytes);
    let scaled = u128::from(u64::from_le_bytes(bytes)) * (u128::from(most) + 1);
    u64::try_from(scaled >> 64).unwrap_or(most)
}

/// Puts a message that may not begin back into its line, as it was before it was taken in hand.
pub(super) fn put_back(message: &mut Message, was: Status, hold: Hold, now: Timestamp) {
    message.attempts = message.attempts.saturating_sub(1);
    message.stage = None;
    message.updated_at = now;
    match hold.why {
        _ if was == Status::Uncertain => {
            message.status = was;
            message.next_at = hold.until;
            message.held_until = Some(hold.until);
        }
        HoldReason::FrequencyCap | HoldReason::MessagingLimit | HoldReason::PairLimit => {
            hold.apply(message, now);
        }
        // The device waits, not the message.
        _ => message.status = Status::Pending,
    }
}

impl Inner {
    /// Counts the messages that may begin; the others get what keeps them. In the order given, but
    /// replies first.
    pub(super) async fn admit(
        &self,
        work: &(dyn RoadWork + '_),
        batch: &[&Ready],
        now: Timestamp,
    ) -> Result<Vec<Option<Hold>>, StoreError> {
        let mut holds = vec![None; batch.len()];
        let outside = outside(work, batch, now).await?;
        self.cap_offers(work, batch, &mut holds, now).await?;
        self.cap_reach(work, batch, &outside, &mut holds, now).await?;
        self.cap_devices(work, batch, &mut holds, now).await?;
        self.note(work, batch, &outside, &holds, now).await?;
        Ok(holds)
    }

    /// The frequency caps of accounts.
    async fn cap_offers(
        &self,
        work: &(dyn RoadWork + '_),
        batch: &[&Ready],
        holds: &mut [Option<Hold>],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for (account, offers) in offers(batch) {
            let Some(cap) = offers.first().and_then(|(_, ready)| ready.limits.frequency) else {
                continue;
            };
            let window = TimeDelta::seconds(i64::from(cap.per_seconds));
            let contacts: BTreeSet<ContactId> =
                offers.iter().map(|(_, ready)| ready.message.contact).collect();
            let contacts: Vec<ContactId> = contacts.into_iter().collect();
            let had = work.pacing(SCOPE).lock_offers(account, &contacts, now - window).await?;
            let mut times: HashMap<ContactId, Vec<Timestamp>> = HashMap::new();
            for (contact, at) in had {
                times.entry(contact).or_default().push(at);
            }
            let most = usize::try_from(cap.most).unwrap_or(usize::MAX);
            for (index, ready) in offers {
                let times = times.entry(ready.message.contact).or_default();
                let decides = times.len().checked_sub(most).and_then(|n| times.get(n)).copied();
                match (decides, holds.get_mut(index)) {
                    (Some(at), Some(hold)) => {
                        *hold = Some(Hold::new(HoldReason::FrequencyCap, at + window));
                    }
                    _ => times.push(now),
                }
            }
        }
        Ok(())
    }

    /// The messaging limits of portfolios: people reached outside their windows in 24 hours.
    async fn cap_reach(
        &self,
        work: &(dyn RoadWork + '_),
        batch: &[&Ready],
        outside: &HashSet<ConversationId>,
        holds: &mut [Option<Hold>],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let portfolios: BTreeSet<String> =
            batch.iter().filter_map(|ready| ready.portfolio(outside)).collect();
        let portfolios: Vec<String> = portfolios.into_iter().collect();
        let found = work.pacing(SCOPE).lock_reach(&portfolios, now - DAY).await?;
        for (portfolio, reach) in found {
            let Some(most) = reach.most else { continue };
            let mine = |ready: &&&Ready| ready.portfolio(outside).as_ref() == Some(&portfolio);
            let contacts: Vec<ContactId> =
                batch.iter().filter(mine).map(|ready| ready.message.contact).collect();
            let known = work.pacing(SCOPE).reached(&portfolio, &contacts).await?;
            let mut known: BTreeSet<ContactId> = known.into_iter().collect();
            let mut reached = reach.reached;
            for (index, ready) in batch.iter().enumerate() {
                if !mine(&ready) || !known.insert(ready.message.contact) {
                    continue;
                }
                if reached < most {
                    reached += 1;
                } else if let Some(hold) = holds.get_mut(index) {
                    let until = reach.oldest.unwrap_or(now) + DAY;
                    *hold = Some(Hold::new(HoldReason::MessagingLimit, until));
                    known.remove(&ready.message.contact);
                }
            }
        }
        Ok(())
    }

    /// Delay, rest, caps, throughput and guards of devices.
    async fn cap_devices(
        &self,
        work: &(dyn RoadWork + '_),
        batch: &[&Ready],
        holds: &mut [Option<Hold>],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut devices: BTreeMap<DeviceId, Vec<(usize, &Ready)>> = BTreeMap::new();
        for (index, ready) in batch.iter().enumerate() {
            let held = holds.get(index).copied().flatten();
            if ready.limits.counted && held.is_none() {
                devices.entry(ready.device.id).or_default().push((index, ready));
            }
        }
        if devices.is_empty() {
            return Ok(());
        }
        let ids: Vec<DeviceId> = devices.keys().copied().collect();
        let paces = work.pacing(SCOPE).lock(&ids).await?;
        let (mut changed, mut sends) = (Vec::new(), Vec::new());
        for (id, mut readies) in devices {
            let Some((_, first)) = readies.first() else { continue };
            let pacing = &first.device.settings.pacing;
            let most = throughput(pacing, first.limits.per_second);
            let mut pace = paces.get(&id).copied().unwrap_or_default();
            let count = u32::try_from(readies.len()).unwrap_or(u32::MAX);
            let ranges: Vec<(i64, i64)> =
                pace.wanted(pacing, count).into_iter().flatten().collect();
            let mut ledger: Ledger = work.pacing(SCOPE).ledger(id, &ranges).await?;
            readies.sort_by_key(|(_, ready)| ready.message.purpose.priority());
            for (index, ready) in readies {
                let (seq, rate) = (pace.seq, pace.rate(most, now));
                let live = ready.is_live();
                let guard = ready.limits.guard.filter(|_| ready.new_contact);
                let mut chance = |most| draw(&*self.ids, most);
                let taken = pace.admit(pacing, guard, rate, live, now, &mut ledger, &mut chance);
                if let Some(hold) = holds.get_mut(index) {
                    *hold = taken.err();
                }
                if pace.seq > seq {
                    sends.push(CountedSend { device: id, seq: pace.seq, at: pace.sent_at });
                }
            }
            changed.push((id, pace));
        }
        work.pacing(SCOPE).save(&changed, &sends).await
    }

    /// Remembers what was counted against accounts and portfolios.
    async fn note(
        &self,
        work: &(dyn RoadWork + '_),
        batch: &[&Ready],
        outside: &HashSet<ConversationId>,
        holds: &[Option<Hold>],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let begins = |index: usize| holds.get(index).copied().flatten().is_none();
        for (account, offers) in offers(batch) {
            let begun: Vec<Offer> = offers
                .iter()
                .filter(|(index, _)| begins(*index))
                .map(|(_, ready)| Offer {
                    contact: ready.message.contact,
                    message: ready.message.id,
                    at: now,
                })
                .collect();
            work.pacing(SCOPE).note_offers(account, &begun).await?;
        }
        let mut reached: BTreeMap<String, BTreeSet<ContactId>> = BTreeMap::new();
        for (index, ready) in batch.iter().enumerate() {
            if let Some(portfolio) = ready.portfolio(outside).filter(|_| begins(index)) {
                reached.entry(portfolio).or_default().insert(ready.message.contact);
            }
        }
        for (portfolio, contacts) in reached {
            let contacts: Vec<ContactId> = contacts.into_iter().collect();
            let known = work.pacing(SCOPE).reached(&portfolio, &contacts).await?.len();
            let new = u32::try_from(contacts.len().saturating_sub(known)).unwrap_or(u32::MAX);
            work.pacing(SCOPE).note_reached(&portfolio, &contacts, new, now).await?;
        }
        Ok(())
    }
}

impl Ready {
    /// Whether it waits for caps only.
    pub(super) const fn is_live(&self) -> bool {
        self.message.purpose.priority() == 0
    }

    /// The portfolio whose limit the message counts in.
    fn portfolio(&self, outside: &HashSet<ConversationId>) -> Option<String> {
        let counts = self.limits.reach && outside.contains(&self.message.conversation);
        counts.then(|| self.device.namespace())
    }
}

/// The conversations of the batch whose customer-service window is closed, where that matters.
async fn outside(
    work: &(dyn RoadWork + '_),
    batch: &[&Ready],
    now: Timestamp,
) -> Result<HashSet<ConversationId>, StoreError> {
    let limited = batch.iter().filter(|ready| ready.limits.reach);
    let chats: Vec<ConversationId> = limited.map(|ready| ready.message.conversation).collect();
    let found = work.pacing(SCOPE).outside_windows(&chats, now).await?;
    Ok(found.into_iter().collect())
}

/// Offers of accounts that cap them, with their places in the batch.
fn offers<'a>(batch: &[&'a Ready]) -> BTreeMap<AccountId, Vec<(usize, &'a Ready)>> {
    let mut accounts: BTreeMap<AccountId, Vec<(usize, &Ready)>> = BTreeMap::new();
    for (index, ready) in batch.iter().enumerate() {
        if ready.limits.frequency.is_some() && ready.message.purpose == Purpose::Marketing {
            accounts.entry(ready.message.account).or_default().push((index, ready));
        }
    }
    accounts
}
