//! What is written to disk, and who can read it.

use std::sync::Arc;

use kabar_core::{ExposeSecret as _, Secret, StoreError};
use kabar_devices::{DeviceError, NewMetaApp, Registration};
use kabar_testkit::accounts::grant;
use kabar_testkit::devices::{Fleet, registration};

use kabar_storage::testing::each_database;

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn secrets_never_reach_the_disk_in_the_clear() {
    each_database(|test| async move {
        let database = Arc::new(test.database.clone());
        let fleet = Fleet::new(database.clone(), database);
        let account = fleet.tenancy.account("Shop").await;
        let new = Registration {
            credential: Some(Secret::from("clear-credential")),
            ..registration("7001")
        };
        let write = grant(account);
        let made = fleet.devices.register(&write, new, None).await.unwrap();
        let app = NewMetaApp {
            name: "App".to_owned(),
            meta_app_id: None,
            app_secret: Secret::from("clear-app-secret"),
            verify_token: Secret::from("clear-verify-token"),
        };
        fleet.apps.create(&write, app, None).await.unwrap();
        let token = made.token.unwrap();
        let random = token.expose_secret().rsplit('_').next().unwrap();
        if let Some(files) = test.files() {
            assert!(holds(&files, "7001"), "the rows are on the disk");
            for clear in ["clear-credential", "clear-app-secret", "clear-verify-token", random] {
                assert!(!holds(&files, clear), "{clear}");
            }
        }

        // Under other keys the row names itself.
        let other = Arc::new(test.under_other_keys().await);
        let other = Fleet::new(other.clone(), other);
        let unread = other.devices.get(&grant(account), made.device.id).await;
        assert!(
            matches!(
                unread,
                Err(DeviceError::Store(StoreError::BadRow {
                    table: "devices",
                    column: "credential",
                    ..
                }))
            ),
            "{unread:?}"
        );
    })
    .await;
}
