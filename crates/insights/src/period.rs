//! Hours, days, weeks and months of a time zone.

use chrono::{
    DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
};
use chrono::{MappedLocalTime, Timelike as _, Weekday};
use chrono_tz::Tz;
use kabar_core::Timestamp;

/// How long a row of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum By {
    /// An hour of the clock.
    Hour,
    /// A day.
    #[default]
    Day,
    /// Seven days from the first day of the week.
    Week,
    /// A month of the calendar.
    Month,
    /// Everything that was asked for in one.
    Total,
}

impl By {
    /// Every length.
    pub const ALL: &'static [Self] = &[Self::Hour, Self::Day, Self::Week, Self::Month, Self::Total];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

/// A stretch of time: from its start to before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// When it begins.
    pub start: Timestamp,
    /// When the next one begins.
    pub end: Timestamp,
    /// What it is called in its time zone: `2026-11-21T13:00+07:00`, `2026-11-21`, `2026-W47`,
    /// `2026-11`.
    pub label: String,
}

/// The periods that make up the days `from` to `to`, both included. The first and the last are cut
/// off where the days end.
pub fn periods(tz: Tz, from: NaiveDate, to: NaiveDate, by: By, first: Weekday) -> Vec<Period> {
    let end = midnight(tz, after(to));
    if by == By::Hour {
        return hours(tz, midnight(tz, from), end);
    }
    let mut periods = Vec::new();
    let mut day = from;
    while day <= to {
        let next = match by {
            By::Week => next_week(day, first),
            By::Month => next_month(day),
            By::Total => after(to),
            _ => after(day),
        };
        let start = midnight(tz, day);
        let end = midnight(tz, next).min(end);
        periods.push(Period { start, end, label: label(day, to, by, first) });
        day = next;
    }
    periods
}

fn after(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX)
}

fn next_week(day: NaiveDate, first: Weekday) -> NaiveDate {
    let next = after(day);
    next.checked_add_days(Days::new(u64::from((7 - next.weekday().days_since(first)) % 7)))
        .unwrap_or(NaiveDate::MAX)
}

fn next_month(day: NaiveDate) -> NaiveDate {
    let first = day.with_day(1).unwrap_or(day);
    first.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX)
}

fn label(day: NaiveDate, to: NaiveDate, by: By, first: Weekday) -> String {
    match by {
        By::Week if first == Weekday::Mon => day.format("%G-W%V").to_string(),
        By::Month => day.format("%Y-%m").to_string(),
        By::Total => format!("{day}/{to}"),
        _ => day.to_string(),
    }
}

/// When a day begins: at its first moment, where midnight is skipped or comes twice.
fn midnight(tz: Tz, day: NaiveDate) -> Timestamp {
    let mut local = NaiveDateTime::new(day, NaiveTime::MIN);
    // Where the clock is put forward over midnight the day begins later; a whole day was skipped
    // where the date line moved.
    for _ in 0..200 {
        match local.and_local_timezone(tz) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => {
                return at.to_utc();
            }
            MappedLocalTime::None => local += TimeDelta::minutes(15),
        }
    }
    local.and_utc()
}

fn hours(tz: Tz, from: Timestamp, to: Timestamp) -> Vec<Period> {
    let mut periods = Vec::new();
    let mut start = from;
    while start < to {
        let local = start.with_timezone(&tz);
        let end = next_hour(&local).min(to);
        let label = local.format("%Y-%m-%dT%H:%M%:z").to_string();
        periods.push(Period { start, end, label });
        start = end;
    }
    periods
}

/// The next full hour of the clock on the wall.
fn next_hour(local: &DateTime<Tz>) -> Timestamp {
    let gone = i64::from(local.minute()) * 60 + i64::from(local.second());
    local.to_utc() + TimeDelta::seconds(3_600 - gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn of(tz: Tz, from: &str, to: &str, by: By) -> Vec<(String, String, i64)> {
        periods(tz, day(from), day(to), by, Weekday::Mon)
            .into_iter()
            .map(|p| {
                let minutes = (p.end - p.start).num_minutes();
                (p.label, p.start.format("%m-%dT%H:%M").to_string(), minutes)
            })
            .collect()
    }

    fn check(tz: Tz, from: &str, to: &str, by: By, expected: &[(&str, &str, i64)]) {
        let expected: Vec<_> =
            expected.iter().map(|(l, s, m)| ((*l).to_owned(), (*s).to_owned(), *m)).collect();
        assert_eq!(of(tz, from, to, by), expected);
    }

    #[test]
    fn days_have_the_hours_that_their_zone_gives_them() {
        // Summer time ends: 25 hours.
        let berlin = [("2026-10-25", "10-24T22:00", 1_500), ("2026-10-26", "10-25T23:00", 1_440)];
        check(Tz::Europe__Berlin, "2026-10-25", "2026-10-26", By::Day, &berlin);
        // Nepal is 5:45 ahead.
        check(
            Tz::Asia__Kathmandu,
            "2026-01-01",
            "2026-01-01",
            By::Day,
            &[("2026-01-01", "12-31T18:15", 1_440)],
        );
        // Cairo skips midnight itself.
        check(
            Tz::Africa__Cairo,
            "2026-04-24",
            "2026-04-24",
            By::Day,
            &[("2026-04-24", "04-23T22:00", 1_380)],
        );
        // Samoa had no 30 December 2011.
        let samoa = [("2011-12-30", "12-30T10:00", 0), ("2011-12-31", "12-30T10:00", 1_440)];
        check(Tz::Pacific__Apia, "2011-12-30", "2011-12-31", By::Day, &samoa);
    }

    #[test]
    fn weeks_and_months_are_cut_off_where_the_days_end() {
        let weeks = [
            ("2026-W01", "01-01T00:00", 4 * 1_440),
            ("2026-W02", "01-05T00:00", 7 * 1_440),
            ("2026-W03", "01-12T00:00", 1_440),
        ];
        check(Tz::UTC, "2026-01-01", "2026-01-12", By::Week, &weeks);
        let months = [("2026-01", "01-31T00:00", 1_440), ("2026-02", "02-01T00:00", 2 * 1_440)];
        check(Tz::UTC, "2026-01-31", "2026-02-02", By::Month, &months);
        let total = [("2026-01-31/2026-02-02", "01-31T00:00", 3 * 1_440)];
        check(Tz::UTC, "2026-01-31", "2026-02-02", By::Total, &total);
    }

    #[test]
    fn a_week_may_begin_on_sunday() {
        let found = periods(Tz::UTC, day("2026-11-20"), day("2026-11-23"), By::Week, Weekday::Sun);
        let labels: Vec<_> = found.iter().map(|p| p.label.as_str()).collect();
        assert_eq!(labels, ["2026-11-20", "2026-11-22"]);
    }

    #[test]
    fn hours_follow_the_clock_on_the_wall() {
        let berlin = of(Tz::Europe__Berlin, "2026-10-25", "2026-10-25", By::Hour);
        assert_eq!(berlin.len(), 25);
        assert_eq!(berlin[2].0, "2026-10-25T02:00+02:00");
        assert_eq!(berlin[3].0, "2026-10-25T02:00+01:00");
        // Lord Howe moves by half an hour: one hour has thirty minutes, and the rest are whole.
        let howe = of(Tz::Australia__Lord_Howe, "2026-10-04", "2026-10-04", By::Hour);
        let all: i64 = howe.iter().map(|(_, _, minutes)| minutes).sum();
        assert_eq!(all, 24 * 60 - 30);
        let last = howe.last().expect("hours");
        assert_eq!((last.0.as_str(), last.2), ("2026-10-04T23:00+11:00", 60));
    }

    #[test]
    fn periods_touch_and_never_overlap() {
        for tz in
            [Tz::Europe__Berlin, Tz::Asia__Jakarta, Tz::Pacific__Chatham, Tz::America__Santiago]
        {
            for by in By::ALL {
                let found = periods(tz, day("2026-01-01"), day("2026-12-31"), *by, Weekday::Mon);
                assert!(found.windows(2).all(|pair| pair[0].end == pair[1].start), "{tz} {by:?}");
            }
        }
    }
}
