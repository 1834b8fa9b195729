//! Rows as the bytes of a file.

use bytes::Bytes;
use rust_xlsxwriter::{Workbook, XlsxError};

use crate::formula::guarded;
use crate::source::Cell;

/// The most rows of a spreadsheet: it is put together in memory.
pub(crate) const XLSX_ROWS: usize = 100_000;
/// The most characters of a cell in Excel ("Excel specifications and limits").
const XLSX_CELL: usize = 32_767;
/// UTF-8's byte order mark, without which Excel reads CSV in the system's own encoding.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A part of a CSV file; the first one has byte order mark and header.
pub fn csv_part(columns: &[String], rows: &[Vec<Cell>], first: bool) -> Bytes {
    let mut bytes = if first { MARK.to_vec() } else { Vec::new() };
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(&mut bytes);
    // Writing to memory cannot fail, and every row has the columns of the header.
    if first {
        let _ = writer.write_record(columns.iter().map(|name| guarded(name).into_owned()));
    }
    for row in rows {
        let _ = writer.write_record(row.iter().map(text));
    }
    let _ = writer.flush();
    drop(writer);
    Bytes::from(bytes)
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => guarded(text).into_owned(),
        Cell::Plain(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Json(value) => guarded(&value.to_string()).into_owned(),
    }
}

/// A part of a JSON file: an array of objects over all parts.
pub(crate) fn json_part(columns: &[String], rows: &[Vec<Cell>], before: bool) -> Bytes {
    let mut bytes = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        bytes.extend_from_slice(if index == 0 && !before { b"[\n" } else { b",\n" });
        let object: serde_json::Map<String, serde_json::Value> =
            columns.iter().zip(row).map(|(name, cell)| (name.clone(), json(cell))).collect();
        bytes.extend_from_slice(serde_json::Value::Object(object).to_string().as_bytes());
    }
    Bytes::from(bytes)
}

/// What ends a JSON file.
pub(crate) fn json_end(any: bool) -> Bytes {
    Bytes::from_static(if any { b"\n]\n" } else { b"[]\n" })
}

fn json(cell: &Cell) -> serde_json::Value {
    use serde_json::Value;
    match cell {
        Cell::Empty => Value::Null,
        Cell::Text(text) | Cell::Plain(text) => Value::String(text.clone()),
        Cell::Number(number) => Value::from(*number),
        Cell::Json(value) => value.clone(),
    }
}

/// A whole spreadsheet. Texts are written as texts, so nothing has to be guarded.
pub(crate) fn xlsx(columns: &[String], rows: &[Vec<Cell>]) -> Result<Bytes, XlsxError> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, name) in (0_u16..).zip(columns) {
        sheet.write_string(0, column, name)?;
    }
    for (line, row) in (1_u32..).zip(rows) {
        for (column, cell) in (0_u16..).zip(row) {
            match cell {
                Cell::Empty => {}
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a spreadsheet has no other numbers"
                )]
                Cell::Number(number) => {
                    sheet.write_number(line, column, *number as f64)?;
                }
                Cell::Text(text) | Cell::Plain(text) => {
                    sheet.write_string(line, column, cut(text))?;
                }
                Cell::Json(value) => {
                    sheet.write_string(line, column, cut(&value.to_string()))?;
                }
            }
        }
    }
    workbook.save_to_buffer().map(Bytes::from)
}

fn cut(text: &str) -> String {
    text.chars().take(XLSX_CELL).collect()
}
