//! The ban guard: how a device on an unofficial channel meets people who never wrote to it.
//!
//! Two things keep a message to a new contact, and none to anybody else: that the network refused to
//! let the number begin chats for a time ([`Blocked`]), and the warm-up of a new number, which has so
//! many messages to new contacts on each of its first days ([`WarmUpPlan`]). Pure: time and history
//! are handed in.

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta};
use chrono_tz::Tz;
use kabar_channel::ChannelKind;
use kabar_core::Timestamp;
use kabar_devices::Device;
use kabar_devices::pacing::WarmUpPlan;

use super::hold::{Hold, HoldReason};
use super::quiet::instants;

/// Whether a device has a ban guard: whether its network may ban it for writing to strangers.
pub fn is_guarded(device: &Device) -> bool {
    device.channel == ChannelKind::QR_SESSION
}

/// The network refuses messages to new contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Until when.
    pub until: Timestamp,
    /// Whether that is our guess: the network named no end.
    pub assumed: bool,
    /// The network's code, where it is a number (WhatsApp: 463, 475).
    pub code: Option<u16>,
}

/// What is remembered of a device's messages to new contacts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewContacts {
    /// The last day on which one was sent, of the account's calendar; in days of the common era.
    pub day: i32,
    /// How many were sent on that day.
    pub sent: u32,
    /// What the network said when it refused one.
    pub blocked: Option<Blocked>,
}

impl NewContacts {
    /// The network refused one. The later end counts.
    pub fn block(&mut self, blocked: Blocked) {
        if self.blocked.is_none_or(|before| before.until < blocked.until) {
            self.blocked = Some(blocked);
        }
    }
}

/// How a device's messages to new contacts are guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// The account's time zone: days are counted by it.
    pub zone: Tz,
    /// The plan by which a new number is warmed up.
    pub plan: Option<WarmUpPlan>,
    /// When the number was connected for the first time.
    pub since: Option<Timestamp>,
}

/// A day of a warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WarmUpDay {
    /// Which one, from 1 on.
    pub day: u32,
    /// Of how many.
    pub days: u32,
    /// Messages to new contacts on it, at most.
    pub most: u32,
}

impl Guard {
    /// The guard of a device; `None` for devices whose network keeps its own limits.
    pub fn of(device: &Device, zone: Tz) -> Option<Self> {
        let plan = device.settings.pacing.warm_up.plan();
        is_guarded(device).then_some(Self { zone, plan, since: device.first_connected_at })
    }

    /// The day of the warm-up that it is; `None` without one, or after its end. Before the number was
    /// connected it is the first.
    pub fn warm_up(&self, now: Timestamp) -> Option<WarmUpDay> {
        let plan = self.plan?;
        let since = self.since.unwrap_or(now).min(now);
        let passed = self.date(now).signed_duration_since(self.date(since)).num_days();
        let day = u32::try_from(passed).ok()?.checked_add(1)?;
        Some(WarmUpDay { day, days: plan.days, most: plan.most(day)? })
    }

    /// Messages to new contacts that were sent today.
    pub fn sent_today(&self, met: &NewContacts, now: Timestamp) -> u32 {
        // A clock that is behind, or a zone that was changed, begins no day anew.
        if self.today(now) <= met.day { met.sent } else { 0 }
    }

    /// What keeps a message to a new contact.
    pub fn hold(&self, met: &NewContacts, now: Timestamp) -> Option<Hold> {
        Hold::later(self.blocked(met, now), self.full(met, now))
    }

    /// Counts a message to a new contact that begins now.
    pub fn count(&self, met: &mut NewContacts, now: Timestamp) {
        met.sent = self.sent_today(met, now).saturating_add(1);
        met.day = met.day.max(self.today(now));
    }

    /// The hold of a message that the network refuses until then.
    pub const fn refused(&self, blocked: Blocked) -> Hold {
        let Blocked { until, assumed, code } = blocked;
        Hold::new(HoldReason::NewContactsPaused { code, assumed, zone: self.zone }, until)
    }

    fn blocked(&self, met: &NewContacts, now: Timestamp) -> Option<Hold> {
        met.blocked.filter(|blocked| blocked.until > now).map(|blocked| self.refused(blocked))
    }

    fn full(&self, met: &NewContacts, now: Timestamp) -> Option<Hold> {
        let day = self.warm_up(now).filter(|day| self.sent_today(met, now) >= day.most)?;
        Some(Hold::new(HoldReason::WarmUp { day, zone: self.zone }, self.tomorrow(now)))
    }

    fn date(&self, at: Timestamp) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    fn today(&self, now: Timestamp) -> i32 {
        self.date(now).num_days_from_ce()
    }

    /// When the next day begins: at midnight, or after the hour that the clocks skip there.
    fn tomorrow(&self, now: Timestamp) -> Timestamp {
        let next = self.date(now).succ_opt().map(|day| day.and_time(chrono::NaiveTime::MIN));
        let begins = next.and_then(|midnight| instants(self.zone, midnight).into_iter().next());
        begins.unwrap_or(now + TimeDelta::days(1))
    }
}

/// A time as the account's people read it.
pub(super) fn local(at: Timestamp, zone: Tz) -> String {
    let at: DateTime<Tz> = at.with_timezone(&zone);
    format!("{} {zone}", at.format("%Y-%m-%d %H:%M"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kabar_devices::PacingSettings;
    use proptest::prelude::*;

    use super::super::pace::{Ledger, Pace};
    use super::*;

    const JAKARTA: Tz = chrono_tz::Asia::Jakarta;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn guard(since: &str) -> Guard {
        Guard { zone: JAKARTA, plan: Some(WarmUpPlan::USUAL), since: Some(at(since)) }
    }

    #[test]
    fn a_warm_up_counts_the_accounts_days() {
        // 20:00 in Jakarta: its first day has four hours.
        let guard = guard("2026-01-01T13:00:00Z");
        let day = |text| guard.warm_up(at(text)).map(|day| (day.day, day.most));
        assert_eq!(day("2026-01-01T13:00:00Z"), Some((1, 20)));
        assert_eq!(day("2026-01-01T16:59:59Z"), Some((1, 20)));
        assert_eq!(day("2026-01-01T17:00:00Z"), Some((2, 30)));
        assert_eq!(day("2026-01-02T17:00:00Z"), Some((3, 45)));
        assert_eq!(day("2026-01-14T16:00:00Z").map(|(day, _)| day), Some(14));
        assert_eq!(day("2026-01-14T17:00:00Z"), None);
        assert_eq!(Guard { plan: None, ..guard }.warm_up(at("2026-01-01T13:00:00Z")), None);
    }

    #[test]
    fn a_full_day_is_explained() {
        let guard = guard("2026-01-01T03:00:00Z");
        let (now, mut met) = (at("2026-01-03T05:00:00Z"), NewContacts::default());
        for _ in 0..45 {
            assert_eq!(guard.hold(&met, now), None);
            guard.count(&mut met, now);
        }
        let hold = guard.hold(&met, now).expect("the day is full");
        assert_eq!(hold.until, at("2026-01-03T17:00:00Z"));
        assert_eq!(hold.reason().code, "warm_up");
        assert_eq!(
            hold.reason().text,
            "warm-up: day 3 of 14, 45 new contacts today; continues at 2026-01-04 00:00 \
             Asia/Jakarta"
        );
        assert_eq!(guard.hold(&met, hold.until), None);
        assert_eq!(guard.sent_today(&met, hold.until), 0);
    }

    #[test]
    fn a_refusal_says_whose_word_its_end_is() {
        let guard = guard("2025-01-01T03:00:00Z");
        let now = at("2026-01-03T05:00:00Z");
        let mut met = NewContacts::default();
        let until = at("2026-01-03T17:30:00Z");
        met.block(Blocked { until, assumed: false, code: Some(463) });
        // What is known to last longer is not shortened.
        met.block(Blocked { until: now, assumed: true, code: Some(475) });
        let hold = guard.hold(&met, now).expect("blocked");
        assert_eq!((hold.until, hold.reason().code.as_str()), (until, "new_contacts_paused"));
        assert_eq!(
            hold.reason().text,
            "WhatsApp refuses messages to new contacts (463) until 2026-01-04 00:30 Asia/Jakarta, \
             as it says; answers go on"
        );
        assert_eq!(guard.hold(&met, until), None);
        met.block(Blocked { until: until + TimeDelta::days(1), assumed: true, code: Some(475) });
        let text = guard.hold(&met, until).expect("blocked again").reason().text;
        assert!(text.contains("an assumption, for it names no end"), "{text}");
    }

    /// 8 March 2026 begins at 01:00 in Havana.
    #[test]
    fn a_midnight_that_the_clocks_skip_is_over_at_one() {
        let havana = Guard { zone: chrono_tz::America::Havana, ..guard("2026-03-07T12:00:00Z") };
        assert_eq!(havana.tomorrow(at("2026-03-07T20:00:00Z")), at("2026-03-08T05:00:00Z"));
    }

    proptest! {
        /// However messages come: no day of the account has more to new contacts than the plan says,
        /// what is held may go when its hold ends, and answers never wait.
        #[test]
        fn no_day_has_more_than_its_plan(
            first_day in 1..6_u32,
            days in 1..6_u32,
            growth_percent in 0..=200_u32,
            steps in proptest::collection::vec((0..9_000_i64, any::<bool>()), 1..300),
        ) {
            let since = at("2026-03-27T13:00:00Z");
            let plan = WarmUpPlan { days, first_day, growth_percent };
            // Its clocks go forward on 29 March.
            let zone = chrono_tz::Europe::Berlin;
            let guard = Guard { zone, plan: Some(plan), since: Some(since) };
            let pacing = PacingSettings::default();
            let (mut pace, mut now) = (Pace::default(), since);
            let mut sent: BTreeMap<NaiveDate, u32> = BTreeMap::new();
            for (wait, new) in steps {
                now += TimeDelta::seconds(wait);
                let guarded = new.then_some(guard);
                let taken = pace.admit(
                    &pacing, guarded, None, false, now, &mut Ledger::new(), &mut |_| 0,
                );
                match taken {
                    Ok(()) if new => *sent.entry(guard.date(now)).or_default() += 1,
                    Ok(()) => {}
                    Err(hold) => {
                        prop_assert!(new, "an answer waits: {hold:?}");
                        prop_assert!(hold.until > now);
                        prop_assert_eq!(guard.hold(&pace.new, hold.until), None);
                    }
                }
            }
            for (day, count) in sent {
                let number = day.signed_duration_since(guard.date(since)).num_days() + 1;
                if let Some(most) = plan.most(u32::try_from(number).expect("a day")) {
                    prop_assert!(count <= most, "{count} on day {number}, which has {most}");
                }
            }
        }
    }
}
