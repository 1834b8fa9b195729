//! Statements that the query builder cannot say: written once, with the placeholders of either
//! database.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement, Value};

/// Columns of what is written most that hold JSON. As a text it is made without a tree of values.
const JSON: &[&str] =
    &["author", "choices", "content", "data", "recipient", "referral", "reply_to", "variables"];

/// A statement under construction.
pub(crate) struct Sql {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(crate) fn new(tx: &DatabaseTransaction) -> Self {
        Self::on(tx.get_database_backend())
    }

    pub(crate) const fn backend(&self) -> DbBackend {
        self.backend
    }

    pub(crate) const fn on(backend: DbBackend) -> Self {
        Self { backend, text: String::new(), values: Vec::new() }
    }

    /// Appends text.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder and binds a value to it.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        match self.backend {
            DbBackend::Postgres => {
                // Writing to a text cannot fail.
                let _ = write!(self.text, "${}", self.values.len());
            }
            _ => self.text.push('?'),
        }
        self
    }

    /// Appends `(a, b, …)` of bound values.
    pub(crate) fn list<V: Into<Value>>(
        &mut self,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        self.push("(");
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self.push(")")
    }

    /// Appends `(a, b, …)` for an `IN`, filled up with the last value to a power of two: so that
    /// there are few different texts.
    pub(crate) fn among<V: Into<Value>>(
        &mut self,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        let mut values: Vec<Value> = values.into_iter().map(Into::into).collect();
        if let Some(last) = values.last().cloned() {
            values.resize(values.len().next_power_of_two(), last);
        }
        self.list(values)
    }

    /// Appends `VALUES (a, b), (c, d), …` of bound rows.
    pub(crate) fn values<R: IntoIterator<Item = Value>>(
        &mut self,
        rows: impl IntoIterator<Item = R>,
    ) -> &mut Self {
        self.push("VALUES ");
        for (index, row) in rows.into_iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.list(row);
        }
        self
    }

    /// Begins `INSERT INTO table (columns) VALUES …`: for the few tables that are written to most.
    /// Elsewhere the query builder says it more safely, at several times the cost. Values of [`JSON`]
    /// columns may be texts.
    pub(crate) fn insert<R: IntoIterator<Item = Value>>(
        tx: &DatabaseTransaction,
        table: &str,
        columns: &[&str],
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        Self::insert_on(tx.get_database_backend(), table, columns, rows)
    }

    /// The same before there is a transaction.
    pub(crate) fn insert_on<R: IntoIterator<Item = Value>>(
        backend: DbBackend,
        table: &str,
        columns: &[&str],
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let mut sql = Self::on(backend);
        sql.push("INSERT INTO ").push(table).push(" (").push(&columns.join(", ")).push(") VALUES ");
        let casts: Vec<&str> = columns.iter().map(|column| sql.cast(column)).collect();
        for (index, row) in rows.into_iter().enumerate() {
            sql.push(if index == 0 { "(" } else { ", (" });
            for (place, (value, cast)) in row.into_iter().zip(&casts).enumerate() {
                sql.push(if place == 0 { "" } else { ", " }).bind(value).push(cast);
            }
            sql.push(")");
        }
        sql
    }

    /// What must follow the placeholder of a column, so that a text becomes what it holds.
    fn cast(&self, column: &str) -> &'static str {
        if self.is_postgres() && JSON.contains(&column) { "::jsonb" } else { "" }
    }

    /// One statement after the other. SQLite takes them at once: each that is handed over alone
    /// costs two switches between threads.
    pub(crate) fn together(statements: Vec<Self>) -> Vec<Self> {
        if statements.first().is_none_or(Self::is_postgres) {
            return statements;
        }
        let joined = statements.into_iter().reduce(|mut all, next| {
            all.text.push_str("; ");
            all.text.push_str(&next.text);
            all.values.extend(next.values);
            all
        });
        joined.into_iter().collect()
    }

    /// Whether it is for PostgreSQL.
    pub(crate) fn is_postgres(&self) -> bool {
        self.backend == DbBackend::Postgres
    }

    /// Appends text on PostgreSQL only: row locks, which SQLite's one writer has no need of.
    pub(crate) fn on_postgres(&mut self, text: &str) -> &mut Self {
        if self.is_postgres() {
            self.push(text);
        }
        self
    }

    pub(crate) fn done(self) -> Statement {
        Statement::from_sql_and_values(self.backend, self.text, self.values)
    }
}

/// Rows in parts of at most `most`, of few different lengths: a statement's text depends on how many
/// rows it has, and a text that was seen before need not be parsed and planned again.
pub(crate) fn chunks<T>(rows: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let (chunk, after) = rest.split_at(length(rest.len().min(most))?);
        rest = after;
        Some(chunk)
    })
}

/// The greatest of 1, 2, 3, 4, 6, 8, 12, 16, 24 … that is not above `longest`.
const fn length(longest: usize) -> Option<usize> {
    let Some(power) = longest.checked_ilog2() else { return None };
    let lower = 1_usize << power;
    let half = lower / 2;
    Some(if longest >= lower + half { lower + half } else { lower })
}

#[cfg(test)]
mod tests {
    use super::chunks;

    #[test]
    fn chunks_have_few_lengths_and_leave_nothing_out() {
        for count in [0, 1, 2, 3, 7, 8, 100, 500, 513, 1_000] {
            let rows: Vec<usize> = (0..count).collect();
            let parts: Vec<&[usize]> = chunks(&rows, 500).collect();
            assert_eq!(parts.concat(), rows);
            let few = |length: usize| length.is_power_of_two() || (length / 3).is_power_of_two();
            assert!(parts.iter().all(|part| few(part.len()) && part.len() <= 500), "{count}");
        }
        let lengths: Vec<usize> = chunks(&[0; 31], 500).map(<[_]>::len).collect();
        assert_eq!(lengths, [24, 6, 1]);
    }
}
