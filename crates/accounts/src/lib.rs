//! Kabar's tenants, users, roles, permissions, API keys and audit log.
