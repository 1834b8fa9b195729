//! Rotating the keys that secrets are sealed under.

use std::sync::Arc;

use kabar_core::{AccountId, ExposeSecret as _, Secret};
use kabar_devices::Registration;
use kabar_storage::KeyRing;
use kabar_storage::testing::each_database;
use kabar_testkit::accounts::grant;
use kabar_testkit::devices::{Fleet, registration};

async fn devices(fleet: &Fleet, account: AccountId, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let new = Registration {
            credential: Some(Secret::from(format!("credential-{number}"))),
            ..registration(&format!("8{number:04}"))
        };
        fleet.devices.register(&grant(account), new, None).await.unwrap();
    }
}

#[tokio::test]
async fn every_secret_moves_to_the_new_key_in_batches_and_after_a_crash() {
    each_database(|test| async move {
        let shared = Arc::new(test.database.clone());
        let fleet = Fleet::new(shared.clone(), shared);
        let account = fleet.tenancy.account("Shop").await;
        devices(&fleet, account, 0..25).await;
        let (id, grown) = KeyRing::with_new_key(&test.keys()).unwrap();
        assert_eq!(id, "k2");
        let rotating = test.reopened_under(&grown).await;
        let first = rotating.reseal(10).await.unwrap();
        assert!(first.more);
        assert_eq!(first.done, 10);
        // The process dies here; the ring of the next one still holds both keys.
        rotating.close().await;
        let next = test.reopened_under(&grown).await;
        let in_use = next.keys_in_use().await.unwrap();
        assert_eq!((in_use["k1"], in_use["k2"]), (15, 10));
        // Somebody who does not know the new key yet writes under the old one.
        devices(&fleet, account, 100..101).await;
        let mut batches = 0;
        while next.reseal(10).await.unwrap().more {
            batches += 1;
        }
        assert!(batches < 4);
        let in_use = next.keys_in_use().await.unwrap();
        assert_eq!(in_use.into_iter().collect::<Vec<_>>(), [("k2".to_owned(), 26)]);
        next.close().await;

        // The old key can go, and every secret still opens: it is sealed once more.
        let (gone, pruned) = KeyRing::without_unused(&grown, &["k2".to_owned()]).unwrap();
        assert_eq!(gone, ["k1"]);
        assert!(!pruned.expose_secret().contains("k1:"));
        let (_, third) = KeyRing::with_new_key(&pruned).unwrap();
        let last = test.reopened_under(&third).await;
        assert_eq!(last.reseal(1000).await.unwrap().done, 26);
        last.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_key_file_is_followed_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let running = KeyRing::open_or_create(&path).unwrap();
    let (_, grown) = KeyRing::with_new_key(&KeyRing::read_file(&path).unwrap()).unwrap();
    KeyRing::replace_file(&path, &grown).unwrap();
    assert_eq!(running.current(), "k2");
    assert_eq!(running.ids(), ["k1", "k2"]);
    // What cannot be read leaves the ring as it was.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(running.ids(), ["k1", "k2"]);
    assert!(KeyRing::replace_file(&path, &Secret::from("nonsense")).is_err());
    assert!(!path.exists());
}
