//! Contacts.

use std::collections::HashMap;

use async_trait::async_trait;
use kabar_contacts::contact::{Contact, Identity};
use kabar_contacts::{ContactFilter, ContactRepo};
use kabar_core::{AccountId, ContactId, Cursor, Page, PageRequest, Scope, StoreError, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use uuid::Uuid;

use super::entity::{contact, identity};
use super::filter::{Walk, matching};
use super::people::from_row as identity_from_row;
use super::{CHUNK, ID};
use crate::convert::{column, json, micros, time, time_opt};
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

pub(super) struct SeaContacts<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaContacts<'_> {
    fn own(&self) -> Select<contact::Entity> {
        contact::Entity::find()
            .filter(contact::Column::AccountId.eq(self.scope.account().uuid()))
            .filter(contact::Column::RemovedAt.is_null())
    }

    async fn matching(
        &self,
        filter: &ContactFilter,
        walk: &Walk,
        limit: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let sql = matching(self.unit.tx(), self.scope, filter, walk, limit);
        let rows = self.unit.rows(sql).await?;
        rows.iter().map(|row| row.try_get("", "id").map_err(store)).collect()
    }

    /// Contacts with their present identities, in the order of the rows.
    async fn with_identities(&self, rows: Vec<contact::Model>) -> Result<Vec<Contact>, StoreError> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut identities: HashMap<Uuid, Vec<Identity>> = HashMap::new();
        for chunk in ids.chunks(self.unit.at_most(CHUNK, ID)) {
            let found = identity::Entity::find()
                .filter(identity::Column::AccountId.eq(self.scope.account().uuid()))
                .filter(identity::Column::ContactId.is_in(chunk.iter().copied()))
                .filter(identity::Column::ValidUntil.is_null())
                .all(self.unit.tx())
                .await
                .map_err(store)?;
            for row in found {
                identities.entry(row.contact_id).or_default().push(identity_from_row(row)?);
            }
        }
        rows.into_iter()
            .map(|row| {
                let mut own = identities.remove(&row.id).unwrap_or_default();
                own.sort_by(|a, b| (&a.key, a.id).cmp(&(&b.key, b.id)));
                from_row(row, own)
            })
            .collect()
    }
}

fn from_row(row: contact::Model, identities: Vec<Identity>) -> Result<Contact, StoreError> {
    let word = |name, text: Option<String>| {
        text.map(|text| column("contacts", &row.id, name).word(&text)).transpose()
    };
    let source = row
        .stop_source
        .map(|text| column("contacts", &row.id, "stop_source").word(&text))
        .transpose()?;
    Ok(Contact {
        id: ContactId::from(row.id),
        account: AccountId::from(row.account_id),
        kind: column("contacts", &row.id, "kind").word(&row.kind)?,
        name: row.name,
        profile_name: row.profile_name,
        variables: column("contacts", &row.id, "variables").json(row.variables)?,
        marketing_stopped_at: time_opt(row.marketing_stopped_at),
        stop_scope: word("stop_scope", row.stop_scope)?,
        stop_source: source,
        consented_at: time_opt(row.consented_at),
        consent_source: row.consent_source,
        identities,
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

/// The statements that note by what names contacts go.
pub(crate) fn profile_names(
    unit: &Unit,
    scope: Scope,
    names: &[(ContactId, String)],
    at: Timestamp,
) -> Vec<Sql> {
    let statement = |chunk: &[(ContactId, String)]| {
        let mut sql = Sql::new(unit.tx());
        sql.push("WITH v (id, name) AS (VALUES ");
        for (index, (id, name)) in chunk.iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" });
            sql.bind(id.uuid()).push(", ").bind(name.as_str()).push(")");
        }
        // Locked in the order of their ids, so that nobody waits for each other in a circle.
        sql.push(")")
            .on_postgres(
                ", locked AS (SELECT contacts.id FROM contacts JOIN v ON contacts.id = v.id \
                 WHERE contacts.profile_name IS DISTINCT FROM v.name \
                 ORDER BY contacts.id FOR UPDATE OF contacts)",
            )
            .push(" UPDATE contacts SET profile_name = v.name, updated_at = ")
            .bind(micros(at))
            .push(" FROM v")
            .on_postgres(" JOIN locked ON locked.id = v.id")
            // No condition for an index: a PostgreSQL that does not know the table yet would
            // read all contacts of the account.
            .push(" WHERE contacts.id = v.id AND COALESCE(contacts.account_id = ")
            .bind(scope.account().uuid())
            .push(
                ", FALSE) AND (contacts.profile_name IS NULL OR contacts.profile_name <> v.name)",
            );
        sql
    };
    chunks(names, CHUNK).map(statement).collect()
}

#[async_trait]
impl ContactRepo for SeaContacts<'_> {
    async fn by_ids(&mut self, ids: &[ContactId]) -> Result<Vec<Contact>, StoreError> {
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(self.unit.at_most(CHUNK, ID)) {
            let found = self
                .own()
                .filter(contact::Column::Id.is_in(chunk.iter().map(|id| id.uuid())))
                .all(self.unit.tx())
                .await
                .map_err(store)?;
            rows.extend(found);
        }
        self.with_identities(rows).await
    }

    async fn list(
        &mut self,
        filter: &ContactFilter,
        page: PageRequest,
    ) -> Result<Page<Contact>, StoreError> {
        let walk = Walk::Down(page.after.map(Cursor::id));
        let limit = i64::from(page.limit) + 1;
        let ids = self.matching(filter, &walk, limit).await?;
        let mut rows = Vec::new();
        if !ids.is_empty() {
            rows = self
                .own()
                .filter(contact::Column::Id.is_in(ids))
                .order_by_desc(contact::Column::Id)
                .all(self.unit.tx())
                .await
                .map_err(store)?;
        }
        let contacts = self.with_identities(rows).await?;
        Ok(Page::from_rows(contacts, page, |contact| contact.id.uuid()))
    }

    async fn select(
        &mut self,
        filter: &ContactFilter,
        after: Option<ContactId>,
        limit: u32,
    ) -> Result<Vec<ContactId>, StoreError> {
        let walk = Walk::Up(after.map(ContactId::uuid));
        let ids = self.matching(filter, &walk, i64::from(limit)).await?;
        Ok(ids.into_iter().map(ContactId::from).collect())
    }

    async fn merged_into(&mut self, id: ContactId) -> Result<Option<ContactId>, StoreError> {
        let kept: Option<Option<Uuid>> = contact::Entity::find()
            .select_only()
            .column(contact::Column::MergedInto)
            .filter(contact::Column::AccountId.eq(self.scope.account().uuid()))
            .filter(contact::Column::Id.eq(id.uuid()))
            .into_tuple()
            .one(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(kept.flatten().map(ContactId::from))
    }

    async fn variable_names(&mut self, limit: u32) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        let keys = if sql.is_postgres() {
            "SELECT DISTINCT jsonb_object_keys(variables) AS name FROM contacts WHERE account_id = "
        } else {
            "SELECT DISTINCT j.key AS name FROM contacts, json_each(contacts.variables) j \
             WHERE account_id = "
        };
        sql.push(keys)
            .bind(self.scope.account().uuid())
            .push(" AND removed_at IS NULL ORDER BY name LIMIT ")
            .bind(i64::from(limit));
        let rows = self.unit.rows(sql).await?;
        rows.iter().map(|row| row.try_get("", "name").map_err(store)).collect()
    }

    async fn existing(&mut self, ids: &[ContactId]) -> Result<Vec<ContactId>, StoreError> {
        let mut existing = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(self.unit.at_most(CHUNK, ID)) {
            let found: Vec<Uuid> = self
                .own()
                .select_only()
                .column(contact::Column::Id)
                .filter(contact::Column::Id.is_in(chunk.iter().map(|id| id.uuid())))
                .into_tuple()
                .all(self.unit.tx())
                .await
                .map_err(store)?;
            existing.extend(found.into_iter().map(ContactId::from));
        }
        Ok(existing)
    }

    async fn update(&mut self, contact: &Contact) -> Result<bool, StoreError> {
        use contact::Column as C;
        let done = contact::Entity::update_many()
            .col_expr(C::Name, Expr::value(contact.name.clone()))
            .col_expr(C::ProfileName, Expr::value(contact.profile_name.clone()))
            .col_expr(C::Variables, Expr::value(json(&contact.variables)?))
            .col_expr(C::UpdatedAt, Expr::value(micros(contact.updated_at)))
            .filter(C::Id.eq(contact.id.uuid()))
            .filter(C::AccountId.eq(self.scope.account().uuid()))
            .filter(C::RemovedAt.is_null())
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(done.rows_affected == 1)
    }

    async fn remove(&mut self, id: ContactId, at: Timestamp) -> Result<bool, StoreError> {
        let done = contact::Entity::update_many()
            .col_expr(contact::Column::RemovedAt, Expr::value(micros(at)))
            .filter(contact::Column::Id.eq(id.uuid()))
            .filter(contact::Column::AccountId.eq(self.scope.account().uuid()))
            .filter(contact::Column::RemovedAt.is_null())
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        identity::Entity::update_many()
            .col_expr(identity::Column::ValidUntil, Expr::value(micros(at)))
            .filter(identity::Column::AccountId.eq(self.scope.account().uuid()))
            .filter(identity::Column::ContactId.eq(id.uuid()))
            .filter(identity::Column::ValidUntil.is_null())
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        for table in ["contact_group_members", "contact_tags"] {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("DELETE FROM ")
                .push(table)
                .push(" WHERE account_id = ")
                .bind(self.scope.account().uuid())
                .push(" AND contact_id = ")
                .bind(id.uuid());
            self.unit.execute(sql).await?;
        }
        Ok(done.rows_affected == 1)
    }
}
