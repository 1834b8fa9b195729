//! The bytes of a file as rows of texts.
//!
//! CSV is read as a stream, in UTF-8, UTF-16 with a byte order mark, or, where it is neither,
//! Windows-1252; commas, semicolons, tabs and bars part its cells. Of a spreadsheet the first sheet
//! is read cell by cell; what it unpacks to is counted before anything of it is kept.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};

use bytes::Bytes;
use calamine::{DataRef, Reader as _, Xlsx};

use super::model::ImportFormat;

/// The largest file, in bytes.
pub const LARGEST: usize = 32 * 1024 * 1024;
/// The most rows of a file.
pub const ROWS: u64 = 250_000;
/// The most columns of a file.
pub const COLUMNS: usize = 100;
/// The most characters of a cell: what Excel allows ("Excel specifications and limits").
const CELL: usize = 32_767;
/// The most bytes that a spreadsheet may unpack to.
const UNPACKED: u64 = 400 * 1024 * 1024;
/// The most files in a spreadsheet's archive.
const ENTRIES: usize = 2_000;
/// Bytes of a CSV file that are looked at to find out what parts its cells.
const LOOK: usize = 64 * 1024;

/// Takes rows, one after the other. Reading stops when it answers `false`.
pub type Take<'a> = &'a mut dyn FnMut(Vec<String>) -> bool;

/// Hands over every row of a file that is not blank.
///
/// # Errors
/// What is wrong with the file and how to mend it.
pub fn rows(bytes: &Bytes, format: ImportFormat, take: Take<'_>) -> Result<(), String> {
    match format {
        ImportFormat::Csv => csv_rows(bytes, take),
        ImportFormat::Xlsx => xlsx_rows(bytes, take),
    }
}

/// The form of a file by what is in it: spreadsheets are archives.
pub fn format_of(bytes: &[u8]) -> ImportFormat {
    if bytes.starts_with(b"PK\x03\x04") { ImportFormat::Xlsx } else { ImportFormat::Csv }
}

/// Checks limits, drops blank rows, and hands the rest over.
struct Gate<'a, 'b> {
    take: Take<'a>,
    count: u64,
    most: &'b str,
}

impl Gate<'_, '_> {
    fn pass(&mut self, mut cells: Vec<String>) -> Result<bool, String> {
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(true);
        }
        while cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        self.count += 1;
        if self.count > ROWS + 1 {
            return Err(format!(
                "the file has more than {ROWS} rows; part it into several{}",
                self.most
            ));
        }
        if cells.len() > COLUMNS {
            let row = self.count;
            return Err(format!("row {row} has more than {COLUMNS} columns; take some away"));
        }
        if cells.iter().any(|cell| cell.len() > CELL && cell.chars().nth(CELL).is_some()) {
            let row = self.count;
            return Err(format!("row {row} has a cell of more than {CELL} characters"));
        }
        Ok((self.take)(cells))
    }
}

fn csv_rows(bytes: &[u8], take: Take<'_>) -> Result<(), String> {
    let text = decoded(bytes);
    let (delimiter, body) = delimiter(&text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(body.as_bytes());
    let mut gate = Gate { take, count: 0, most: "" };
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return Err(format!("the file cannot be read: {error}")),
        }
        // NUL is in no text; a database would refuse it.
        let cells = record.iter().map(|cell| cell.replace('\0', "")).collect();
        if !gate.pass(cells)? {
            break;
        }
    }
    Ok(())
}

/// The file as text.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        let body = bytes.get(mark..).unwrap_or_default();
        return encoding.decode_without_bom_handling(body).0;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// What parts the cells, and the text without the line in which Excel says so (`sep=;`).
fn delimiter(text: &str) -> (u8, &str) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(said) = first.trim().strip_prefix("sep=")
        && let [byte] = said.as_bytes()
    {
        return (*byte, rest);
    }
    let (mut quoted, mut blank) = (false, true);
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    // Outside of quotes, in the first row that holds anything: a later row may hold text with commas.
    for byte in text.bytes().take(LOOK) {
        blank &= byte.is_ascii_whitespace();
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted && !blank => break,
            byte if !quoted => {
                for (delimiter, count) in &mut counts {
                    *count += usize::from(*delimiter == byte);
                }
            }
            _ => {}
        }
    }
    let best = counts.iter().rev().max_by_key(|(_, count)| *count);
    (best.filter(|(_, count)| *count > 0).map_or(b',', |(delimiter, _)| *delimiter), text)
}

fn xlsx_rows(bytes: &Bytes, take: Take<'_>) -> Result<(), String> {
    count_unpacked(bytes)?;
    let broken = |error: &dyn std::fmt::Display| {
        format!("the spreadsheet cannot be read ({error}); save it as .xlsx or .csv once more")
    };
    let mut book: Xlsx<_> =
        Xlsx::new(Cursor::new(bytes.clone())).map_err(|error| broken(&error))?;
    let sheet = book.sheet_names().first().cloned();
    let sheet = sheet.ok_or_else(|| "the spreadsheet has no sheet".to_owned())?;
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(|error| broken(&error))?;
    let mut gate = Gate { take, count: 0, most: " or save it as .csv" };
    let (mut line, mut row) = (0, Vec::new());
    while let Some(cell) = cells.next_cell().map_err(|error| broken(&error))? {
        let (at, column) = cell.get_position();
        if at != line {
            if !gate.pass(std::mem::take(&mut row))? {
                return Ok(());
            }
            line = at;
        }
        let Some(text) = shown(cell.get_value()) else { continue };
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        if column >= COLUMNS {
            return Err(format!("the sheet has more than {COLUMNS} columns; take some away"));
        }
        if row.len() <= column {
            row.resize(column + 1, String::new());
        }
        if let Some(place) = row.get_mut(column) {
            *place = text.replace('\0', "");
        }
    }
    gate.pass(row).map(|_| ())
}

/// What a cell shows; `None` for an empty one.
fn shown(value: &DataRef<'_>) -> Option<String> {
    match value {
        DataRef::Empty => None,
        DataRef::SharedString(text) => Some((*text).to_owned()),
        // Whole numbers below 2^53 are exact, and what people see.
        DataRef::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
            Some(format!("{number:.0}"))
        }
        DataRef::DateTime(time) => Some(date(*time)),
        DataRef::Int(number) => Some(number.to_string()),
        DataRef::Float(number) => Some(number.to_string()),
        DataRef::Bool(yes) => Some(if *yes { "TRUE" } else { "FALSE" }.to_owned()),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            Some(text.clone())
        }
        DataRef::Error(error) => Some(error.to_string()),
    }
}

/// A date as it is written in ISO 8601; a time of day where there is one.
fn date(time: calamine::ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    if (hour, minute, second) == (0, 0, 0) {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Unpacks the archive into nothing and counts: what its directory claims can be a lie.
fn count_unpacked(bytes: &Bytes) -> Result<(), String> {
    let broken = |error: zip::result::ZipError| {
        format!("the spreadsheet cannot be read ({error}); save it as .xlsx or .csv once more")
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes.clone())).map_err(broken)?;
    let too_much = || {
        let most = UNPACKED / 1024 / 1024;
        format!("the spreadsheet unpacks to more than {most} MiB; save it as .csv")
    };
    if archive.len() > ENTRIES {
        return Err(too_much());
    }
    let mut left = UNPACKED;
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(broken)?;
        let mut entry = entry.take(left + 1);
        let read = std::io::copy(&mut entry, &mut std::io::sink())
            .map_err(|error| broken(zip::result::ZipError::Io(error)))?;
        left = left.checked_sub(read).ok_or_else(too_much)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<String>>, String> {
        let mut all = Vec::new();
        let format = format_of(bytes);
        rows(&Bytes::copy_from_slice(bytes), format, &mut |row| {
            all.push(row);
            true
        })?;
        Ok(all)
    }

    fn utf16(text: &str, little: bool) -> Vec<u8> {
        let mut bytes = if little { vec![0xff, 0xfe] } else { vec![0xfe, 0xff] };
        for unit in text.encode_utf16() {
            bytes.extend(if little { unit.to_le_bytes() } else { unit.to_be_bytes() });
        }
        bytes
    }

    #[test]
    fn files_are_read_as_programs_write_them() {
        let wanted = vec![vec!["phone", "nama"], vec!["0812", "Siti, né\n\"A\""]];
        let text = "phone;nama\r\n0812;\"Siti, né\n\"\"A\"\"\"\r\n";
        let mut marked = b"\xef\xbb\xbf".to_vec();
        marked.extend_from_slice(text.as_bytes());
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        for (name, bytes) in [
            ("plain", text.as_bytes().to_vec()),
            ("marked", marked),
            ("utf-16 le", utf16(text, true)),
            ("utf-16 be", utf16(text, false)),
            ("windows-1252", latin),
            ("tabs", text.replace(';', "\t").into_bytes()),
            ("bars", text.replace(';', "|").into_bytes()),
            ("commas", text.replace(';', ",").into_bytes()),
            ("said", format!("sep=;\r\n{text}").into_bytes()),
            ("blank lines", format!("\r\n{text}\r\n;;\r\n").into_bytes()),
        ] {
            assert_eq!(read(&bytes).unwrap(), wanted, "{name}");
        }
    }

    #[test]
    fn limits_are_told() {
        let many = "x\n".repeat(usize::try_from(ROWS).unwrap() + 2);
        assert!(read(many.as_bytes()).unwrap_err().contains("more than 250000 rows"));
        let wide = "x,".repeat(COLUMNS) + "x\n";
        assert!(read(wide.as_bytes()).unwrap_err().contains("more than 100 columns"));
        let long = "x".repeat(CELL + 1);
        assert!(read(long.as_bytes()).unwrap_err().contains("32767 characters"));
        assert!(read(b"PK\x03\x04 no archive").unwrap_err().contains("save it as .xlsx"));
        assert_eq!(read(b"").unwrap(), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        use std::io::Write as _;
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        let zeros = vec![0_u8; 1 << 20];
        archive.start_file("xl/sharedStrings.xml", options).unwrap();
        for _ in 0..=(UNPACKED >> 20) {
            archive.write_all(&zeros).unwrap();
        }
        let bytes = archive.finish().unwrap().into_inner();
        assert!(bytes.len() < 1 << 20);
        assert!(read(&bytes).unwrap_err().contains("unpacks to more than"));
    }
}
