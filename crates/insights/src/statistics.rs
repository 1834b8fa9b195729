//! Sums of the counts, in a time zone.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{Days, NaiveDate, Weekday};
use chrono_tz::Tz;
use kabar_core::permission::ReadStatistics;
use kabar_core::{Clock, Grant, InstallationScope, Store, StoreError, Timestamp};
use kabar_messaging::Direction;

use crate::period::{By, Period, periods};
use crate::repo::{CountFilter, InsightsWork, Reach, Sum, SumRepo};
use crate::tally::Mark;

/// Days of a table when nothing is said.
const USUAL_DAYS: u64 = 30;
/// Periods of a table, at most: the hours of a month, the days of two years.
const MOST_PERIODS: usize = 800;
/// Days of a table, at most.
const MOST_DAYS: i64 = 3_700;
/// Sums that a table is made of, at most.
const MOST_SUMS: u32 = 50_000;
/// Reasons of failures that are told, the most frequent first.
const MOST_REASONS: usize = 50;

/// Why there are no statistics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatisticsError {
    /// A field cannot be taken.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field, as the API calls it.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The account is gone.
    #[error("no such account")]
    NoSuchAccount,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the rows of a table are split by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Group {
    /// The device.
    Device,
    /// The kind of content.
    Type,
    /// The status now.
    Status,
    /// Which way.
    Direction,
    /// The broadcast; what belongs to none is left out.
    Broadcast,
    /// Who made it.
    Origin,
    /// What it is for.
    Purpose,
    /// The reason of the failure or the doubt; what neither failed nor is in doubt is left out.
    Reason,
    /// The account; for the provider.
    Account,
}

impl Group {
    /// Every group.
    pub const ALL: &'static [Self] = &[
        Self::Device,
        Self::Type,
        Self::Status,
        Self::Direction,
        Self::Broadcast,
        Self::Origin,
        Self::Purpose,
        Self::Reason,
        Self::Account,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Type => "type",
            Self::Status => "status",
            Self::Direction => "direction",
            Self::Broadcast => "broadcast",
            Self::Origin => "origin",
            Self::Purpose => "purpose",
            Self::Reason => "reason",
            Self::Account => "account",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatisticsQuery {
    /// The first day; thirty days up to the last one when absent.
    pub from: Option<NaiveDate>,
    /// The last day; today when absent.
    pub to: Option<NaiveDate>,
    /// How long a row is.
    pub by: By,
    /// What rows are split by.
    pub group: Option<Group>,
    /// The day that weeks begin on; Monday (ISO 8601) when absent.
    pub week_start: Option<Weekday>,
    /// The time zone; the account's own when absent, UTC for the provider.
    pub time_zone: Option<Tz>,
    /// Which messages.
    pub filter: CountFilter,
}

/// How many messages, and how far they got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages that came in.
    pub incoming: u64,
    /// Messages that we took to send, or wrote on our own phone: the sum of what follows.
    pub outgoing: u64,
    /// Of these, the ones that wait, are held or are in hand.
    pub waiting: u64,
    /// The network took them, and nothing bad came after it; what was delivered was sent.
    pub sent: u64,
    /// They reached the recipient's device; what was read was delivered.
    pub delivered: u64,
    /// They were read; what was played was read.
    pub read: u64,
    /// They were played.
    pub played: u64,
    /// They will not arrive.
    pub failed: u64,
    /// Nobody knows whether they were sent.
    pub uncertain: u64,
    /// They were cancelled.
    pub cancelled: u64,
    /// Their time ran out.
    pub expired: u64,
}

impl Figures {
    /// Delivered of those that were tried (sent, failed or uncertain), 0 to 1.
    pub fn delivery_rate(&self) -> Option<f64> {
        rate(self.delivered, self.sent + self.failed + self.uncertain)
    }

    /// Read of those that were delivered, 0 to 1. Recipients can switch read receipts off.
    pub fn read_rate(&self) -> Option<f64> {
        rate(self.read, self.delivered)
    }

    fn add(&mut self, sum: &Sum) {
        let count = u64::try_from(sum.count).unwrap_or_default();
        if sum.direction == Direction::In {
            self.incoming += count;
            return;
        }
        self.outgoing += count;
        for figure in self.reached(sum.mark) {
            *figure += count;
        }
    }

    /// The figures that a message of this status belongs to.
    fn reached(&mut self, mark: Mark) -> Vec<&mut u64> {
        match mark {
            Mark::Received => Vec::new(),
            Mark::Waiting => vec![&mut self.waiting],
            Mark::Sent => vec![&mut self.sent],
            Mark::Delivered => vec![&mut self.sent, &mut self.delivered],
            Mark::Read => vec![&mut self.sent, &mut self.delivered, &mut self.read],
            Mark::Played => {
                vec![&mut self.sent, &mut self.delivered, &mut self.read, &mut self.played]
            }
            Mark::Failed => vec![&mut self.failed],
            Mark::Uncertain => vec![&mut self.uncertain],
            Mark::Cancelled => vec![&mut self.cancelled],
            Mark::Expired => vec![&mut self.expired],
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate of more than 2^53 messages may be rounded")]
fn rate(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its period.
    pub period: Period,
    /// Its group.
    pub group: Option<String>,
    /// Its figures.
    pub figures: Figures,
}

/// Why messages failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code of the reason: the network's own, or a word of ours.
    pub reason: String,
    /// How many failed for it.
    pub count: u64,
}

/// Statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// How long a row is.
    pub by: By,
    /// What rows are split by.
    pub group: Option<Group>,
    /// Whose days they are.
    pub time_zone: Tz,
    /// The rows, oldest first. Ungrouped every period has one, grouped those with messages.
    pub rows: Vec<Row>,
    /// The sums over all rows.
    pub totals: Figures,
    /// The reasons of what failed, the most frequent first, fifty at most.
    pub failures: Vec<Failure>,
}

/// Statistics of tenants.
#[derive(Clone)]
pub struct Statistics {
    store: Arc<dyn Store<dyn InsightsWork>>,
    clock: Arc<dyn Clock>,
}

impl Statistics {
    /// The service over a store.
    pub fn new(store: Arc<dyn Store<dyn InsightsWork>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// An account's messages.
    ///
    /// # Errors
    /// [`StatisticsError`].
    pub async fn messages(
        &self,
        grant: &Grant<ReadStatistics>,
        query: &StatisticsQuery,
    ) -> Result<Table, StatisticsError> {
        let work = self.store.read().await?;
        let account = work.account(grant.scope()).get().await?;
        let own = account.ok_or(StatisticsError::NoSuchAccount)?.time_zone;
        if query.group == Some(Group::Account) {
            return Err(invalid("group", "`account` is for the provider, over all accounts"));
        }
        let tz = query.time_zone.unwrap_or(own);
        self.table(&mut *work.sums(Reach::Account(grant.scope())), query, tz).await
    }

    /// The messages of every account. The scope comes from `grant_installation::<ReadStatistics>`.
    ///
    /// # Errors
    /// [`StatisticsError`].
    pub async fn all_messages(
        &self,
        scope: InstallationScope,
        query: &StatisticsQuery,
    ) -> Result<Table, StatisticsError> {
        let work = self.store.read().await?;
        let tz = query.time_zone.unwrap_or(Tz::UTC);
        self.table(&mut *work.sums(Reach::Installation(scope)), query, tz).await
    }

    async fn table(
        &self,
        repo: &mut (dyn SumRepo + '_),
        query: &StatisticsQuery,
        tz: Tz,
    ) -> Result<Table, StatisticsError> {
        let (from, to) = self.days(query, tz)?;
        let first = query.week_start.unwrap_or(Weekday::Mon);
        let periods = periods(tz, from, to, query.by, first);
        if periods.len() > MOST_PERIODS {
            let problem = format!(
                "asks for {} rows of time; ask for at most {MOST_PERIODS}, or for longer ones",
                periods.len()
            );
            return Err(invalid("from", problem));
        }
        let sums = repo.sums(&query.filter, &periods, query.group, MOST_SUMS).await?;
        if sums.len() >= MOST_SUMS as usize {
            let problem = "makes too many rows; ask for fewer days or longer rows";
            return Err(invalid("group", problem));
        }
        let failures = failures(repo, query, &periods).await?;
        let mut totals = Figures::default();
        for sum in &sums {
            totals.add(sum);
        }
        let rows = rows(sums, &periods, query.group.is_some());
        let (by, group) = (query.by, query.group);
        Ok(Table { from, to, by, group, time_zone: tz, rows, totals, failures })
    }

    fn days(
        &self,
        query: &StatisticsQuery,
        tz: Tz,
    ) -> Result<(NaiveDate, NaiveDate), StatisticsError> {
        let to = query.to.unwrap_or_else(|| self.clock.now().with_timezone(&tz).date_naive());
        let usual = to.checked_sub_days(Days::new(USUAL_DAYS - 1)).unwrap_or(to);
        let from = query.from.unwrap_or(usual);
        let earliest = Timestamp::UNIX_EPOCH.date_naive();
        let latest = NaiveDate::from_ymd_opt(9999, 12, 30).unwrap_or(NaiveDate::MAX);
        for (field, day) in [("to", to), ("from", from)] {
            if day < earliest || day > latest {
                return Err(invalid(field, "must be a day between 1970 and 9999"));
            }
        }
        if from > to {
            return Err(invalid("from", "must not be after `to`"));
        }
        if (to - from).num_days() >= MOST_DAYS {
            return Err(invalid("from", "is too far away; ask for ten years at most"));
        }
        Ok((from, to))
    }
}

fn invalid(field: &'static str, problem: impl Into<String>) -> StatisticsError {
    StatisticsError::Invalid { field, problem: problem.into() }
}

async fn failures(
    repo: &mut (dyn SumRepo + '_),
    query: &StatisticsQuery,
    periods: &[Period],
) -> Result<Vec<Failure>, StatisticsError> {
    let (Some(first), Some(last)) = (periods.first(), periods.last()) else {
        return Ok(Vec::new());
    };
    let whole = Period { start: first.start, end: last.end, label: String::new() };
    let filter = CountFilter { mark: Some(Mark::Failed), ..query.filter.clone() };
    let sums = repo.sums(&filter, &[whole], Some(Group::Reason), MOST_SUMS).await?;
    let mut failures: Vec<Failure> = sums
        .into_iter()
        .map(|sum| Failure {
            reason: sum.group,
            count: u64::try_from(sum.count).unwrap_or_default(),
        })
        .collect();
    failures.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reason.cmp(&b.reason)));
    failures.truncate(MOST_REASONS);
    Ok(failures)
}

fn rows(sums: Vec<Sum>, periods: &[Period], grouped: bool) -> Vec<Row> {
    let mut figures: BTreeMap<(usize, String), Figures> = BTreeMap::new();
    if !grouped {
        figures.extend((0..periods.len()).map(|n| ((n, String::new()), Figures::default())));
    }
    for sum in sums {
        let place = (sum.period, sum.group.clone());
        figures.entry(place).or_default().add(&sum);
    }
    figures
        .into_iter()
        .filter_map(|((period, group), figures)| {
            let period = periods.get(period)?.clone();
            Some(Row { period, group: grouped.then_some(group), figures })
        })
        .collect()
}
