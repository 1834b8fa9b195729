//! The rows of a file as recipients.

use std::collections::BTreeMap;

use bytes::Bytes;
use kabar_contacts::Numbers;
use kabar_contacts::import::file;
use kabar_core::{Scope, StoreError};

use super::rows::{Row, country, number};
use super::{BroadcastUse, FileSource};
use crate::media::MediaFiles;
use crate::send::MessageError;

/// Names that a column of numbers goes by, in lower case.
const PHONE_COLUMNS: &[&str] = &[
    "phone",
    "phone number",
    "number",
    "mobile",
    "whatsapp",
    "wa",
    "nomor",
    "nomer",
    "no hp",
    "no. hp",
    "hp",
    "telepon",
    "nomor hp",
    "nomor wa",
    "nomor whatsapp",
    "no wa",
];

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum FileError {
    /// It is no table, or has no column of numbers: for ever. In words, with the remedy.
    Unreadable(String),
    /// The file store is away.
    Away(String),
    /// Storage failed.
    Store(StoreError),
}

fn unreadable(why: &str) -> FileError {
    FileError::Unreadable(why.to_owned())
}

/// A file as a table.
#[derive(Debug)]
pub(super) struct Table {
    phone: usize,
    /// Where each variable is, by its name.
    columns: Vec<(usize, String)>,
    numbers: Numbers,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads the file of a source.
    pub(super) async fn read(
        media: &MediaFiles,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        source: &FileSource,
    ) -> Result<Self, FileError> {
        let bytes = match media.bytes(scope, source.media).await {
            Ok(bytes) => bytes,
            Err(MessageError::NotFound) => return Err(unreadable("there is no such file")),
            Err(MessageError::Store(error)) => return Err(FileError::Store(error)),
            Err(error) => return Err(FileError::Away(error.to_string())),
        };
        let country = match &source.country {
            Some(country) => Some(country.clone()),
            None => country(work, scope).await.map_err(FileError::Store)?,
        };
        Self::parse(&bytes, source.phone_column.as_deref(), country)
    }

    fn parse(
        bytes: &Bytes,
        phone_column: Option<&str>,
        country: Option<String>,
    ) -> Result<Self, FileError> {
        let mut rows = Vec::new();
        file::rows(bytes, file::format_of(bytes), &mut |row| {
            rows.push(row);
            true
        })
        .map_err(FileError::Unreadable)?;
        let mut rows = rows.into_iter();
        let header = rows.next().ok_or_else(|| unreadable("the file is empty"))?;
        let names: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
        let phone = match phone_column {
            Some(wanted) => {
                let wanted = wanted.trim().to_lowercase();
                names.iter().position(|name| *name == wanted)
            }
            None => names.iter().position(|name| PHONE_COLUMNS.contains(&name.as_str())),
        };
        let phone = phone.ok_or_else(|| {
            unreadable("the file has no column of numbers; call one `phone`, or name yours")
        })?;
        let columns = names
            .into_iter()
            .enumerate()
            .filter(|(index, name)| *index != phone && !name.is_empty())
            .map(|(index, name)| (index, variable(&name)))
            .collect();
        Ok(Self { phone, columns, numbers: Numbers::of(country), rows: rows.collect() })
    }

    /// At most `most` rows after the first `skip`.
    pub(super) fn rows(&self, skip: u64, most: usize) -> Vec<Row> {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.rows.iter().skip(skip).take(most).map(|cells| self.row(cells)).collect()
    }

    fn row(&self, cells: &[String]) -> Row {
        let text = cells.get(self.phone).map_or("", String::as_str);
        let variables: BTreeMap<String, String> = self
            .columns
            .iter()
            .filter_map(|(index, name)| {
                let value = cells.get(*index).map(|value| value.trim())?;
                (!value.is_empty()).then(|| (name.clone(), value.to_owned()))
            })
            .collect();
        (number(text, &self.numbers), variables)
    }
}

/// A column's name as a `{variable}` can say it: letters, digits and `_`.
fn variable(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    name.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::recipient::RecipientTarget;
    use super::*;

    fn table(bytes: &[u8]) -> Result<Table, FileError> {
        Table::parse(&Bytes::copy_from_slice(bytes), None, Some("ID".to_owned()))
    }

    #[test]
    fn files_of_spreadsheets_are_read() {
        let text = "Nama;Nomor HP;Kota asal\r\nSiti;'0812-3456-789;\r\nBudi;6.28E+12;Solo\r\n";
        let utf16: Vec<u8> = text.encode_utf16().fold(vec![0xff, 0xfe], |mut bytes, unit| {
            bytes.extend(unit.to_le_bytes());
            bytes
        });
        for bytes in [text.as_bytes(), &utf16] {
            let rows = table(bytes).expect("a table").rows(0, 10);
            let phone = "+628123456789".parse().expect("a number");
            assert_eq!(rows[0].0, RecipientTarget::Phone(phone));
            assert_eq!(rows[0].1, BTreeMap::from([("nama".to_owned(), "Siti".to_owned())]));
            assert!(matches!(&rows[1].0, RecipientTarget::Nobody(text) if text == "6.28E+12"));
            assert_eq!(rows[1].1["kota_asal"], "Solo");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        for (bytes, why) in [
            (&b""[..], "is empty"),
            (b"nama;kota\nSiti;Solo\n", "no column of numbers"),
            (b"PK\x03\x04 no archive", "save it as .xlsx"),
        ] {
            let Err(FileError::Unreadable(said)) = table(bytes) else { panic!("it was read") };
            assert!(said.contains(why), "{said}");
        }
    }
}
