//! Curve25519 as WhatsApp uses it: raw 32-byte public keys and `XEdDSA` signatures.

use wacore_libsignal::protocol::{KeyPair, PrivateKey, PublicKey};

use super::error::{MultiDeviceError, Outcome};

/// Length of a public or private key in bytes.
pub(crate) const KEY_LENGTH: usize = 32;

/// A fresh key pair from the operating system's randomness.
pub(crate) fn generate() -> KeyPair {
    KeyPair::generate(&mut rand::rng())
}

/// The pair that belongs to a stored private key.
pub(crate) fn pair_of(private: &[u8]) -> Outcome<KeyPair> {
    let private = PrivateKey::deserialize(private).map_err(MultiDeviceError::crypto)?;
    let public = private.public_key().map_err(MultiDeviceError::crypto)?;
    Ok(KeyPair::new(public, private))
}

/// The public key as it travels, without a type byte.
pub(crate) fn public(pair: &KeyPair) -> Vec<u8> {
    pair.public_key.public_key_bytes().to_vec()
}

/// The public key as an array.
pub(crate) fn public_array(pair: &KeyPair) -> Outcome<[u8; KEY_LENGTH]> {
    key_array(pair.public_key.public_key_bytes(), "public key")
}

/// Reads a public key that came without a type byte.
pub(crate) fn read_public(bytes: &[u8]) -> Outcome<PublicKey> {
    PublicKey::from_djb_public_key_bytes(bytes).map_err(MultiDeviceError::crypto)
}

/// Checks a length of 32.
pub(crate) fn key_array(bytes: &[u8], what: &str) -> Outcome<[u8; KEY_LENGTH]> {
    bytes.try_into().map_err(|_| MultiDeviceError::malformed(format!("{what}: not 32 bytes")))
}

/// Signs the parts as one message.
pub(crate) fn sign(pair: &KeyPair, parts: &[&[u8]]) -> Outcome<Vec<u8>> {
    let message = parts.concat();
    let signature = pair
        .private_key
        .calculate_signature(&message, &mut rand::rng())
        .map_err(MultiDeviceError::crypto)?;
    Ok(signature.to_vec())
}

/// The shared secret of our private and their public key.
pub(crate) fn agree(ours: &KeyPair, theirs: &[u8]) -> Outcome<[u8; KEY_LENGTH]> {
    ours.private_key.calculate_agreement(&read_public(theirs)?).map_err(MultiDeviceError::crypto)
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Outcome<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(MultiDeviceError::Randomness)?;
    Ok(bytes)
}
