//! Imports and their rows.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_contacts::import::{
    Import, ImportFormat, ImportRegistry, ImportRepo, ImportRow, ImportState, RowState,
};
use kabar_core::{AccountId, ContactId, ImportId, Page, PageRequest, Scope, StoreError, Timestamp};
use sea_orm::{DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::convert::{column, json, json_opt, micros, micros_opt, time, time_opt};
use crate::error::store;
use crate::raw::Sql;
use crate::unit::Unit;

/// Rows of one `INSERT`: nine values each, below SQLite's 32,766 bound values.
const ROWS: usize = 3_000;

pub(super) struct SeaImports<'a> {
    pub(super) unit: &'a Unit,
    pub(super) scope: Scope,
}

pub(super) struct SeaImportRegistry<'a> {
    pub(super) unit: &'a Unit,
}

/// A row before its words and documents are read.
struct Raw {
    state: String,
    format: String,
    options: serde_json::Value,
    columns: Option<serde_json::Value>,
    counts: serde_json::Value,
    results: serde_json::Value,
    import: Import,
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn raw(row: &QueryResult) -> Result<Raw, DbErr> {
    Ok(Raw {
        state: row.try_get("", "state")?,
        format: row.try_get("", "format")?,
        options: row.try_get("", "options")?,
        columns: row.try_get("", "columns")?,
        counts: row.try_get("", "counts")?,
        results: row.try_get("", "results")?,
        import: Import {
            id: ImportId::from(row.try_get::<Uuid>("", "id")?),
            account: AccountId::from(row.try_get::<Uuid>("", "account_id")?),
            state: ImportState::Reading,
            filename: row.try_get("", "filename")?,
            format: ImportFormat::Csv,
            size: unsigned(row.try_get("", "size")?),
            country: row.try_get("", "country")?,
            options: kabar_contacts::ImportOptions::default(),
            columns: None,
            parsed: unsigned(row.try_get("", "parsed")?),
            counts: kabar_contacts::import::ImportCounts::default(),
            applied: unsigned(row.try_get("", "applied_row")?),
            results: kabar_contacts::import::ImportResults::default(),
            cancelled: row.try_get("", "cancelled")?,
            problem: row.try_get("", "problem")?,
            actor: row.try_get("", "actor")?,
            created_at: time(row.try_get("", "created_at")?),
            updated_at: time(row.try_get("", "updated_at")?),
            finished_at: time_opt(row.try_get("", "finished_at")?),
        },
    })
}

fn from_row(row: &QueryResult) -> Result<Import, StoreError> {
    let raw = raw(row).map_err(store)?;
    let id = raw.import.id;
    let at = |name| column("contact_imports", &id, name);
    Ok(Import {
        state: at("state").word(&raw.state)?,
        format: at("format").word(&raw.format)?,
        options: at("options").json(raw.options)?,
        columns: at("columns").json_opt(raw.columns)?,
        counts: at("counts").json(raw.counts)?,
        results: at("results").json(raw.results)?,
        ..raw.import
    })
}

fn line(id: ImportId, row: &QueryResult) -> Result<ImportRow, StoreError> {
    let at = |name| column("contact_import_rows", &id, name);
    let state: String = row.try_get("", "state").map_err(store)?;
    let fields = row.try_get("", "fields").map_err(store)?;
    let read = || -> Result<ImportRow, DbErr> {
        Ok(ImportRow {
            number: unsigned(row.try_get("", "row_number")?),
            state: RowState::Invalid,
            phone: row.try_get("", "phone")?,
            name: row.try_get("", "name")?,
            fields: kabar_contacts::import::row::Fields::default(),
            column: row.try_get("", "problem_column")?,
            problem: row.try_get("", "problem")?,
            contact: row.try_get::<Option<Uuid>>("", "contact_id")?.map(ContactId::from),
        })
    };
    Ok(ImportRow {
        state: at("state").word(&state)?,
        fields: at("fields").json(fields)?,
        ..read().map_err(store)?
    })
}

impl SeaImports<'_> {
    /// `UPDATE contact_imports SET …` of the tenant's own import.
    fn own(&self, sql: &mut Sql, id: ImportId) {
        sql.push(" WHERE account_id = ")
            .bind(self.scope.account().uuid())
            .push(" AND id = ")
            .bind(id.uuid());
    }
}

#[async_trait]
impl ImportRepo for SeaImports<'_> {
    async fn insert(&mut self, import: &Import) -> Result<(), StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "INSERT INTO contact_imports (id, account_id, state, filename, format, size, country, \
             options, columns, parsed, counts, applied_row, results, cancelled, problem, actor, \
             created_at, updated_at, finished_at) VALUES ",
        )
        .list([
            Value::from(import.id.uuid()),
            self.scope.account().uuid().into(),
            import.state.as_str().into(),
            import.filename.clone().into(),
            import.format.as_str().into(),
            signed(import.size).into(),
            import.country.clone().into(),
            json(&import.options)?.into(),
            json_opt(import.columns.as_ref())?.into(),
            signed(import.parsed).into(),
            json(&import.counts)?.into(),
            signed(import.applied).into(),
            json(&import.results)?.into(),
            import.cancelled.into(),
            import.problem.clone().into(),
            import.actor.as_str().into(),
            micros(import.created_at).into(),
            micros(import.updated_at).into(),
            micros_opt(import.finished_at).into(),
        ]);
        self.unit.execute(sql).await?;
        Ok(())
    }

    async fn get(&mut self, id: ImportId) -> Result<Option<Import>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM contact_imports");
        self.own(&mut sql, id);
        self.unit.rows(sql).await?.first().map(from_row).transpose()
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<Import>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM contact_imports WHERE account_id = ")
            .bind(self.scope.account().uuid());
        if let Some(after) = page.after {
            sql.push(" AND id < ").bind(after.id());
        }
        sql.push(" ORDER BY id DESC LIMIT ").bind(i64::from(page.limit) + 1);
        let rows = self.unit.rows(sql).await?;
        let imports = rows.iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(imports, page, |import| import.id.uuid()))
    }

    async fn save(&mut self, import: &Import, before: &Import) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE contact_imports SET state = ")
            .bind(import.state.as_str())
            .push(", columns = ")
            .bind(json_opt(import.columns.as_ref())?)
            .push(", parsed = ")
            .bind(signed(import.parsed))
            .push(", counts = ")
            .bind(json(&import.counts)?)
            .push(", applied_row = ")
            .bind(signed(import.applied))
            .push(", results = ")
            .bind(json(&import.results)?)
            .push(", problem = ")
            .bind(import.problem.clone())
            .push(", updated_at = ")
            .bind(micros(import.updated_at))
            .push(", finished_at = ")
            .bind(micros_opt(import.finished_at));
        self.own(&mut sql, import.id);
        sql.push(" AND state = ")
            .bind(before.state.as_str())
            .push(" AND parsed = ")
            .bind(signed(before.parsed))
            .push(" AND applied_row = ")
            .bind(signed(before.applied));
        Ok(self.unit.execute(sql).await? == 1)
    }

    async fn cancel(&mut self, id: ImportId, at: Timestamp) -> Result<bool, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("UPDATE contact_imports SET cancelled = ")
            .bind(true)
            .push(", updated_at = ")
            .bind(micros(at));
        self.own(&mut sql, id);
        Ok(self.unit.execute(sql).await? == 1)
    }

    async fn insert_rows(&mut self, id: ImportId, rows: &[ImportRow]) -> Result<(), StoreError> {
        for chunk in rows.chunks(self.unit.at_most(ROWS, 200)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(
                "INSERT INTO contact_import_rows (import_id, row_number, state, phone, name, \
                 fields, problem_column, problem, contact_id) VALUES ",
            );
            for (index, row) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "" } else { ", " }).list([
                    Value::from(id.uuid()),
                    signed(row.number).into(),
                    row.state.as_str().into(),
                    row.phone.clone().into(),
                    row.name.clone().into(),
                    json(&row.fields)?.into(),
                    row.column.clone().into(),
                    row.problem.clone().into(),
                    row.contact.map(ContactId::uuid).into(),
                ]);
            }
            self.unit.execute(sql).await?;
        }
        Ok(())
    }

    async fn rows(
        &mut self,
        id: ImportId,
        states: &[RowState],
        after: u64,
        limit: u32,
    ) -> Result<Vec<ImportRow>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push(
            "SELECT r.* FROM contact_import_rows r JOIN contact_imports i ON i.id = r.import_id",
        )
        .push(" WHERE i.account_id = ")
        .bind(self.scope.account().uuid())
        .push(" AND r.import_id = ")
        .bind(id.uuid())
        .push(" AND r.row_number > ")
        .bind(signed(after));
        if !states.is_empty() {
            sql.push(" AND r.state IN ").list(states.iter().map(|state| state.as_str()));
        }
        sql.push(" ORDER BY r.row_number LIMIT ").bind(i64::from(limit));
        self.unit.rows(sql).await?.iter().map(|row| line(id, row)).collect()
    }

    async fn settle_rows(
        &mut self,
        id: ImportId,
        rows: &[(u64, RowState, Option<ContactId>)],
    ) -> Result<(), StoreError> {
        for chunk in rows.chunks(self.unit.at_most(ROWS, 60)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("WITH v (number, state, contact) AS (VALUES ");
            for (index, (number, state, contact)) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "" } else { ", " }).list([
                    Value::from(signed(*number)),
                    state.as_str().into(),
                    contact.map(ContactId::uuid).into(),
                ]);
            }
            sql.push(
                ") UPDATE contact_import_rows SET state = v.state, contact_id = v.contact FROM v \
                 WHERE contact_import_rows.row_number = v.number \
                 AND contact_import_rows.import_id = ",
            )
            .bind(id.uuid());
            self.unit.execute(sql).await?;
        }
        Ok(())
    }

    async fn write_contacts(
        &mut self,
        contacts: &[(ContactId, Option<String>, BTreeMap<String, String>)],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        for chunk in contacts.chunks(self.unit.at_most(ROWS, 200)) {
            let mut sql = Sql::new(self.unit.tx());
            sql.push("WITH v (id, name, variables) AS (VALUES ");
            for (index, (contact, name, variables)) in chunk.iter().enumerate() {
                sql.push(if index == 0 { "" } else { ", " }).list([
                    Value::from(contact.uuid()),
                    name.clone().into(),
                    json(variables)?.into(),
                ]);
            }
            sql.push(") UPDATE contacts SET name = v.name, variables = v.variables, updated_at = ")
                .bind(micros(at))
                .push(" FROM v WHERE contacts.id = v.id AND contacts.removed_at IS NULL")
                // No condition for an index: SQLite would read all contacts of the account.
                .push(" AND COALESCE(contacts.account_id = ")
                .bind(self.scope.account().uuid())
                .push(", FALSE)");
            self.unit.execute(sql).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl ImportRegistry for SeaImportRegistry<'_> {
    async fn old(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Import>, StoreError> {
        let mut sql = Sql::new(self.unit.tx());
        sql.push("SELECT * FROM contact_imports WHERE created_at < ")
            .bind(micros(before))
            .push(" ORDER BY created_at LIMIT ")
            .bind(i64::from(limit));
        self.unit.rows(sql).await?.iter().map(from_row).collect()
    }

    async fn forget(&mut self, id: ImportId) -> Result<(), StoreError> {
        for statement in [
            "DELETE FROM contact_import_rows WHERE import_id = ",
            "DELETE FROM contact_imports WHERE id = ",
        ] {
            let mut sql = Sql::new(self.unit.tx());
            sql.push(statement).bind(id.uuid());
            self.unit.execute(sql).await?;
        }
        Ok(())
    }
}
