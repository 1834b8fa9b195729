//! Contacts and identities.

mod contact;
mod entity;
mod people;

use kabar_contacts::{ContactRepo, ContactsWork, PeopleRepo};
use kabar_core::Scope;

use crate::unit::Unit;

impl ContactsWork for Unit {
    fn contacts(&self, scope: Scope) -> Box<dyn ContactRepo + '_> {
        Box::new(contact::SeaContacts { unit: self, scope })
    }

    fn people(&self, scope: Scope) -> Box<dyn PeopleRepo + '_> {
        Box::new(people::SeaPeople { unit: self, scope })
    }
}
