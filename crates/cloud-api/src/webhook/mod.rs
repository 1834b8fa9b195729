//! What Meta posts to us: the handshake, the signature, and the decoding of the body.
//!
//! One Meta app has one secret and one verify token; several WhatsApp business accounts share
//! them. The device is found inside the body, by `metadata.phone_number_id`.

mod decode;
mod handshake;
mod signature;

pub use decode::decode;
pub use handshake::{HandshakeError, verify_handshake, verify_handshake_query};
pub use signature::{SIGNATURE_HEADER, SignatureError, signature, verify_signature};
