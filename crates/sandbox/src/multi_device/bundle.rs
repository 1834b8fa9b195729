//! The public keys of one device, as the server hands them to whoever wants to write to it.

use std::collections::VecDeque;

use wacore_binary::Node;
use wacore_libsignal::protocol::{DeviceId, IdentityKey, PreKeyBundle, PreKeyId, SignedPreKeyId};

use super::curve;
use super::error::{MultiDeviceError, Outcome};
use super::stanza::{child, child_bytes, children, element, holding};

/// Curve25519 in `<type/>`.
const KEY_TYPE: u8 = 5;

/// A one-time pre-key: three-byte id and public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneTimeKey {
    pub(crate) id: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// A signed pre-key.
#[derive(Debug, Clone, Default)]
pub(crate) struct SignedKey {
    pub(crate) id: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// Everything public of one device.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyBundle {
    pub(crate) registration: [u8; 4],
    pub(crate) identity: Vec<u8>,
    pub(crate) signed: SignedKey,
    pub(crate) one_time: VecDeque<OneTimeKey>,
}

/// Writes a key id as its three bytes.
pub(crate) fn id_bytes(id: u32) -> Vec<u8> {
    let [_, rest @ ..] = id.to_be_bytes();
    rest.to_vec()
}

fn id_number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |id, byte| (id << 8) | u32::from(*byte))
}

impl SignedKey {
    /// Reads `<skey/>`.
    pub(crate) fn read(node: &Node) -> Self {
        Self {
            id: child_bytes(node, "id"),
            value: child_bytes(node, "value"),
            signature: child_bytes(node, "signature"),
        }
    }

    pub(crate) fn node(&self) -> Node {
        let parts = [
            holding("id", self.id.clone()),
            holding("value", self.value.clone()),
            holding("signature", self.signature.clone()),
        ];
        element("skey").children(parts).build()
    }
}

impl OneTimeKey {
    fn read(node: &Node) -> Self {
        Self { id: child_bytes(node, "id"), value: child_bytes(node, "value") }
    }

    pub(crate) fn node(&self) -> Node {
        let parts = [holding("id", self.id.clone()), holding("value", self.value.clone())];
        element("key").children(parts).build()
    }
}

impl KeyBundle {
    /// Takes in what a client uploads; keys it had uploaded before stay.
    pub(crate) fn take_upload(&mut self, upload: &Node) {
        if let Ok(registration) = child_bytes(upload, "registration").try_into() {
            self.registration = registration;
        }
        if let Some(identity) = child(upload, "identity") {
            self.identity = super::stanza::bytes(identity);
        }
        if let Some(signed) = child(upload, "skey") {
            self.signed = SignedKey::read(signed);
        }
        let known: std::collections::HashSet<Vec<u8>> =
            self.one_time.iter().map(|key| key.id.clone()).collect();
        let fresh = child(upload, "list").map(children).unwrap_or_default().iter();
        self.one_time.extend(fresh.map(OneTimeKey::read).filter(|key| !known.contains(&key.id)));
    }

    /// `<registration/><type/><identity/>`.
    pub(crate) fn header(&self) -> [Node; 3] {
        [
            holding("registration", self.registration.to_vec()),
            holding("type", vec![KEY_TYPE]),
            holding("identity", self.identity.clone()),
        ]
    }

    /// What libsignal needs to open a session with this device. Uses up a one-time key.
    pub(crate) fn open(&mut self, device: u16) -> Outcome<PreKeyBundle> {
        let one_time = self.one_time.pop_front();
        self.with_one_time(device, one_time.as_ref())
    }

    fn with_one_time(&self, device: u16, one_time: Option<&OneTimeKey>) -> Outcome<PreKeyBundle> {
        let one_time = one_time
            .map(|key| Ok((PreKeyId::from(id_number(&key.id)), curve::read_public(&key.value)?)))
            .transpose()?;
        PreKeyBundle::new(
            u32::from_be_bytes(self.registration),
            DeviceId::from(u32::from(device)),
            one_time,
            SignedPreKeyId::from(id_number(&self.signed.id)),
            curve::read_public(&self.signed.value)?,
            self.signed.signature.clone(),
            IdentityKey::new(curve::read_public(&self.identity)?),
        )
        .map_err(MultiDeviceError::crypto)
    }

    /// Reads the keys that a retry receipt carries.
    pub(crate) fn from_retry(receipt: &Node) -> Option<(Self, Option<OneTimeKey>)> {
        let keys = child(receipt, "keys")?;
        let bundle = Self {
            registration: child_bytes(receipt, "registration").try_into().ok()?,
            identity: child_bytes(keys, "identity"),
            signed: SignedKey::read(child(keys, "skey")?),
            one_time: VecDeque::new(),
        };
        Some((bundle, child(keys, "key").map(OneTimeKey::read)))
    }

    /// Like [`Self::open`] with a one-time key that came in a retry receipt.
    pub(crate) fn open_with(
        &self,
        device: u16,
        one_time: Option<&OneTimeKey>,
    ) -> Outcome<PreKeyBundle> {
        self.with_one_time(device, one_time)
    }
}
