use kabar_core::PhoneNumber;
use serde_json::json;
use waproto::whatsapp::context_info::ExternalAdReplyInfo;
use waproto::whatsapp::message::ExtendedTextMessage;

use super::*;

fn phone(ids: &kabar_channel::PersonIds) -> Option<&str> {
    ids.phone.as_ref().map(PhoneNumber::as_str)
}

fn with_context(context: wa::ContextInfo) -> wa::Message {
    let extended = ExtendedTextMessage {
        text: Some("Hi".into()),
        context_info: some(context),
        ..Default::default()
    };
    wa::Message { extended_text_message: some(extended), ..Default::default() }
}

#[test]
fn a_customer_writes() {
    let event = event(&device(), &own(), &text("Hi"), &direct()).expect("an event");
    assert_eq!(event.device, Some(device()));
    insta::assert_json_snapshot!("raw", event.raw);
    let EventBody::Message(message) = event.body else { panic!() };
    assert_eq!(message.wire_id, "3EB0AA");
    assert_eq!(phone(&message.sender), Some("+628123456789"));
    assert_eq!((&message.recipient, &message.group), (&None, &None));
    assert_eq!(message.profile_name.as_deref(), Some("Budi"));
    assert_eq!(message.sent_at.map(|at| at.timestamp()), Some(1_760_000_000));
    assert!(!message.forwarded && message.referral.is_none() && message.reply_to.is_none());
}

#[test]
fn a_sender_is_known_in_both_namespaces() {
    for (sender, alt) in
        [("77:2@lid", "628123456789:2@s.whatsapp.net"), ("628123456789:2@s.whatsapp.net", "77@lid")]
    {
        let mut info = info(sender, sender);
        info.source.sender_alt = Some(jid(alt));
        let sender = read(&text("Hi"), &info).sender;
        assert_eq!((phone(&sender), sender.lid.as_deref()), (Some("+628123456789"), Some("77")));
    }
    // Who hides the number has the linked id alone.
    let sender = read(&text("Hi"), &in_group()).sender;
    assert_eq!((phone(&sender), sender.lid.as_deref()), (None, Some("77")));
}

#[test]
fn the_business_writes_on_its_own_phone() {
    let mut info = echoed();
    info.source.chat = jid("77@lid");
    info.peer_recipient_pn = Some(jid("628123456789@s.whatsapp.net"));
    let Some(EventBody::Echo(message)) = told(&text("Hi"), &info) else { panic!() };
    let recipient = message.recipient.expect("a recipient");
    assert_eq!((phone(&recipient), recipient.lid.as_deref()), (Some("+628123456789"), Some("77")));
    assert_eq!(phone(&message.sender), Some("+62811100000"));
    assert_eq!(message.profile_name, None);
}

#[test]
fn a_group_is_named_by_its_address() {
    let message = read(&text("Hi"), &in_group());
    assert_eq!(message.group.as_deref(), Some(GROUP));
    let mut ours = in_group();
    ours.source.is_from_me = true;
    let Some(EventBody::Echo(message)) = told(&text("Hi"), &ours) else { panic!() };
    assert_eq!((message.group.as_deref(), message.recipient), (Some(GROUP), None));
}

#[test]
fn a_member_is_named_as_the_group_names_them() {
    for member in ["77:2@lid", CUSTOMER] {
        let named = read(&text("Hi"), &info(GROUP, member)).address;
        assert_eq!(named, Some(jid(member).to_non_ad_string()));
    }
    assert_eq!(read(&text("Hi"), &direct()).address, None, "the chat says who it is");
}

#[test]
fn what_is_no_conversation_is_nothing() {
    for (chat, ours) in [
        ("status@broadcast", false),
        ("status@broadcast", true),
        ("1203@newsletter", false),
        ("1700000000@broadcast", true),
    ] {
        let mut info = info(chat, CUSTOMER);
        info.source.is_from_me = ours;
        assert_eq!(told(&text("Hi"), &info), None, "{chat}");
    }
    // A customer's broadcast list is a message to us.
    let message = read(&text("Hi"), &info("1700000000@broadcast", CUSTOMER));
    assert_eq!((phone(&message.sender), message.group), (Some("+628123456789"), None));
}

#[test]
fn an_answer_names_what_it_answers() {
    let answer = |participant: Option<&str>, chat: Option<&str>| {
        let message = with_context(wa::ContextInfo {
            stanza_id: Some("Q".into()),
            participant: participant.map(str::to_owned),
            remote_jid: chat.map(str::to_owned),
            ..Default::default()
        });
        let key = read(&message, &direct()).reply_to.expect("a key");
        assert_eq!(key.id, "Q");
        (key.chat, key.sender, key.from_me)
    };
    let here = Some("628123456789@s.whatsapp.net".to_owned());
    let us = Some("62811100000@s.whatsapp.net".to_owned());
    assert_eq!(answer(Some("62811100000:5@s.whatsapp.net"), None), (here.clone(), us, true));
    let lid = Some("11@lid".to_owned());
    assert_eq!(answer(Some("11@lid"), None), (here.clone(), lid, true));
    assert_eq!(answer(Some(CUSTOMER), None), (here.clone(), here.clone(), false));
    assert_eq!(answer(None, Some("??")), (here.clone(), None, false));
    let status = Some("status@broadcast".to_owned());
    assert_eq!(answer(Some(CUSTOMER), status.as_deref()), (status, here, false));
}

#[test]
fn a_comment_answers_its_post() {
    let mut info = in_group();
    info.comment_target = key("POST", false, Some("88@lid")).into_option();
    let key = read(&text("Hi"), &info).reply_to.expect("a key");
    assert_eq!((key.id.as_str(), key.sender.as_deref()), ("POST", Some("88@lid")));
}

#[test]
fn what_was_forwarded_says_so() {
    let forwarded = |flag, score| {
        let context =
            wa::ContextInfo { is_forwarded: flag, forwarding_score: score, ..Default::default() };
        read(&with_context(context), &direct()).forwarded
    };
    assert!(forwarded(Some(true), None));
    assert!(forwarded(None, Some(127)));
    assert!(!forwarded(Some(false), Some(0)));
}

#[test]
fn an_advertisement_is_told() {
    let ad = ExternalAdReplyInfo {
        title: Some("Shoes".into()),
        source_url: Some("https://fb.me/x".into()),
        source_id: Some("120".into()),
        source_type: Some("ad".into()),
        ctwa_clid: Some("clid".into()),
        thumbnail: Some(vec![0; 100]),
        ..Default::default()
    };
    let context = wa::ContextInfo {
        external_ad_reply: some(ad),
        entry_point_conversion_source: Some("ctwa_ad".into()),
        ..Default::default()
    };
    let wanted = json!({
        "headline": "Shoes",
        "source_url": "https://fb.me/x",
        "source_id": "120",
        "source_type": "ad",
        "ctwa_clid": "clid",
        "entry_point": "ctwa_ad",
    });
    assert_eq!(read(&with_context(context), &direct()).referral, Some(wanted));
    let nothing = wa::ContextInfo {
        external_ad_reply: some(ExternalAdReplyInfo::default()),
        ..Default::default()
    };
    assert_eq!(read(&with_context(nothing), &direct()).referral, None);
}
