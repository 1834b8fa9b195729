//! Message ids in Meta's look.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::random::Dice;

/// A fresh id of a message the business sends: `wamid.` and base64 over the other side's number
/// and a unique part, laid out as Meta's ids are.
pub(crate) fn outgoing(dice: &Dice, peer: &str) -> String {
    wamid(dice, peer, 0x11, 18)
}

/// A fresh id of a message a customer sends.
pub(crate) fn incoming(dice: &Dice, peer: &str) -> String {
    wamid(dice, peer, 0x12, 20)
}

fn wamid(dice: &Dice, peer: &str, direction: u8, width: usize) -> String {
    let peer = peer.as_bytes();
    let unique = format!("{:016X}{:04X}", dice.next(), dice.next() & 0xFFFF);
    let unique = unique.as_bytes().get(..width).unwrap_or_default();
    let mut raw = Vec::with_capacity(peer.len() + width + 9);
    raw.extend([0x1C, 0x18, u8::try_from(peer.len()).unwrap_or(u8::MAX)]);
    raw.extend(peer);
    raw.extend([0x15, 0x02, 0x00, direction, 0x18, u8::try_from(width).unwrap_or(u8::MAX)]);
    raw.extend(unique);
    raw.push(0);
    format!("wamid.{}", STANDARD.encode(raw))
}
