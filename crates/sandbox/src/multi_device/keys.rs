//! The server's own keys: a root, an intermediate and a leaf, signed like WhatsApp's.
//!
//! A client that has logged in once keeps the leaf key and logs in by Noise IK from then on, so the
//! keys live in a folder and outlast the process. A client that pairs checks the chain against the
//! root it was built with: whatsapp-rust can only skip that at compile time, Baileys takes another
//! root from test code.

use std::path::Path;

use buffa::{Message, MessageField};
use wacore::store::device::{CachedNoiseCert, CachedServerCertChain};
use wacore_libsignal::protocol::KeyPair;
use waproto::whatsapp as wa;
use waproto::whatsapp::cert_chain::{NoiseCertificate, noise_certificate};

use super::curve;
use super::error::{MultiDeviceError, Outcome};

/// The certificates hold from 2023-11-14 …
const NOT_BEFORE: u64 = 1_700_000_000;
/// … to 2096-10-02, Unix seconds.
const NOT_AFTER: u64 = 4_000_000_000;

/// Issuer serial that clients expect of the intermediate (`WA_CERT_ISSUER_SERIAL`).
const ROOT_SERIAL: u32 = 0;
const INTERMEDIATE_SERIAL: u32 = 1;
const LEAF_SERIAL: u32 = 2;

/// Root, intermediate and leaf with the signed chain.
pub(crate) struct ServerKeys {
    root: KeyPair,
    intermediate: KeyPair,
    /// The Noise static key.
    pub(crate) leaf: KeyPair,
    /// Encoded `CertChain`, as it travels in the handshake.
    pub(crate) chain: Vec<u8>,
}

impl ServerKeys {
    /// Reads the keys of a folder, writing those that are absent; without a folder they last as
    /// long as this value.
    pub(crate) fn open(folder: Option<&Path>) -> Outcome<Self> {
        let key = |name: &str| match folder {
            Some(folder) => stored(&folder.join(name)),
            None => Ok(curve::generate()),
        };
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|source| key_file(folder, source))?;
        }
        let (root, intermediate, leaf) =
            (key("root.key")?, key("intermediate.key")?, key("leaf.key")?);
        let chain = chain(&root, &intermediate, &leaf)?;
        Ok(Self { root, intermediate, leaf, chain })
    }

    /// The public root key.
    pub(crate) fn root_key(&self) -> Outcome<[u8; curve::KEY_LENGTH]> {
        curve::public_array(&self.root)
    }

    /// What a client caches after its first login, enough for Noise IK.
    pub(crate) fn cached_chain(&self) -> Outcome<CachedServerCertChain> {
        Ok(CachedServerCertChain {
            intermediate: cached(&self.intermediate)?,
            leaf: cached(&self.leaf)?,
        })
    }
}

fn cached(pair: &KeyPair) -> Outcome<CachedNoiseCert> {
    Ok(CachedNoiseCert {
        key: curve::public_array(pair)?,
        not_before: i64::try_from(NOT_BEFORE).unwrap_or_default(),
        not_after: i64::try_from(NOT_AFTER).unwrap_or(i64::MAX),
    })
}

fn stored(path: &Path) -> Outcome<KeyPair> {
    match std::fs::read(path) {
        Ok(private) => curve::pair_of(&private),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let pair = curve::generate();
            write_private(path, pair.private_key.serialize())
                .map_err(|source| key_file(path, source))?;
            Ok(pair)
        }
        Err(source) => Err(key_file(path, source)),
    }
}

/// Writes a file that only its owner can read.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

fn key_file(path: &Path, source: std::io::Error) -> MultiDeviceError {
    MultiDeviceError::KeyFile { path: path.to_owned(), source }
}

fn chain(root: &KeyPair, intermediate: &KeyPair, leaf: &KeyPair) -> Outcome<Vec<u8>> {
    let chain = wa::CertChain {
        leaf: certificate(leaf, LEAF_SERIAL, INTERMEDIATE_SERIAL, intermediate)?,
        intermediate: certificate(intermediate, INTERMEDIATE_SERIAL, ROOT_SERIAL, root)?,
    };
    Ok(chain.encode_to_vec())
}

fn certificate(
    subject: &KeyPair,
    serial: u32,
    issuer_serial: u32,
    issuer: &KeyPair,
) -> Outcome<MessageField<NoiseCertificate>> {
    let details = noise_certificate::Details {
        serial: Some(serial),
        issuer_serial: Some(issuer_serial),
        key: Some(curve::public(subject)),
        not_before: Some(NOT_BEFORE),
        not_after: Some(NOT_AFTER),
    }
    .encode_to_vec();
    let signature = Some(curve::sign(issuer, &[&details])?);
    Ok(MessageField::some(NoiseCertificate { details: Some(details), signature }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(certificate: MessageField<NoiseCertificate>) -> (Vec<u8>, Vec<u8>) {
        let certificate = certificate.into_option().unwrap();
        (certificate.details.unwrap(), certificate.signature.unwrap())
    }

    #[test]
    fn each_certificate_is_signed_by_the_one_above() {
        let keys = ServerKeys::open(None).unwrap();
        let chain = wa::CertChain::decode_from_slice(&keys.chain).unwrap();
        let (details, signature) = parts(chain.intermediate);
        assert!(keys.root.public_key.verify_signature(&details, &signature));
        assert!(!keys.leaf.public_key.verify_signature(&details, &signature));
        let (details, signature) = parts(chain.leaf);
        assert!(keys.intermediate.public_key.verify_signature(&details, &signature));
        let leaf = noise_certificate::Details::decode_from_slice(&details).unwrap();
        assert_eq!(leaf.key, Some(curve::public(&keys.leaf)));
        assert_eq!(leaf.issuer_serial, Some(INTERMEDIATE_SERIAL));
    }
}
