//! A tenant's own groups of contacts, and tags.

use kabar::Platform;
use kabar::contacts::{ContactFilter, Group, GroupPatch, NewGroup, Selection, TagCount, tag};
use kabar::core::permission::{ReadContacts, WriteContacts};
use kabar::core::{ContactId, Cursor, GroupId, PageRequest, Timestamp};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Created, Listed, NoContent, page};
use super::body::JsonBody;
use super::contacts::{ContactView, prefixes};
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// A group of contacts.
#[derive(Debug, Object)]
#[oai(rename = "Group")]
pub struct GroupView {
    /// Its id.
    pub id: Word<GroupId>,
    /// What the tenant calls it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How many contacts are in it.
    pub members: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self {
            id: Word(group.id),
            name: group.name,
            description: group.description,
            members: group.members,
            created_at: group.created_at,
            updated_at: group.updated_at,
        }
    }
}

/// A group to make.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewGroup")]
#[serde(deny_unknown_fields)]
pub struct NewGroupBody {
    /// What the tenant calls it; no other group may be called so.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// What it is for.
    #[oai(validator(max_length = 500))]
    pub description: Option<String>,
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "GroupPatch")]
#[serde(deny_unknown_fields)]
pub struct GroupPatchBody {
    /// What the tenant calls it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// What it is for; an empty text takes it away.
    #[oai(validator(max_length = 500))]
    pub description: Option<String>,
}

/// Which contacts fit.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "ContactFilter")]
#[serde(deny_unknown_fields)]
pub struct FilterBody {
    /// Those in this group.
    pub group_id: Option<Word<GroupId>>,
    /// Those with this tag.
    pub tag: Option<String>,
    /// Those whose name, or whose number with `+`, begins so.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub search: Option<String>,
    /// Those that stopped messages, or those that did not.
    pub opted_out: Option<bool>,
}

impl FilterBody {
    /// The filter; every contact when nothing is said.
    ///
    /// # Errors
    /// 422 naming the tag.
    pub fn filter(self) -> Result<ContactFilter, Problem> {
        let (name, number) = prefixes(self.search);
        Ok(ContactFilter {
            identity: None,
            group: self.group_id.map(|id| id.0),
            tag: self.tag.map(|tag| read_tag("filter.tag", &tag)).transpose()?,
            name,
            number,
            opted_out: self.opted_out,
        })
    }
}

/// A tag that a caller wrote.
///
/// # Errors
/// 422 naming the field.
pub fn read_tag(field: &str, text: &str) -> Result<String, Problem> {
    tag::normalised(text).map_err(|problem| Problem::invalid(field, problem))
}

/// Contacts by id, or by a filter: one of both.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "ContactSelection")]
#[serde(deny_unknown_fields)]
pub struct SelectionBody {
    /// These, at most 10,000.
    pub contact_ids: Option<Vec<Word<ContactId>>>,
    /// Those that fit, at most 50,000.
    pub filter: Option<FilterBody>,
}

/// The contacts that are meant.
///
/// # Errors
/// 422 unless exactly one of both is there.
pub fn selection(
    ids: Option<Vec<Word<ContactId>>>,
    filter: Option<FilterBody>,
) -> Result<Selection, Problem> {
    match (ids, filter) {
        (Some(ids), None) => Ok(Selection::Ids(ids.into_iter().map(|id| id.0).collect())),
        (None, Some(filter)) => Ok(Selection::Matching(Box::new(filter.filter()?))),
        _ => Err(Problem::invalid("contact_ids", "send either `contact_ids` or `filter`")),
    }
}

/// How many rows a call changed.
#[derive(Debug, Object)]
#[oai(rename = "Changed")]
pub struct ChangedView {
    /// Rows.
    pub changed: u64,
}

/// A tag, and how many contacts have it.
#[derive(Debug, Object)]
#[oai(rename = "Tag")]
pub struct TagView {
    /// The tag.
    pub tag: String,
    /// Contacts that have it.
    pub contacts: u64,
}

impl From<TagCount> for TagView {
    fn from(count: TagCount) -> Self {
        Self { tag: count.tag, contacts: count.contacts }
    }
}

/// Some tags.
#[derive(Debug, Object)]
#[oai(rename = "TagPage")]
pub struct TagPage {
    /// The tags, in the database's order.
    pub items: Vec<TagView>,
    /// What to send as `after` for the next page; null on the last one.
    pub next: Option<String>,
}

/// Tags, and the contacts that they are put on or taken from.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "TagChange")]
#[serde(deny_unknown_fields)]
pub struct TagChangeBody {
    /// The tags.
    #[oai(validator(min_items = 1, max_items = 50))]
    pub tags: Vec<String>,
    /// These contacts, at most 10,000.
    pub contact_ids: Option<Vec<Word<ContactId>>>,
    /// Those that fit, at most 50,000.
    pub filter: Option<FilterBody>,
}

/// The operations.
pub struct GroupsApi(pub Platform);

#[OpenApi(tag = "Area::Contacts")]
impl GroupsApi {
    /// List groups
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/groups", method = "get", operation_id = "listGroups")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<GroupView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.groups().list(&may.grant, page).await?))
    }

    /// Create a group
    ///
    /// Needs `contacts:write`.
    #[oai(path = "/groups", method = "post", operation_id = "createGroup")]
    async fn create(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewGroupBody>,
    ) -> Result<Created<GroupView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createGroup", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let new = NewGroup { name: body.value.name, description: body.value.description };
        let group = self.0.groups().create(&may.grant, new, once.as_ref()).await?;
        Ok(Created::new(group.into(), replayed))
    }

    /// Get a group
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/groups/:id", method = "get", operation_id = "getGroup")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<GroupId>>,
    ) -> Answer<GroupView> {
        Ok(Json(self.0.groups().get(&may.grant, id.0.0).await?.into()))
    }

    /// Change a group
    ///
    /// Needs `contacts:write`.
    #[oai(path = "/groups/:id", method = "patch", operation_id = "updateGroup")]
    async fn update(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<GroupId>>,
        body: JsonBody<GroupPatchBody>,
    ) -> Answer<GroupView> {
        let patch = GroupPatch { name: body.value.name, description: body.value.description };
        Ok(Json(self.0.groups().update(&may.grant, id.0.0, patch).await?.into()))
    }

    /// Remove a group
    ///
    /// Its members stay contacts. Needs `contacts:write`.
    #[oai(path = "/groups/:id", method = "delete", operation_id = "removeGroup")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<GroupId>>,
    ) -> Result<NoContent, Problem> {
        self.0.groups().remove(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }

    /// List the members of a group
    ///
    /// Needs `contacts:read`.
    #[oai(path = "/groups/:id/members", method = "get", operation_id = "listGroupMembers")]
    async fn members(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        id: Path<Word<GroupId>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<ContactView>> {
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.groups().members(&may.grant, id.0.0, page).await?))
    }

    /// Put contacts into a group
    ///
    /// By id or by a filter. Those that are in it stay. Needs `contacts:write`.
    #[oai(path = "/groups/:id/members", method = "post", operation_id = "addGroupMembers")]
    async fn add(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<GroupId>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<SelectionBody>,
    ) -> Answer<ChangedView> {
        let once = key.once(may.principal.actor(), may.scope(), "addGroupMembers", body.hash);
        let whom = selection(body.value.contact_ids, body.value.filter)?;
        let changed = self.0.groups().add(&may.grant, id.0.0, &whom, once.as_ref()).await?;
        Ok(Json(ChangedView { changed }))
    }

    /// Take contacts out of a group
    ///
    /// By id or by a filter. Needs `contacts:write`.
    #[oai(
        path = "/groups/:id/members/remove",
        method = "post",
        operation_id = "removeGroupMembers"
    )]
    async fn take(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        id: Path<Word<GroupId>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<SelectionBody>,
    ) -> Answer<ChangedView> {
        let once = key.once(may.principal.actor(), may.scope(), "removeGroupMembers", body.hash);
        let whom = selection(body.value.contact_ids, body.value.filter)?;
        let changed = self.0.groups().take(&may.grant, id.0.0, &whom, once.as_ref()).await?;
        Ok(Json(ChangedView { changed }))
    }

    /// List tags
    ///
    /// With how many contacts have them. Needs `contacts:read`.
    #[oai(path = "/tags", method = "get", operation_id = "listTags")]
    async fn tags(
        &self,
        Auth(may): Auth<InAccount<ReadContacts>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        #[oai(validator(max_length = 64))]
        after: Query<Option<String>>,
    ) -> Answer<TagPage> {
        let limit = usize::from(PageRequest::new(limit.0, None).limit);
        let more = u16::try_from(limit + 1).unwrap_or(u16::MAX);
        let after = after.0.map(|text| text.replace('\0', ""));
        let mut items = self.0.tags().list(&may.grant, after.as_deref(), more).await?;
        let next = (items.len() > limit).then(|| items.get(limit - 1).map(|tag| tag.tag.clone()));
        items.truncate(limit);
        let items = items.into_iter().map(TagView::from).collect();
        Ok(Json(TagPage { items, next: next.flatten() }))
    }

    /// Put tags on contacts
    ///
    /// By id or by a filter. `changed` counts tags on contacts. Needs `contacts:write`.
    #[oai(path = "/tags/add", method = "post", operation_id = "addTags")]
    async fn add_tags(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<TagChangeBody>,
    ) -> Answer<ChangedView> {
        let once = key.once(may.principal.actor(), may.scope(), "addTags", body.hash);
        let whom = selection(body.value.contact_ids, body.value.filter)?;
        let tags = &body.value.tags;
        let changed = self.0.tags().add(&may.grant, tags, &whom, once.as_ref()).await?;
        Ok(Json(ChangedView { changed }))
    }

    /// Take tags from contacts
    ///
    /// By id or by a filter. Needs `contacts:write`.
    #[oai(path = "/tags/remove", method = "post", operation_id = "removeTags")]
    async fn remove_tags(
        &self,
        Auth(may): Auth<InAccount<WriteContacts>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<TagChangeBody>,
    ) -> Answer<ChangedView> {
        let once = key.once(may.principal.actor(), may.scope(), "removeTags", body.hash);
        let whom = selection(body.value.contact_ids, body.value.filter)?;
        let tags = &body.value.tags;
        let changed = self.0.tags().take(&may.grant, tags, &whom, once.as_ref()).await?;
        Ok(Json(ChangedView { changed }))
    }
}
