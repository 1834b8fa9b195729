//! Conversations, messages, the transactional outbox and the intake of Kabar.
