//! Contacts that become one, and contacts that are erased.

use kabar::Platform;
use kabar::core::permission::{ReadContacts, WriteContacts, WriteSettings};
use kabar::core::{ContactId, Cursor, GroupId, Timestamp};
use kabar::messaging::{Erasure, MergeEntry};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Accepted, Answer, Listed, page};
use super::body::JsonBody;
use super::contacts::ContactView;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::OnceKey;
use crate::problem::Problem;

/// The contact that goes into another one.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Merging")]
#[serde(deny_unknown_fields)]
pub struct MergeBody {
    /// The contact that is no more afterwards.
    pub contact_id: Word<ContactId>,
}

/// A merge that was made.
#[derive(Debug, Object)]
#[oai(rename = "Merge")]
pub struct MergeView {
    /// The contact that is left.
    pub contact_id: Word<ContactId>,
    /// The one that went into it.
    pub merged_id: Word<ContactId>,
    /// `manual`, or `network` when WhatsApp said that both are one.
    pub reason: String,
    /// Who asked for it.
    pub actor: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl From<MergeEntry> for MergeView {
    fn from(entry: MergeEntry) -> Self {
        Self {
            contact_id: Word(entry.kept),
            merged_id: Word(entry.merged),
            reason: entry.reason,
            actor: entry.actor,
            at: entry.at,
        }
    }
}

/// How far an erasure got.
#[derive(Debug, Object)]
#[oai(rename = "Erasure")]
pub struct ErasureView {
    /// The contact.
    pub contact_id: Word<ContactId>,
    /// Whether everything is erased.
    pub done: bool,
    /// Messages whose content is gone.
    pub messages: u64,
    /// Files that are gone.
    pub files: u64,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When everything was gone.
    pub finished_at: Option<Timestamp>,
}

impl From<Erasure> for ErasureView {
    fn from(erasure: Erasure) -> Self {
        Self {
            contact_id: Word(erasure.contact),
            done: erasure.done,
            messages: erasure.messages,
            files: erasure.files,
            created_at: erasure.created_at,
            finished_at: erasure.finished_at,
        }
    }
}

/// Where the contact agreed to messages.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Consent")]
#[serde(deny_unknown_fields)]
pub struct ConsentBody {
    /// Whether it agrees.
    pub given: bool,
    /// Where and how it agreed, like `web form 2026-01-05`; needed when it does.
    #[oai(validator(max_length = 200))]
    pub source: Option<String>,
}

/// A group, by its name.
#[derive(Debug, Object)]
#[oai(rename = "GroupName")]
pub struct GroupNameView {
    /// Its id.
    pub id: Word<GroupId>,
    /// What the tenant calls it.
    pub name: String,
}

/// The groups and tags of a contact.
#[derive(Debug, Object)]
#[oai(rename = "Memberships")]
pub struct MembershipsView {
    /// Its groups.
    pub groups: Vec<GroupNameView>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// The operations.
pub struct MergesApi(pub Platform);

#[OpenApi(tag = "Area::Contacts")]
impl MergesApi {
    /// Merge another contact into a contact
    ///
    /// Its identities, groups, tags, conversations and messages become the contact's own; names and
    /// variables of the contact win, and a stop of either stands. The other one answers as this one
    /// afterwards. Needs `contacts:write`.
    #[oai(path = "/contacts/:id/merge", method = "post", operation_id = "mergeContact")]
    async fn merge(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<ContactId>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<MergeBody>,
    ) -> Answer<ContactView> {
        let once = key.once(may.principal.actor(), may.scope(), "mergeContact", body.hash);
        let other = body.value.contact_id.0;
        let kept = self.0.merges().merge(&may.grant, id.0.0, other, once.as_ref()).await?;
        Ok(Json(kept.into()))
    }

    /// List merges
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/contact-merges", method = "get", operation_id = "listContactMerges")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<MergeView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.merges().list(&may.grant, page).await?))
    }

    /// Erase a contact
    ///
    /// Everything personal goes, for ever: names, numbers, variables, the content of its messages,
    /// the files that it sent. Ids, times and states stay, so that statistics do. A job does it;
    /// asking again changes nothing. Needs `settings:write`.
    #[oai(path = "/contacts/:id/erase", method = "post", operation_id = "eraseContact")]
    async fn erase(
        &self,
        Auth(may): Auth<InAccount<WriteSettings>>,
        id: Path<Word<ContactId>>,
        /// Accepted as everywhere; without one the same request makes nothing twice either.
        #[oai(name = "Idempotency-Key")]
        _key: OnceKey,
    ) -> Result<Accepted<ErasureView>, Problem> {
        let erasure = self.0.erasures().erase(&may.grant, id.0.0).await?;
        Ok(Accepted::new(erasure.into(), false))
    }

    /// Get how far an erasure got
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/contacts/:id/erasure", method = "get", operation_id = "getContactErasure")]
    async fn erasure(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<ContactId>>,
    ) -> Answer<ErasureView> {
        Ok(Json(self.0.erasures().get(&may.grant, id.0.0).await?.into()))
    }

    /// Note that a contact agreed to messages
    ///
    /// Or that it took that back. Needs `contacts:write`.
    #[oai(path = "/contacts/:id/consent", method = "put", operation_id = "setContactConsent")]
    async fn consent(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<ContactId>>,
        body: JsonBody<ConsentBody>,
    ) -> Answer<ContactView> {
        let source = match (body.value.given, &body.value.source) {
            (true, Some(source)) => Some(source.as_str()),
            (true, None) => {
                return Err(Problem::invalid("source", "is needed: say where and how it agreed"));
            }
            (false, _) => None,
        };
        let contact = self.0.opt_outs().consent(&may.grant, id.0.0, source).await?;
        Ok(Json(contact.into()))
    }

    /// Get the groups and tags of a contact
    ///
    /// Needs `contacts:read`.
    #[oai(
        path = "/contacts/:id/memberships",
        method = "get",
        operation_id = "getContactMemberships"
    )]
    async fn memberships(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<ContactId>>,
    ) -> Answer<MembershipsView> {
        let (groups, tags) = self.0.tags().memberships(&may.grant, id.0.0).await?;
        let groups = groups.into_iter().map(|(id, name)| GroupNameView { id: Word(id), name });
        Ok(Json(MembershipsView { groups: groups.collect(), tags }))
    }
}
