//! Contacts and the ways in which they are known.
//!
//! A person may be known by number, linked id, business-scoped id and username. Any may be absent,
//! numbers change hands, and a contact is never keyed by one of them: it has its own id, and
//! [`Identity`]s that come and go. [`people::resolve`] turns what a channel knows of a person into
//! the contact that it belongs to, and makes the contact when there is none.

pub mod audience;
pub mod check;
pub mod contact;
mod export;
pub mod group;
mod groups;
pub mod import;
pub mod number;
pub mod opt_out;
mod opt_outs;
pub mod people;
pub mod preferences;
pub mod repo;
mod selection;
mod service;
pub mod tag;
mod tags;
mod words;

pub use audience::{Audience, AudiencePage, AudienceRepo};
pub use contact::{Contact, ContactKind, ContactPatch, Identity, IdentityKey, IdentityKind};
pub use export::{ContactsExport, ContactsExportFilter, ContactsSource};
pub use group::{Group, GroupPatch, GroupRepo, NewGroup};
pub use groups::Groups;
pub use import::model::ImportsWork;
pub use import::{
    CarryOutImport, Import, ImportError, ImportOptions, ImportState, ImportUse, Imports, NewImport,
    ReadImport,
};
pub use number::{NumberProblem, Numbers};
pub use opt_out::{OptOutSettings, PreferenceChange, PreferenceRepo, PreferenceSource, StopScope};
pub use opt_outs::{MOST_NUMBERS, OptOuts, Whom};
pub use people::Person;
pub use repo::{ContactFilter, ContactRepo, ContactsWork, PeopleRepo};
pub use selection::{MOST_IDS, MOST_MATCHING, Selection};
pub use service::{ContactError, Contacts, ContactsUse, CreateContact, keep_stop};
pub use tag::{TagCount, TagRepo};
pub use tags::Tags;
