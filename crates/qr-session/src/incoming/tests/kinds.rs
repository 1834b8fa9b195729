use kabar_channel::content::{ContactCard, Location};
use serde_json::json;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{self as part, FutureProofMessage, ProtocolMessage};

use super::*;

fn image() -> part::ImageMessage {
    part::ImageMessage {
        direct_path: Some("/v/1".into()),
        media_key: Some(vec![1; 32]),
        file_sha256: Some(vec![2; 32]),
        mimetype: Some("image/jpeg".into()),
        caption: Some("Look".into()),
        ..part::ImageMessage::default()
    }
}

fn with_image() -> wa::Message {
    wa::Message { image_message: some(image()), ..wa::Message::default() }
}

fn envelope(message: wa::Message) -> MessageField<FutureProofMessage> {
    some(FutureProofMessage { message: some(message) })
}

#[test]
fn words() {
    let wanted = IncomingContent::Text { body: "Hi".into() };
    assert_eq!(content(&text("Hi")), wanted);
    let extended = part::ExtendedTextMessage { text: Some("Hi".into()), ..Default::default() };
    let message = wa::Message { extended_text_message: some(extended), ..Default::default() };
    assert_eq!(content(&message), wanted);
}

#[test]
fn files() {
    let IncomingContent::Image(file) = content(&with_image()) else { panic!() };
    assert_eq!(file.caption.as_deref(), Some("Look"));
    assert_eq!(file.mime.as_deref(), Some("image/jpeg"));
    assert_eq!(file.sha256.as_deref(), Some("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="));
    let token = FileToken::decode(&file.wire_media_id).expect("a token");
    assert_eq!(token.kind, FileKind::Image);

    // A round video note is a film.
    let round = part::VideoMessage { direct_path: Some("/v/2".into()), ..Default::default() };
    let message = wa::Message { ptv_message: some(round), ..Default::default() };
    assert!(matches!(content(&message), IncomingContent::Video(_)));
}

#[test]
fn of_a_file_that_nobody_can_fetch_the_words_stay() {
    let lost = part::ImageMessage { direct_path: None, ..image() };
    let message = wa::Message { image_message: some(lost.clone()), ..Default::default() };
    assert_eq!(content(&message), IncomingContent::Text { body: "Look".into() });
    let silent = part::ImageMessage { caption: None, ..lost };
    let message = wa::Message { image_message: some(silent), ..Default::default() };
    let IncomingContent::Unknown { kind, .. } = content(&message) else { panic!() };
    assert_eq!(kind, "image_message");
}

#[test]
fn envelopes_are_opened() {
    let wraps: [fn(wa::Message) -> wa::Message; 6] = [
        |inner| wa::Message { ephemeral_message: envelope(inner), ..Default::default() },
        |inner| wa::Message { view_once_message: envelope(inner), ..Default::default() },
        |inner| wa::Message { view_once_message_v2: envelope(inner), ..Default::default() },
        |inner| wa::Message {
            document_with_caption_message: envelope(inner),
            ..Default::default()
        },
        |inner| wa::Message { edited_message: envelope(inner), ..Default::default() },
        |inner| {
            let sent = part::DeviceSentMessage {
                destination_jid: Some(CUSTOMER.into()),
                message: some(inner),
                phash: None,
            };
            wa::Message { device_sent_message: some(sent), ..Default::default() }
        },
    ];
    let mut all = with_image();
    for wrap in wraps {
        assert!(matches!(content(&wrap(with_image())), IncomingContent::Image(_)));
        all = wrap(all);
    }
    assert!(matches!(content(&all), IncomingContent::Image(_)));

    let empty = wa::Message {
        ephemeral_message: some(FutureProofMessage::default()),
        ..Default::default()
    };
    let IncomingContent::Unknown { kind, .. } = content(&empty) else { panic!() };
    assert_eq!(kind, "ephemeral_message");
}

#[test]
fn places() {
    let place = part::LocationMessage {
        degrees_latitude: Some(-6.2),
        degrees_longitude: Some(106.8),
        name: Some("Monas".into()),
        ..Default::default()
    };
    let still = wa::Message { location_message: some(place.clone()), ..Default::default() };
    let wanted =
        Location { latitude: -6.2, longitude: 106.8, name: Some("Monas".into()), address: None };
    assert_eq!(content(&still), IncomingContent::Location(wanted.clone()));

    let live = part::LiveLocationMessage {
        degrees_latitude: Some(-6.2),
        degrees_longitude: Some(106.8),
        caption: Some("Monas".into()),
        ..Default::default()
    };
    let live = wa::Message { live_location_message: some(live), ..Default::default() };
    assert_eq!(content(&live), IncomingContent::Location(wanted));

    for (latitude, longitude) in [(91.0, 0.0), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
        let nowhere = part::LocationMessage {
            degrees_latitude: Some(latitude),
            degrees_longitude: Some(longitude),
            ..Default::default()
        };
        let message = wa::Message { location_message: some(nowhere), ..Default::default() };
        assert_eq!(content(&message).kind(), "unknown");
    }
}

#[test]
fn cards() {
    let card = |name: &str| part::ContactMessage {
        display_name: Some(name.into()),
        vcard: Some("BEGIN:VCARD\nTEL;waid=628:+62 8\nEND:VCARD".into()),
        ..Default::default()
    };
    let read = |name: &str| ContactCard {
        name: name.into(),
        phones: vec!["+62 8".into()],
        emails: Vec::new(),
        organisation: None,
    };
    let one = wa::Message { contact_message: some(card("Ani")), ..Default::default() };
    assert_eq!(content(&one), IncomingContent::Contacts { cards: vec![read("Ani")] });
    let array = part::ContactsArrayMessage {
        contacts: vec![card("Ani"), card("Budi")],
        ..Default::default()
    };
    let many = wa::Message { contacts_array_message: some(array), ..Default::default() };
    let wanted = IncomingContent::Contacts { cards: vec![read("Ani"), read("Budi")] };
    assert_eq!(content(&many), wanted);
}

fn reaction(key: MessageField<wa::MessageKey>, emoji: &str) -> wa::Message {
    let reaction = part::ReactionMessage { key, text: Some(emoji.into()), ..Default::default() };
    wa::Message { reaction_message: some(reaction), ..Default::default() }
}

#[test]
fn reactions_and_whose_message_they_are_for() {
    let target = |info: &MessageInfo, key| match read(&reaction(key, "👍"), info).content {
        IncomingContent::Reaction { target, emoji } => {
            assert_eq!(emoji.as_deref(), Some("👍"));
            (target.chat.unwrap_or_default(), target.sender, target.from_me)
        }
        other => panic!("{other:?}"),
    };
    let customer = "628123456789@s.whatsapp.net";
    let (us, member) = ("62811100000@s.whatsapp.net", "77@lid");
    for (info, key, wanted) in [
        (direct(), key("A", false, None), (customer, Some(us), true)),
        (direct(), key("A", true, None), (customer, Some("628123456789@s.whatsapp.net"), false)),
        (echoed(), key("A", false, None), (customer, Some(customer), false)),
        (echoed(), key("A", true, None), (customer, Some(us), true)),
        (in_group(), key("A", false, Some("11:3@lid")), (GROUP, Some("11@lid"), true)),
        (in_group(), key("A", false, Some("88@lid")), (GROUP, Some("88@lid"), false)),
        (in_group(), key("A", true, None), (GROUP, Some(member), false)),
        (in_group(), key("A", false, None), (GROUP, None, false)),
        (in_group(), key("A", false, Some("no address")), (GROUP, None, false)),
    ] {
        let (chat, sender, from_me) = wanted;
        let wanted = (chat.to_owned(), sender.map(str::to_owned), from_me);
        assert_eq!(target(&info, key), wanted);
    }
    let taken_back = content(&reaction(key("A", false, None), ""));
    assert!(matches!(taken_back, IncomingContent::Reaction { emoji: None, .. }));
}

#[test]
fn votes_wait_until_they_are_opened() {
    let update = part::PollUpdateMessage {
        poll_creation_message_key: key("POLL", false, None),
        vote: some(part::PollEncValue {
            enc_payload: Some(vec![1, 2, 3]),
            enc_iv: Some(vec![4; 12]),
        }),
        ..Default::default()
    };
    let message = wa::Message { poll_update_message: some(update), ..Default::default() };
    let marker = content(&message);
    assert!(!marker.wants_answer());
    let vote = EncryptedVote::of(&marker).expect("a vote");
    assert_eq!((vote.poll.id.as_str(), vote.poll.from_me), ("POLL", true));
    assert_eq!(vote.poll.sender.as_deref(), Some("62811100000@s.whatsapp.net"));
    assert_eq!(vote.voter, "628123456789@s.whatsapp.net");
    assert_eq!((&vote.payload[..], vote.nonce.len()), (&[1_u8, 2, 3][..], 12));

    let options = ["Soto", "Rawon", "Pecel"];
    let hash = |option: &str| wacore::poll::compute_option_hash(option).to_vec();
    let chosen = chosen(&[hash("Rawon"), hash("Soto"), vec![0; 32], Vec::new()], options);
    assert_eq!(chosen, ["Soto", "Rawon"]);
    let opened = poll_vote(&vote, chosen.clone());
    assert_eq!(opened, IncomingContent::PollVote { target: vote.poll, options: chosen });
    assert_eq!(EncryptedVote::of(&opened), None);
}

/// A vote that a phone encrypts is opened by what the marker holds.
#[test]
fn a_marker_holds_what_decryption_needs() {
    let secret = [7; 32];
    let (creator, voter) = ("62811100000@s.whatsapp.net", "628123456789@s.whatsapp.net");
    let hashes = vec![wacore::poll::compute_option_hash("Soto").to_vec()];
    let (payload, nonce) =
        wacore::poll::encrypt_poll_vote_with_secret(&hashes, &secret, "POLL", creator, voter)
            .expect("a vote");
    let update = part::PollUpdateMessage {
        poll_creation_message_key: key("POLL", false, None),
        vote: some(part::PollEncValue { enc_payload: Some(payload), enc_iv: Some(nonce.to_vec()) }),
        ..Default::default()
    };
    let message = wa::Message { poll_update_message: some(update), ..Default::default() };
    let vote = EncryptedVote::of(&content(&message)).expect("a vote");
    let opened = wacore::poll::decrypt_poll_vote_with_secret(
        wacore::poll::PollVoteCiphertext { enc_payload: &vote.payload, enc_iv: &vote.nonce },
        &secret,
        &vote.poll.id,
        vote.poll.sender.as_deref().expect("a creator"),
        &vote.voter,
    )
    .expect("it opens");
    assert_eq!(chosen(&opened, ["Rawon", "Soto"]), ["Soto"]);
}

fn protocol(protocol: ProtocolMessage) -> wa::Message {
    wa::Message { protocol_message: some(protocol), ..Default::default() }
}

#[test]
fn edits_and_revokes() {
    let edit = |content: wa::Message| {
        protocol(ProtocolMessage {
            key: key("A", true, None),
            r#type: Some(Type::MESSAGE_EDIT),
            edited_message: some(content),
            ..Default::default()
        })
    };
    let IncomingContent::Edit { target, content: new } = content(&edit(text("New"))) else {
        panic!()
    };
    assert_eq!((target.id.as_str(), target.from_me), ("A", false));
    assert_eq!(*new, IncomingContent::Text { body: "New".into() });
    let wrapped =
        wa::Message { edited_message: envelope(edit(with_image())), ..Default::default() };
    let IncomingContent::Edit { content: new, .. } = content(&wrapped) else { panic!() };
    assert!(matches!(*new, IncomingContent::Image(_)));
    assert_eq!(told(&edit(edit(text("New"))), &direct()), None);

    let revoke = protocol(ProtocolMessage {
        key: key("A", true, None),
        r#type: Some(Type::REVOKE),
        ..Default::default()
    });
    let IncomingContent::Revoke { target } = content(&revoke) else { panic!() };
    assert_eq!((target.id.as_str(), target.from_me), ("A", false));
    assert_eq!(read(&revoke, &direct()).reply_to, None);
    assert!(matches!(told(&revoke, &echoed()), Some(EventBody::Echo(_))));

    // An administrator takes back what a member wrote.
    let by_admin = protocol(ProtocolMessage {
        key: key("A", false, Some("62811100000@s.whatsapp.net")),
        r#type: Some(Type::REVOKE),
        ..Default::default()
    });
    let IncomingContent::Revoke { target } = read(&by_admin, &in_group()).content else { panic!() };
    assert!(target.from_me);
}

#[test]
fn taps() {
    let tap = |id: &str, title: &str| IncomingContent::Choice {
        id: id.into(),
        title: title.into(),
        description: None,
    };
    let button = part::ButtonsResponseMessage {
        selected_button_id: Some("yes".into()),
        response: Some(part::buttons_response_message::Response::SelectedDisplayText("Yes".into())),
        ..Default::default()
    };
    let message = wa::Message { buttons_response_message: some(button), ..Default::default() };
    assert_eq!(content(&message), tap("yes", "Yes"));

    let quick = part::TemplateButtonReplyMessage {
        selected_id: Some("1".into()),
        selected_display_text: Some("Stop".into()),
        ..Default::default()
    };
    let message = wa::Message { template_button_reply_message: some(quick), ..Default::default() };
    assert_eq!(content(&message), tap("1", "Stop"));

    let line = part::ListResponseMessage {
        title: Some("Soto".into()),
        description: Some("with rice".into()),
        single_select_reply: some(part::list_response_message::SingleSelectReply {
            selected_row_id: Some("soto".into()),
        }),
        ..Default::default()
    };
    let message = wa::Message { list_response_message: some(line), ..Default::default() };
    let wanted = IncomingContent::Choice {
        id: "soto".into(),
        title: "Soto".into(),
        description: Some("with rice".into()),
    };
    assert_eq!(content(&message), wanted);
}

#[test]
fn answers_to_newer_buttons_and_forms() {
    let answer = |name: &str, params: &str, shown: Option<&str>| {
        let flow = part::interactive_response_message::NativeFlowResponseMessage {
            name: Some(name.into()),
            params_json: Some(params.into()),
            ..Default::default()
        };
        let body = part::interactive_response_message::Body {
            text: shown.map(str::to_owned),
            ..Default::default()
        };
        let answer = part::InteractiveResponseMessage {
            body: some(body),
            interactive_response_message: Some(flow.into()),
            ..Default::default()
        };
        content(&wa::Message { interactive_response_message: some(answer), ..Default::default() })
    };
    let wanted = IncomingContent::Choice {
        id: "1".into(),
        title: "One".into(),
        description: Some("first".into()),
    };
    let params = r#"{"id":"1","title":"one","description":"first"}"#;
    assert_eq!(answer("menu_options", params, Some("One")), wanted);
    let form = |name: &str, answers| IncomingContent::Form { name: name.into(), answers };
    let params = r#"{"flow_token":"t","size":"L"}"#;
    let answers = json!({ "flow_token": "t", "size": "L" });
    assert_eq!(answer("galaxy_message", params, Some("Sent")), form("flow", answers));
    assert_eq!(answer("address_message", "{", None), form("address_message", json!("{")));
}

#[test]
fn orders_invites_and_placeholders() {
    let order = part::OrderMessage {
        order_id: Some("7".into()),
        item_count: Some(2),
        total_amount1000: Some(25_000_000),
        total_currency_code: Some("IDR".into()),
        ..Default::default()
    };
    let message = wa::Message { order_message: some(order), ..Default::default() };
    let IncomingContent::Order { order } = content(&message) else { panic!() };
    assert_eq!(order["order_id"], json!("7"));
    assert_eq!(order["total_amount_1000"], json!(25_000_000));

    let invite = part::GroupInviteMessage {
        group_jid: Some(GROUP.into()),
        group_name: Some("Arisan".into()),
        invite_code: Some("abc".into()),
        ..Default::default()
    };
    let message = wa::Message { group_invite_message: some(invite), ..Default::default() };
    let IncomingContent::Unknown { kind, raw } = content(&message) else { panic!() };
    assert_eq!((kind.as_str(), &raw["name"]), ("group_invite", &json!("Arisan")));

    let message = wa::Message {
        placeholder_message: some(part::PlaceholderMessage::default()),
        ..Default::default()
    };
    assert_eq!(content(&message).kind(), "unsupported");
}

#[test]
fn what_nobody_can_read_is_kept_as_it_came() {
    let message =
        wa::Message { event_message: some(part::EventMessage::default()), ..Default::default() };
    let IncomingContent::Unknown { kind, raw } = content(&message) else { panic!() };
    assert_eq!(kind, "event_message");
    let bytes = serde_json::from_value::<crate::binary::Binary>(raw["protobuf"].clone());
    let kept = waproto::codec::message_decode(&bytes.expect("base64")).expect("a protobuf");
    assert_eq!(kept, message);

    // Newer than the protobuf: nothing of it is left.
    let IncomingContent::Unknown { kind, .. } = content(&wa::Message::default()) else { panic!() };
    assert_eq!(kind, "unknown");
}

#[test]
fn what_devices_say_to_each_other_is_nothing() {
    let keys = some(part::SenderKeyDistributionMessage::default());
    let with_keys =
        wa::Message { sender_key_distribution_message: keys.clone(), ..Default::default() };
    assert_eq!(told(&with_keys, &in_group()), None);
    let spoken = wa::Message { sender_key_distribution_message: keys, ..text("Hi") };
    assert!(told(&spoken, &in_group()).is_some());

    for kind in [
        Type::EPHEMERAL_SETTING,
        Type::HISTORY_SYNC_NOTIFICATION,
        Type::APP_STATE_SYNC_KEY_SHARE,
        Type::APP_STATE_SYNC_KEY_REQUEST,
        Type::PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE,
        Type::SHARE_PHONE_NUMBER,
    ] {
        let protocol = ProtocolMessage { r#type: Some(kind), ..Default::default() };
        let message = wa::Message { protocol_message: some(protocol), ..Default::default() };
        assert_eq!(told(&message, &direct()), None, "{kind:?}");
    }
    let album =
        wa::Message { album_message: some(part::AlbumMessage::default()), ..Default::default() };
    assert_eq!(told(&album, &direct()), None);

    let peer = MessageInfo { category: MessageCategory::Peer, ..echoed() };
    assert_eq!(told(&text("Hi"), &peer), None);
}

#[test]
fn a_first_visit_is_welcomed() {
    let protocol =
        ProtocolMessage { r#type: Some(Type::REQUEST_WELCOME_MESSAGE), ..Default::default() };
    let message = wa::Message { protocol_message: some(protocol), ..Default::default() };
    assert_eq!(content(&message), IncomingContent::Welcome);
    assert_eq!(told(&message, &echoed()), None);
}
