//! The pace of one device: what it sent, and when it may send next. Pure: time, history and
//! chance are handed in, so that a forecast walks the same steps as the dispatcher.

use std::collections::HashMap;

use chrono::TimeDelta;
use kabar_core::Timestamp;
use kabar_devices::PacingSettings;

use super::guard::{Guard, NewContacts};
use super::hold::{Hold, HoldReason};

/// The window of the hourly cap.
pub(crate) const HOUR: TimeDelta = TimeDelta::hours(1);
/// The window of the daily cap.
pub(crate) const DAY: TimeDelta = TimeDelta::hours(24);
/// Microseconds of a second.
const SECOND: i64 = 1_000_000;
/// What a number without a limit is taken to send when it is told to slow down: Meta's default
/// throughput.
const NOTIONAL: u32 = 80;
/// Seconds in which a slowed number comes back to its full speed from nothing.
const RECOVERY: i64 = 60;
/// Complaints within this time of the last one are the same complaint: they were in flight.
const SAME_COMPLAINT: TimeDelta = TimeDelta::seconds(2);

/// A cap as it was when the last message went, and when it lets the next one through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapState {
    /// The cap.
    pub most: u32,
    /// From when one more may go.
    pub until: Timestamp,
}

/// A speed that the network imposed: so much at that time, more since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowed {
    /// Sends in a thousand seconds.
    pub milli: u32,
    /// When it was set.
    pub since: Timestamp,
}

/// What is remembered of a device. Kept in the database, changed in the unit of work that begins
/// a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The number of the last send that was counted.
    pub seq: i64,
    /// When the last message went, of any kind.
    pub sent_at: Timestamp,
    /// When the last message went that keeps delay and rest.
    pub paced_at: Timestamp,
    /// The end of the pause after it.
    pub delay_until: Timestamp,
    /// The end of the rest after the last batch.
    pub rest_until: Timestamp,
    /// Messages of the present batch.
    pub batch: u32,
    /// The hourly cap.
    pub hour: CapState,
    /// The daily cap.
    pub day: CapState,
    /// When the throughput is free again, as the generic cell rate algorithm counts.
    pub busy_until: Timestamp,
    /// The network's wish for less.
    pub slowed: Option<Slowed>,
    /// Its messages to new contacts, where a guard counts them.
    pub new: NewContacts,
}

impl Default for Pace {
    fn default() -> Self {
        let never = Timestamp::UNIX_EPOCH;
        let cap = CapState { most: 0, until: never };
        Self {
            seq: 0,
            sent_at: never,
            paced_at: never,
            delay_until: never,
            rest_until: never,
            batch: 0,
            hour: cap,
            day: cap,
            busy_until: never,
            slowed: None,
            new: NewContacts::default(),
        }
    }
}

/// When counted sends happened, by their number. What is missing is older than any window.
pub type Ledger = HashMap<i64, Timestamp>;

/// Chance: a number from 0 to the given one, both included.
pub type Draw<'a> = &'a mut (dyn FnMut(u64) -> u64 + Send);

/// How fast a device may send: cells of `interval`, so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    interval: TimeDelta,
    burst: i32,
    slowed: bool,
}

impl Rate {
    /// At most `most` sends in any second: a tenth of them may come at once, the rest evenly.
    pub(crate) fn per_second(most: u32) -> Self {
        let burst = (most / 10).max(1);
        let even = most.saturating_sub(burst).max(1);
        let interval = TimeDelta::microseconds(SECOND / i64::from(even));
        Self { interval, burst: i32::try_from(burst).unwrap_or(i32::MAX), slowed: false }
    }

    /// The time that one send takes.
    pub(crate) const fn interval(self) -> TimeDelta {
        self.interval
    }

    fn slow(milli: u32) -> Self {
        let interval = TimeDelta::microseconds(1_000 * SECOND / i64::from(milli.max(1)));
        Self { interval, burst: i32::try_from((milli / 10_000).max(1)).unwrap_or(1), slowed: true }
    }
}

/// The throughput of a device: what its tenant set, or what its channel says.
pub(crate) const fn throughput(pacing: &PacingSettings, channel: Option<u32>) -> Option<u32> {
    match pacing.per_second {
        Some(0) => None,
        Some(most) => Some(most),
        None => channel,
    }
}

impl Pace {
    /// How fast the device may send now.
    pub(crate) fn rate(&self, throughput: Option<u32>, now: Timestamp) -> Option<Rate> {
        match self.slowed_milli(throughput, now) {
            Some(milli) => Some(Rate::slow(milli)),
            None => throughput.map(Rate::per_second),
        }
    }

    /// The speed in a thousand seconds while the network's wish still binds.
    fn slowed_milli(&self, throughput: Option<u32>, now: Timestamp) -> Option<u32> {
        let slowed = self.slowed?;
        let full = throughput.unwrap_or(NOTIONAL).saturating_mul(1_000);
        let seconds = (now - slowed.since).num_seconds().clamp(0, RECOVERY);
        let grown = i64::from(full) * seconds / RECOVERY;
        let milli = slowed.milli.saturating_add(u32::try_from(grown).unwrap_or(u32::MAX));
        (milli < full).then_some(milli)
    }

    /// The network said that the device sends too fast: half the present speed, then evenly more
    /// until it is full again after a minute at most.
    pub(crate) fn slow_down(&mut self, throughput: Option<u32>, now: Timestamp) {
        if self.slowed.is_some_and(|slowed| now < slowed.since + SAME_COMPLAINT) {
            return;
        }
        let full = throughput.unwrap_or(NOTIONAL).saturating_mul(1_000);
        let milli = (self.slowed_milli(throughput, now).unwrap_or(full) / 2).max(1_000);
        self.slowed = Some(Slowed { milli, since: now });
    }

    /// How many cells are free now; `None` for any number.
    pub(crate) fn free(&self, rate: Option<Rate>, now: Timestamp) -> Option<usize> {
        let rate = rate?;
        let ahead = (self.busy_until - now).max(TimeDelta::zero());
        let room = rate.interval * rate.burst - ahead;
        let cells = room.num_microseconds()? / rate.interval.num_microseconds()?.max(1);
        Some(usize::try_from(cells.max(0)).unwrap_or_default())
    }

    /// What keeps the device from sending, as far as the stored state tells; the latest end wins.
    /// `live`: a reply, which waits for caps only.
    pub(crate) fn hold(&self, pacing: &PacingSettings, live: bool, now: Timestamp) -> Option<Hold> {
        let cap = |why, set: Option<u32>, state: CapState| {
            (set == Some(state.most)).then_some(Hold::new(why, state.until))
        };
        let hold = Hold::later(
            cap(HoldReason::HourlyCap, pacing.hourly, self.hour),
            cap(HoldReason::DailyCap, pacing.daily, self.day),
        );
        let hold = if live { hold } else { Hold::later(hold, self.pause(pacing)) };
        hold.filter(|hold| hold.until > now)
    }

    /// Everything that may keep an offer, whether it is over or not.
    pub(crate) fn holds(&self, pacing: &PacingSettings) -> Vec<Hold> {
        let cap = |why, set: Option<u32>, state: CapState| {
            (set == Some(state.most)).then_some(Hold::new(why, state.until))
        };
        let all = [
            cap(HoldReason::HourlyCap, pacing.hourly, self.hour),
            cap(HoldReason::DailyCap, pacing.daily, self.day),
            pacing.delay.map(|_| Hold::new(HoldReason::PacingDelay, self.delay_until)),
            pacing.batch.map(|_| Hold::new(HoldReason::BatchRest, self.rest_until)),
        ];
        all.into_iter().flatten().collect()
    }

    fn pause(&self, pacing: &PacingSettings) -> Option<Hold> {
        Hold::later(
            pacing.delay.map(|_| Hold::new(HoldReason::PacingDelay, self.delay_until)),
            pacing.batch.map(|_| Hold::new(HoldReason::BatchRest, self.rest_until)),
        )
    }

    /// What keeps the throughput from one more.
    pub(crate) fn too_fast(&self, rate: Option<Rate>, now: Timestamp) -> Option<Hold> {
        if self.free(rate, now)? > 0 {
            return None;
        }
        let rate = rate?;
        let until = self.busy_until - rate.interval * (rate.burst - 1);
        let why = if rate.slowed { HoldReason::SlowedDown } else { HoldReason::Throughput };
        Some(Hold::new(why, until))
    }

    /// The numbers of the sends that decide whether `count` more may go.
    pub(crate) fn wanted(&self, pacing: &PacingSettings, count: u32) -> [Option<(i64, i64)>; 2] {
        let range = |cap: Option<u32>| {
            let first = self.seq + 1 - i64::from(cap?);
            Some((first, first + i64::from(count)))
        };
        [range(pacing.hourly), range(pacing.daily)]
    }

    /// Counts a send that begins now, or says what keeps it. The ledger holds the sends that
    /// [`Pace::wanted`] names, and gets the new one.
    pub(crate) fn take(
        &mut self,
        pacing: &PacingSettings,
        rate: Option<Rate>,
        live: bool,
        now: Timestamp,
        ledger: &mut Ledger,
        draw: Draw<'_>,
    ) -> Result<(), Hold> {
        self.refresh(pacing, ledger);
        let held = Hold::later(self.hold(pacing, live, now), self.too_fast(rate, now));
        if let Some(hold) = held {
            return Err(hold);
        }
        // Nodes' clocks differ a little; the ledger's order is that of its numbers.
        let at = now.max(self.sent_at);
        self.sent_at = at;
        if pacing.hourly.is_some() || pacing.daily.is_some() {
            self.seq += 1;
            ledger.insert(self.seq, at);
            self.refresh(pacing, ledger);
        }
        if let Some(rate) = rate {
            self.busy_until = self.busy_until.max(now) + rate.interval;
        }
        if !live {
            self.pace(pacing, at, draw);
        }
        Ok(())
    }

    /// The same for a message that a guard may keep: one to a new contact.
    #[expect(clippy::too_many_arguments, reason = "those of `take`, and the guard")]
    pub(crate) fn admit(
        &mut self,
        pacing: &PacingSettings,
        guard: Option<Guard>,
        rate: Option<Rate>,
        live: bool,
        now: Timestamp,
        ledger: &mut Ledger,
        draw: Draw<'_>,
    ) -> Result<(), Hold> {
        if let Some(hold) = guard.and_then(|guard| guard.hold(&self.new, now)) {
            return Err(hold);
        }
        self.take(pacing, rate, live, now, ledger, draw)?;
        if let Some(guard) = guard {
            guard.count(&mut self.new, now);
        }
        Ok(())
    }

    fn pace(&mut self, pacing: &PacingSettings, at: Timestamp, draw: Draw<'_>) {
        if let Some(delay) = pacing.delay {
            let span = |seconds: u32| u64::from(seconds) * 1_000_000;
            let wait = span(delay.min_seconds)
                + draw(span(delay.max_seconds.saturating_sub(delay.min_seconds)))
                + draw(span(delay.jitter_seconds));
            let wait = TimeDelta::microseconds(i64::try_from(wait).unwrap_or(i64::MAX));
            self.delay_until = at + wait;
        }
        if let Some(batch) = pacing.batch {
            let rest = TimeDelta::seconds(i64::from(batch.rest_seconds));
            if at - self.paced_at >= rest {
                self.batch = 0;
            }
            self.batch += 1;
            if self.batch >= batch.size {
                self.batch = 0;
                self.rest_until = at + rest;
            }
        }
        self.paced_at = at;
    }

    /// Looks the caps up in the ledger.
    fn refresh(&mut self, pacing: &PacingSettings, ledger: &Ledger) {
        let until = |most: u32, window: TimeDelta| {
            let oldest = ledger.get(&(self.seq + 1 - i64::from(most)));
            oldest.map_or(Timestamp::UNIX_EPOCH, |at| *at + window)
        };
        let hour = pacing.hourly.map(|most| CapState { most, until: until(most, HOUR) });
        let day = pacing.daily.map(|most| CapState { most, until: until(most, DAY) });
        self.hour = hour.unwrap_or(self.hour);
        self.day = day.unwrap_or(self.day);
    }
}
