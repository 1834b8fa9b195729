//! Every migration up, down and up again.

use std::sync::Arc;

use kabar_contacts::contact::{Identity, IdentityKey, IdentityKind};
use kabar_messaging::message::Lane;
use kabar_messaging::repo::{LaneEntry, Wrote};
use kabar_migrations::{Migrator, MigratorTrait as _};
use kabar_testkit::accounts::{Tenancy, provider};
use kabar_testkit::road::Road;

use kabar_storage::testing::each_database;

#[tokio::test]
async fn up_down_up() {
    each_database(|test| async move {
        let database = test.database;
        let missing = async || database.missing_migrations().await.unwrap();
        assert!(missing().await.is_empty());
        database.migrate_down().await.unwrap();
        assert_eq!(missing().await.len(), Migrator::migrations().len());
        database.migrate().await.unwrap();
        assert!(missing().await.is_empty());
        let tenancy = Tenancy::new(Arc::new(database.clone()));
        tenancy.account("After").await;
    })
    .await;
}

/// Migration 16 writes tables anew.
#[tokio::test]
async fn rows_survive_when_a_table_is_written_anew() {
    each_database(|test| async move {
        let store = Arc::new(test.database.clone());
        let road = Road::new(store.clone(), store.clone(), store).await;
        let lane = Lane { device: road.device, contact: road.id() };
        let identity = Identity {
            id: road.id(),
            contact: lane.contact,
            key: IdentityKey {
                kind: IdentityKind::Phone,
                namespace: String::new(),
                value: "6281234567890".to_owned(),
            },
            valid_from: road.now(),
            valid_until: None,
        };
        let (account, ready_at) = (road.account, road.now());
        let entry = LaneEntry { lane, account, priority: 1, ready_at, guarded: true };
        let work = road.begin().await;
        work.people(road.scope()).claim(&[identity]).await.unwrap();
        let chat = [(road.id(), lane)];
        work.conversations(road.scope()).ensure(&chat, road.now(), Wrote::Us).await.unwrap();
        work.outbox(provider()).put(&[entry]).await.unwrap();
        work.commit().await.unwrap();
        let before = test.rows().await;
        for table in ["lanes", "conversations", "identities"] {
            assert_eq!(before[table].len(), 1, "{table}");
        }
        test.back_and_forth(1).await;
        assert_eq!(test.rows().await, before);
    })
    .await;
}
