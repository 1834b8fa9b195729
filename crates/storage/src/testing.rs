//! A fresh database of each kind for each test. Only with the feature `testing`.
//!
//! PostgreSQL runs where `KABAR_TEST_POSTGRES` names a server whose user may create databases, like
//! `postgres://postgres@127.0.0.1/postgres`; where `CI` is set it must.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};

use kabar_core::Secret;
use sea_orm::ConnectionTrait as _;

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

    /// Whether it is PostgreSQL.
    pub const fn is_postgres(&self) -> bool {
        matches!(self.url, DatabaseUrl::Postgres(_))
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
