//! Statements that are the same on both databases but for a few words.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Runs statements in which these words stand for what the database calls them:
/// `{id}` a UUID, `{json}` a JSON document, `{bytes}` binary data, `{serial}` a growing key.
pub(crate) async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let words = match connection.get_database_backend() {
        DbBackend::Postgres => {
            [("{id}", "uuid"), ("{json}", "jsonb"), ("{bytes}", "bytea"), ("{serial}", "bigserial")]
        }
        _ => [
            ("{id}", "uuid_text"),
            ("{json}", "jsonb_text"),
            ("{bytes}", "blob"),
            ("{serial}", "integer"),
        ],
    };
    for statement in statements {
        let mut sql = (*statement).to_owned();
        for (word, name) in words {
            sql = sql.replace(word, name);
        }
        connection.execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// Drops tables, last made first.
pub(crate) async fn drop(manager: &SchemaManager<'_>, tables: &[&str]) -> Result<(), DbErr> {
    for table in tables.iter().rev() {
        manager.drop_table(Table::drop().table(Alias::new(*table)).to_owned()).await?;
    }
    Ok(())
}

/// A migration that makes tables and, on the way down, drops them.
macro_rules! migration {
    (tables: [$($table:literal),* $(,)?], up: [$($statement:expr),* $(,)?] $(,)?) => {
        use sea_orm_migration::prelude::*;

        #[derive(DeriveMigrationName)]
        pub(crate) struct Migration;

        #[async_trait::async_trait]
        impl MigrationTrait for Migration {
            fn use_transaction(&self) -> Option<bool> {
                Some(true)
            }

            async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
                crate::ddl::run(manager, &[$($statement),*]).await
            }

            async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
                crate::ddl::drop(manager, &[$($table),*]).await
            }
        }
    };
}

pub(crate) use migration;
