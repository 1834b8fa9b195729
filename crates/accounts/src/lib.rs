//! Kabar's tenants, users, roles, permissions, API keys and audit log.

pub mod audit;

pub use audit::{AuditEntry, AuditLog, AuditWork};
