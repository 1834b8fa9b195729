//! The registry of opt-outs.

use kabar::Platform;
use kabar::contacts::opt_out::PreferenceEntry;
use kabar::contacts::{
    Contact, IdentityKind, OptOutSettings, PreferenceChange, PreferenceSource, StopScope, Whom,
};
use kabar::core::permission::{ReadContacts, WriteContacts, WriteSettings};
use kabar::core::{ContactId, Cursor, MessageId, PhoneNumber, Timestamp};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::accounts::undefined;
use super::answer::{Answer, Listed, NoContent, page};
use super::body::JsonBody;
use super::contacts::numbers;
use super::groups::{ChangedView, FilterBody, selection};
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::OnceKey;
use crate::problem::Problem;

/// A contact that stopped messages.
#[derive(Debug, Object)]
#[oai(rename = "OptOut")]
pub struct OptOutView {
    /// The contact.
    pub contact_id: Word<ContactId>,
    /// Its number, if it is known by one.
    pub phone: Option<String>,
    /// What it stopped.
    pub scope: Word<StopScope>,
    /// How we know.
    pub source: Option<Word<PreferenceSource>>,
    /// Since when.
    pub stopped_at: Option<Timestamp>,
}

impl From<Contact> for OptOutView {
    fn from(contact: Contact) -> Self {
        Self {
            contact_id: Word(contact.id),
            phone: contact.identity(IdentityKind::Phone).map(str::to_owned),
            scope: Word(contact.stop().unwrap_or(StopScope::Marketing)),
            source: contact.stop_source.map(Word),
            stopped_at: contact.marketing_stopped_at,
        }
    }
}

/// Whose messages are to be stopped: one of the three.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewOptOuts")]
#[serde(deny_unknown_fields)]
pub struct NewOptOutsBody {
    /// Numbers, at most 10,000; those that are no contact yet become one.
    pub phones: Option<Vec<String>>,
    /// These contacts, at most 10,000.
    pub contact_ids: Option<Vec<Word<ContactId>>>,
    /// Those that fit, at most 50,000.
    pub filter: Option<FilterBody>,
    /// What is stopped.
    #[oai(default = "marketing")]
    #[serde(default = "marketing")]
    pub scope: Word<StopScope>,
}

const fn marketing() -> Word<StopScope> {
    Word(StopScope::Marketing)
}

/// What a contact wanted, and when.
#[derive(Debug, Object)]
#[oai(rename = "Preference")]
pub struct PreferenceView {
    /// The contact.
    pub contact_id: Word<ContactId>,
    /// What changed.
    pub change: Word<PreferenceChange>,
    /// What was stopped.
    pub scope: Option<Word<StopScope>>,
    /// How we know.
    pub source: Word<PreferenceSource>,
    /// The word that was written, or where the contact agreed.
    pub detail: Option<String>,
    /// The message that held the word.
    pub message_id: Option<Word<MessageId>>,
    /// Who noted it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

impl From<PreferenceEntry> for PreferenceView {
    fn from(entry: PreferenceEntry) -> Self {
        Self {
            contact_id: Word(entry.contact),
            change: Word(entry.change),
            scope: entry.scope.map(Word),
            source: Word(entry.source),
            detail: entry.detail,
            message_id: entry.message.map(Word),
            actor: entry.actor,
            at: entry.at,
        }
    }
}

/// How the account listens for stop words.
#[derive(Debug, Object)]
#[oai(rename = "OptOutSettings")]
pub struct OptOutSettingsView {
    /// A message that is one of these, whole, stops messages; case, spaces and punctuation do not
    /// matter.
    pub stop_words: Vec<String>,
    /// A message that is one of these, whole, wants them again.
    pub start_words: Vec<String>,
    /// What a stop word stops.
    pub scope: Word<StopScope>,
    /// What is answered to a stop word; nothing when absent.
    pub stop_reply: Option<String>,
    /// What is answered to a start word; nothing when absent.
    pub start_reply: Option<String>,
}

impl From<OptOutSettings> for OptOutSettingsView {
    fn from(settings: OptOutSettings) -> Self {
        Self {
            stop_words: settings.stop_words,
            start_words: settings.start_words,
            scope: Word(settings.scope),
            stop_reply: settings.stop_reply,
            start_reply: settings.start_reply,
        }
    }
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "OptOutSettingsPatch")]
#[serde(deny_unknown_fields)]
pub struct OptOutSettingsBody {
    /// The stop words, 1 to 100.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub stop_words: Option<Vec<String>>,
    /// The start words, at most 100.
    #[oai(validator(max_items = 100))]
    pub start_words: Option<Vec<String>>,
    /// What a stop word stops.
    pub scope: Option<Word<StopScope>>,
    /// What is answered to a stop word; null for nothing.
    #[oai(validator(min_length = 1, max_length = 1000))]
    #[serde(default)]
    pub stop_reply: MaybeUndefined<String>,
    /// What is answered to a start word; null for nothing.
    #[oai(validator(min_length = 1, max_length = 1000))]
    #[serde(default)]
    pub start_reply: MaybeUndefined<String>,
}

/// The operations.
pub struct OptOutsApi(pub Platform);

#[OpenApi(tag = "Area::Contacts")]
impl OptOutsApi {
    /// List opt-outs
    ///
    /// The contacts that stopped messages. Needs `contacts:read`.
    #[oai(path = "/opt-outs", method = "get", operation_id = "listOptOuts")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<OptOutView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.opt_outs().list(&may.grant, page).await?))
    }

    /// Stop messages
    ///
    /// To numbers, contacts, or those that fit a filter. `changed` counts those that were not in
    /// the registry. Needs `contacts:write`.
    #[oai(path = "/opt-outs", method = "post", operation_id = "addOptOuts")]
    async fn add(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewOptOutsBody>,
    ) -> Answer<ChangedView> {
        let once = key.once(may.principal.actor(), may.scope(), "addOptOuts", body.hash);
        let NewOptOutsBody { phones, contact_ids, filter, scope } = body.value;
        let whom = match phones {
            Some(phones) if contact_ids.is_none() && filter.is_none() => {
                let numbers = numbers(&self.0, may.grant.scope()).await?;
                let read = |(index, text): (usize, &String)| {
                    let field = format!("phones[{index}]");
                    numbers.read(text).map_err(|error| Problem::invalid(field, error.to_string()))
                };
                let phones: Result<Vec<PhoneNumber>, Problem> =
                    phones.iter().enumerate().map(read).collect();
                Whom::Numbers(phones?)
            }
            Some(_) => {
                let problem = "send only one of `phones`, `contact_ids` and `filter`";
                return Err(Problem::invalid("phones", problem));
            }
            None => Whom::Contacts(selection(contact_ids, filter)?),
        };
        let stopped = self.0.opt_outs().stop(&may.grant, &whom, scope.0, once.as_ref()).await?;
        Ok(Json(ChangedView { changed: stopped.len() as u64 }))
    }

    /// Take a contact out of the opt-outs
    ///
    /// The id is the contact's. Needs `contacts:write`.
    #[oai(path = "/opt-outs/:id", method = "delete", operation_id = "removeOptOut")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<ContactId>>,
    ) -> Result<NoContent, Problem> {
        self.0.opt_outs().resume(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }

    /// List what contacts wanted when
    ///
    /// Stops, starts and consent, of all contacts or of one. Needs `contacts:read`.
    #[oai(path = "/preferences", method = "get", operation_id = "listPreferences")]
    async fn history(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        /// Only of this contact.
        contact: Query<Option<Word<ContactId>>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<PreferenceView>> {
        let page = page(limit.0, after.0);
        let contact = contact.0.map(|id| id.0);
        Ok(Listed::of(self.0.opt_outs().history(&may.grant, contact, page).await?))
    }

    /// Get how the account listens for stop words
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/opt-out-settings", method = "get", operation_id = "getOptOutSettings")]
    async fn settings(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
    ) -> Answer<OptOutSettingsView> {
        Ok(Json(self.0.opt_outs().settings(&may.grant).await?.into()))
    }

    /// Change how the account listens for stop words
    ///
    /// Needs `settings:write`.
    #[oai(path = "/opt-out-settings", method = "patch", operation_id = "updateOptOutSettings")]
    async fn set_settings(
        &self,
        Auth(may): Auth<InAccount<WriteSettings>>,
        body: JsonBody<OptOutSettingsBody>,
    ) -> Answer<OptOutSettingsView> {
        let patch = body.value;
        let change = move |settings: &mut OptOutSettings| {
            settings.stop_words = patch.stop_words.unwrap_or_else(|| settings.stop_words.clone());
            settings.start_words =
                patch.start_words.unwrap_or_else(|| settings.start_words.clone());
            settings.scope = patch.scope.map_or(settings.scope, |scope| scope.0);
            if let Some(reply) = undefined(patch.stop_reply) {
                settings.stop_reply = reply;
            }
            if let Some(reply) = undefined(patch.start_reply) {
                settings.start_reply = reply;
            }
        };
        Ok(Json(self.0.opt_outs().change_settings(&may.grant, change).await?.into()))
    }
}
