//! What becomes of messages that we sent: WhatsApp's receipts into statuses.

use std::collections::BTreeSet;

use kabar_channel::incoming::Delivery;
use kabar_channel::{ChannelEvent, DeviceAddress, EventBody, PersonIds, StatusUpdate};
use serde_json::{Value, json};
use wacore::types::events::Receipt;
use wacore::types::presence::ReceiptType;
use wacore_binary::{Jid, JidExt as _};

use crate::address::{self, Own};
use crate::incoming::read;

/// A status for each message that a receipt names. Every device of a recipient sends its own receipt;
/// the same status twice changes nothing. Receipts of our own devices say nothing about the recipient,
/// and so do those about stories.
pub(crate) fn events(device: &DeviceAddress, own: &Own, receipt: &Receipt) -> Vec<ChannelEvent> {
    let Some(delivery) = delivery(&receipt.r#type) else {
        return Vec::new();
    };
    let source = &receipt.source;
    let ours = source.is_from_me || own.is(&source.sender);
    if ours || source.chat.is_status_broadcast() || source.chat.is_newsletter() {
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let ids = receipt.message_ids.iter().filter_map(|id| read::id(Some(id)));
    ids.filter(|id| seen.insert(id.clone()))
        .map(|id| ChannelEvent {
            device: Some(device.clone()),
            raw: raw(receipt, &id),
            body: EventBody::Status(Box::new(status(receipt, id, delivery.clone()))),
        })
        .collect()
}

/// A device that is not in use sends `inactive` instead of a delivery receipt: the message is there.
fn delivery(kind: &ReceiptType) -> Option<Delivery> {
    match kind {
        ReceiptType::Delivered | ReceiptType::Inactive => Some(Delivery::Delivered),
        ReceiptType::Read => Some(Delivery::Read),
        ReceiptType::Played => Some(Delivery::Played),
        _ => None,
    }
}

/// In a group the one who reports is a participant, and the group is no person.
fn status(receipt: &Receipt, wire_id: String, delivery: Delivery) -> StatusUpdate {
    let source = &receipt.source;
    let reporter =
        address::person([Some(&source.sender), source.sender_alt.as_ref()].into_iter().flatten());
    let (recipient, participant) = if source.chat.is_group() {
        (PersonIds::default(), Some(reporter).filter(|ids| !ids.is_empty()))
    } else {
        (reporter, None)
    };
    StatusUpdate {
        wire_id,
        callback: None,
        delivery,
        at: read::time(receipt.timestamp),
        recipient,
        participant,
        pricing: None,
        entry_point_expires_at: None,
    }
}

fn raw(receipt: &Receipt, id: &str) -> Value {
    let named = |jid: &Jid| address::is_usable(jid).then(|| jid.to_string());
    json!({
        "id": id,
        "type": receipt.r#type.as_wire_str(),
        "chat": named(&receipt.source.chat),
        "sender": named(&receipt.source.sender),
        "at": receipt.timestamp.timestamp(),
    })
}

#[cfg(test)]
mod tests {
    use kabar_channel::ChannelKind;
    use kabar_core::Timestamp;
    use wacore::types::message::MessageSource;

    use super::*;

    fn jid(text: &str) -> Jid {
        text.parse().expect("an address")
    }

    fn own() -> Own {
        Own { number: Some(jid("62811100000:5@s.whatsapp.net")), lid: Some(jid("11:5@lid")) }
    }

    fn source(chat: &str, sender: &str, alt: Option<&str>) -> MessageSource {
        MessageSource {
            chat: jid(chat),
            sender: jid(sender),
            sender_alt: alt.map(jid),
            ..MessageSource::default()
        }
    }

    fn receipt(kind: ReceiptType, source: MessageSource, ids: &[&str]) -> Receipt {
        Receipt::builder()
            .source(source)
            .message_ids(ids.iter().map(ToString::to_string).collect())
            .timestamp(Timestamp::from_timestamp(1_760_000_000, 0).expect("a time"))
            .r#type(kind)
            .offline(false)
            .build()
    }

    fn statuses(receipt: &Receipt) -> Vec<StatusUpdate> {
        let device =
            DeviceAddress { channel: ChannelKind::QR_SESSION, address: "62811100000".to_owned() };
        let events = events(&device, &own(), receipt);
        let status = |event: ChannelEvent| match event.body {
            EventBody::Status(status) => *status,
            other => panic!("{other:?}"),
        };
        events.into_iter().map(status).collect()
    }

    fn person() -> MessageSource {
        source("628123456789:2@s.whatsapp.net", "628123456789:2@s.whatsapp.net", None)
    }

    #[test]
    fn each_kind_tells_how_far_a_message_got() {
        for (kind, wanted) in [
            (ReceiptType::Delivered, Some(Delivery::Delivered)),
            (ReceiptType::Inactive, Some(Delivery::Delivered)),
            (ReceiptType::Read, Some(Delivery::Read)),
            (ReceiptType::Played, Some(Delivery::Played)),
            (ReceiptType::Sent, None),
            (ReceiptType::Sender, None),
            (ReceiptType::ReadSelf, None),
            (ReceiptType::PlayedSelf, None),
            (ReceiptType::Retry, None),
            (ReceiptType::EncRekeyRetry, None),
            (ReceiptType::ServerError, None),
            (ReceiptType::PeerMsg, None),
            (ReceiptType::HistorySync, None),
            (ReceiptType::Other("view".into()), None),
        ] {
            let told = statuses(&receipt(kind.clone(), person(), &["A"]));
            let told: Vec<Delivery> = told.into_iter().map(|status| status.delivery).collect();
            assert_eq!(told, wanted.into_iter().collect::<Vec<_>>(), "{kind:?}");
        }
    }

    #[test]
    fn each_message_has_its_status_once() {
        let told = statuses(&receipt(ReceiptType::Read, person(), &["A", "B", "A", "", "a b"]));
        let ids: Vec<&str> = told.iter().map(|status| status.wire_id.as_str()).collect();
        assert_eq!(ids, ["A", "B"]);
    }

    #[test]
    fn the_recipient_is_known_in_both_namespaces() {
        let source = source("77:2@lid", "77:2@lid", Some("628123456789@s.whatsapp.net"));
        let told = statuses(&receipt(ReceiptType::Delivered, source, &["A"]));
        let status = told.first().expect("a status");
        assert_eq!(status.recipient.lid.as_deref(), Some("77"));
        let phone = status.recipient.phone.as_ref();
        assert_eq!(phone.map(kabar_core::PhoneNumber::as_str), Some("+628123456789"));
        assert_eq!(status.participant, None);
        assert_eq!(status.at.map(|at| at.timestamp()), Some(1_760_000_000));
    }

    #[test]
    fn in_a_group_a_participant_reports() {
        let source = source("120363@g.us", "77:2@lid", Some("628123456789@s.whatsapp.net"));
        let told = statuses(&receipt(ReceiptType::Read, source, &["A"]));
        let status = told.first().expect("a status");
        assert!(status.recipient.is_empty());
        let participant = status.participant.as_ref().expect("a participant");
        assert_eq!(participant.lid.as_deref(), Some("77"));
    }

    #[test]
    fn our_own_devices_and_stories_tell_nothing() {
        for source in [
            source("62811100000@s.whatsapp.net", "62811100000@s.whatsapp.net", None),
            source("120363@g.us", "11:7@lid", None),
            source("status@broadcast", "628123456789@s.whatsapp.net", None),
            source("1203@newsletter", "1203@newsletter", None),
        ] {
            assert!(statuses(&receipt(ReceiptType::Read, source, &["A"])).is_empty());
        }
    }
}
