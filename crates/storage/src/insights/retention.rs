//! For how long things are kept, and what is older.

use async_trait::async_trait;
use kabar_core::{AccountId, InstallationScope, MediaId, MessageId, StoreError, Timestamp};
use kabar_events::EventsWork as _;
use kabar_insights::repo::{OldMessage, Removed, RetentionRepo};
use kabar_insights::retention::{Keep, KeepPatch, Kept};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::convert::{column, json, micros, time};
use crate::error::{bad_row, store};
use crate::raw::Sql;
use crate::unit::Unit;

/// The row of the installation, among those of the accounts.
const INSTALLATION: Uuid = Uuid::nil();
const SCOPE: InstallationScope = InstallationScope::system("retention");

pub(super) struct SeaRetention<'a> {
    pub(super) unit: &'a Unit,
}

impl SeaRetention<'_> {
    async fn said<T: DeserializeOwned>(&self, whose: Uuid) -> Result<Option<T>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT settings FROM retention_settings WHERE account_id = ").bind(whose);
        let rows = self.unit.rows(sql).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let settings: serde_json::Value = row.try_get("", "settings").map_err(store)?;
        column("retention_settings", &whose, "settings").json(settings).map(Some)
    }

    async fn say(
        &self,
        whose: Uuid,
        settings: &impl Serialize,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO retention_settings (account_id, settings, updated_at) VALUES (")
            .bind(whose)
            .push(", ")
            .bind(json(settings)?)
            .push(", ")
            .bind(micros(at))
            .push(
                ") ON CONFLICT (account_id) DO UPDATE \
                 SET settings = excluded.settings, updated_at = excluded.updated_at",
            );
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn prune_table(
        &self,
        table: &str,
        before: Timestamp,
        limit: u16,
    ) -> Result<u64, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(&format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE at < "))
            .bind(micros(before))
            .push(" ORDER BY at LIMIT ")
            .bind(i64::from(limit))
            .push(")");
        self.unit.execute(sql).await
    }
}

#[async_trait]
impl RetentionRepo for SeaRetention<'_> {
    async fn settings(&mut self) -> Result<Option<Keep>, StoreError> {
        self.said(INSTALLATION).await
    }

    async fn set(&mut self, keep: &Keep, at: Timestamp) -> Result<(), StoreError> {
        self.say(INSTALLATION, keep, at).await
    }

    async fn account(&mut self, account: AccountId) -> Result<KeepPatch, StoreError> {
        Ok(self.said(account.uuid()).await?.unwrap_or_default())
    }

    async fn set_account(
        &mut self,
        account: AccountId,
        patch: &KeepPatch,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.say(account.uuid(), patch, at).await
    }

    async fn prune(
        &mut self,
        what: Kept,
        before: Timestamp,
        limit: u16,
    ) -> Result<u64, StoreError> {
        match what {
            Kept::Events => self.unit.events().prune(SCOPE, before, limit).await,
            Kept::RawBodies => self.prune_table("raw_bodies", before, limit).await,
            Kept::Quarantine => self.prune_table("quarantine", before, limit).await,
            Kept::ParkedStatuses => self.prune_table("parked_statuses", before, limit).await,
            // Bodies are blanked.
            _ => Ok(0),
        }
    }

    async fn old_messages(
        &mut self,
        account: AccountId,
        after: Option<MessageId>,
        before: Timestamp,
        limit: u16,
    ) -> Result<Vec<OldMessage>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "SELECT id, created_at, queued, status, media_id FROM messages WHERE account_id = ",
        )
        .bind(account.uuid());
        if let Some(after) = after {
            sql.push(" AND id > ").bind(after.uuid());
        }
        sql.push(" ORDER BY id LIMIT ").bind(i64::from(limit));
        let mut old = Vec::new();
        for row in self.unit.rows(sql).await? {
            // Ids grow with time: behind the first that is young enough nothing is old.
            if row.try_get::<i64>("", "created_at").map_err(store)? >= micros(before) {
                break;
            }
            let status: String = row.try_get("", "status").map_err(store)?;
            let queued: bool = row.try_get("", "queued").map_err(store)?;
            let file: Option<Uuid> = row.try_get("", "media_id").map_err(store)?;
            old.push(OldMessage {
                id: MessageId::from(row.try_get::<Uuid>("", "id").map_err(store)?),
                waits: queued || matches!(status.as_str(), "pending" | "held" | "processing"),
                file: file.map(MediaId::from),
            });
        }
        Ok(old)
    }

    async fn mark(&mut self, account: AccountId) -> Result<Option<MessageId>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT message_id FROM retention_marks WHERE account_id = ").bind(account.uuid());
        let rows = self.unit.rows(sql).await?;
        let id = rows.first().map(|row| row.try_get::<Uuid>("", "message_id"));
        Ok(id.transpose().map_err(store)?.map(MessageId::from))
    }

    async fn set_mark(&mut self, account: AccountId, to: MessageId) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO retention_marks (account_id, message_id) VALUES (")
            .bind(account.uuid())
            .push(", ")
            .bind(to.uuid())
            .push(") ON CONFLICT (account_id) DO UPDATE SET message_id = excluded.message_id");
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn add_removed(
        &mut self,
        what: Kept,
        count: u64,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("INSERT INTO retention_removed (what, count, at) VALUES (")
            .bind(what.as_str())
            .push(", ")
            .bind(i64::try_from(count).unwrap_or(i64::MAX))
            .push(", ")
            .bind(micros(at))
            .push(
                ") ON CONFLICT (what) DO UPDATE \
                 SET count = retention_removed.count + excluded.count, at = excluded.at",
            );
        self.unit.execute(sql).await.map(|_| ())
    }

    async fn removed(&mut self) -> Result<Vec<Removed>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT what, count, at FROM retention_removed ORDER BY what");
        let rows = self.unit.rows(sql).await?;
        rows.iter()
            .map(|row| {
                let what: String = row.try_get("", "what").map_err(store)?;
                let count: i64 = row.try_get("", "count").map_err(store)?;
                let wrong = |_| bad_row("retention_removed", &what, "count", "negative");
                Ok(Removed {
                    what: column("retention_removed", &what, "what").word(&what)?,
                    count: u64::try_from(count).map_err(wrong)?,
                    at: time(row.try_get("", "at").map_err(store)?),
                })
            })
            .collect()
    }
}
