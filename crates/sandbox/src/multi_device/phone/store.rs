//! The Signal store of a phone, in memory.
//!
//! libsignal's stores are asynchronous; these answer at once, so that [`at_once`] can run its
//! functions inside the server's lock.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::FutureExt;
use wacore_libsignal::protocol::{
    DeviceId, Direction, GenericSignedPreKey, IdentityChange, IdentityKey, IdentityKeyPair,
    IdentityKeyStore, KeyPair, PreKeyId, PreKeyRecord, PreKeyStore, ProtocolAddress,
    SenderKeyRecord, SenderKeyStore, SessionRecord, SessionStore, SignalProtocolError,
    SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore, Timestamp,
};
use wacore_libsignal::store::sender_key_name::SenderKeyName;

use crate::multi_device::address::Endpoint;
use crate::multi_device::bundle::{KeyBundle, OneTimeKey, SignedKey, id_bytes};
use crate::multi_device::curve;
use crate::multi_device::error::{MultiDeviceError, Outcome};

type Stored<T> = Result<T, SignalProtocolError>;

/// Registration ids have 14 bits.
const REGISTRATION_MASK: u32 = 0x3fff;
/// The one signed pre-key a phone has.
const SIGNED_ID: u32 = 1;
/// When it was made matters to nobody.
const SIGNED_AT_MS: u64 = 1;

#[derive(Default)]
pub(super) struct Sessions(HashMap<ProtocolAddress, SessionRecord>);

pub(super) struct Identity {
    pair: IdentityKeyPair,
    registration: u32,
    known: HashMap<ProtocolAddress, IdentityKey>,
}

#[derive(Default)]
pub(super) struct OneTimeKeys {
    keys: HashMap<u32, KeyPair>,
    last: u32,
}

pub(super) struct SignedKeys {
    pair: KeyPair,
    signature: Vec<u8>,
}

#[derive(Default)]
pub(super) struct SenderKeys(HashMap<String, SenderKeyRecord>);

/// The five stores that libsignal wants, side by side.
pub(super) struct SignalStore {
    pub(super) sessions: Sessions,
    pub(super) identity: Identity,
    pub(super) one_time: OneTimeKeys,
    pub(super) signed: SignedKeys,
    pub(super) sender_keys: SenderKeys,
}

/// The name under which a device's session is kept; the same for both of its addresses.
pub(super) fn address(of: &Endpoint) -> ProtocolAddress {
    ProtocolAddress::new(&of.number, DeviceId::from(u32::from(of.device)))
}

/// The name under which a device's sender key for a group is kept.
pub(super) fn sender_key_name(group: &str, of: &Endpoint) -> SenderKeyName {
    SenderKeyName::new(group.to_owned(), of.to_string())
}

/// Runs a libsignal function over stores that never wait.
pub(super) fn at_once<T>(future: impl Future<Output = Stored<T>>) -> Stored<T> {
    let pending = || SignalProtocolError::InvalidArgument("the store waited".to_owned());
    future.now_or_never().unwrap_or_else(|| Err(pending()))
}

impl SignalStore {
    pub(super) fn new(identity: &KeyPair) -> Outcome<Self> {
        let registration = u32::from_be_bytes(curve::random()?) & REGISTRATION_MASK;
        let pair = curve::generate();
        let signature = curve::sign(identity, &[&pair.public_key.serialize()])?;
        let key = IdentityKey::new(identity.public_key);
        let identity = Identity {
            pair: IdentityKeyPair::new(key, identity.private_key.clone()),
            registration: registration.max(1),
            known: HashMap::new(),
        };
        Ok(Self {
            sessions: Sessions::default(),
            identity,
            one_time: OneTimeKeys::default(),
            signed: SignedKeys { pair, signature },
            sender_keys: SenderKeys::default(),
        })
    }

    pub(super) fn bundle(&self) -> KeyBundle {
        let identity = self.identity.pair.public_key();
        KeyBundle {
            registration: self.identity.registration.to_be_bytes(),
            identity: identity.public_key_bytes().to_vec(),
            signed: SignedKey {
                id: id_bytes(SIGNED_ID),
                value: curve::public(&self.signed.pair),
                signature: self.signed.signature.clone(),
            },
            one_time: std::collections::VecDeque::new(),
        }
    }

    pub(super) fn fresh_one_time_key(&mut self) -> OneTimeKey {
        let pair = curve::generate();
        self.one_time.last += 1;
        let key = OneTimeKey { id: id_bytes(self.one_time.last), value: curve::public(&pair) };
        self.one_time.keys.insert(self.one_time.last, pair);
        key
    }

    pub(super) fn has_session(&self, with: &Endpoint) -> bool {
        self.sessions.0.contains_key(&address(with))
    }

    /// Forgets its own sender key of a group, so that the next message distributes a new one.
    pub(super) fn forget_sender_key(&mut self, group: &str, own: &Endpoint) {
        self.sender_keys.0.remove(sender_key_name(group, own).cache_key());
    }

    pub(super) fn registration(&self) -> [u8; 4] {
        self.identity.registration.to_be_bytes()
    }
}

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> Stored<Option<SessionRecord>> {
        Ok(self.0.get(address).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> Stored<bool> {
        Ok(self.0.contains_key(address))
    }

    async fn store_session(
        &mut self,
        address: &ProtocolAddress,
        record: SessionRecord,
    ) -> Stored<()> {
        self.0.insert(address.clone(), record);
        Ok(())
    }
}

#[async_trait]
impl IdentityKeyStore for Identity {
    async fn get_identity_key_pair(&self) -> Stored<IdentityKeyPair> {
        Ok(self.pair.clone())
    }

    async fn get_local_registration_id(&self) -> Stored<u32> {
        Ok(self.registration)
    }

    async fn save_identity(
        &mut self,
        address: &ProtocolAddress,
        identity: &IdentityKey,
    ) -> Stored<IdentityChange> {
        self.known.insert(address.clone(), *identity);
        Ok(IdentityChange::NewOrUnchanged)
    }

    async fn is_trusted_identity(
        &self,
        _address: &ProtocolAddress,
        _identity: &IdentityKey,
        _direction: Direction,
    ) -> Stored<bool> {
        Ok(true)
    }

    async fn get_identity(&self, address: &ProtocolAddress) -> Stored<Option<IdentityKey>> {
        Ok(self.known.get(address).copied())
    }
}

#[async_trait]
impl PreKeyStore for OneTimeKeys {
    async fn get_pre_key(&self, id: PreKeyId) -> Stored<PreKeyRecord> {
        let pair = self.keys.get(&u32::from(id)).ok_or(SignalProtocolError::InvalidPreKeyId)?;
        Ok(PreKeyRecord::new(id, pair))
    }

    async fn save_pre_key(&mut self, _id: PreKeyId, _record: &PreKeyRecord) -> Stored<()> {
        Ok(())
    }

    async fn remove_pre_key(&mut self, id: PreKeyId) -> Stored<()> {
        self.keys.remove(&u32::from(id));
        Ok(())
    }
}

#[async_trait]
impl SignedPreKeyStore for SignedKeys {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> Stored<SignedPreKeyRecord> {
        let made = Timestamp::from_epoch_millis(SIGNED_AT_MS);
        Ok(<SignedPreKeyRecord as GenericSignedPreKey>::new(id, made, &self.pair, &self.signature))
    }

    async fn save_signed_pre_key(
        &mut self,
        _id: SignedPreKeyId,
        _record: &SignedPreKeyRecord,
    ) -> Stored<()> {
        Ok(())
    }
}

#[async_trait]
impl SenderKeyStore for SenderKeys {
    async fn store_sender_key(
        &mut self,
        name: &SenderKeyName,
        record: SenderKeyRecord,
    ) -> Stored<()> {
        self.0.insert(name.cache_key().to_owned(), record);
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> Stored<Option<SenderKeyRecord>> {
        Ok(self.0.get(name.cache_key()).cloned())
    }
}

/// Wraps an error of libsignal.
pub(super) fn signal(error: SignalProtocolError) -> MultiDeviceError {
    MultiDeviceError::crypto(error)
}
