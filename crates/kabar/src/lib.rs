//! Kabar: an embeddable WhatsApp platform. This crate composes the rooms behind one builder.
