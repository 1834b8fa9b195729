//! The registry of preferences.

use async_trait::async_trait;
use kabar_contacts::opt_out::{
    OptOutSettings, PreferenceChange, PreferenceEntry, PreferenceRepo, PreferenceSource, Stop,
    StopScope,
};
use kabar_core::{ContactId, MessageId, Page, PageRequest, Scope, StoreError, Timestamp};
use sea_orm::{DbErr, QueryResult, Value};
use uuid::Uuid;

use super::{CHUNK, ID};
use crate::convert::{column, json, micros, time};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

/// Rows of one `INSERT` of the history: ten values each.
const NOTES: usize = 3_000;

pub(super) struct SeaPreferences<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

impl SeaPreferences<'_> {
    /// `UPDATE contacts SET …`, then which of these contacts; returns those it changed.
    async fn change(
        &self,
        contacts: &[ContactId],
        set: impl Fn(&mut Sql),
        only: impl Fn(&mut Sql),
    ) -> Result<Vec<ContactId>, StoreError> {
        let mut changed = Vec::new();
        for chunk in contacts.chunks(self.unit.at_most(CHUNK, ID)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("UPDATE contacts SET ");
            set(&mut sql);
            sql.push(" WHERE account_id = ")
                .bind(self.scope.account().uuid())
                .push(" AND removed_at IS NULL AND id IN ")
                .list(chunk.iter().map(|contact| contact.uuid()));
            only(&mut sql);
            sql.push(" RETURNING id");
            for row in self.unit.rows(sql).await? {
                changed.push(ContactId::from(row.try_get::<Uuid>("", "id").map_err(store)?));
            }
        }
        changed.sort_unstable();
        Ok(changed)
    }
}

struct Raw {
    id: Uuid,
    change: String,
    scope: Option<String>,
    source: String,
    entry: PreferenceEntry,
}

fn raw(row: &QueryResult) -> Result<Raw, DbErr> {
    let id: Uuid = row.try_get("", "id")?;
    Ok(Raw {
        id,
        change: row.try_get("", "change")?,
        scope: row.try_get("", "scope")?,
        source: row.try_get("", "source")?,
        entry: PreferenceEntry {
            id,
            contact: ContactId::from(row.try_get::<Uuid>("", "contact_id")?),
            change: PreferenceChange::Stopped,
            scope: None,
            source: PreferenceSource::Hand,
            detail: row.try_get("", "detail")?,
            message: row.try_get::<Option<Uuid>>("", "message_id")?.map(MessageId::from),
            actor: row.try_get("", "actor")?,
            at: time(row.try_get("", "at")?),
        },
    })
}

fn from_row(row: &QueryResult) -> Result<PreferenceEntry, StoreError> {
    let Raw { id, change, scope, source, entry } = raw(row).map_err(store)?;
    let at = |name| column("contact_preferences", &id, name);
    Ok(PreferenceEntry {
        change: at("change").word(&change)?,
        scope: scope.map(|scope| at("scope").word(&scope)).transpose()?,
        source: at("source").word(&source)?,
        ..entry
    })
}

#[async_trait]
impl PreferenceRepo for SeaPreferences<'_> {
    async fn stop(
        &mut self,
        contacts: &[ContactId],
        stop: Stop,
    ) -> Result<Vec<ContactId>, StoreError> {
        self.change(
            contacts,
            |sql| {
                sql.push("marketing_stopped_at = COALESCE(marketing_stopped_at, ")
                    .bind(micros(stop.at))
                    .push("), stop_scope = ")
                    .bind(stop.scope.as_str())
                    .push(", stop_source = ")
                    .bind(stop.source.as_str())
                    .push(", updated_at = ")
                    .bind(micros(stop.at));
            },
            |sql| {
                sql.push(" AND (marketing_stopped_at IS NULL");
                if stop.scope > StopScope::Marketing {
                    sql.push(" OR stop_scope IS NULL OR stop_scope <> ").bind(stop.scope.as_str());
                }
                sql.push(")");
            },
        )
        .await
    }

    async fn resume(
        &mut self,
        contacts: &[ContactId],
        at: Timestamp,
    ) -> Result<Vec<ContactId>, StoreError> {
        self.change(
            contacts,
            |sql| {
                sql.push(
                    "marketing_stopped_at = NULL, stop_scope = NULL, stop_source = NULL, \
                     updated_at = ",
                )
                .bind(micros(at));
            },
            |sql| {
                sql.push(" AND marketing_stopped_at IS NOT NULL");
            },
        )
        .await
    }

    async fn consent(
        &mut self,
        contacts: &[ContactId],
        given: Option<&str>,
        at: Timestamp,
    ) -> Result<Vec<ContactId>, StoreError> {
        self.change(
            contacts,
            |sql| {
                sql.push("consented_at = ")
                    .bind(given.map(|_| micros(at)))
                    .push(", consent_source = ")
                    .bind(given.map(str::to_owned))
                    .push(", updated_at = ")
                    .bind(micros(at));
            },
            |_| {},
        )
        .await
    }

    async fn note(&mut self, entries: &[PreferenceEntry]) -> Result<(), StoreError> {
        for chunk in entries.chunks(NOTES) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(
                "INSERT INTO contact_preferences (id, account_id, contact_id, change, scope, \
                 source, detail, message_id, actor, at) VALUES ",
            );
            for (index, entry) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "" } else { ", " }).list([
                    Value::from(entry.id),
                    self.scope.account().uuid().into(),
                    entry.contact.uuid().into(),
                    entry.change.as_str().into(),
                    entry.scope.map(|scope| scope.as_str().to_owned()).into(),
                    entry.source.as_str().into(),
                    entry.detail.clone().into(),
                    entry.message.map(MessageId::uuid).into(),
                    entry.actor.as_str().into(),
                    micros(entry.at).into(),
                ]);
            }
            self.unit.execute(sql).await?;
        }
        Ok(())
    }

    async fn history(
        &mut self,
        contact: Option<ContactId>,
        page: PageRequest,
    ) -> Result<Page<PreferenceEntry>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM contact_preferences WHERE account_id = ")
            .bind(self.scope.account().uuid());
        if let Some(contact) = contact {
            sql.push(" AND contact_id = ").bind(contact.uuid());
        }
        if let Some(after) = page.after {
            sql.push(" AND id < ").bind(after.id());
        }
        sql.push(" ORDER BY id DESC LIMIT ").bind(i64::from(page.limit) + 1);
        let rows = self.unit.rows(sql).await?;
        let entries = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(entries, page, |entry| entry.id))
    }

    async fn settings(&mut self) -> Result<Option<OptOutSettings>, StoreError> {
        let account = self.scope.account();
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT settings FROM opt_out_settings WHERE account_id = ").bind(account.uuid());
        let rows = self.unit.rows(sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let settings = row.try_get("", "settings").map_err(store)?;
        column("opt_out_settings", &account, "settings").json(settings).map(Some)
    }

    async fn save_settings(
        &mut self,
        settings: &OptOutSettings,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO opt_out_settings (account_id, settings, updated_at) VALUES (")
            .bind(self.scope.account().uuid())
            .push(", ")
            .bind(json(settings)?)
            .push(", ")
            .bind(micros(at))
            .push(
                ") ON CONFLICT (account_id) DO UPDATE SET settings = excluded.settings, \
                 updated_at = excluded.updated_at",
            );
        self.unit.execute(sql).await?;
        Ok(())
    }

    async fn suppress(
        &mut self,
        hashes: &[[u8; 32]],
        scope: StopScope,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        for hash in hashes {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("INSERT INTO suppressions (account_id, identity_hash, scope, at) VALUES (")
                .bind(self.scope.account().uuid())
                .push(", ")
                .bind(hash.to_vec())
                .push(", ")
                .bind(scope.as_str())
                .push(", ")
                .bind(micros(at))
                .push(
                    ") ON CONFLICT (account_id, identity_hash) DO UPDATE \
                     SET scope = excluded.scope, at = excluded.at",
                );
            self.unit.execute(sql).await?;
        }
        Ok(())
    }
}
