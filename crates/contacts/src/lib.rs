//! Contacts and the ways in which they are known.
//!
//! A person may be known by number, linked id, business-scoped id and username. Any may be absent,
//! numbers change hands, and a contact is never keyed by one of them: it has its own id, and
//! [`Identity`]s that come and go. [`people::resolve`] turns what a channel knows of a person into
//! the contact that it belongs to, and makes the contact when there is none.

pub mod contact;
pub mod people;
pub mod repo;
mod service;

pub use contact::{Contact, ContactKind, ContactPatch, Identity, IdentityKey, IdentityKind};
pub use people::Person;
pub use repo::{ContactFilter, ContactRepo, ContactsWork, PeopleRepo};
pub use service::{ContactError, Contacts, ContactsUse, CreateContact};
