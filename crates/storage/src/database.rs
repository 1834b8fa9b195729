//! Opening a database, and units of work on it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kabar_core::{Store, StoreError, Work};
use kabar_migrations::{Migrator, MigratorTrait as _};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait as _, DatabaseConnection, DbErr,
    TransactionOptions, TransactionTrait as _,
};

use crate::error::store;
use crate::group::GroupWriter;
use crate::keyring::KeyRing;
use crate::unit::Unit;

/// Readers of SQLite at the same time.
const READERS: u32 = 4;
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
        let backend = match url {
            DatabaseUrl::Sqlite(path) => open_sqlite(path).await?,
            DatabaseUrl::Postgres(url) => {
                Backend::Postgres(open_postgres(url).await.map_err(OpenError::Connect)?)
            }
        };
        Ok(Self { backend, ring: Arc::new(ring) })
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
        self.connection()
            .execute_unprepared("SELECT 1")
            .await
            .map(|_| ())
            .map_err(|error| StoreError::Unavailable(Box::new(error)))
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
                Ok(Unit::new(transaction, Some(turn), Arc::clone(&self.ring)))
            }
            Backend::Postgres(connection) => self.plain(connection, AccessMode::ReadWrite).await,
        }
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
        Ok(Unit::new(transaction, None, Arc::clone(&self.ring)))
    }
}

async fn open_sqlite(path: &Path) -> Result<Backend, OpenError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| OpenError::Folder { path: path.display().to_string(), source })?;
    }
    let connection = sqlite_pool(path, 1, false).await.map_err(OpenError::Connect)?;
    let readers = sqlite_pool(path, READERS, true).await.map_err(OpenError::Connect)?;
    Ok(Backend::Sqlite { writer: GroupWriter::new(connection.clone()), connection, readers })
}

async fn sqlite_pool(path: &Path, most: u32, read_only: bool) -> Result<DatabaseConnection, DbErr> {
    let mode = if read_only { "ro" } else { "rwc" };
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
                .pragma("temp_store", "memory")
                .pragma("cache_size", "-16000");
            if read_only {
                sqlite
            } else {
                sqlite.pragma("journal_mode", "wal").pragma("synchronous", "full")
            }
        });
    sea_orm::Database::connect(options).await
}

async fn open_postgres(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(20)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire_if_idle_for(Duration::from_secs(30))
        .sqlx_logging(false)
        .set_application_name("kabar")
        .map_sqlx_postgres_opts(|postgres| {
            postgres.options([
                ("lock_timeout", LOCK_TIMEOUT),
                ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
                ("synchronous_commit", "on"),
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
    dyn kabar_events::EventsWork,
    dyn kabar_accounts::AccountsWork,
    dyn kabar_accounts::AuditWork,
    dyn kabar_devices::DevicesUse,
    dyn kabar_contacts::ContactsUse,
    dyn kabar_messaging::RoadWork,
    dyn kabar_automation::AutomationUse,
}
