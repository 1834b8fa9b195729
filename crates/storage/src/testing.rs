//! A fresh database of each kind for each test. Only with the feature `testing`.
//!
//! PostgreSQL runs where `KABAR_TEST_POSTGRES` names a server whose user may create databases, like
//! `postgres://postgres@127.0.0.1/postgres`; where `CI` is set it must.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use kabar_core::{ExposeSecret as _, Secret};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use crate::raw::Sql;
use crate::{Database, DatabaseUrl, KeyRing};

/// The address of a PostgreSQL server for tests.
const SERVER: &str = "KABAR_TEST_POSTGRES";

/// A database of its own.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// The open database, with its schema.
    pub database: Database,
    url: DatabaseUrl,
    keys: Secret,
}

impl TestDatabase {
    async fn open(url: DatabaseUrl) -> Self {
        let (_, keys) = KeyRing::generate();
        let database = connect(&url, &keys).await;
        database.migrate().await.expect("the schema is made");
        Self { database, url, keys }
    }

    /// The same database through connections of its own, as a second node or a restart has it.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn reopened(&self) -> Database {
        connect(&self.url, &self.keys).await
    }

    /// The same database under other keys.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn under_other_keys(&self) -> Database {
        let (_, keys) = KeyRing::generate();
        connect(&self.url, &keys).await
    }

    /// The same database under these keys.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn reopened_under(&self, keys: &Secret) -> Database {
        connect(&self.url, keys).await
    }

    /// The same database under keys with other names.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn under_other_names(&self) -> Database {
        let (_, keys) = KeyRing::generate();
        let renamed = keys.expose_secret().replacen("k1:", "other:", 1);
        connect(&self.url, &Secret::from(renamed)).await
    }

    /// The keys.
    pub fn keys(&self) -> Secret {
        self.keys.clone()
    }

    /// Takes the last migrations back and applies them again.
    ///
    /// # Panics
    /// When one fails.
    pub async fn back_and_forth(&self, migrations: usize) {
        let all = Database::known_migrations().len();
        self.database.migrate_to(all - migrations).await.expect("they are taken back");
        self.database.migrate().await.expect("they are applied again");
    }

    /// Every row of every table, in the words of a backup.
    ///
    /// # Panics
    /// When it cannot be read.
    pub async fn rows(&self) -> BTreeMap<String, Vec<String>> {
        rows(&self.database).await
    }

    /// The bytes of the database's files; `None` on PostgreSQL.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn files(&self) -> Option<Vec<u8>> {
        let DatabaseUrl::Sqlite(path) = &self.url else {
            return None;
        };
        let mut bytes = Vec::new();
        for entry in std::fs::read_dir(path.parent()?).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            bytes.extend(std::fs::read(path).expect("a file"));
        }
        Some(bytes)
    }

    /// Its address; `None` on SQLite.
    pub fn address(&self) -> Option<&str> {
        match &self.url {
            DatabaseUrl::Postgres(url) => Some(url),
            DatabaseUrl::Sqlite(_) => None,
        }
    }

    /// Whether it is PostgreSQL.
    pub const fn is_postgres(&self) -> bool {
        matches!(self.url, DatabaseUrl::Postgres(_))
    }
}

/// Every row of every table, in the words of a backup, sorted.
///
/// # Panics
/// When it cannot be read.
pub async fn rows(database: &Database) -> BTreeMap<String, Vec<String>> {
    let snapshot = database.snapshot().await.expect("the database is read");
    crate::backup::rows(&snapshot).await.expect("the rows are read")
}

/// A write to the vault that stopped in the middle: its fence was found good, nothing else happened.
/// Dropped, it ends.
pub struct FrozenWrite {
    _unit: crate::unit::Unit,
}

impl std::fmt::Debug for FrozenWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrozenWrite").finish_non_exhaustive()
    }
}

impl Database {
    /// Begins to write to the vault, as a process that freezes then.
    ///
    /// # Panics
    /// When the fence is refused.
    pub async fn freeze(&self, fence: kabar_channel::Fence) -> FrozenWrite {
        FrozenWrite { _unit: self.fenced(fence).await.expect("the fence is good") }
    }

    /// Deletes the row of an account, and with it what refers to it.
    ///
    /// # Panics
    /// When it cannot be deleted.
    pub async fn delete_account(&self, account: Uuid) {
        let unit = self.writing().await.expect("begins");
        let mut sql = Sql::new(unit.tx());
        sql.push("DELETE FROM accounts WHERE id = ").bind(account);
        unit.execute(sql).await.expect("is deleted");
        kabar_core::Work::commit(Box::new(unit)).await.expect("commits");
    }

    /// The id of any device.
    ///
    /// # Panics
    /// When there is none.
    pub async fn a_device(&self) -> Uuid {
        let unit = self.writing().await.expect("begins");
        let mut sql = Sql::new(unit.tx());
        sql.push("SELECT id FROM devices ORDER BY id LIMIT 1");
        let rows = unit.rows(sql).await.expect("is read");
        rows.first().expect("there is a device").try_get("", "id").expect("an id")
    }

    /// Sets a device's state, as its channel would.
    ///
    /// # Panics
    /// When it cannot be stored.
    pub async fn set_device_state(&self, device: Uuid, state: &str) {
        let unit = self.writing().await.expect("begins");
        let mut sql = Sql::new(unit.tx());
        sql.push("UPDATE devices SET state = ").bind(state).push(" WHERE id = ").bind(device);
        unit.execute(sql).await.expect("is stored");
        kabar_core::Work::commit(Box::new(unit)).await.expect("commits");
    }

    /// A chat of a device that is ready at a time, in microseconds, and that nobody owns.
    ///
    /// # Panics
    /// When it cannot be stored.
    pub async fn a_lane(&self, device: Uuid, ready_at: i64) {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let contact = Uuid::from_u128(NUMBER.fetch_add(1, Ordering::Relaxed).into());
        let unit = self.writing().await.expect("begins");
        let mut sql = Sql::new(unit.tx());
        sql.push(
            "INSERT INTO lanes (device_id, contact_id, account_id, priority, ready_at, fence) \
             SELECT id, ",
        )
        .bind(contact)
        .push(", account_id, CAST(1 AS smallint), ")
        .bind(ready_at)
        .push(", 0 FROM devices WHERE id = ")
        .bind(device);
        unit.execute(sql).await.expect("is stored");
        kabar_core::Work::commit(Box::new(unit)).await.expect("commits");
    }

    /// A message of a device that waits to be sent.
    ///
    /// # Panics
    /// When it cannot be stored.
    pub async fn a_waiting_message(&self, device: Uuid, due_at: i64, status: &str) {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = u128::from(NUMBER.fetch_add(1, Ordering::Relaxed));
        let (id, contact) = (Uuid::from_u128(number), Uuid::from_u128(number << 64));
        let unit = self.writing().await.expect("begins");
        let mut sql = Sql::new(unit.tx());
        sql.push(
            "INSERT INTO messages (id, account_id, device_id, conversation_id, contact_id, direction, \
             status, queued, kind, content, purpose, origin, priority, attempts, due_at, next_at, \
             forwarded, created_at, updated_at) SELECT ",
        )
        .bind(id)
        .push(", account_id, id, ")
        .bind(id)
        .push(", ")
        .bind(contact)
        .push(", 'out', ")
        .bind(status)
        .push(", true, 'text', ")
        .bind(serde_json::json!({ "type": "text", "body": "halo" }))
        .push(", 'service', 'api', CAST(1 AS smallint), 0, ")
        .bind(due_at)
        .push(", ")
        .bind(due_at)
        .push(", false, 1, 1 FROM devices WHERE id = ")
        .bind(device);
        unit.execute(sql).await.expect("is stored");
        kabar_core::Work::commit(Box::new(unit)).await.expect("commits");
    }
}

async fn connect(url: &DatabaseUrl, keys: &Secret) -> Database {
    let ring = KeyRing::parse(keys).expect("the keys are good");
    Database::open(url, ring).await.expect("the database opens")
}

/// Runs a test on SQLite, and on PostgreSQL where there is one.
///
/// # Panics
/// When the test does, or a database cannot be made.
pub async fn each_database<F>(test: impl Fn(TestDatabase) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let folder = tempfile::tempdir().expect("a scratch folder");
    let url = DatabaseUrl::Sqlite(folder.path().join("kabar.db"));
    test(TestDatabase::open(url).await).await;
    if let Some(server) = server() {
        on_postgres(&server, &test).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
fn server() -> Option<String> {
    let server = std::env::var(SERVER).ok();
    assert!(server.is_some() || std::env::var("CI").is_err(), "{SERVER} must be set where CI is");
    if server.is_none() {
        eprintln!("{SERVER} is not set: not tested on PostgreSQL");
    }
    server
}

async fn on_postgres<F>(server: &str, test: &impl Fn(TestDatabase) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("kabar_test_{}_{number}", std::process::id());
    let admin = sea_orm::Database::connect(server).await.expect("the server answers");
    let run = async |sql: String| {
        admin.execute_unprepared(&sql).await.expect("the test user may create databases")
    };
    run(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    run(format!("CREATE DATABASE {name}")).await;
    let (address, _) = server.rsplit_once('/').expect("an address with a database");
    let database = TestDatabase::open(DatabaseUrl::Postgres(format!("{address}/{name}"))).await;
    // In a task of its own, so that the database goes even when the test fails.
    let ended = tokio::spawn(test(database.clone())).await;
    database.database.close().await;
    run(format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(error) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
}
