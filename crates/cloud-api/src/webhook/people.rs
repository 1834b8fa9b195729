//! Who is who: ids of persons, and the `contacts` that go with messages and statuses.

use kabar_channel::PersonIds;
use kabar_core::PhoneNumber;
use serde_json::Value;

use super::read::{elements, filled, id, object};

/// The mark of a parent portfolio's id, after the country.
const PARENT: &str = "ENT.";

/// A person by what Meta calls `wa_id`, `user_id` and `parent_user_id`.
pub(super) fn person(
    wa_id: Option<String>,
    user_id: Option<String>,
    parent_user_id: Option<String>,
) -> PersonIds {
    let mut person =
        PersonIds { bsuid: user_id, parent_bsuid: parent_user_id, ..PersonIds::default() };
    if let Some(wa_id) = wa_id {
        name(&mut person, wa_id);
    }
    person
}

/// `wa_id` is a number as a rule; it may be digits that are none, and where a number would stand a
/// business-scoped id has been seen.
fn name(person: &mut PersonIds, wa_id: String) {
    let bare = wa_id.strip_prefix('+').unwrap_or(&wa_id);
    if let Ok(phone) = PhoneNumber::from_digits(bare) {
        person.phone = Some(phone);
        return;
    }
    match scoped(&wa_id) {
        Some(rest) if rest.starts_with(PARENT) => person.parent_bsuid.get_or_insert(wa_id),
        Some(_) => person.bsuid.get_or_insert(wa_id),
        None => person.wa_id.insert(wa_id),
    };
}

/// What follows the country of a business-scoped id, like `US.13491208655302741918`.
fn scoped(text: &str) -> Option<&str> {
    let (country, rest) = text.split_once('.')?;
    let is_country = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
    (is_country && !rest.is_empty()).then_some(rest)
}

/// A person by three keys of an object.
pub(super) fn person_at(value: &Value, keys: [&str; 3]) -> PersonIds {
    let [wa_id, user_id, parent] = keys.map(|key| id(value, key));
    person(wa_id, user_id, parent)
}

/// One of the `contacts`.
#[derive(Debug, Default)]
struct Known {
    ids: PersonIds,
    profile_name: Option<String>,
}

/// The `contacts` of a value.
#[derive(Debug, Default)]
pub(super) struct People(Vec<Known>);

impl People {
    pub(super) fn of(value: &Value) -> Self {
        let contacts = elements(value, "contacts").map(|(_, contact)| known(contact));
        Self(contacts.collect())
    }

    /// Adds what the matching contact tells of a person, and returns the profile name. Contacts
    /// are matched by id, never by position.
    pub(super) fn complete(&self, person: &mut PersonIds) -> Option<String> {
        let known = self.0.iter().find(|known| same(&known.ids, person))?;
        fill(person, &known.ids);
        known.profile_name.clone()
    }

    /// The same, and a person without any id is the only contact there is.
    pub(super) fn complete_or_only(&self, person: &mut PersonIds) -> Option<String> {
        match self.0.as_slice() {
            [only] if person.is_empty() => {
                *person = only.ids.clone();
                only.profile_name.clone()
            }
            _ => self.complete(person),
        }
    }
}

fn known(contact: &Value) -> Known {
    let profile = object(contact, "profile").unwrap_or(&Value::Null);
    let mut ids = person_at(contact, ["wa_id", "user_id", "parent_user_id"]);
    ids.username = id(profile, "username").or_else(|| id(contact, "username"));
    Known { ids, profile_name: filled(profile, "name") }
}

/// Whether two sets of ids share one. Usernames change hands and do not count.
fn same(a: &PersonIds, b: &PersonIds) -> bool {
    fn shared<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
        a.is_some() && a == b
    }
    shared(a.phone.as_ref(), b.phone.as_ref())
        || shared(a.wa_id.as_ref(), b.wa_id.as_ref())
        || shared(a.bsuid.as_ref(), b.bsuid.as_ref())
        || shared(a.parent_bsuid.as_ref(), b.parent_bsuid.as_ref())
}

fn fill(person: &mut PersonIds, known: &PersonIds) {
    let PersonIds { phone, wa_id, bsuid, parent_bsuid, lid: _, username } = person;
    fill_one(phone, known.phone.as_ref());
    fill_one(wa_id, known.wa_id.as_ref());
    fill_one(bsuid, known.bsuid.as_ref());
    fill_one(parent_bsuid, known.parent_bsuid.as_ref());
    fill_one(username, known.username.as_ref());
}

fn fill_one<T: Clone>(slot: &mut Option<T>, known: Option<&T>) {
    if slot.is_none() {
        *slot = known.cloned();
    }
}

/// Whether `new` says something that `old` does not.
pub(super) fn tells_more(new: &PersonIds, old: &PersonIds) -> bool {
    let mut known = old.clone();
    fill(&mut known, new);
    // What was absent is filled now, what differs is not: either way `new` told something.
    known != *old || !agrees(new, old)
}

fn agrees(new: &PersonIds, old: &PersonIds) -> bool {
    fn agree<T: PartialEq>(new: Option<&T>, old: Option<&T>) -> bool {
        new.is_none() || new == old
    }
    agree(new.phone.as_ref(), old.phone.as_ref())
        && agree(new.wa_id.as_ref(), old.wa_id.as_ref())
        && agree(new.bsuid.as_ref(), old.bsuid.as_ref())
        && agree(new.parent_bsuid.as_ref(), old.parent_bsuid.as_ref())
        && agree(new.username.as_ref(), old.username.as_ref())
}
