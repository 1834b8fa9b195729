//! Every migration up, down and up again.

use std::sync::Arc;

use kabar_migrations::{Migrator, MigratorTrait as _};
use kabar_testkit::accounts::Tenancy;

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
