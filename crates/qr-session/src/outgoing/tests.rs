use kabar_channel::content::{
    Button, Buttons, ContactCard, List, ListSection, Location, Media, Poll, Template,
};
use kabar_channel::{
    DeviceAddress, EventBody, IncomingContent, IncomingMessage, MediaRef, MessageKey, Prepared,
    Recipient,
};
use kabar_core::{MediaId, MessageId, PhoneNumber, Timestamp};
use uuid::Uuid;
use wacore::types::message::{MessageInfo, MessageSource};
use wacore_binary::Jid;

use super::*;
use crate::incoming::{self, FileKind, FileToken};

const CUSTOMER: &str = "628123456789@s.whatsapp.net";

fn jid(text: &str) -> Jid {
    text.parse().expect("an address")
}

fn own() -> Own {
    Own { number: Some(jid("62811100000:5@s.whatsapp.net")), lid: Some(jid("11:5@lid")) }
}

fn at() -> Timestamp {
    Timestamp::from_timestamp(1_760_000_000, 0).expect("a time")
}

fn outgoing(content: Content) -> Outgoing {
    let phone = PhoneNumber::from_digits("628123456789").expect("a number");
    Outgoing {
        id: MessageId::from(Uuid::from_u128(1)),
        attempt: 1,
        to: Recipient { phone: Some(phone), ..Recipient::default() },
        content,
        reply_to: None,
        wire_id: None,
    }
}

fn ready() -> Ready {
    let uploaded = UploadedMedia {
        url: "https://mmg.whatsapp.net/v/t62/1.enc?ccb=1".into(),
        direct_path: "/v/t62/1.enc?ccb=1".into(),
        media_key: vec![1; 32].into(),
        file_enc_sha256: vec![2; 32].into(),
        file_sha256: vec![3; 32].into(),
        file_length: 1234,
        media_key_timestamp: 1_760_000_000,
        mime: "application/test".into(),
        streaming_sidecar: Some(vec![4; 10].into()),
        animated: true,
    };
    Ready::at(at()).with_file(uploaded).with_secret([9; SECRET])
}

fn media() -> Media {
    Media::new(MediaRef::Stored(MediaId::from(Uuid::from_u128(2))))
}

fn captioned() -> Media {
    Media { caption: Some("A caption".into()), filename: Some("bill.pdf".into()), ..media() }
}

fn built(content: Content) -> wa::Message {
    message(&outgoing(content), &ready(), None).expect("a message")
}

/// What the customer's device, if it were one of ours, would make of the message after the wire.
fn received(message: &wa::Message) -> IncomingMessage {
    let bytes = waproto::codec::message_to_vec(message);
    let message = waproto::codec::message_decode(&bytes).expect("a protobuf");
    let business = jid("62811100000:5@s.whatsapp.net");
    let info = MessageInfo {
        source: MessageSource {
            chat: business.to_non_ad(),
            sender: business,
            ..MessageSource::default()
        },
        id: "3EB0".into(),
        timestamp: at(),
        ..MessageInfo::default()
    };
    let device = DeviceAddress {
        channel: kabar_channel::ChannelKind::QR_SESSION,
        address: "628123456789".into(),
    };
    let customer = Own { number: Some(jid(CUSTOMER)), lid: None };
    let event = incoming::event(&device, &customer, &message, &info).expect("an event");
    match event.body {
        EventBody::Message(message) => *message,
        other => panic!("{other:?}"),
    }
}

fn contents() -> Vec<(&'static str, Content)> {
    let card = |name: &str| ContactCard {
        name: name.into(),
        phones: vec!["+62 812-3456-789".into()],
        emails: vec!["a@example.com".into()],
        organisation: Some("Toko, Budi; Tbk".into()),
    };
    let poll = |selectable| Poll {
        question: "Lunch?".into(),
        options: vec!["Soto".into(), "Rawon".into()],
        selectable,
    };
    let place = Location {
        latitude: -6.2,
        longitude: 106.816_666,
        name: Some("Monas".into()),
        address: None,
    };
    vec![
        ("text", Content::text("Hello")),
        (
            "text with preview",
            Content::Text { body: "See https://example.com/a.".into(), preview_url: true },
        ),
        ("text without address", Content::Text { body: "See example".into(), preview_url: true }),
        ("image", Content::Image(captioned())),
        ("video", Content::Video(captioned())),
        ("audio", Content::Audio(media())),
        ("voice", Content::Audio(Media { voice: true, ..media() })),
        ("document", Content::Document(Media { caption: None, ..captioned() })),
        ("document with caption", Content::Document(captioned())),
        ("sticker", Content::Sticker(media())),
        ("location", Content::Location(place)),
        ("one contact", Content::Contacts { cards: vec![card("Budi; S")] }),
        ("contacts", Content::Contacts { cards: vec![card("Budi"), card("Ani")] }),
        ("poll", Content::Poll(poll(1))),
        ("poll with several answers", Content::Poll(poll(2))),
    ]
}

/// What is set of a message, as JSON without the rest.
fn shape(message: &wa::Message) -> serde_json::Value {
    let mut value = serde_json::to_value(message).expect("JSON");
    prune(&mut value);
    value
}

fn prune(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| {
                prune(field);
                !(field.is_null() || field.as_array().is_some_and(Vec::is_empty))
            });
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_number) => {
            *value = Value::String(format!("{} bytes", items.len()));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

#[test]
fn every_content_has_its_protobuf() {
    let shapes: serde_json::Map<String, serde_json::Value> = contents()
        .into_iter()
        .map(|(name, content)| (name.to_owned(), shape(&built(content))))
        .collect();
    insta::assert_json_snapshot!("contents", shapes);
}

/// The content that went out, as it comes in.
fn comes_in_as(content: &Content, incoming: &IncomingContent) {
    let file = |media: &Media, kind: FileKind, shows: (bool, bool)| {
        let file = incoming.file().expect("a file");
        let (caption, filename) = shows;
        assert_eq!(file.caption, media.caption.clone().filter(|_| caption));
        assert_eq!(file.filename, media.filename.clone().filter(|_| filename));
        assert_eq!(file.voice, media.voice);
        let token = FileToken::decode(&file.wire_media_id).expect("a token");
        let UploadedMedia { direct_path, media_key, file_enc_sha256, file_sha256, .. } =
            ready().uploaded.expect("a file");
        assert_eq!(token.kind, kind);
        assert_eq!(token.direct_path, direct_path);
        assert_eq!(token.media_key, Some(media_key));
        assert_eq!(token.file_enc_sha256, Some(file_enc_sha256));
        assert_eq!(token.file_sha256, Some(file_sha256));
        assert_eq!(token.file_length, Some(1234));
    };
    match (content, incoming) {
        (Content::Text { body: sent, .. }, IncomingContent::Text { body }) => {
            assert_eq!(sent, body);
        }
        (Content::Image(media), IncomingContent::Image(_)) => {
            file(media, FileKind::Image, (true, false));
        }
        (Content::Video(media), IncomingContent::Video(_)) => {
            file(media, FileKind::Video, (true, false));
        }
        (Content::Audio(media), IncomingContent::Audio(_)) => {
            file(media, FileKind::Audio, (false, false));
        }
        (Content::Document(media), IncomingContent::Document(_)) => {
            file(media, FileKind::Document, (true, true));
        }
        (Content::Sticker(media), IncomingContent::Sticker(read)) => {
            file(media, FileKind::Sticker, (false, false));
            assert!(read.animated);
        }
        (Content::Location(sent), IncomingContent::Location(read)) => assert_eq!(sent, read),
        (Content::Contacts { cards: sent }, IncomingContent::Contacts { cards }) => {
            assert_eq!(sent, cards);
        }
        (Content::Poll(poll), IncomingContent::Unknown { kind, raw }) => {
            assert_eq!(kind, "poll");
            assert_eq!(serde_json::from_value::<Poll>(raw.clone()).expect("a poll"), *poll);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_goes_out_comes_in() {
    for (name, content) in contents() {
        let read = received(&built(content.clone()));
        assert_eq!(read.reply_to, None, "{name}");
        comes_in_as(&content, &read.content);
    }
}

#[test]
fn an_answer_names_what_it_answers_whatever_it_holds() {
    let key = MessageKey { sender: Some(CUSTOMER.into()), ..MessageKey::id("ABC") };
    for (name, content) in contents() {
        let outgoing = Outgoing { reply_to: Some(key.clone()), ..outgoing(content.clone()) };
        let quoted = Quoted::of(&outgoing, &own()).expect("an address").expect("a quote");
        let read = received(&message(&outgoing, &ready(), Some(&quoted)).expect("a message"));
        let reply_to = read.reply_to.unwrap_or_else(|| panic!("{name}"));
        assert_eq!(reply_to.id, "ABC", "{name}");
        assert_eq!(reply_to.sender.as_deref(), Some(CUSTOMER), "{name}");
        assert!(reply_to.from_me, "{name}: the reader's own words were answered");
        comes_in_as(&content, &read.content);
    }
}

#[test]
fn a_quote_names_its_author_and_a_group_elsewhere() {
    let group = Recipient { group: Some("120363@g.us".into()), ..Recipient::default() };
    let person = outgoing(Content::text("x")).to;
    let key = |chat: Option<&str>, sender: Option<&str>, from_me| MessageKey {
        chat: chat.map(str::to_owned),
        sender: sender.map(str::to_owned),
        from_me,
        id: "A".into(),
    };
    for (to, key, wanted) in [
        (&person, key(None, None, false), (Some(CUSTOMER), None)),
        // Of our own words the sender is us, whatever the key says.
        (&person, key(None, Some("77"), true), (Some("62811100000@s.whatsapp.net"), None)),
        (&person, key(Some("77@lid"), Some("77"), false), (Some("77@lid"), None)),
        (
            &person,
            key(Some("120363@g.us"), Some("77@lid"), false),
            (Some("77@lid"), Some("120363@g.us")),
        ),
        (&group, key(None, None, false), (None, None)),
        (
            &group,
            key(Some("120363@g.us"), Some("+628222222222"), false),
            (Some("628222222222@s.whatsapp.net"), None),
        ),
    ] {
        let outgoing = Outgoing {
            to: to.clone(),
            reply_to: Some(key.clone()),
            ..outgoing(Content::text("x"))
        };
        let quoted = Quoted::of(&outgoing, &own()).expect("an address");
        let message = message(&outgoing, &ready(), quoted.as_ref()).expect("a message");
        let context = message.extended_text_message.context_info.clone();
        let found = (context.participant.as_deref(), context.remote_jid.as_deref());
        assert_eq!(found, wanted, "{key:?}");
        assert_eq!(context.stanza_id.as_deref(), Some("A"));
    }
}

#[test]
fn a_reaction_points_at_its_message() {
    let group = Recipient { group: Some("120363@g.us".into()), ..Recipient::default() };
    let react = |to: Option<&Recipient>, key: MessageKey, emoji: &str| {
        let mut outgoing = outgoing(Content::Reaction { emoji: emoji.into() });
        outgoing.to = to.cloned().unwrap_or(outgoing.to);
        outgoing.reply_to = Some(key);
        let quoted = Quoted::of(&outgoing, &own())?;
        message(&outgoing, &ready(), quoted.as_ref())
    };
    let theirs = MessageKey::id("A");
    let message = react(None, theirs.clone(), "👍").expect("a message");
    insta::assert_json_snapshot!("reaction", shape(&message));
    let read = received(&message);
    let IncomingContent::Reaction { target, emoji } = read.content else { panic!() };
    assert_eq!((target.id.as_str(), target.from_me), ("A", true));
    assert_eq!(emoji.as_deref(), Some("👍"));
    assert_eq!(read.reply_to, None);

    let ours = MessageKey { from_me: true, ..theirs.clone() };
    let read = received(&react(None, ours, "").expect("a message"));
    let IncomingContent::Reaction { target, emoji } = read.content else { panic!() };
    assert_eq!((target.from_me, emoji), (false, None));

    let member = MessageKey { sender: Some("77@lid".into()), ..theirs.clone() };
    let message = react(Some(&group), member, "👍").expect("a message");
    let key = message.reaction_message.key.clone();
    assert_eq!(key.remote_jid.as_deref(), Some("120363@g.us"));
    assert_eq!(key.participant.as_deref(), Some("77@lid"));

    let refused = react(Some(&group), theirs, "👍").expect_err("nobody knows whose");
    assert_eq!(refused.reason().code, "reaction_target");
}

fn refusal(content: Content, ready: &Ready) -> String {
    let refused = message(&outgoing(content), ready, None).expect_err("a refusal");
    assert!(matches!(refused, SendError::Refused { .. }), "{refused:?}");
    refused.reason().code.clone()
}

#[test]
fn what_the_channel_cannot_carry_is_refused_by_name() {
    let buttons = Buttons {
        header: None,
        body: "b".into(),
        footer: None,
        buttons: vec![Button::Reply { id: "1".into(), title: "t".into() }],
    };
    let list = List {
        header: None,
        body: "b".into(),
        footer: None,
        button: "b".into(),
        sections: vec![ListSection { title: None, rows: Vec::new() }],
    };
    let template = Template { name: "t".into(), language: "en".into(), components: Vec::new() };
    for (content, word) in [
        (Content::Buttons(buttons), "`buttons`"),
        (Content::List(list), "`list`"),
        (Content::Template(template), "`template`"),
    ] {
        let refused = message(&outgoing(content), &ready(), None).expect_err("a refusal");
        assert_eq!(refused.reason().code, "content");
        assert!(refused.reason().text.contains(word), "{refused}");
    }
}

#[test]
fn what_lacks_a_part_is_refused() {
    let bare = Ready::at(at());
    let poll = |question: &str, option: &str| {
        Content::Poll(Poll {
            question: question.into(),
            options: vec![option.into(), "b".into()],
            selectable: 1,
        })
    };
    let short = Ready { secret: Some(vec![1; 31].into()), ..bare.clone() };
    for (content, ready, code) in [
        (Content::Image(media()), &bare, "media"),
        (Content::Audio(captioned()), &ready(), "caption"),
        (Content::Sticker(captioned()), &ready(), "caption"),
        (Content::Contacts { cards: Vec::new() }, &bare, "cards"),
        (Content::Reaction { emoji: "👍".into() }, &bare, "reaction_target"),
        (poll("q", "a"), &bare, "poll_secret"),
        (poll("q", "a"), &short, "poll_secret"),
        (poll(&"q".repeat(256), "a"), &ready(), "poll_question"),
        (poll("q", &"a".repeat(101)), &ready(), "poll_option"),
    ] {
        assert_eq!(refusal(content, ready), code);
    }
}

#[test]
fn what_is_ready_is_kept_and_read_again() {
    let prepared = ready().prepared().expect("JSON");
    insta::assert_json_snapshot!("ready", prepared.json());
    assert_eq!(Ready::read(&prepared), Ok(ready()));
    let bare = Ready::at(at());
    assert_eq!(Ready::read(&bare.prepared().expect("JSON")), Ok(bare));
    assert!(Ready::read(&Prepared::from(serde_json::json!({ "to": "x" }))).is_err());
}

#[test]
fn a_voice_note_says_its_codec() {
    for (mime, wanted) in [
        ("audio/ogg", "audio/ogg; codecs=opus"),
        ("audio/ogg;codecs=opus", "audio/ogg; codecs=opus"),
        ("audio/mp4", "audio/mp4"),
    ] {
        let mut ready = ready();
        if let Some(uploaded) = &mut ready.uploaded {
            uploaded.mime = mime.into();
        }
        let content = Content::Audio(Media { voice: true, ..media() });
        let message = message(&outgoing(content), &ready, None).expect("a message");
        assert_eq!(message.audio_message.mimetype.as_deref(), Some(wanted));
        assert_eq!(message.audio_message.ptt, Some(true));
    }
}

#[test]
fn the_secret_of_a_poll_travels_with_it() {
    let polls = contents().into_iter().filter(|(_, content)| matches!(content, Content::Poll(_)));
    for (name, content) in polls {
        let message = built(content);
        let secret = message.message_context_info.message_secret.as_deref();
        assert_eq!(secret, Some(&[9; SECRET][..]), "{name}");
    }
}
