//! SQLite and PostgreSQL storage of Kabar through sea-orm.
