//! A local time of day in a time zone, and the instant that it means.

use chrono::{LocalResult, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use kabar_core::Timestamp;
use serde::{Deserialize, Serialize};

/// When a broadcast is to start, as the tenant said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// The local date and time.
    pub local: NaiveDateTime,
    /// The time zone that it is local in.
    pub time_zone: Tz,
    /// The instant that it means.
    pub at: Timestamp,
    /// How it was understood, where the clocks change.
    #[serde(default)]
    pub reading: Reading,
}

/// How a local time was understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reading {
    /// It exists once.
    #[default]
    Plain,
    /// The clocks skip it: it was moved later by as much as they skip, so that 02:30 becomes 03:30.
    Skipped,
    /// The clocks show it twice: the first time was taken.
    First,
}

/// The longest step that clocks ever took forward, with room: whole days were skipped (Samoa, 2011).
const LONGEST_SKIP: i64 = 26 * 60;

impl Schedule {
    /// The instant of a local time.
    ///
    /// * A time that the clocks skip is moved later by the length of the skip.
    /// * A time that they show twice is the first of the two.
    pub fn of(local: NaiveDateTime, time_zone: Tz) -> Self {
        let (at, reading) = match time_zone.from_local_datetime(&local) {
            LocalResult::Single(at) => (at.to_utc(), Reading::Plain),
            LocalResult::Ambiguous(first, _) => (first.to_utc(), Reading::First),
            LocalResult::None => (skipped(local, time_zone), Reading::Skipped),
        };
        Self { local, time_zone, at, reading }
    }
}

/// The instant at which the clocks would have shown this time, had they not been moved.
fn skipped(local: NaiveDateTime, time_zone: Tz) -> Timestamp {
    use chrono::Offset as _;
    // The last local time before the skip tells how far the clocks were from UTC.
    let before = (1..=LONGEST_SKIP).find_map(|minutes| {
        let earlier = local.checked_sub_signed(TimeDelta::minutes(minutes))?;
        time_zone.offset_from_local_datetime(&earlier).latest()
    });
    let offset = before.map_or(0, |offset| offset.fix().local_minus_utc());
    let moved = local.checked_sub_signed(TimeDelta::seconds(i64::from(offset)));
    Utc.from_utc_datetime(&moved.unwrap_or(local))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(local: &str, zone: &str) -> (String, Reading) {
        let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%dT%H:%M").unwrap();
        let schedule = Schedule::of(local, zone.parse().unwrap());
        (schedule.at.to_rfc3339(), schedule.reading)
    }

    #[test]
    fn local_times_mean_instants() {
        for (local, zone, wanted, reading) in [
            ("2026-11-21T08:00", "Asia/Jakarta", "2026-11-21T01:00:00+00:00", Reading::Plain),
            ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:30:00+00:00", Reading::Skipped),
            ("2026-03-29T02:00", "Europe/Berlin", "2026-03-29T01:00:00+00:00", Reading::Skipped),
            ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00:00+00:00", Reading::Plain),
            ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00+00:00", Reading::First),
            ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30:00+00:00", Reading::First),
            ("2026-03-08T02:15", "America/New_York", "2026-03-08T07:15:00+00:00", Reading::Skipped),
            // Half an hour, and a whole day.
            (
                "2026-10-04T02:15",
                "Australia/Lord_Howe",
                "2026-10-03T15:45:00+00:00",
                Reading::Skipped,
            ),
            ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T22:00:00+00:00", Reading::Skipped),
        ] {
            assert_eq!(at(local, zone), (wanted.to_owned(), reading), "{local} {zone}");
        }
    }

    #[test]
    fn the_ends_of_time_are_instants_too() {
        for zone in [Tz::America__New_York, Tz::Asia__Jakarta, Tz::UTC] {
            for local in [NaiveDateTime::MIN, NaiveDateTime::MAX] {
                assert_eq!(Schedule::of(local, zone).local, local);
            }
        }
    }
}
