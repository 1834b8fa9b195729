//! The document.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kabar_channel::vault::{Change, Item, Shelf};
use serde::{Deserialize, Serialize};
use wacore::store::Device;

use super::{ImportError, Source, check};
use crate::backend::key::{number, only};
use crate::backend::shelf::{CARRIED, DEVICE, PREKEYS};

const FORMAT: &str = "kabar-session";
const VERSION: u32 = 1;

/// A session outside of a vault. It holds secrets: it has no `Debug` form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionFile {
    format: String,
    version: u32,
    pub(super) source: Source,
    pub(super) device: Device,
    pub(super) prekeys: Vec<FilePrekey>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) shelves: BTreeMap<String, Vec<FileItem>>,
}

/// A one-time key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilePrekey {
    pub(super) id: u32,
    /// Its record, in base64.
    pub(super) record: String,
    /// Whether the server has it; a session that is brought in has uploaded its keys.
    #[serde(default = "yes")]
    pub(super) uploaded: bool,
}

const fn yes() -> bool {
    true
}

/// What lies on a shelf.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileItem {
    pub(super) key: String,
    pub(super) value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mark: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

/// What tells a session file from another document.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

impl SessionFile {
    pub(super) fn new(source: Source, device: Device) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            source,
            device,
            prekeys: Vec::new(),
            shelves: BTreeMap::new(),
        }
    }

    /// Where it was paired.
    pub const fn source(&self) -> Source {
        self.source
    }

    /// Reads and checks a document.
    ///
    /// # Errors
    /// [`ImportError::Field`].
    pub fn read(document: &[u8]) -> Result<Self, ImportError> {
        let header: Header = parse(document)?;
        if header.format != FORMAT {
            return Err(ImportError::field("format", format!("must be `{FORMAT}`")));
        }
        if header.version != VERSION {
            let problem = format!("is {}, and only {VERSION} can be read", header.version);
            return Err(ImportError::field("version", problem));
        }
        let file: Self = parse(document)?;
        check::device(&file.device)?;
        check::prekeys(&file.prekeys)?;
        // Whatever can be wrong with items is found while they are read.
        file.changes().map(|_| file)
    }

    /// The document of it.
    ///
    /// # Errors
    /// [`ImportError::Field`] when the device cannot be written.
    pub fn write(&self) -> Result<Vec<u8>, ImportError> {
        serde_json::to_vec(self).map_err(|error| ImportError::field("device", error))
    }

    /// What a vault does to hold it.
    pub(super) fn changes(&self) -> Result<Vec<Change>, ImportError> {
        let device = serde_json::to_vec(&self.device);
        let device = device.map_err(|error| ImportError::field("device", error))?;
        let prekeys: Result<Vec<Item>, ImportError> =
            self.prekeys.iter().enumerate().map(|(place, prekey)| prekey.item(place)).collect();
        let mut changes = vec![
            Change::Put { shelf: DEVICE, items: vec![Item::new(only(), device)] },
            Change::Put { shelf: PREKEYS, items: prekeys? },
        ];
        for (word, items) in &self.shelves {
            changes.push(Change::Put { shelf: shelf(word)?, items: read_items(word, items)? });
        }
        Ok(changes)
    }
}

fn shelf(word: &str) -> Result<Shelf, ImportError> {
    let known = CARRIED.iter().copied().find(|shelf| shelf.as_str() == word);
    known.ok_or_else(|| ImportError::field(format!("shelves.{word}"), "is no shelf of a session"))
}

fn read_items(word: &str, items: &[FileItem]) -> Result<Vec<Item>, ImportError> {
    let read = |(place, item): (usize, &FileItem)| item.read(&format!("shelves.{word}[{place}]"));
    items.iter().enumerate().map(read).collect()
}

impl FilePrekey {
    pub(super) fn new(id: u32, record: &[u8], uploaded: bool) -> Self {
        Self { id, record: STANDARD.encode(record), uploaded }
    }

    /// The bytes of its record.
    pub(super) fn bytes(&self, place: usize) -> Result<Vec<u8>, ImportError> {
        decoded(&self.record, || format!("prekeys[{place}].record"))
    }

    fn item(&self, place: usize) -> Result<Item, ImportError> {
        let record = Bytes::from(self.bytes(place)?);
        Ok(Item::new(number(self.id), record).marked(i64::from(self.uploaded)))
    }
}

impl FileItem {
    pub(super) fn new(item: &Item) -> Self {
        Self {
            key: STANDARD.encode(&item.key),
            value: STANDARD.encode(&item.value),
            due: item.due,
            mark: item.mark,
            tag: item.tag.as_ref().map(|tag| STANDARD.encode(tag)),
        }
    }

    fn read(&self, path: &str) -> Result<Item, ImportError> {
        let tag = self.tag.as_ref().map(|tag| decoded(tag, || format!("{path}.tag")));
        Ok(Item {
            key: decoded(&self.key, || format!("{path}.key"))?,
            value: decoded(&self.value, || format!("{path}.value"))?.into(),
            due: self.due,
            mark: self.mark,
            tag: tag.transpose()?,
        })
    }
}

fn decoded(text: &str, field: impl FnOnce() -> String) -> Result<Vec<u8>, ImportError> {
    STANDARD.decode(text).map_err(|error| ImportError::field(field(), error))
}

/// A document, or the path of what is wrong in it.
pub(super) fn parse<'de, T: Deserialize<'de>>(document: &'de [u8]) -> Result<T, ImportError> {
    let mut json = serde_json::Deserializer::from_slice(document);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| ImportError::field(path(&error), problem(error.inner())))?;
    json.end().map_err(|error| ImportError::field(WHOLE, problem(&error)))?;
    Ok(value)
}

/// What an error names when it lies in no field.
const WHOLE: &str = "the document";

fn path(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    if path == "." { WHOLE.to_owned() } else { path }
}

/// What is wrong, without repeating what stands there: it may be a secret.
fn problem(error: &serde_json::Error) -> String {
    const HARMLESS: &[&str] = &["missing field", "unknown field", "duplicate field", "must be"];
    let text = error.to_string();
    if HARMLESS.iter().any(|start| text.starts_with(start)) {
        return text;
    }
    let what = if error.is_data() { "is not what belongs here" } else { "is no JSON" };
    format!("{what} (line {}, column {})", error.line(), error.column())
}
