//! Where the server keeps its rows.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

/// A data folder, and the address of the database.
pub(crate) struct Place {
    folder: TempDir,
    postgres: Option<String>,
}

impl Place {
    /// SQLite, in the data folder.
    pub(crate) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), postgres: None }
    }

    /// A fresh PostgreSQL database; `None` where no server is given.
    pub(crate) async fn postgres(name: &str) -> Option<Self> {
        let Ok(server) = std::env::var("KABAR_TEST_POSTGRES") else {
            assert!(std::env::var("CI").is_err(), "KABAR_TEST_POSTGRES must be set where CI is");
            eprintln!("KABAR_TEST_POSTGRES is not set: not tested on PostgreSQL");
            return None;
        };
        let name = format!("kabar_crash_{}_{name}", std::process::id());
        psql(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        psql(&server, &format!("CREATE DATABASE {name}")).await;
        let (address, _) = server.rsplit_once('/').expect("an address with a database");
        let postgres = Some(format!("{address}/{name}"));
        Some(Self { folder: tempfile::tempdir().unwrap(), postgres })
    }

    /// The settings that lead there.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = vec![("KABAR_DATA", self.folder.path().display().to_string())];
        settings.extend(self.postgres.clone().map(|url| ("KABAR_DATABASE", url)));
        settings
    }

    /// The address of the PostgreSQL database, if it is one.
    pub(crate) fn postgres_url(&self) -> Option<&str> {
        self.postgres.as_deref()
    }

    /// Removes the PostgreSQL database.
    pub(crate) async fn remove(self) {
        if let (Some(url), Ok(server)) = (&self.postgres, std::env::var("KABAR_TEST_POSTGRES")) {
            let (_, name) = url.rsplit_once('/').unwrap();
            psql(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

async fn psql(server: &str, sql: &str) {
    let done = Command::new("psql")
        .args([server, "-v", "ON_ERROR_STOP=1", "-q", "-c", sql])
        .stdout(Stdio::null())
        .status()
        .await
        .expect("psql is installed where PostgreSQL is tested");
    assert!(done.success(), "{sql}");
}
