//! Identities, for the roads in and out.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use kabar_contacts::contact::{Identity, IdentityKey};
use kabar_contacts::repo::NewContactRow;
use kabar_core::{ContactId, IdentityId, Scope, StoreError, Timestamp};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryResult};

use super::ID;
use super::entity::identity;
use crate::convert::{column, json_text, micros, time, time_opt};
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

/// Rows of one `INSERT`, kept below SQLite's 32,766 bound values.
const CHUNK: usize = 1_000;
/// What an identity has from its beginning.
const CLAIM: [&str; 7] =
    ["id", "account_id", "contact_id", "kind", "namespace", "value", "valid_from"];
/// What a contact has from its beginning.
const NEW: [&str; 8] =
    ["id", "account_id", "kind", "name", "profile_name", "variables", "created_at", "updated_at"];

pub(super) struct SeaPeople<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaPeople<'_> {
    async fn identities(&self, sql: Sql) -> Result<Vec<Identity>, StoreError> {
        let found = identity::Entity::find().from_raw_sql(sql.done());
        let rows = found.all(self.unit.tx()).await.map_err(store)?;
        rows.into_iter().map(from_row).collect()
    }

    /// The present identities of these keys.
    async fn owners(&self, keys: &[IdentityKey]) -> Result<Vec<Identity>, StoreError> {
        let mut owners = Vec::with_capacity(keys.len());
        for chunk in chunks(keys, self.unit.at_most(CHUNK, 80)) {
            let mut sql = Sql::new(self.unit.tx());
            if sql.is_postgres() {
                let rows = chunk.iter().map(|key| {
                    [key.kind.as_str().into(), (&*key.namespace).into(), (&*key.value).into()]
                });
                sql.push("WITH w (kind, namespace, value) AS (").values(rows).push(")");
                self.present_for_each(&mut sql);
                sql.push(" AND i.kind = w.kind AND i.namespace = w.namespace");
                sql.push(" AND i.value = w.value LIMIT 1) found");
            } else {
                self.by_kind(&mut sql, chunk);
            }
            owners.extend(self.identities(sql).await?);
        }
        Ok(owners)
    }

    /// The present identities of these contacts.
    async fn of_contacts(&self, contacts: &[ContactId]) -> Result<Vec<Identity>, StoreError> {
        let mut all = Vec::with_capacity(contacts.len());
        for chunk in contacts.chunks(self.unit.at_most(CHUNK, ID)) {
            let mut sql = Sql::new(self.unit.tx());
            if sql.is_postgres() {
                let rows = chunk.iter().map(|id| [id.uuid().into()]);
                sql.push("WITH w (id) AS (").values(rows).push(")");
                self.present_for_each(&mut sql);
                sql.push(" AND i.contact_id = w.id OFFSET 0) found");
            } else {
                self.present(&mut sql);
                sql.push(" AND i.contact_id IN ").among(chunk.iter().map(|id| id.uuid()));
            }
            all.extend(self.identities(sql).await?);
        }
        Ok(all)
    }

    /// Begins a look-up for each row of `w`. Said so that it goes along an index for each of them: as
    /// one condition, a PostgreSQL that does not know the table yet reads all identities of the
    /// account.
    fn present_for_each(&self, sql: &mut Sql) {
        sql.push(" SELECT found.* FROM w CROSS JOIN LATERAL (");
        self.present(sql);
    }

    fn present(&self, sql: &mut Sql) {
        sql.push("SELECT i.* FROM identities i WHERE i.valid_until IS NULL AND i.account_id = ");
        sql.bind(self.scope.account().uuid());
    }

    /// A query for each kind and namespace: SQLite goes along an index for each of them.
    fn by_kind(&self, sql: &mut Sql, keys: &[IdentityKey]) {
        let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for key in keys {
            let group = groups.entry((key.kind.as_str(), &key.namespace)).or_default();
            group.push(&key.value);
        }
        for (index, ((kind, namespace), values)) in groups.into_iter().enumerate() {
            sql.push(if index == 0 { "" } else { " UNION ALL " });
            self.present(sql);
            sql.push(" AND i.kind = ").bind(kind).push(" AND i.namespace = ").bind(namespace);
            sql.push(" AND i.value IN ").among(values);
        }
    }
}

impl SeaPeople<'_> {
    /// The statements that store contacts.
    fn inserts(&self, contacts: &[NewContactRow]) -> Result<Vec<Sql>, StoreError> {
        let statement = |chunk: &[NewContactRow]| {
            let rows = chunk.iter().map(|new| {
                Ok([
                    new.id.uuid().into(),
                    self.scope.account().uuid().into(),
                    new.kind.as_str().into(),
                    new.name.clone().into(),
                    new.profile_name.clone().into(),
                    json_text(&new.variables)?.into(),
                    micros(new.at).into(),
                    micros(new.at).into(),
                ])
            });
            let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
            Ok(Sql::insert(self.unit.tx(), "contacts", &NEW, rows))
        };
        chunks(contacts, self.unit.at_most(CHUNK, 250)).map(statement).collect()
    }

    /// The queries for what was kept of contacts that stopped messages and are gone.
    fn suppressed(&self, stops: &[(ContactId, [u8; 32])]) -> Vec<Sql> {
        let query = |chunk: &[(ContactId, [u8; 32])]| {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("SELECT identity_hash, scope FROM suppressions WHERE account_id = ")
                .bind(self.scope.account().uuid())
                .push(" AND identity_hash IN ")
                .list(chunk.iter().map(|(_, hash)| hash.to_vec()));
            sql
        };
        chunks(stops, self.unit.at_most(CHUNK, 40)).map(query).collect()
    }

    /// Stops messages to the contacts of what was found.
    async fn stop_again(
        &self,
        found: &[QueryResult],
        stops: &[(ContactId, [u8; 32])],
        at: Timestamp,
    ) -> Result<Vec<ContactId>, StoreError> {
        let mut stopped = Vec::new();
        for row in found {
            let hash: Vec<u8> = row.try_get("", "identity_hash").map_err(store)?;
            let scope: String = row.try_get("", "scope").map_err(store)?;
            let owner = stops.iter().find(|(_, known)| known[..] == hash[..]);
            let Some((contact, _)) = owner else { continue };
            let mut sql = Sql::new(self.unit.tx());
            sql.push("UPDATE contacts SET stop_source = 'former', marketing_stopped_at = ")
                .bind(micros(at))
                .push(", stop_scope = ")
                .bind(scope)
                .push(" WHERE account_id = ")
                .bind(self.scope.account().uuid())
                .push(" AND id = ")
                .bind(contact.uuid());
            self.unit.execute(sql).await?;
            stopped.push(*contact);
        }
        Ok(stopped)
    }
}

pub(crate) fn from_row(row: identity::Model) -> Result<Identity, StoreError> {
    Ok(Identity {
        id: IdentityId::from(row.id),
        contact: ContactId::from(row.contact_id),
        key: IdentityKey {
            kind: column("identities", &row.id, "kind").word(&row.kind)?,
            namespace: row.namespace,
            value: row.value,
        },
        valid_from: time(row.valid_from),
        valid_until: time_opt(row.valid_until),
    })
}

#[async_trait]
impl kabar_contacts::PeopleRepo for SeaPeople<'_> {
    async fn known(&mut self, keys: &[IdentityKey]) -> Result<Vec<Identity>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let owners: BTreeSet<ContactId> =
            self.owners(keys).await?.into_iter().map(|identity| identity.contact).collect();
        let owners: Vec<ContactId> = owners.into_iter().collect();
        self.of_contacts(&owners).await
    }

    async fn claim(&mut self, identities: &[Identity]) -> Result<Vec<Identity>, StoreError> {
        let statement = |chunk: &[Identity]| {
            let rows = chunk.iter().map(|claim| {
                [
                    claim.id.uuid().into(),
                    self.scope.account().uuid().into(),
                    claim.contact.uuid().into(),
                    claim.key.kind.as_str().into(),
                    claim.key.namespace.as_str().into(),
                    claim.key.value.as_str().into(),
                    micros(claim.valid_from).into(),
                ]
            });
            let mut sql = Sql::insert(self.unit.tx(), "identities", &CLAIM, rows);
            sql.push(" ON CONFLICT DO NOTHING");
            sql
        };
        let statements = chunks(identities, self.unit.at_most(CHUNK, 180)).map(statement).collect();
        let taken = self.unit.execute_all(statements).await?;
        if usize::try_from(taken).is_ok_and(|taken| taken == identities.len()) {
            return Ok(identities.to_vec());
        }
        let keys: Vec<IdentityKey> = identities.iter().map(|claim| claim.key.clone()).collect();
        self.owners(&keys).await
    }

    async fn close(&mut self, identities: &[IdentityId], at: Timestamp) -> Result<(), StoreError> {
        let ids = identities.iter().map(|id| id.uuid());
        identity::Entity::update_many()
            .col_expr(identity::Column::ValidUntil, Expr::value(micros(at)))
            .filter(identity::Column::AccountId.eq(self.scope.account().uuid()))
            .filter(identity::Column::Id.is_in(ids))
            .exec(self.unit.tx())
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn insert(
        &mut self,
        contacts: &[NewContactRow],
        stops: &[(ContactId, [u8; 32])],
        at: Timestamp,
    ) -> Result<Vec<ContactId>, StoreError> {
        let mut statements = self.inserts(contacts)?;
        statements.extend(self.suppressed(stops));
        let found = self.unit.rows_all(statements).await?;
        self.stop_again(&found, stops, at).await
    }
}
