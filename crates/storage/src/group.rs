//! Group commit for SQLite's one writer.
//!
//! Units of work take turns on the writer connection, first come first served. The first of a group
//! is its transaction, each that follows a savepoint in it. A unit that is done queues up *again*, to
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
    /// Units in the open group.
    units: u32,
}

/// A unit's turn on the writer.
pub(crate) struct Turn {
    writer: GroupWriter,
    group: OwnedMutexGuard<Group>,
    outcome: Outcome,
    /// It holds the group's transaction itself, not a savepoint in it.
    first: bool,
    released: bool,
}

impl GroupWriter {
    pub(crate) fn new(connection: DatabaseConnection) -> Self {
        Self { connection, group: Arc::default() }
    }

    /// Waits for a turn and opens a transaction, or a savepoint in the one that is open.
    pub(crate) async fn begin(&self) -> Result<(DatabaseTransaction, Turn), StoreError> {
        let mut group = Arc::clone(&self.group).lock_owned().await;
        if group.closing {
            group.commit().await;
        }
        let (transaction, outcome, first) = match group.join().await {
            Ok(Some((savepoint, outcome))) => (savepoint, outcome, false),
            Ok(None) => {
                let transaction = begin(&self.connection).await.map_err(store)?;
                (transaction, Outcome::default(), true)
            }
            Err(error) => {
                // The transaction is gone: nothing of the group was made durable.
                group.abandon(&error);
                return Err(store(error));
            }
        };
        group.units += 1;
        let turn = Turn { writer: self.clone(), group, outcome, first, released: false };
        Ok((transaction, turn))
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

async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    connection.begin_with_options(options).await
}

impl Group {
    /// A savepoint in the open group; `None` when none is open.
    #[expect(clippy::disallowed_methods, reason = "inside a transaction `begin` is a savepoint")]
    async fn join(&self) -> Result<Option<(DatabaseTransaction, Outcome)>, DbErr> {
        let Some((transaction, outcome)) = &self.open else { return Ok(None) };
        Ok(Some((transaction.begin().await?, Arc::clone(outcome))))
    }

    async fn commit(&mut self) {
        self.closing = false;
        let units = std::mem::take(&mut self.units);
        if let Some((transaction, outcome)) = self.open.take() {
            metrics::histogram!("kabar_commit_size").record(f64::from(units));
            let committed = transaction.commit().await.map_err(|error| error.to_string());
            let _ = outcome.set(committed);
        }
    }

    fn abandon(&mut self, error: &DbErr) {
        self.closing = false;
        self.units = 0;
        if let Some((transaction, outcome)) = self.open.take() {
            drop(transaction);
            let _ = outcome.set(Err(error.to_string()));
        }
    }
}

impl Turn {
    /// Leaves what was done to the group and returns when the group is durable.
    pub(crate) async fn commit(
        mut self,
        transaction: DatabaseTransaction,
    ) -> Result<(), StoreError> {
        self.released = true;
        if self.first {
            self.group.open = Some((transaction, Arc::clone(&self.outcome)));
        } else if let Err(error) = transaction.commit().await {
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
        if self.first {
            // Its transaction was rolled back, and nobody else was in it.
            self.group.units = 0;
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
