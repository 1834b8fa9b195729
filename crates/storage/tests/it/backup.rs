//! Everything in one file, and back, on either database.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kabar_core::{InstallationScope, Secret, Store, Timestamp};
use kabar_devices::{NewMetaApp, Registration};
use kabar_events::{EventsWork, Fact, NewEvent, Position, StoredEvent};
use kabar_messaging::BlobStore as _;
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_storage::{BackupError, Database, FolderBlobs, RestoreOptions};
use kabar_testkit::accounts::grant;
use kabar_testkit::devices::{Fleet, registration};
use serde_json::Value;

/// Events of [`furnish`].
const EVENTS: usize = 13;
const SCOPE: InstallationScope = InstallationScope::system("test");

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).expect("is a time")
}

fn quiet(_: kabar_storage::Progress<'_>) {}

/// Devices with secrets, events, waiting messages, a job.
async fn furnish(database: &Database) {
    let shared = Arc::new(database.clone());
    let fleet = Fleet::new(shared.clone(), shared.clone());
    let account = fleet.tenancy.account("Warung \"Kopi\" \\ ☕").await;
    let write = grant(account);
    for number in 0..5 {
        let address = format!("70{number:02}");
        let new = Registration {
            credential: Some(Secret::from(format!("credential-{number}"))),
            ..registration(&address)
        };
        fleet.devices.register(&write, new, None).await.expect("is registered");
    }
    let app = NewMetaApp {
        name: "App".to_owned(),
        meta_app_id: None,
        app_secret: Secret::from("app-secret"),
        verify_token: Secret::from("verify-token"),
    };
    fleet.apps.create(&write, app, None).await.expect("is made");
    let store: &dyn Store<dyn EventsWork> = database;
    for _ in 0..3 {
        let work = store.begin().await.expect("begins");
        let event = NewEvent { account, at: now(), fact: Fact::AccountChanged };
        work.events().append(&[event.clone(), event]).await.expect("appends");
        work.commit().await.expect("commits");
    }
    let device = database.a_device().await;
    for (due, status) in [(1, "pending"), (1, "held"), (1_900_000_000_000_000, "pending")] {
        database.a_waiting_message(device, due, status).await;
    }
}

/// What the log holds after a position. On PostgreSQL an event is read when no older transaction of
/// the server runs any more, so other tests may hold it back for a while.
async fn after(database: &Database, position: Position, wanted: usize) -> Vec<StoredEvent> {
    let store: &dyn Store<dyn EventsWork> = database;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..1_500 {
        ticks.tick().await;
        let work = store.read().await.expect("reads");
        let events = work.events().read_all(SCOPE, position, 200).await.expect("is read");
        if events.len() >= wanted {
            return events;
        }
    }
    panic!("the log does not hold {wanted} events");
}

/// The log's events in the order in which readers get them.
async fn log(database: &Database) -> Vec<String> {
    let events = after(database, Position::default(), EVENTS).await;
    events.into_iter().map(|event| format!("{} {}", event.kind, event.account)).collect()
}

async fn made(test: &TestDatabase, folder: &Path) -> (FolderBlobs, std::path::PathBuf) {
    furnish(&test.database).await;
    let blobs = FolderBlobs::open(&folder.join("files")).expect("opens");
    blobs.put("acc_1/med_1", Bytes::from_static(b"\x00\xffpicture")).await.expect("is put");
    let file = folder.join("backup.kabar");
    let made = test.database.backup(&blobs, &file, now(), &quiet).await.expect("is backed up");
    assert_eq!((made.files, made.rows["devices"], made.rows["messages"]), (1, 5, 3));
    assert_eq!(made.keys, ["k1"]);
    (blobs, file)
}

type Rows = BTreeMap<String, Vec<String>>;

/// JSON with its keys in order: PostgreSQL keeps an order of its own.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<String, Value> =
                fields.into_iter().map(|(name, value)| (name, canonical(value))).collect();
            sorted.into_iter().collect()
        }
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        // A document in a column.
        Value::String(text) if text.starts_with(['{', '[']) => {
            serde_json::from_str(&text).map_or(Value::String(text), canonical)
        }
        other => other,
    }
}

/// Positions move with the database that they are in; the order of the log is looked at apart.
fn comparable(mut rows: Rows) -> Rows {
    rows.remove("events");
    for lines in rows.values_mut() {
        for line in lines.iter_mut() {
            *line = canonical(serde_json::from_str(line).unwrap()).to_string();
        }
        lines.sort_unstable();
    }
    rows
}

#[track_caller]
fn same(left: Rows, right: Rows) {
    let (left, right) = (comparable(left), comparable(right));
    for (table, rows) in &left {
        assert_eq!(Some(rows), right.get(table), "{table}");
    }
    assert_eq!(left.len(), right.len());
}

#[tokio::test]
async fn a_backup_comes_back_on_the_same_and_on_the_other_database() {
    each_database(|source| async move {
        let folder = tempfile::tempdir().unwrap();
        let (_, file) = made(&source, folder.path()).await;
        let (before, log_before) = (source.rows().await, log(&source.database).await);
        let (place, file) = (Arc::new(folder), Arc::new(file));
        let (before, log_before) = (Arc::new(before), Arc::new(log_before));
        let keys = source.keys();
        each_database(move |target| {
            let (place, file) = (Arc::clone(&place), Arc::clone(&file));
            let (before, log_before) = (Arc::clone(&before), Arc::clone(&log_before));
            let keys = keys.clone();
            async move {
                // Without a schema, as on the first day.
                target.database.migrate_down().await.unwrap();
                let database = target.reopened_under(&keys).await;
                target.database.close().await;
                let into = place.path().join(format!("files-{}", target.is_postgres()));
                let blobs = FolderBlobs::open(&into).unwrap();
                let options = RestoreOptions { hold_outbox: false, ..RestoreOptions::default() };
                let done = database.restore(&blobs, &file, options, now(), &quiet).await.unwrap();
                assert_eq!(done.held, 0);
                same(kabar_storage::testing::rows(&database).await, (*before).clone());
                assert_eq!(log(&database).await, *log_before);
                let bytes = blobs.get("acc_1/med_1").await.unwrap().unwrap();
                assert_eq!(&bytes[..], b"\x00\xffpicture");

                // The log goes on behind what was restored.
                let store: &dyn Store<dyn EventsWork> = &database;
                let all = after(&database, Position::default(), EVENTS).await;
                let last = all.last().unwrap();
                let work = store.begin().await.unwrap();
                let event =
                    NewEvent { account: last.account, at: now(), fact: Fact::AccountChanged };
                work.events().append(&[event]).await.unwrap();
                work.commit().await.unwrap();
                assert_eq!(after(&database, last.position, 1).await.len(), 1);

                // Secrets open: the keys came from elsewhere.
                assert!(database.reseal(100).await.unwrap().done == 0);
                let again = database.restore(&blobs, &file, options, now(), &quiet).await;
                assert!(matches!(again, Err(BackupError::NotEmpty(_))), "{again:?}");
                let replace = RestoreOptions { replace: true, ..options };
                blobs.put("acc_1/med_2", Bytes::from_static(b"later")).await.unwrap();
                database.restore(&blobs, &file, replace, now(), &quiet).await.unwrap();
                same(kabar_storage::testing::rows(&database).await, (*before).clone());
                assert!(blobs.get("acc_1/med_2").await.unwrap().is_none());
                database.close().await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_may_have_been_sent_since_is_held() {
    each_database(|test| async move {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, file) = made(&test, folder.path()).await;
        let options = RestoreOptions { replace: true, ..RestoreOptions::default() };
        let done = test.database.restore(&blobs, &file, options, now(), &quiet).await.unwrap();
        assert_eq!(done.held, 2);
        let rows = test.rows().await;
        let held = rows["messages"].iter().filter(|row| row.contains("uncertain")).count();
        assert_eq!(held, 2, "what is due later stays in its line");
        assert_eq!(rows["lanes"].len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_changes_nothing() {
    each_database(|test| async move {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, file) = made(&test, folder.path()).await;
        let before = test.rows().await;
        let whole = std::fs::read(&file).unwrap();
        let options = RestoreOptions { replace: true, ..RestoreOptions::default() };
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        for damaged in [&whole[..whole.len() / 2], &flipped, b"not a backup", b""] {
            std::fs::write(&file, damaged).unwrap();
            let refused = test.database.restore(&blobs, &file, options, now(), &quiet).await;
            assert!(matches!(refused, Err(BackupError::Broken(_))), "{refused:?}");
        }
        let absent = folder.path().join("absent");
        let refused = test.database.restore(&blobs, &absent, options, now(), &quiet).await;
        assert!(matches!(refused, Err(BackupError::File { .. })), "{refused:?}");
        std::fs::write(&file, &whole).unwrap();
        let other = test.under_other_names().await;
        let refused = other.restore(&blobs, &file, options, now(), &quiet).await;
        // On PostgreSQL the first handle's connections are in the way before that.
        assert!(
            matches!(refused, Err(BackupError::MissingKey(_) | BackupError::InUse(_))),
            "{refused:?}"
        );
        assert_eq!(test.rows().await, before);
        let again = test.database.backup(&blobs, &file, now(), &quiet).await;
        assert!(matches!(again, Err(BackupError::File { .. })), "never over a file: {again:?}");
    })
    .await;
}

#[tokio::test]
async fn a_backup_is_one_picture_while_writers_go_on() {
    each_database(|test| async move {
        let folder = tempfile::tempdir().unwrap();
        let shared = Arc::new(test.database.clone());
        let fleet = Fleet::new(shared.clone(), shared.clone());
        let account = fleet.tenancy.account("Busy").await;
        let write = grant(account);
        // Each registration is a device and its events in one unit of work.
        let writer = tokio::spawn(async move {
            for number in 0..200 {
                let address = format!("9{number:04}");
                fleet.devices.register(&write, registration(&address), None).await.unwrap();
            }
        });
        let blobs = FolderBlobs::open(&folder.path().join("files")).unwrap();
        let mut seen = Vec::new();
        for number in 0..5 {
            let file = folder.path().join(format!("{number}.kabar"));
            let made = test.database.backup(&blobs, &file, now(), &quiet).await.unwrap();
            seen.push((made.rows["devices"], made.rows["events"], made.rows["audit_log"]));
        }
        writer.await.unwrap();
        let first = seen[0];
        for one in seen {
            let grown = (one.0 - first.0, one.1 - first.1, one.2 - first.2);
            assert_eq!((grown.1, grown.2), (grown.0, grown.0), "rows of one unit belong together");
        }
    })
    .await;
}
