//! Statistics as files: CSV and XLSX, with a row of totals.

use rust_xlsxwriter::{Format, Workbook, XlsxError};

use crate::statistics::{Figures, Group, Table};

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the file could not be written")]
pub struct SheetError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl From<csv::Error> for SheetError {
    fn from(error: csv::Error) -> Self {
        Self(Box::new(error))
    }
}

impl From<XlsxError> for SheetError {
    fn from(error: XlsxError) -> Self {
        Self(Box::new(error))
    }
}

/// The names of the figures' columns.
const FIGURES: [&str; 13] = [
    "incoming",
    "outgoing",
    "waiting",
    "sent",
    "delivered",
    "read",
    "played",
    "failed",
    "uncertain",
    "cancelled",
    "expired",
    "delivery_rate",
    "read_rate",
];

fn counts(figures: &Figures) -> [u64; 11] {
    [
        figures.incoming,
        figures.outgoing,
        figures.waiting,
        figures.sent,
        figures.delivered,
        figures.read,
        figures.played,
        figures.failed,
        figures.uncertain,
        figures.cancelled,
        figures.expired,
    ]
}

fn rates(figures: &Figures) -> [Option<f64>; 2] {
    [figures.delivery_rate(), figures.read_rate()]
}

/// A table's rows with their labels, and the row of totals.
fn lines(table: &Table) -> impl Iterator<Item = (Vec<String>, &Figures)> {
    let grouped = table.group.is_some();
    let label = move |period: &str, group: &str| {
        let mut labels = vec![plain(period)];
        labels.extend(grouped.then(|| plain(group)));
        labels
    };
    let rows = table.rows.iter().map(move |row| {
        let group = row.group.as_deref().unwrap_or_default();
        (label(&row.period.label, group), &row.figures)
    });
    rows.chain(std::iter::once((label("total", ""), &table.totals)))
}

fn header(table: &Table) -> Vec<&'static str> {
    let mut names = vec!["period"];
    names.extend(table.group.map(Group::as_str));
    names.extend(FIGURES);
    names
}

/// The table as CSV (RFC 4180), UTF-8.
///
/// # Errors
/// [`SheetError`].
pub fn csv(table: &Table) -> Result<Vec<u8>, SheetError> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(header(table))?;
    for (labels, figures) in lines(table) {
        let counts = counts(figures).into_iter().map(|count| count.to_string());
        let rates = rates(figures)
            .into_iter()
            .map(|rate| rate.map(|rate| format!("{rate:.4}")).unwrap_or_default());
        writer.write_record(labels.into_iter().chain(counts).chain(rates))?;
    }
    writer.into_inner().map_err(|error| SheetError(error.into_error().into()))
}

/// The table as a sheet of XLSX.
///
/// # Errors
/// [`SheetError`].
pub fn xlsx(table: &Table) -> Result<Vec<u8>, SheetError> {
    let bold = Format::new().set_bold();
    let percent = Format::new().set_num_format("0.0%");
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (column, name) in (0_u16..).zip(header(table)) {
        sheet.write_string_with_format(0, column, name, &bold)?;
    }
    for (row, (labels, figures)) in (1_u32..).zip(lines(table)) {
        let mut column = 0;
        for label in labels {
            sheet.write_string(row, column, label)?;
            column += 1;
        }
        for count in counts(figures) {
            sheet.write_number(row, column, number(count))?;
            column += 1;
        }
        for rate in rates(figures) {
            if let Some(rate) = rate {
                sheet.write_number_with_format(row, column, rate, &percent)?;
            }
            column += 1;
        }
    }
    sheet.set_freeze_panes(1, 0)?;
    Ok(book.save_to_buffer()?)
}

#[expect(clippy::cast_precision_loss, reason = "a spreadsheet knows no other numbers")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// Text that a spreadsheet takes as text: what it would take for a formula begins with an
/// apostrophe.
pub fn plain(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    }
}
