//! Contacts: people and groups that a tenant talks with.

use std::collections::BTreeMap;

use kabar::Platform;
use kabar::contacts::{
    Contact, ContactFilter, ContactPatch, CreateContact, Identity, IdentityKey, Numbers, StopScope,
};
use kabar::core::permission::{ReadContacts, WriteContacts};
use kabar::core::{ContactId, Cursor, GroupId, PhoneNumber, Scope, Timestamp};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Created, Listed, NoContent, page};
use super::body::JsonBody;
use super::groups::read_tag;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// One way in which a contact is known.
#[derive(Debug, Object)]
#[oai(rename = "Identity")]
pub struct IdentityView {
    /// `phone`, `bsuid`, `username` and their like.
    pub kind: String,
    /// Where it is unique; empty for numbers.
    pub namespace: String,
    /// The id itself.
    pub value: String,
    /// Since when.
    pub valid_from: Timestamp,
}

impl From<Identity> for IdentityView {
    fn from(identity: Identity) -> Self {
        Self {
            kind: identity.key.kind.as_str().to_owned(),
            namespace: identity.key.namespace,
            value: identity.key.value,
            valid_from: identity.valid_from,
        }
    }
}

/// Somebody that a tenant talks with.
#[derive(Debug, Object)]
#[oai(rename = "Contact")]
pub struct ContactView {
    /// Its id.
    pub id: Word<ContactId>,
    /// `person` or `group`.
    pub kind: String,
    /// What the tenant calls it.
    pub name: Option<String>,
    /// What the person calls itself.
    pub profile_name: Option<String>,
    /// Its number, if it is known by one.
    pub phone: Option<String>,
    /// The tenant's own facts about it, for `{variable}`s.
    pub variables: BTreeMap<String, String>,
    /// When it stopped messages: marketing, or more.
    pub marketing_stopped_at: Option<Timestamp>,
    /// What it stopped, if it stopped messages.
    pub stopped: Option<Word<StopScope>>,
    /// When it agreed to messages.
    pub consented_at: Option<Timestamp>,
    /// Where it agreed.
    pub consent_source: Option<String>,
    /// How it is known now, the steadiest first.
    pub identities: Vec<IdentityView>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl From<Contact> for ContactView {
    fn from(contact: Contact) -> Self {
        let stopped = contact.stop().map(Word);
        let phone = contact.identity(kabar::contacts::IdentityKind::Phone);
        Self {
            id: Word(contact.id),
            kind: contact.kind.as_str().to_owned(),
            phone: phone.map(str::to_owned),
            name: contact.name,
            profile_name: contact.profile_name,
            variables: contact.variables,
            stopped,
            marketing_stopped_at: contact.marketing_stopped_at,
            consented_at: contact.consented_at,
            consent_source: contact.consent_source,
            identities: contact.identities.into_iter().map(IdentityView::from).collect(),
            created_at: contact.created_at,
            updated_at: contact.updated_at,
        }
    }
}

/// A contact to make.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewContact")]
#[serde(deny_unknown_fields)]
pub struct NewContactBody {
    /// Its number with country code, like `+628123456789`, or as it is dialled in the account's
    /// country.
    pub phone: String,
    /// What the tenant calls it.
    #[oai(validator(max_length = 200))]
    pub name: Option<String>,
    /// The tenant's own facts, for `{variable}`s: at most 100.
    #[oai(default)]
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "ContactPatch")]
#[serde(deny_unknown_fields)]
pub struct ContactPatchBody {
    /// What the tenant calls it; an empty name takes it away.
    #[oai(validator(max_length = 200))]
    pub name: Option<String>,
    /// Variables to set; an empty value takes one away.
    #[oai(default)]
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Whether marketing messages are wanted.
    pub marketing: Option<bool>,
}

/// The country in which the account's national numbers are read.
///
/// # Errors
/// 503 when storage is away.
pub async fn country(platform: &Platform, scope: Scope) -> Result<Option<String>, Problem> {
    Ok(platform.accounts().country(scope).await?)
}

/// A reader of numbers as the account's callers write them.
///
/// # Errors
/// 503 when storage is away.
pub async fn numbers(platform: &Platform, scope: Scope) -> Result<Numbers, Problem> {
    Ok(Numbers::of(country(platform, scope).await?))
}

/// A number with its country code that a caller wrote.
///
/// # Errors
/// 422 naming the field.
pub fn phone(field: &str, text: &str) -> Result<PhoneNumber, Problem> {
    Numbers::default().read(text).map_err(|error| Problem::invalid(field, error.to_string()))
}

/// What a search looks for: the beginning of a number when it is one, else of a name.
pub fn prefixes(search: Option<String>) -> (Option<String>, Option<String>) {
    let Some(search) = search.map(|text| text.replace('\0', "")) else { return (None, None) };
    let search = search.trim();
    let digits = search.strip_prefix('+').unwrap_or(search);
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if number { (None, Some(format!("+{digits}"))) } else { (Some(search.to_owned()), None) }
}

/// The operations.
pub struct ContactsApi(pub Platform);

#[OpenApi(tag = "Area::Contacts")]
impl ContactsApi {
    /// List contacts
    ///
    /// All, the one who has a number now, or those that fit. Needs `contacts:read`.
    #[oai(path = "/contacts", method = "get", operation_id = "listContacts")]
    #[expect(clippy::too_many_arguments, reason = "one each filter")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        /// Only the contact with this number, country code included.
        phone: Query<Option<String>>,
        /// Only those in this group.
        group: Query<Option<Word<GroupId>>>,
        /// Only those with this tag.
        tag: Query<Option<String>>,
        /// Only those whose name, or whose number with country code, begins so.
        #[oai(validator(min_length = 1, max_length = 100))]
        search: Query<Option<String>>,
        /// Only those that stopped messages, or those that did not.
        opted_out: Query<Option<bool>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<ContactView>> {
        let number = phone.0.map(|text| {
            let read = PhoneNumber::parse(&text, None);
            read.map_err(|error| Problem::unreadable("phone", error.to_string()))
        });
        let identity = number.transpose()?.map(|number| IdentityKey::phone(&number));
        let (name, number) = prefixes(search.0);
        let filter = ContactFilter {
            identity,
            group: group.0.map(|id| id.0),
            tag: tag.0.map(|tag| read_tag("tag", &tag)).transpose()?,
            name,
            number,
            opted_out: opted_out.0,
        };
        let page = page(limit.0, after.0);
        let contacts = self.0.contacts().list(&may.grant, &filter, page).await?;
        Ok(Listed::of(contacts))
    }

    /// Create a contact
    ///
    /// Needs `contacts:write`.
    #[oai(path = "/contacts", method = "post", operation_id = "createContact")]
    async fn create(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewContactBody>,
    ) -> Result<Created<ContactView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createContact", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let numbers = numbers(&self.0, may.grant.scope()).await?;
        let number = numbers.read(&body.value.phone);
        let number = number.map_err(|error| Problem::invalid("phone", error.to_string()))?;
        let new =
            CreateContact { phone: number, name: body.value.name, variables: body.value.variables };
        let contact = self.0.contacts().create(&may.grant, new, once.as_ref()).await?;
        Ok(Created::new(contact.into(), replayed))
    }

    /// Get a contact
    ///
    /// One that was merged answers as the contact that it went into. Needs `contacts:read`.
    #[oai(path = "/contacts/:id", method = "get", operation_id = "getContact")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<ContactId>>,
    ) -> Answer<ContactView> {
        let contact = self.0.contacts().get(&may.grant, id.0.0).await?;
        Ok(Json(contact.into()))
    }

    /// Change a contact
    ///
    /// Needs `contacts:write`.
    #[oai(path = "/contacts/:id", method = "patch", operation_id = "updateContact")]
    async fn update(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<ContactId>>,
        body: JsonBody<ContactPatchBody>,
    ) -> Answer<ContactView> {
        let patch = ContactPatch {
            name: body.value.name,
            variables: body.value.variables,
            marketing: body.value.marketing,
        };
        let contact = self.0.contacts().update(&may.grant, id.0.0, patch).await?;
        Ok(Json(contact.into()))
    }

    /// Remove a contact
    ///
    /// Its messages stay; a new message from the same person makes a new contact. Needs
    /// `contacts:write`.
    #[oai(path = "/contacts/:id", method = "delete", operation_id = "removeContact")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<ContactId>>,
    ) -> Result<NoContent, Problem> {
        self.0.contacts().remove(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }
}
