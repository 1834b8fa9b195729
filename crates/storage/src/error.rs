//! What the database says, in the words of [`StoreError`].

use kabar_core::StoreError;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// Sorts a database error by what a caller can do about it.
pub(crate) fn store(error: DbErr) -> StoreError {
    if let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() {
        return StoreError::Conflict { constraint: constraint(&message) };
    }
    match code(&error).as_deref() {
        // PostgreSQL: serialization failure, deadlock, lock not available. SQLite: busy, locked.
        Some("40001" | "40P01" | "55P03" | "5" | "6" | "261" | "517") => {
            StoreError::Contended(Box::new(error))
        }
        // PostgreSQL classes 08 (connection), 53 (resources), 57 (operator), 25P03 (idle in
        // transaction). SQLite: full, I/O error, cannot open.
        Some(code)
            if code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57")
                || matches!(code, "25P03" | "13" | "10" | "14") =>
        {
            StoreError::Unavailable(Box::new(error))
        }
        None if is_connection(&error) => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Refused(Box::new(error)),
    }
}

fn runtime(error: &DbErr) -> Option<&sea_orm::SqlxError> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

fn code(error: &DbErr) -> Option<String> {
    let code = runtime(error)?.as_database_error()?.code()?.into_owned();
    Some(code)
}

fn is_connection(error: &DbErr) -> bool {
    use sea_orm::SqlxError as E;
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        _ => matches!(
            runtime(error),
            Some(
                E::Io(_)
                    | E::Tls(_)
                    | E::Protocol(_)
                    | E::PoolTimedOut
                    | E::PoolClosed
                    | E::WorkerCrashed
            )
        ),
    }
}

/// The constraint's name out of the database's sentence: PostgreSQL quotes it, SQLite lists
/// `table.column`s.
fn constraint(message: &str) -> String {
    if let Some(name) = message.split('"').nth(1) {
        return name.to_owned();
    }
    message.rsplit(": ").next().unwrap_or(message).to_owned()
}

/// A row that cannot be read.
pub(crate) fn bad_row(
    table: &'static str,
    row: impl std::fmt::Display,
    column: &'static str,
    problem: impl std::fmt::Display,
) -> StoreError {
    StoreError::BadRow { table, row: row.to_string(), column, problem: problem.to_string() }
}
