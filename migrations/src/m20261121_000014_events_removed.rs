//! Up to where each tenant's events were removed, so that a reader who comes back late is told.

crate::ddl::migration! {
    tables: ["events_removed"],
    up: [
        "CREATE TABLE events_removed (
            account_id {id} PRIMARY KEY,
            \"transaction\" bigint NOT NULL,
            number bigint NOT NULL
        )",
    ],
}
