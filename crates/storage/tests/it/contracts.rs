//! The contract suites of the domains.

use std::sync::Arc;

use kabar_testkit::accounts::accounts_contract;
use kabar_testkit::devices::{Fleet, devices_contract};
use kabar_testkit::insights::insights_contract;
use kabar_testkit::road::{Road, road_contract, webhooks_contract};
use kabar_testkit::sessions::sessions_contract;

use kabar_storage::testing::each_database;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts() {
    each_database(|test| accounts_contract(Arc::new(test.database))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices() {
    each_database(|test| {
        let database = test.database;
        devices_contract(Arc::new(database.clone()), Arc::new(database))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn road() {
    each_database(|test| {
        let database = Arc::new(test.database);
        road_contract(database.clone(), database.clone(), database)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks() {
    each_database(|test| {
        let database = Arc::new(test.database);
        webhooks_contract(database.clone(), database.clone(), database.clone(), database)
    })
    .await;
}

#[tokio::test]
async fn insights() {
    each_database(|test| async move {
        let database = Arc::new(test.database);
        let road = Road::new(database.clone(), database.clone(), database.clone()).await;
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(kabar_storage::FolderBlobs::open(folder.path()).unwrap());
        insights_contract(road, database.clone(), database.clone(), database, blobs).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions() {
    each_database(|test| {
        let database = Arc::new(test.database);
        sessions_contract(Fleet::new(database.clone(), database.clone()), database)
    })
    .await;
}
