//! What somebody gets who asks what is known about them: everything that is kept about one contact,
//! as the rows of an export.

use std::sync::Arc;

use async_trait::async_trait;
use kabar_contacts::{Contact, ContactError};
use kabar_core::permission::ReadMessages;
use kabar_core::{ContactId, Cursor, Grant, Once, PageRequest, Scope, Store, StoreError};
use kabar_exports::{
    Cell, Export, ExportError, Exports, Format, Kind, NewExport, Rows, Source, SourceError,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::message::{Body, Message, MessageFilter};
use crate::repo::RoadWork;

/// Exports of everything that is known of one contact.
#[derive(Debug, Clone, Copy)]
pub struct PersonalData;

impl Kind for PersonalData {
    const NAME: &'static str = "personal_data";
    // Messages are the greater part of it.
    type Needs = ReadMessages;
}

#[derive(Deserialize)]
struct Params {
    contact_id: ContactId,
}

/// Begins such exports.
#[derive(Clone)]
pub struct PersonalExports {
    store: Arc<dyn Store<dyn RoadWork>>,
    exports: Exports,
}

impl PersonalExports {
    /// The service over the exports.
    pub const fn new(store: Arc<dyn Store<dyn RoadWork>>, exports: Exports) -> Self {
        Self { store, exports }
    }

    /// Begins an export of everything that is known of a contact.
    ///
    /// # Errors
    /// [`ContactError::NotFound`], [`ContactError::Once`].
    pub async fn start(
        &self,
        grant: &Grant<ReadMessages>,
        contact: ContactId,
        once: Option<&Once>,
    ) -> Result<Export, ContactError> {
        let work = self.store.read().await?;
        if work.contacts(grant.scope()).by_ids(&[contact]).await?.is_empty() {
            return Err(ContactError::NotFound);
        }
        drop(work);
        let new = NewExport {
            format: Format::Json,
            name: contact.to_string(),
            params: json!({ "contact_id": contact }),
        };
        let started = self.exports.start::<PersonalData>(grant, new, once).await;
        started.map_err(|error| match error {
            ExportError::Store(error) => error.into(),
            ExportError::NotFound => ContactError::NotFound,
            ExportError::Once(error) => error.into(),
            error => StoreError::Refused(Box::new(error)).into(),
        })
    }
}

/// The source of such exports.
pub struct PersonalSource {
    store: Arc<dyn Store<dyn RoadWork>>,
}

impl PersonalSource {
    /// The source over a store.
    pub fn new(store: Arc<dyn Store<dyn RoadWork>>) -> Self {
        Self { store }
    }

    /// Everything but messages.
    async fn about(
        &self,
        work: &(dyn RoadWork + '_),
        scope: Scope,
        contact: &Contact,
    ) -> Result<Vec<Vec<Cell>>, StoreError> {
        let id = contact.id;
        let mut rows = vec![record(
            "contact",
            json!({
                "id": id,
                "name": contact.name,
                "profile_name": contact.profile_name,
                "variables": contact.variables,
                "messages_stopped_at": contact.marketing_stopped_at,
                "stopped": contact.stop(),
                "consented_at": contact.consented_at,
                "consent_source": contact.consent_source,
                "created_at": contact.created_at,
            }),
        )];
        for identity in work.person(scope).identities(id).await? {
            let data = json!({
                "kind": identity.key.kind.as_str(),
                "namespace": identity.key.namespace,
                "value": identity.key.value,
                "valid_from": identity.valid_from,
                "valid_until": identity.valid_until,
            });
            rows.push(record("identity", data));
        }
        for (_, group, name) in work.groups(scope).of_contacts(&[id]).await? {
            rows.push(record("group", json!({ "id": group, "name": name })));
        }
        for (_, tag) in work.tags(scope).of_contacts(&[id]).await? {
            rows.push(record("tag", json!({ "tag": tag })));
        }
        let mut page = PageRequest::new(Some(PageRequest::MOST), None);
        loop {
            let found = work.preferences(scope).history(Some(id), page).await?;
            for entry in found.items {
                let data = json!({
                    "change": entry.change,
                    "scope": entry.scope,
                    "source": entry.source,
                    "detail": entry.detail,
                    "at": entry.at,
                });
                rows.push(record("preference", data));
            }
            page.after = found.next;
            if page.after.is_none() {
                return Ok(rows);
            }
        }
    }
}

fn record(kind: &str, data: Value) -> Vec<Cell> {
    vec![Cell::Plain(kind.to_owned()), Cell::Json(data)]
}

fn message(message: &Message) -> Vec<Cell> {
    let content = match &message.body {
        Body::Out(content) => serde_json::to_value(content),
        Body::In(content) => serde_json::to_value(content),
        Body::Blank { .. } => Ok(Value::Null),
    };
    record(
        "message",
        json!({
            "id": message.id,
            "device_id": message.device,
            "conversation_id": message.conversation,
            "direction": message.direction.as_str(),
            "status": message.status.as_str(),
            "purpose": message.purpose.as_str(),
            "origin": message.origin.as_str(),
            "content": content.unwrap_or_default(),
            "media_id": message.media,
            "recipient": message.recipient,
            "network_id": message.network_id,
            "wire_id": message.wire_id,
            "reference": message.reference,
            "referral": message.referral,
            "sender_at": message.sender_at,
            "sent_at": message.sent_at,
            "delivered_at": message.delivered_at,
            "read_at": message.read_at,
            "created_at": message.created_at,
        }),
    )
}

#[async_trait]
impl Source for PersonalSource {
    fn kind(&self) -> &'static str {
        PersonalData::NAME
    }

    async fn columns(&self, _: Scope, _: &Value) -> Result<Vec<String>, SourceError> {
        Ok(vec!["record".to_owned(), "data".to_owned()])
    }

    async fn rows(
        &self,
        scope: Scope,
        params: &Value,
        _: &[String],
        after: Option<&str>,
    ) -> Result<Rows, SourceError> {
        let unreadable = |error: &dyn std::fmt::Display| SourceError::Refused(error.to_string());
        let Params { contact_id } =
            serde_json::from_value(params.clone()).map_err(|error| unreadable(&error))?;
        let work = self.store.read().await?;
        let mut rows = Vec::new();
        let mut page = PageRequest::new(Some(PageRequest::MOST), None);
        match after {
            None => {
                let found = work.contacts(scope).by_ids(&[contact_id]).await?;
                let contact = found.into_iter().next();
                let contact = contact.ok_or_else(|| unreadable(&"the contact is gone"))?;
                rows.extend(self.about(&*work, scope, &contact).await?);
            }
            Some(after) => {
                let cursor: Cursor = after.parse().map_err(|error| unreadable(&error))?;
                page.after = Some(cursor);
            }
        }
        let filter = MessageFilter { contact: Some(contact_id), ..MessageFilter::default() };
        let messages = work.messages(scope).list(&filter, page).await?;
        rows.extend(messages.items.iter().map(message));
        Ok(Rows { rows, next: messages.next.map(|next| next.to_string()) })
    }
}
