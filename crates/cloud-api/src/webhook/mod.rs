//! What Meta posts to us: the handshake, the signature, and the decoding of the body.
//!
//! One Meta app has one secret and one verify token; several WhatsApp business accounts share
//! them. The device is found inside the body, by `metadata.phone_number_id`.
//!
//! # What [`decode`] promises
//!
//! * It never fails: any bytes give a batch, and the bytes themselves are in [`Batch::raw`].
//! * Every object is open, every leaf optional, every id text or a number. What is malformed
//!   never takes its siblings along: it becomes an [`EventBody::Unknown`] with its raw JSON.
//! * Every change that is not empty gives at least one event.
//! * No text holds U+0000, which PostgreSQL cannot store, nor anything that is not Unicode: both
//!   are replaced by U+FFFD.
//! * Events stand in the order of the document: entries, changes and array elements keep theirs;
//!   within one change messages come before statuses and these before the rest.
//!
//! [`Batch::raw`]: kabar_channel::Batch::raw
//! [`EventBody::Unknown`]: kabar_channel::EventBody::Unknown

mod change;
mod content;
mod decode;
mod handshake;
mod history;
mod json;
mod mend;
mod message;
mod people;
mod read;
mod signature;
mod status;

pub use decode::decode;
pub use handshake::{HandshakeError, verify_handshake, verify_handshake_query};
pub use signature::{SIGNATURE_HEADER, SignatureError, signature, verify_signature};
