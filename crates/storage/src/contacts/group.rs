//! Groups of contacts.

use async_trait::async_trait;
use kabar_contacts::group::{Group, GroupRepo, GroupRow};
use kabar_core::{AccountId, ContactId, GroupId, Page, PageRequest, Scope, StoreError, Timestamp};
use sea_orm::QueryResult;
use uuid::Uuid;

use super::{CHUNK, ID};
use crate::convert::{micros, time};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

const COLUMNS: &str = "SELECT g.id AS id, g.account_id AS account_id, g.name AS name, \
     g.description AS description, g.created_at AS created_at, g.updated_at AS updated_at, \
     (SELECT COUNT(*) FROM contact_group_members m WHERE m.group_id = g.id) AS members \
     FROM contact_groups g WHERE g.account_id = ";

pub(super) struct SeaGroups<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaGroups<'_> {
    fn own(&self) -> Sql {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(COLUMNS).bind(self.scope.account().uuid());
        sql
    }
}

fn from_row(row: &QueryResult) -> Result<Group, StoreError> {
    let read = || -> Result<Group, sea_orm::DbErr> {
        let members: i64 = row.try_get("", "members")?;
        Ok(Group {
            id: GroupId::from(row.try_get::<Uuid>("", "id")?),
            account: AccountId::from(row.try_get::<Uuid>("", "account_id")?),
            name: row.try_get("", "name")?,
            description: row.try_get("", "description")?,
            members: u64::try_from(members).unwrap_or_default(),
            created_at: time(row.try_get("", "created_at")?),
            updated_at: time(row.try_get("", "updated_at")?),
        })
    };
    read().map_err(store)
}

#[async_trait]
impl GroupRepo for SeaGroups<'_> {
    async fn insert(&mut self, group: &GroupRow) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "INSERT INTO contact_groups \
             (id, account_id, name, name_key, description, created_at, updated_at) VALUES (",
        )
        .bind(group.id.uuid())
        .push(", ")
        .bind(self.scope.account().uuid())
        .push(", ")
        .bind(group.name.as_str())
        .push(", ")
        .bind(group.name_key.as_str())
        .push(", ")
        .bind(group.description.clone())
        .push(", ")
        .bind(micros(group.at))
        .push(", ")
        .bind(micros(group.at))
        .push(")");
        self.unit.execute(sql).await?;
        Ok(())
    }

    async fn update(&mut self, group: &GroupRow) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE contact_groups SET name = ")
            .bind(group.name.as_str())
            .push(", name_key = ")
            .bind(group.name_key.as_str())
            .push(", description = ")
            .bind(group.description.clone())
            .push(", updated_at = ")
            .bind(micros(group.at))
            .push(" WHERE account_id = ")
            .bind(self.scope.account().uuid())
            .push(" AND id = ")
            .bind(group.id.uuid());
        Ok(self.unit.execute(sql).await? == 1)
    }

    async fn by_ids(&mut self, ids: &[GroupId]) -> Result<Vec<Group>, StoreError> {
        let mut groups = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(self.unit.at_most(CHUNK, ID)) {
            let mut sql = self.own();
            sql.push(" AND g.id IN ").list(chunk.iter().map(|id| id.uuid()));
            for row in self.unit.rows(sql).await? {
                groups.push(from_row(&row)?);
            }
        }
        Ok(groups)
    }

    async fn by_name_keys(
        &mut self,
        keys: &[String],
    ) -> Result<Vec<(String, GroupId)>, StoreError> {
        let mut found = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(self.unit.at_most(CHUNK, 80)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("SELECT name_key, id FROM contact_groups WHERE account_id = ")
                .bind(self.scope.account().uuid())
                .push(" AND name_key IN ")
                .list(chunk.iter().map(String::as_str));
            for row in self.unit.rows(sql).await? {
                let key = row.try_get("", "name_key").map_err(store)?;
                let id: Uuid = row.try_get("", "id").map_err(store)?;
                found.push((key, GroupId::from(id)));
            }
        }
        Ok(found)
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<Group>, StoreError> {
        let mut sql = self.own();
        if let Some(after) = page.after {
            sql.push(" AND g.id < ").bind(after.id());
        }
        sql.push(" ORDER BY g.id DESC LIMIT ").bind(i64::from(page.limit) + 1);
        let rows = self.unit.rows(sql).await?;
        let groups = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(groups, page, |group| group.id.uuid()))
    }

    async fn remove(&mut self, id: GroupId) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("DELETE FROM contact_groups WHERE account_id = ")
            .bind(self.scope.account().uuid())
            .push(" AND id = ")
            .bind(id.uuid());
        Ok(self.unit.execute(sql).await? == 1)
    }

    async fn add(
        &mut self,
        id: GroupId,
        contacts: &[ContactId],
        at: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut added = 0;
        for chunk in contacts.chunks(self.unit.at_most(CHUNK, 90)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(
                "INSERT INTO contact_group_members (account_id, group_id, contact_id, added_at) \
                 VALUES ",
            );
            for (index, contact) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "(" } else { ", (" })
                    .bind(self.scope.account().uuid())
                    .push(", ")
                    .bind(id.uuid())
                    .push(", ")
                    .bind(contact.uuid())
                    .push(", ")
                    .bind(micros(at))
                    .push(")");
            }
            sql.push(" ON CONFLICT DO NOTHING");
            added += self.unit.execute(sql).await?;
        }
        Ok(added)
    }

    async fn take(&mut self, id: GroupId, contacts: &[ContactId]) -> Result<u64, StoreError> {
        let mut taken = 0;
        for chunk in contacts.chunks(self.unit.at_most(CHUNK, 90)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("DELETE FROM contact_group_members WHERE account_id = ")
                .bind(self.scope.account().uuid())
                .push(" AND group_id = ")
                .bind(id.uuid())
                .push(" AND contact_id IN ")
                .list(chunk.iter().map(|contact| contact.uuid()));
            taken += self.unit.execute(sql).await?;
        }
        Ok(taken)
    }

    async fn of_contacts(
        &mut self,
        contacts: &[ContactId],
    ) -> Result<Vec<(ContactId, GroupId, String)>, StoreError> {
        let mut found = Vec::new();
        for chunk in contacts.chunks(self.unit.at_most(CHUNK, 90)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(
                "SELECT m.contact_id AS contact_id, g.id AS id, g.name AS name \
                 FROM contact_group_members m JOIN contact_groups g ON g.id = m.group_id \
                 WHERE m.account_id = ",
            )
            .bind(self.scope.account().uuid())
            .push(" AND m.contact_id IN ")
            .list(chunk.iter().map(|contact| contact.uuid()))
            .push(" ORDER BY m.contact_id, g.id");
            for row in self.unit.rows(sql).await? {
                let contact: Uuid = row.try_get("", "contact_id").map_err(store)?;
                let id: Uuid = row.try_get("", "id").map_err(store)?;
                let name = row.try_get("", "name").map_err(store)?;
                found.push((ContactId::from(contact), GroupId::from(id), name));
            }
        }
        Ok(found)
    }
}
