//! Contacts and identities.

mod audience;
mod contact;
mod entity;
mod filter;
mod group;
mod import;
mod people;
mod preference;
mod tag;

use kabar_contacts::ImportsWork;
use kabar_contacts::import::{ImportRegistry, ImportRepo};
use kabar_contacts::{
    AudienceRepo, ContactRepo, ContactsWork, GroupRepo, PeopleRepo, PreferenceRepo, TagRepo,
};
use kabar_core::{InstallationScope, Scope};

use crate::unit::Unit;
pub(crate) use contact::profile_names;
pub(crate) use entity::identity;
pub(crate) use people::from_row as identity_from_row;

/// Rows of one statement: at most five values each, below SQLite's 32,766 bound values.
const CHUNK: usize = 5_000;
/// About so many bytes of a list are an id and its placeholder.
const ID: usize = 28;

impl ContactsWork for Unit {
    fn contacts(&self, scope: Scope) -> Box<dyn ContactRepo + '_> {
        Box::new(contact::SeaContacts { unit: self, scope })
    }

    fn people(&self, scope: Scope) -> Box<dyn PeopleRepo + '_> {
        Box::new(people::SeaPeople { unit: self, scope })
    }

    fn groups(&self, scope: Scope) -> Box<dyn GroupRepo + '_> {
        Box::new(group::SeaGroups { unit: self, scope })
    }

    fn tags(&self, scope: Scope) -> Box<dyn TagRepo + '_> {
        Box::new(tag::SeaTags { unit: self, scope })
    }

    fn audiences(&self, scope: Scope) -> Box<dyn AudienceRepo + '_> {
        Box::new(audience::SeaAudiences { unit: self, scope })
    }

    fn preferences(&self, scope: Scope) -> Box<dyn PreferenceRepo + '_> {
        Box::new(preference::SeaPreferences { unit: self, scope })
    }
}

impl ImportsWork for Unit {
    fn imports(&self, scope: Scope) -> Box<dyn ImportRepo + '_> {
        Box::new(import::SeaImports { unit: self, scope })
    }

    fn import_registry(&self, _scope: InstallationScope) -> Box<dyn ImportRegistry + '_> {
        Box::new(import::SeaImportRegistry { unit: self })
    }
}
