//! Tags of contacts.

use async_trait::async_trait;
use kabar_contacts::tag::{TagCount, TagRepo};
use kabar_core::{ContactId, Scope, StoreError, Timestamp};
use uuid::Uuid;

use super::CHUNK;
use crate::convert::micros;
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

pub(super) struct SeaTags<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaTags<'_> {
    async fn insert(
        &self,
        pairs: impl Iterator<Item = (Uuid, &str)>,
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO contact_tags (account_id, tag, contact_id, added_at) VALUES ");
        for (index, (contact, tag)) in pairs.enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" })
                .bind(self.scope.account().uuid())
                .push(", ")
                .bind(tag)
                .push(", ")
                .bind(contact)
                .push(", ")
                .bind(micros(at))
                .push(")");
        }
        sql.push(" ON CONFLICT DO NOTHING");
        self.unit.execute(sql).await
    }
}

#[async_trait]
impl TagRepo for SeaTags<'_> {
    async fn add(
        &mut self,
        tags: &[String],
        contacts: &[ContactId],
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut added = 0;
        for tag in tags {
            for chunk in contacts.chunks(self.unit.at_most(CHUNK, 110)) {
                let pairs = chunk.iter().map(|contact| (contact.uuid(), tag.as_str()));
                added += self.insert(pairs, at).await?;
            }
        }
        Ok(added)
    }

    async fn add_pairs(
        &mut self,
        pairs: &[(ContactId, String)],
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut added = 0;
        for chunk in pairs.chunks(self.unit.at_most(CHUNK, 110)) {
            let pairs = chunk.iter().map(|(contact, tag)| (contact.uuid(), tag.as_str()));
            added += self.insert(pairs, at).await?;
        }
        Ok(added)
    }

    async fn take(&mut self, tags: &[String], contacts: &[ContactId]) -> Result<u64, StoreError> {
        let mut taken = 0;
        for chunk in contacts.chunks(self.unit.at_most(CHUNK, 110)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("DELETE FROM contact_tags WHERE account_id = ")
                .bind(self.scope.account().uuid())
                .push(" AND tag IN ")
                .list(tags.iter().map(String::as_str))
                .push(" AND contact_id IN ")
                .list(chunk.iter().map(|contact| contact.uuid()));
            taken += self.unit.execute(sql).await?;
        }
        Ok(taken)
    }

    async fn list(&mut self, after: Option<&str>, limit: u16) -> Result<Vec<TagCount>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT tag, COUNT(*) AS contacts FROM contact_tags WHERE account_id = ")
            .bind(self.scope.account().uuid());
        if let Some(after) = after {
            sql.push(" AND tag > ").bind(after);
        }
        sql.push(" GROUP BY tag ORDER BY tag LIMIT ").bind(i64::from(limit));
        let rows = self.unit.rows(sql).await?;
        rows.iter()
            .map(|row| {
                let contacts: i64 = row.try_get("", "contacts").map_err(store)?;
                let tag = row.try_get("", "tag").map_err(store)?;
                Ok(TagCount { tag, contacts: u64::try_from(contacts).unwrap_or_default() })
            })
            .collect()
    }

    async fn of_contacts(
        &mut self,
        contacts: &[ContactId],
    ) -> Result<Vec<(ContactId, String)>, StoreError> {
        let mut found = Vec::new();
        for chunk in contacts.chunks(self.unit.at_most(CHUNK, 110)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("SELECT contact_id, tag FROM contact_tags WHERE account_id = ")
                .bind(self.scope.account().uuid())
                .push(" AND contact_id IN ")
                .list(chunk.iter().map(|contact| contact.uuid()))
                .push(" ORDER BY contact_id, tag");
            for row in self.unit.rows(sql).await? {
                let contact: Uuid = row.try_get("", "contact_id").map_err(store)?;
                found.push((ContactId::from(contact), row.try_get("", "tag").map_err(store)?));
            }
        }
        Ok(found)
    }
}
