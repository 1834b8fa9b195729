//! The schema history of Kabar, one set for SQLite and PostgreSQL.
