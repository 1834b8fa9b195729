//! One unit of work: a transaction, or a savepoint of the writer's group.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kabar_core::{OnceRepo, StoreError, Topic, Wake, Work};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, QueryResult};

use crate::error::store;
use crate::group::Turn;
use crate::keyring::KeyRing;
use crate::once::SeaOnce;
use crate::raw::Sql;

/// What every work trait is implemented for. Repositories borrow it, so several can be open.
pub(crate) struct Unit {
    // The order matters: an unfinished savepoint is rolled back before the turn ends.
    transaction: Arc<DatabaseTransaction>,
    turn: Option<Turn>,
    ring: Arc<KeyRing>,
    wake: Option<Arc<dyn Wake>>,
    /// Whom to wake after the commit.
    due: Mutex<Vec<Topic>>,
}

/// How many rows of about `bytes` each one statement may have, at most `most`. PostgreSQL gets
/// statements that fit into one segment of TCP on one machine (half of a window of 64 KiB): sqlx
/// leaves Nagle's algorithm on, so the rest of a longer one waits up to 40 ms for an
/// acknowledgement. A row's bytes are those of its values, and of their placeholders the first time.
pub(crate) fn at_most(backend: DbBackend, most: usize, bytes: usize) -> usize {
    const SEGMENT: usize = 20 * 1024;
    match backend {
        DbBackend::Postgres => most.min((SEGMENT / bytes).max(1)),
        _ => most,
    }
}

impl Unit {
    pub(crate) fn new(
        transaction: Arc<DatabaseTransaction>,
        turn: Option<Turn>,
        ring: Arc<KeyRing>,
        wake: Option<Arc<dyn Wake>>,
    ) -> Self {
        Self { transaction, turn, ring, wake, due: Mutex::default() }
    }

    /// Wakes those who wait for a topic once the unit is committed.
    pub(crate) fn wakes(&self, topic: Topic) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if !due.contains(&topic) {
            due.push(topic);
        }
    }

    /// The connection to run statements on.
    pub(crate) fn tx(&self) -> &DatabaseTransaction {
        &self.transaction
    }

    /// Runs a statement; returns how many rows it changed.
    pub(crate) async fn execute(&self, sql: Sql) -> Result<u64, StoreError> {
        let done = self.transaction.execute_raw(sql.done()).await.map_err(store)?;
        Ok(done.rows_affected())
    }

    /// Runs statements; returns how many rows they changed.
    pub(crate) async fn execute_all(&self, statements: Vec<Sql>) -> Result<u64, StoreError> {
        let mut changed = 0;
        for sql in Sql::together(statements) {
            changed += self.execute(sql).await?;
        }
        Ok(changed)
    }

    /// Runs statements; returns the rows of all of them.
    pub(crate) async fn rows_all(
        &self,
        statements: Vec<Sql>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let mut rows = Vec::new();
        for sql in Sql::together(statements) {
            rows.extend(self.rows(sql).await?);
        }
        Ok(rows)
    }

    /// Runs a statement; returns its rows.
    pub(crate) async fn rows(&self, sql: Sql) -> Result<Vec<QueryResult>, StoreError> {
        self.transaction.query_all_raw(sql.done()).await.map_err(store)
    }

    /// See [`at_most`].
    pub(crate) fn at_most(&self, most: usize, bytes: usize) -> usize {
        at_most(self.transaction.get_database_backend(), most, bytes)
    }

    /// The keys that secrets are sealed under.
    pub(crate) fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Whether rows can be locked and skipped (`FOR UPDATE SKIP LOCKED`). SQLite has one writer.
    pub(crate) fn locks_rows(&self) -> bool {
        self.transaction.get_database_backend() == DbBackend::Postgres
    }
}

#[async_trait]
impl Work for Unit {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { transaction, turn, wake, due, .. } = *self;
        match turn {
            Some(turn) => turn.commit(transaction).await?,
            None => {
                if let Some(transaction) = Arc::into_inner(transaction) {
                    transaction.commit().await.map_err(store)?;
                }
            }
        }
        if let Some(wake) = wake {
            let due = due.into_inner().unwrap_or_else(PoisonError::into_inner);
            for topic in due {
                wake.wake(topic);
            }
        }
        Ok(())
    }

    fn once(&self) -> Box<dyn OnceRepo + '_> {
        Box::new(SeaOnce::new(self))
    }
}
