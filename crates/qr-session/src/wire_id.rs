//! The id of a message on the wire, chosen before it is sent.

use std::fmt::Write as _;

use kabar_core::MessageId;
use sha2::{Digest, Sha256};

/// What WhatsApp Web's own ids begin with; phones tell a companion's messages by it.
const PREFIX: &str = "3EB0";
/// How many bytes follow, two upper-case hexadecimal digits each: 18 digits, as WhatsApp Web has.
const BYTES: usize = 9;

/// The id on the wire: `3EB0` and the first 18 hexadecimal digits of the SHA-256 of the id's
/// sixteen bytes. The same message always gets the same id, so a resend carries it again and the
/// recipient's device drops the copy; and the id tells nobody when or where it was made, which the
/// bytes themselves would.
pub(crate) fn wire_id(message: MessageId) -> String {
    let digest = Sha256::digest(message.uuid().as_bytes());
    let mut id = String::from(PREFIX);
    for byte in digest.iter().take(BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02X}");
    }
    id
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_id_is_known_for_good() {
        let message = MessageId::from(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001));
        // Stored messages carry this id: it must never change.
        insta::assert_snapshot!(wire_id(message), @"3EB049F0DAAAD49B54E176");
    }

    #[test]
    fn ids_have_the_shape_of_whatsapp_webs_and_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..1_000_u128 {
            let id = wire_id(MessageId::from(Uuid::from_u128(number)));
            let digits = id.strip_prefix(PREFIX).expect("the prefix");
            assert_eq!(digits.len(), 18);
            assert!(digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')), "{id}");
            assert!(seen.insert(id));
        }
    }
}
