//! The vault, seen from the database.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Connection as _, PgConnection, PgPool};

use super::until;
use crate::server::Server;

/// Beside the vault: every write, by whom, and the lease that it was made under.
const WATCH: [&str; 3] = [
    "CREATE TABLE watched (id BIGSERIAL, who TEXT, device UUID, node UUID, fence BIGINT)",
    "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     INSERT INTO watched (who, device, node, fence) \
     SELECT current_setting('kabar.node'), device_id, node, fence FROM session_leases \
     WHERE device_id = COALESCE(NEW.device_id, OLD.device_id); RETURN NULL; END $$",
    "CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON session_values \
     FOR EACH ROW EXECUTE FUNCTION watch()",
];

/// Who waits to write to the vault.
const WAITING: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
    AND wait_event_type = 'Lock' AND query LIKE '%session_values%'";
/// Whose transaction is open, with nothing happening in it.
const OPEN: &str = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
    AND state = 'idle in transaction'";
/// How often it is tried to freeze a process at the right moment.
const TRIES: usize = 10;

/// A connection to the database of the nodes.
pub(super) struct Vault {
    url: String,
    pool: PgPool,
}

/// The database's address for a node whose writes shall bear its number.
pub(super) fn named(url: &str, node: usize) -> String {
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}options[kabar.node]=node-{node}")
}

impl Vault {
    /// Watches every write from here on.
    pub(super) async fn watch(url: &str) -> Self {
        let pool = PgPool::connect(url).await.unwrap();
        for statement in WATCH {
            sqlx::raw_sql(statement).execute(&pool).await.unwrap();
        }
        Self { url: url.to_owned(), pool }
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until something is written that was not asked for yet.
    pub(super) async fn until_written(&self) {
        let sql = "SELECT COALESCE(MAX(id), 0) FROM watched";
        let before = self.count(sql).await;
        until("something is written", async || self.count(sql).await > before + 20).await;
    }

    /// The nodes that own sessions, with how many.
    pub(super) async fn owners(&self) -> BTreeMap<String, i64> {
        let sql = "SELECT COALESCE(node::text, 'nobody'), COUNT(*) FROM session_leases GROUP BY 1";
        let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&self.pool).await.unwrap();
        rows.into_iter().collect()
    }

    /// Waits until one node owns all sessions, another one than now.
    pub(super) async fn until_owners_changed(&self) {
        let before = self.owners().await;
        let so = async || {
            let now = self.owners().await;
            now.len() == 1 && now.keys().all(|owner| !before.contains_key(owner))
        };
        until("the other node owns them", so).await;
    }

    /// Freezes a server while transactions of its vault are open.
    pub(super) async fn freeze_in_transactions(&self, server: &Server) {
        let mut locked = PgConnection::connect(&self.url).await.unwrap();
        for _ in 0..TRIES {
            let open = self.freeze_writers(&mut locked, server).await;
            if open > 0 {
                eprintln!("frozen with {open} transactions of the vault open");
                return;
            }
            // It was frozen between two transactions.
            server.signal("CONT").await;
        }
        panic!("it is never in the middle of a transaction");
    }

    /// Nothing can be written until transactions wait, and everything again once the server is frozen;
    /// says how many of those transactions are open then.
    async fn freeze_writers(&self, locked: &mut PgConnection, server: &Server) -> usize {
        let mut lock = locked.begin().await.unwrap();
        let all = "LOCK TABLE session_values IN SHARE MODE";
        sqlx::query(all).execute(&mut *lock).await.unwrap();
        until("a write waits", async || !self.backends(WAITING).await.is_empty()).await;
        let waiting = self.backends(WAITING).await;
        server.signal("STOP").await;
        lock.rollback().await.unwrap();
        // What the database has in hand is done.
        until("no write waits", async || self.backends(WAITING).await.is_empty()).await;
        let open = self.backends(OPEN).await;
        open.iter().filter(|backend| waiting.contains(backend)).count()
    }

    /// PostgreSQL's processes that are so.
    async fn backends(&self, so: &'static str) -> Vec<i32> {
        sqlx::query_scalar(so).fetch_all(&self.pool).await.unwrap()
    }

    /// Under each lease one node wrote, the one that had it, and nobody wrote under an older lease
    /// than somebody before.
    pub(super) async fn check(&self) {
        let sql = "SELECT who, device::text, node::text, fence FROM watched ORDER BY id";
        let rows: Vec<(String, String, Option<String>, i64)> =
            sqlx::query_as(sql).fetch_all(&self.pool).await.unwrap();
        let mut nodes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut fences: BTreeMap<String, (i64, String)> = BTreeMap::new();
        let writes = rows.len();
        for (who, device, node, fence) in rows {
            // Sessions are brought in under a lease that is given back afterwards.
            if let Some(node) = node {
                nodes.entry(who.clone()).or_default().insert(node);
            }
            let (newest, owner) =
                fences.entry(device.clone()).or_insert_with(|| (fence, who.clone()));
            assert!(fence >= *newest, "{who} wrote to {device} under {fence} after {newest}");
            assert!(fence > *newest || who == *owner, "{who} wrote under the lease of {owner}");
            (*newest, *owner) = (fence, who);
        }
        for (who, ids) in &nodes {
            assert_eq!(ids.len(), 1, "{who} wrote under leases of {ids:?}");
        }
        assert_eq!(nodes.len(), 2, "both wrote");
        eprintln!("vault: {writes} writes, each by the node that had the lease");
    }

    pub(super) async fn close(self) {
        self.pool.close().await;
    }
}
