//! Contacts as the rows of an export.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use kabar_core::permission::ReadContacts;
use kabar_core::{ContactId, GroupId, Scope, Store, StoreError};
use kabar_exports::{Cell, Kind, Rows, Source, SourceError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contact::{Contact, IdentityKind};
use crate::import::columns::{OURS, variable_header};
use crate::repo::ContactFilter;
use crate::service::ContactsUse;

/// Contacts of one page.
const PAGE: u32 = 2_000;
/// The most variables of an export, each a column.
const VARIABLES: u32 = 500;

/// Exports of contacts.
#[derive(Debug, Clone, Copy)]
pub struct ContactsExport;

impl Kind for ContactsExport {
    const NAME: &'static str = "contacts";
    type Needs = ReadContacts;
}

/// Which contacts are exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContactsExportFilter {
    /// Those in this group.
    pub group: Option<GroupId>,
    /// Those with this tag, normalised.
    pub tag: Option<String>,
    /// Those that stopped messages, or those that did not.
    pub opted_out: Option<bool>,
}

impl From<ContactsExportFilter> for ContactFilter {
    fn from(filter: ContactsExportFilter) -> Self {
        let ContactsExportFilter { group, tag, opted_out } = filter;
        Self { group, tag, opted_out, ..Self::default() }
    }
}

/// The columns before the variables. What begins with [`OURS`] is left out when the file is
/// imported.
fn fixed() -> Vec<String> {
    let ours = |name: &str| format!("{OURS}{name}");
    vec![
        "phone".to_owned(),
        "name".to_owned(),
        "tags".to_owned(),
        "groups".to_owned(),
        ours("contact_id"),
        ours("profile_name"),
        ours("opted_out"),
        ours("created_at"),
    ]
}

/// A contact as a row: the fixed columns, then these variables.
pub(crate) fn row(
    contact: &Contact,
    tags: &[String],
    groups: &[String],
    variables: &[String],
) -> Vec<Cell> {
    let text = |text: Option<&str>| text.map_or(Cell::Empty, |text| Cell::Text(text.to_owned()));
    let listed = |words: &[String]| match words {
        [] => Cell::Empty,
        words => Cell::Text(words.join(", ")),
    };
    let phone = contact.identity(IdentityKind::Phone);
    let mut cells = vec![
        // `+` and digits: no formula, and what people expect to find.
        phone.map_or(Cell::Empty, |phone| Cell::Plain(phone.to_owned())),
        text(contact.name.as_deref()),
        listed(tags),
        listed(groups),
        Cell::Plain(contact.id.to_string()),
        text(contact.profile_name.as_deref()),
        contact.stop().map_or(Cell::Empty, |stop| Cell::Plain(stop.as_str().to_owned())),
        Cell::Plain(contact.created_at.to_rfc3339()),
    ];
    let values = variables.iter().map(|name| contact.variables.get(name).map(String::as_str));
    cells.extend(values.map(text));
    cells
}

/// The header of an export with these variables.
pub(crate) fn header(variables: &[String]) -> Vec<String> {
    let mut columns = fixed();
    columns.extend(variables.iter().map(|name| variable_header(name)));
    columns
}

/// The source of contacts.
pub struct ContactsSource {
    store: Arc<dyn Store<dyn ContactsUse>>,
}

impl ContactsSource {
    /// The source over a store.
    pub fn new(store: Arc<dyn Store<dyn ContactsUse>>) -> Self {
        Self { store }
    }

    async fn page(
        &self,
        scope: Scope,
        filter: &ContactFilter,
        after: Option<ContactId>,
        variables: &[String],
    ) -> Result<Rows, StoreError> {
        let work = self.store.read().await?;
        let ids = work.contacts(scope).select(filter, after, PAGE).await?;
        let mut contacts = work.contacts(scope).by_ids(&ids).await?;
        contacts.sort_by_key(|contact| contact.id);
        let mut tags: HashMap<ContactId, Vec<String>> = HashMap::new();
        for (contact, tag) in work.tags(scope).of_contacts(&ids).await? {
            tags.entry(contact).or_default().push(tag);
        }
        let mut groups: HashMap<ContactId, Vec<String>> = HashMap::new();
        for (contact, _, name) in work.groups(scope).of_contacts(&ids).await? {
            groups.entry(contact).or_default().push(name);
        }
        let of =
            |map: &HashMap<ContactId, Vec<String>>, id| map.get(&id).cloned().unwrap_or_default();
        let rows = contacts
            .iter()
            .map(|contact| {
                row(contact, &of(&tags, contact.id), &of(&groups, contact.id), variables)
            })
            .collect();
        let full = ids.len() == PAGE as usize;
        let next = ids.last().filter(|_| full).map(ContactId::to_string);
        Ok(Rows { rows, next })
    }
}

fn filter(params: &Value) -> Result<ContactFilter, SourceError> {
    serde_json::from_value::<ContactsExportFilter>(params.clone())
        .map(ContactFilter::from)
        .map_err(|error| SourceError::Refused(format!("the filter cannot be read: {error}")))
}

#[async_trait]
impl Source for ContactsSource {
    fn kind(&self) -> &'static str {
        ContactsExport::NAME
    }

    async fn columns(&self, scope: Scope, _: &Value) -> Result<Vec<String>, SourceError> {
        let work = self.store.read().await?;
        let names = work.contacts(scope).variable_names(VARIABLES + 1).await?;
        if names.len() > VARIABLES as usize {
            let problem = format!("the contacts have more than {VARIABLES} different variables");
            return Err(SourceError::Refused(problem));
        }
        Ok(header(&names))
    }

    async fn rows(
        &self,
        scope: Scope,
        params: &Value,
        columns: &[String],
        after: Option<&str>,
    ) -> Result<Rows, SourceError> {
        let filter = filter(params)?;
        let after = after.map(str::parse::<ContactId>).transpose();
        let after = after.map_err(|error| SourceError::Refused(error.to_string()))?;
        let variables: Vec<String> = columns
            .iter()
            .skip(fixed().len())
            .map(|name| name.strip_prefix("variable:").unwrap_or(name).to_owned())
            .collect();
        Ok(self.page(scope, &filter, after, &variables).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use kabar_core::{AccountId, IdentityId, PhoneNumber, Timestamp};
    use proptest::collection::{btree_map, btree_set};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::contact::{ContactKind, Identity, IdentityKey};
    use crate::import::columns::Columns;
    use crate::import::model::{ImportFormat, ImportOptions};
    use crate::import::row::Candidate;
    use crate::import::{file, row as import_row};
    use crate::number::Numbers;

    fn contact(number: u64, name: Option<String>, variables: BTreeMap<String, String>) -> Contact {
        let id = ContactId::from(Uuid::from_u128(u128::from(number)));
        let phone: PhoneNumber = format!("+62812{number:07}").parse().unwrap();
        Contact {
            id,
            account: AccountId::from(Uuid::nil()),
            kind: ContactKind::Person,
            name,
            profile_name: Some("=cmd()".to_owned()),
            variables,
            marketing_stopped_at: None,
            stop_scope: None,
            stop_source: None,
            consented_at: None,
            consent_source: None,
            identities: vec![Identity {
                id: IdentityId::from(Uuid::nil()),
                contact: id,
                key: IdentityKey::phone(&phone),
                valid_from: Timestamp::UNIX_EPOCH,
                valid_until: None,
            }],
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn imported(bytes: &Bytes) -> Vec<Candidate> {
        let mut columns = None;
        let mut found = Vec::new();
        let options = ImportOptions::default();
        let numbers = Numbers::default();
        file::rows(bytes, ImportFormat::Csv, &mut |cells| {
            match &columns {
                None => columns = Some(Columns::recognised(&cells, &options, &numbers).unwrap()),
                Some(columns) => {
                    found.push(import_row::read(&cells, columns, &options, &numbers).unwrap());
                }
            }
            true
        })
        .unwrap();
        found
    }

    proptest! {
        /// What was exported comes back as it was: names, variables, tags and groups, whatever they
        /// hold and whatever the variables are called.
        #[test]
        fn an_import_of_an_export_changes_nothing(
            people in proptest::collection::vec(
                (
                    proptest::option::of("[^\\p{C}\\s][^\\p{C}]{0,20}[^\\p{C}\\s]"),
                    btree_map(
                        "phone|Phone|name|nama|tags|grup|wa|kota|Kota_2|[a-zé_]{1,8}",
                        "[=+@'\\-][^\\p{Cc}]{0,9}|[^\\p{Cc}]{1,20}|a\r\n\"b\";,\t|'=1|''@x",
                        0..4,
                    ),
                    btree_set("[a-zé][a-z0-9é ]{0,8}[a-z0-9]", 0..4),
                    btree_set("[A-Za-z=+][A-Za-z0-9]{1,9}", 0..3),
                ),
                1..20,
            )
        ) {
            let mut names: Vec<String> =
                people.iter().flat_map(|person| person.1.keys().cloned()).collect();
            names.sort();
            names.dedup();
            let mut wanted = Vec::new();
            let mut rows = Vec::new();
            for (number, (name, variables, tags, groups)) in (0..).zip(people) {
                let tags: Vec<String> = tags.iter().map(|tag| crate::tag::normalised(tag).unwrap()).collect();
                let mut tags = tags;
                tags.sort();
                tags.dedup();
                let groups: Vec<String> = groups.into_iter().collect();
                let contact = contact(number, name.clone(), variables.clone());
                rows.push(row(&contact, &tags, &groups, &names));
                let phone = contact.identity(IdentityKind::Phone).unwrap().to_owned();
                wanted.push((phone, name, variables, tags, groups));
            }
            let bytes = kabar_exports::csv_part(&header(&names), &rows, true);
            let found: Vec<_> = imported(&bytes)
                .into_iter()
                .map(|one| {
                    let fields = one.fields;
                    let phone = one.phone.as_str().to_owned();
                    (phone, one.name, fields.variables, fields.tags, fields.groups)
                })
                .collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
