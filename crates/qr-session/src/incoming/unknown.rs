//! The kinds that this version cannot read, by WhatsApp's own words.

use waproto::whatsapp as wa;

/// The kind of what bears no name: parts that are newer than the engine's protobuf are dropped while
/// decoding.
const UNNAMED: &str = "unknown";

/// The word of each part that is set, in the order of the protobuf.
macro_rules! set {
    ($message:ident: $($part:ident)+) => {
        [$(($message.$part.is_set()).then_some(stringify!($part))),+].into_iter().flatten()
    };
}

/// WhatsApp's word for what a message holds.
pub(super) fn kind(message: &wa::Message) -> &'static str {
    let mut words = set!(message:
        image_message
        contact_message
        location_message
        extended_text_message
        document_message
        audio_message
        video_message
        call
        chat
        contacts_array_message
        highly_structured_message
        send_payment_message
        live_location_message
        request_payment_message
        decline_payment_request_message
        cancel_payment_request_message
        template_message
        sticker_message
        group_invite_message
        template_button_reply_message
        product_message
        device_sent_message
        list_message
        view_once_message
        order_message
        list_response_message
        ephemeral_message
        invoice_message
        buttons_message
        buttons_response_message
        payment_invite_message
        interactive_message
        reaction_message
        interactive_response_message
        poll_creation_message
        poll_update_message
        keep_in_chat_message
        document_with_caption_message
        request_phone_number_message
        view_once_message_v2
        enc_reaction_message
        edited_message
        view_once_message_v2_extension
        poll_creation_message_v2
        scheduled_call_creation_message
        group_mentioned_message
        pin_in_chat_message
        poll_creation_message_v3
        scheduled_call_edit_message
        ptv_message
        bot_invoke_message
        call_log_messsage
        enc_comment_message
        bcall_message
        lottie_sticker_message
        event_message
        enc_event_response_message
        comment_message
        newsletter_admin_invite_message
        placeholder_message
        secret_encrypted_message
        event_cover_image
        sticker_pack_message
        status_mention_message
        poll_result_snapshot_message
        poll_creation_option_image_message
        associated_child_message
        group_status_mention_message
        poll_creation_message_v4
        status_add_yours
        group_status_message
        rich_response_message
        limit_sharing_message
        bot_task_message
        question_message
        group_status_message_v2
        bot_forwarded_message
        status_question_answer_message
        question_reply_message
        question_response_message
        status_quoted_message
        status_sticker_interaction_message
        poll_creation_message_v5
        newsletter_follower_invite_message_v2
        poll_result_snapshot_message_v3
        newsletter_admin_profile_message
        newsletter_admin_profile_message_v2
        spoiler_message
        poll_creation_message_v6
        conditional_reveal_message
        poll_add_option_message
        event_invite_message
        payment_reminder_message
        split_payment_message
        newsletter_admin_profile_status_message
    );
    words.next().unwrap_or(UNNAMED)
}

/// Whether a message is nothing that a person said: keys of groups, headings of albums, whose pictures
/// come one by one, and the like.
pub(super) fn says_nothing(message: &wa::Message) -> bool {
    let mut between_devices = set!(message:
        album_message
        message_history_bundle
        message_history_notice
        group_root_key_share
        root_secret_distribute_message
        sticker_sync_rmr_message
        status_notification_message
    );
    let hands_out_keys = message.sender_key_distribution_message.is_set()
        || message.fast_ratchet_key_sender_key_distribution_message.is_set();
    between_devices.next().is_some() || (hands_out_keys && kind(message) == UNNAMED)
}
