//! Counts, and their sums in any time zone.

use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use kabar_accounts::AccountPatch;
use kabar_core::{AccountId, DeviceId, Store, Timestamp};
use kabar_insights::repo::CountFilter;
use kabar_insights::tally::{Key, Mark, bucket};
use kabar_insights::{
    By, Group, InsightsWork, Statistics, StatisticsError, StatisticsQuery, Table, sheet,
};
use kabar_messaging::{Direction, Purpose};

use crate::accounts::{grant, provider};
use crate::road::Road;

type Counts = Arc<dyn Store<dyn InsightsWork>>;

pub(super) async fn contract(road: &Road, counts: Counts) {
    let statistics = Statistics::new(Arc::clone(&counts), road.fleet.tenancy.clock.clone());
    let suite = Suite { road, counts, statistics };
    suite.days_follow_the_zone_of_the_account().await;
    suite.groups_and_filters().await;
    suite.a_tenant_sees_its_own().await;
    suite.counts_that_came_down_to_zero_go().await;
    suite.what_cannot_be_asked_for().await;
}

struct Suite<'a> {
    road: &'a Road,
    counts: Counts,
    statistics: Statistics,
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(account: AccountId, device: DeviceId, at: Timestamp, mark: Mark) -> Key {
    let direction = if mark == Mark::Received { Direction::In } else { Direction::Out };
    Key {
        account,
        bucket: bucket(at),
        device,
        direction: direction.to_string(),
        kind: "text".to_owned(),
        purpose: "service".to_owned(),
        origin: "api".to_owned(),
        broadcast: String::new(),
        mark,
        reason: String::new(),
    }
}

impl Suite<'_> {
    async fn add(&self, deltas: &[(Key, i64)]) {
        let work = self.counts.begin().await.unwrap();
        work.tallies(provider()).add(deltas).await.unwrap();
        work.commit().await.unwrap();
    }

    async fn ask(&self, query: &StatisticsQuery) -> Table {
        self.statistics.messages(&grant(self.road.account), query).await.unwrap()
    }

    async fn zone(&self, name: &str) {
        let patch = AccountPatch { time_zone: Some(name.to_owned()), ..AccountPatch::default() };
        let accounts = &self.road.fleet.tenancy.accounts;
        accounts.update(provider(), self.road.account, patch).await.unwrap();
    }

    /// Two messages around midnight in Nepal, 5:45 ahead of UTC, and one on the day that Berlin's
    /// summer time ends, in the hour that comes twice.
    async fn days_follow_the_zone_of_the_account(&self) {
        let one = |time: &str| (key(self.road.account, self.road.device, at(time), Mark::Sent), 1);
        self.add(&[
            one("2026-03-09T18:14:59Z"),
            one("2026-03-09T18:15:00Z"),
            one("2026-10-24T22:00:00Z"),
            one("2026-10-25T00:30:00Z"),
            one("2026-10-25T01:30:00Z"),
            one("2026-10-25T22:59:59Z"),
            one("2026-10-25T23:00:00Z"),
        ])
        .await;
        let sent = |table: &Table| -> Vec<(String, u64)> {
            let rows = table.rows.iter().filter(|row| row.figures.sent > 0);
            rows.map(|row| (row.period.label.clone(), row.figures.sent)).collect()
        };
        let of = |from: &str, to: &str, by| StatisticsQuery {
            from: Some(day(from)),
            to: Some(day(to)),
            by,
            ..StatisticsQuery::default()
        };
        let march = of("2026-03-01", "2026-03-31", By::Day);
        self.zone("Asia/Kathmandu").await;
        let table = self.ask(&march).await;
        assert_eq!((table.time_zone, table.rows.len()), (Tz::Asia__Kathmandu, 31));
        let days = [("2026-03-09".to_owned(), 1), ("2026-03-10".to_owned(), 1)];
        assert_eq!(sent(&table), days);
        // The same messages are another day's when the account moves.
        self.zone("UTC").await;
        assert_eq!(sent(&self.ask(&march).await), [("2026-03-09".to_owned(), 2)]);
        self.zone("Europe/Berlin").await;
        let autumn = of("2026-10-25", "2026-10-25", By::Day);
        assert_eq!(sent(&self.ask(&autumn).await), [("2026-10-25".to_owned(), 4)]);
        let hours = sent(&self.ask(&StatisticsQuery { by: By::Hour, ..autumn }).await);
        let twice = hours.iter().filter(|(label, _)| label.contains("T02:00"));
        assert_eq!(twice.count(), 2, "{hours:?}");
        let months = sent(&self.ask(&of("2026-01-01", "2026-12-31", By::Month)).await);
        assert_eq!(months, [("2026-03".to_owned(), 2), ("2026-10".to_owned(), 5)]);
        let weeks = sent(&self.ask(&of("2026-10-19", "2026-10-26", By::Week)).await);
        assert_eq!(weeks, [("2026-W43".to_owned(), 4), ("2026-W44".to_owned(), 1)]);
        self.zone("UTC").await;
    }

    async fn groups_and_filters(&self) {
        let (account, device, second) = (self.road.account, self.road.device, self.road.second);
        let when = at("2026-05-05T12:00:00Z");
        let broadcast: kabar_core::BroadcastId = self.road.id();
        let failed = |reason: &str| Key {
            reason: reason.to_owned(),
            ..key(account, device, when, Mark::Failed)
        };
        let of_broadcast = Key {
            broadcast: broadcast.to_string(),
            purpose: "marketing".to_owned(),
            ..key(account, second, when, Mark::Read)
        };
        self.add(&[
            (key(account, device, when, Mark::Received), 5),
            (key(account, device, when, Mark::Waiting), 1),
            (key(account, device, when, Mark::Delivered), 3),
            (failed("131026"), 2),
            (failed("131049"), 1),
            (of_broadcast, 4),
        ])
        .await;
        let total = StatisticsQuery {
            from: Some(day("2026-05-05")),
            to: Some(day("2026-05-05")),
            by: By::Total,
            ..StatisticsQuery::default()
        };
        let table = self.ask(&total).await;
        let all = table.totals;
        assert_eq!((all.incoming, all.outgoing, all.waiting), (5, 11, 1));
        assert_eq!((all.sent, all.delivered, all.read, all.failed), (7, 7, 4, 3));
        assert_eq!(all.delivery_rate(), Some(0.7));
        assert_eq!(all.read_rate(), Some(4.0 / 7.0));
        let reasons: Vec<_> = table.failures.iter().map(|f| (f.reason.as_str(), f.count)).collect();
        assert_eq!(reasons, [("131026", 2), ("131049", 1)]);
        for (group, expected) in [
            (Group::Device, vec![(device.to_string(), 12), (second.to_string(), 4)]),
            (Group::Direction, vec![("in".to_owned(), 5), ("out".to_owned(), 11)]),
            (Group::Broadcast, vec![(broadcast.to_string(), 4)]),
            (Group::Reason, vec![("131026".to_owned(), 2), ("131049".to_owned(), 1)]),
            (Group::Purpose, vec![("marketing".to_owned(), 4), ("service".to_owned(), 12)]),
            (Group::Type, vec![("text".to_owned(), 16)]),
            (Group::Origin, vec![("api".to_owned(), 16)]),
        ] {
            let query = StatisticsQuery { group: Some(group), ..total.clone() };
            let rows = self.ask(&query).await.rows.into_iter();
            let mut rows: Vec<(String, u64)> = rows
                .map(|row| (row.group.unwrap(), row.figures.incoming + row.figures.outgoing))
                .collect();
            rows.sort();
            let mut expected = expected;
            expected.sort();
            assert_eq!(rows, expected, "{group:?}");
        }
        let filter = CountFilter {
            broadcast: Some(broadcast),
            device: Some(second),
            direction: Some(Direction::Out),
            purpose: Some(Purpose::Marketing),
            kind: Some("text".to_owned()),
            ..CountFilter::default()
        };
        let filtered = StatisticsQuery { filter, group: Some(Group::Status), ..total };
        let table = self.ask(&filtered).await;
        assert_eq!((table.totals.outgoing, table.rows[0].group.as_deref()), (4, Some("read")));
        let csv = String::from_utf8(sheet::csv(&table).unwrap()).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("period,status,incoming,outgoing,"), "{csv}");
        assert_eq!(lines[1], "2026-05-05/2026-05-05,read,0,4,0,4,4,4,0,0,0,0,0,1.0000,1.0000");
        assert_eq!(lines[2], "total,,0,4,0,4,4,4,0,0,0,0,0,1.0000,1.0000");
        assert!(sheet::xlsx(&table).unwrap().starts_with(b"PK"));
    }

    async fn a_tenant_sees_its_own(&self) {
        let when = at("2026-05-05T12:00:00Z");
        let other = self.road.other;
        self.add(&[(key(other, self.road.id(), when, Mark::Sent), 100)]).await;
        let query = StatisticsQuery {
            from: Some(day("2026-05-01")),
            to: Some(day("2026-05-31")),
            group: Some(Group::Device),
            by: By::Total,
            ..StatisticsQuery::default()
        };
        assert_eq!(self.ask(&query).await.totals.outgoing, 11);
        let theirs = self.statistics.messages(&grant(other), &query).await.unwrap();
        assert_eq!((theirs.rows.len(), theirs.totals.outgoing), (1, 100));
        let foreign = CountFilter { device: Some(self.road.device), ..CountFilter::default() };
        let foreign = StatisticsQuery { filter: foreign, ..query.clone() };
        let none = self.statistics.messages(&grant(other), &foreign).await.unwrap();
        assert_eq!((none.rows.len(), none.totals.outgoing), (0, 0));
        let everybody = StatisticsQuery { group: Some(Group::Account), ..query };
        let all = self.statistics.all_messages(provider(), &everybody).await.unwrap();
        assert_eq!((all.rows.len(), all.totals.outgoing), (2, 111));
    }

    async fn counts_that_came_down_to_zero_go(&self) {
        let old = key(self.road.account, self.road.device, at("2026-06-06T00:00:00Z"), Mark::Sent);
        self.add(&[(old.clone(), 3)]).await;
        self.add(&[(old, -3)]).await;
        let work = self.counts.begin().await.unwrap();
        let mut tallies = work.tallies(provider());
        let before = tallies.all().await.unwrap();
        assert_eq!(tallies.sweep(10).await.unwrap(), 1);
        assert_eq!(tallies.sweep(10).await.unwrap(), 0);
        assert_eq!(tallies.all().await.unwrap().len(), before.len());
    }

    async fn what_cannot_be_asked_for(&self) {
        let now = self.road.now().date_naive();
        let early = now.checked_sub_signed(TimeDelta::days(400)).unwrap();
        let usual = StatisticsQuery::default();
        for (field, query) in [
            ("from", StatisticsQuery { from: Some(now), to: Some(early), ..usual.clone() }),
            ("from", StatisticsQuery { from: Some(early), by: By::Hour, ..usual.clone() }),
            ("from", StatisticsQuery { from: Some(day("1970-01-01")), ..usual.clone() }),
            ("to", StatisticsQuery { to: Some(NaiveDate::MAX), ..usual.clone() }),
            ("group", StatisticsQuery { group: Some(Group::Account), ..usual.clone() }),
        ] {
            let asked = self.statistics.messages(&grant(self.road.account), &query).await;
            match asked {
                Err(StatisticsError::Invalid { field: found, .. }) => assert_eq!(found, field),
                other => assert!(other.is_err(), "{query:?}"),
            }
        }
        // Thirty days up to today.
        assert_eq!(self.ask(&usual).await.rows.len(), 30);
    }
}
