//! Identities, for the roads in and out.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kabar_contacts::contact::{Identity, IdentityKey};
use kabar_contacts::repo::NewContactRow;
use kabar_core::{ContactId, IdentityId, Scope, StoreError, Timestamp};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::entity::{contact, identity};
use crate::convert::{column, json, micros, time, time_opt};
use crate::error::store;
use crate::raw::{Sql, chunks};
use crate::unit::Unit;

/// Rows of one `INSERT`, kept below SQLite's 32,766 bound values.
const CHUNK: usize = 1_000;

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
        for chunk in chunks(keys, CHUNK) {
            let mut sql = Sql::new(self.unit.tx());
            let rows = chunk.iter().map(|key| {
                [key.kind.as_str().into(), (&*key.namespace).into(), (&*key.value).into()]
            });
            sql.push("WITH w (kind, namespace, value) AS ").values(rows);
            self.present_for_each(&mut sql);
            sql.push(" AND i.kind = w.kind AND i.namespace = w.namespace AND i.value = w.value");
            sql.on_postgres(" LIMIT 1) found");
            owners.extend(self.identities(sql).await?);
        }
        Ok(owners)
    }

    /// The present identities of these contacts.
    async fn of_contacts(&self, contacts: &[ContactId]) -> Result<Vec<Identity>, StoreError> {
        let mut all = Vec::with_capacity(contacts.len());
        for chunk in chunks(contacts, CHUNK) {
            let mut sql = Sql::new(self.unit.tx());
            let rows = chunk.iter().map(|contact| [contact.uuid().into()]);
            sql.push("WITH w (id) AS ").values(rows);
            self.present_for_each(&mut sql);
            sql.push(" AND i.contact_id = w.id").on_postgres(" OFFSET 0) found");
            all.extend(self.identities(sql).await?);
        }
        Ok(all)
    }

    /// Begins a look-up for each row of `w`. Said so that it goes along an index for each of them: as
    /// one condition, a PostgreSQL that does not know the table yet reads all identities of the
    /// account.
    fn present_for_each(&self, sql: &mut Sql) {
        let each = if sql.is_postgres() {
            " SELECT found.* FROM w CROSS JOIN LATERAL (SELECT i.* FROM identities i"
        } else {
            " SELECT i.* FROM w CROSS JOIN identities i"
        };
        sql.push(each).push(" WHERE i.valid_until IS NULL AND i.account_id = ");
        sql.bind(self.scope.account().uuid());
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
        let mut taken = 0;
        for chunk in chunks(identities, CHUNK) {
            let rows = chunk.iter().map(|claim| identity::ActiveModel {
                id: Set(claim.id.uuid()),
                account_id: Set(self.scope.account().uuid()),
                contact_id: Set(claim.contact.uuid()),
                kind: Set(claim.key.kind.as_str().to_owned()),
                namespace: Set(claim.key.namespace.clone()),
                value: Set(claim.key.value.clone()),
                valid_from: Set(micros(claim.valid_from)),
                valid_until: Set(None),
            });
            taken += identity::Entity::insert_many(rows)
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
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

    async fn insert(&mut self, contacts: &[NewContactRow]) -> Result<(), StoreError> {
        for chunk in chunks(contacts, CHUNK) {
            let rows = chunk
                .iter()
                .map(|new| {
                    Ok(contact::ActiveModel {
                        id: Set(new.id.uuid()),
                        account_id: Set(self.scope.account().uuid()),
                        kind: Set(new.kind.as_str().to_owned()),
                        name: Set(new.name.clone()),
                        profile_name: Set(new.profile_name.clone()),
                        variables: Set(json(&new.variables)?),
                        marketing_stopped_at: Set(None),
                        stop_scope: Set(None),
                        stop_source: Set(None),
                        consented_at: Set(None),
                        consent_source: Set(None),
                        merged_into: Set(None),
                        created_at: Set(micros(new.at)),
                        updated_at: Set(micros(new.at)),
                        removed_at: Set(None),
                    })
                })
                .collect::<Result<Vec<_>, StoreError>>()?;
            contact::Entity::insert_many(rows)
                .exec_without_returning(self.unit.tx())
                .await
                .map_err(store)?;
        }
        Ok(())
    }

    async fn inherit(
        &mut self,
        stops: &[(ContactId, [u8; 32])],
        at: Timestamp,
    ) -> Result<Vec<ContactId>, StoreError> {
        let mut stopped = Vec::new();
        for chunk in chunks(stops, CHUNK) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("SELECT identity_hash, scope FROM suppressions WHERE account_id = ")
                .bind(self.scope.account().uuid())
                .push(" AND identity_hash IN ")
                .list(chunk.iter().map(|(_, hash)| hash.to_vec()));
            for row in self.unit.rows(sql).await? {
                let hash: Vec<u8> = row.try_get("", "identity_hash").map_err(store)?;
                let scope: String = row.try_get("", "scope").map_err(store)?;
                let owner = chunk.iter().find(|(_, known)| known[..] == hash[..]);
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
        }
        Ok(stopped)
    }
}
