//! What lies inside the envelopes of a message.

use waproto::whatsapp as wa;

/// The innermost message: disappearing, view-once, edited, sent from our own phone, and so on are
/// envelopes around one.
pub(super) fn unwrap(message: &wa::Message) -> &wa::Message {
    let mut inner = message;
    while let Some(next) = inside(inner) {
        inner = next;
    }
    inner
}

fn inside(message: &wa::Message) -> Option<&wa::Message> {
    let envelopes = [
        &message.ephemeral_message,
        &message.view_once_message,
        &message.view_once_message_v2,
        &message.view_once_message_v2_extension,
        &message.document_with_caption_message,
        &message.edited_message,
        &message.group_mentioned_message,
        &message.bot_invoke_message,
        &message.bot_forwarded_message,
        &message.bot_task_message,
        &message.associated_child_message,
        &message.lottie_sticker_message,
        &message.spoiler_message,
        &message.limit_sharing_message,
        &message.event_cover_image,
        &message.poll_creation_option_image_message,
        &message.poll_creation_message_v4,
        &message.question_message,
        &message.question_reply_message,
        &message.group_status_message,
        &message.group_status_message_v2,
        &message.group_status_mention_message,
        &message.status_mention_message,
        &message.status_add_yours,
    ];
    let sent = || message.device_sent_message.as_option()?.message.as_option();
    let mut envelopes = envelopes.into_iter();
    envelopes.find_map(|envelope| envelope.as_option()?.message.as_option()).or_else(sent)
}
