//! Pairing by code: the client shows eight characters, the owner types them into the phone.
//!
//! The code encrypts the ephemeral keys of both sides; from what they agree on follows the secret
//! that a QR code would have carried.

use wacore::crypto::hkdf_sha256_into;
use wacore::pair_code::PairCodeUtils;
use wacore_binary::Node;
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::KeyPair;

use super::address::Number;
use super::curve::{self, KEY_LENGTH};
use super::error::{MultiDeviceError, Outcome};
use super::link::Link;
use super::stanza::{SERVER, attr, child, child_bytes, element, holding, jid, result};
use super::state::State;

const BUNDLE_INFO: &[u8] = b"link_code_pairing_key_bundle_encryption_key";
const SECRET_INFO: &[u8] = b"adv_secret";
/// The wrapped bundle starts with a salt and an IV …
const SALT: usize = 32;
const IV: usize = 12;
/// … and holds companion identity, phone identity, random bytes.
const BUNDLE: usize = 3 * KEY_LENGTH;

/// Where a client stands on its way to being paired by code.
pub(crate) struct CodeFlow {
    number: Number,
    reference: Vec<u8>,
    wrapped_ephemeral: Vec<u8>,
    /// Set once the code has been entered.
    entered: Option<Entered>,
}

struct Entered {
    ours: KeyPair,
    theirs: [u8; KEY_LENGTH],
}

impl State {
    pub(crate) fn handle_pair_code(&mut self, link: &Link, request: &Node) -> Outcome {
        let Some(step) = child(request, "link_code_companion_reg") else { return Ok(()) };
        match attr(step, "stage").as_deref() {
            Some("companion_hello") => self.begin_code(link, request, step),
            Some("companion_finish") => {
                link.send(result(request).build());
                self.finish_code(link.id, step)
            }
            other => {
                self.note_unhandled(format!("link code stage {}", other.unwrap_or_default()));
                link.send(result(request).build());
                Ok(())
            }
        }
    }

    fn begin_code(&mut self, link: &Link, request: &Node, step: &Node) -> Outcome {
        let asked = jid(step, "jid").ok_or_else(|| MultiDeviceError::malformed("jid"))?;
        let number = self
            .resolve_number(asked.user.as_str())
            .ok_or_else(|| MultiDeviceError::not_found("phone", asked.user.as_str()))?;
        let reference = format!("3@{}", self.stanza_id()).into_bytes();
        let flow = CodeFlow {
            number,
            reference: reference.clone(),
            wrapped_ephemeral: child_bytes(
                step,
                "link_code_pairing_wrapped_companion_ephemeral_pub",
            ),
            entered: None,
        };
        self.pairing_mut(link.id)?.code = Some(flow);
        let answer = element("link_code_companion_reg")
            .attr("stage", "companion_hello")
            .children([holding("link_code_pairing_ref", reference)])
            .build();
        link.send(result(request).children([answer]).build());
        Ok(())
    }

    /// The owner types a code into the phone. A wrong one leads nowhere, as with the real thing.
    pub(crate) fn enter_code(&mut self, number: &Number, code: &str) -> Outcome {
        let code = code.replace('-', "").to_uppercase();
        let phone_identity = curve::public(&self.account(number)?.identity);
        let attempt = self
            .pairings
            .values_mut()
            .find(|attempt| attempt.code.as_ref().is_some_and(|flow| flow.number == *number))
            .ok_or_else(|| MultiDeviceError::not_found("code", &*code))?;
        let link = attempt.link.clone();
        let flow =
            attempt.code.as_mut().ok_or_else(|| MultiDeviceError::not_found("code", &*code))?;
        let theirs = PairCodeUtils::decrypt_primary_ephemeral_pub(&flow.wrapped_ephemeral, &code)
            .map_err(|error| MultiDeviceError::malformed(error.to_string()))?;
        let ours = curve::generate();
        let wrapped = PairCodeUtils::encrypt_ephemeral_pub(&curve::public_array(&ours)?, &code);
        flow.entered = Some(Entered { ours, theirs });
        let step = element("link_code_companion_reg")
            .attr("stage", "primary_hello")
            .children([
                holding("link_code_pairing_wrapped_primary_ephemeral_pub", wrapped.to_vec()),
                holding("primary_identity_pub", phone_identity),
                holding("link_code_pairing_ref", flow.reference.clone()),
            ])
            .build();
        let notification = element("notification")
            .attr("from", SERVER)
            .attr("type", "link_code_companion_reg")
            .attr("id", self.stanza_id())
            .attr("t", self.now().to_string())
            .children([step])
            .build();
        link.send(notification);
        Ok(())
    }

    fn finish_code(&mut self, connection: u64, step: &Node) -> Outcome {
        let flow = self.pairing_mut(connection)?.code.take();
        let CodeFlow { number, entered, .. } =
            flow.ok_or_else(|| MultiDeviceError::malformed("no code was asked for"))?;
        let entered = entered.ok_or_else(|| MultiDeviceError::malformed("no code was entered"))?;
        let companion = child_bytes(step, "companion_identity_public");
        if companion != self.pairing(connection)?.identity() {
            return Err(MultiDeviceError::malformed("another companion's identity"));
        }
        let wrapped = child_bytes(step, "link_code_pairing_wrapped_key_bundle");
        let identity = &self.account(&number)?.identity;
        let secret = adv_secret(&entered, identity, &companion, &wrapped)?;
        self.promise(&number, connection, &secret)?;
        Ok(())
    }
}

/// What a QR code would have carried, from what both sides know now.
fn adv_secret(
    entered: &Entered,
    phone: &KeyPair,
    companion: &[u8],
    wrapped: &[u8],
) -> Outcome<[u8; KEY_LENGTH]> {
    let short = || MultiDeviceError::malformed("key bundle too short");
    let (salt, rest) = wrapped.split_at_checked(SALT).ok_or_else(short)?;
    let (iv, sealed) = rest.split_first_chunk::<IV>().ok_or_else(short)?;
    let shared = curve::agree(&entered.ours, &entered.theirs)?;
    let key = derive(&shared, Some(salt), BUNDLE_INFO)?;
    let mut bundle = Vec::with_capacity(BUNDLE);
    aes_256_gcm_decrypt(&key, iv, b"", sealed, &mut bundle)
        .map_err(|_| MultiDeviceError::malformed("key bundle: wrong code"))?;
    let (identity, rest) = bundle.split_at_checked(KEY_LENGTH).ok_or_else(short)?;
    let (_phone, random) = rest.split_at_checked(KEY_LENGTH).ok_or_else(short)?;
    if identity != companion {
        return Err(MultiDeviceError::malformed("key bundle: another identity"));
    }
    let identities = curve::agree(phone, companion)?;
    derive(&[shared.as_slice(), &identities, random].concat(), None, SECRET_INFO)
}

fn derive(secret: &[u8], salt: Option<&[u8]>, info: &[u8]) -> Outcome<[u8; KEY_LENGTH]> {
    let mut key = [0; KEY_LENGTH];
    hkdf_sha256_into(secret, salt, info, &mut key)
        .map_err(|_| MultiDeviceError::malformed("key derivation"))?;
    Ok(key)
}
