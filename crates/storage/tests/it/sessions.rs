//! Paired sessions: frozen holders, races for a lease, sealed values, rotated keys, backups.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kabar_channel::Fence;
use kabar_channel::vault::{Change, Item, SessionVault, Shelf, VaultError};
use kabar_core::{DeviceId, StoreError, Timestamp};
use kabar_devices::lease::TTL;
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_storage::{Database, FolderBlobs, KeyRing, RestoreOptions};
use kabar_testkit::devices::Fleet;
use kabar_testkit::sessions::{ONE, Sessions, TWO};
use tokio::task::JoinSet;
use uuid::Uuid;

const SHELF: Shelf = Shelf::new("sessions");
/// How long a condition may take to come true before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn sessions(database: &Database) -> Sessions {
    let shared = Arc::new(database.clone());
    Sessions { fleet: Fleet::new(shared.clone(), shared.clone()), vault: shared }
}

async fn put(vault: &dyn SessionVault, fence: Fence, items: Vec<Item>) -> Result<(), VaultError> {
    vault.write(fence, vec![Change::Put { shelf: SHELF, items }]).await
}

fn secret(number: u32) -> Item {
    Item::new(number.to_be_bytes(), format!("ratchet-{number}").into_bytes())
}

/// Waits between two looks at a condition, and fails when it never comes true.
struct Patient(tokio::time::Interval, Instant);

impl Patient {
    fn new() -> Self {
        Self(tokio::time::interval(Duration::from_millis(25)), Instant::now())
    }

    async fn look_again(&mut self) {
        assert!(self.1.elapsed() < PATIENCE, "it never came true");
        self.0.tick().await;
    }
}

/// Claims a device as soon as it can be had.
async fn claimed(ours: &Sessions, node: Uuid, device: DeviceId, at: Timestamp) -> Fence {
    let mut patient = Patient::new();
    loop {
        if let Some(lease) = ours.claim_one(node, device, at).await {
            return lease.fence();
        }
        patient.look_again().await;
    }
}

/// Waits until the owner of a token wrote something.
async fn wrote(database: &Database, fence: Fence) {
    let mut patient = Patient::new();
    let key = [fence.token.to_be_bytes().to_vec()];
    while database.get(fence.device, SHELF, &key).await.unwrap().is_empty() {
        patient.look_again().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_write_does_not_block_a_takeover() {
    each_database(|test| async move {
        // SQLite has one writer in one process: it freezes with everybody who could take over.
        if !test.is_postgres() {
            return;
        }
        let ours = sessions(&test.database);
        let fence = ours.held().await;
        let frozen = test.reopened().await.freeze(fence).await;

        // Renewals do not wait for it, and claims of others pass it by.
        let (now, began) = (ours.now(), Instant::now());
        let device = fence.device;
        assert_eq!(ours.renew(ONE, now).await.len(), 1);
        assert!(ours.claim_one(TWO, device, now + TTL).await.is_none(), "somebody is writing");
        assert!(began.elapsed() < Duration::from_secs(2), "nobody waited");

        let theirs = claimed(&ours, TWO, device, now + TTL).await;
        assert!(began.elapsed() < Duration::from_secs(8), "long before a lease is over");
        put(&test.database, theirs, vec![secret(1)]).await.unwrap();
        drop(frozen);
        let late = put(&test.database, fence, vec![secret(2)]).await;
        assert!(matches!(late, Err(VaultError::Fenced(_))), "{late:?}");
        assert_eq!(test.database.list(device, SHELF, &[]).await.unwrap(), [secret(1)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_write_does_not_keep_a_device_from_being_removed() {
    each_database(|test| async move {
        if !test.is_postgres() {
            return;
        }
        let ours = sessions(&test.database);
        let account = ours.account("Shop").await;
        let device = ours.device(account).await;
        let fence = ours.claim_one(ONE, device, ours.now()).await.unwrap().fence();
        put(&test.database, fence, vec![secret(1)]).await.unwrap();
        let frozen = test.reopened().await.freeze(fence).await;
        ours.remove(account, device).await;
        assert_eq!(test.database.count(device, SHELF).await.unwrap(), 0);
        drop(frozen);
        let late = put(&test.database, fence, vec![secret(2)]).await;
        assert!(matches!(late, Err(VaultError::Fenced(_))), "{late:?}");
    })
    .await;
}

#[tokio::test]
async fn an_account_takes_its_sessions_with_it() {
    each_database(|test| async move {
        let ours = sessions(&test.database);
        let account = ours.account("Shop").await;
        let device = ours.device(account).await;
        let fence = ours.claim_one(ONE, device, ours.now()).await.unwrap().fence();
        put(&test.database, fence, vec![secret(1)]).await.unwrap();
        test.database.delete_account(account.uuid()).await;
        let rows = test.rows().await;
        assert!(rows["session_leases"].is_empty() && rows["session_values"].is_empty());
        let late = put(&test.database, fence, vec![secret(2)]).await;
        assert!(matches!(late, Err(VaultError::Fenced(_))), "{late:?}");
    })
    .await;
}

/// Nodes that write as fast as they can while the device changes hands: of each owner's writes those
/// are there that were answered, and none came after the next owner's first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_two_owners_never_mix() {
    each_database(|test| async move {
        let ours = sessions(&test.database);
        let first = ours.held().await;
        let device = first.device;
        let mut fence = first;
        let mut now = ours.now();
        let mut writers = JoinSet::new();
        for _ in 0..5 {
            let database = test.reopened_or_same().await;
            writers.spawn(write_until_fenced(database, fence));
            // It wrote something before it loses the device.
            wrote(&test.database, fence).await;
            now += TTL;
            let node = Uuid::from_u128(u128::from(fence.token) + 9);
            fence = claimed(&ours, node, device, now).await;
            // What the last owner left is final from here on.
            let left = test.database.list(device, SHELF, &[]).await.unwrap();
            let again = test.database.list(device, SHELF, &[]).await.unwrap();
            assert_eq!(left, again);
        }
        while let Some(ended) = writers.join_next().await {
            let (fence, acknowledged) = ended.unwrap();
            let key = [fence.token.to_be_bytes().to_vec()];
            let found = test.database.get(device, SHELF, &key).await.unwrap();
            let last = found.first().and_then(|item| item.mark);
            assert_eq!(last, Some(acknowledged), "what was answered is there, and no more");
        }
    })
    .await;
}

/// Counts up under the owner's own key; returns the last number that was answered.
async fn write_until_fenced(database: Database, fence: Fence) -> (Fence, i64) {
    for number in 1.. {
        let key = fence.token.to_be_bytes();
        match put(&database, fence, vec![Item::new(key, &b"v"[..]).marked(number)]).await {
            Ok(()) => {}
            Err(VaultError::Fenced(_)) => return (fence, number - 1),
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("numbers do not end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_share_what_there_is() {
    each_database(|test| async move {
        let ours = sessions(&test.database);
        let account = ours.account("Many").await;
        let mut devices = Vec::new();
        for _ in 0..40 {
            devices.push(ours.device(account).await);
        }
        ours.want(&devices, Some(ours.now())).await;
        let mut nodes = JoinSet::new();
        for node in 1..=6 {
            let ours = ours.clone();
            nodes.spawn(async move {
                let mut mine = Vec::new();
                // One that is passed over because another node has its hand on it comes again.
                for _ in 0..20 {
                    mine.extend(ours.claim(Uuid::from_u128(node), ours.now(), 3).await);
                }
                mine
            });
        }
        let mut claimed: Vec<_> =
            nodes.join_all().await.into_iter().flatten().map(|lease| lease.device).collect();
        claimed.sort_unstable();
        assert_eq!(claimed, devices, "each once");
    })
    .await;
}

#[tokio::test]
async fn values_never_reach_the_disk_in_the_clear() {
    each_database(|test| async move {
        let ours = sessions(&test.database);
        let fence = ours.held().await;
        let clear = b"clear-ratchet-of-a-session";
        put(&test.database, fence, vec![Item::new("628123@s.whatsapp.net", &clear[..])])
            .await
            .unwrap();
        let rows = test.rows().await;
        assert_eq!(rows["session_values"].len(), 1);
        let hex = hex::encode(clear);
        for row in rows.values().flatten() {
            assert!(!row.contains(&hex) && !row.contains("clear-ratchet"), "{row}");
        }
        if let Some(files) = test.files() {
            assert!(!files.windows(clear.len()).any(|window| window == clear));
            let key = b"628123@s.whatsapp.net";
            assert!(files.windows(key.len()).any(|window| window == key), "the row is on the disk");
        }
        // Under other keys the row names itself.
        let other = test.under_other_keys().await;
        let unread = other.list(fence.device, SHELF, &[]).await;
        let column = ("session_values", "value");
        assert!(
            matches!(&unread, Err(VaultError::Store(StoreError::BadRow { table, column: name, .. }))
                if (*table, *name) == column),
            "{unread:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn every_value_moves_to_the_new_key() {
    each_database(|test| async move {
        let ours = sessions(&test.database);
        let (one, two) = (ours.held().await, ours.held().await);
        for fence in [one, two] {
            let empty = Item::new("empty", &b""[..]);
            let items = (0..12).map(secret).chain([empty]).collect();
            put(&test.database, fence, items).await.unwrap();
        }
        let (_, grown) = KeyRing::with_new_key(&test.keys()).unwrap();
        let rotating = test.reopened_under(&grown).await;
        assert_eq!(rotating.keys_in_use().await.unwrap()["k1"], 24, "an empty value has no key");
        let first = rotating.reseal(10).await.unwrap();
        assert_eq!((first.done, first.more), (10, true));
        rotating.close().await;
        // Another process goes on, beside a session that still writes under the old key.
        let next = test.reopened_under(&grown).await;
        assert_eq!(next.reseal(10).await.unwrap().done, 10);
        put(&test.database, one, vec![secret(0), secret(99)]).await.unwrap();
        let (mut done, mut batches) = (0, 0);
        loop {
            let batch = next.reseal(10).await.unwrap();
            done += batch.done;
            batches += 1;
            if !batch.more {
                break;
            }
            assert!(batches < 9, "it ends");
        }
        assert_eq!(done, 6);
        let in_use = next.keys_in_use().await.unwrap();
        assert_eq!(in_use.into_iter().collect::<Vec<_>>(), [("k2".to_owned(), 25)]);
        // Without the old key everything still opens.
        let (_, pruned) = KeyRing::without_unused(&grown, &["k2".to_owned()]).unwrap();
        let last = test.reopened_under(&pruned).await;
        assert_eq!(last.list(one.device, SHELF, &[]).await.unwrap().len(), 14);
        assert_eq!(last.list(two.device, SHELF, &0_u32.to_be_bytes()).await.unwrap(), [secret(0)]);
        last.close().await;
        next.close().await;
    })
    .await;
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
}

/// The same database, opened by another process where there can be one.
trait Reopened {
    async fn reopened_or_same(&self) -> Database;
}

impl Reopened for TestDatabase {
    async fn reopened_or_same(&self) -> Database {
        if self.is_postgres() { self.reopened().await } else { self.database.clone() }
    }
}

#[tokio::test]
async fn a_backup_carries_sessions_and_fences_off_who_ran_them() {
    each_database(|test| async move {
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(&folder.path().join("files")).unwrap();
        let file = folder.path().join("kabar.tar.zst");
        let ours = sessions(&test.database);
        let fence = ours.held().await;
        ours.want(&[fence.device], Some(ours.now())).await;
        let items = vec![secret(1), Item::new("e", &b""[..]).due(5).marked(6).tagged([0, 1])];
        put(&test.database, fence, items.clone()).await.unwrap();
        test.database.backup(&blobs, &file, now(), &|_| {}).await.unwrap();
        put(&test.database, fence, vec![secret(2)]).await.unwrap();
        for hold_outbox in [false, true] {
            let options =
                RestoreOptions { replace: true, hold_outbox, ..RestoreOptions::default() };
            test.database.restore(&blobs, &file, options, now(), &|_| {}).await.unwrap();
            let found = test.database.list(fence.device, SHELF, &[]).await.unwrap();
            assert_eq!(found, items);
            let lease = ours.leases(&[fence.device]).await.pop().unwrap();
            assert_eq!((lease.node, lease.wanted), (None, !hold_outbox));
            // Whoever still runs it from before writes no more, nor will a later owner have its token.
            let late = put(&test.database, fence, vec![secret(3)]).await;
            assert!(matches!(late, Err(VaultError::Fenced(_))), "{late:?}");
            assert!(lease.fence > fence.token + 1_000_000);
        }
        let again = ours.claim_one(TWO, fence.device, ours.now()).await.unwrap();
        put(&test.database, again.fence(), vec![secret(4)]).await.unwrap();
    })
    .await;
}
