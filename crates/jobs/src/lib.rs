//! Durable background jobs for Kabar: enqueued in a unit of work, claimed, retried with back-off.
