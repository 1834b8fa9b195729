//! The server's side of the Noise handshake, XX and IK, and the ciphers that follow.
//!
//! XX: client sends `e`; server answers `e, ee, s, es` and its certificates; client finishes with
//! `s, se` and its payload. IK: client already knows our static key and sends `e, es, s, ss` with
//! the payload at once; server answers `e, ee, se` and its certificates. A first message in the IK
//! shape that does not open (a client that cached other keys) is answered as `XXfallback`.

use buffa::{Message, MessageField};
use bytes::BytesMut;
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK};
use wacore_libsignal::protocol::KeyPair;
use wacore_noise::{NoiseCipher, NoiseHandshake};
use waproto::whatsapp::HandshakeMessage;
use waproto::whatsapp::handshake_message::{ClientFinish, ClientHello, ServerHello};

use super::curve::{self, KEY_LENGTH};
use super::error::{MultiDeviceError, Outcome};
use super::keys::ServerKeys;

/// One direction of a connection after the handshake.
pub(crate) struct Cipher {
    cipher: NoiseCipher,
    counter: u32,
}

impl Cipher {
    fn new(cipher: NoiseCipher) -> Self {
        Self { cipher, counter: 0 }
    }

    pub(crate) fn seal(&mut self, payload: &mut Vec<u8>) -> Outcome {
        self.cipher
            .encrypt_in_place_with_counter(self.counter, payload)
            .map_err(MultiDeviceError::crypto)?;
        self.counter += 1;
        Ok(())
    }

    pub(crate) fn open(&mut self, frame: &mut BytesMut) -> Outcome {
        self.cipher
            .decrypt_in_place_with_counter(self.counter, frame)
            .map_err(MultiDeviceError::crypto)?;
        self.counter += 1;
        Ok(())
    }
}

/// Which handshake a connection went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// The full handshake with certificates: pairing, and clients that cache no server key.
    Xx,
    /// The short one of a client that knows the server's key.
    Ik,
    /// The full one after a short one that did not open.
    XxFallback,
}

/// What a finished handshake leaves behind.
pub(crate) struct Secured {
    pub(crate) pattern: Pattern,
    /// Encoded `ClientPayload`.
    pub(crate) payload: Vec<u8>,
    /// The client's Noise static key, which proves who it is.
    pub(crate) client_key: [u8; KEY_LENGTH],
    pub(crate) incoming: Cipher,
    pub(crate) outgoing: Cipher,
}

/// What the first client message leads to.
pub(crate) enum Greeting {
    /// Send this; the handshake is over.
    Done(Vec<u8>, Box<Secured>),
    /// Send this and wait for the client's finish.
    Half(Vec<u8>, Box<HalfOpen>),
}

/// Between the server's hello and the client's finish.
pub(crate) struct HalfOpen {
    pattern: Pattern,
    noise: NoiseHandshake,
    ephemeral: KeyPair,
}

/// Answers the first message of a connection.
pub(crate) fn greet(keys: &ServerKeys, prologue: &[u8], frame: &[u8]) -> Outcome<Greeting> {
    let hello = decode(frame)?
        .client_hello
        .into_option()
        .ok_or_else(|| MultiDeviceError::malformed("no client hello"))?;
    let theirs = key_field(hello.ephemeral.as_deref(), "client ephemeral")?;
    if hello.r#static.is_none() {
        return begin_xx(keys, prologue, &theirs, Pattern::Xx);
    }
    match answer_ik(keys, prologue, &theirs, &hello) {
        Ok(done) => Ok(done),
        Err(_) => begin_xx(keys, prologue, &theirs, Pattern::XxFallback),
    }
}

fn begin_xx(
    keys: &ServerKeys,
    prologue: &[u8],
    theirs: &[u8],
    pattern: Pattern,
) -> Outcome<Greeting> {
    let name = if pattern == Pattern::Xx { NOISE_PATTERN_XX } else { NOISE_PATTERN_XXFALLBACK };
    let ephemeral = curve::generate();
    let ours = curve::public(&ephemeral);
    let mut noise = NoiseHandshake::new(name, prologue).map_err(MultiDeviceError::crypto)?;
    noise.authenticate(theirs);
    noise.authenticate(&ours);
    mix(&mut noise, &ephemeral, theirs)?;
    let sealed_key = seal(&mut noise, &curve::public(&keys.leaf))?;
    mix(&mut noise, &keys.leaf, theirs)?;
    let payload = seal(&mut noise, &keys.chain)?;
    let hello = server_hello(ours, Some(sealed_key), payload);
    Ok(Greeting::Half(hello, Box::new(HalfOpen { pattern, noise, ephemeral })))
}

fn answer_ik(
    keys: &ServerKeys,
    prologue: &[u8],
    theirs: &[u8],
    hello: &ClientHello,
) -> Outcome<Greeting> {
    let mut noise =
        NoiseHandshake::new(NOISE_PATTERN_IK, prologue).map_err(MultiDeviceError::crypto)?;
    noise.authenticate(&curve::public(&keys.leaf));
    noise.authenticate(theirs);
    mix(&mut noise, &keys.leaf, theirs)?;
    let client_key = open_key(&mut noise, hello.r#static.as_deref())?;
    mix(&mut noise, &keys.leaf, &client_key)?;
    let payload = open(&mut noise, hello.payload.as_deref())?;
    let ephemeral = curve::generate();
    let ours = curve::public(&ephemeral);
    noise.authenticate(&ours);
    mix(&mut noise, &ephemeral, theirs)?;
    mix(&mut noise, &ephemeral, &client_key)?;
    let certificates = seal(&mut noise, &keys.chain)?;
    let secured = secured(noise, Pattern::Ik, payload, client_key)?;
    Ok(Greeting::Done(server_hello(ours, None, certificates), Box::new(secured)))
}

impl HalfOpen {
    /// Takes the client's finish.
    pub(crate) fn finish(mut self, frame: &[u8]) -> Outcome<Secured> {
        let ClientFinish { r#static, payload, .. } = decode(frame)?
            .client_finish
            .into_option()
            .ok_or_else(|| MultiDeviceError::malformed("no client finish"))?;
        let client_key = open_key(&mut self.noise, r#static.as_deref())?;
        mix(&mut self.noise, &self.ephemeral, &client_key)?;
        let payload = open(&mut self.noise, payload.as_deref())?;
        secured(self.noise, self.pattern, payload, client_key)
    }
}

fn secured(
    noise: NoiseHandshake,
    pattern: Pattern,
    payload: Vec<u8>,
    client_key: [u8; KEY_LENGTH],
) -> Outcome<Secured> {
    // The pair is named from the client's view: what it writes we read.
    let (client_writes, client_reads) = noise.finish().map_err(MultiDeviceError::crypto)?;
    Ok(Secured {
        pattern,
        payload,
        client_key,
        incoming: Cipher::new(client_writes),
        outgoing: Cipher::new(client_reads),
    })
}

fn decode(frame: &[u8]) -> Outcome<HandshakeMessage> {
    HandshakeMessage::decode_from_slice(frame).map_err(MultiDeviceError::crypto)
}

fn server_hello(ephemeral: Vec<u8>, key: Option<Vec<u8>>, payload: Vec<u8>) -> Vec<u8> {
    let hello = ServerHello {
        ephemeral: Some(ephemeral),
        r#static: key,
        payload: Some(payload),
        ..Default::default()
    };
    HandshakeMessage { server_hello: MessageField::some(hello), ..Default::default() }
        .encode_to_vec()
}

fn key_field(bytes: Option<&[u8]>, what: &str) -> Outcome<[u8; KEY_LENGTH]> {
    curve::key_array(bytes.unwrap_or_default(), what)
}

fn mix(noise: &mut NoiseHandshake, ours: &KeyPair, theirs: &[u8]) -> Outcome {
    noise.mix_shared_secret(ours.private_key.serialize(), theirs).map_err(MultiDeviceError::crypto)
}

fn seal(noise: &mut NoiseHandshake, plain: &[u8]) -> Outcome<Vec<u8>> {
    noise.encrypt(plain).map_err(MultiDeviceError::crypto)
}

fn open(noise: &mut NoiseHandshake, sealed: Option<&[u8]>) -> Outcome<Vec<u8>> {
    noise.decrypt(sealed.unwrap_or_default()).map_err(MultiDeviceError::crypto)
}

fn open_key(noise: &mut NoiseHandshake, sealed: Option<&[u8]>) -> Outcome<[u8; KEY_LENGTH]> {
    curve::key_array(&open(noise, sealed)?, "client static key")
}
