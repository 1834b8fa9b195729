//! Every kind of message once, and what hostile ones do.

mod hostile;
mod kinds;
mod people;

use kabar_channel::ChannelKind;
use kabar_core::Timestamp;
use wacore::types::message::MessageSource;
use wacore_binary::Jid;
use waproto::buffa::MessageField;

use super::*;

const CUSTOMER: &str = "628123456789:2@s.whatsapp.net";
const GROUP: &str = "120363@g.us";

fn jid(text: &str) -> Jid {
    text.parse().expect("an address")
}

fn own() -> Own {
    Own { number: Some(jid("62811100000:5@s.whatsapp.net")), lid: Some(jid("11:5@lid")) }
}

fn device() -> DeviceAddress {
    DeviceAddress { channel: ChannelKind::QR_SESSION, address: "62811100000".into() }
}

fn info(chat: &str, sender: &str) -> MessageInfo {
    MessageInfo {
        source: MessageSource {
            chat: jid(chat).to_non_ad(),
            sender: jid(sender),
            is_group: chat.ends_with("g.us"),
            ..MessageSource::default()
        },
        id: "3EB0AA".into(),
        push_name: "Budi".into(),
        timestamp: Timestamp::from_timestamp(1_760_000_000, 0).expect("a time"),
        ..MessageInfo::default()
    }
}

/// From a customer, in their own chat.
fn direct() -> MessageInfo {
    info(CUSTOMER, CUSTOMER)
}

/// From the business's own phone, to the customer.
fn echoed() -> MessageInfo {
    let mut info = info(CUSTOMER, "62811100000@s.whatsapp.net");
    info.source.is_from_me = true;
    info
}

/// From a member, in a group.
fn in_group() -> MessageInfo {
    info(GROUP, "77:2@lid")
}

fn text(body: &str) -> wa::Message {
    wa::Message { conversation: Some(body.into()), ..wa::Message::default() }
}

fn told(message: &wa::Message, info: &MessageInfo) -> Option<EventBody> {
    event(&device(), &own(), message, info).map(|event| event.body)
}

fn read(message: &wa::Message, info: &MessageInfo) -> IncomingMessage {
    match told(message, info) {
        Some(EventBody::Message(message) | EventBody::Echo(message)) => *message,
        other => panic!("{other:?}"),
    }
}

fn content(message: &wa::Message) -> IncomingContent {
    read(message, &direct()).content
}

/// A set part of a message.
fn some<T: Default>(part: T) -> MessageField<T> {
    MessageField::some(part)
}

fn key(id: &str, from_me: bool, participant: Option<&str>) -> MessageField<wa::MessageKey> {
    some(wa::MessageKey {
        // From the customer's point of view the chat is ours.
        remote_jid: Some("62811100000@s.whatsapp.net".into()),
        from_me: Some(from_me),
        id: Some(id.into()),
        participant: participant.map(str::to_owned),
    })
}
