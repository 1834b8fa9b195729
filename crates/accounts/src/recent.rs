//! What was read a moment ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use kabar_core::{ApiKeyId, Timestamp};

use crate::key::StoredKey;

/// For how long a row that was read is believed. What is revoked on another node works there for so
/// long at most; on this node it stops at once.
const BELIEVED: TimeDelta = TimeDelta::seconds(1);
/// Rows that are remembered, at most.
const MOST: usize = 10_000;

/// API keys that were read a moment ago.
pub type RecentKeys = Recent<ApiKeyId, StoredKey>;

/// Spares the database the look-up of a row that is wanted many times a second. Shared by whoever
/// reads the rows and whoever changes them. Cheap to clone.
#[derive(Debug)]
pub struct Recent<K, V>(Arc<Mutex<HashMap<K, (V, Timestamp)>>>);

impl<K, V> Clone for Recent<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// A row that was read less than a second ago.
    pub fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let rows = self.lock();
        let (row, read_at) = rows.get(key)?;
        let age = now.signed_duration_since(*read_at);
        (TimeDelta::zero()..BELIEVED).contains(&age).then(|| row.clone())
    }

    /// Remembers a row that was read at `now`.
    pub fn put(&self, key: K, row: &V, now: Timestamp) {
        let mut rows = self.lock();
        if rows.len() >= MOST {
            rows.clear();
        }
        rows.insert(key, (row.clone(), now));
    }

    /// Forgets every row, because one of them, or what it hangs on, changed.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (V, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
