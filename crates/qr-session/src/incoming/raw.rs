//! Messages kept as they came.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wacore::types::message::MessageInfo;
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use super::read;
use crate::address;
use crate::binary::Binary;

/// The longest protobuf that is kept whole, in bytes: with its base64 form an item stays below the 64 Ki
/// characters that are kept of one.
const LONGEST: usize = 44 * 1024;

/// The protobuf as base64. Of one that is too long only length and SHA-256 are kept.
pub(super) fn protobuf(message: &wa::Message) -> Value {
    let bytes = waproto::codec::message_to_vec(message);
    if bytes.len() <= LONGEST {
        return json!({ "protobuf": Binary::text(&bytes) });
    }
    json!({ "bytes": bytes.len(), "sha256": Binary::text(&Sha256::digest(&bytes)) })
}

/// A message with the ids of its stanza: enough to read it again.
pub(super) fn raw(message: &wa::Message, info: &MessageInfo) -> Value {
    let source = &info.source;
    let named = |jid: &Jid| address::is_usable(jid).then(|| jid.to_string());
    json!({
        "id": read::id(Some(&info.id)),
        "chat": named(&source.chat),
        "sender": named(&source.sender),
        "sender_alt": source.sender_alt.as_ref().and_then(named),
        "recipient": source.recipient.as_ref().and_then(named),
        "from_me": source.is_from_me,
        "at": info.timestamp.timestamp(),
        "message": protobuf(message),
    })
}
