//! Pairing by QR code: a client shows references, a phone reads one and vouches for the client.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use buffa::Message;
use wa::client_payload::DevicePairingRegistrationData;
use wacore_binary::Node;
use waproto::whatsapp as wa;

use super::accounts::Companion;
use super::address::{Addressing, Number};
use super::bundle::{KeyBundle, SignedKey};
use super::curve::{self, KEY_LENGTH};
use super::error::{MultiDeviceError, Outcome};
use super::faults::Ending;
use super::link::Link;
use super::linking::{check_countersigned, seal, vouch};
use super::pair_code::CodeFlow;
use super::stanza::{SERVER, bytes, child, element, holding};
use super::state::State;
use super::trouble::end_link;

/// How many QR codes a client may show, one after another.
const REFERENCES: usize = 6;
/// A reference starts like this.
const REFERENCE_PREFIX: &str = "2@";
/// After pairing a client logs in anew.
const RESTART: u16 = 515;

/// A connected client that wants to be paired.
pub(crate) struct PairingAttempt {
    pub(crate) link: Link,
    pub(crate) noise_key: [u8; KEY_LENGTH],
    registration: DevicePairingRegistrationData,
    references: Vec<String>,
    /// Set once a phone has vouched.
    promised: Option<Promise>,
    pub(crate) code: Option<CodeFlow>,
}

/// The place that a phone has given to a client.
struct Promise {
    number: Number,
    device: u16,
}

/// The parts of a QR code.
struct Scanned {
    reference: String,
    noise_key: Vec<u8>,
    identity: Vec<u8>,
    adv_secret: Vec<u8>,
}

impl Scanned {
    /// Reads `reference,noise key,identity,secret,…`, as such or behind the `#` of a link.
    fn read(text: &str) -> Outcome<Self> {
        let unreadable = || MultiDeviceError::Invalid("not a WhatsApp QR code".to_owned());
        let body = text.rsplit('#').next().unwrap_or(text);
        let mut parts = body.split(',');
        let mut part = || parts.next().ok_or_else(unreadable);
        let reference = part()?.to_owned();
        let mut key = || part().and_then(|text| STANDARD.decode(text).map_err(|_| unreadable()));
        Ok(Self { reference, noise_key: key()?, identity: key()?, adv_secret: key()? })
    }
}

impl State {
    /// Hands a client the references for its QR codes.
    pub(crate) fn offer_pairing(
        &mut self,
        link: &Link,
        registration: &DevicePairingRegistrationData,
        noise_key: [u8; KEY_LENGTH],
    ) -> Outcome {
        let mut references = Vec::with_capacity(REFERENCES);
        for _ in 0..REFERENCES {
            let random = STANDARD_NO_PAD.encode(curve::random::<48>()?);
            references.push(format!("{REFERENCE_PREFIX}{random}"));
        }
        let refs = references.iter().map(|text| holding("ref", text.as_bytes()));
        let offer = element("pair-device").children(refs).build();
        link.send(self.md_request(offer));
        let attempt = PairingAttempt {
            link: link.clone(),
            noise_key,
            registration: registration.clone(),
            references,
            promised: None,
            code: None,
        };
        self.pairings.insert(link.id, attempt);
        Ok(())
    }

    fn md_request(&mut self, content: Node) -> Node {
        element("iq")
            .attr("from", SERVER)
            .attr("type", "set")
            .attr("id", self.stanza_id())
            .attr("xmlns", "md")
            .children([content])
            .build()
    }

    /// A phone reads a QR code.
    pub(crate) fn scan(&mut self, number: &Number, text: &str) -> Outcome<u16> {
        let scanned = Scanned::read(text)?;
        let shown = |attempt: &&PairingAttempt| attempt.references.contains(&scanned.reference);
        let attempt = self
            .pairings
            .values()
            .find(shown)
            .ok_or_else(|| MultiDeviceError::not_found("QR code", &*scanned.reference))?;
        if attempt.noise_key.as_slice() != scanned.noise_key
            || attempt.identity() != scanned.identity
        {
            return Err(MultiDeviceError::Invalid("the QR code names other keys".to_owned()));
        }
        let connection = attempt.link.id;
        self.promise(number, connection, &scanned.adv_secret)
    }

    /// Tells a client that a phone has accepted it.
    pub(crate) fn promise(
        &mut self,
        number: &Number,
        connection: u64,
        adv_secret: &[u8],
    ) -> Outcome<u16> {
        let identity = self.pairing(connection)?.identity().to_vec();
        let now = self.now();
        let account = self.account_mut(number)?;
        let device = account.next_device;
        account.next_device += 1;
        let key_index = u32::from(device);
        let signed = vouch(&account.identity, account.raw_id, key_index, now, &identity)?;
        let place = element("device")
            .attr("jid", account.jid(device, Addressing::Pn))
            .attr("lid", account.jid(device, Addressing::Lid))
            .build();
        let mut parts = vec![
            holding("device-identity", seal(&signed, adv_secret)?),
            element("platform").attr("name", "android").build(),
            place,
        ];
        if account.addressing == Addressing::Lid {
            let props = wa::ClientPairingProps {
                is_chat_db_lid_migrated: Some(true),
                ..Default::default()
            };
            parts.push(holding("client-props", props.encode_to_vec()));
        }
        let success = self.md_request(element("pair-success").children(parts).build());
        let number = number.clone();
        let attempt = self.pairing_mut(connection)?;
        attempt.promised = Some(Promise { number, device });
        attempt.link.send(success);
        Ok(device)
    }

    /// The client has countersigned: the companion exists from now on.
    pub(crate) fn finish_pairing(&mut self, link: &Link, signed: &Node) -> Outcome {
        let identity = child(signed, "device-identity").map(bytes).unwrap_or_default();
        let attempt = self.pairings.remove(&link.id).ok_or_else(no_attempt)?;
        let Promise { number, device } = attempt.promised.as_ref().ok_or_else(no_attempt)?;
        let account = self.account(number)?;
        let identity = check_countersigned(&identity, &account.identity, attempt.identity())?;
        let companion = Companion::new(*device, attempt.noise_key, attempt.bundle(), identity);
        self.add_companion(number, companion)?;
        end_link(link, Ending::StreamError { code: RESTART });
        Ok(())
    }

    pub(crate) fn pairing(&self, connection: u64) -> Outcome<&PairingAttempt> {
        self.pairings.get(&connection).ok_or_else(no_attempt)
    }

    pub(crate) fn pairing_mut(&mut self, connection: u64) -> Outcome<&mut PairingAttempt> {
        self.pairings.get_mut(&connection).ok_or_else(no_attempt)
    }
}

fn no_attempt() -> MultiDeviceError {
    MultiDeviceError::Invalid("the client is not pairing (any more)".to_owned())
}

impl PairingAttempt {
    /// The client's identity key.
    pub(crate) fn identity(&self) -> &[u8] {
        self.registration.e_ident.as_deref().unwrap_or_default()
    }

    fn bundle(&self) -> KeyBundle {
        let registration = self.registration.e_regid.as_deref().unwrap_or_default();
        KeyBundle {
            registration: registration.try_into().unwrap_or_default(),
            identity: self.identity().to_vec(),
            signed: SignedKey {
                id: self.registration.e_skey_id.clone().unwrap_or_default(),
                value: self.registration.e_skey_val.clone().unwrap_or_default(),
                signature: self.registration.e_skey_sig.clone().unwrap_or_default(),
            },
            one_time: VecDeque::new(),
        }
    }
}
