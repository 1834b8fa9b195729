//! The state of a program over Baileys, as its `useMultiFileAuthState` writes it: `creds.json` and a
//! file for each key, handed in as one object of file names and contents.
//!
//! # What is carried
//! The device itself, its one-time keys, and which linked id has which number.
//!
//! # What is not
//! * **Sessions with others and keys of groups**: Baileys keeps them in a form of its own. The first
//!   message of each chat after the move cannot be read; the engine asks its sender for it again, and
//!   with that a new session begins. What is sent begins new sessions by itself.
//! * **What phone and companions share** (`app-state-sync-*`): the phone is asked for it anew.
//! * **Device lists, tokens, memories of what was handed out**: learnt again.
//!
//! [`Left`] counts what was there of these.

mod bytes;
mod creds;

use std::collections::BTreeMap;

use ::bytes::Bytes;
use kabar_channel::vault::Item;
use serde::Deserialize;
use serde_json::value::RawValue;
use wacore::libsignal::store::record_helpers::new_pre_key_record;
use wacore::store::traits::LidPnMappingEntry;
use waproto::buffa::Message as _;

use self::bytes::Keys;
use self::creds::Creds;
use super::file::{FileItem, FilePrekey, SessionFile, parse};
use super::{ImportError, Source, check};
use crate::backend::shelf::{LINKED_IDS, NUMBERS};

const CREDS: &str = "creds.json";

/// What of a Baileys program's state was not carried, in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Sessions with others: their next message is asked for again.
    pub sessions: u32,
    /// Keys of groups: the same.
    pub sender_keys: u32,
    /// What phone and companions share: asked for anew.
    pub app_state: u32,
    /// Anything else.
    pub others: u32,
}

/// Files by their names.
type Files<'a> = BTreeMap<String, &'a RawValue>;

/// Whether a document is such a state, as far as can be seen at once.
pub(super) fn is_state(document: &[u8]) -> bool {
    serde_json::from_slice::<Files<'_>>(document).is_ok_and(|files| files.contains_key(CREDS))
}

/// Converts such a state to a session file, and checks it like one.
///
/// # Errors
/// [`ImportError::Field`], with the file's name at the beginning of the field's.
pub fn read(document: &[u8]) -> Result<(SessionFile, Left), ImportError> {
    let files: Files<'_> = parse(document)?;
    let creds = files.get(CREDS).ok_or_else(|| ImportError::field(CREDS, "is missing"))?;
    let creds: Creds = content(CREDS, creds)?;
    let first_not_uploaded = creds.first_unuploaded_pre_key_id;
    let mut file = SessionFile::new(Source::Baileys, creds.device()?);
    let (mut left, mut linked) = (Left::default(), Vec::new());
    for (name, text) in files.iter().filter(|(name, _)| *name != CREDS) {
        let stem = name.strip_suffix(".json").unwrap_or(name);
        if let Some(id) = stem.strip_prefix("pre-key-").and_then(|id| id.parse().ok()) {
            file.prekeys.push(prekey(name, id, text, id < first_not_uploaded)?);
        } else if let Some(number) = stem.strip_prefix("lid-mapping-") {
            // Each is there twice, once the other way round.
            if !number.ends_with("_reverse") {
                linked.push((number.to_owned(), content::<String>(name, text)?));
            }
        } else {
            left.count(stem);
        }
    }
    link(&mut file, &linked)?;
    check::device(&file.device)?;
    check::prekeys(&file.prekeys)?;
    Ok((file, left))
}

impl Left {
    fn count(&mut self, stem: &str) {
        let place = if stem.starts_with("session-") {
            &mut self.sessions
        } else if stem.starts_with("sender-key-") && !stem.starts_with("sender-key-memory-") {
            &mut self.sender_keys
        } else if stem.starts_with("app-state-sync-") {
            &mut self.app_state
        } else {
            &mut self.others
        };
        *place = place.saturating_add(1);
    }
}

/// The content of a file, or what is wrong in it.
fn content<'a, T: Deserialize<'a>>(name: &str, text: &'a RawValue) -> Result<T, ImportError> {
    parse(text.get().as_bytes()).map_err(|error| match error {
        ImportError::Field { field, problem } => {
            ImportError::Field { field: format!("{name}: {field}"), problem }
        }
        other => other,
    })
}

fn prekey(name: &str, id: u32, text: &RawValue, uploaded: bool) -> Result<FilePrekey, ImportError> {
    let keys: Keys = content(name, text)?;
    let record = new_pre_key_record(id, &keys.pair(name)?);
    Ok(FilePrekey::new(id, &record.encode_to_vec(), uploaded))
}

/// Linked ids and numbers, as the engine would have learnt them.
fn link(file: &mut SessionFile, linked: &[(String, String)]) -> Result<(), ImportError> {
    let (mut ids, mut numbers) = (Vec::new(), Vec::new());
    for (number, lid) in linked {
        let entry = LidPnMappingEntry {
            lid: lid.clone(),
            phone_number: number.clone(),
            created_at: 0,
            updated_at: 0,
            learning_source: "other".to_owned(),
        };
        let value = serde_json::to_vec(&entry);
        let value = value.map_err(|error| ImportError::field("lid-mapping", error))?;
        ids.push(FileItem::new(&Item::new(lid.as_bytes(), value)));
        let lid = Bytes::copy_from_slice(lid.as_bytes());
        numbers.push(FileItem::new(&Item::new(number.as_bytes(), lid)));
    }
    for (shelf, items) in [(LINKED_IDS, ids), (NUMBERS, numbers)] {
        if !items.is_empty() {
            file.shelves.insert(shelf.as_str().to_owned(), items);
        }
    }
    Ok(())
}
