//! Statements that the query builder cannot say: written once, with the placeholders of either
//! database.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Statement, Value};

/// A statement under construction.
pub(crate) struct Sql {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(crate) fn new(tx: &DatabaseTransaction) -> Self {
        Self { backend: tx.get_database_backend(), text: String::new(), values: Vec::new() }
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
                self.text.push('$');
                self.text.push_str(&self.values.len().to_string());
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

    /// Appends `(VALUES (a, b), (c, d), …)` of bound rows.
    pub(crate) fn values<const N: usize>(
        &mut self,
        rows: impl IntoIterator<Item = [Value; N]>,
    ) -> &mut Self {
        self.push("(VALUES ");
        for (index, row) in rows.into_iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            self.list(row);
        }
        self.push(")")
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
