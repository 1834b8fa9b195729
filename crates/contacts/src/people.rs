//! From what a channel knows of people to contacts.
//!
//! The rules, in order:
//! 1. The steadiest identity that is known decides: business-scoped id, linked id, number,
//!    username.
//! 2. A number whose owner is known under *another* permanent id of the same namespace was
//!    recycled: its old ownership ends, and it goes to the new person.
//! 3. Identities that nobody owns are added to the contact.
//! 4. Identities of another contact that are no sign of recycling stay where they are; merging
//!    contacts is the tenant's decision.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kabar_channel::PersonIds;
use kabar_core::{AccountId, ContactId, IdSource, IdentityId, StoreError, Timestamp};

use crate::contact::{Contact, ContactKind, Identity, IdentityKey, IdentityKind};
use crate::opt_out;
use crate::repo::{NewContactRow, PeopleRepo};

/// Somebody as a channel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Every identity, the steadiest first.
    pub keys: Vec<IdentityKey>,
    /// The name that it goes by.
    pub profile_name: Option<String>,
    /// What the tenant wants it to be called, if it is new.
    pub name: Option<String>,
    /// Whether it is one person or many.
    pub kind: ContactKind,
}

impl Person {
    /// A person from the channel's ids; `namespace` is the device's
    /// (`kabar_devices::Device::namespace`).
    pub fn from_ids(ids: &PersonIds, namespace: &str, profile_name: Option<&str>) -> Self {
        use IdentityKind as K;
        let scoped = |kind, value: &Option<String>| {
            let namespace = namespace.to_owned();
            value.clone().map(|value| IdentityKey { kind, namespace, value })
        };
        let plain = |kind, value: &Option<String>| {
            value.clone().map(|value| IdentityKey { kind, namespace: String::new(), value })
        };
        let phone = ids.phone.as_ref().map(IdentityKey::phone);
        let keys = [
            scoped(K::Bsuid, &ids.bsuid),
            scoped(K::ParentBsuid, &ids.parent_bsuid),
            plain(K::Lid, &ids.lid),
            phone,
            plain(K::WaId, &ids.wa_id),
            plain(K::Username, &ids.username),
        ];
        Self {
            keys: keys.into_iter().flatten().collect(),
            profile_name: profile_name.map(str::to_owned),
            name: None,
            kind: ContactKind::Person,
        }
    }

    /// A group by its id on the network.
    pub fn group(id: &str, namespace: &str) -> Self {
        let key = IdentityKey {
            kind: IdentityKind::Group,
            namespace: namespace.to_owned(),
            value: id.to_owned(),
        };
        Self { keys: vec![key], profile_name: None, name: None, kind: ContactKind::Group }
    }

    /// A person known by one identity.
    pub fn of(key: IdentityKey) -> Self {
        Self { keys: vec![key], profile_name: None, name: None, kind: ContactKind::Person }
    }
}

/// The contact that a person turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// The contact.
    pub contact: ContactId,
    /// Whether it was made now.
    pub created: bool,
}

/// What has to be written so that people have contacts.
#[derive(Debug, Default, PartialEq)]
struct Plan {
    resolved: Vec<Resolved>,
    close: Vec<IdentityId>,
    claim: Vec<Identity>,
}

/// Finds or makes the contact of each person, in at most six statements for any number of people.
/// A person without any identity gets a contact of its own.
pub async fn resolve(
    repo: &mut dyn PeopleRepo,
    account: AccountId,
    people: &[Person],
    ids: &dyn IdSource,
    at: Timestamp,
) -> Result<Vec<Resolved>, StoreError> {
    Ok(meet(repo, account, people, ids, at).await?.people)
}

/// What became of people, and the contacts that were made for them.
#[derive(Debug, Default)]
pub struct Met {
    /// The contact of each person.
    pub people: Vec<Resolved>,
    /// The contacts that are new, as they are now; without those that stopped messages before.
    pub made: Vec<Contact>,
}

/// As [`resolve`], and returns the contacts that were made.
pub async fn meet(
    repo: &mut dyn PeopleRepo,
    account: AccountId,
    people: &[Person],
    ids: &dyn IdSource,
    at: Timestamp,
) -> Result<Met, StoreError> {
    if people.is_empty() {
        return Ok(Met::default());
    }
    // Sorted, so that two units of work never wait for each other in a circle.
    let keys: BTreeSet<&IdentityKey> = people.iter().flat_map(|person| &person.keys).collect();
    let keys: Vec<IdentityKey> = keys.into_iter().cloned().collect();
    let known = repo.known(&keys).await?;
    let mut plan = plan(people, known, ids, at);
    if !plan.close.is_empty() {
        repo.close(&plan.close, at).await?;
    }
    if !plan.claim.is_empty() {
        plan.claim.sort_by(|a, b| a.key.cmp(&b.key));
        let lost = lost(&plan, &repo.claim(&plan.claim).await?)?;
        for resolved in &mut plan.resolved {
            if let Some(winner) = lost.get(&resolved.contact) {
                *resolved = Resolved { contact: *winner, created: false };
            }
        }
    }
    let mut rows = new_rows(account, people, &plan.resolved, at);
    if !rows.is_empty() {
        let made: BTreeSet<ContactId> = rows.iter().map(|row| row.id).collect();
        let claims = plan.claim.iter().filter(|claim| made.contains(&claim.contact));
        let stopped = repo.insert(&rows, &stops(account, claims), at).await?;
        rows.retain(|row| !stopped.contains(&row.id));
    }
    let made = rows.into_iter().map(|row| new_contact(row, &plan.claim)).collect();
    Ok(Met { people: plan.resolved, made })
}

fn new_contact(row: NewContactRow, claimed: &[Identity]) -> Contact {
    let identities = claimed.iter().filter(|identity| identity.contact == row.id).cloned();
    Contact {
        id: row.id,
        account: row.account,
        kind: row.kind,
        name: row.name,
        profile_name: row.profile_name,
        variables: row.variables,
        marketing_stopped_at: None,
        stop_scope: None,
        stop_source: None,
        consented_at: None,
        consent_source: None,
        identities: identities.collect(),
        created_at: row.at,
        updated_at: row.at,
    }
}

/// What was kept of these identities if their owners stopped messages as contacts that are gone.
pub(crate) fn stops<'a>(
    account: AccountId,
    claims: impl Iterator<Item = &'a Identity>,
) -> Vec<(ContactId, [u8; 32])> {
    claims
        .filter(|claim| opt_out::outlives(claim.key.kind))
        .map(|claim| (claim.contact, opt_out::suppression_hash(account, &claim.key)))
        .collect()
}

/// Contacts that were to be made and are not, because somebody else made the person's contact at the
/// same time: ours → theirs. `present` are the owners after the claim. A contact that was there
/// before stays who it is: an identity that went to another one is rule 4.
fn lost(plan: &Plan, present: &[Identity]) -> Result<HashMap<ContactId, ContactId>, StoreError> {
    let made: BTreeSet<ContactId> = plan
        .resolved
        .iter()
        .filter(|resolved| resolved.created)
        .map(|resolved| resolved.contact)
        .collect();
    let owners: HashMap<&IdentityKey, ContactId> =
        present.iter().map(|identity| (&identity.key, identity.contact)).collect();
    let mut winners: BTreeMap<ContactId, BTreeSet<ContactId>> = BTreeMap::new();
    for identity in plan.claim.iter().filter(|i| made.contains(&i.contact)) {
        let owner = owners.get(&identity.key).unwrap_or(&identity.contact);
        winners.entry(identity.contact).or_default().insert(*owner);
    }
    let mut lost = HashMap::new();
    for (ours, winners) in winners {
        let mut winners = winners.into_iter();
        match (winners.next(), winners.next()) {
            (Some(winner), None) if winner == ours => {}
            (Some(winner), None) => {
                lost.insert(ours, winner);
            }
            // It got some of its identities and not the others. With what is known now the same
            // person would be found; so the whole unit of work is done again.
            _ => {
                let problem = "somebody else met the same person at the same time";
                return Err(StoreError::Contended(problem.into()));
            }
        }
    }
    Ok(lost)
}

fn new_rows(
    account: AccountId,
    people: &[Person],
    resolved: &[Resolved],
    at: Timestamp,
) -> Vec<NewContactRow> {
    let mut rows: BTreeMap<ContactId, NewContactRow> = BTreeMap::new();
    for (person, resolved) in people.iter().zip(resolved).filter(|(_, r)| r.created) {
        let row = rows.entry(resolved.contact).or_insert_with(|| NewContactRow {
            id: resolved.contact,
            account,
            kind: person.kind,
            name: person.name.clone(),
            profile_name: None,
            variables: BTreeMap::new(),
            at,
        });
        if person.profile_name.is_some() {
            row.profile_name.clone_from(&person.profile_name);
        }
    }
    rows.into_values().collect()
}

/// What is known while a plan is made.
struct Known {
    owner: HashMap<IdentityKey, Identity>,
    permanent: HashMap<ContactId, Vec<IdentityKey>>,
}

impl Known {
    fn new(identities: Vec<Identity>) -> Self {
        let mut known = Self { owner: HashMap::new(), permanent: HashMap::new() };
        for identity in identities {
            known.add(identity);
        }
        known
    }

    fn add(&mut self, identity: Identity) {
        if identity.key.kind.is_permanent() {
            self.permanent.entry(identity.contact).or_default().push(identity.key.clone());
        }
        self.owner.insert(identity.key.clone(), identity);
    }

    /// Whether the contact is certainly somebody else than the person: it has permanent ids in a
    /// namespace where the person has one, and not that one. A merged contact has several.
    fn is_somebody_else(&self, contact: ContactId, person: &Person) -> bool {
        let theirs = self.permanent.get(&contact).map(Vec::as_slice).unwrap_or_default();
        person.keys.iter().filter(|key| key.kind.is_permanent()).any(|key| {
            let mut alike = theirs
                .iter()
                .filter(|their| their.kind == key.kind && their.namespace == key.namespace)
                .peekable();
            alike.peek().is_some() && alike.all(|their| their.value != key.value)
        })
    }
}

fn plan(people: &[Person], known: Vec<Identity>, ids: &dyn IdSource, at: Timestamp) -> Plan {
    let mut known = Known::new(known);
    let mut plan = Plan::default();
    let mut made = BTreeSet::new();
    for person in people {
        let owner = person.keys.iter().find_map(|key| {
            let identity = known.owner.get(key)?;
            (!known.is_somebody_else(identity.contact, person)).then_some(identity.contact)
        });
        let contact = owner.unwrap_or_else(|| ids.id());
        if owner.is_none() {
            made.insert(contact);
        }
        for key in &person.keys {
            let holder = known.owner.get(key).cloned();
            match holder {
                Some(identity) if identity.contact == contact => continue,
                Some(identity) if known.is_somebody_else(identity.contact, person) => {
                    // Recycled. Claimed in this very batch: simply not claimed any more.
                    plan.claim.retain(|claim| claim.id != identity.id);
                    plan.close.push(identity.id);
                }
                Some(_) => continue,
                None => {}
            }
            let identity = Identity {
                id: ids.id(),
                contact,
                key: key.clone(),
                valid_from: at,
                valid_until: None,
            };
            known.add(identity.clone());
            plan.claim.push(identity);
        }
        plan.resolved.push(Resolved { contact, created: made.contains(&contact) });
    }
    plan
}
