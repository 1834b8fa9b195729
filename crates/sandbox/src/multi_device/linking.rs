//! Linking and unlinking companions: what the account signs, and who is told.

use buffa::Message;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wacore::adv::{AdvValidation, validate_adv_with_identity_key};
use wacore_binary::Node;
use wacore_libsignal::protocol::KeyPair;
use waproto::whatsapp as wa;

use super::accounts::Companion;
use super::address::{Addressing, Endpoint, Number};
use super::curve::{self, KEY_LENGTH};
use super::error::{MultiDeviceError, Outcome};
use super::faults::Ending;
use super::stanza::element;
use super::state::State;
use super::trouble::end_link;

/// Marks what an account signs about a companion (`ADV_PREFIX_ACCOUNT_SIGNATURE` of the clients).
const ACCOUNT_PREFIX: &[u8] = &[6, 0];
/// Marks what a companion signs back (`ADV_PREFIX_DEVICE_SIGNATURE`).
const DEVICE_PREFIX: &[u8] = &[6, 1];
/// Any value does, see the answers about devices.
const DEVICE_HASH: &str = "2:sandbox";

/// What an account says about a companion, signed by the account alone.
pub(crate) fn vouch(
    account: &KeyPair,
    raw_id: u32,
    key_index: u32,
    now: u64,
    companion_identity: &[u8],
) -> Outcome<wa::ADVSignedDeviceIdentity> {
    let details = wa::ADVDeviceIdentity {
        raw_id: Some(raw_id),
        timestamp: Some(now),
        key_index: Some(key_index),
        ..Default::default()
    }
    .encode_to_vec();
    let signature = curve::sign(account, &[ACCOUNT_PREFIX, &details, companion_identity])?;
    Ok(wa::ADVSignedDeviceIdentity {
        details: Some(details),
        account_signature_key: Some(curve::public(account)),
        account_signature: Some(signature),
        ..Default::default()
    })
}

/// The companion's own signature on top, as a client makes it while pairing.
pub(crate) fn countersign(
    signed: &mut wa::ADVSignedDeviceIdentity,
    companion: &KeyPair,
) -> Outcome {
    let details = signed.details.as_deref().unwrap_or_default();
    let account = signed.account_signature_key.as_deref().unwrap_or_default();
    let parts = [DEVICE_PREFIX, details, &curve::public(companion), account];
    signed.device_signature = Some(curve::sign(companion, &parts)?);
    Ok(())
}

/// Proves to the companion that the phone read its QR code.
pub(crate) fn seal(signed: &wa::ADVSignedDeviceIdentity, adv_secret: &[u8]) -> Outcome<Vec<u8>> {
    let details = signed.encode_to_vec();
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(adv_secret).map_err(MultiDeviceError::crypto)?;
    mac.update(&details);
    let sealed = wa::ADVSignedDeviceIdentityHMAC {
        details: Some(details),
        hmac: Some(mac.finalize().into_bytes().to_vec()),
        ..Default::default()
    };
    Ok(sealed.encode_to_vec())
}

/// Checks both signatures. A companion may leave out the account's key; it is put back, since those
/// who write to the companion check with it.
pub(crate) fn check_countersigned(
    identity: &[u8],
    account: &KeyPair,
    companion_identity: &[u8],
) -> Outcome<Vec<u8>> {
    let mut signed = wa::ADVSignedDeviceIdentity::decode_from_slice(identity)
        .map_err(MultiDeviceError::crypto)?;
    signed.account_signature_key.get_or_insert_with(|| curve::public(account));
    let whole = signed.encode_to_vec();
    let companion: [u8; KEY_LENGTH] = curve::key_array(companion_identity, "companion identity")?;
    match validate_adv_with_identity_key(&whole, &companion, None) {
        AdvValidation::Valid => Ok(whole),
        _ => Err(MultiDeviceError::malformed("device identity: a signature does not hold")),
    }
}

impl State {
    /// Adds a companion and tells those who write to the account.
    pub(crate) fn add_companion(&mut self, number: &Number, companion: Companion) -> Outcome {
        let device = companion.id;
        let key_index = companion.key_index;
        self.account_mut(number)?.companions.insert(device, companion);
        self.tell_about_device(number, device, key_index, true)
    }

    /// Unlinks a companion: it is told, and so are those who write to the account.
    pub(crate) fn log_out(&mut self, who: &Endpoint) -> Outcome {
        let companions = &mut self.account_mut(&who.number)?.companions;
        let companion = companions
            .remove(&who.device)
            .ok_or_else(|| MultiDeviceError::not_found("companion", who.to_string()))?;
        if let Some(link) = &companion.link {
            end_link(link, Ending::DeviceRemoved);
            self.logins.remove(&link.id);
        }
        self.tell_about_device(&who.number, who.device, companion.key_index, false)
    }

    /// Own devices and accounts that hold sessions are told; nobody else, or thousands of devices
    /// would tell each other.
    fn tell_about_device(
        &mut self,
        number: &Number,
        device: u16,
        key_index: u32,
        added: bool,
    ) -> Outcome {
        let account = self.account(number)?;
        let audience: Vec<Number> =
            std::iter::once(number.clone()).chain(account.correspondents.iter().cloned()).collect();
        let subject = Endpoint::new(number, device);
        for reader in audience {
            let mode = self.account(&reader)?.addressing;
            for endpoint in self.endpoints(&reader) {
                if endpoint.device != 0 && endpoint != subject {
                    let notification =
                        self.device_notification(&subject, key_index, added, mode)?;
                    self.deliver(&endpoint, notification);
                }
            }
        }
        Ok(())
    }

    fn device_notification(
        &mut self,
        subject: &Endpoint,
        key_index: u32,
        added: bool,
        mode: Addressing,
    ) -> Outcome<Node> {
        let now = self.now();
        let stanza = self.stanza_id();
        let account = self.account(&subject.number)?;
        let device = element("device")
            .attr("jid", account.jid(subject.device, Addressing::Pn))
            .attr("lid", account.jid(subject.device, Addressing::Lid))
            .attr("key-index", key_index.to_string())
            .build();
        let list = element("key-index-list")
            .attr("ts", now.to_string())
            .bytes(account.key_index_list(now)?)
            .build();
        let action = if added { element("add") } else { element("remove") };
        let action = action.attr("device_hash", DEVICE_HASH).children([device, list]).build();
        Ok(element("notification")
            .attr("from", account.jid(0, mode))
            .attr("type", "devices")
            .attr("id", stanza)
            .attr("t", now.to_string())
            .attr("lid", account.jid(0, Addressing::Lid))
            .children([action])
            .build())
    }
}
