//! What tables there are, read from the database itself: a new migration is in the backup without
//! further ado, or, with a column type that is not known here, refused by name.

use std::collections::{BTreeMap, BTreeSet};

use kabar_core::StoreError;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde::{Deserialize, Serialize};

use crate::error::store;

/// The migrations' own table, which the manifest stands for.
const HISTORY: &str = "seaql_migrations";

/// How a column's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A UUID: 32 hexadecimal digits.
    Id,
    /// A whole number: decimal digits.
    Int,
    /// `1` or `0`.
    Bool,
    /// A number with a fraction.
    Real,
    /// Itself.
    Text,
    /// A JSON document.
    Json,
    /// Hexadecimal digits.
    Bytes,
}

impl Kind {
    /// The kind of a column by the word of either database.
    fn of(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "uuid" | "uuid_text" => Self::Id,
            "bigint" | "integer" | "smallint" => Self::Int,
            "boolean" => Self::Bool,
            "double precision" | "real" => Self::Real,
            "text" | "character varying" | "varchar" => Self::Text,
            "jsonb" | "jsonb_text" => Self::Json,
            "bytea" | "blob" => Self::Bytes,
            _ => return None,
        })
    }

    /// The expression that gives a column as a text.
    pub(super) fn read(self, column: &str, backend: DbBackend) -> String {
        let postgres = backend == DbBackend::Postgres;
        match (self, postgres) {
            (Self::Id, true) => format!("replace({column}::text, '-', '')"),
            (Self::Bool, true) => format!("{column}::int::text"),
            (Self::Bytes, true) => format!("encode({column}, 'hex')"),
            (_, true) => format!("{column}::text"),
            // `hex` of nothing is an empty text.
            (Self::Id | Self::Bytes, false) => {
                format!("CASE WHEN {column} IS NULL THEN NULL ELSE lower(hex({column})) END")
            }
            (Self::Real, false) => {
                format!("CASE WHEN {column} IS NULL THEN NULL ELSE printf('%!.17g', {column}) END")
            }
            (_, false) => format!("CAST({column} AS TEXT)"),
        }
    }

    /// The expression that makes a column's value of such a text.
    pub(super) fn write(self, text: &str, backend: DbBackend) -> String {
        let postgres = backend == DbBackend::Postgres;
        match (self, postgres) {
            (Self::Id, true) => format!("CAST({text} AS uuid)"),
            (Self::Int, true) => format!("CAST({text} AS bigint)"),
            (Self::Bool, true) => format!("CAST({text} AS boolean)"),
            (Self::Real, true) => format!("CAST({text} AS double precision)"),
            (Self::Json, true) => format!("CAST({text} AS jsonb)"),
            (Self::Bytes, true) => format!("decode({text}, 'hex')"),
            (Self::Id | Self::Bytes, false) => format!("unhex({text})"),
            (Self::Int | Self::Bool, false) => format!("CAST({text} AS INTEGER)"),
            (Self::Real, false) => format!("CAST({text} AS REAL)"),
            (Self::Text, _) | (Self::Json, false) => text.to_owned(),
        }
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) name: String,
    /// In the order of their names: databases differ in the order in which columns were added.
    pub(super) columns: Vec<(String, Kind)>,
    /// The primary key.
    pub(super) key: Vec<String>,
}

/// Every table, those that others refer to first.
pub(super) async fn tables(connection: &impl ConnectionTrait) -> Result<Vec<Table>, StoreError> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for [name, column, word] in texts::<3>(connection, columns_query).await? {
        let kind = Kind::of(&word).ok_or_else(|| {
            StoreError::Refused(
                format!("{name}.{column} has the type `{word}`, which backups do not know").into(),
            )
        })?;
        let empty = || Table { name: name.clone(), columns: Vec::new(), key: Vec::new() };
        tables.entry(name.clone()).or_insert_with(empty).columns.push((column, kind));
    }
    for [name, column] in texts::<2>(connection, keys_query).await? {
        if let Some(table) = tables.get_mut(&name) {
            table.key.push(column);
        }
    }
    let needs = texts::<2>(connection, references_query).await?;
    Ok(sorted(tables, &needs))
}

/// Tables behind those that they refer to.
fn sorted(mut tables: BTreeMap<String, Table>, needs: &[[String; 2]]) -> Vec<Table> {
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut sorted = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waits = |name: &str| {
            needs
                .iter()
                .any(|[table, other]| table == name && other != name && !done.contains(other))
        };
        let mut ready: Vec<String> = tables.keys().filter(|name| !waits(name)).cloned().collect();
        if ready.is_empty() {
            // A circle: the database will say which row it is.
            ready = tables.keys().cloned().collect();
        }
        for name in ready {
            sorted.extend(tables.remove(&name));
            done.insert(name);
        }
    }
    sorted
}

/// Rows of texts.
async fn texts<const N: usize>(
    connection: &impl ConnectionTrait,
    query: fn(DbBackend) -> String,
) -> Result<Vec<[String; N]>, StoreError> {
    let backend = connection.get_database_backend();
    let rows = connection.query_all_raw(Statement::from_string(backend, query(backend))).await;
    let read = |row: &sea_orm::QueryResult| {
        let mut texts: [String; N] = std::array::from_fn(|_| String::new());
        for (index, text) in texts.iter_mut().enumerate() {
            *text = row.try_get_by_index(index).map_err(store)?;
        }
        Ok(texts)
    };
    rows.map_err(store)?.iter().map(read).collect()
}

fn columns_query(backend: DbBackend) -> String {
    match backend {
        DbBackend::Postgres => format!(
            "SELECT c.table_name::text, c.column_name::text, c.data_type::text \
             FROM information_schema.columns c JOIN information_schema.tables t \
             ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
             WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' \
             AND c.table_name <> '{HISTORY}' \
             ORDER BY c.table_name::text COLLATE \"C\", c.column_name::text COLLATE \"C\""
        ),
        _ => format!(
            "SELECT m.name, p.name, p.type FROM sqlite_master m, pragma_table_info(m.name) p \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             AND m.name <> '{HISTORY}' ORDER BY 1, 2"
        ),
    }
}

fn keys_query(backend: DbBackend) -> String {
    match backend {
        DbBackend::Postgres => "SELECT c.relname::text, a.attname::text FROM pg_index i \
             JOIN pg_class c ON c.oid = i.indrelid \
             JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k (place, position) ON true \
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.place \
             WHERE i.indisprimary AND c.relnamespace = current_schema()::regnamespace \
             ORDER BY 1, k.position"
            .to_owned(),
        _ => "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p \
             WHERE m.type = 'table' AND p.pk > 0 ORDER BY m.name, p.pk"
            .to_owned(),
    }
}

fn references_query(backend: DbBackend) -> String {
    match backend {
        DbBackend::Postgres => "SELECT c.conrelid::regclass::text, c.confrelid::regclass::text \
             FROM pg_constraint c WHERE c.contype = 'f' \
             AND c.connamespace = current_schema()::regnamespace"
            .to_owned(),
        _ => "SELECT m.name, f.\"table\" FROM sqlite_master m, pragma_foreign_key_list(m.name) f \
             WHERE m.type = 'table'"
            .to_owned(),
    }
}
