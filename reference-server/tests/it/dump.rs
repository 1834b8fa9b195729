//! Every row of every table, read beside the platform.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgPool, Row as _, SqlitePool};

/// A connection of its own to the database.
pub enum Rows {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// What a refused request may still change: who tried, and when a key was used last.
const APART: &[&str] = &["audit_log"];
const APART_COLUMNS: &[&str] = &["last_used_at"];

pub type Dump = BTreeMap<String, Vec<String>>;

impl Rows {
    pub async fn open(url: &str) -> Self {
        if url.starts_with("postgres") {
            Self::Postgres(PgPool::connect(url).await.unwrap())
        } else {
            Self::Sqlite(SqlitePool::connect(url).await.unwrap())
        }
    }

    /// Makes a database on a PostgreSQL server; returns its address.
    pub async fn create(server: &str, name: &str) -> String {
        let admin = PgPool::connect(server).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        sqlx::query(AssertSqlSafe(create)).execute(&admin).await.unwrap();
        admin.close().await;
        let (head, _) = server.rsplit_once('/').unwrap();
        format!("{head}/{name}")
    }

    /// Removes such a database, whoever is still connected.
    pub async fn remove(server: &str, name: &str) {
        let admin = PgPool::connect(server).await.unwrap();
        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
        sqlx::query(AssertSqlSafe(drop)).execute(&admin).await.unwrap();
    }

    async fn texts(&self, query: String) -> Vec<String> {
        match self {
            Self::Sqlite(pool) => {
                let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(pool).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Self::Postgres(pool) => {
                let rows = sqlx::query(AssertSqlSafe(query)).fetch_all(pool).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    async fn tables(&self) -> Vec<String> {
        let query = match self {
            Self::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table'",
            Self::Postgres(_) => {
                "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"
            }
        };
        self.texts(query.to_owned()).await
    }

    async fn columns(&self, table: &str) -> Vec<String> {
        let query = match self {
            Self::Sqlite(_) => format!("SELECT name FROM pragma_table_info('{table}')"),
            Self::Postgres(_) => format!(
                "SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}'"
            ),
        };
        self.texts(query).await
    }

    pub async fn dump(&self) -> Dump {
        let mut dump = Dump::new();
        for table in self.tables().await {
            if APART.contains(&table.as_str()) {
                continue;
            }
            let columns = self.columns(&table).await;
            let shown: Vec<String> = columns
                .iter()
                .filter(|column| !APART_COLUMNS.contains(&column.as_str()))
                .map(|column| match self {
                    Self::Sqlite(_) => format!("quote(\"{column}\")"),
                    Self::Postgres(_) => format!("coalesce(\"{column}\"::text, 'NULL')"),
                })
                .collect();
            let row = shown.join(" || ',' || ");
            let mut rows = self.texts(format!("SELECT {row} FROM \"{table}\"")).await;
            rows.sort_unstable();
            dump.insert(table, rows);
        }
        dump
    }
}
