//! Group commit for SQLite's one writer.
//!
//! Units of work take turns on the writer connection, first come first served. Each is a savepoint
//! in a shared transaction. A unit that is done releases its savepoint and queues up *again*, to
//! commit: whoever queued before it joins the same transaction, and the first to reach the front
//! commits for all. So a lone unit commits at once, and under load many units share one `fsync`,
//! without timers and without a background task.

use std::sync::{Arc, OnceLock};

use kabar_core::StoreError;
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::store;

/// What became of a group; every unit in it waits for the same answer.
type Outcome = Arc<OnceLock<Result<(), String>>>;

/// The writer connection and the group that is open on it.
#[derive(Clone)]
pub(crate) struct GroupWriter {
    connection: DatabaseConnection,
    group: Arc<Mutex<Group>>,
}

#[derive(Default)]
struct Group {
    open: Option<(DatabaseTransaction, Outcome)>,
    /// A unit was rolled back. SQLite may have rolled the whole transaction back with it (disk
    /// full, I/O error), so nothing more joins this group.
    closing: bool,
}

/// A unit's turn on the writer.
pub(crate) struct Turn {
    writer: GroupWriter,
    group: OwnedMutexGuard<Group>,
    outcome: Outcome,
    released: bool,
}

impl GroupWriter {
    pub(crate) fn new(connection: DatabaseConnection) -> Self {
        Self { connection, group: Arc::default() }
    }

    /// Waits for a turn and opens a savepoint.
    pub(crate) async fn begin(&self) -> Result<(DatabaseTransaction, Turn), StoreError> {
        let mut group = Arc::clone(&self.group).lock_owned().await;
        if group.closing {
            group.commit().await;
        }
        let outcome = group.open(&self.connection).await.map_err(store)?;
        let savepoint = match group.savepoint().await {
            Ok(savepoint) => savepoint,
            Err(error) => {
                // The transaction is gone: nothing of the group was made durable.
                group.abandon(&error);
                return Err(store(error));
            }
        };
        let turn = Turn { writer: self.clone(), group, outcome, released: false };
        Ok((savepoint, turn))
    }

    /// Waits for the units that took their turn before, and commits what is open.
    pub(crate) async fn finish(&self) {
        self.group.lock().await.commit().await;
    }

    /// Commits the group of `outcome`, unless somebody did before.
    async fn flush(&self, outcome: &Outcome) -> Result<(), StoreError> {
        if outcome.get().is_none() {
            let mut group = self.group.lock().await;
            if outcome.get().is_none() {
                group.commit().await;
            }
        }
        match outcome.get() {
            Some(Ok(())) => Ok(()),
            Some(Err(message)) => Err(StoreError::Unavailable(message.clone().into())),
            None => Err(StoreError::Unavailable("the group was never committed".into())),
        }
    }
}

impl Group {
    async fn open(&mut self, connection: &DatabaseConnection) -> Result<Outcome, DbErr> {
        if let Some((_, outcome)) = &self.open {
            return Ok(Arc::clone(outcome));
        }
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let transaction = connection.begin_with_options(options).await?;
        let outcome = Outcome::default();
        self.open = Some((transaction, Arc::clone(&outcome)));
        Ok(outcome)
    }

    #[expect(clippy::disallowed_methods, reason = "inside a transaction `begin` is a savepoint")]
    async fn savepoint(&self) -> Result<DatabaseTransaction, DbErr> {
        match &self.open {
            Some((transaction, _)) => transaction.begin().await,
            None => Err(DbErr::Custom("no open group".to_owned())),
        }
    }

    async fn commit(&mut self) {
        self.closing = false;
        if let Some((transaction, outcome)) = self.open.take() {
            let committed = transaction.commit().await.map_err(|error| error.to_string());
            let _ = outcome.set(committed);
        }
    }

    fn abandon(&mut self, error: &DbErr) {
        self.closing = false;
        if let Some((transaction, outcome)) = self.open.take() {
            drop(transaction);
            let _ = outcome.set(Err(error.to_string()));
        }
    }
}

impl Turn {
    /// Releases the savepoint and returns when the group that it is in is durable.
    pub(crate) async fn commit(mut self, savepoint: DatabaseTransaction) -> Result<(), StoreError> {
        self.released = true;
        if let Err(error) = savepoint.commit().await {
            self.group.abandon(&error);
            return Err(store(error));
        }
        let (writer, outcome) = (self.writer.clone(), Arc::clone(&self.outcome));
        drop(self);
        // In a task of its own: a caller that goes away must not leave the group open.
        let flushed = tokio::spawn(async move { writer.flush(&outcome).await });
        flushed.await.map_err(|error| StoreError::Unavailable(Box::new(error)))?
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        self.group.closing = true;
        // The transaction must not stay open until somebody else has something to write.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (writer, outcome) = (self.writer.clone(), Arc::clone(&self.outcome));
            runtime.spawn(async move { writer.flush(&outcome).await });
        }
    }
}
