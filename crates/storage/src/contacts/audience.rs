//! Walking through audiences.

use async_trait::async_trait;
use kabar_contacts::audience::{Audience, AudiencePage, AudienceRepo};
use kabar_core::{ContactId, Scope, StoreError};
use uuid::Uuid;

use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

pub(super) struct SeaAudiences<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaAudiences<'_> {
    /// Ends the statement of one source: what lies behind `after`, along its index.
    fn behind(sql: &mut Sql, id: &str, after: Option<Uuid>, limit: i64) {
        if let Some(after) = after {
            sql.push(" AND ").push(id).push(" > ").bind(after);
        }
        sql.push(" ORDER BY ").push(id).push(" LIMIT ").bind(limit).push(") s");
    }

    /// The first `limit` candidates of all sources behind `after`: what any source gives beyond its
    /// own first `limit` lies behind them.
    async fn candidates(
        &self,
        audience: &Audience,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let account = self.scope.account().uuid();
        let mut found: Vec<Uuid> = Vec::new();
        if audience.everyone {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("SELECT id FROM (SELECT id FROM contacts WHERE account_id = ").bind(account);
            Self::behind(&mut sql, "id", after, limit);
            found.extend(self.ids(sql).await?);
            return Ok(found);
        }
        for group in &audience.groups {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(
                "SELECT contact_id AS id FROM (SELECT contact_id FROM contact_group_members \
                 WHERE account_id = ",
            )
            .bind(account)
            .push(" AND group_id = ")
            .bind(group.uuid());
            Self::behind(&mut sql, "contact_id", after, limit);
            found.extend(self.ids(sql).await?);
        }
        for tag in &audience.tags {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(
                "SELECT contact_id AS id FROM (SELECT contact_id FROM contact_tags \
                 WHERE account_id = ",
            )
            .bind(account)
            .push(" AND tag = ")
            .bind(tag.as_str());
            Self::behind(&mut sql, "contact_id", after, limit);
            found.extend(self.ids(sql).await?);
        }
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let named = audience.contacts.iter().map(|contact| contact.uuid());
        found.extend(named.filter(|id| after.is_none_or(|after| *id > after)).take(most));
        found.sort_unstable();
        found.dedup();
        found.truncate(most);
        Ok(found)
    }

    async fn ids(&self, sql: Sql) -> Result<Vec<Uuid>, StoreError> {
        let rows = self.unit.rows(sql).await?;
        rows.iter().map(|row| row.try_get("", "id").map_err(store)).collect()
    }
}

#[async_trait]
impl AudienceRepo for SeaAudiences<'_> {
    async fn page(
        &mut self,
        audience: &Audience,
        after: Option<ContactId>,
        limit: u16,
    ) -> Result<AudiencePage, StoreError> {
        let limit = i64::from(limit.max(1));
        let found = self.candidates(audience, after.map(ContactId::uuid), limit).await?;
        let full = i64::try_from(found.len()).is_ok_and(|count| count >= limit);
        let next = if full { found.last().map(|id| ContactId::from(*id)) } else { None };
        if found.is_empty() {
            return Ok(AudiencePage::default());
        }
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT id FROM contacts WHERE account_id = ")
            .bind(self.scope.account().uuid())
            .push(" AND removed_at IS NULL AND kind = 'person' AND id IN ")
            .list(found)
            .push(" ORDER BY id");
        let contacts = self.ids(sql).await?.into_iter().map(ContactId::from).collect();
        Ok(AudiencePage { contacts, next })
    }
}
