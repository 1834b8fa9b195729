//! Quiet hours in an account's time zone, right on the days when its clocks change.
//!
//! A moment is quiet when the local clock shows a quiet time. When clocks go back a quiet time can
//! come twice, when they go forward it can be skipped; both follow from that.

use chrono::{
    Days, DurationRound as _, LocalResult, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _,
    Timelike as _,
};
use chrono_tz::Tz;
use kabar_core::Timestamp;
use kabar_devices::pacing::{QuietHours, TimeOfDay};

use crate::message::Purpose;

/// Minutes by which a time zone jumps at most: Samoa skipped a whole day in 2011.
const LONGEST_GAP: i64 = 25 * 60;

/// Quiet hours in a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// The hours.
    pub hours: QuietHours,
    /// Where.
    pub zone: Tz,
}

impl Quiet {
    /// Whether messages of this purpose keep the hours at all.
    pub const fn concerns(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Marketing => true,
            Purpose::Service => self.hours.service,
            _ => false,
        }
    }

    /// The end of the quiet that it is now; `None` when it is not quiet.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.is_quiet(now) {
            return None;
        }
        let ends = self.moments(self.hours.to, now);
        let end = ends.into_iter().find(|end| *end > now && !self.is_quiet(*end));
        self.changed(now, end.unwrap_or(now), false)
    }

    /// The next moment, now or later, at which it is quiet.
    pub fn begins(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_quiet(now) {
            return Some(now);
        }
        let begins = self.moments(self.hours.from, now);
        let begin = begins.into_iter().find(|begin| *begin > now && self.is_quiet(*begin));
        self.changed(now, begin?, true)
    }

    /// The moment at which quiet begins or ends, known to be at `at` unless clocks change before:
    /// then the local time can jump into quiet, or out of it.
    fn changed(self, now: Timestamp, at: Timestamp, quiet: bool) -> Option<Timestamp> {
        let offset = |at: Timestamp| at.with_timezone(&self.zone).offset().fix();
        if offset(now) == offset(at) {
            return Some(at);
        }
        let whole = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        let minutes = (1..).map(|n| whole + TimeDelta::minutes(n));
        let jump = minutes.take_while(|minute| *minute < at).find(|m| self.is_quiet(*m) == quiet);
        jump.or(Some(at))
    }

    fn is_quiet(self, at: Timestamp) -> bool {
        let local = at.with_timezone(&self.zone).time();
        let minute = local.hour() * 60 + local.minute();
        self.hours.covers(u16::try_from(minute).unwrap_or_default())
    }

    /// Every moment of the days around `now` at which the local clock comes to show `time`.
    fn moments(self, time: TimeOfDay, now: Timestamp) -> Vec<Timestamp> {
        let today = now.with_timezone(&self.zone).date_naive();
        let days = [today.pred_opt(), Some(today)].into_iter().flatten();
        let days = days.chain((1..=3).filter_map(|n| today.checked_add_days(Days::new(n))));
        let midnight = |day: chrono::NaiveDate| day.and_time(chrono::NaiveTime::MIN);
        let minutes = TimeDelta::minutes(i64::from(time.minutes()));
        let mut moments: Vec<Timestamp> =
            days.flat_map(|day| instants(self.zone, midnight(day) + minutes)).collect();
        moments.sort_unstable();
        moments
    }
}

/// The instants at which the local clock shows `local`; the end of the gap when it skips it.
pub(super) fn instants(zone: Tz, local: NaiveDateTime) -> Vec<Timestamp> {
    for minute in 0..LONGEST_GAP {
        match zone.from_local_datetime(&(local + TimeDelta::minutes(minute))) {
            LocalResult::Single(at) => return vec![at.to_utc()],
            LocalResult::Ambiguous(one, two) => return vec![one.to_utc(), two.to_utc()],
            LocalResult::None => {}
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet(from: &str, to: &str, zone: Tz) -> Quiet {
        let time = |text: &str| text.parse().expect("a time of the day");
        let hours = QuietHours { from: time(from), to: time(to), service: false };
        Quiet { hours, zone }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn nights_end_in_the_morning_of_the_account() {
        let jakarta = quiet("21:00", "08:00", chrono_tz::Asia::Jakarta);
        assert_eq!(jakarta.until(at("2026-01-01T13:59:59Z")), None);
        let morning = Some(at("2026-01-02T01:00:00Z"));
        assert_eq!(jakarta.until(at("2026-01-01T14:00:00Z")), morning);
        assert_eq!(jakarta.until(at("2026-01-01T23:30:00Z")), morning);
        assert_eq!(jakarta.until(at("2026-01-02T01:00:00Z")), None);
        assert_eq!(jakarta.begins(at("2026-01-02T01:00:00Z")), Some(at("2026-01-02T14:00:00Z")));
    }

    #[test]
    fn an_end_that_the_clock_skips_is_the_end_of_the_gap() {
        // 29 March 2026, 02:00 becomes 03:00 in Berlin.
        let berlin = quiet("22:00", "02:30", chrono_tz::Europe::Berlin);
        assert_eq!(berlin.until(at("2026-03-28T23:00:00Z")), Some(at("2026-03-29T01:00:00Z")));
    }

    #[test]
    fn an_end_that_comes_twice_ends_twice() {
        // 25 October 2026, 03:00 becomes 02:00 in Berlin.
        let berlin = quiet("22:00", "02:30", chrono_tz::Europe::Berlin);
        let first = at("2026-10-25T00:30:00Z");
        assert_eq!(berlin.until(at("2026-10-25T00:10:00Z")), Some(first));
        assert_eq!(berlin.until(first), None);
        assert_eq!(berlin.until(at("2026-10-25T01:10:00Z")), Some(at("2026-10-25T01:30:00Z")));
    }

    /// Minute by minute over the days on which clocks change, in zones of every kind.
    #[test]
    fn the_end_is_the_first_moment_that_is_not_quiet() {
        let zones = [
            chrono_tz::Europe::Berlin,
            chrono_tz::America::New_York,
            chrono_tz::Australia::Lord_Howe,
            chrono_tz::Asia::Jakarta,
            chrono_tz::Africa::Casablanca,
        ];
        let spans =
            [("21:00", "08:00"), ("01:30", "02:30"), ("02:15", "02:00"), ("23:59", "00:01")];
        let days =
            ["2026-03-07", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-11-01"];
        for zone in zones {
            for (from, to) in spans {
                let quiet = quiet(from, to, zone);
                for day in days {
                    let start = at(&format!("{day}T00:00:00Z"));
                    let minute = |n: i64| start + TimeDelta::minutes(n);
                    let mut end = None;
                    for n in (0..3 * 24 * 60).rev() {
                        let now = minute(n);
                        if !quiet.is_quiet(now) {
                            end = Some(now);
                            assert_eq!(quiet.until(now), None);
                            continue;
                        }
                        if let Some(end) = end {
                            assert_eq!(quiet.until(now), Some(end), "{zone} {from}-{to} {now}");
                        }
                    }
                }
            }
        }
    }
}
