//! Minting: a companion session as it would be after pairing, without pairing.
//!
//! The session carries the server's certificates as a client caches them after its first login, so a
//! client that was built with the full certificate check logs in by Noise IK.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use buffa::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wacore::store::Device;
use wacore_libsignal::store::record_helpers::new_pre_key_record;

use super::accounts::Companion;
use super::address::{Addressing, Number};
use super::bundle::{KeyBundle, OneTimeKey, SignedKey, id_bytes};
use super::curve;
use super::error::{MultiDeviceError, Outcome};
use super::keys::ServerKeys;
use super::linking::{countersign, vouch};
use super::state::State;

/// What `format` says.
const FORMAT: &str = "kabar-session";
/// The version of the format written here.
const VERSION: u32 = 1;
/// What `source` says of every session minted here.
const SOURCE: &str = "sandbox";

/// A paired session in the format that session imports read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MintedSession {
    /// Always `kabar-session`.
    pub format: String,
    /// Always 1.
    pub version: u32,
    /// Always `sandbox`: such a session never belongs on WhatsApp's own servers.
    pub source: String,
    /// `wacore::store::Device` in its own serde form.
    pub device: Value,
    /// The private halves of the one-time pre-keys that the server holds for it.
    pub prekeys: Vec<MintedPreKey>,
}

/// A one-time pre-key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MintedPreKey {
    /// Its id.
    pub id: u32,
    /// The stored record (`PreKeyRecordStructure`), base64.
    pub record: String,
}

impl MintedSession {
    /// The device to save in a client's store.
    ///
    /// # Errors
    /// [`MultiDeviceError::Malformed`] if it does not parse.
    pub fn to_device(&self) -> Result<Device, MultiDeviceError> {
        serde_json::from_value(self.device.clone())
            .map_err(|error| MultiDeviceError::malformed(error.to_string()))
    }
}

impl MintedPreKey {
    /// The record as a client's store keeps it.
    ///
    /// # Errors
    /// [`MultiDeviceError::Malformed`] if it is not base64.
    pub fn to_record(&self) -> Result<Vec<u8>, MultiDeviceError> {
        STANDARD
            .decode(&self.record)
            .map_err(|error| MultiDeviceError::malformed(error.to_string()))
    }
}

impl State {
    /// Links a made-up companion to a phone and answers its private side.
    pub(crate) fn mint(
        &mut self,
        keys: &ServerKeys,
        number: &Number,
        prekeys: u32,
    ) -> Outcome<MintedSession> {
        let now = self.now();
        let account = self.account_mut(number)?;
        let id = account.next_device;
        account.next_device += 1;
        let mut device = Device::new();
        let identity = curve::public(&device.identity_key);
        let mut signed = vouch(&account.identity, account.raw_id, u32::from(id), now, &identity)?;
        countersign(&mut signed, &device.identity_key)?;
        let device_identity = signed.encode_to_vec();
        device.pn = Some(account.jid(id, Addressing::Pn));
        device.lid = Some(account.jid(id, Addressing::Lid));
        device.lid_migrated = account.addressing == Addressing::Lid;
        device.push_name.clone_from(&account.name);
        device.account = Some(Arc::new(signed));
        device.server_cert_chain = Some(keys.cached_chain()?);
        device.next_pre_key_id = prekeys + 1;
        device.first_unupload_pre_key_id = prekeys + 1;
        device.server_has_prekeys = prekeys > 0;

        let mut bundle = public_side(&device);
        let mut minted = Vec::new();
        for id in 1..=prekeys {
            let pair = curve::generate();
            let record = new_pre_key_record(id, &pair).encode_to_vec();
            minted.push(MintedPreKey { id, record: STANDARD.encode(record) });
            let key = OneTimeKey { id: id_bytes(id), value: curve::public(&pair) };
            bundle.one_time.push_back(key);
        }
        let noise_key = curve::public_array(&device.noise_key)?;
        self.add_companion(number, Companion::new(id, noise_key, bundle, device_identity))?;
        let device = serde_json::to_value(&device)
            .map_err(|error| MultiDeviceError::Crypto(error.into()))?;
        Ok(MintedSession {
            format: FORMAT.to_owned(),
            version: VERSION,
            source: SOURCE.to_owned(),
            device,
            prekeys: minted,
        })
    }
}

fn public_side(device: &Device) -> KeyBundle {
    KeyBundle {
        registration: device.registration_id.to_be_bytes(),
        identity: curve::public(&device.identity_key),
        signed: SignedKey {
            id: id_bytes(device.signed_pre_key_id),
            value: curve::public(&device.signed_pre_key),
            signature: device.signed_pre_key_signature.to_vec(),
        },
        one_time: std::collections::VecDeque::new(),
    }
}
