//! What a message says beside its content: which one it answers, and where it comes from.

use kabar_channel::MessageKey;
use serde_json::{Map, Value, json};
use waproto::whatsapp as wa;
use waproto::whatsapp::context_info::ExternalAdReplyInfo;

use super::read;
use super::scene::Scene;
use crate::address;

/// The context of whichever part has one.
macro_rules! contexts {
    ($message:ident: $($part:ident)+) => {
        [$($message.$part.as_option().map(|part| &part.context_info)),+]
    };
}

pub(super) fn context(message: &wa::Message) -> Option<&wa::ContextInfo> {
    let contexts = contexts!(message:
        extended_text_message
        image_message
        video_message
        ptv_message
        audio_message
        document_message
        sticker_message
        location_message
        live_location_message
        contact_message
        contacts_array_message
        buttons_response_message
        list_response_message
        template_button_reply_message
        interactive_response_message
        poll_creation_message
        poll_creation_message_v2
        poll_creation_message_v3
        poll_creation_message_v5
        order_message
        product_message
        group_invite_message
        event_message
        sticker_pack_message
        buttons_message
        list_message
        template_message
        interactive_message
    );
    contexts.into_iter().flatten().find_map(|context| context.as_option())
}

/// The message that another one answers. A comment's post stands on the stanza.
pub(super) fn reply_to(scene: &Scene<'_>, context: Option<&wa::ContextInfo>) -> Option<MessageKey> {
    let quoted = context.and_then(|context| quoted(scene, context));
    quoted.or_else(|| scene.target(scene.info.comment_target.as_ref()?))
}

fn quoted(scene: &Scene<'_>, context: &wa::ContextInfo) -> Option<MessageKey> {
    let id = read::id(context.stanza_id.as_deref())?;
    let author = context.participant.as_deref().and_then(address::parse);
    let elsewhere = context.remote_jid.as_deref().and_then(address::parse);
    Some(MessageKey {
        chat: elsewhere.map(|chat| chat.to_non_ad_string()).or_else(|| scene.chat()),
        from_me: author.as_ref().is_some_and(|author| scene.own.is(author)),
        sender: author.map(|author| author.to_non_ad_string()),
        id,
    })
}

/// Whether it was forwarded.
pub(super) fn is_forwarded(context: &wa::ContextInfo) -> bool {
    context.is_forwarded == Some(true) || context.forwarding_score.is_some_and(|score| score > 0)
}

/// The advertisement that brought the person, in the words of the Cloud API's `referral` where it has
/// one. Pictures are left out.
pub(super) fn referral(context: &wa::ContextInfo) -> Option<Value> {
    let ad = context.external_ad_reply.as_option()?;
    let mut referral = Map::new();
    for (key, text) in words(ad) {
        if let Some(text) = read::words(text) {
            referral.insert(key.to_owned(), json!(text));
        }
    }
    for (key, text) in [
        ("entry_point", &context.entry_point_conversion_source),
        ("entry_point_app", &context.entry_point_conversion_app),
        ("conversion_source", &context.conversion_source),
    ] {
        if let Some(text) = read::name(text.as_deref()) {
            referral.insert(key.to_owned(), json!(text));
        }
    }
    (!referral.is_empty()).then_some(Value::Object(referral))
}

fn words(ad: &ExternalAdReplyInfo) -> [(&'static str, Option<&str>); 11] {
    [
        ("source_url", ad.source_url.as_deref()),
        ("source_id", ad.source_id.as_deref()),
        ("source_type", ad.source_type.as_deref()),
        ("source_app", ad.source_app.as_deref()),
        ("headline", ad.title.as_deref()),
        ("body", ad.body.as_deref()),
        ("thumbnail_url", ad.thumbnail_url.as_deref()),
        ("media_url", ad.media_url.as_deref()),
        ("image_url", ad.original_image_url.as_deref()),
        ("ctwa_clid", ad.ctwa_clid.as_deref()),
        ("ref", ad.r#ref.as_deref()),
    ]
}
