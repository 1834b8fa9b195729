//! How long a number of messages will take: the pacer's own steps, walked on paper with every
//! pause at its mean.

use std::time::Duration;

use chrono::TimeDelta;
use kabar_core::Timestamp;
use kabar_devices::PacingSettings;

use super::hold::Hold;
use super::pace::{Ledger, Pace, Rate, throughput};
use super::quiet::Quiet;
use crate::message::Purpose;

/// A device that will send a share of the messages.
#[derive(Debug, Clone, Default)]
pub struct Sender {
    /// How it is paced.
    pub pacing: PacingSettings,
    /// The throughput that its channel says ([`kabar_channel::Capabilities::per_second`]).
    pub per_second: Option<u32>,
    /// The quiet hours that it keeps, its own or its account's.
    pub quiet: Option<Quiet>,
    /// What it sent lately; the default for a device that sent nothing.
    pub pace: Pace,
    /// When its counted sends of the last 24 hours happened.
    pub ledger: Ledger,
    /// Messages that wait on it already and go first.
    pub ahead: u64,
    /// Its share, compared with the other senders'; 0 is as good as 1.
    pub weight: u32,
}

/// How long messages will take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// When the last of them will go.
    pub finish: Timestamp,
    /// How long that is from now.
    pub duration: Duration,
    /// When each sender will be done, in their order.
    pub senders: Vec<Timestamp>,
}

/// How long `messages` messages of a purpose, shared by `senders`, will take from `now` on,
/// under their delays, rests, caps, throughput and quiet hours, with what they sent already.
///
/// Failed tries, replies that come in between and the network's own answers are not foreseen.
/// Without senders nothing is ever done: the estimate ends at once.
pub fn estimate(senders: &[Sender], messages: u64, purpose: Purpose, now: Timestamp) -> Estimate {
    let done = |(share, sender): (u64, &Sender)| match share {
        0 => now,
        share => sender.walk(share.saturating_add(sender.ahead), purpose, now),
    };
    let senders: Vec<Timestamp> =
        shares(senders, messages).into_iter().zip(senders).map(done).collect();
    let finish = senders.iter().copied().max().unwrap_or(now);
    let duration = (finish - now).to_std().unwrap_or_default();
    Estimate { finish, duration, senders }
}

/// How many of the messages each sender gets: what cannot be shared out exactly goes to the first.
fn shares(senders: &[Sender], messages: u64) -> Vec<u64> {
    let weight = |sender: &Sender| u128::from(sender.weight.max(1));
    let all: u128 = senders.iter().map(weight).sum();
    let whole = |sender: &Sender| {
        u64::try_from(u128::from(messages) * weight(sender) / all.max(1)).unwrap_or(messages)
    };
    let mut shares: Vec<u64> = senders.iter().map(whole).collect();
    let left = messages.saturating_sub(shares.iter().sum());
    for (_, share) in (0..left).zip(&mut shares) {
        *share += 1;
    }
    shares
}

impl Sender {
    /// When the last of `count` messages goes.
    fn walk(&self, count: u64, purpose: Purpose, now: Timestamp) -> Timestamp {
        let live = purpose.priority() == 0;
        let most = throughput(&self.pacing, self.per_second);
        if self.is_even(live) {
            return self.evenly(count, most, purpose, now);
        }
        let quiet = self.quiet.filter(|quiet| quiet.concerns(purpose));
        let oldest = self.pacing.hourly.max(self.pacing.daily).map_or(0, i64::from);
        let (mut pace, mut ledger) = (self.pace, self.ledger.clone());
        let (mut at, mut begins) = (now, None);
        for _ in 0..count {
            loop {
                if begins.is_none_or(|begins| at >= begins) {
                    at = quiet.and_then(|quiet| quiet.until(at)).unwrap_or(at);
                    begins = quiet.and_then(|quiet| quiet.begins(at));
                }
                let rate = pace.rate(most, at);
                match pace.take(&self.pacing, rate, live, at, &mut ledger, &mut |most| most / 2) {
                    Ok(()) => break,
                    Err(Hold { until, .. }) => {
                        at = until.max(at + TimeDelta::microseconds(1));
                    }
                }
            }
            ledger.remove(&(pace.seq - oldest));
        }
        at
    }

    /// Whether nothing but the throughput matters.
    const fn is_even(&self, live: bool) -> bool {
        let paced = self.pacing.delay.is_some() || self.pacing.batch.is_some();
        self.pacing.hourly.is_none() && self.pacing.daily.is_none() && (live || !paced)
    }

    fn evenly(&self, count: u64, most: Option<u32>, purpose: Purpose, now: Timestamp) -> Timestamp {
        let even = most.map_or(TimeDelta::zero(), |most| {
            let interval = Rate::per_second(most).interval().num_microseconds();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            TimeDelta::microseconds(interval.unwrap_or_default().saturating_mul(count))
        });
        let mut left = even;
        let mut at = now;
        let Some(quiet) = self.quiet.filter(|quiet| quiet.concerns(purpose)) else {
            return now.checked_add_signed(even).unwrap_or(Timestamp::MAX_UTC);
        };
        // At most some years of nights: a broadcast of a billion messages is no plan.
        for _ in 0..5_000 {
            at = quiet.until(at).unwrap_or(at);
            let begins = quiet.begins(at).unwrap_or(Timestamp::MAX_UTC);
            if begins - at >= left {
                return at + left;
            }
            left -= begins - at;
            at = begins;
        }
        Timestamp::MAX_UTC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("a time")
    }

    fn hours(estimate: &Estimate) -> f64 {
        estimate.duration.as_secs_f64() / 3600.0
    }

    fn careful() -> Sender {
        Sender { pacing: PacingSettings::careful(), ..Sender::default() }
    }

    #[test]
    fn a_day_holds_what_the_caps_say() {
        // 300 in the first hours, 200 from the 24th on.
        let done = estimate(&vec![careful(); 5], 2_500, Purpose::Marketing, now());
        assert!((27.0..28.6).contains(&hours(&done)), "{}", hours(&done));
        assert_eq!(done.senders.len(), 5);
        let one = estimate(&[careful()], 1, Purpose::Marketing, now());
        assert_eq!(one.finish, now());
        let twenty = estimate(&[careful()], 21, Purpose::Marketing, now());
        // 19 pauses of 14 s on the mean, one rest.
        assert_eq!(twenty.duration, Duration::from_secs(19 * 14 + 300));
    }

    #[test]
    fn weights_share_out_everything() {
        let sender = |weight| Sender { weight, ..Sender::default() };
        assert_eq!(shares(&[sender(3), sender(0), sender(1)], 11), [7, 2, 2]);
        assert_eq!(shares(&[sender(1), sender(1), sender(1)], 11), [4, 4, 3]);
        assert_eq!(shares(&[], 11), Vec::<u64>::new());
        assert_eq!(
            shares(&[sender(u32::MAX), sender(u32::MAX)], u64::MAX).iter().sum::<u64>(),
            u64::MAX
        );
    }

    #[test]
    fn what_was_sent_and_what_waits_counts() {
        let mut used = careful();
        used.pace.seq = 300;
        used.ledger = (1..=300).map(|seq| (seq, now() - TimeDelta::hours(1))).collect();
        let done = estimate(&[used], 1, Purpose::Marketing, now());
        assert_eq!(done.duration, Duration::from_hours(23));
        let behind = Sender { ahead: 299, ..careful() };
        let done = estimate(&[behind], 2, Purpose::Marketing, now());
        assert_eq!(done.duration, Duration::from_hours(24));
    }

    #[test]
    fn throughput_and_nights() {
        let fast = Sender { per_second: Some(80), ..Sender::default() };
        let done = estimate(std::slice::from_ref(&fast), 72_000, Purpose::Marketing, now());
        assert!((999..=1_001).contains(&done.duration.as_secs()), "{:?}", done.duration);
        assert_eq!(estimate(&[Sender::default()], 9, Purpose::Service, now()).finish, now());
        assert_eq!(estimate(&[], 9, Purpose::Service, now()).finish, now());
        let time = |text: &str| text.parse().expect("a time of the day");
        let quiet = kabar_devices::pacing::QuietHours {
            from: time("00:10"),
            to: time("06:00"),
            service: false,
        };
        let quiet = Some(Quiet { hours: quiet, zone: chrono_tz::UTC });
        let night = Sender { quiet, ..fast };
        let done = estimate(std::slice::from_ref(&night), 72_000, Purpose::Marketing, now());
        let expected = 6 * 3600 + 1_000 - 600;
        assert!(done.duration.as_secs().abs_diff(expected) < 2, "{:?}", done.duration);
        let reply = estimate(&[night], 72_000, Purpose::Reply, now());
        assert!(reply.duration.as_secs() < 1_002);
    }
}
