//! Exports.

use async_trait::async_trait;
use kabar_core::{
    AccountId, ExportId, InstallationScope, Page, PageRequest, Scope, StoreError, Timestamp,
};
use kabar_exports::{Export, ExportRegistry, ExportRepo, ExportsWork};
use sea_orm::{DbErr, QueryResult};
use uuid::Uuid;

use crate::convert::{column, micros, micros_opt, time, time_opt};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

impl ExportsWork for Unit {
    fn exports(&self, scope: Scope) -> Box<dyn ExportRepo + '_> {
        Box::new(SeaExports { unit: self, scope })
    }

    fn export_registry(&self, _scope: InstallationScope) -> Box<dyn ExportRegistry + '_> {
        Box::new(SeaExportRegistry { unit: self })
    }
}

struct SeaExports<'a> {
    unit: &'a Unit,
    scope: Scope,
}

struct SeaExportRegistry<'a> {
    unit: &'a Unit,
}

/// A row before its words are read.
struct Raw {
    id: Uuid,
    format: String,
    state: String,
    export: Export,
}

fn raw(row: &QueryResult) -> Result<Raw, DbErr> {
    let id: Uuid = row.try_get("", "id")?;
    let number = |name| row.try_get::<i64>("", name).map(|n| u64::try_from(n).unwrap_or_default());
    Ok(Raw {
        id,
        format: row.try_get("", "format")?,
        state: row.try_get("", "state")?,
        export: Export {
            id: ExportId::from(id),
            account: AccountId::from(row.try_get::<Uuid>("", "account_id")?),
            kind: row.try_get("", "kind")?,
            format: kabar_exports::Format::Csv,
            filename: row.try_get("", "filename")?,
            params: row.try_get("", "params")?,
            state: kabar_exports::ExportState::Pending,
            rows: number("rows_done")?,
            parts: u32::try_from(number("parts")?).unwrap_or_default(),
            size: number("size")?,
            position: row.try_get("", "position")?,
            cancelled: row.try_get("", "cancelled")?,
            problem: row.try_get("", "problem")?,
            actor: row.try_get("", "actor")?,
            created_at: time(row.try_get("", "created_at")?),
            updated_at: time(row.try_get("", "updated_at")?),
            finished_at: time_opt(row.try_get("", "finished_at")?),
            expires_at: time_opt(row.try_get("", "expires_at")?),
        },
    })
}

fn from_row(row: &QueryResult) -> Result<Export, StoreError> {
    let Raw { id, format, state, export } = raw(row).map_err(store)?;
    let format = column("exports", &id, "format").word(&format)?;
    let state = column("exports", &id, "state").word(&state)?;
    Ok(Export { format, state, ..export })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[async_trait]
impl ExportRepo for SeaExports<'_> {
    async fn insert(&mut self, export: &Export) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "INSERT INTO exports (id, account_id, kind, format, filename, params, state, \
             rows_done, parts, size, position, cancelled, problem, actor, created_at, updated_at, \
             finished_at, expires_at) VALUES ",
        )
        .list([
            sea_orm::Value::from(export.id.uuid()),
            self.scope.account().uuid().into(),
            export.kind.as_str().into(),
            export.format.as_str().into(),
            export.filename.as_str().into(),
            export.params.clone().into(),
            export.state.as_str().into(),
            signed(export.rows).into(),
            i64::from(export.parts).into(),
            signed(export.size).into(),
            export.position.clone().into(),
            export.cancelled.into(),
            export.problem.clone().into(),
            export.actor.as_str().into(),
            micros(export.created_at).into(),
            micros(export.updated_at).into(),
            micros_opt(export.finished_at).into(),
            micros_opt(export.expires_at).into(),
        ]);
        self.unit.execute(sql).await?;
        Ok(())
    }

    async fn get(&mut self, id: ExportId) -> Result<Option<Export>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM exports WHERE account_id = ")
            .bind(self.scope.account().uuid())
            .push(" AND id = ")
            .bind(id.uuid());
        self.unit.rows(sql).await?.first().map(from_row).transpose()
    }

    async fn list(&mut self, kind: &str, page: PageRequest) -> Result<Page<Export>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM exports WHERE account_id = ")
            .bind(self.scope.account().uuid())
            .push(" AND kind = ")
            .bind(kind);
        if let Some(after) = page.after {
            sql.push(" AND id < ").bind(after.id());
        }
        sql.push(" ORDER BY id DESC LIMIT ").bind(i64::from(page.limit) + 1);
        let rows = self.unit.rows(sql).await?;
        let exports = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(exports, page, |export| export.id.uuid()))
    }

    async fn save(&mut self, export: &Export, parts: u32) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE exports SET state = ")
            .bind(export.state.as_str())
            .push(", params = ")
            .bind(export.params.clone())
            .push(", rows_done = ")
            .bind(signed(export.rows))
            .push(", parts = ")
            .bind(i64::from(export.parts))
            .push(", size = ")
            .bind(signed(export.size))
            .push(", position = ")
            .bind(export.position.clone())
            .push(", problem = ")
            .bind(export.problem.clone())
            .push(", updated_at = ")
            .bind(micros(export.updated_at))
            .push(", finished_at = ")
            .bind(micros_opt(export.finished_at))
            .push(", expires_at = ")
            .bind(micros_opt(export.expires_at))
            .push(" WHERE account_id = ")
            .bind(self.scope.account().uuid())
            .push(" AND id = ")
            .bind(export.id.uuid())
            .push(" AND parts = ")
            .bind(i64::from(parts));
        Ok(self.unit.execute(sql).await? == 1)
    }

    async fn cancel(&mut self, id: ExportId, at: Timestamp) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE exports SET cancelled = ")
            .bind(true)
            .push(", updated_at = ")
            .bind(micros(at))
            .push(" WHERE account_id = ")
            .bind(self.scope.account().uuid())
            .push(" AND id = ")
            .bind(id.uuid());
        Ok(self.unit.execute(sql).await? == 1)
    }
}

#[async_trait]
impl ExportRegistry for SeaExportRegistry<'_> {
    async fn expired(&mut self, now: Timestamp, limit: u16) -> Result<Vec<Export>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM exports WHERE expires_at IS NOT NULL AND expires_at <= ")
            .bind(micros(now))
            .push(" ORDER BY expires_at LIMIT ")
            .bind(i64::from(limit));
        self.unit.rows(sql).await?.iter().map(from_row).collect()
    }
}
