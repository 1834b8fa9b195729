//! Opening a database, and units of work on it.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kabar_core::{Store, StoreError, Wake, Work};
use kabar_migrations::{Migrator, MigratorTrait as _};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction,
    DbErr, IsolationLevel, QueryResult, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait as _,
};

use crate::error::store;
use crate::group::GroupWriter;
use crate::keyring::KeyRing;
use crate::raw::Sql;
use crate::sessions::Reached;
use crate::unit::Unit;

/// Readers of SQLite at the same time.
const READERS: u32 = 4;
/// Connections that write to SQLite: that of the units of work, and one for migrations beside it.
const WRITERS: u32 = 2;
/// Connections to PostgreSQL, at most: few, because each remembers statements for itself.
const POSTGRES: u32 = 12;
/// A frozen node must not hold a lock for longer than others wait for it.
const LOCK_TIMEOUT: &str = "5s";
/// A transaction in which nothing happens is ended by PostgreSQL.
const IDLE_TIMEOUT: &str = "15s";

/// Which database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server, by its `postgres://` address.
    Postgres(String),
}

/// When a commit counts as done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When it reached the disk: SQLite `synchronous=FULL`, PostgreSQL `synchronous_commit=on`.
    #[default]
    Full,
    /// When the operating system or the database server has it: a crash of the process loses
    /// nothing, a power cut may take the last moments with it. SQLite `synchronous=NORMAL`,
    /// PostgreSQL `synchronous_commit=off`.
    Relaxed,
}

impl Durability {
    const fn sqlite(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Relaxed => "normal",
        }
    }

    const fn postgres(self) -> &'static str {
        match self {
            Self::Full => "on",
            Self::Relaxed => "off",
        }
    }
}

/// A database that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The address is of no known kind.
    #[error("`{0}` is no database address; use sqlite:FILE or postgres://USER:PASSWORD@HOST/NAME")]
    Address(String),
    /// The folder of the SQLite file cannot be made.
    #[error("the folder of {path} cannot be made")]
    Folder {
        /// The database file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database does not answer, or refuses us.
    #[error("the database cannot be opened: {0}")]
    Connect(#[source] DbErr),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migrate(#[source] DbErr),
}

impl FromStr for DatabaseUrl {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:"));
        match path {
            Some(path) if !path.is_empty() && path != ":memory:" => Ok(Self::Sqlite(path.into())),
            // The address may hold a password.
            _ => Err(OpenError::Address(text.split("://").next().unwrap_or_default().to_owned())),
        }
    }
}

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    backend: Backend,
    ring: Arc<KeyRing>,
    wake: Option<Arc<dyn Wake>>,
    /// Up to where values of sessions were sealed anew.
    resealed: Arc<Reached>,
}

#[derive(Clone)]
enum Backend {
    Sqlite { writer: GroupWriter, connection: DatabaseConnection, readers: DatabaseConnection },
    Postgres(DatabaseConnection),
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let backend = match self.backend {
            Backend::Sqlite { .. } => "sqlite",
            Backend::Postgres(_) => "postgres",
        };
        f.debug_tuple("Database").field(&backend).finish()
    }
}

impl Database {
    /// Connects, without touching the schema.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(url: &DatabaseUrl, ring: KeyRing) -> Result<Self, OpenError> {
        Self::open_with(url, ring, Durability::Full).await
    }

    /// As [`Database::open`], with another idea of when a commit is done.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_with(
        url: &DatabaseUrl,
        ring: KeyRing,
        durability: Durability,
    ) -> Result<Self, OpenError> {
        let backend = match url {
            DatabaseUrl::Sqlite(path) => open_sqlite(path, durability).await?,
            DatabaseUrl::Postgres(url) => {
                Backend::Postgres(open_postgres(url, durability).await.map_err(OpenError::Connect)?)
            }
        };
        Ok(Self { backend, ring: Arc::new(ring), wake: None, resealed: Arc::default() })
    }

    /// The same database; units of work opened from here on wake those who wait for the events and
    /// the jobs that they commit.
    #[must_use]
    pub fn waking(self, wake: Arc<dyn Wake>) -> Self {
        Self { wake: Some(wake), ..self }
    }

    /// Applies the migrations that are missing.
    ///
    /// # Errors
    /// [`OpenError::Migrate`].
    pub async fn migrate(&self) -> Result<(), OpenError> {
        Migrator::up(self.connection(), None).await.map_err(OpenError::Migrate)
    }

    /// Takes every migration back. All data is lost.
    ///
    /// # Errors
    /// [`OpenError::Migrate`].
    pub async fn migrate_down(&self) -> Result<(), OpenError> {
        Migrator::down(self.connection(), None).await.map_err(OpenError::Migrate)
    }

    /// The migrations that are missing.
    ///
    /// # Errors
    /// [`OpenError::Migrate`].
    pub async fn missing_migrations(&self) -> Result<Vec<String>, OpenError> {
        let missing = Migrator::get_pending_migrations(self.connection())
            .await
            .map_err(OpenError::Migrate)?;
        Ok(missing.iter().map(|migration| migration.name().to_owned()).collect())
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        let connection = match &self.backend {
            Backend::Sqlite { readers, .. } => readers,
            Backend::Postgres(connection) => connection,
        };
        connection
            .execute_unprepared("SELECT 1")
            .await
            .map(|_| ())
            .map_err(|error| StoreError::Unavailable(Box::new(error)))
    }

    /// The migrations that were applied, in their order.
    ///
    /// # Errors
    /// [`OpenError::Migrate`].
    pub async fn applied_migrations(&self) -> Result<Vec<String>, OpenError> {
        let missing = self.missing_migrations().await?;
        Ok(Self::known_migrations().into_iter().filter(|name| !missing.contains(name)).collect())
    }

    /// Every migration of this version, in its order.
    pub(crate) fn known_migrations() -> Vec<String> {
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
    }

    /// Applies, or takes back, migrations until exactly the first `wanted` are applied.
    pub(crate) async fn migrate_to(&self, wanted: usize) -> Result<(), OpenError> {
        let applied = self.applied_migrations().await?.len();
        let steps = |count: usize| Some(u32::try_from(count).unwrap_or(u32::MAX));
        let moved = match applied.cmp(&wanted) {
            Ordering::Less => Migrator::up(self.connection(), steps(wanted - applied)).await,
            Ordering::Greater => Migrator::down(self.connection(), steps(applied - wanted)).await,
            Ordering::Equal => Ok(()),
        };
        moved.map_err(OpenError::Migrate)
    }

    /// A transaction that sees everything as it is now, however long it takes to read.
    pub(crate) async fn snapshot(&self) -> Result<DatabaseTransaction, StoreError> {
        let (connection, options) = match &self.backend {
            Backend::Sqlite { readers, .. } => (readers, TransactionOptions::default()),
            Backend::Postgres(connection) => (
                connection,
                TransactionOptions {
                    isolation_level: Some(IsolationLevel::RepeatableRead),
                    access_mode: Some(AccessMode::ReadOnly),
                    ..Default::default()
                },
            ),
        };
        let transaction = connection.begin_with_options(options).await.map_err(store)?;
        self.patient(&transaction).await?;
        Ok(transaction)
    }

    /// A transaction that writes, beside every unit of work: for a database that nobody else uses.
    pub(crate) async fn alone(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let transaction = self.connection().begin_with_options(options).await.map_err(store)?;
        self.patient(&transaction).await?;
        Ok(transaction)
    }

    /// Reading or writing a file between two statements is not idling.
    async fn patient(&self, transaction: &DatabaseTransaction) -> Result<(), StoreError> {
        let statement = match self.backend {
            Backend::Sqlite { .. } => return Ok(()),
            Backend::Postgres(_) => "SET LOCAL idle_in_transaction_session_timeout = 0",
        };
        transaction.execute_unprepared(statement).await.map(|_| ()).map_err(store)
    }

    /// Connections of other Kabar processes to the same database; unknown, and 0, on SQLite.
    pub(crate) async fn other_connections(&self) -> Result<i64, StoreError> {
        let Backend::Postgres(connection) = &self.backend else {
            return Ok(0);
        };
        // Our own pool may hold several.
        let ours = connection.get_postgres_connection_pool().size();
        let query = "SELECT COUNT(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND application_name = 'kabar'";
        let statement = Statement::from_string(connection.get_database_backend(), query);
        let row = connection.query_one_raw(statement).await.map_err(store)?;
        let all: i64 = row.map_or(Ok(0), |row| row.try_get_by_index(0)).map_err(store)?;
        Ok(all.saturating_sub(i64::from(ours)).max(0))
    }

    /// The pools of connections: name, connections, and how many of them are idle.
    pub fn pools(&self) -> Vec<(&'static str, u32, u32)> {
        let idle = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        match &self.backend {
            Backend::Sqlite { connection, readers, .. } => {
                let (writer, readers) =
                    (connection.get_sqlite_connection_pool(), readers.get_sqlite_connection_pool());
                vec![
                    ("writer", writer.size(), idle(writer.num_idle())),
                    ("readers", readers.size(), idle(readers.num_idle())),
                ]
            }
            Backend::Postgres(connection) => {
                let pool = connection.get_postgres_connection_pool();
                vec![("postgres", pool.size(), idle(pool.num_idle()))]
            }
        }
    }

    /// The keys that secrets are sealed under.
    pub(crate) const fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// Up to where values of sessions were sealed anew.
    pub(crate) fn resealed(&self) -> &Reached {
        &self.resealed
    }

    /// Whether a key is on the ring.
    pub(crate) fn has_key(&self, id: &str) -> bool {
        self.ring.ids().iter().any(|known| known == id)
    }

    /// Closes the connections after what runs on them has ended.
    pub async fn close(&self) {
        let connections = match &self.backend {
            Backend::Sqlite { connection, readers, .. } => vec![readers, connection],
            Backend::Postgres(connection) => vec![connection],
        };
        if let Backend::Sqlite { writer, .. } = &self.backend {
            writer.finish().await;
        }
        for connection in connections {
            if let Err(error) = connection.clone().close().await {
                tracing::warn!(error = &error as &dyn std::error::Error, "database.close");
            }
        }
    }

    fn connection(&self) -> &DatabaseConnection {
        match &self.backend {
            Backend::Sqlite { connection, .. } | Backend::Postgres(connection) => connection,
        }
    }

    async fn unit(&self) -> Result<Unit, StoreError> {
        match &self.backend {
            Backend::Sqlite { writer, .. } => {
                let (transaction, turn) = writer.begin().await?;
                Ok(Unit::new(transaction, Some(turn), Arc::clone(&self.ring), self.wake.clone()))
            }
            Backend::Postgres(connection) => self.plain(connection, AccessMode::ReadWrite).await,
        }
    }

    /// Runs one statement that only reads, on what is committed; returns its rows.
    pub(crate) async fn look(&self, sql: Sql) -> Result<Vec<QueryResult>, StoreError> {
        let connection = match &self.backend {
            Backend::Sqlite { readers, .. } => readers,
            Backend::Postgres(connection) => connection,
        };
        connection.query_all_raw(sql.done()).await.map_err(store)
    }

    /// A statement to [`Database::look`] with.
    pub(crate) fn sql(&self) -> Sql {
        Sql::on(self.connection().get_database_backend())
    }

    /// A unit that writes, for what is no domain's.
    pub(crate) async fn writing(&self) -> Result<Unit, StoreError> {
        self.unit().await
    }

    async fn reading_unit(&self) -> Result<Unit, StoreError> {
        match &self.backend {
            // The pool's connections are read-only by themselves.
            Backend::Sqlite { readers, .. } => self.plain(readers, AccessMode::ReadWrite).await,
            Backend::Postgres(connection) => self.plain(connection, AccessMode::ReadOnly).await,
        }
    }

    async fn plain(
        &self,
        connection: &DatabaseConnection,
        access: AccessMode,
    ) -> Result<Unit, StoreError> {
        let access_mode = matches!(access, AccessMode::ReadOnly).then_some(access);
        let options = TransactionOptions { access_mode, ..Default::default() };
        let transaction = connection.begin_with_options(options).await.map_err(store)?;
        Ok(Unit::new(Arc::new(transaction), None, Arc::clone(&self.ring), self.wake.clone()))
    }
}

async fn open_sqlite(path: &Path, durability: Durability) -> Result<Backend, OpenError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| OpenError::Folder { path: path.display().to_string(), source })?;
    }
    let connection =
        sqlite_pool(path, WRITERS, Some(durability)).await.map_err(OpenError::Connect)?;
    let readers = sqlite_pool(path, READERS, None).await.map_err(OpenError::Connect)?;
    Ok(Backend::Sqlite { writer: GroupWriter::new(connection.clone()), connection, readers })
}

/// Statements that a connection remembers: each number of rows makes another text, and what is
/// forgotten must be parsed and planned again.
const STATEMENTS: usize = 400;

/// Pages of the log after which they are copied into SQLite's file: 16 MiB. Pages that change again
/// and again are then copied once instead of four times as with SQLite's own 1,000.
const CHECKPOINT: &str = "4000";

/// Connections that write as durably as that, or that only read.
async fn sqlite_pool(
    path: &Path,
    most: u32,
    writes: Option<Durability>,
) -> Result<DatabaseConnection, DbErr> {
    let mode = if writes.is_some() { "rwc" } else { "ro" };
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode={mode}", path.display()));
    options
        .max_connections(most)
        .min_connections(1)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .acquire_timeout(Duration::from_secs(30))
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .foreign_keys(true)
                .busy_timeout(Duration::from_secs(10))
                .statement_cache_capacity(STATEMENTS)
                .pragma("temp_store", "memory")
                .pragma("cache_size", "-16000");
            match writes {
                None => sqlite,
                Some(durability) => {
                    let sqlite = sqlite.pragma("journal_mode", "wal");
                    let sqlite = sqlite.pragma("wal_autocheckpoint", CHECKPOINT);
                    sqlite.pragma("synchronous", durability.sqlite())
                }
            }
        });
    sea_orm::Database::connect(options).await
}

async fn open_postgres(url: &str, durability: Durability) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(POSTGRES)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire_if_idle_for(Duration::from_secs(30))
        .sqlx_logging(false)
        .set_application_name("kabar")
        .map_sqlx_postgres_opts(move |postgres| {
            postgres.statement_cache_capacity(STATEMENTS).options([
                ("lock_timeout", LOCK_TIMEOUT),
                ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
                ("synchronous_commit", durability.postgres()),
                // Every statement of ours has its index. What PostgreSQL believes of a table that was
                // filled a moment ago leads it elsewhere, and compiling plans never pays here.
                ("enable_seqscan", "off"),
                ("random_page_cost", "1.1"),
                ("jit", "off"),
            ])
        });
    sea_orm::Database::connect(options).await
}

/// Units of work of every shape are the same [`Unit`].
macro_rules! opens {
    ($($work:ty),+ $(,)?) => {$(
        #[async_trait]
        impl Store<$work> for Database {
            async fn begin(&self) -> Result<Box<$work>, StoreError> {
                Ok(Box::new(self.unit().await?))
            }

            async fn read(&self) -> Result<Box<$work>, StoreError> {
                Ok(Box::new(self.reading_unit().await?))
            }
        }
    )+};
}

opens! {
    dyn Work,
    dyn kabar_jobs::JobsWork,
    dyn kabar_jobs::MailsWork,
    dyn kabar_events::EventsWork,
    dyn kabar_accounts::AccountsWork,
    dyn kabar_accounts::AuditWork,
    dyn kabar_devices::DevicesUse,
    dyn kabar_devices::LeasesWork,
    dyn kabar_contacts::ContactsUse,
    dyn kabar_contacts::ImportUse,
    dyn kabar_exports::ExportsUse,
    dyn kabar_messaging::RoadWork,
    dyn kabar_messaging::BroadcastUse,
    dyn kabar_messaging::EraseWork,
    dyn kabar_automation::AutomationUse,
    dyn kabar_operations::OperationsUse,
    dyn kabar_webhooks::WebhooksUse,
    dyn kabar_insights::InsightsWork,
    dyn kabar_insights::InsightsUse,
}
