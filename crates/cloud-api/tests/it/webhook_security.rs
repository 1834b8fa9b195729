//! The handshake and the signature.

use kabar_cloud_api::webhook::{
    HandshakeError, SignatureError, signature, verify_handshake, verify_handshake_query,
    verify_signature,
};
use kabar_core::Secret;
use proptest::prelude::*;

fn secret() -> Secret {
    Secret::from("app secret")
}

/// From RFC 4231, test case 2.
#[test]
fn the_signature_is_hmac_sha256() {
    let header = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let (key, body) = (Secret::from("Jefe"), b"what do ya want for nothing?");
    assert_eq!(signature(&key, body), header);
    assert_eq!(verify_signature(&key, Some(header), body), Ok(()));
    let shouted = header.to_uppercase().replace("SHA256", "sha256");
    assert_eq!(verify_signature(&key, Some(&shouted), body), Ok(()));
}

#[test]
fn what_is_wrong_with_a_signature_is_told_apart() {
    let body = "{\"name\":\"Zo\u{eb}\"}".as_bytes();
    let good = signature(&secret(), body);
    let verify = |header: Option<&str>| verify_signature(&secret(), header, body);
    assert_eq!(verify(Some(&good)), Ok(()));
    assert_eq!(verify(None), Err(SignatureError::Missing));
    for header in ["", "sha256=", "sha1=00", &good[7..], &good[..70], "sha256=zz", "sha256=é"] {
        assert_eq!(verify(Some(header)), Err(SignatureError::Malformed), "{header}");
    }
    let other = signature(&Secret::from("another secret"), body);
    assert_eq!(verify(Some(&other)), Err(SignatureError::Wrong));
    let nobody = Secret::from("");
    let signed_by_anybody = signature(&nobody, body);
    let result = verify_signature(&nobody, Some(&good), body);
    assert_eq!(result, Err(SignatureError::NoSecret));
    assert!(verify_signature(&nobody, Some(&signed_by_anybody), body).is_err());
}

proptest! {
    #[test]
    fn any_flipped_bit_is_noticed(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<proptest::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let header = signature(&secret(), &body);
        prop_assert_eq!(verify_signature(&secret(), Some(&header), &body), Ok(()));
        let mut flipped = body.clone();
        flipped[at.index(body.len())] ^= 1 << bit;
        let result = verify_signature(&secret(), Some(&header), &flipped);
        prop_assert_eq!(result, Err(SignatureError::Wrong));
        let mut header = header.into_bytes();
        let at = at.index(header.len());
        header[at] ^= 1 << bit;
        if let Ok(header) = String::from_utf8(header) {
            let result = verify_signature(&secret(), Some(&header), &body);
            // Flipping the case bit of a hexadecimal letter changes nothing.
            let same = header.to_lowercase() == signature(&secret(), &body);
            prop_assert_eq!(result.is_ok(), same && header.starts_with("sha256="));
        }
    }

    #[test]
    fn any_header_is_answered(header in ".*", body in proptest::collection::vec(any::<u8>(), 0..50)) {
        prop_assert!(verify_signature(&secret(), Some(&header), &body).is_err());
    }
}

#[test]
fn the_handshake_gives_the_challenge_back() {
    let query =
        [("hub.mode", "subscribe"), ("hub.challenge", "1158201444"), ("hub.verify_token", "maple")];
    let challenge = verify_handshake(query, &Secret::from("maple"));
    assert_eq!(challenge.as_deref(), Ok("1158201444"));
}

#[test]
fn a_handshake_that_is_not_metas_is_refused() {
    let token = Secret::from("maple & co");
    for (query, wanted) in [
        ("hub.mode=subscribe&hub.challenge=7&hub.verify_token=maple%20%26+co", Ok("7")),
        ("hub.mode=subscribe&hub.challenge=7&hub.verify_token=maple", Err(HandshakeError::Token)),
        ("hub.mode=subscribe&hub.challenge=7", Err(HandshakeError::Token)),
        ("hub.mode=subscribe&hub.verify_token=maple%20%26+co", Err(HandshakeError::Challenge)),
        ("hub.mode=unsubscribe&hub.challenge=7&hub.verify_token=maple", Err(HandshakeError::Mode)),
        ("", Err(HandshakeError::Mode)),
    ] {
        let challenge = verify_handshake_query(query, &token);
        assert_eq!(challenge.as_deref().map_err(|e| *e), wanted, "{query}");
    }
    let query = "hub.mode=subscribe&hub.challenge=7&hub.verify_token=";
    let unset = verify_handshake_query(query, &Secret::from(""));
    assert_eq!(unset, Err(HandshakeError::Token), "no token, no handshake");
}
