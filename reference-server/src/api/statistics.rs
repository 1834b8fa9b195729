//! What happened, in figures.

use chrono::{NaiveDate, Weekday};
use kabar::Platform;
use kabar::core::permission::ReadStatistics;
use kabar::core::{BroadcastId, DeviceId, Timestamp};
use kabar::insights::repo::CountFilter;
use kabar::insights::statistics::Failure;
use kabar::insights::{By, Figures, Group, Row, StatisticsQuery, Table, sheet};
use kabar::messaging::{Direction, Origin, Purpose};
use poem::http::{HeaderValue, header};
use poem::{IntoResponse, Response};
use poem_openapi::param::Query;
use poem_openapi::payload::{Json, Payload as _};
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type as _;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use super::Area;
use super::words::Word;
use crate::auth::{Anywhere, Auth, Place};
use crate::problem::Problem;

/// The day that weeks begin on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum WeekStart {
    /// As ISO 8601 has it.
    Monday,
    /// Sunday.
    Sunday,
    /// Saturday.
    Saturday,
}

impl From<WeekStart> for Weekday {
    fn from(start: WeekStart) -> Self {
        match start {
            WeekStart::Monday => Self::Mon,
            WeekStart::Sunday => Self::Sun,
            WeekStart::Saturday => Self::Sat,
        }
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum TableFormat {
    /// JSON.
    Json,
    /// Comma-separated values.
    Csv,
    /// A spreadsheet.
    Xlsx,
}

/// How many messages, and how far they got.
#[derive(Debug, Object)]
#[oai(rename = "Figures")]
pub struct FiguresView {
    /// Messages that came in.
    pub incoming: u64,
    /// Messages that were taken to be sent, or written on the business's own phone.
    pub outgoing: u64,
    /// Of these: they wait, are held, or are in hand.
    pub waiting: u64,
    /// The network took them, and nothing bad came after it.
    pub sent: u64,
    /// They reached the recipient's device.
    pub delivered: u64,
    /// They were read.
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
    /// Delivered of those that were tried (sent, failed or uncertain), 0 to 1; null without any.
    pub delivery_rate: Option<f64>,
    /// Read of those that were delivered, 0 to 1; null without any.
    pub read_rate: Option<f64>,
}

impl From<Figures> for FiguresView {
    fn from(figures: Figures) -> Self {
        Self {
            incoming: figures.incoming,
            outgoing: figures.outgoing,
            waiting: figures.waiting,
            sent: figures.sent,
            delivered: figures.delivered,
            read: figures.read,
            played: figures.played,
            failed: figures.failed,
            uncertain: figures.uncertain,
            cancelled: figures.cancelled,
            expired: figures.expired,
            delivery_rate: figures.delivery_rate(),
            read_rate: figures.read_rate(),
        }
    }
}

/// A row of statistics.
#[derive(Debug, Object)]
#[oai(rename = "StatisticsRow")]
pub struct RowView {
    /// The hour, day, week or month in words, like `2026-11-21` or `2026-W47`.
    pub period: String,
    /// When it begins.
    pub start: Timestamp,
    /// When the next one begins.
    pub end: Timestamp,
    /// The device, type, status … that the row is about; null when rows are not split.
    pub group: Option<String>,
    /// The figures.
    pub figures: FiguresView,
}

impl From<Row> for RowView {
    fn from(row: Row) -> Self {
        Self {
            period: row.period.label,
            start: row.period.start,
            end: row.period.end,
            group: row.group,
            figures: row.figures.into(),
        }
    }
}

/// Why messages failed.
#[derive(Debug, Object)]
#[oai(rename = "StatisticsFailure")]
pub struct FailureView {
    /// The code of the reason: the network's own, or a word of ours.
    pub reason: String,
    /// How many failed for it.
    pub count: u64,
}

impl From<Failure> for FailureView {
    fn from(failure: Failure) -> Self {
        Self { reason: failure.reason, count: failure.count }
    }
}

/// Statistics of messages.
#[derive(Debug, Object)]
#[oai(rename = "Statistics")]
pub struct StatisticsView {
    /// The first day.
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    /// The time zone whose days they are.
    pub time_zone: String,
    /// How long a row is.
    pub by: Word<By>,
    /// What rows are split by.
    pub group: Option<Word<Group>>,
    /// The rows, oldest first. Not split, every period has one; split, those with messages.
    pub rows: Vec<RowView>,
    /// The sums over all rows.
    pub totals: FiguresView,
    /// The reasons of what failed, the most frequent first, fifty at most.
    pub failures: Vec<FailureView>,
}

impl From<Table> for StatisticsView {
    fn from(table: Table) -> Self {
        Self {
            from: table.from,
            to: table.to,
            time_zone: table.time_zone.name().to_owned(),
            by: Word(table.by),
            group: table.group.map(Word),
            rows: table.rows.into_iter().map(RowView::from).collect(),
            totals: table.totals.into(),
            failures: table.failures.into_iter().map(FailureView::from).collect(),
        }
    }
}

/// Statistics, in the form that was asked for.
pub enum TableAnswer {
    /// JSON.
    View(Box<StatisticsView>),
    /// A file to save.
    File {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its media type.
        mime: &'static str,
        /// Its name.
        name: String,
    },
}

/// The media type of CSV (RFC 7111).
const CSV: &str = "text/csv; charset=utf-8";
/// The media type of a spreadsheet (ECMA-376).
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

impl TableAnswer {
    fn of(table: Table, format: TableFormat) -> Result<Self, Problem> {
        let (bytes, mime, end) = match format {
            TableFormat::Json => return Ok(Self::View(Box::new(table.into()))),
            TableFormat::Csv => (sheet::csv(&table), CSV, "csv"),
            TableFormat::Xlsx => (sheet::xlsx(&table), XLSX, "xlsx"),
        };
        let bytes = bytes.map_err(|error| Problem::internal(&error))?;
        Ok(Self::File { bytes, mime, name: format!("messages-{}-{}.{end}", table.from, table.to) })
    }
}

impl IntoResponse for TableAnswer {
    fn into_response(self) -> Response {
        let (bytes, mime, name) = match self {
            Self::View(view) => return Json(*view).into_response(),
            Self::File { bytes, mime, name } => (bytes, mime, name),
        };
        let name = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
        let mut response = Response::builder().content_type(mime).body(bytes);
        if let Ok(name) = name {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
        }
        response
    }
}

impl ApiResponse for TableAnswer {
    fn meta() -> MetaResponses {
        let binary = MetaSchema::new_with_format("string", "binary");
        let file = |content_type| MetaMediaType {
            content_type,
            schema: MetaSchemaRef::Inline(Box::new(binary.clone())),
        };
        let view = MetaMediaType {
            content_type: Json::<StatisticsView>::CONTENT_TYPE,
            schema: StatisticsView::schema_ref(),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The statistics, in the form that was asked for.",
                status: Some(200),
                status_range: None,
                content: vec![view, file("text/csv"), file(XLSX)],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        StatisticsView::register(registry);
    }
}

/// The operations.
pub struct StatisticsApi(pub Platform);

#[OpenApi(tag = "Area::Statistics")]
impl StatisticsApi {
    /// Count messages
    ///
    /// By hour, day, week or month of the account's time zone. A message belongs to the time when it
    /// was taken or written, whatever becomes of it later, so the figures of a row are about the same
    /// messages. What happens is counted within seconds. Needs `statistics:read`. For a provider
    /// without `Kabar-Account`: the messages of every account.
    #[oai(path = "/statistics/messages", method = "get", operation_id = "getMessageStatistics")]
    #[expect(clippy::too_many_arguments, reason = "one argument a parameter")]
    async fn messages(
        &self,
        Auth(may): Auth<Anywhere<ReadStatistics>>,
        /// The first day; thirty days up to the last one when absent.
        from: Query<Option<NaiveDate>>,
        /// The last day; today when absent.
        to: Query<Option<NaiveDate>>,
        /// How long a row is; a day when absent. At most 800 periods.
        by: Query<Option<Word<By>>>,
        /// What rows are split by.
        group: Query<Option<Word<Group>>>,
        /// The day that weeks begin on; Monday when absent.
        week_start: Query<Option<WeekStart>>,
        /// The IANA name of another time zone than the account's.
        #[oai(validator(min_length = 1, max_length = 64))]
        time_zone: Query<Option<String>>,
        /// Over this device.
        device: Query<Option<Word<DeviceId>>>,
        /// This way.
        direction: Query<Option<Word<Direction>>>,
        /// With this type of content, like `text`.
        #[oai(name = "type", validator(pattern = "^[a-z_]{1,40}$"))]
        kind: Query<Option<String>>,
        /// For this.
        purpose: Query<Option<Word<Purpose>>>,
        /// Made by this.
        origin: Query<Option<Word<Origin>>>,
        /// Of this broadcast.
        broadcast: Query<Option<Word<BroadcastId>>>,
        /// The form of the answer: `csv` and `xlsx` are files with a row of totals; JSON when absent.
        format: Query<Option<TableFormat>>,
    ) -> Result<TableAnswer, Problem> {
        let query = StatisticsQuery {
            from: from.0,
            to: to.0,
            by: by.0.map(|word| word.0).unwrap_or_default(),
            group: group.0.map(|word| word.0),
            week_start: week_start.0.map(Weekday::from),
            time_zone: zone(time_zone.0)?,
            filter: CountFilter {
                device: device.0.map(|word| word.0),
                direction: direction.0.map(|word| word.0),
                kind: kind.0,
                purpose: purpose.0.map(|word| word.0),
                origin: origin.0.map(|word| word.0),
                broadcast: broadcast.0.map(|word| word.0),
                ..CountFilter::default()
            },
        };
        let table = self.table(&may.place, &query).await?;
        TableAnswer::of(table, format.0.unwrap_or(TableFormat::Json))
    }
}

impl StatisticsApi {
    async fn table(
        &self,
        place: &Place<ReadStatistics>,
        query: &StatisticsQuery,
    ) -> Result<Table, Problem> {
        let statistics = self.0.statistics();
        Ok(match place {
            Place::Account(grant) => statistics.messages(grant, query).await?,
            Place::Provider(scope) => statistics.all_messages(*scope, query).await?,
        })
    }
}

fn zone(name: Option<String>) -> Result<Option<chrono_tz::Tz>, Problem> {
    let read = |name: String| {
        name.parse().map_err(|_| {
            Problem::invalid("time_zone", "must be the IANA name of a time zone, like Asia/Jakarta")
        })
    };
    name.map(read).transpose()
}
