//! `creds.json`.

use std::sync::Arc;

use serde::Deserialize;
use wacore::store::Device;
use wacore_binary::Jid;
use waproto::whatsapp::ADVSignedDeviceIdentity;

use super::CREDS;
use super::bytes::{Keys, NodeBytes};
use crate::import::ImportError;

/// What of it a device is made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Creds {
    noise_key: Keys,
    signed_identity_key: Keys,
    signed_pre_key: SignedKey,
    registration_id: u32,
    adv_secret_key: NodeBytes,
    next_pre_key_id: u32,
    pub(super) first_unuploaded_pre_key_id: u32,
    account: Account,
    me: Me,
    routing_info: Option<NodeBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedKey {
    key_pair: Keys,
    signature: NodeBytes,
    key_id: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    details: NodeBytes,
    #[serde(rename = "accountSignatureKey")]
    signature_key: NodeBytes,
    #[serde(rename = "accountSignature")]
    signature: NodeBytes,
    device_signature: NodeBytes,
}

#[derive(Deserialize)]
struct Me {
    id: String,
    lid: Option<String>,
    name: Option<String>,
}

impl Creds {
    /// The engine's device.
    pub(super) fn device(self) -> Result<Device, ImportError> {
        let account = ADVSignedDeviceIdentity {
            details: Some(self.account.details.0),
            account_signature_key: Some(self.account.signature_key.0),
            account_signature: Some(self.account.signature.0),
            device_signature: Some(self.account.device_signature.0),
        };
        let lid = self.me.lid.as_deref().map(|lid| jid("me.lid", lid));
        Ok(Device {
            pn: Some(jid("me.id", &self.me.id)?),
            lid: lid.transpose()?,
            registration_id: self.registration_id,
            noise_key: self.noise_key.pair("creds.json: noiseKey")?,
            identity_key: self.signed_identity_key.pair("creds.json: signedIdentityKey")?,
            signed_pre_key: self
                .signed_pre_key
                .key_pair
                .pair("creds.json: signedPreKey.keyPair")?,
            signed_pre_key_id: self.signed_pre_key.key_id,
            signed_pre_key_signature: exactly(
                "signedPreKey.signature",
                &self.signed_pre_key.signature,
            )?,
            adv_secret_key: exactly("advSecretKey", &self.adv_secret_key)?,
            account: Some(Arc::new(account)),
            push_name: self.me.name.unwrap_or_default(),
            edge_routing_info: self.routing_info.map(|info| info.0),
            next_pre_key_id: self.next_pre_key_id,
            first_unupload_pre_key_id: self.first_unuploaded_pre_key_id,
            server_has_prekeys: self.first_unuploaded_pre_key_id > 1,
            ..Device::new()
        })
    }
}

fn jid(field: &str, text: &str) -> Result<Jid, ImportError> {
    text.parse().map_err(|_| ImportError::field(format!("{CREDS}: {field}"), "is no address"))
}

fn exactly<const N: usize>(field: &str, bytes: &NodeBytes) -> Result<[u8; N], ImportError> {
    bytes
        .0
        .as_slice()
        .try_into()
        .map_err(|_| ImportError::field(format!("{CREDS}: {field}"), format!("must be {N} bytes")))
}
