use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use wacore_binary::Server;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{self as part, ProtocolMessage};

use super::*;

/// A message with every readable part set, each text the same.
fn every_part(text: &str, number: f64, inner: Option<wa::Message>) -> Vec<wa::Message> {
    let text = || Some(text.to_owned());
    let key = || {
        some(wa::MessageKey {
            remote_jid: text(),
            from_me: Some(number > 0.0),
            id: text(),
            participant: text(),
        })
    };
    let context = || {
        some(wa::ContextInfo {
            stanza_id: text(),
            participant: text(),
            remote_jid: text(),
            external_ad_reply: some(wa::context_info::ExternalAdReplyInfo {
                title: text(),
                source_url: text(),
                ..Default::default()
            }),
            ..Default::default()
        })
    };
    let bytes = || text().map(String::into_bytes);
    let image = part::ImageMessage {
        url: text(),
        direct_path: text(),
        media_key: bytes(),
        file_sha256: bytes(),
        caption: text(),
        mimetype: text(),
        context_info: context(),
        ..Default::default()
    };
    let place = part::LocationMessage {
        degrees_latitude: Some(number),
        degrees_longitude: Some(number),
        name: text(),
        context_info: context(),
        ..Default::default()
    };
    let card = part::ContactMessage { display_name: text(), vcard: text(), ..Default::default() };
    let reaction = part::ReactionMessage { key: key(), text: text(), ..Default::default() };
    let update = part::PollUpdateMessage {
        poll_creation_message_key: key(),
        vote: some(part::PollEncValue { enc_payload: bytes(), enc_iv: bytes() }),
        ..Default::default()
    };
    let poll = part::PollCreationMessage {
        name: text(),
        options: vec![part::poll_creation_message::Option {
            option_name: text(),
            ..Default::default()
        }],
        selectable_options_count: Some(u32::MAX),
        ..Default::default()
    };
    let flow = part::interactive_response_message::NativeFlowResponseMessage {
        name: text(),
        params_json: text(),
        ..Default::default()
    };
    let answer = part::InteractiveResponseMessage {
        interactive_response_message: Some(flow.into()),
        ..Default::default()
    };
    let order = part::OrderMessage { order_id: text(), message: text(), ..Default::default() };
    let invite = part::GroupInviteMessage { group_jid: text(), ..Default::default() };
    let edit = ProtocolMessage {
        key: key(),
        r#type: Some(Type::MESSAGE_EDIT),
        edited_message: inner.map_or_else(MessageField::none, MessageField::some),
        ..Default::default()
    };
    let revoke = ProtocolMessage { key: key(), r#type: Some(Type::REVOKE), ..Default::default() };
    let button = part::ButtonsResponseMessage { selected_button_id: text(), ..Default::default() };
    vec![
        wa::Message { conversation: text(), ..Default::default() },
        wa::Message { image_message: some(image), ..Default::default() },
        wa::Message { location_message: some(place), ..Default::default() },
        wa::Message { contact_message: some(card), ..Default::default() },
        wa::Message { reaction_message: some(reaction), ..Default::default() },
        wa::Message { poll_update_message: some(update), ..Default::default() },
        wa::Message { poll_creation_message: some(poll), ..Default::default() },
        wa::Message { interactive_response_message: some(answer), ..Default::default() },
        wa::Message { order_message: some(order), ..Default::default() },
        wa::Message { group_invite_message: some(invite), ..Default::default() },
        wa::Message { protocol_message: some(edit), ..Default::default() },
        wa::Message { protocol_message: some(revoke), ..Default::default() },
        wa::Message { buttons_response_message: some(button), ..Default::default() },
    ]
}

fn has_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(has_nul),
        serde_json::Value::Object(fields) => {
            fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value))
        }
        _ => false,
    }
}

/// What storage could not keep, or should not have to.
fn is_storable(event: &ChannelEvent) {
    let message = match &event.body {
        EventBody::Message(message) | EventBody::Echo(message) => message,
        EventBody::Unknown { .. } => return,
        other => panic!("{other:?}"),
    };
    assert!(message.wire_id.len() <= 512);
    let content = serde_json::to_value(&message.content).expect("JSON");
    let name = message.profile_name.as_deref().unwrap_or_default();
    assert!(!has_nul(&content) && !name.contains('\0'), "{message:?}");
    assert!(message.referral.as_ref().is_none_or(|referral| !has_nul(referral)));
    let length = content.to_string().len();
    assert!(length < 1024 * 1024, "{length} bytes");
    assert!(event.raw.to_string().len() <= 64 * 1024);
}

fn check(message: &wa::Message, info: &MessageInfo) {
    if let Some(event) = event(&device(), &own(), message, info) {
        is_storable(&event);
    }
}

#[test]
fn huge_and_odd_texts_are_bounded() {
    let huge = "ä\0".repeat(300_000);
    for text in ["", "\0", "@", ":@", "a:b@lid", "@s.whatsapp.net", "1:99999999@lid", &huge] {
        for message in every_part(text, f64::NAN, None) {
            for info in [direct(), echoed(), in_group()] {
                check(&message, &info);
            }
        }
    }
}

#[test]
fn a_message_without_a_readable_id_is_kept_raw() {
    for id in ["", "a b", "\0", &"A".repeat(513)] {
        let info = MessageInfo { id: id.to_owned(), ..direct() };
        assert!(matches!(told(&text("Hi"), &info), Some(EventBody::Unknown { .. })), "{id}");
    }
}

#[test]
fn envelopes_as_deep_as_a_decoder_lets_them_are_opened() {
    let mut deep = text("Hi");
    for _ in 0..40 {
        let envelope = part::FutureProofMessage { message: some(deep) };
        deep = wa::Message { ephemeral_message: some(envelope), ..Default::default() };
    }
    assert_eq!(content(&deep), IncomingContent::Text { body: "Hi".into() });
    let bytes = waproto::codec::message_to_vec(&deep);
    check(&waproto::codec::message_decode(&bytes).expect("a protobuf"), &direct());
}

#[test]
fn raw_forms_of_long_messages_hold_their_length() {
    let event = event(&device(), &own(), &text(&"a".repeat(100_000)), &direct()).expect("an event");
    assert_eq!(event.raw["message"]["bytes"], serde_json::json!(100_004));
    is_storable(&event);
}

/// A field of a protobuf: its number, and what is in it.
#[derive(Debug, Clone)]
enum Field {
    Number(u64),
    Text(String),
    Bytes(Vec<u8>),
    Message(Vec<(u32, Field)>),
}

fn encode(fields: &[(u32, Field)], out: &mut Vec<u8>) {
    for (number, field) in fields {
        let (wire, payload) = match field {
            Field::Number(value) => {
                varint(u64::from(number << 3), out);
                varint(*value, out);
                continue;
            }
            Field::Text(text) => (2, text.as_bytes().to_vec()),
            Field::Bytes(bytes) => (2, bytes.clone()),
            Field::Message(fields) => {
                let mut inner = Vec::new();
                encode(fields, &mut inner);
                (2, inner)
            }
        };
        varint(u64::from((number << 3) | wire), out);
        varint(payload.len() as u64, out);
        out.extend(payload);
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let byte = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "(?s).{0,40}",
        "[0-9]{0,16}(:[0-9]{1,6})?@(s\\.whatsapp\\.net|lid|g\\.us|broadcast|bot|hosted|x)",
        "/[a-z]{0,9}",
        "\\{\"id\":\"[a-z]{0,3}\"\\}",
    ]
}

fn field() -> impl Strategy<Value = Field> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Field::Number),
        (0_u64..30).prop_map(Field::Number),
        odd_text().prop_map(Field::Text),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Field::Bytes),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop::collection::vec((1_u32..40, inner), 0..4).prop_map(Field::Message)
    })
}

/// Nearly every field of the outermost message is a message itself.
fn outermost() -> impl Strategy<Value = Vec<(u32, Field)>> {
    let inner = prop::collection::vec((1_u32..40, field()), 0..4).prop_map(Field::Message);
    prop::collection::vec((2_u32..128, inner), 1..4)
}

/// A property of messages that nobody can decode would prove nothing.
#[test]
fn many_made_up_protobufs_can_be_decoded() {
    let mut runner = TestRunner::deterministic();
    let mut decoded = 0;
    for _ in 0..200 {
        let fields = outermost().new_tree(&mut runner).expect("fields").current();
        let mut bytes = Vec::new();
        encode(&fields, &mut bytes);
        decoded += usize::from(waproto::codec::message_decode(&bytes).is_ok());
    }
    assert!(decoded > 20, "{decoded} of 200");
}

fn address() -> impl Strategy<Value = Jid> {
    let servers = [
        Server::Pn,
        Server::Lid,
        Server::Group,
        Server::Broadcast,
        Server::Newsletter,
        Server::Hosted,
        Server::HostedLid,
        Server::Messenger,
        Server::Interop,
        Server::Bot,
        Server::Legacy,
        Server::Call,
    ];
    ("[0-9]{0,16}|(?s).{0,20}", prop::sample::select(servers.to_vec()), any::<u16>())
        .prop_map(|(user, server, device)| Jid { device, ..Jid::new(user, server) })
}

prop_compose! {
    fn stanza()(
        chat in address(),
        sender in address(),
        sender_alt in prop::option::of(address()),
        is_from_me in any::<bool>(),
        id in prop_oneof!["[0-9A-F]{1,32}", "(?s).{0,20}"],
        push_name in "(?s).{0,40}",
        seconds in any::<i64>(),
    ) -> MessageInfo {
        MessageInfo {
            source: MessageSource {
                chat, sender, sender_alt, is_from_me, ..MessageSource::default()
            },
            id,
            push_name,
            timestamp: Timestamp::from_timestamp(seconds, 0).unwrap_or_default(),
            ..MessageInfo::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_protobuf_makes_it_panic(fields in outermost(), info in stanza()) {
        let mut bytes = Vec::new();
        encode(&fields, &mut bytes);
        if let Ok(message) = waproto::codec::message_decode(&bytes) {
            check(&message, &info);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), info in stanza()) {
        if let Ok(message) = waproto::codec::message_decode(&bytes) {
            check(&message, &info);
        }
    }

    #[test]
    fn no_part_makes_it_panic(text in odd_text(), number in any::<f64>(), info in stanza()) {
        for message in every_part(&text, number, None) {
            check(&message, &info);
            for edited in every_part(&text, number, Some(message)) {
                check(&edited, &info);
            }
        }
    }

    #[test]
    fn no_token_makes_it_panic(text in odd_text()) {
        let _ = FileToken::decode(&text);
    }
}
