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
    ConnAcquireErr, ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr,
    RuntimeErr, TransactionTrait as _,
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
    held: Option<Held>,
    open: Option<Outcome>,
    /// A unit was rolled back. SQLite may have rolled the whole transaction back with it (disk
    /// full, I/O error), so nothing more joins this group.
    closing: bool,
    /// What is open on the connection, if anything, belongs to nobody any more.
    stale: bool,
    /// Nothing more is begun: the connection went back to its pool, which is being closed.
    closed: bool,
    /// Units in the open group.
    units: u32,
}

/// The connection, for as long as the writer lives. A pool would test it after every transaction,
/// in a task of its own, which costs as much as a unit's statements. To the libraries it is one
/// transaction that never ends; ours are begun and ended in it by statements.
struct Held(Arc<DatabaseTransaction>);

impl Held {
    #[expect(clippy::disallowed_methods, reason = "it is ended at once and never written in")]
    async fn take(connection: &DatabaseConnection) -> Result<Self, DbErr> {
        let held = Self(Arc::new(connection.begin().await?));
        held.run("ROLLBACK").await?;
        Ok(held)
    }

    async fn run(&self, statement: &str) -> Result<(), DbErr> {
        self.0.execute_unprepared(statement).await.map(|_| ())
    }

    /// Gives the connection back to its pool. Nothing is open on it.
    async fn give_back(self) -> Result<(), DbErr> {
        self.run("BEGIN").await?;
        match Arc::into_inner(self.0) {
            Some(transaction) => transaction.rollback().await,
            None => Ok(()),
        }
    }
}

/// Whether the connection itself failed, not SQLite on it.
fn is_lost(error: &DbErr) -> bool {
    !matches!(
        error,
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))
            if cause.as_database_error().is_some()
    )
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
    pub(crate) async fn begin(&self) -> Result<(Arc<DatabaseTransaction>, Turn), StoreError> {
        // In a task of its own: it may commit for others first, which a caller that goes away must not
        // break off; nor may it leave behind what it had begun to open.
        let writer = self.clone();
        let begun = tokio::spawn(async move { writer.open().await });
        begun.await.map_err(|error| StoreError::Unavailable(Box::new(error)))?
    }

    async fn open(&self) -> Result<(Arc<DatabaseTransaction>, Turn), StoreError> {
        let mut group = Arc::clone(&self.group).lock_owned().await;
        if group.closing {
            group.commit().await;
        }
        group.tidy().await;
        let open = group.open.clone();
        let (first, outcome) = (open.is_none(), open.unwrap_or_default());
        let mut turn = Turn { writer: self.clone(), group, outcome, first, released: false };
        let transaction = match turn.open().await {
            Ok(transaction) => transaction,
            Err(error) => {
                // Whatever was open is gone: nothing of the group was made durable.
                turn.group.abandon(&error);
                if is_lost(&error) {
                    turn.group.held = None;
                }
                return Err(store(error));
            }
        };
        turn.group.units += 1;
        Ok((transaction, turn))
    }

    /// Waits for the units that took their turn before, commits what is open, and lets go of the
    /// connection for good.
    pub(crate) async fn finish(&self) {
        let mut group = self.group.lock().await;
        group.closed = true;
        group.commit().await;
        group.tidy().await;
        if let Some(held) = group.held.take()
            && let Err(error) = held.give_back().await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "database.finish");
        }
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

    /// Ends what a unit left behind: it must not stay open until somebody else has something to
    /// write.
    async fn tidy(&self, outcome: &Outcome) {
        let mut group = self.group.lock().await;
        group.tidy().await;
        if group.closing && outcome.get().is_none() {
            group.commit().await;
        }
    }
}

impl Group {
    async fn commit(&mut self) {
        self.closing = false;
        let units = std::mem::take(&mut self.units);
        let Some(outcome) = self.open.take() else { return };
        metrics::histogram!("kabar_commit_size").record(f64::from(units));
        self.stale = true;
        let committed = match &self.held {
            Some(held) => held.run("COMMIT").await.map_err(|error| error.to_string()),
            None => Err("the connection was lost".to_owned()),
        };
        self.stale = committed.is_err();
        let _ = outcome.set(committed);
    }

    /// Rolls back what belongs to nobody.
    async fn tidy(&mut self) {
        if !self.stale {
            return;
        }
        if let Some(held) = &self.held {
            // It fails when SQLite rolled back by itself: then there is nothing left to do.
            let _ = held.run("ROLLBACK").await;
        }
        self.stale = false;
    }

    fn abandon(&mut self, error: &DbErr) {
        self.closing = false;
        self.stale = true;
        self.units = 0;
        if let Some(outcome) = self.open.take() {
            let _ = outcome.set(Err(error.to_string()));
        }
    }
}

impl Turn {
    /// Opens the transaction of the group, or a savepoint in it.
    #[expect(clippy::disallowed_methods, reason = "inside a transaction `begin` is a savepoint")]
    async fn open(&mut self) -> Result<Arc<DatabaseTransaction>, DbErr> {
        if self.group.closed {
            return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed));
        }
        let held = match self.group.held.take() {
            Some(held) => held,
            None => Held::take(&self.writer.connection).await?,
        };
        let Held(transaction) = self.group.held.insert(held);
        if self.first {
            transaction.execute_unprepared("BEGIN IMMEDIATE").await?;
            return Ok(Arc::clone(transaction));
        }
        Ok(Arc::new(transaction.begin().await?))
    }

    /// Leaves what was done to the group and returns when the group is durable.
    pub(crate) async fn commit(
        self,
        transaction: Arc<DatabaseTransaction>,
    ) -> Result<(), StoreError> {
        // In a task of its own: a caller that goes away must not leave the group open, nor break a
        // savepoint's end off. Its rollback would come too late then, and end the group instead.
        let committed = tokio::spawn(self.finish(transaction));
        committed.await.map_err(|error| StoreError::Unavailable(Box::new(error)))?
    }

    async fn finish(mut self, transaction: Arc<DatabaseTransaction>) -> Result<(), StoreError> {
        if self.first {
            drop(transaction);
            self.group.open = Some(Arc::clone(&self.outcome));
        } else if let Some(savepoint) = Arc::into_inner(transaction)
            && let Err(error) = savepoint.commit().await
        {
            self.group.abandon(&error);
            return Err(store(error));
        }
        self.released = true;
        let (writer, outcome) = (self.writer.clone(), Arc::clone(&self.outcome));
        drop(self);
        writer.flush(&outcome).await
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        if self.first {
            // Nobody else was in its transaction.
            self.group.units = 0;
            self.group.stale = true;
        } else {
            self.group.closing = true;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (writer, outcome) = (self.writer.clone(), Arc::clone(&self.outcome));
            runtime.spawn(async move { writer.tidy(&outcome).await });
        }
    }
}
